//! The way to the consumer, as the threads share it: standard output, which is there for the whole of a run, or a
//! pipe to a program, which can be taken away from everybody, and another one put in its place.
//!
//! Invariant: what was taken away is closed as soon as no call with it is under way. So who waits for something
//! else than room in it holds nothing of it.

use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Release};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::fd::Port;

/// The way to the consumer. A clone is the same one.
#[derive(Debug, Clone)]
pub(crate) struct ConsumerPort(Arc<Place>);

#[derive(Debug)]
struct Place {
    port: Mutex<Option<Port>>,
    /// How often it was changed.
    version: AtomicU64,
    is_lasting: bool,
}

impl ConsumerPort {
    /// One that stays as it is.
    #[must_use]
    pub(crate) fn lasting(port: Port) -> ConsumerPort {
        ConsumerPort::new(Some(port), true)
    }

    /// One that can be taken away.
    #[must_use]
    pub(crate) fn of_command(port: Port) -> ConsumerPort {
        ConsumerPort::new(Some(port), false)
    }

    /// None, for good: who consumes gets it in other ways.
    #[must_use]
    pub(crate) fn absent() -> ConsumerPort {
        ConsumerPort::new(None, false)
    }

    fn new(port: Option<Port>, is_lasting: bool) -> ConsumerPort {
        ConsumerPort(Arc::new(Place {
            port: Mutex::new(port),
            version: AtomicU64::new(0),
            is_lasting,
        }))
    }

    fn place(&self) -> MutexGuard<'_, Option<Port>> {
        self.0.port.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it is now, if anything.
    #[must_use]
    pub(crate) fn port(&self) -> Option<Port> {
        self.place().clone()
    }

    /// What is to be watched, for it can go away by itself and nobody else would tell. How a program ends its
    /// parent is told.
    #[must_use]
    pub(super) fn watched(&self) -> Option<Port> {
        let port = self.place();
        let port = port.as_ref().filter(|port| port.tells_hang_up());
        port.filter(|_| self.0.is_lasting).cloned()
    }

    /// Puts another one in its place.
    pub(crate) fn replace(&self, port: Port) {
        *self.place() = Some(port);
        self.0.version.fetch_add(1, Release);
    }

    /// Takes it away from everybody.
    pub(crate) fn close(&self) {
        *self.place() = None;
        self.0.version.fetch_add(1, Release);
    }

    /// One thread's hold of it.
    #[must_use]
    pub(super) fn grip(&self) -> Grip {
        Grip {
            consumer_port: self.clone(),
            version: self.0.version.load(Acquire),
            port: None,
        }
    }
}

/// A thread's hold of it: looked up anew only where it has changed, or was let go of.
#[derive(Debug)]
pub(super) struct Grip {
    consumer_port: ConsumerPort,
    version: u64,
    port: Option<Port>,
}

impl Grip {
    /// What it is now, if anything.
    pub(super) fn port(&mut self) -> Option<&mut Port> {
        let version = self.consumer_port.0.version.load(Acquire);
        if self.port.is_none() || self.version != version {
            self.port = self.consumer_port.port();
            self.version = version;
        }
        self.port.as_mut()
    }

    /// Lets go of it until it is needed again.
    pub(super) fn let_go(&mut self) {
        if !self.consumer_port.0.is_lasting {
            self.port = None;
        }
    }

    /// Lets go of it for good, whatever it is.
    pub(super) fn give_up(&mut self) {
        self.port = None;
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, pipe};

    use super::*;

    #[test]
    fn what_is_taken_away_ends_for_its_reader_once_every_grip_has_let_go_or_looked() {
        let (mut reader, writer) = pipe().expect("a pipe");
        let consumer_port = ConsumerPort::of_command(Port::of(writer.into()));
        let (mut waits, mut writes) = (consumer_port.grip(), consumer_port.grip());
        assert!(waits.port().is_some());
        let port = writes.port().expect("a pipe");
        assert_eq!(port.write_now(&[b"last"]), Ok(Some(4)));
        waits.let_go();
        consumer_port.close();
        assert!(writes.port().is_none() && waits.port().is_none());
        let mut all = String::new();
        reader.read_to_string(&mut all).expect("an end");
        assert_eq!(all, "last");
    }

    #[test]
    fn what_lasts_is_never_let_go_of() {
        let (_reader, writer) = pipe().expect("a pipe");
        let consumer_port = ConsumerPort::lasting(Port::of(writer.into()));
        let mut grip = consumer_port.grip();
        assert!(grip.port().is_some());
        grip.let_go();
        assert!(grip.port.is_some());
    }
}
