//! Unbuffered standard streams, and time that means the same in every process.

use std::io;
use std::time::Duration;

use rustix::io::Errno;
use rustix::stdio::{stdin, stdout};
use rustix::time::{ClockId, Timespec, clock_gettime};

/// CLOCK_MONOTONIC in nanoseconds: comparable between the processes of one pipeline.
pub(crate) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

/// Sleeps until `when` on the same clock; returns at once if that has passed.
pub(super) fn sleep_until(when: u64) {
    let target = Timespec {
        tv_sec: i64::try_from(when / 1_000_000_000).unwrap_or(i64::MAX),
        tv_nsec: (when % 1_000_000_000).cast_signed(),
    };
    while rustix::thread::clock_nanosleep_absolute(ClockId::Monotonic, &target) == Err(Errno::INTR)
    {
    }
}

/// Sleeps for `ms` milliseconds.
pub(super) fn sleep_ms(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

/// Stays alive, doing nothing, until killed: keeps the pipes open and silent.
pub(super) fn hold() -> ! {
    loop {
        sleep_ms(60_000);
    }
}

/// One `read` from standard input; 0 at its end.
pub(super) fn read_some(buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match rustix::io::read(stdin(), &mut *buffer) {
            Err(Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

/// Writes all of `bytes` to standard output, with as few calls as the pipe allows.
pub(super) fn write_all(mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(stdout(), bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Tells the benchmark, on standard error, how long the work since `start` took.
pub(super) fn report_time(start: u64) {
    eprintln!("ns={}", now_ns() - start);
}
