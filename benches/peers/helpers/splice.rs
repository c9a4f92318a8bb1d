//! The limit of the zero-copy path: `splice` in a loop between large pipes.

use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, fcntl_setpipe_size, splice};
use rustix::stdio::{stdin, stdout};
use rustix::time::Timespec;

use super::Params;

const PIECE: usize = 1 << 20;

/// `__splice probe= per_ms=`
///
/// With `per_ms` it passes so many bytes, sleeps until the next millisecond, and so on: the limit
/// of a cap. weir asks for pipes of 256 KiB, so this does, too.
///
/// With `probe` it never blocks inside `splice`, and says at the end, on standard error, how
/// often it moved data, how often the input was empty, and how often the output was full.
pub(super) fn run(params: &Params) -> io::Result<()> {
    let per_ms = params.get("per_ms", 0);
    let pipe = if per_ms > 0 { PIECE / 4 } else { PIECE };
    // Refusal is no error: the loop then runs with the pipes as they are.
    let _ = fcntl_setpipe_size(stdin(), pipe);
    let _ = fcntl_setpipe_size(stdout(), pipe);
    if params.get("probe", 0) > 0 {
        return probe();
    }
    if per_ms > 0 {
        return capped(usize::try_from(per_ms).unwrap_or(usize::MAX));
    }
    loop {
        match splice(stdin(), None, stdout(), None, PIECE, SpliceFlags::MOVE) {
            Ok(0) => return Ok(()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn capped(per_ms: usize) -> io::Result<()> {
    let mut due = Instant::now();
    loop {
        let mut left = per_ms;
        while left > 0 {
            match splice(stdin(), None, stdout(), None, left, SpliceFlags::MOVE) {
                Ok(0) => return Ok(()),
                Ok(n) => left -= n,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        due += Duration::from_millis(1);
        sleep(due.saturating_duration_since(Instant::now()));
    }
}

fn probe() -> io::Result<()> {
    let (mut moved, mut bytes, mut empty, mut full) = (0_u64, 0_u64, 0_u64, 0_u64);
    let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
    loop {
        match splice(stdin(), None, stdout(), None, PIECE, flags) {
            Ok(0) => break,
            Ok(n) => {
                moved += 1;
                bytes += n as u64;
            }
            Err(Errno::AGAIN) => {
                // Full is asked first: at the end of the input a full output hides it.
                if wait_output(0)? {
                    empty += 1;
                    wait_input()?;
                } else {
                    full += 1;
                    wait_output(-1)?;
                }
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    eprintln!("moved={moved} bytes={bytes} empty={empty} full={full}");
    Ok(())
}

/// Is there room in the output? Waits for it if `seconds` is negative.
fn wait_output(seconds: i64) -> io::Result<bool> {
    let output = stdout();
    let mut fds = [PollFd::new(&output, PollFlags::OUT)];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let timeout = if seconds < 0 { None } else { Some(&now) };
    Ok(poll(&mut fds, timeout)? > 0)
}

fn wait_input() -> io::Result<()> {
    let input = stdin();
    let mut fds = [PollFd::new(&input, PollFlags::IN)];
    poll(&mut fds, None)?;
    Ok(())
}
