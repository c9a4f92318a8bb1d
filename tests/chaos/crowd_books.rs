//! Is what came of programs that run side by side what the contract says? The end, the books, and each record once.

use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt;

use crate::crowd::Crowd;
use crate::crowd_run::{Outcome, run};
use crate::killed;

/// Runs the pipeline of a seed; what is wrong with it, if anything, is printed at once.
pub(crate) fn trouble(seed: u64) -> Option<String> {
    let plan = Crowd::draw(seed);
    let failure = run(&plan)
        .and_then(|outcome| check(&plan, &outcome))
        .err()?;
    let told = format!("{failure}\n{}\n", plan.describe());
    println!("{told}");
    Some(told)
}

fn check(plan: &Crowd, outcome: &Outcome) -> Result<(), String> {
    if outcome.is_killed {
        return killed::check_crowd(plan, outcome);
    }
    let end = check_end(plan, outcome);
    let told = |what| {
        format!(
            "{what}\n{:?} {}\n{}",
            outcome.status, outcome.stderr, outcome.summary
        )
    };
    end.and_then(|is_whole| check_records(plan, outcome, is_whole))
        .map_err(told)
}

/// Whether weir had the time to deliver all that it had read.
fn check_end(plan: &Crowd, outcome: &Outcome) -> Result<bool, String> {
    let number =
        |what: &str, unit: &str| outcome.summary[what][unit].as_u64().unwrap_or(u64::MAX / 4);
    for unit in ["bytes", "records"] {
        let [read, written, shed, left] =
            ["in", "out", "shed", "undelivered"].map(|what| number(what, unit));
        if read != written + shed + left {
            return Err(format!("unbalanced {unit}"));
        }
    }
    if number("shed", "bytes") > 0 && !plan.sheds && !plan.rejects {
        return Err("shed unasked".into());
    }
    let status = outcome.status;
    let is_caused = match (status.code(), status.signal()) {
        (Some(0), _) => !outcome.is_rejected,
        (Some(123), _) => plan.rejects && number("shed", "bytes") > 0,
        (Some(125), _) => {
            let is_short = plan.spills && outcome.stderr.contains("too slow");
            is_short && number("shed", "bytes") > 0
        }
        // How one has ended that was given the end of the input is how weir ends.
        (Some(3..=5 | 137 | 143), _) => plan.may_fail(),
        (_, Some(2)) => plan.sends(&["INT"]),
        (_, Some(1)) => plan.sends(&["HUP"]),
        (_, Some(15)) => plan.sends(&["TERM"]) || plan.tells("--drain"),
        _ => false,
    };
    if !is_caused {
        return Err("an end without a cause".into());
    }
    let is_given_up = status.code() == Some(123);
    let is_drained = outcome.summary["end"] == "drained";
    let is_whole = status.success() || is_given_up || is_drained;
    let is_all = number("in", "bytes") == plan.whole as u64;
    if number("in", "bytes") > plan.whole as u64 {
        return Err("more was read than was to be".into());
    }
    let told = format!(
        "{} {}\n",
        outcome.summary["end"].as_str().unwrap_or_default(),
        number("in", "bytes")
    );
    if plan.leaves_line() && outcome.line != told {
        return Err(format!(
            "at the end was told {:?}, not {told:?}",
            outcome.line
        ));
    }
    if is_whole && !(is_all || plan.tells("--drain")) {
        return Err("not all was read".into());
    }
    // What has come in half when it was told to end stays in the spool, for its end to come. Batches that were shed are
    // told by the status all the same.
    let read = plan.input.get(..number("in", "bytes") as usize);
    let half = read.map_or(0, |read| plan.framing.begun(read) as u64);
    let left = number("undelivered", "bytes");
    let is_told = is_drained || is_given_up && plan.tells("--drain");
    let stays = is_told && plan.spools && left == half;
    if is_whole && left > 0 && !stays {
        return Err("undelivered".into());
    }
    Ok(is_whole)
}

/// Each record was dealt with once, and whole, or shed.
fn check_records(plan: &Crowd, outcome: &Outcome, is_whole: bool) -> Result<(), String> {
    let read = outcome.summary["in"]["bytes"].as_u64().unwrap_or(0) as usize;
    let input = if is_whole {
        &plan.input[..read]
    } else {
        &plan.input[..]
    };
    let mut count: HashMap<&[u8], i64> = HashMap::new();
    for record in plan.framing.split(input) {
        *count.entry(record).or_default() += 1;
    }
    let ended = plan.framing.ended(input);
    let last_of = |bytes| plan.framing.split(bytes).pop().unwrap_or_default();
    let (last_sent, last_ended) = (last_of(input), last_of(&ended));
    let is_done = |file: &&(Vec<u8>, bool)| file.1 || !plan.is_batch;
    for (bytes, is_complete) in outcome
        .got
        .iter()
        .filter(is_done)
        .chain([&(outcome.spilt.clone(), true)])
    {
        let records = plan.framing.split(bytes);
        let last = records.len().saturating_sub(1);
        for (n, record) in records.into_iter().enumerate() {
            let said = String::from_utf8_lossy(&record[..record.len().min(80)]);
            // The next weir gives it the end that it lacks.
            let record = if record == last_ended {
                last_sent
            } else {
                record
            };
            let Some(left) = count.get_mut(record) else {
                // One that was killed may have had a part of its last, and so may have a weir that reads no more.
                if n == last && !(*is_complete && is_whole) {
                    continue;
                }
                return Err(format!("torn: {said:?}"));
            };
            *left -= 1;
            // A batch in hand comes again.
            let in_hand = plan.is_batch && plan.spools && !is_whole;
            if *left < 0 && !in_hand {
                return Err(format!("twice: {said:?}"));
            }
        }
    }
    let is_kept = plan.spills || !plan.sheds && !plan.rejects;
    let is_known = is_whole && !plan.may_lose() && is_kept;
    let missing = count.iter().find(|(_, n)| **n > 0);
    match missing.filter(|_| is_known && !outcome.stderr.contains("too slow")) {
        Some((record, _)) => Err(format!(
            "missing: {:?}",
            String::from_utf8_lossy(&record[..record.len().min(80)])
        )),
        None => Ok(()),
    }
}
