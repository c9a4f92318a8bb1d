//! What reaches a running weir from outside its pipeline, and how it gets there.

pub(crate) mod client;
pub(crate) mod directory;
mod listener;
pub(crate) mod look;
mod peer;
pub(crate) mod protocol;
pub(crate) mod requests;
pub(crate) mod server;
mod sessions;
pub(crate) mod signals;
mod wire;
