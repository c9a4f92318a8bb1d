//! A thread that does what may block, so that nobody else has to.
//!
//! Invariants: [`Writer::offer`] never waits, [`Writer::close`] waits no longer than it was
//! given. A thread that is stuck is left behind: the end of the process ends it. No thread is made
//! before there is something for it to do. Where the system refuses one, it is asked again with each
//! message, and what matters is done without it: who has no threads left can only say why by waiting.
//! When the last is done the work is dropped, and with it what it has open.

use std::thread;

use crossbeam_channel::{Receiver, RecvTimeoutError, SendTimeoutError, Sender, bounded};

use super::timeout::Timeout;

/// Messages waiting for a thread that is behind. More are dropped.
const DEPTH: usize = 16;

/// What the thread does with a message.
type Work<M> = Box<dyn FnMut(M) + Send>;

/// The way to a thread of its own.
pub(crate) struct Writer<M> {
    name: &'static str,
    /// Until a thread has it.
    work: Option<Work<M>>,
    queue: Option<Sender<M>>,
    ended: Receiver<()>,
    end: Option<Sender<()>>,
    /// How a thread is asked for.
    thread: fn() -> thread::Builder,
}

impl<M: Send + 'static> Writer<M> {
    /// A way to a thread of this name.
    pub(crate) fn new(name: &'static str, work: impl FnMut(M) + Send + 'static) -> Writer<M> {
        let (end, ended) = bounded(0);
        Writer {
            name,
            work: Some(Box::new(work)),
            queue: None,
            ended,
            end: Some(end),
            thread: thread::Builder::new,
        }
    }

    /// Hands a message over if the thread is not too far behind.
    pub(crate) fn offer(&mut self, message: M) {
        self.start();
        if let Some(queue) = &self.queue {
            let _ = queue.try_send(message);
        }
    }

    /// The same of one that matters: without a thread it is dealt with here, however long that takes.
    pub(crate) fn tell(&mut self, message: M) {
        self.start();
        match (&self.queue, &mut self.work) {
            (Some(queue), _) => {
                let _ = queue.try_send(message);
            }
            (None, Some(work)) => work(message),
            (None, None) => {}
        }
    }

    /// Hands a message over if nothing waits before it: for what is worth nothing when it is old.
    pub(crate) fn offer_fresh(&mut self, message: M) {
        if self.queue.as_ref().is_none_or(Sender::is_empty) {
            self.offer(message);
        }
    }

    /// Hands over a message that matters, waiting for room with this timeout. Without a thread it
    /// is dealt with here, however long that takes.
    pub(crate) fn insist(&mut self, message: M, timeout: &mut Timeout) {
        self.start();
        if let Some(queue) = &self.queue {
            let mut message = Some(message);
            timeout.wait(|time| match queue.send_timeout(message.take()?, time) {
                Err(SendTimeoutError::Timeout(back)) => {
                    message = Some(back);
                    None
                }
                _ => Some(()),
            });
        } else if let Some(work) = &mut self.work {
            work(message);
        }
    }

    /// No more will come; waits until everything is done, or the time is over.
    pub(crate) fn close(&mut self, timeout: &mut Timeout) {
        self.queue = None;
        if self.work.take().is_none() {
            timeout.wait(|time| match self.ended.recv_timeout(time) {
                Err(RecvTimeoutError::Timeout) => None,
                _ => Some(()),
            });
        }
    }

    fn start(&mut self) {
        if self.work.is_none() {
            return;
        }
        let (queue, messages) = bounded(DEPTH);
        // By a way of its own: with the thread that is refused goes all that it was to have.
        let (give, take) = bounded::<(Work<M>, Option<Sender<()>>)>(1);
        let thread = (self.thread)().name(self.name.into());
        let started = thread.spawn(move || {
            if let Ok((mut work, end)) = take.recv() {
                messages.iter().for_each(&mut work);
                drop(work);
                drop(end);
            }
        });
        if started.is_ok()
            && let Some(work) = self.work.take()
        {
            let _ = give.send((work, self.end.take()));
            self.queue = Some(queue);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn long() -> Timeout {
        Timeout::of(Duration::from_secs(60))
    }

    #[test]
    fn everything_is_done_in_order_before_it_closes() {
        let (said, heard) = crossbeam_channel::unbounded();
        let mut writer = Writer::new("test", move |n| said.send(n).unwrap_or_default());
        for n in 0..100 {
            writer.insist(n, &mut long());
        }
        writer.close(&mut long());
        assert_eq!(
            heard.try_iter().collect::<Vec<i32>>(),
            (0..100).collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_stuck_thread_holds_nobody_up() {
        let (_never, release) = bounded::<()>(0);
        let mut writer = Writer::new("test", move |_: usize| {
            let _ = release.recv();
        });
        // More than fit: the rest is dropped.
        for n in 0..DEPTH * 4 {
            writer.offer(n);
        }
        let begin = Instant::now();
        let mut timeout = Timeout::of(Duration::from_millis(100));
        writer.insist(0, &mut timeout);
        writer.close(&mut timeout);
        assert!(begin.elapsed() >= Duration::from_millis(100));
    }

    /// A way to a thread that the system refuses, until it says otherwise.
    fn refused<M: Send + 'static>(work: impl FnMut(M) + Send + 'static) -> Writer<M> {
        Writer {
            // None has room for such a stack.
            thread: || thread::Builder::new().stack_size(usize::MAX / 2),
            ..Writer::new("test", work)
        }
    }

    #[test]
    fn without_a_thread_what_matters_is_done_all_the_same() {
        let (said, heard) = crossbeam_channel::unbounded();
        let mut writer = refused(move |n| said.send(n).unwrap_or_default());
        writer.offer(1);
        writer.tell(2);
        assert_eq!(heard.try_recv(), Ok(2));
        writer.insist(3, &mut long());
        writer.close(&mut long());
        assert_eq!(heard.try_iter().collect::<Vec<i32>>(), [3]);
    }

    #[test]
    fn a_thread_that_was_refused_is_asked_for_again() {
        let (said, heard) = crossbeam_channel::unbounded();
        let here = thread::current().id();
        let mut writer = refused(move |n: i32| {
            let is_here = thread::current().id() == here;
            said.send((n, is_here)).unwrap_or_default();
        });
        writer.tell(1);
        writer.thread = thread::Builder::new;
        writer.offer(2);
        writer.tell(3);
        writer.close(&mut long());
        let all: Vec<(i32, bool)> = heard.try_iter().collect();
        assert_eq!(all, [(1, true), (2, false), (3, false)]);
    }

    #[test]
    fn nothing_to_say_needs_no_thread() {
        let mut writer = Writer::new("test", |(): ()| {});
        writer.close(&mut long());
        assert!(writer.end.is_some(), "a thread would have it");
    }

    #[test]
    fn what_the_work_has_open_is_closed_when_it_closes() {
        for says in [0usize, 1] {
            let (open, closed) = bounded::<()>(0);
            let mut writer = Writer::new("test", move |()| {
                let _ = &open;
            });
            (0..says).for_each(|_| writer.offer(()));
            writer.close(&mut long());
            let end = closed.try_recv();
            assert_eq!(end, Err(crossbeam_channel::TryRecvError::Disconnected));
        }
    }
}
