//! The zero-copy path: `splice(2)` between pipes or a pipe and a regular file,
//! `copy_file_range(2)` between regular files.
//!
//! It is never tried with a terminal, a socket or a device on either side: there splice holds the
//! pipe's lock while it waits, and the neighbour hangs. Every refusal by the system leaves the
//! input untouched and only says that the copied path has to be taken; so do errors, which that
//! path will meet again and can put a name to.

use super::fd::Port;

/// What came of one attempt to pass bytes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// That many bytes have passed.
    Passed(usize),
    /// The input is at its end.
    End,
    /// Nothing could be moved: the input is empty or the output is full.
    Stuck,
    /// Not to be had between these two.
    Refused,
}

#[cfg(target_os = "linux")]
pub use linux::{pass, suits};

#[cfg(not(target_os = "linux"))]
pub use elsewhere::{pass, suits};

#[cfg(target_os = "linux")]
mod linux {
    use super::{Passage, Port};
    use crate::pipe::fd::again;
    use rustix::fs::copy_file_range;
    use rustix::pipe::{SpliceFlags, splice};

    /// Bytes asked of one call: more than any pipe holds, little enough for the counters to move
    /// while a file is copied.
    const STEP: usize = 1 << 20;

    /// Whether bytes can be passed from `input` to `output` at all.
    #[must_use]
    pub fn suits(input: &Port, output: &Port) -> bool {
        let plain = |port: &Port| port.is_pipe() || port.is_file();
        plain(input) && plain(output)
    }

    /// Passes on what is there and fits, `most` bytes of it, without waiting for a pipe.
    pub fn pass(input: &Port, output: &Port, most: usize) -> Passage {
        let most = most.min(STEP);
        let moved = again(|| {
            if input.is_pipe() || output.is_pipe() {
                let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
                splice(input, None, output, None, most, flags)
            } else {
                copy_file_range(input, None, output, None, most)
            }
        });
        match moved {
            // Some files of the system claim to be empty here and are not.
            Ok(Some(0)) if input.is_file() => Passage::Refused,
            Ok(Some(0)) => Passage::End,
            Ok(Some(n)) => Passage::Passed(n),
            Ok(None) => Passage::Stuck,
            Err(_) => Passage::Refused,
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use super::{Passage, Port};

    /// There is no zero-copy path here.
    #[must_use]
    pub fn suits(_input: &Port, _output: &Port) -> bool {
        false
    }

    /// There is no zero-copy path here.
    pub fn pass(_input: &Port, _output: &Port, _most: usize) -> Passage {
        Passage::Refused
    }
}
