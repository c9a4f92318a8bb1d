//! Plain bytes as fast as they go: a producer, a consumer, and a consumer with a notebook.

use std::fmt::Write as _;
use std::io;

use super::Params;
use super::raw::{hold, now_ns, read_some, report_time, sleep_ms, sleep_until, write_all};

const BLOCK: usize = 128 << 10;

/// `__gen bytes= block= line= wait_ms= idle_after= idle_until_ms= hold=`
///
/// Writes one prepared block again and again: `bytes` in all (endless by default), first after
/// `wait_ms`. With `line`, the block is made of lines of that length. Having written
/// `idle_after` bytes it is silent until `idle_until_ms` after its start. With `hold` it keeps
/// the pipe open when done.
pub(super) fn produce(params: &Params) -> io::Result<()> {
    let start = now_ns();
    let block = prepared_block(params);
    let mut left = params.get("bytes", u64::MAX);
    let mut idle_after = params.get("idle_after", u64::MAX);
    sleep_ms(params.get("wait_ms", 0));
    while left > 0 {
        if idle_after == 0 {
            idle_after = u64::MAX;
            sleep_until(start + params.get("idle_until_ms", 0) * 1_000_000);
        }
        let n = left.min(block.len() as u64).min(idle_after);
        write_all(&block[..usize::try_from(n).unwrap_or(block.len())])?;
        left -= n;
        idle_after -= n;
    }
    report_time(start);
    if params.get("hold", 0) > 0 {
        hold();
    }
    Ok(())
}

fn prepared_block(params: &Params) -> Vec<u8> {
    let size = params.size("block", BLOCK);
    let line = params.size("line", usize::MAX);
    let whole = if line < size {
        size - size % line
    } else {
        size
    };
    (1..=whole)
        .map(|at| if at % line == 0 { b'\n' } else { b'x' })
        .collect()
}

/// `__sink block= mark=`
///
/// Reads and discards. Prints a line when `mark` bytes have come, and at the end the number of
/// bytes that came in all.
pub(super) fn discard(params: &Params) -> io::Result<()> {
    let mut buffer = vec![0; params.size("block", BLOCK)];
    let mark = params.get("mark", u64::MAX);
    let mut total = 0;
    loop {
        let n = read_some(&mut buffer)? as u64;
        if n == 0 {
            break;
        }
        if total < mark && total + n >= mark {
            write_all(b"mark\n")?;
        }
        total += n;
    }
    write_all(format!("{total}\n").as_bytes())
}

/// `__meter for_ms= stop_at_ms= stop_for_ms= block=`
///
/// Reads for `for_ms` (to the end by default) and then prints one line per read:
/// `nanoseconds bytes held`. `held` is 1 for what lay in the pipe already when a stop that was
/// asked for ended: the kernel kept it, nobody sent it in that instant.
pub(super) fn meter(params: &Params) -> io::Result<()> {
    let start = now_ns();
    let end = start.saturating_add(params.get("for_ms", u64::MAX / 2_000_000) * 1_000_000);
    let mut stop_at =
        start.saturating_add(params.get("stop_at_ms", u64::MAX / 2_000_000) * 1_000_000);
    let mut buffer = vec![0; params.size("block", BLOCK)];
    let mut held = 0;
    let mut log = String::new();
    loop {
        if now_ns() >= stop_at {
            stop_at = u64::MAX;
            sleep_ms(params.get("stop_for_ms", 0));
            held = rustix::io::ioctl_fionread(rustix::stdio::stdin())?;
        }
        let n = read_some(&mut buffer)? as u64;
        let now = now_ns();
        let old = n.min(held);
        held -= old;
        for (bytes, flag) in [(old, 1), (n - old, 0)] {
            if bytes > 0 {
                let _ = writeln!(log, "{now} {bytes} {flag}");
            }
        }
        if n == 0 || now >= end {
            return write_all(log.as_bytes());
        }
    }
}
