//! Small messages that carry the instant they were sent.

use std::fmt::Write as _;
use std::io;

use super::Params;
use super::raw::{now_ns, read_some, sleep_until, write_all};

/// Bytes in a message: the time of sending as digits, then padding and a newline.
const MESSAGE: usize = 64;

/// `__pingsend count= every_us=`
pub(super) fn send(params: &Params) -> io::Result<()> {
    let start = now_ns();
    let every = params.get("every_us", 2000) * 1000;
    for turn in 1..=params.get("count", 1500) {
        sleep_until(start + turn * every);
        write_all(format!("{:<63}\n", now_ns()).as_bytes())?;
    }
    Ok(())
}

/// `__pingrecv`: prints the age of every message on arrival, in nanoseconds.
pub(super) fn receive(_: &Params) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    let mut filled = 0;
    let mut ages = String::new();
    loop {
        let n = read_some(&mut buffer[filled..])?;
        let now = now_ns();
        if n == 0 {
            return write_all(ages.as_bytes());
        }
        filled += n;
        let whole = filled - filled % MESSAGE;
        for message in buffer[..whole].chunks(MESSAGE) {
            let digits = str::from_utf8(message).unwrap_or_default();
            let sent: u64 = digits.trim().parse().unwrap_or(now);
            let _ = writeln!(ages, "{}", now.saturating_sub(sent));
        }
        buffer.copy_within(whole..filled, 0);
        filled -= whole;
    }
}
