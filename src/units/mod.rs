//! The words users type for amounts: parsed once, printed the same way, right by construction.
//!
//! Every type here keeps two promises: `parse(print(x)) == x`, and a text that is turned away
//! is answered by a [`UnitError`] that shows a right one. Nothing here reads a clock, a file or the
//! environment; which option may take which value is for `config` to say.

pub(crate) mod amount;
pub(crate) mod backoff;
mod bits;
mod decimal;
pub(crate) mod duration;
pub(crate) mod error;
mod job_count;
pub(crate) mod key;
pub(crate) mod limit;
pub(crate) mod mark;
pub(crate) mod or_off;
pub(crate) mod percent;
mod printable;
pub(crate) mod rate;
pub(crate) mod share;
pub(crate) mod size;
mod sync_time;
mod text;
pub(crate) mod timetable;
mod typed_limit;

pub(crate) use amount::Amount;
pub(crate) use backoff::Backoff;
pub(crate) use bits::Places;
pub(crate) use duration::Span;
pub(crate) use error::UnitError;
pub(crate) use job_count::JobCount;
pub(crate) use key::{Key, Pattern};
pub(crate) use limit::Limit;
pub(crate) use mark::Mark;
pub(crate) use or_off::OrOff;
pub(crate) use printable::{printable, without_numbers};
pub(crate) use rate::{Rate, Unit};
pub(crate) use share::{Share, Store};
pub(crate) use size::{BufferSize, Size};
pub(crate) use sync_time::SyncTime;
pub(crate) use timetable::Timetable;
pub(crate) use typed_limit::TypedLimit;
