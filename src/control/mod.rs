//! What reaches a running weir from outside its pipeline, and how it gets there.

pub(crate) mod client;
pub(crate) mod directory;
pub(crate) mod protocol;
pub(crate) mod server;
mod sessions;
pub(crate) mod signals;
mod wire;
