//! What the main thread does about the programs that it runs with batches: it tells them of signals, ends those that
//! stall, and waits for all of them, whatever ends weir.

use std::time::{Duration, Instant};

use crossbeam_channel::{after, never, select};

use super::end::End;
use super::supervise::Run;
use crate::command::child::Exit;
use crate::command::jobs::News;
use crate::config::hook::Occasion;
use crate::control::signals::{self, Received, SIGINT, SIGQUIT, SIGTERM};
use crate::engine::directive::Directive;
use crate::report::Ending;

/// How long a program that was told to end may take for it.
pub(super) const LAST_WAIT: Duration = Duration::from_secs(5);

impl Run {
    pub(super) fn on_news(&mut self, news: Option<News>) -> Option<End> {
        let Some(news) = news else {
            // Nobody has anything to say any more.
            self.news = never();
            return None;
        };
        let batches = self.batches.as_mut()?;
        match news {
            News::Over => {
                batches.jobs.left -= 1;
                let is_last = batches.jobs.left == 0 && self.awaits.is_none();
                is_last.then(|| self.end_of_programs()).flatten()
            }
            News::Ended(exit, fate) => self.on_worker_end(exit, fate),
            News::Stalled(job) => self.on_worker_stalled(job),
            News::Gone => None,
            News::Failed => {
                self.on_failed_batch();
                None
            }
            News::NotRun {
                error,
                first,
                is_news,
            } => {
                if is_news {
                    self.reporter.complain(&error.failure.to_string());
                }
                let exit = Exit::Status(error.status);
                first.then_some(End::Command(exit, Ending::CommandFailed))
            }
            News::Broken(failure) => Some(End::Failed(failure)),
            News::Full(failure) | News::Unsaved(failure) => {
                self.reporter.complain(&failure.to_string());
                None
            }
            News::Outlived(what) => {
                self.reporter.complain(&what);
                None
            }
        }
    }

    /// A batch has failed: it was given up, or is to be tried again.
    fn on_failed_batch(&mut self) {
        let told = self
            .shared
            .update_and_wake(|engine, now| engine.job_status(now));
        let shed = told.and_then(|it| it.batches).map_or(0, |it| it.shed.0);
        let Some(batches) = &mut self.batches else {
            return;
        };
        let was = std::mem::replace(&mut batches.shed, shed);
        let occasion = if shed > was {
            Occasion::GiveUp
        } else {
            Occasion::Restart
        };
        self.run_hooks(occasion);
    }

    /// None of them has anything to do any more.
    pub(super) fn end_of_jobs(&mut self) -> End {
        if self.batches.as_ref().is_some_and(|it| it.workers.is_some()) {
            return self.end_of_workers();
        }
        let interrupted = self.batches.as_ref().and_then(|it| it.interrupted);
        if let Some(signal) = interrupted {
            return End::Signal(signal);
        }
        let end = self.delivered();
        let told = self
            .shared
            .update_and_wake(|engine, now| engine.job_status(now));
        match told.and_then(|it| it.batches) {
            Some(it) if it.shed.0 > 0 && end.is_good() => End::GivenUp {
                batches: it.shed.0,
                count: it.shed.1,
                is_drained: matches!(end, End::Drained),
            },
            _ => end,
        }
    }

    /// A signal that would end weir, if there were no programs to think of.
    pub(super) fn on_signal_with_jobs(&mut self, signal: Received) -> Option<End> {
        let is_interrupt = [SIGINT, SIGQUIT].contains(&signal.number);
        let is_second = self.signal.is_some();
        let batches = self.batches.as_mut()?;
        if batches.workers.is_some() {
            return self.on_signal_with_workers(signal);
        }
        if batches.interrupted.is_some() || is_second {
            return Some(self.end_at_once(signal.number));
        }
        if !batches.jobs.any_runs() {
            return Some(self.end_by(signal.number));
        }
        // Nobody begins anything that the signal would not reach.
        self.shared
            .update_and_wake(|engine, now| engine.command(now, Directive::Finish));
        if is_interrupt {
            batches.jobs.pass_on(signal.number, signal.is_from_terminal);
            batches.interrupted = Some(signal.number);
        } else {
            self.signal = Some(signal.number);
            // One that is beyond the end of time never comes.
            self.deliver_until = Instant::now().checked_add(self.signal_grace);
        }
        None
    }

    /// Ends programs that take too long: they are told to, and some time later made to. When to look again.
    pub(super) fn look_whether_jobs_stall(&mut self) -> Option<Instant> {
        let batches = self.batches.as_mut()?;
        let (stalled, again) = self
            .shared
            .update_and_wake(|engine, now| engine.stalled_jobs(now));
        let now = Instant::now();
        // Where one of an earlier run is waited for, that has had the same time.
        let own = stalled.into_iter().filter(|job| !batches.jobs.hurry(*job));
        let own: Vec<_> = own.filter_map(|job| batches.jobs.program(job)).collect();
        let mut has_stalled = false;
        for child in own {
            has_stalled |= batches.tell_to_end(child, SIGTERM, now + LAST_WAIT);
        }
        let due = batches.stalled.extract_if(.., |(_, at)| *at <= now);
        due.for_each(|(child, _)| child.signal(signals::SIGKILL));
        let kill = batches.stalled.iter().map(|(_, at)| *at).min();
        if has_stalled {
            self.tell_of_stall();
        }
        again.into_iter().chain(kill).min()
    }

    /// A COMMAND has used up its time, and another takes its place: a hook may be there for that.
    pub(super) fn tell_of_stall(&mut self) {
        let status = self.status();
        if let Some(what) = self.hooks.run_at_stall(&status, Instant::now()) {
            self.reporter.complain(&what);
        }
    }

    /// All that run are told to end, and some time later made to; none is started any more.
    pub(super) fn tell_jobs_to_end(&mut self, end: &End) {
        let Some(batches) = &mut self.batches else {
            return;
        };
        let by = end.signal_for_command(batches.interrupted);
        batches.jobs.close();
        let until = Instant::now() + LAST_WAIT;
        for child in batches.jobs.running() {
            // Who was told already may be about to.
            batches.tell_to_end(child, by, until);
        }
    }

    /// No end of weir leaves a program behind.
    pub(super) fn put_down_jobs(&mut self, end: &End) {
        self.tell_jobs_to_end(end);
        let (mut late, mut rounds) = (after(LAST_WAIT), 0u32);
        while let Some(batches) = self.batches.as_mut().filter(|it| it.jobs.any_are_left()) {
            select! {
                recv(batches.jobs.news) -> news => match news {
                    Ok(News::Over) => batches.jobs.left -= 1,
                    Ok(_) => {}
                    Err(_) => return,
                },
                recv(late) -> _ => {
                    batches.jobs.signal(signals::SIGKILL);
                    (late, rounds) = (after(LAST_WAIT), rounds + 1);
                    match rounds {
                        _ if !self.deadline.is_over() => {}
                        1 => {}
                        // Whoever waits for the disk is let go.
                        2 => self.shared.ends_on_disk(true),
                        // Whoever is left is stuck in a call to the system.
                        _ => return,
                    }
                }
                recv(self.signals) -> signal => {
                    if self.hear(signal) {
                        self.kill_jobs();
                        if self.deadline.is_over() {
                            self.shared.ends_on_disk(true);
                        }
                    }
                }
            }
        }
    }

    fn kill_jobs(&self) {
        if let Some(batches) = &self.batches {
            batches.jobs.signal(signals::SIGKILL);
        }
    }
}
