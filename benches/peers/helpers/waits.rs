//! How long a producer waits for room in its pipe.
//!
//! The clock runs only while the pipe is full: a write that the scheduler cuts short, as it does on a machine with few
//! processors, is nobody's fault but its own.

use std::io;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::stdio::stdout;

use super::Params;
use super::raw::{now_ns, write_all};

/// The waits of one producer.
pub(super) struct Waits {
    is_on: bool,
    /// One for each write, in nanoseconds.
    all: Vec<u64>,
}

impl Waits {
    /// With `waits=1`; else it writes as everybody does.
    pub(super) fn new(params: &Params) -> io::Result<Self> {
        let is_on = params.get("waits", 0) > 0;
        if is_on {
            // Nobody else has this end of the pipe.
            fcntl_setfl(stdout(), fcntl_getfl(stdout())? | OFlags::NONBLOCK)?;
        }
        Ok(Self {
            is_on,
            all: Vec::new(),
        })
    }

    /// Writes all of it to standard output.
    pub(super) fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        if !self.is_on {
            return write_all(bytes);
        }
        let mut waited = 0;
        while !bytes.is_empty() {
            match rustix::io::write(stdout(), bytes) {
                Ok(n) => bytes = &bytes[n..],
                Err(Errno::AGAIN) => {
                    let since = now_ns();
                    wait_for_room()?;
                    waited += now_ns() - since;
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.all.push(waited);
        Ok(())
    }
}

/// Tells the benchmark, in microseconds: the longest, and the one that 999 of 1,000 do not exceed.
impl Drop for Waits {
    fn drop(&mut self) {
        self.all.sort_unstable();
        let Some(&longest) = self.all.last() else {
            return;
        };
        let rank = (self.all.len() * 999).div_ceil(1000) - 1;
        let most = self.all[rank];
        eprintln!("longest_us={} most_us={}", longest / 1000, most / 1000);
    }
}

fn wait_for_room() -> io::Result<()> {
    let output = stdout();
    match poll(&mut [PollFd::new(&output, PollFlags::OUT)], None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
