//! Is what came of a pipeline what the contract says? Exit status, books, order, wholeness.
//!
//! Where two things may happen at the same time, either may be the first: each check says which.

use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt;

use serde_json::Value;

use crate::dying::is_of_dying;
use crate::killed;
use crate::plan::Plan;
use crate::reports::{TIMEOUT, is_slow, reports};
use crate::run::Outcome;
use crate::stream::Framing;

pub(crate) type Checked = Result<(), String>;

/// Else this is wrong.
macro_rules! ensure {
    ($is_so:expr, $($what:tt)+) => {
        if !$is_so {
            return Err(format!($($what)+));
        }
    };
}

pub(crate) use ensure;

const HUP: i32 = 1;
const INT: i32 = 2;
const PIPE: i32 = 13;
const TERM: i32 = 15;
/// What a shell says of a death by SIGPIPE.
const GONE: i32 = 128 + PIPE;

/// An outcome with its summary read.
pub(crate) struct Books<'a> {
    pub plan: &'a Plan,
    pub outcome: &'a Outcome,
    pub end: String,
    pub read: usize,
    pub written: usize,
    pub shed: usize,
    pub left: usize,
    pub summary: Value,
}

/// Checks all of it.
pub(crate) fn check(plan: &Plan, outcome: &Outcome) -> Checked {
    if let Some(parts) = &outcome.parts {
        return killed::check(plan, outcome, parts);
    }
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
        Books::stop,
        Books::deaf,
        Books::cap,
        Books::line,
    ];
    let told = |what| {
        let (status, said) = (outcome.status, &outcome.stderr);
        format!("{what}\n{status:?} {said}\n{}", books.summary)
    };
    all.into_iter()
        .try_for_each(|check| check(&books))
        .map_err(told)
}

/// What was shown are whole records of this input, in order, but for the last.
pub(crate) fn are_of(framing: Framing, input: &[u8], shown: &[u8]) -> Checked {
    let mut sent = framing.split(input).into_iter();
    let records = framing.split(shown);
    let last = records.len().saturating_sub(1);
    for (n, record) in records.into_iter().enumerate() {
        let is_it = |one: &[u8]| *one == *record || n == last && one.starts_with(record);
        ensure!(
            sent.any(is_it),
            "record {n} of {last} is shown torn or out of order: {:?}",
            String::from_utf8_lossy(&record[..record.len().min(80)])
        );
    }
    Ok(())
}

impl Books<'_> {
    /// Whether a tee has failed, and weir says so by its status alone, since all else is well.
    fn is_bereft(&self) -> bool {
        let is_dead = |line| is_of_dying(self.plan, line);
        let code = if self.plan.has_command() { 125 } else { 1 };
        self.outcome.status.code() == Some(code) && self.outcome.stderr.lines().any(is_dead)
    }

    /// Whether it has succeeded, but for that.
    fn has_succeeded(&self) -> bool {
        self.outcome.status.success() || self.is_bereft()
    }

    /// Whether weir had the time to deliver all that it had read.
    pub(crate) fn is_graceful(&self) -> bool {
        let status = self.outcome.status;
        // Nothing is run again after one of these.
        let starts_again = self.plan.falls() || self.plan.batches();
        if self.plan.deaf().is_some() {
            return status.success() && self.end == "eof";
        }
        let once = self.plan.sends(&["TERM", "HUP"]) == 1 && !starts_again && !self.plan.hurries;
        // Nor is anything delivered to a program that has lost its own consumer.
        let once = once && !(self.plan.has_command() && self.plan.loses_consumer());
        self.has_succeeded() || matches!(status.signal(), Some(TERM | HUP)) && once
    }

    /// Whether that is a record that had come in half when it was told to end: beside a spool it stays for its end to come.
    fn is_half_left(&self) -> bool {
        let is_told = self.plan.drains() || self.plan.sends(&["TERM", "HUP"]) > 0;
        let read = &self.plan.input[..self.read];
        is_told && self.plan.spools && self.left == self.plan.framing.begun(read)
    }

    /// Whether all that left weir must have arrived. A program that hears no more leaves the rest in its pipe.
    fn arrives(&self) -> bool {
        !self.plan.loses_consumer() && self.plan.deaf().is_none()
    }

    fn status(&self) -> Checked {
        let (plan, status) = (self.plan, self.outcome.status);
        let caused = match (status.code(), status.signal()) {
            (Some(0), _) if self.end == "consumer-gone" => {
                plan.deaf().is_some_and(|(_, status)| status == 0)
            }
            (Some(0), _) => {
                let said = &self.outcome.stderr;
                let is_dead = said.lines().any(|line| is_of_dying(plan, line));
                self.left == 0 && self.end == "eof" && !is_dead
            }
            (Some(1 | 125), _) if self.is_bereft() => {
                (self.left == 0 || self.is_half_left()) && self.end == "error"
            }
            // Not all that was shed could be kept.
            (Some(code @ (1 | 125)), _) => {
                let is_short = self.outcome.stderr.lines().any(|it| is_slow(plan, it));
                is_short && (code == 125) == plan.has_command() && self.end == "error"
            }
            (Some(7), _) => plan.deaf().is_some() && self.end == "command-failed",
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
        let early = early || plan.deaf().is_some() && !self.is_graceful();
        if !early && !plan.kills_before() {
            let is_all = plan.stop.is_some() || self.outcome.sent == self.read;
            ensure!(
                self.read == plan.whole() && is_all,
                "read {} of {} sent",
                self.read,
                self.outcome.sent
            );
        }
        Ok(())
    }

    /// The records, and what can be known from outside.
    fn balance(&self) -> Checked {
        ensure!(self.read <= self.plan.whole(), "more than was sent");
        ensure!(self.shed == 0 || self.plan.sheds, "shed unasked");
        let records = |what: &str| self.summary[what]["records"].as_u64();
        if self.plan.framing == Framing::None {
            ensure!(records("in").is_none(), "records without framing");
            return Ok(());
        }
        let all = ["in", "out", "shed", "undelivered"].map(|w| records(w).unwrap_or(u64::MAX / 4));
        let accounted = all[1] + all[2] + all[3];
        let is_tees = self.plan.has_tees() && all[0] < accounted;
        ensure!(all[0] == accounted || is_tees, "unbalanced records");
        if self.is_graceful() {
            let held = self.plan.framing.split(&self.plan.input[..self.read]).len();
            ensure!(all[0] == held as u64, "{held} records came in");
            // What comes again of a record that was not read to its end moves those behind it where nothing ends them.
            let is_moved = self.plan.falls() && matches!(self.plan.framing, Framing::Fixed(_));
            if self.arrives() && !is_moved {
                let got = self.plan.framing.split(&self.outcome.got).len();
                // The end of one that was begun may be shed, where COMMAND has fallen over it.
                let restarts = self.summary["command"]["restarts"].as_u64();
                let begun = restarts.filter(|_| self.plan.sheds).unwrap_or(0);
                let may = all[1]..=all[1] + begun;
                ensure!(may.contains(&(got as u64)), "{got} records arrived");
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
        let mut shown = self.outcome.shown.iter();
        shown.try_for_each(|shown| self.are_of(&self.plan.input, shown))
    }

    /// What was shown of this input.
    fn are_of(&self, input: &[u8], shown: &[u8]) -> Checked {
        are_of(self.plan.framing, input, shown)
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
        let input = self.ended_input();
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

    /// The input as a spool has it when it is opened next: with the end of its last record. What is not to be read any more
    /// ends it, too.
    fn ended_input(&self) -> Vec<u8> {
        // Or it was cut off inside of a record, and that was its end: so it is called unless a tee has failed meanwhile.
        let is_cut = self.plan.kills_before() && matches!(self.end.as_str(), "eof" | "error");
        let read = match self.plan.stop.is_some() || is_cut {
            true => &self.plan.input[..self.read],
            false => &self.plan.input[..],
        };
        self.plan.framing.ended(read)
    }

    /// A tee has got the beginning of all that was taken in, and beside a spool the next weir gives it what it had not
    /// got: in all it has each byte once. One that sheds is one that is shown something.
    fn copied(&self) -> Checked {
        if !self.plan.tees {
            return Ok(());
        }
        let [first, all] = &self.outcome.copied;
        if self.plan.sheds {
            return match self.plan.spools {
                true => self.are_of(&self.ended_input(), all),
                false => self.are_of(&self.plan.input, all),
            };
        }
        let input = &self.plan.input;
        ensure!(input.starts_with(first), "something else was copied");
        let ended = self.ended_input();
        ensure!(
            !self.plan.spools || ended.starts_with(all) && all.len() >= self.read,
            "{} and then {} bytes were copied of {}",
            first.len(),
            all.len(),
            self.read
        );
        let graceful = self.is_graceful() && self.has_succeeded();
        // A program that has had enough does not cut it short.
        let has_gone = matches!(self.end.as_str(), "command-failed" | "consumer-gone");
        let has_gone = has_gone && self.plan.has_command() && !self.plan.spools;
        ensure!(
            !(graceful || has_gone) || first.len() == self.read,
            "{} bytes were copied of {}",
            first.len(),
            self.read
        );
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
