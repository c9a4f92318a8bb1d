//! What lies on a disk: a stream that is too much for memory ([`spill`]), and one that outlives the process
//! ([`spool`]).
//!
//! The room knows nothing of queues, options or threads but the one that syncs; it is told offsets in a stream, and
//! moves bytes. Its errors are one line each, and what is damaged is no error: it is a value, [`damage::Damage`], and
//! the rest goes on. The format is written down in [`format`] and [`state`].
//!
//! Imports go down: `recovery` (over `ready`, `over`, `begun`, `cut`, `mend`, `orphans`), `query`, `sync`, `reader`, `append` over `spool`, over `writer`, `state_file`, `index`,
//! `segments`, `spill`; those over `format`, `state`, `journal`, `place`, `records`, which are pure, and over
//! `room`, `directory`, `file`, `sys`, `process`.

mod append;
mod begun;
mod cut;
pub(crate) mod damage;
pub(crate) mod dealt;
mod directory;
pub(crate) mod error;
mod file;
pub(crate) mod format;
mod give_back;
mod index;
pub(crate) mod journal;
mod lock;
mod mend;
mod orphans;
mod over;
mod place;
mod place_at;
pub(crate) mod process;
pub(crate) mod query;
pub(crate) mod reader;
pub(crate) mod ready;
mod records;
pub(crate) mod recovery;
mod rescue;
pub(crate) mod room;
pub(crate) mod schedule;
pub(crate) mod segments;
pub(crate) mod spill;
pub(crate) mod spool;
pub(crate) mod state;
mod state_file;
mod survey;
pub(crate) mod sync;
mod syncs;
pub(crate) mod sys;
mod writer;

#[cfg(test)]
mod tests;
