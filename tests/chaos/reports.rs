//! What weir has told, in its log and on standard error: it balances, it is of the right weir, and nothing was said that
//! nobody asked for.

use serde_json::Value;

use crate::books::{Books, Checked, ensure};
use crate::dying::{Dying, is_of_dying};
use crate::options::PLAIN;
use crate::plan::Plan;

/// The status when a watchdog runs out.
pub(crate) const TIMEOUT: i32 = 124;

/// What a pipe holds, and a `head` reads ahead.
const PIPE_MOST: usize = (1 << 20) + (64 << 10);

/// What is said of a store: weir is the only one that shares, and passes on what it may, or one of two.
pub(crate) fn is_of_store(plan: &Plan, line: &str) -> bool {
    let is_it = line.starts_with("weir") && line.contains(": share redis://");
    let half = ": passing half of the cap until it is back";
    let is_it = is_it
        && (line.ends_with(": going on alone") || plan.mate.is_some() && line.ends_with(half));
    // A stop and what goes on after it are nothing that a store does.
    plan.store && is_it && !line.contains("Interrupted system call")
}

/// Not all that was shed could be kept.
pub(crate) fn is_slow(plan: &Plan, line: &str) -> bool {
    plan.spills && line.ends_with(": too slow: some was discarded")
}

/// By its name, if it has one.
fn is_timeout(line: &str) -> bool {
    line.starts_with("weir") && line.contains(": timeout: ")
}

/// Every report balances; the last one is the summary.
pub(crate) fn reports(plan: &Plan, log: &str) -> Result<Value, String> {
    let mut summary = Value::Null;
    let is_plain = plan.told("--display").any(|how| how == "plain");
    let mut plain = 0;
    for line in log.lines() {
        if !line.starts_with('{') {
            let behind_time = line.strip_prefix("time=").and_then(|it| it.split_once(' '));
            let error = behind_time.map_or("", |(_, error)| error);
            let is_error = is_slow(plan, error)
                || is_of_dying(plan, error)
                || plan.stalls && is_timeout(error);
            let is_report = is_plain && line.starts_with(PLAIN);
            plain += u32::from(is_report);
            ensure!(
                is_error || is_report || is_of_store(plan, error) || plan.sends(&["USR1"]) > 0,
                "not asked for in the log: {line}"
            );
            continue;
        }
        ensure!(summary.is_null(), "goes on after the summary: {line}");
        ensure!(is_balanced(plan, line), "unbalanced: {line}");
        let report: Value = serde_json::from_str(line).map_err(|e| format!("{e}: {line}"))?;
        let used = |what: &str| report["buffer"][what].as_u64().unwrap_or(u64::MAX);
        // What is taken back from a pipe comes on top.
        ensure!(
            used("peak") <= used("capacity") || plan.falls(),
            "overfull: {line}"
        );
        let is_named = match report["name"].as_str() {
            Some(name) => plan.told("--name").any(|told| told == name),
            None => !plan.options.iter().any(|it| it == "--name"),
        };
        ensure!(is_named, "another name: {line}");
        if report["event"] == "summary" {
            summary = report;
        }
    }
    ensure!(!summary.is_null(), "no summary in {log:?}");
    ensure!(!is_plain || plain > 0, "no report in {log:?}");
    Ok(summary)
}

/// Whether the books of a report do.
pub(crate) fn is_balanced(plan: &Plan, line: &str) -> bool {
    let Ok(report) = serde_json::from_str::<Value>(line) else {
        return false;
    };
    let bytes = |what: &str| report[what]["bytes"].as_u64().unwrap_or(u64::MAX);
    let held = match report["event"] == "summary" {
        true => bytes("undelivered"),
        false => report["buffer"]["used"].as_u64().unwrap_or(u64::MAX),
    };
    let gone = bytes("out").saturating_add(bytes("shed"));
    // What is held is what the one is owed that is furthest behind.
    let accounted = gone.saturating_add(held);
    bytes("in") == accounted || plan.has_tees() && bytes("in") < accounted
}

impl Books<'_> {
    /// On standard error.
    pub(crate) fn words(&self) -> Checked {
        let said = &self.outcome.stderr;
        let lines = said.lines().filter(|line| !is_of_store(self.plan, line));
        let (last, rest): (Vec<&str>, Vec<&str>) = lines.partition(|line| is_timeout(line));
        let (dead, rest): (Vec<&str>, Vec<&str>) = rest
            .into_iter()
            .partition(|line| is_of_dying(self.plan, line));
        ensure!(dead.len() <= 1, "says {said:?}");
        // What has no room fails at the first byte; what is left behind, when the pipe is full.
        let fails = match self.plan.dying {
            // It sheds by the same rule, and may have shed all.
            _ if self.plan.sheds => false,
            Some(Dying::Full) => self.read > 0,
            Some(Dying::Leaves(much)) => self.read > much + PIPE_MOST,
            None => false,
        };
        ensure!(
            !fails || !self.is_graceful() || dead.len() == 1,
            "nothing is said of a tee that fails: {said:?}"
        );
        let is_stalled = self.outcome.status.code() == Some(TIMEOUT);
        ensure!(last.len() == usize::from(is_stalled), "says {said:?}");
        let is_known = rest.iter().all(|line| is_slow(self.plan, line));
        ensure!(rest.len() <= 1 && is_known, "says {said:?}");
        Ok(())
    }
}
