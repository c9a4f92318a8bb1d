//! What reaches a running weir from outside its pipeline, and how it gets there.

pub mod client;
pub mod directory;
pub mod pipeline;
pub mod protocol;
pub mod server;
pub mod signals;
pub mod top;
mod visitors;
mod wire;
