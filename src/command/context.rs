//! What all have in common who run a program in a thread of their own, and how they tell the main thread of it.
//!
//! Invariants: a program that is signalled has not been waited for; once they are closed, none is started any more.

use std::io::{PipeReader, PipeWriter};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::Sender;
use nix::sys::signal::SigSet;

use super::child::{Child, Exit};
use super::line::CommandLine;
use super::spawn::SpawnError;
use crate::engine::task::Fate;
use crate::pipe::Shared;
use crate::pipe::error::PipeError;

/// How to run the program.
#[derive(Debug)]
pub(crate) struct JobPlan {
    /// The program.
    pub line: CommandLine,
    /// The signals that it finds blocked.
    pub mask: SigSet,
    /// What makes the numbers of this run's batches its own.
    pub stamp: String,
    /// Statuses that say that a batch can never succeed.
    pub reject: Vec<u8>,
    /// Whether a signal that ends weir was sent before this is asked, be it that nobody has heeded it yet.
    pub is_told_to_end: fn() -> bool,
}

/// What they have to say.
#[derive(Debug)]
pub(crate) enum News {
    /// One has nothing to do any more.
    Over,
    /// A batch has failed, or was rejected.
    Failed,
    /// The program could not be run; `first`: it never has been. `is_news`: when it was tried last, it could be.
    NotRun {
        error: SpawnError,
        first: bool,
        is_news: bool,
    },
    /// A batch could not be put into a file, or not be read back, or it could not be written down what became of it.
    Broken(PipeError),
    /// A program that an earlier run has started still deals with its batch, and is waited for: what to say of it.
    Outlived(String),
    /// The program of one that takes from the queue beside others has ended, and that is what it means.
    Ended(Exit, Fate),
    /// What it has left could not be written down: it is given to others all the same.
    Unsaved(PipeError),
    /// It has been waited for.
    Gone,
    /// It has not read what lies in its pipe for too long, the one of this number.
    Stalled(usize),
    /// There is no room for a batch's file: it waits for some. Said once.
    Full(PipeError),
}

/// The programs that run.
#[derive(Debug, Default)]
pub(super) struct Programs {
    pub list: Vec<Option<Child>>,
    /// One was run; and when that was tried last, none could be.
    pub any: bool,
    pub is_refused: bool,
    pub is_closed: bool,
    /// How those ended that were run last, until that is asked for.
    pub exits: Vec<Option<Exit>>,
    /// Ways to what those have left unread whose threads are over before them.
    pub readers: Vec<Option<OwnedFd>>,
    /// Its other end says that they are closed.
    pub closing: Option<PipeWriter>,
    /// Which process of an earlier run a job waits for; where the other end of this is closed, no longer.
    pub waits: Vec<Option<(i32, PipeWriter)>>,
}

impl Programs {
    /// This one runs.
    pub(super) fn on_started(&mut self, number: usize, child: Child) {
        (self.any, self.is_refused) = (true, false);
        self.list[number] = Some(child);
    }

    /// One could not be run.
    pub(super) fn on_refused(&mut self, error: SpawnError) -> News {
        News::NotRun {
            error,
            first: !self.any,
            is_news: !std::mem::replace(&mut self.is_refused, true),
        }
    }
}

pub(super) fn lock(programs: &Mutex<Programs>) -> MutexGuard<'_, Programs> {
    programs.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What each of them has.
#[derive(Debug, Clone)]
pub(super) struct JobContext {
    pub number: usize,
    pub plan: Arc<JobPlan>,
    pub shared: Arc<Shared>,
    pub programs: Arc<Mutex<Programs>>,
    pub tell: Sender<News>,
    /// At its end when none is to be started any more.
    pub closed: Arc<PipeReader>,
}

impl JobContext {
    /// Whether none is to be started any more, and what ends now was ended with weir.
    pub(super) fn is_over(&self) -> bool {
        lock(&self.programs).is_closed || (self.plan.is_told_to_end)()
    }

    pub(super) fn say(&self, news: News) {
        // Who does not listen any more need not be told.
        let _ = self.tell.send(news);
    }
}
