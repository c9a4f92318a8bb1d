//! The room, on real files.

mod spill;
