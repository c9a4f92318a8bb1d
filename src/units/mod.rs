//! The words users type for amounts: parsed once, printed the same way, right by construction.
//!
//! Every type here keeps two promises: `parse(print(x)) == x`, and a text that is turned away
//! is answered by a [`UnitError`] that shows a right one. Nothing here reads a clock, a file or the
//! environment; which option may take which value is for `config` to say.

pub mod amount;
mod decimal;
pub mod duration;
pub mod limit;
pub mod mark;
pub mod or_off;
pub mod rate;
pub mod reject;
pub mod share;
pub mod size;
mod text;
pub mod timetable;

/// The same text, fit to be part of one line on a terminal.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

pub use amount::Amount;
pub use duration::Span;
pub use limit::Limit;
pub use mark::{Mark, Percent};
pub use or_off::OrOff;
pub use rate::{Rate, Unit};
pub use reject::UnitError;
pub use share::{Share, Store};
pub use size::{BufferSize, Size};
pub use timetable::Timetable;
