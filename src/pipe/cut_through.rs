//! The zero-copy path: `splice(2)` between pipes or a pipe and a regular file,
//! `copy_file_range(2)` between regular files.
//!
//! It is never tried with a terminal, a socket or a device on either side: there splice holds the
//! pipe's lock while it waits, and the neighbour hangs. Every refusal by the system leaves the
//! input untouched and only says that the copied path has to be taken; so do errors, which that
//! path will meet again and can put a name to.
//!
//! Where records are counted or capped the bytes must be looked at, though not on their way: the
//! [`Lookout`] duplicates what lies in the pipe, and reads the duplicate.

use super::fd::Port;
use super::lookout::Lookout;
use crate::core::drive::Passage;
use crate::core::{Leave, Run};

#[cfg(target_os = "linux")]
pub use linux::{pass, suits};

#[cfg(not(target_os = "linux"))]
pub use elsewhere::{pass, suits};

#[cfg(target_os = "linux")]
mod linux {
    use super::{Leave, Lookout, Passage, Port, Run};
    use crate::pipe::fd::again;
    use rustix::fs::copy_file_range;
    use rustix::pipe::{SpliceFlags, splice};

    /// Bytes asked of one call: more than any pipe holds, little enough for the counters to move
    /// while a file is copied.
    const STEP: usize = 1 << 20;

    /// Whether bytes can be passed from `input` to `output` at all; `seen`: with a look at them.
    #[must_use]
    pub fn suits(input: &Port, output: &Port, seen: bool) -> bool {
        (input.is_pipe() || input.is_file() && !seen) && (output.is_pipe() || output.is_file())
    }

    /// Passes on what is there, fits and has leave, without waiting for a pipe.
    pub fn pass(
        input: &Port,
        output: &Port,
        leave: Leave,
        lookout: Option<&mut Lookout>,
    ) -> Passage {
        let Some(lookout) = lookout else {
            return match splice_or_copy(input, output, leave.grant.bytes) {
                // Some files of the system claim to be empty here and are not.
                Ok(Some(0)) if input.is_file() => Passage::Refused,
                Ok(Some(0)) => Passage::End,
                Ok(Some(bytes)) => Passage::Passed(Run {
                    bytes,
                    ..Run::at(leave.cursor)
                }),
                Ok(None) => Passage::Stuck,
                Err(_) => Passage::Refused,
            };
        };
        match lookout.look(input) {
            Ok(Some(0)) => return Passage::End,
            Ok(Some(_)) => {}
            Ok(None) => return Passage::Stuck,
            Err(_) => return Passage::Refused,
        }
        match splice_or_copy(input, output, lookout.reach(leave)) {
            Ok(Some(n @ 1..)) => Passage::Passed(lookout.go_by(leave.cursor, n)),
            // What was there is gone: somebody else reads as well.
            Ok(Some(_)) => {
                lookout.forget();
                Passage::Stuck
            }
            Ok(None) => Passage::Stuck,
            Err(_) => Passage::Refused,
        }
    }

    fn splice_or_copy(
        input: &Port,
        output: &Port,
        most: usize,
    ) -> rustix::io::Result<Option<usize>> {
        let most = most.min(STEP);
        again(|| {
            if input.is_pipe() || output.is_pipe() {
                let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
                splice(input, None, output, None, most, flags)
            } else {
                copy_file_range(input, None, output, None, most)
            }
        })
    }
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use super::{Leave, Lookout, Passage, Port};

    /// There is no zero-copy path here.
    #[must_use]
    pub fn suits(_input: &Port, _output: &Port, _seen: bool) -> bool {
        false
    }

    /// There is no zero-copy path here.
    pub fn pass(_: &Port, _: &Port, _: Leave, _: Option<&mut Lookout>) -> Passage {
        Passage::Refused
    }
}
