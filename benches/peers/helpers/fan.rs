//! The limit of passing bytes to three pipes: `tee` to two of them, and `splice` to the third, in a loop.

use std::fs::File;
use std::io;

use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, fcntl_setpipe_size, splice, tee};
use rustix::stdio::{stdin, stdout};

use super::Params;

/// As large as the pipes that weir asks for.
const PIPE: usize = 256 * 1024;

/// `__fan one= two=`: copies standard input to both paths, too. Where one of them takes less than the first it does
/// without the rest: this is a limit, not a tool.
pub(super) fn run(params: &Params) -> io::Result<()> {
    let open = |key| File::options().write(true).open(params.text(key));
    let sides = [open("one")?, open("two")?];
    let _ = fcntl_setpipe_size(stdin(), PIPE);
    let _ = fcntl_setpipe_size(stdout(), PIPE);
    for side in &sides {
        // Refusal is no error: the loop then runs with the pipes as they are.
        let _ = fcntl_setpipe_size(side, PIPE);
    }
    loop {
        let mut n = PIPE;
        for side in &sides {
            n = match tee(stdin(), side, n, SpliceFlags::empty()) {
                Ok(0) => return Ok(()),
                Ok(n) => n,
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
        }
        while n > 0 {
            match splice(stdin(), None, stdout(), None, n, SpliceFlags::MOVE) {
                Ok(m) => n -= m,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
