//! Weir itself is killed (`kill -9`), and others go on with its spool and its input: what was taken in is there.
//!
//! Invariant: of what came from a pipe nothing is missing, and each kill repeats one write for each output at most, or what
//! each program had in hand. A socket may lose one read with each kill, a program that falls its pipe.

mod tests;

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use wait_timeout::ChildExt;

use crate::books::{Checked, are_of, ensure};
use crate::crowd::Crowd;
use crate::crowd_run;
use crate::dice::Dice;
use crate::dying::is_of_forgotten;
use crate::falling;
use crate::files;
use crate::harness::{DEADLINE, collect};
use crate::plan::{AGAIN, Action, Link, Plan};
use crate::reports;
use crate::run::Outcome;
use crate::stream::{Framing, LONGEST};

/// Pipelines in which that has happened.
pub(crate) static KILLED: AtomicU64 = AtomicU64::new(0);

/// A write is a segment's worth at most.
const WRITE_MOST: usize = 256 << 10;
/// What is taken from a socket at once.
const READ_MOST: usize = 1 << 20;
/// In so many places it may have begun.
const LIKELY: usize = 20;
/// What lies in the pipe of a program that weir runs, at most.
const PIPE_MOST: usize = 1 << 20;
/// What lies in the pipes towards somebody who does not read it, and what a `cat` between them has in hand.
const PIPES_MOST: usize = (2 << 20) + (256 << 10);

/// So long do those run that go on, until each is killed; the one behind them is not.
pub(crate) fn draw(dice: &mut Dice) -> Vec<Duration> {
    let times = dice.between(0, 2);
    (0..times).map(|_| dice.millis(0, 40)).collect()
}

/// What one weir has written, to its output and to its tee.
#[derive(Debug)]
pub(crate) struct Part {
    pub got: Vec<u8>,
    pub copied: Vec<u8>,
}

/// Others go on, one after the other, with what the killed one has left and with what is there to be read.
pub(crate) fn go_on(
    plan: &Plan,
    dir: &Path,
    input: Option<OwnedFd>,
    copied: &[u8],
) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut before = copied.len();
    let kills = plan.kills.iter().copied().map(Some);
    for kill in kills.chain([None]) {
        let mut weir = files::next(plan.framing, dir);
        if plan.tees {
            weir.arg("--tee").arg(dir.join("copy"));
        }
        if plan.falls() {
            weir.args(AGAIN);
            files::run_command(plan, &mut weir);
        }
        let is_known = |line: &str| is_of_forgotten(plan, line);
        let got = run(weir, input.as_ref(), kill, is_known)?;
        let got = falling::net(plan, got)?;
        let all = files::added(plan, dir, "copy", true)?;
        ensure!(before <= all.len(), "what was copied is gone");
        let copied = all[before..].to_vec();
        before = all.len();
        parts.push(Part { got, copied });
    }
    Ok(parts)
}

/// Runs it, for so long. What it has written.
pub(crate) fn run(
    mut weir: Command,
    input: Option<&OwnedFd>,
    kill: Option<Duration>,
    is_known: impl Fn(&str) -> bool,
) -> Result<Vec<u8>, String> {
    let stdin = input.map(|input| input.try_clone().expect("a duplicate"));
    weir.stdin(stdin.map_or_else(Stdio::null, Stdio::from));
    let (output, stdout) = std::io::pipe().expect("a pipe");
    let (said, stderr) = std::io::pipe().expect("a pipe");
    let mut child = weir.stdout(stdout).stderr(stderr).spawn().expect("a weir");
    drop(weir);
    let (got, said) = (collect(output), collect(said));
    if let Some(after) = kill {
        thread::sleep(after);
        let _ = child.kill();
    }
    let status = child.wait_timeout(DEADLINE).expect("wait for weir");
    let Some(status) = status else {
        let _ = child.kill();
        let _ = child.wait();
        return Err("the next weir hangs".into());
    };
    let (got, said) = (got.done(), said.done());
    let said = String::from_utf8_lossy(&said);
    let is_silent = said.lines().count() <= 1;
    let is_silent = is_silent && said.lines().all(is_known);
    let is_right = status.success() && is_silent || kill.is_some() && !status.success();
    ensure!(is_right, "the next weir: {status:?} {said}");
    Ok(got)
}

/// How many bytes are the same at the beginning of both.
fn alike<'a>(one: impl Iterator<Item = &'a u8>, other: impl Iterator<Item = &'a u8>) -> usize {
    one.zip(other).take_while(|(a, b)| a == b).count()
}

/// How what one weir has written may follow on what was written before it.
struct Rule {
    /// So much may come again,
    again: usize,
    /// so much may be missing, since nobody has read it,
    unread: usize,
    /// and so much, since it was never taken in.
    lost: usize,
    framing: Framing,
    /// All of the input was there to be read.
    is_all: bool,
}

impl Rule {
    /// What these weirs have written of the input, of which the first wrote so much, is all of it.
    fn check(
        &self,
        input: &[u8],
        first: usize,
        parts: &[&[u8]],
        what: &str,
    ) -> Result<usize, String> {
        // It is at one of these places, as far as is known.
        let (mut least, mut most) = (first, first);
        let last = parts.len().saturating_sub(1);
        for (n, part) in parts.iter().enumerate() {
            // One that was killed had not yet begun to write.
            if part.is_empty() && n < last {
                continue;
            }
            // What comes behind what a socket has lost.
            let tail = match self.lost {
                0 => 0,
                _ => alike(part.iter().rev(), input.iter().rev()),
            };
            let from = least.saturating_sub(self.again)..=(most + self.unread).min(input.len());
            let each = from.clone();
            let ends = each.filter_map(|from| self.end_of(input, from, part, n == last, tail));
            let mut ends: Vec<usize> = ends.collect();
            if ends.is_empty() && self.lost > 0 {
                ends.extend(self.behind_a_hole(input, from, part, n == last));
            }
            let (Some(first), Some(end)) = (ends.iter().min(), ends.iter().max()) else {
                return Err(format!(
                    "{what}: the {} bytes of weir {n} behind the killed one do not go on at {least}..{most} of {}: {:?}",
                    part.len(),
                    input.len(),
                    String::from_utf8_lossy(&part[..part.len().min(40)])
                ));
            };
            (least, most) = (*first, *end);
        }
        Ok(most)
    }

    /// Where this ends, if it begins in one of these places, and a read is missing inside of it.
    fn behind_a_hole(
        &self,
        input: &[u8],
        from: impl Iterator<Item = usize>,
        part: &[u8],
        is_last: bool,
    ) -> Option<usize> {
        let begun = from.map(|from| (alike(part.iter(), input[from..].iter()), from));
        let mut begun: Vec<(usize, usize)> = begun.collect();
        // Or it is missing at the very beginning.
        let last = begun.last().map(|(_, from)| (0, *from));
        begun.sort_unstable();
        let longest = begun.into_iter().rev().take(LIKELY);
        let mut ends = longest.chain(last).filter_map(|(same, from)| {
            let rest = &part[same..];
            let mut behind = from + same..=(from + same + self.lost).min(input.len());
            Some(behind.find(|at| input[*at..].starts_with(rest))? + rest.len())
        });
        ends.find(|to| !is_last || !self.is_all || *to == input.len())
    }

    /// Where this ends, if it is the input from here on, which has its end in common with it so far.
    fn end_of(
        &self,
        input: &[u8],
        from: usize,
        part: &[u8],
        is_last: bool,
        tail: usize,
    ) -> Option<usize> {
        let rest = &input[from..];
        let same = alike(part.iter(), rest.iter());
        let end = from + same;
        // A record that has no end when the input is over is given one by the next weir.
        let is_ended = same == part.len() || self.framing.end() == Some(&part[same..]);
        if is_ended && (!is_last || !self.is_all || end == input.len()) {
            return Some(end);
        }
        let missing = input.len().checked_sub(from + part.len())?;
        let is_hole = missing <= self.lost && same + tail >= part.len();
        (is_hole && self.lost > 0).then_some(input.len())
    }
}

/// Checks what came of a weir that was killed, and of those that went on.
pub(crate) fn check(plan: &Plan, outcome: &Outcome, parts: &[Part]) -> Checked {
    KILLED.fetch_add(1, Relaxed);
    let input = &plan.input;
    ensure!(
        input.starts_with(&outcome.got),
        "not the beginning of the input"
    );
    let mut taken = 0;
    for line in outcome.log.lines().filter(|line| line.starts_with('{')) {
        // The last one may be cut off by the kill.
        let Ok(report) = serde_json::from_str::<serde_json::Value>(line) else {
            continue;
        };
        ensure!(reports::is_balanced(plan, line), "unbalanced: {line}");
        taken = report["in"]["bytes"].as_u64().unwrap_or(0) as usize;
    }
    let is_unread = plan.loses_consumer() || plan.deaf().is_some();
    let rule = Rule {
        again: plan.in_hand().unwrap_or(WRITE_MOST + LONGEST),
        unread: match plan.falls() {
            // What it has left is lost where nobody is there any more who would take it back.
            true => PIPE_MOST,
            false if is_unread => PIPES_MOST,
            false => 0,
        },
        lost: if plan.before == Link::Socket {
            READ_MOST
        } else {
            0
        },
        framing: plan.framing,
        is_all: !plan.is_of_files() && !plan.kills_before(),
    };
    ensure!(taken <= plan.whole(), "{taken} were read, behind the mark");
    // What is not to be read any more ends a record, and another weir may read on nevertheless.
    let closed = plan.stop.and_then(|mark| {
        let (read, rest) = input.split_at(mark);
        let closed = [&plan.framing.ended(read), rest].concat();
        (closed.len() > input.len() && !rest.is_empty()).then_some(closed)
    });
    let check = |rule: &Rule, first, all: &[&[u8]], what| {
        let as_sent = rule.check(input, first, all, what);
        match &closed {
            Some(closed) if as_sent.is_err() => rule.check(closed, first, all, what),
            _ => as_sent,
        }
    };
    let all: Vec<&[u8]> = parts.iter().map(|part| &part.got[..]).collect();
    let end = check(&rule, outcome.got.len(), &all, "delivered")?;
    ensure!(
        end >= taken || rule.lost > 0,
        "{taken} bytes were taken in, {end} are there"
    );
    for shown in &outcome.shown {
        are_of(plan.framing, input, shown)?;
    }
    if !plan.tees {
        return Ok(());
    }
    let first = &outcome.copied[0];
    ensure!(input.starts_with(first), "something else was copied");
    let rule = Rule {
        again: WRITE_MOST + LONGEST,
        unread: 0,
        ..rule
    };
    let all: Vec<&[u8]> = parts.iter().map(|part| &part.copied[..]).collect();
    check(&rule, first.len(), &all, "copied").map(drop)
}

impl Plan {
    /// Whether weir is killed, if it has not ended by then.
    pub(crate) fn is_killed(&self) -> bool {
        self.actions.iter().any(|it| matches!(it, Action::Kill))
    }

    /// The bytes of a batch, at most.
    fn in_hand(&self) -> Option<usize> {
        let limit = self.told("--batch").next()?;
        let bytes = limit.split(',').find_map(|part| match part {
            "9999B" => Some(9999),
            "64KiB" => Some(64 << 10),
            part => part.parse::<usize>().ok().map(|n| n * LONGEST),
        });
        Some(bytes.map_or(self.input.len(), |bytes| bytes + LONGEST))
    }
}

/// Checks what came of programs side by side whose weir was killed so many times: each record was dealt with, and again
/// only what each had in hand.
pub(crate) fn check_crowd(plan: &Crowd, outcome: &crowd_run::Outcome) -> Checked {
    KILLED.fetch_add(1, Relaxed);
    let records = plan.framing.split(&plan.input);
    let ended = plan.framing.ended(&plan.input);
    let mut place: HashMap<&[u8], usize> = HashMap::new();
    place.extend(records.iter().enumerate().map(|(n, record)| (*record, n)));
    place.extend(
        plan.framing
            .split(&ended)
            .pop()
            .map(|it| (it, records.len() - 1)),
    );
    let mut times = vec![0u32; records.len()];
    let spilt = (outcome.spilt.clone(), true);
    let is_done = |file: &&(Vec<u8>, bool)| file.1 || !plan.is_batch;
    for (bytes, is_whole) in outcome.got.iter().filter(is_done).chain([&spilt]) {
        let parts = plan.framing.split(bytes);
        let last = parts.len().saturating_sub(1);
        for (n, record) in parts.into_iter().enumerate() {
            match place.get(record) {
                Some(at) => times[*at] += 1,
                // Its program was given no more of it.
                None if n == last && !is_whole => {}
                None => {
                    let said = String::from_utf8_lossy(&record[..record.len().min(80)]);
                    return Err(format!("torn: {said:?}"));
                }
            }
        }
    }
    let is_again = |n: usize| times[n] > 1;
    let again = (0..times.len()).filter(|n| is_again(*n) && (*n == 0 || !is_again(n - 1)));
    let (again, kills) = (again.count(), plan.kills.len() + 1);
    let most = plan.jobs_most() * kills;
    ensure!(
        again <= most,
        "in {again} places records come again, for {kills} kills"
    );
    let is_kept = plan.spills || !plan.rejects;
    let is_known = is_kept && !plan.may_lose_when_killed() && !outcome.stderr.contains("too slow");
    let missing = times.iter().position(|times| *times == 0);
    ensure!(
        missing.is_none() || !is_known,
        "record {missing:?} of {} is missing",
        records.len()
    );
    Ok(())
}

/// Others go on with what the killed one has left: the same again, each of which is killed, and then one that delivers
/// what is left to be delivered.
pub(crate) fn go_on_side_by_side(
    plan: &Crowd,
    dir: &Path,
    command: impl Fn() -> Command,
    input: &OwnedFd,
) -> Result<Vec<u8>, String> {
    for kill in &plan.kills {
        let mut weir = command();
        let (said, stderr) = std::io::pipe().expect("a pipe");
        weir.stdin(input.try_clone().expect("a duplicate"));
        weir.stdout(Stdio::null()).stderr(stderr);
        let mut child = weir.spawn().expect("a weir");
        drop(weir);
        thread::sleep(*kill);
        let _ = child.kill();
        let _ = child.wait();
        // Its programs have this end, too.
        collect(said).done();
    }
    run(plan.rest(dir), Some(input), None, |_| false)
}

/// The log of a weir may be cut off by a kill; what it was before is there.
pub(crate) fn summary_of(log: &str) -> Option<serde_json::Value> {
    let is_last = |line: &&str| line.contains(r#""event":"summary""#);
    serde_json::from_str(log.lines().rfind(is_last)?).ok()
}
