//! Is what came of a pipeline what the contract says? Exit status, books, order, wholeness.
//!
//! Where two things may happen at the same time, either may be the first: each check says which.

use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt;

use serde_json::Value;

use crate::plan::Plan;
use crate::run::Outcome;
use crate::stream::Framing;

type Checked = Result<(), String>;

macro_rules! ensure {
    ($is_so:expr, $($what:tt)+) => {
        if !$is_so {
            return Err(format!($($what)+));
        }
    };
}

const HUP: i32 = 1;
const INT: i32 = 2;
const PIPE: i32 = 13;
const TERM: i32 = 15;
/// What a shell says of a death by SIGPIPE.
const GONE: i32 = 128 + PIPE;
/// The status when a watchdog runs out.
const TIMEOUT: i32 = 124;

/// An outcome with its summary read.
struct Books<'a> {
    plan: &'a Plan,
    outcome: &'a Outcome,
    end: String,
    read: usize,
    written: usize,
    shed: usize,
    left: usize,
    summary: Value,
}

/// Checks all of it.
pub(crate) fn check(plan: &Plan, outcome: &Outcome) -> Checked {
    let summary = reports(plan, &outcome.log)?;
    let bytes = |what: &str| summary[what]["bytes"].as_u64().unwrap_or(u64::MAX) as usize;
    let books = Books {
        plan,
        outcome,
        end: summary["end"].as_str().unwrap_or_default().to_owned(),
        read: bytes("in"),
        written: bytes("out"),
        shed: bytes("shed"),
        left: bytes("undelivered"),
        summary,
    };
    let all = [
        Books::status,
        Books::words,
        Books::balance,
        Books::received,
        Books::order,
        Books::shown,
        Books::spilt,
        Books::stays,
        Books::copied,
        Books::metrics,
        Books::chart,
    ];
    let told = |what| format!("{what}\n{:?}\n{}", outcome.status, books.summary);
    all.into_iter()
        .try_for_each(|check| check(&books))
        .map_err(told)
}

/// Every report balances; the last one is the summary.
fn reports(plan: &Plan, log: &str) -> Result<Value, String> {
    let mut summary = Value::Null;
    for line in log.lines() {
        if !line.starts_with('{') {
            let is_slow = plan.spills && line.ends_with(": too slow: some was discarded");
            let is_error = is_slow || plan.stalls && line.starts_with("weir: timeout: ");
            ensure!(
                is_error || plan.sends(&["USR1"]) > 0,
                "not asked for in the log: {line}"
            );
            continue;
        }
        ensure!(summary.is_null(), "goes on after the summary: {line}");
        let report: Value = serde_json::from_str(line).map_err(|e| format!("{e}: {line}"))?;
        let bytes = |what: &str| report[what]["bytes"].as_u64().unwrap_or(u64::MAX);
        let used = |what: &str| report["buffer"][what].as_u64().unwrap_or(u64::MAX);
        let done = report["event"] == "summary";
        let held = if done {
            bytes("undelivered")
        } else {
            used("used")
        };
        let gone = bytes("out").saturating_add(bytes("shed"));
        // What is held is what the one is owed that is furthest behind.
        let accounted = gone.saturating_add(held);
        let is_tees = plan.tees && bytes("in") < accounted;
        ensure!(bytes("in") == accounted || is_tees, "unbalanced: {line}");
        // What is taken back from a pipe comes on top.
        ensure!(
            used("peak") <= used("capacity") || plan.falls(),
            "overfull: {line}"
        );
        if done {
            summary = report;
        }
    }
    ensure!(!summary.is_null(), "no summary in {log:?}");
    Ok(summary)
}

impl Books<'_> {
    /// Whether weir had the time to deliver all that it had read.
    fn is_graceful(&self) -> bool {
        let status = self.outcome.status;
        // Nothing is run again after one of these.
        let starts_again = self.plan.falls() || self.plan.batches();
        let once = self.plan.sends(&["TERM", "HUP"]) == 1 && !starts_again;
        // Nor is anything delivered to a program that has lost its own consumer.
        let once = once && !(self.plan.has_command() && self.plan.loses_consumer());
        status.success() || matches!(status.signal(), Some(TERM | HUP)) && once
    }

    /// Whether that is a record that had come in half when it was told to end: beside a spool it stays for its end to come.
    fn is_half_left(&self) -> bool {
        let is_told = self.plan.drains() || self.plan.sends(&["TERM", "HUP"]) > 0;
        let read = &self.plan.input[..self.read];
        is_told && self.plan.spools && self.left == self.plan.framing.begun(read)
    }

    /// Whether all that left weir must have arrived.
    fn arrives(&self) -> bool {
        !self.plan.loses_consumer()
    }

    fn status(&self) -> Checked {
        let (plan, status) = (self.plan, self.outcome.status);
        let caused = match (status.code(), status.signal()) {
            (Some(0), _) => self.left == 0 && self.end == "eof",
            (Some(TIMEOUT), _) => plan.stalls && self.end == "timeout",
            // The program that weir runs dies of it, and weir says so as a shell does.
            (Some(GONE), _) => {
                plan.has_command() && plan.loses_consumer() && self.end == "command-failed"
            }
            (_, Some(PIPE)) => plan.loses_consumer() && self.end == "consumer-gone",
            (_, Some(INT)) => plan.sends(&["INT"]) > 0 && self.end == "signal",
            (_, Some(TERM)) if self.end == "drained" => plan.drains(),
            (_, Some(TERM)) => plan.sends(&["TERM"]) > 0 && self.end == "signal",
            (_, Some(HUP)) => plan.sends(&["HUP"]) > 0 && self.end == "signal",
            _ => false,
        };
        ensure!(caused, "an end without a cause");
        if self.is_graceful() {
            ensure!(self.left == 0 || self.is_half_left(), "undelivered");
        }
        // Nothing else ends the reading before the producer does.
        let early = plan.drains() || plan.sends(&["TERM", "HUP", "INT"]) > 0;
        let early = early || status.signal() == Some(PIPE);
        let early = early || matches!(status.code(), Some(TIMEOUT | GONE));
        if !early && !plan.kills_before() {
            ensure!(
                self.read == plan.input.len() && self.outcome.sent == self.read,
                "read {} of {} sent",
                self.read,
                self.outcome.sent
            );
        }
        Ok(())
    }

    fn words(&self) -> Checked {
        let slow =
            |line: &&str| self.plan.spills && line.ends_with(": too slow: some was discarded");
        let stalled = |line: &&str| line.starts_with("weir: timeout: ");
        let said = &self.outcome.stderr;
        let (last, rest): (Vec<&str>, Vec<&str>) = said.lines().partition(stalled);
        let is_stalled = self.outcome.status.code() == Some(TIMEOUT);
        ensure!(last.len() == usize::from(is_stalled), "says {said:?}");
        ensure!(rest.len() <= 1 && rest.iter().all(slow), "says {said:?}");
        Ok(())
    }

    /// The records, and what can be known from outside.
    fn balance(&self) -> Checked {
        ensure!(self.read <= self.plan.input.len(), "more than was sent");
        ensure!(self.shed == 0 || self.plan.sheds, "shed unasked");
        let records = |what: &str| self.summary[what]["records"].as_u64();
        if self.plan.framing == Framing::None {
            ensure!(records("in").is_none(), "records without framing");
            return Ok(());
        }
        let all = ["in", "out", "shed", "undelivered"].map(|w| records(w).unwrap_or(u64::MAX / 4));
        let accounted = all[1] + all[2] + all[3];
        let is_tees = self.plan.tees && all[0] < accounted;
        ensure!(all[0] == accounted || is_tees, "unbalanced records");
        if self.is_graceful() {
            let held = self.plan.framing.split(&self.plan.input[..self.read]).len();
            ensure!(all[0] == held as u64, "{held} records came in");
            if self.arrives() {
                let got = self.plan.framing.split(&self.outcome.got).len();
                ensure!(all[1] == got as u64, "{got} records arrived");
            }
        }
        Ok(())
    }

    /// What is written arrives. A write under way when weir is ended at once may not be counted.
    fn received(&self) -> Checked {
        let got = self.outcome.got.len();
        let right = match (self.arrives(), self.is_graceful()) {
            (true, true) => got == self.written,
            // What the program that weir ran had in hand, or had not read, is lost with it.
            (true, false) if self.plan.has_command() => got <= self.plan.input.len(),
            (true, false) => got >= self.written,
            (false, _) => got <= self.plan.input.len(),
        };
        ensure!(right, "{got} bytes arrived");
        Ok(())
    }

    /// The output is the input with whole records removed, if any, and maybe not to its end.
    fn order(&self) -> Checked {
        let (got, input) = (&self.outcome.got, &self.plan.input);
        if !self.plan.sheds || self.shed == 0 && self.is_graceful() {
            ensure!(input.starts_with(got), "not the beginning of the input");
            return Ok(());
        }
        let whole = self.is_graceful() && self.arrives();
        let input = if whole {
            &input[..self.read]
        } else {
            &input[..]
        };
        let mut sent = self.plan.framing.split(input).into_iter();
        let records = self.plan.framing.split(got);
        let last = records.len().saturating_sub(1);
        for (n, record) in records.into_iter().enumerate() {
            let is_it =
                |one: &&[u8]| *one == record || n == last && !whole && one.starts_with(record);
            ensure!(
                sent.any(|one| is_it(&one)),
                "record {n} of {last} torn or out of order: {:?}",
                String::from_utf8_lossy(&record[..record.len().min(80)])
            );
        }
        Ok(())
    }

    /// Whoever is shown something is shown whole records in order, but for the last where the end comes at once.
    fn shown(&self) -> Checked {
        let framing = self.plan.framing;
        for shown in &self.outcome.shown {
            let mut sent = framing.split(&self.plan.input).into_iter();
            let records = framing.split(shown);
            let last = records.len().saturating_sub(1);
            for (n, record) in records.into_iter().enumerate() {
                let is_it = |one: &[u8]| one == record || n == last && one.starts_with(record);
                ensure!(
                    sent.any(is_it),
                    "record {n} of {last} is shown torn or out of order: {:?}",
                    String::from_utf8_lossy(&record[..record.len().min(80)])
                );
            }
        }
        Ok(())
    }

    /// What was not delivered stays in the spool, from the first byte that is not known to have been written on; for
    /// another reader, from the beginning of the record that this byte belongs to.
    fn stays(&self) -> Checked {
        let Some(stays) = &self.outcome.stays else {
            return Ok(());
        };
        let from = match self.plan.batches() {
            // Batches are acknowledged as they are; one that was in hand when weir was ended may not be counted.
            true if self.is_graceful() => self.written..=self.written,
            true => self.written..=self.written.max(self.outcome.got.len()),
            false => {
                let begun = self.plan.framing.begun(&self.plan.input[..self.written]);
                self.written - begun..=self.written - begun
            }
        };
        let input = self.plan.framing.ended(&self.plan.input);
        let mut from = from.filter(|from| input[*from..].starts_with(stays));
        let from = from.next().ok_or("something else stays in the spool")?;
        // A last record without its end is over when the input is.
        let left = (self.read - self.shed).saturating_sub(self.written.max(from));
        let begun = self.written.saturating_sub(from);
        let is_over = left == 0 && stays.is_empty();
        ensure!(
            stays.len() >= left + begun || is_over,
            "{} of {} bytes stay in the spool, of which {begun} were delivered",
            stays.len(),
            left + begun
        );
        Ok(())
    }

    /// A tee has got the beginning of all that was taken in, and beside a spool the next weir gives it what it had not
    /// got: in all it has each byte once. One that sheds is one that is shown something.
    fn copied(&self) -> Checked {
        if !self.plan.tees || self.plan.sheds {
            return Ok(());
        }
        let [first, all] = &self.outcome.copied;
        let input = &self.plan.input;
        ensure!(input.starts_with(first), "something else was copied");
        let ended = self.plan.framing.ended(input);
        ensure!(
            !self.plan.spools || ended.starts_with(all) && all.len() >= self.read,
            "{} and then {} bytes were copied of {}",
            first.len(),
            all.len(),
            self.read
        );
        let graceful = self.is_graceful() && self.outcome.status.success();
        // A program that has had enough does not cut it short.
        let has_gone = self.outcome.status.code() == Some(GONE) && !self.plan.spools;
        ensure!(
            !(graceful || has_gone) || first.len() == self.read,
            "{} bytes were copied of {}",
            first.len(),
            self.read
        );
        Ok(())
    }

    /// The course of the run is drawn, however it ended.
    fn chart(&self) -> Checked {
        let is_there = self.outcome.chart.ends_with("</svg>\n");
        ensure!(is_there == self.plan.charts, "a chart: {is_there}");
        Ok(())
    }

    /// The last page of metrics says what the summary says.
    fn metrics(&self) -> Checked {
        let page = &self.outcome.metrics;
        ensure!(page.is_empty() != self.plan.metrics, "a page: {page:?}");
        for (metric, wanted) in [("read", self.read), ("written", self.written)] {
            let name = format!("weir_{metric}_bytes_total{{");
            let line = page.lines().find(|line| line.starts_with(&name));
            let number = line.and_then(|line| line.rsplit_once(' ')?.1.parse().ok());
            // What was taken back is counted again there.
            let is_more = metric == "written" && self.plan.falls() && number >= Some(wanted);
            ensure!(
                number == self.plan.metrics.then_some(wanted) || is_more,
                "{metric}: {number:?} in metrics"
            );
        }
        Ok(())
    }

    /// What was delivered and what was spilt are together the input.
    fn spilt(&self) -> Checked {
        let spilt = &self.outcome.spilt;
        if !self.plan.spills || self.outcome.stderr.contains("too slow") {
            return Ok(());
        }
        // Where weir ends at once, more may go over the top after the books are closed.
        let more = spilt.len() > self.shed && !self.is_graceful();
        ensure!(
            spilt.len() == self.shed || more,
            "{} bytes spilt",
            spilt.len()
        );
        let known = self.plan.framing.is_numbered() && self.is_graceful() && self.arrives();
        if !known {
            return Ok(());
        }
        let framing = self.plan.framing;
        let mut count: HashMap<&[u8], i32> = HashMap::new();
        for record in framing.split(&self.plan.input[..self.read]) {
            *count.entry(record).or_default() += 1;
        }
        let (got, spilt) = (framing.split(&self.outcome.got), framing.split(spilt));
        for record in got.into_iter().chain(spilt) {
            *count.entry(record).or_default() -= 1;
        }
        let odd = count.iter().find(|(_, n)| **n != 0);
        ensure!(odd.is_none(), "spilt and delivered make no whole: {odd:?}");
        Ok(())
    }
}
