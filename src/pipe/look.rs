//! Those who look into the stream: each has a thread, which tells it over a socket what passes, and which is
//! the only one that waits for it.
//!
//! What is claimed is written to its end before it counts, so that what is said before it, how long it is and
//! what was missed, is true. A looker that has gone is noticed at once, also where nothing passes.
//!
//! Invariant: what is sent is whole records, but for a last one that has no end. A claim may end inside of one, for of many
//! pieces only some are written at a time, and of what lies on a disk only some is here: what of that is whole goes, and the
//! beginning of a record that is longer waits here for its rest. It is missed where the weir ends before that has come.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread;

use crossbeam_channel::Sender;
use rustix::io::Errno;

use super::fd::Port;
use super::shared::Shared;
use super::waker::Waker;
use crate::engine::action::{Actor, Wait, Write};
use crate::engine::drive::{Driver, Edge, End};
use crate::engine::on_disk::Load;
use crate::engine::status::Count;

/// How far a looker may be behind, in bytes.
const SHARE: u64 = 16 << 20;
/// A thread that only writes needs little.
const STACK: usize = 128 * 1024;
/// Bytes up to which what is said before a piece is sent with it in one call.
const JOINED: usize = 64 * 1024;

/// What is said before a piece of so many bytes, when so much was missed so far.
pub(crate) type Preface = fn(usize, Count) -> Vec<u8>;

/// Shows whoever is at the other end of this socket what passes, until it goes or the stream ends; that is told
/// to `over`.
///
/// # Errors
/// When the system has no descriptor or thread left.
pub(crate) fn start(
    shared: &Arc<Shared>,
    socket: OwnedFd,
    preface: Preface,
    over: Sender<()>,
) -> io::Result<()> {
    let waker = Arc::new(Waker::beside_stream()?);
    let port = Port::of_socket(socket).map_err(io::Error::other)?;
    let i = shared.update_and_wake(|engine, now| engine.add_looker(SHARE, now));
    shared.add_waker(i, waker.clone());
    let looker = Looker {
        shared: shared.clone(),
        waker: waker.clone(),
        port,
        preface,
        i,
        begun: Vec::new(),
    };
    let thread = thread::Builder::new().name("look".into()).stack_size(STACK);
    let started = thread.spawn(move || {
        looker.run();
        let _ = over.send(());
    });
    if started.is_err() {
        shared.update_and_wake(|engine, now| engine.remove_looker(i, now));
        shared.remove_waker(&waker);
    }
    started.map(drop)
}

/// One of them; the world as its driver sees it.
struct Looker {
    shared: Arc<Shared>,
    waker: Arc<Waker>,
    port: Port,
    preface: Preface,
    i: usize,
    /// The beginning of a record, whose rest is to come before it is sent.
    begun: Vec<u8>,
}

impl Looker {
    fn run(mut self) {
        let shared = self.shared.clone();
        // The first word says that it is shown what comes.
        let first = self.preface(0);
        let _ = self.send(&first);
        let end = Driver::new(Actor::Output(self.i)).run(&shared, &mut self);
        if !matches!(end, End::Write(_)) {
            let has_all = shared.update_and_wake(|engine, _| engine.has_side_all(self.i));
            let begun = std::mem::take(&mut self.begun);
            if has_all && !begun.is_empty() {
                // The last record has no end.
                let _ = self.send_piece(begun.len(), &[&begun]);
            }
            // The last word: nothing more comes. Whoever does not hear it has gone.
            let mut missed = self.missed();
            missed.bytes += if has_all { 0 } else { begun.len() as u64 };
            let _ = self.send(&(self.preface)(0, missed));
        }
        shared.update_and_wake(|engine, now| engine.remove_looker(self.i, now));
        shared.remove_waker(&self.waker);
    }

    fn missed(&self) -> Count {
        self.shared
            .update_and_wake(|engine, _| engine.missed(self.i))
    }

    fn preface(&self, length: usize) -> Vec<u8> {
        (self.preface)(length, self.missed())
    }

    /// Sends so many bytes in one piece.
    fn send_piece(&self, length: usize, slices: &[&[u8]]) -> io::Result<()> {
        let mut first = self.preface(length);
        let mut rest = slices.iter().peekable();
        while let Some(bytes) = rest.next_if(|bytes| first.len() + bytes.len() <= JOINED) {
            first.extend_from_slice(bytes);
        }
        self.send(&first)?;
        rest.try_for_each(|bytes| self.send(bytes))
    }

    /// Sends all of it, however long that takes.
    fn send(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match rustix::io::write(self.port.as_fd(), bytes) {
                Ok(n) => bytes = &bytes[n..],
                Err(Errno::AGAIN) => drop(self.port.wait_writable(None)?),
                Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }
}

impl Edge for Looker {
    fn write(&mut self, write: &Write) -> io::Result<Option<usize>> {
        if write.permit.cursor.framing().is_none() {
            let slices: Vec<_> = write.slices().collect();
            let length = slices.iter().map(|bytes| bytes.len()).sum();
            self.send_piece(length, &slices)?;
            return Ok(Some(length));
        }
        let whole = write.whole_within(usize::MAX);
        let length = whole.iter().map(|bytes| bytes.len()).sum();
        if write.run(length).cursor.is_inside() {
            whole.iter().for_each(|b| self.begun.extend_from_slice(b));
            return Ok(Some(length));
        }
        let begun = std::mem::take(&mut self.begun);
        let slices: Vec<_> = std::iter::once(&begun[..]).chain(whole).collect();
        self.send_piece(begun.len() + length, &slices)?;
        Ok(Some(length))
    }

    fn fetch(&mut self, load: &mut Load) -> io::Result<()> {
        self.shared.fetch(self.i, load)
    }

    fn wait(&mut self, Wait { version, .. }: Wait) -> Option<io::Result<bool>> {
        Some(match self.waker.wait_hang_up(version, &self.port) {
            Ok(true) => Err(io::ErrorKind::BrokenPipe.into()),
            other => other.map_err(Into::into),
        })
    }
}
