//! The limit of counting lines on their way, and of keeping what has passed: duplicate what lies in the pipe, pass it
//! on, read the duplicate. The bytes are copied once, and not again.

use std::io::{self, PipeReader, Read};

use memchr::memchr_iter;
use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, fcntl_setpipe_size, splice, tee};
use rustix::stdio::{stdin, stdout};

use super::Params;

/// As large as the pipes that weir asks for.
const PIPE: usize = 256 * 1024;
/// Bytes looked at at once; they should stay in the cache until they have been counted.
const VIEW: usize = 64 * 1024;

/// `__tee keep=`: says on standard error how many lines went by; or keeps the newest `keep` bytes, and counts nothing.
pub(super) fn run(params: &Params) -> io::Result<()> {
    let (mut duplicate, to) = io::pipe()?;
    for pipe in [stdin(), stdout()] {
        // Refusal is no error: the loop then runs with the pipes as they are.
        let _ = fcntl_setpipe_size(pipe, PIPE);
    }
    let _ = fcntl_setpipe_size(&to, PIPE);
    let mut kept = Kept::new(params);
    let mut view = vec![0; VIEW];
    let mut lines = 0;
    loop {
        let mut ahead = match tee(stdin(), &to, PIPE, SpliceFlags::empty()) {
            Ok(0) => break,
            Ok(n) => n,
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        while ahead > 0 {
            let n = match splice(stdin(), None, stdout(), None, ahead, SpliceFlags::MOVE) {
                Ok(n) => n,
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            match &mut kept {
                Some(kept) => kept.take(&mut duplicate, n)?,
                None => lines += count(&mut duplicate, &mut view, n)?,
            }
            ahead -= n;
        }
    }
    eprintln!("lines={lines}");
    Ok(())
}

/// The newest bytes, in a ring.
struct Kept {
    ring: Vec<u8>,
    at: usize,
}

impl Kept {
    fn new(params: &Params) -> Option<Self> {
        let keep = usize::try_from(params.get("keep", 0)).ok()?;
        let ring = vec![0; keep];
        (keep > 0).then_some(Self { ring, at: 0 })
    }

    /// Writes the next `n` bytes over the oldest ones.
    fn take(&mut self, from: &mut PipeReader, n: usize) -> io::Result<()> {
        let mut left = n;
        while left > 0 {
            let most = left.min(self.ring.len() - self.at);
            let bytes = from.read(&mut self.ring[self.at..self.at + most])?;
            self.at = (self.at + bytes) % self.ring.len();
            left -= bytes;
        }
        Ok(())
    }
}

/// Lines in the next `n` bytes.
fn count(from: &mut PipeReader, view: &mut [u8], n: usize) -> io::Result<usize> {
    let (mut left, mut lines) = (n, 0);
    while left > 0 {
        let most = left.min(view.len());
        let bytes = from.read(&mut view[..most])?;
        lines += memchr_iter(b'\n', &view[..bytes]).count();
        left -= bytes;
    }
    Ok(lines)
}
