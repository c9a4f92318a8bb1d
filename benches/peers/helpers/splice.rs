//! The limit of the zero-copy path: `splice` in a loop between 1 MiB pipes.

use std::io;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, fcntl_setpipe_size, splice};
use rustix::stdio::{stdin, stdout};
use rustix::time::Timespec;

use super::Params;

const PIECE: usize = 1 << 20;

/// `__splice probe=`
///
/// With `probe` it never blocks inside `splice`, and says at the end, on standard error, how
/// often it moved data, how often the input was empty, and how often the output was full.
pub fn run(params: &Params) -> io::Result<()> {
    // Refusal is no error: the loop then runs with the pipes as they are.
    let _ = fcntl_setpipe_size(stdin(), PIECE);
    let _ = fcntl_setpipe_size(stdout(), PIECE);
    if params.get("probe", 0) > 0 {
        return probe();
    }
    loop {
        match splice(stdin(), None, stdout(), None, PIECE, SpliceFlags::MOVE) {
            Ok(0) => return Ok(()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
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
