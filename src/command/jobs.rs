//! Those who run a program, a thread for each, as the main thread knows them.

use std::io;
use std::sync::{Arc, Mutex};
use std::thread;

use crossbeam_channel::{Receiver, unbounded};

use super::batch_job::Job;
use super::child::Child;
use super::context::{JobContext, Programs, lock};
pub(crate) use super::context::{JobPlan, News};
use super::unread::take_out;
use super::worker::Worker;
use crate::pipe::Shared;

/// What their programs get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gets {
    /// One batch after the other, each in a file, and each by a run of its own.
    Batches,
    /// Records by a pipe, for as long as there are any.
    Stream,
}

/// All jobs, as the main thread knows them.
#[derive(Debug)]
pub(crate) struct Jobs {
    programs: Arc<Mutex<Programs>>,
    /// What they have to say.
    pub news: Receiver<News>,
    /// How many are not over.
    pub left: usize,
}

impl Jobs {
    /// Starts so many.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(crate) fn start(
        plan: JobPlan,
        gets: Gets,
        count: usize,
        shared: &Arc<Shared>,
    ) -> io::Result<Jobs> {
        let (tell, news) = unbounded();
        let plan = Arc::new(plan);
        let (closed, closing) = io::pipe()?;
        let closed = Arc::new(closed);
        let programs = Programs {
            list: vec![None; count],
            exits: vec![None; count],
            readers: std::iter::repeat_with(|| None).take(count).collect(),
            closing: Some(closing),
            waits: std::iter::repeat_with(|| None).take(count).collect(),
            ..Programs::default()
        };
        let programs = Arc::new(Mutex::new(programs));
        for number in 0..count {
            let context = JobContext {
                number,
                plan: plan.clone(),
                shared: shared.clone(),
                programs: programs.clone(),
                tell: tell.clone(),
                closed: closed.clone(),
            };
            let thread = thread::Builder::new().name("job".into());
            match gets {
                Gets::Batches => thread.spawn(move || Job::new(context).run())?,
                Gets::Stream => thread.spawn(move || Worker::new(context).run())?,
            };
        }
        let left = count;
        Ok(Jobs {
            programs,
            news,
            left,
        })
    }

    /// Whether a program runs.
    pub(crate) fn any_runs(&self) -> bool {
        lock(&self.programs).list.iter().any(Option::is_some)
    }

    /// Whether somebody acts for one, or a program runs.
    pub(crate) fn any_are_left(&self) -> bool {
        self.left > 0 || self.any_runs()
    }

    /// The processes of an earlier run that are waited for.
    pub(crate) fn outlived(&self) -> Vec<i32> {
        let programs = lock(&self.programs);
        programs.waits.iter().flatten().map(|it| it.0).collect()
    }

    /// What this job waits for has taken long enough: its batch is dealt with beside that. Says whether it waits.
    pub(crate) fn hurry(&self, number: usize) -> bool {
        lock(&self.programs).waits[number].take().is_some()
    }

    /// The same for all.
    pub(crate) fn hurry_all(&self) {
        lock(&self.programs).waits.fill_with(|| None);
    }

    /// The program of this job, if one runs.
    pub(crate) fn program(&self, number: usize) -> Option<Child> {
        lock(&self.programs).list[number].clone()
    }

    /// Those that run.
    pub(crate) fn running(&self) -> Vec<Child> {
        let programs = lock(&self.programs);
        programs.list.iter().flatten().cloned().collect()
    }

    /// Sends this signal to all that run.
    pub(crate) fn signal(&self, signal: i32) {
        let programs = lock(&self.programs);
        let running = programs.list.iter().flatten();
        running.for_each(|child| child.signal(signal));
    }

    /// Passes on to all that run a signal that weir has got, as [`Child::pass_on`] does.
    pub(crate) fn pass_on(&self, signal: i32, is_from_terminal: bool) {
        let programs = lock(&self.programs);
        let running = programs.list.iter().flatten();
        running.for_each(|child| child.pass_on(signal, is_from_terminal));
    }

    /// Whether what the terminal sends reaches all that run.
    pub(crate) fn hear_terminal(&self) -> bool {
        let programs = lock(&self.programs);
        programs.list.iter().flatten().all(Child::hears_terminal)
    }

    /// Takes out of the pipes what those have left unread who have ended after their threads: who, and how many bytes.
    pub(crate) fn take_out(&self) -> Vec<(usize, u64)> {
        let mut programs = lock(&self.programs);
        let readers = programs.readers.iter_mut().enumerate();
        let readers = readers.filter_map(|(j, it)| Some((j, take_out(&it.take()?))));
        readers.collect()
    }

    /// None is started any more.
    pub(crate) fn close(&self) {
        let mut programs = lock(&self.programs);
        programs.is_closed = true;
        programs.closing = None;
    }
}
