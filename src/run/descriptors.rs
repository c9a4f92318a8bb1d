//! Whether weir has the descriptors that it needs, before anything is read: in the middle of the stream a file that cannot
//! be made would be waited for as room is, and a program that cannot be run would end the run.
//!
//! Invariant: what was found to be free is free again when that is told.

use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::process::{Resource, getrlimit};

use crate::config::Config;
use crate::pipe::error::PipeError;

/// What a run takes beside what it was told to open: what its threads are called by, its input once more, a socket and
/// somebody who knocks there, a page that is being written.
const RUN: usize = 8;
/// The same with a disk: the directory of a spool, its lock and its state, two files that are written and two that are
/// read.
const WITH_DISK: usize = 14;
/// A tee or a tap: its file, and what its thread is called by, or that once more.
const OUTPUT: usize = 2;
/// One of several programs: what its thread is called by, our end of its pipe, and a way to what it leaves in that.
const WORKER: usize = 3;
/// One that may come later: what its thread will be called by.
const LATER: usize = 1;
/// One that is just being run has its end of the pipe here, too; so many are at a time, if there are so many.
const STARTS: usize = 16;
/// One with batches: the file of its batch, and the way to read it.
const BATCH: usize = 2;
/// Beside a spool: that file, and to find a process that an earlier run has started, and to wait for it.
const BATCH_OF_SPOOL: usize = 4;

/// More than this is not looked for beyond what is needed.
const SPARE: usize = 128;

/// Looks whether there are enough for what this run begins with beside the simplest, which does with what there is; and
/// how many are left.
///
/// # Errors
/// When there are not; the reason says how many are needed.
pub(super) fn look(config: &Config) -> Result<usize, PipeError> {
    let has_disk = config.spool.is_some() || config.spill.is_some();
    let workers = config.rules.workers.map(|it| (it.count.least, WORKER));
    let batches = config.rules.batch.map(|it| match config.spool {
        Some(_) => (it.jobs.least, BATCH_OF_SPOOL),
        None => (it.jobs.least, BATCH),
    });
    let (jobs, each) = workers.or(batches).unwrap_or_default();
    if !has_disk && jobs == 0 {
        return Ok(SPARE);
    }
    let own = if has_disk { WITH_DISK } else { RUN };
    let files = OUTPUT * config.outputs.len() + usize::from(config.shed_to.is_some());
    let later = config
        .rules
        .workers
        .map_or(0, |it| LATER * (it.count.most - it.count.least));
    let fixed = own + files + later + jobs.min(STARTS);
    let need = fixed + jobs * each;
    match free(need + SPARE) {
        Some(free) if free < need => {
            let short = Short {
                free,
                fixed,
                jobs,
                each,
            };
            Err(PipeError::because("start", "descriptors", &short.text()))
        }
        Some(free) => Ok(free - need),
        None => Ok(SPARE),
    }
}

/// How many can be had, up to so many. `None` where that cannot be told.
fn free(most: usize) -> Option<usize> {
    let again = || fcntl_dupfd_cloexec(rustix::stdio::stderr(), 3);
    let mut had = Vec::new();
    while had.len() < most {
        match again() {
            Ok(one) => had.push(one),
            Err(Errno::MFILE) => break,
            // Where standard error is closed there is nothing to count with.
            Err(_) => return None,
        }
    }
    Some(had.len())
}

/// There are too few.
struct Short {
    free: usize,
    /// What is needed whatever runs.
    fixed: usize,
    /// So many programs at a time, and what each needs.
    jobs: usize,
    each: usize,
}

impl Short {
    /// How many are needed, and what would do.
    fn text(&self) -> String {
        let need = self.fixed + self.jobs * self.each;
        let mut text = format!("Too many open files: {need} more are needed");
        if self.jobs > 0 {
            let (fixed, each, jobs) = (self.fixed, self.each, self.jobs);
            text += &format!(" ({fixed}, and {each} for each of {jobs} COMMANDs)");
        }
        text += &format!(", and {} can be had; try ", self.free);
        match getrlimit(Resource::Nofile).current {
            Some(limit) => text += &format!("ulimit -n {}", limit + (need - self.free) as u64),
            // It is the system that has none.
            None => text += "to close some",
        }
        let fewer = self.free.saturating_sub(self.fixed).checked_div(self.each);
        match fewer {
            Some(fewer @ 1..) => text + &format!(", or --jobs {fewer}"),
            _ => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_short_is_told_with_what_would_do() {
        let text = |free, fixed, jobs, each| {
            let short = Short {
                free,
                fixed,
                jobs,
                each,
            };
            short.text()
        };
        let limit = getrlimit(Resource::Nofile).current.expect("a limit");
        assert_eq!(
            text(21, 10, 4, 4),
            format!(
                "Too many open files: 26 more are needed (10, and 4 for each of 4 COMMANDs), and 21 can be had; \
                 try ulimit -n {}, or --jobs 2",
                limit + 5
            )
        );
        // Not even one.
        assert!(text(13, 10, 4, 4).ends_with(&format!("ulimit -n {}", limit + 13)));
        let alone = format!(
            "Too many open files: 14 more are needed, and 9 can be had; try ulimit -n {}",
            limit + 5
        );
        assert_eq!(text(9, 14, 0, 0), alone);
    }

    #[test]
    fn what_was_counted_can_be_had_again() {
        assert_eq!(free(40), Some(40));
        assert_eq!(free(40), Some(40));
    }
}
