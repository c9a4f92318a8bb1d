//! What a sleeper that waits for a stream is called by: something that can be polled for as well.
//!
//! Invariant: it is notified at most once before it is cleared, so that neither ever waits.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// See the module's text.
#[derive(Debug)]
pub(super) struct Notifier(inner::Notifier);

impl Notifier {
    /// One that is silent.
    ///
    /// # Errors
    /// When the system has no descriptors left.
    pub(super) fn new() -> io::Result<Notifier> {
        inner::Notifier::new().map(Notifier)
    }

    /// It can be read from now on.
    pub(super) fn notify(&self) {
        self.0.notify();
    }

    /// It was notified, and cannot be read any more.
    pub(super) fn clear(&self) {
        self.0.clear();
    }
}

impl AsFd for Notifier {
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
    pub(super) struct Notifier(OwnedFd);

    impl Notifier {
        pub(super) fn new() -> io::Result<Notifier> {
            Ok(Notifier(eventfd(0, EventfdFlags::CLOEXEC)?))
        }

        pub(super) fn notify(&self) {
            let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
        }

        pub(super) fn clear(&self) {
            let _ = rustix::io::read(&self.0, &mut [0; 8]);
        }
    }

    impl AsFd for Notifier {
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
    pub(super) struct Notifier(PipeReader, PipeWriter);

    impl Notifier {
        pub(super) fn new() -> io::Result<Notifier> {
            let (reader, writer) = io::pipe()?;
            Ok(Notifier(reader, writer))
        }

        pub(super) fn notify(&self) {
            let _ = { &self.1 }.write_all(b"!");
        }

        pub(super) fn clear(&self) {
            let _ = { &self.0 }.read(&mut [0]);
        }
    }

    impl AsFd for Notifier {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }
    }
}
