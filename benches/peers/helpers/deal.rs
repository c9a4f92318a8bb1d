//! The limit of dealing lines out to programs: one thread that reads, cuts at the last line, and writes to whichever of
//! them has room. It takes nothing back, has no books and keeps nothing in hand: this is a limit, not a tool.

use std::io::{self, PipeWriter};
use std::process::{Command, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, ioctl_fionbio, write};
use rustix::pipe::fcntl_setpipe_size;
use rustix::stdio::stdin;

use super::Params;
use super::raw::read_some;

/// As large as an unprivileged process may have its pipes: with smaller ones it is slower.
const PIPE: usize = 1024 * 1024;
/// What is read at a time: it stays in the processor's cache.
const BLOCK: usize = 256 * 1024;

/// `__deal jobs=`: that many `wc -l`, and to each some of the lines of standard input.
pub(super) fn run(params: &Params) -> io::Result<()> {
    // Refusal is no error: the loop then runs with the pipes as they are.
    let _ = fcntl_setpipe_size(stdin(), PIPE);
    let (mut children, mut pipes) = (Vec::new(), Vec::new());
    for _ in 0..params.size("jobs", 4) {
        let (theirs, ours) = io::pipe()?;
        let _ = fcntl_setpipe_size(&ours, PIPE);
        ioctl_fionbio(&ours, true)?;
        let mut program = Command::new("wc");
        children.push(program.arg("-l").stdin(Stdio::from(theirs)).spawn()?);
        pipes.push(ours);
    }
    let (mut block, mut held, mut turn) = (vec![0; BLOCK], 0, 0);
    loop {
        let n = read_some(&mut block[held..])?;
        held += n;
        let whole = match n {
            0 => held,
            _ => memchr::memrchr(b'\n', &block[..held]).map_or(0, |at| at + 1),
        };
        deal(&pipes, &mut turn, &block[..whole])?;
        block.copy_within(whole..held, 0);
        held -= whole;
        if n == 0 {
            break;
        }
    }
    drop(pipes);
    children.iter_mut().try_for_each(|it| it.wait().map(drop))
}

/// Writes whole lines to the next one that has room.
fn deal(pipes: &[PipeWriter], turn: &mut usize, mut lines: &[u8]) -> io::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let mut ready: Vec<_> = pipes
        .iter()
        .map(|it| PollFd::new(it, PollFlags::OUT))
        .collect();
    poll(&mut ready, None)?;
    let has_room = |n: &usize| !ready[n % pipes.len()].revents().is_empty();
    let next = (*turn..*turn + pipes.len()).find(has_room);
    let next = next.unwrap_or(*turn) % pipes.len();
    *turn = next + 1;
    while !lines.is_empty() {
        match write(&pipes[next], lines) {
            Ok(n) => lines = &lines[n..],
            Err(Errno::AGAIN) => {
                poll(&mut [PollFd::new(&pipes[next], PollFlags::OUT)], None)?;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
