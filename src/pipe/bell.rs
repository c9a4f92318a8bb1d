//! What a sleeper that waits for a stream is called by: something that can be polled for as well.
//!
//! Invariant: it is rung at most once before it is hushed, so that neither ever waits.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// See the module's text.
#[derive(Debug)]
pub(super) struct Bell(inner::Bell);

impl Bell {
    /// One that is silent.
    ///
    /// # Errors
    /// When the system has no descriptors left.
    pub(super) fn new() -> io::Result<Bell> {
        inner::Bell::new().map(Bell)
    }

    /// It can be read from now on.
    pub(super) fn ring(&self) {
        self.0.ring();
    }

    /// It was rung, and cannot be read any more.
    pub(super) fn hush(&self) {
        self.0.hush();
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// One descriptor.
#[cfg(target_os = "linux")]
mod inner {
    use std::io;
    use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

    use rustix::event::{EventfdFlags, eventfd};

    #[derive(Debug)]
    pub(super) struct Bell(OwnedFd);

    impl Bell {
        pub(super) fn new() -> io::Result<Bell> {
            Ok(Bell(eventfd(0, EventfdFlags::CLOEXEC)?))
        }

        pub(super) fn ring(&self) {
            let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
        }

        pub(super) fn hush(&self) {
            let _ = rustix::io::read(&self.0, &mut [0; 8]);
        }
    }

    impl AsFd for Bell {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }
    }
}

/// A pipe.
#[cfg(not(target_os = "linux"))]
mod inner {
    use std::io::{self, PipeReader, PipeWriter, Read, Write};
    use std::os::fd::{AsFd, BorrowedFd};

    #[derive(Debug)]
    pub(super) struct Bell(PipeReader, PipeWriter);

    impl Bell {
        pub(super) fn new() -> io::Result<Bell> {
            let (reader, writer) = io::pipe()?;
            Ok(Bell(reader, writer))
        }

        pub(super) fn ring(&self) {
            let _ = { &self.1 }.write_all(b"!");
        }

        pub(super) fn hush(&self) {
            let _ = { &self.0 }.read(&mut [0]);
        }
    }

    impl AsFd for Bell {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }
    }
}
