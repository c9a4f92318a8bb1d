//! A program that fails, again and again, and says when.

use std::io;

use super::Params;
use super::raw::{now_ns, write_all};

/// `__again tries=`
///
/// Prints when it began and when it ended, on the shared clock in nanoseconds, and fails; at the try of that number,
/// as `WEIR_TRY` counts them, it does not.
pub(super) fn fail(params: &Params) -> io::Result<()> {
    let began = now_ns();
    let number = std::env::var("WEIR_TRY").unwrap_or_default();
    let number = number.parse::<u64>().map_err(io::Error::other)?;
    write_all(format!("{began} {}\n", now_ns()).as_bytes())?;
    if number < params.get("tries", 1) {
        std::process::exit(1);
    }
    Ok(())
}
