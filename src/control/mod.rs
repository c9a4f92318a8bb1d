//! What reaches a running weir from outside its pipeline, and how it gets there.

pub mod client;
pub mod directory;
pub mod protocol;
pub mod server;
mod sessions;
pub mod signals;
mod wire;
