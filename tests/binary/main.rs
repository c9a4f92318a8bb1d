//! The real binary: each module holds one promise, and all drive it through the one harness.
//!
//! They are one program, so that what they share is compiled and linked once; nothing in it belongs to one of them alone
//! (no working directory, no environment, no signal), since they run side by side. `cargo test --test binary spool_inputs`
//! runs one module.

#[path = "../harness/mod.rs"]
mod harness;

mod all_users;
mod backpressure;
mod batch;
mod changes;
mod command;
mod completions;
mod consumer_gone;
mod control;
mod control_socket;
mod descriptors;
mod fair;
mod files;
#[cfg(target_os = "linux")]
mod fresh_blocks;
mod generated;
mod hooks;
mod look;
mod memory;
mod one_file;
mod outputs;
mod rates;
mod readme;
mod real_input;
mod reopen;
mod report;
mod restart;
mod scaling;
mod scarce;
mod share;
mod shedding;
mod shedding_ends;
mod signals;
mod size;
mod spill;
mod spool;
mod spool_batch;
mod spool_ends;
mod spool_full;
mod spool_halts;
mod spool_inputs;
mod spool_kills;
mod spool_refused;
mod spool_shedding;
mod spool_slow_disk;
mod spool_tees;
mod spool_workers;
mod stop_at;
mod tees_at_the_end;
mod terminal;
mod terminal_jobs;
mod timeouts;
mod told_once;
mod top;
mod usage;
mod wholeness;
mod workers;
