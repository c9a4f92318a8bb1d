//! The end of the output for the consumer, before the end of the run: where tees are still owed something, or taps are
//! waited for, and it is to see its end when it has all, as anybody does who reads from tee(1).
//!
//! Who waits for the consumer to go away keeps its pipe open by that (a poll(2) holds what it waits for), so he is sent
//! home first.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam_channel::Sender;

use super::fd::Port;
use super::notifier::Notifier;
use super::shared::Event;

/// Who waits for the consumer to go away, and how to send him home.
#[derive(Debug)]
pub(crate) struct Parting {
    notifier: Arc<Notifier>,
    thread: JoinHandle<()>,
}

/// Says when the consumer has gone away, however silent the producer and whatever the other threads are waiting for. Where
/// that `may_part`, there is a way to have it see the end before that of the run, but for a terminal, which has none.
///
/// # Errors
/// When the system refuses a thread, or a descriptor.
pub(super) fn watch(
    output: Port,
    events: Sender<Event>,
    may_part: bool,
) -> io::Result<Option<Parting>> {
    let may_part = may_part && !output.is_terminal();
    let notifier = may_part.then(Notifier::new).transpose()?.map(Arc::new);
    let notified = notifier.clone();
    let watch = move || {
        let gone = match &notified {
            Some(notifier) => output.wait_hang_up_or(&**notifier),
            None => output.wait_hang_up().map(|()| true),
        };
        if gone == Ok(true) {
            let _ = events.send(Event::ConsumerLeft);
        }
    };
    let thread = thread::Builder::new().name("watcher".into()).spawn(watch)?;
    Ok(notifier.map(|notifier| Parting { notifier, thread }))
}

impl Parting {
    /// Nothing is written to standard output any more: who reads it sees its end.
    pub(crate) fn part(self) {
        self.notifier.notify();
        let _ = self.thread.join();
        // Something has to be in its place, or the next that is opened would be. It is a pipe to nobody, by which nobody
        // can be taken for the consumer.
        if let Ok((_, nobody)) = io::pipe() {
            let _ = rustix::stdio::dup2_stdout(nobody);
        }
    }
}
