//! Workers who take side by side from a stream that outlives each of several runs, which are cut short somehow.

use std::collections::HashSet;

use super::dice::Dice;
use super::outlive::{assert_tees, give_tees_again, have_less_room, outlive, run_next};
use super::over::Inputs;
use super::scenario::scenario;
use super::{USUAL, number};
use crate::engine::Rules;
use crate::engine::directive::Directive;
use crate::engine::disk::{Inherited, Owed};
use crate::engine::record::Framing;
use crate::engine::tests::sim::{Adversity, Left, Text, WorkerScript};
use crate::engine::tests::text::records;
use crate::engine::ticket::Stretch;
use crate::engine::workers::WorkerRules;

/// A stream that outlives each of several runs, for several who take from it side by side, and fall: each byte is given to one of them, and again only where
/// it was taken back from one who had fallen, or belongs to a record that one had begun when weir was killed.
fn spooled_workers(seed: u64) {
    let (mut s, mut adversity) = scenario(seed);
    let mut dice = Dice(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) | 1);
    if s.rules.framing.is_none() {
        return;
    }
    let rules = s.rules.workers.unwrap_or_else(|| {
        let rules = dice.workers();
        adversity.workers = dice.worker_script(rules);
        rules
    });
    let count = rules.count;
    let mut adversity = outlive(&mut s, adversity, None);
    let mut rooms = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    s.rules.workers = Some(WorkerRules {
        count: dice.scaling(count),
        ..rules
    });
    let mut inputs = Inputs {
        all: s.input.0.clone(),
        ..Inputs::default()
    };
    let (mut taken, mut left) = (0, Left::default());
    for run in 0..4 {
        let is_last = run == 3;
        if run > 0 {
            have_less_room(&mut s, &mut adversity, &mut rooms);
        }
        let mut next = s.clone();
        let reach = inputs.reach(taken, is_last, s.rules.framing, &mut dice);
        let input = &inputs.all[..reach];
        next.input = Text(input[taken..].to_vec());
        let mut harm = Adversity {
            dies: None,
            ..adversity
        };
        if is_last {
            (harm.halts, harm.short) = (None, None);
            harm.workers = WorkerScript {
                lasts: harm.workers.lasts,
                ..WorkerScript::default()
            };
            let ends = |it: &Directive| {
                matches!(it, Directive::Drain | Directive::Finish | Directive::Pause)
            };
            next.commands.retain(|(_, it)| !ends(it));
        } else {
            harm.halts = Some(dice.micros(100_000));
        }
        let has_rest = begins_with_rest(&left);
        let outcome = run_next(left, next, harm, is_last);
        assert_tees(&outcome, input, harm, is_last);
        let long = (s.rules.capacity as u64).min(harm.disk.bound) / 4;
        // Where there is no memory records are given in parts.
        if harm.short.is_none() && !has_rest {
            assert_none_torn(&s.rules, harm, long as usize, &outcome.workers, input);
        }
        taken += outcome.taken;
        left = outcome.left.clone();
        if !is_last && dice.one_in(2) {
            begin_again(&mut left);
            give_tees_again(&mut left);
        }
        if outcome.finished {
            let status = outcome.engine.status(std::time::Instant::now());
            let gone = status.written;
            let half = outcome.engine.half_left();
            assert_eq!(status.read.bytes, gone.bytes + half, "bytes");
            let gone = gone.records.map(|n| n + u64::from(half > 0));
            assert_eq!(
                status.read.records, gone,
                "records of run {run}: {:?} {harm:?}",
                s.rules
            );
        }
        if !is_last {
            inputs.go_on(&mut left, &outcome, s.rules.framing);
            taken = left.bytes.len();
            let its = left.inherited.parts.iter();
            its.for_each(|(it, _)| inputs.assert_begins(it.from));
        }
    }
    assert_eq!(taken, inputs.all.len(), "all was taken");
    let mut parts = left.inherited.parts.iter();
    assert!(
        parts.all(|(_, owed)| *owed != Owed::Consumer),
        "all was given"
    );
}

/// Whether somebody has to be given the rest of a record without its beginning.
fn begins_with_rest(left: &Left) -> bool {
    let inherited = &left.inherited;
    let parts = || {
        let its = inherited.parts.iter();
        its.filter(|(_, owed)| *owed == Owed::Consumer)
    };
    let reaches_end = parts().any(|(it, _)| it.to == inherited.end);
    parts().any(|(it, _)| it.depths[0] > 0) || inherited.end_depth > 0 && !reaches_end
}

/// What each program was given behind its first record is records of the input, or the rest of one that is too long to be
/// given again whole, or the beginning of such a one.
fn assert_none_torn(rules: &Rules, harm: Adversity, long: usize, runs: &[Vec<u8>], input: &[u8]) {
    let framing = rules.framing;
    if matches!(framing, Some(Framing::Fixed(_))) {
        // Behind such a rest nobody can tell where records begin.
        return;
    }
    // What lies unread in pipes holds the disk, and nobody waits for that where it is full.
    let is_ample = harm.disk.full.is_none() && harm.disk.bound >= rules.capacity as u64;
    let whole: HashSet<&[u8]> = records(framing, input).into_iter().collect();
    for run in runs {
        let got = records(framing, run);
        for (n, record) in got.iter().enumerate().skip(1) {
            let is_last = n + 1 == got.len();
            let is_rest = |of: &[u8]| of.len() > long && of.ends_with(record);
            let is_begun =
                |of: &[u8]| is_last && of.starts_with(record) && (of.len() > long || !is_ample);
            let mut all = whole.iter();
            let is_whole = whole.contains(record) || all.any(|of| is_rest(of) || is_begun(of));
            let said = String::from_utf8_lossy(record);
            assert!(is_whole, "torn: {said:?}: {rules:?} {harm:?}");
        }
    }
}

/// It was killed: records that were begun are given again.
fn begin_again(left: &mut Left) {
    let Inherited {
        parts,
        end,
        end_depth,
        next,
        ..
    } = &mut left.inherited;
    let is_its = |owed: &Owed| *owed == Owed::Consumer;
    let reaches_end = parts.iter().any(|(it, owed)| is_its(owed) && it.to == *end);
    if !reaches_end && *end_depth > 0 {
        let whole = Stretch {
            from: *end,
            to: *end,
            depths: [*end_depth; 2],
            before: next.1,
            ..Stretch::default()
        };
        let last = parts.iter().filter(|(_, owed)| is_its(owed)).count();
        parts.insert(last, (whole, Owed::Consumer));
    }
    for (part, _) in parts.iter_mut().filter(|(_, owed)| is_its(owed)) {
        let begun = std::mem::take(&mut part.depths[0]);
        part.from -= begun;
        left.floor = left.floor.min(part.from);
        if part.to == *end {
            *next = (part.from, part.before, 0);
        }
    }
}

#[test]
fn what_workers_are_owed_of_what_outlives_a_run_they_get_once_whatever_ends_each_of_them() {
    let first = number("STORM_SEED", 1);
    for seed in first..first + number("STORM", USUAL) / 5 {
        let done = std::panic::catch_unwind(|| spooled_workers(seed));
        assert!(done.is_ok(), "STORM_SEED={seed} STORM=5");
    }
}
