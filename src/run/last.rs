//! What there is to do and to say when the run ends: a signal that lets what is held be delivered first, and the last
//! words of everybody.

use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{at, bounded, never, select};

use super::end::{End, undelivered};
use super::supervise::{HALT, Run};
use crate::control::signals::SIGPIPE;
use crate::engine::directive::Directive;
use crate::engine::status::Status;
use crate::pipe::Event;
use crate::pipe::error::PipeError;
use crate::pipe::fd::Port;
use crate::pipe::spool::Left;
use crate::report::figures::{self, Scale};
use crate::units::Span;

/// A delivery that takes longer than this after a signal is worth a word.
const NOTABLE: Duration = Duration::from_secs(2);
/// How long a read that is under way may take before what is to be delivered is told without it.
const LAST_READ: Duration = Duration::from_millis(100);

/// How long writing down how far everybody has come may take where nothing else is waited for.
pub(super) const LAST_SAVE: Duration = Duration::from_secs(1);
/// What is said where the disk is not waited for any more.
const NOT_FORCED: &str =
    "the disk of the spool is not waited for: what came last may be lost where the power fails now";

impl Run {
    /// The last of what was shed is written, or never will be. What there is to say of it may have
    /// come too late for the loop to hear.
    pub(super) fn on_overflow_end(&mut self, finished: Result<(), PipeError>) {
        self.hear_last();
        if let Err(failure) = finished {
            self.on_overflow_failed(&failure);
        }
    }

    /// Hears of what was found at the start, if that came too late for the loop. What a share says when it is
    /// left concerns nobody any more.
    pub(super) fn hear_notices(&mut self) {
        while let Ok(what) = self.noticed.try_recv() {
            self.reporter.complain(&what);
        }
    }

    /// Hears of failures that came too late for the loop.
    pub(super) fn hear_last(&mut self) {
        let events: Vec<Event> = self.events.try_iter().collect();
        for event in events {
            let is_to_be_said = matches!(
                event,
                Event::SourceFailed(_)
                    | Event::OverflowFailed(_)
                    | Event::OutputFailed(_)
                    | Event::DiskFailed(_)
                    | Event::Damaged(_)
            );
            if is_to_be_said {
                self.on_event(Some(event));
            }
        }
    }

    /// Weir was told to end. The system gives a packet only whole: of the last one some may have been read by nobody.
    pub(super) fn say_what_is_left_of_a_packet(&mut self, input: &Port) {
        let left = input.rest_of_packet();
        if left > 0 && (self.drained || self.signal.is_some()) {
            let name = input.name();
            let what = format!("read: {name}: the last {left} bytes of a packet are not delivered");
            self.reporter.complain(&what);
        }
    }

    /// There is nobody to deliver to; an earlier failure is the reason that counts.
    pub(super) fn gone(&mut self) -> End {
        let failure = self.failure.take();
        failure.map_or_else(
            || End::consumer_gone(self.consumer_port.port().as_ref()),
            End::Failed,
        )
    }

    /// Everything has been written. Whether it has arrived some outputs tell only at their end.
    pub(super) fn delivered(&mut self) -> End {
        let cut = self.finish_branches();
        let closed = cut.or_else(|| self.close_output());
        let end = match self.signal {
            Some(signal) => End::Signal(signal),
            None if self.drained => End::Drained,
            None => End::Delivered,
        };
        match (self.failure.take(), closed) {
            (Some(failure), _) => End::Failed(failure),
            (None, Some(end)) => end,
            (None, None) => end,
        }
    }

    /// Closes the output, which may take as long as a disk does, or a server that does not answer:
    /// a signal ends weir meanwhile, too. The end that comes of it, if it is not to be as it was.
    fn close_output(&mut self) -> Option<End> {
        let output = self.consumer_port.port()?;
        if !output.tells_at_close() {
            return None;
        }
        let (say, said) = bounded(1);
        let port = output.clone();
        let closing = move || say.send(port.close()).unwrap_or_default();
        let thread = thread::Builder::new().name("close".into()).spawn(closing);
        if thread.is_err() {
            return output.close().err().map(End::Failed);
        }
        let late = self.deliver_until.map_or_else(never, at);
        loop {
            if let Some(end) = self.end_by_kept() {
                return Some(end);
            }
            select! {
                recv(late) -> _ => return self.signal.map(End::Signal),
                recv(said) -> closed => return closed.ok()?.err().map(End::Failed),
                recv(self.signals) -> signal => {
                    if let Some(end) = self.on_late_signal(signal.ok()) {
                        return Some(end);
                    }
                }
            }
        }
    }

    /// Whether a signal has told this run to end.
    pub(super) fn is_told(&self, end: &End) -> bool {
        self.signal.is_some() || matches!(end, End::Signal(signal) if *signal != SIGPIPE)
    }

    /// Until when what is to stay on the disk is forced there, where a signal or a stall ends this run: for as long as a
    /// signal lets what is held be delivered.
    pub(super) fn forces_until(&self, end: &End) -> Option<Instant> {
        if !self.is_told(end) && !matches!(end, End::Stalled(..) | End::Signal(_)) {
            return None;
        }
        let grace = || Instant::now().checked_add(self.signal_grace);
        self.deliver_until.or_else(grace)
    }

    /// Leaves what is to stay on the disk in order. That takes as long as the disk does, or for as long as a signal lets it:
    /// what is there then is as a kill would leave it. Says how it is left, and the end.
    pub(super) fn close_disk(&mut self, has_ended: bool, end: End) -> (Left, End) {
        let closing = self.shared.close_disk(has_ended);
        let left = self.wait_for(&closing.done, HALT).unwrap_or_else(|| {
            // A server that does not answer a write does not say so.
            let saved = closing.saved.recv_timeout(LAST_SAVE);
            closing.done.recv_timeout(HALT).unwrap_or_else(|_| {
                self.reporter.complain(NOT_FORCED);
                saved.unwrap_or(Left::UNKNOWN)
            })
        });
        // Where it was a signal that left no time for that, nothing else is amiss.
        let cut_short = self.deadline.told_last.filter(|_| !left.is_in_order);
        let signal = self.deadline.heard.or(cut_short);
        match signal.filter(|_| end.is_good()) {
            Some(signal) => (left, End::Signal(signal)),
            None => (left, end),
        }
    }

    /// What is held is still delivered, for a while; a second one ends at once.
    pub(super) fn on_termination(&mut self, signal: i32) -> Option<End> {
        if self.signal.is_some() {
            return Some(self.end_at_once(signal));
        }
        self.signal = Some(signal);
        // One that is beyond the end of time never comes.
        self.deliver_until = Instant::now().checked_add(self.signal_grace);
        self.shared
            .update_and_wake(|engine, now| engine.command(now, Directive::Drain));
        // What is just being read is to be delivered, too.
        self.shared.await_quiet(LAST_READ);
        let status = self.status();
        self.reporter
            .expect_end(status.elapsed.saturating_add(self.signal_grace));
        if self.awaits.is_none()
            && let Some(warning) = slow_drain(&status, self.signal_grace)
        {
            self.reporter.complain(&warning);
        }
        None
    }
}

/// What is to be said where a cap makes delivering what is held take long, or longer than there is time.
fn slow_drain(status: &Status, grace: Duration) -> Option<String> {
    let left = undelivered(status);
    let by_bytes = status.caps.bytes.map(|cap| {
        // In the units that the cap was given in, else the buffer's size, as everywhere.
        let scale = Scale::of(cap).or_else(|| Scale::of(status.buffer.capacity as f64));
        let scale = scale.unwrap_or_default();
        let seconds = left.bytes as f64 / cap;
        (seconds, scale.bytes(left.bytes), scale.typed(cap) + "/s")
    });
    let by_records = status.caps.records.zip(left.records).map(|(cap, left)| {
        (
            left as f64 / cap,
            figures::count(left),
            figures::rate_of_records(Some(cap)),
        )
    });
    let slower = by_bytes
        .into_iter()
        .chain(by_records)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let (seconds, what, cap) = slower.filter(|it| it.0 > NOTABLE.as_secs_f64())?;
    let time = figures::roughly(seconds);
    let is_in_time = seconds <= grace.as_secs_f64();
    Some(match is_in_time {
        true => format!("draining {what} at {cap}, about {time}; a second signal stops"),
        false => {
            let grace =
                Span::try_from(grace).map_or_else(|_| format!("{grace:?}"), |it| it.to_string());
            format!(
                "draining {what} at {cap} would take about {time}: it ends in {grace} (--grace), or at a second signal"
            )
        }
    })
}
