//! Eight weirs that share a cap, each between an eager producer and a consumer with a notebook.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::lab::{Lab, MIB};
use crate::pipeline::Pipeline;
use crate::spec::{Contender, Skip};
use crate::stats::{Arrival, arrivals, average, jain, sum_within};

/// How many there are.
pub(super) const MEMBERS: usize = 8;
/// What they share, in bytes per second.
pub(super) const CAP: u64 = 10 * MIB;
/// A millisecond of the shared clock.
pub(super) const MS: u64 = 1_000_000;
/// Where the weir is among its neighbours.
const WEIR: usize = 1;

/// Those that run.
pub(super) struct Members {
    all: Vec<Pipeline>,
    /// Where they find each other.
    _folder: TempDir,
}

impl Members {
    /// Starts them; none may last longer than `limit`.
    pub(super) fn start(lab: &Lab, c: &Contender, limit: Duration) -> Result<Self, Skip> {
        let folder = tempfile::tempdir()?;
        let start = |_| Pipeline::start(&specs(lab, c, folder.path())?, limit);
        Ok(Self {
            all: (0..MEMBERS).map(start).collect::<Result<_, _>>()?,
            _folder: folder,
        })
    }

    /// Sends a signal to one of the weirs.
    pub(super) fn signal(&self, member: usize, signal: Signal) -> Result<(), Skip> {
        self.all[member].signal(WEIR, signal)
    }

    /// Ends them all; what came of each.
    pub(super) fn end(self) -> Result<Logs, Skip> {
        for pipeline in &self.all {
            // It may have ended, and then it is told why.
            let _ = pipeline.signal(WEIR, Signal::KILL);
        }
        let log = |pipeline: Pipeline| {
            let outcome = pipeline.cut()?;
            outcome.check(WEIR, true, true)?;
            Ok(arrivals(&outcome.output))
        };
        let each = self.all.into_iter().map(log);
        Ok(Logs::of(each.collect::<Result<_, Skip>>()?))
    }
}

fn specs(lab: &Lab, c: &Contender, folder: &Path) -> Result<[crate::spec::Spec; 3], Skip> {
    let weir = c.spec()?.clone().with("XDG_RUNTIME_DIR", folder);
    Ok([lab.helper("__gen"), weir, lab.helper("__meter")])
}

/// What came, from each and from all together.
pub(super) struct Logs {
    /// By member.
    pub each: Vec<Vec<Arrival>>,
    /// In the order of time.
    pub all: Vec<Arrival>,
}

impl Logs {
    fn of(each: Vec<Vec<Arrival>>) -> Self {
        let mut all = each.concat();
        all.sort_by_key(|arrival| arrival.at);
        Self { each, all }
    }

    /// By how many percent the sum differs from the cap in that time.
    pub(super) fn error(&self, from: u64, to: u64) -> f64 {
        let within = self.all.iter().filter(|it| (from..to).contains(&it.at));
        let log: Vec<Arrival> = within.copied().collect();
        // A silence is an error, too.
        (average(&log, u64::MAX) / CAP as f64 - 1.0) * 100.0
    }

    /// How evenly it was shared out among the first `members` in that time.
    pub(super) fn jain(&self, members: usize, from: u64, to: u64) -> f64 {
        let had = |log: &Vec<Arrival>| sum_within(log, from, to) as f64;
        let shares: Vec<f64> = self.each[..members].iter().map(had).collect();
        jain(&shares)
    }
}
