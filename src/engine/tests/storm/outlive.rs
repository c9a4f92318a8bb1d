//! Streams that outlive each of several runs, which are cut short somehow.

mod checks;

use std::collections::BTreeMap;

use super::dice::Dice;
use super::over::Inputs;
use super::scenario::scenario;
use super::{USUAL, number};
use crate::engine::Rules;
use crate::engine::batch::BatchRules;
use crate::engine::directive::Directive;
use crate::engine::disk::Owed;
use crate::engine::tests::sim::{
    self, Adversity, Disk, Left, Outcome, Scenario, Script, Text, run_after,
};
use crate::engine::ticket::{Finish, Stretch, Tries};
pub(super) use checks::assert_tees;
use checks::{assert_interrupted, assert_none_torn};

/// What is taken in outlives the run; without what cannot be had together with that.
pub(super) fn outlive(
    s: &mut Scenario,
    adversity: Adversity,
    batch: Option<BatchRules>,
) -> Adversity {
    // Of what it takes in little may be in memory, and a record longer than that.
    let memory = s.rules.memory.map(|memory| 1 + memory % 1024);
    s.rules = Rules {
        memory: memory.or(Some(s.rules.capacity)),
        outlives: true,
        keeps_given: false,
        batch,
        workers: None,
        shed: None,
        max_age: None,
        stop_at: None,
        ..s.rules
    };
    let sheds = |it: &Directive| matches!(it, Directive::Shed(_) | Directive::MaxAge(_));
    s.commands.retain(|(_, it)| !sheds(it));
    Adversity {
        falls: [None; 3],
        over: None,
        lanes: None,
        disk: Disk {
            tears: None,
            fails: None,
            ..adversity.disk
        },
        ..adversity
    }
}

/// Less room than the runs before it had, maybe, be that of the buffer or on the disk: what they left may be more than that.
pub(super) fn have_less_room(s: &mut Scenario, adversity: &mut Adversity, dice: &mut Dice) {
    if dice.one_in(3) {
        s.rules.marks = dice.marks(s.rules.marks.high);
    }
    if dice.one_in(3) {
        adversity.disk.bound = 64 + dice.roll(adversity.disk.bound);
    }
}

/// A stream that outlives each of several runs, which are cut short somehow: each goes on where what is remembered of
/// the one before it ends, in order or where that was killed, and in the end all has come out once, but for what those
/// who were killed had begun of a record.
///
/// Tees go on where each of them was; what was lost to one that has failed is what passed until the consumer's place when
/// it comes again. Taps and those who look hold nothing up.
fn spool(seed: u64) {
    let (mut s, adversity) = scenario(seed);
    let adversity = outlive(&mut s, adversity, None);
    let mut inputs = Inputs {
        all: s.input.0.clone(),
        ..Inputs::default()
    };
    let mut dice = Dice(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) | 1);
    let mut rooms = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut adversity = adversity;
    let (mut delivered, mut taken, mut left) = (Vec::new(), 0, Left::default());
    for run in 0..4 {
        let is_last = run == 3;
        if run > 0 {
            have_less_room(&mut s, &mut adversity, &mut rooms);
        }
        let mut next = s.clone();
        let reach = inputs.reach(taken, is_last, s.rules.framing, &mut dice);
        let input = &inputs.all[..reach];
        next.input = Text(input[taken..].to_vec());
        let mut harm = adversity;
        if is_last {
            (harm.dies, harm.halts, harm.short) = (None, None, None);
            next.takes = sim::glutton();
            next.commands
                .retain(|(_, it)| !matches!(it, Directive::Drain | Directive::Finish));
        } else if dice.one_in(2) {
            harm.halts = Some(dice.micros(100_000));
        }
        let before = left.inherited.parts.iter();
        let before = before.filter(|(_, owed)| *owed == Owed::Consumer);
        let before: usize = before.map(|(it, _)| (it.to - it.from) as usize).sum();
        let outcome = run_next(left, next, harm, is_last);
        assert_tees(&outcome, input, harm, is_last);
        delivered.extend_from_slice(&outcome.output);
        taken += outcome.taken;
        let status = outcome.engine.status(std::time::Instant::now());
        assert!(status.read.bytes <= (before + outcome.taken) as u64);
        left = outcome.left.clone();
        if !is_last && dice.one_in(2) {
            // It was killed: what the consumer has begun of a record is given again.
            let mut parts = left.inherited.parts.iter_mut();
            let part = parts.find(|(_, owed)| *owed == Owed::Consumer);
            if let Some((part, _)) = part {
                let begun = (part.depths[0] as usize).min(delivered.len());
                delivered.truncate(delivered.len() - begun);
                part.from -= begun as u64;
                part.depths[0] -= begun as u64;
                left.floor = left.floor.min(part.from);
            }
            give_tees_again(&mut left);
        }
        if outcome.finished {
            let gone = status.written;
            let half = outcome.engine.half_left();
            assert_eq!(status.read.bytes, gone.bytes + half, "bytes");
            let gone = gone.records.map(|n| n + u64::from(half > 0));
            assert_eq!(status.read.records, gone, "records");
        }
        if !is_last {
            let has_had = inputs.go_on(&mut left, &outcome, s.rules.framing);
            // Who has had all of that record has had its end, too.
            let until = if has_had {
                left.bytes.len()
            } else {
                delivered.len()
            };
            delivered.extend_from_slice(&inputs.all[delivered.len()..until]);
            taken = left.bytes.len();
        }
    }
    let input = inputs.all;
    assert_eq!(taken, input.len(), "all was taken");
    assert!(delivered == input, "what came is not what was sent");
}

/// Another run of it, the last of which comes to an end.
pub(super) fn run_next(left: Left, s: Scenario, harm: Adversity, is_last: bool) -> Outcome {
    let rules = s.rules;
    let outcome = run_after(left, s, harm);
    assert!(!outcome.span, "somebody spins");
    assert!(
        !is_last || outcome.finished,
        "stuck: {rules:?} {harm:?} {:?}",
        outcome.engine
    );
    outcome
}

/// Those who were killed had begun records: tees get them again from their beginnings.
pub(super) fn give_tees_again(left: &mut Left) {
    for (part, owed) in &mut left.inherited.parts {
        if matches!(owed, Owed::Tee(_)) {
            let begun = std::mem::take(&mut part.depths[0]);
            part.from -= begun;
            left.floor = left.floor.min(part.from);
        }
    }
}

/// The same in batches: those that are not known to have been dealt with come again with the same number and the same
/// bytes, and in the end each byte was dealt with in one of them.
pub(super) fn spooled_batches(seed: u64) {
    let (mut s, mut adversity) = scenario(seed);
    let mut dice = Dice(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) | 1);
    let mut signals = Dice(seed.wrapping_mul(0xd134_2543_de82_ef95) | 1);
    let capacity = s.rules.capacity;
    let framed = s.rules.framing.is_some();
    if s.rules.batch.is_none() {
        adversity.programs = dice.script();
    }
    let batch = s
        .rules
        .batch
        .unwrap_or_else(|| dice.batch(capacity, framed));
    let mut adversity = outlive(&mut s, adversity, Some(batch));
    let mut rooms = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut inputs = Inputs {
        all: s.input.0.clone(),
        ..Inputs::default()
    };
    let (mut taken, mut left) = (0, Left::default());
    let mut sheds = false;
    let mut known: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    let mut trials: BTreeMap<u64, u32> = BTreeMap::new();
    let mut cut_short: BTreeMap<u64, u32> = BTreeMap::new();
    let mut dealt_with: BTreeMap<u64, u64> = BTreeMap::new();
    for run in 0..4 {
        let is_last = run == 3;
        if run > 0 {
            have_less_room(&mut s, &mut adversity, &mut rooms);
        }
        let mut next = s.clone();
        let reach = inputs.reach(taken, is_last, s.rules.framing, &mut dice);
        let input = &inputs.all[..reach];
        next.input = Text(input[taken..].to_vec());
        let mut harm = adversity;
        if is_last {
            (harm.dies, harm.halts, harm.short) = (None, None, None);
            harm.programs = Script::default();
            next.commands.retain(|(_, it)| {
                !matches!(it, Directive::Drain | Directive::Finish | Directive::Pause)
            });
        } else {
            harm.halts = Some(dice.micros(100_000));
        }
        if !is_last && seed.is_multiple_of(3) {
            harm.programs.refuses = Some(2 + signals.roll(4));
        }
        if !is_last && seed % 4 == 1 {
            let told = signals.micros(60_000);
            harm.programs.told = Some(told);
            let heard = told + signals.micros(2_000);
            next.commands.push((heard, Directive::Finish));
        }
        let outcome = run_next(left, next, harm, is_last);
        taken += outcome.taken;
        assert_tees(&outcome, input, harm, is_last);
        let status = outcome.engine.status(std::time::Instant::now());
        if let Some(read) = status.read.records.filter(|_| outcome.finished) {
            let gone = status.written.records.zip(status.shed.total.records);
            let half = u64::from(outcome.engine.half_left() > 0);
            assert_eq!(Some(read), gone.map(|(a, b)| a + b + half), "records");
        }
        assert_interrupted(&outcome, harm);
        for it in &outcome.tries {
            let part = it.ticket.stretch;
            inputs.assert_begins(part.from);
            let lies = &input[part.from as usize..part.to as usize];
            assert!(it.bytes == lies, "a batch is not what came");
            let records = it.ticket.records.map_or(0, |(count, _)| count);
            let is_bounded = batch.records.is_none_or(|most| records <= most.get());
            assert!(is_bounded, "{records} records in a batch");
            let place = known
                .entry(it.ticket.number)
                .or_insert((part.from, part.to));
            assert_eq!(
                *place,
                (part.from, part.to),
                "another batch under the same number"
            );
            let before = trials.insert(it.ticket.number, it.ticket.trial);
            assert!(before < Some(it.ticket.trial), "its tries count anew");
            let spared = cut_short.entry(it.ticket.number).or_insert(0);
            let failed = it.ticket.trial - *spared;
            let is_last_try = batch.give_up.is_some_and(|most| failed >= most.get());
            assert_eq!(it.ticket.is_last_try, is_last_try, "try {failed}");
            *spared += u32::from(it.finish == Some(Finish::Interrupted));
        }
        left = outcome.left.clone();
        let is_owed = |from: u64| {
            let mut parts = left.inherited.parts.iter();
            parts.any(|(it, owed)| it.from == from && !matches!(owed, Owed::Tee(_)))
        };
        for it in &outcome.tries {
            let from = it.ticket.stretch.from;
            assert!(
                !dealt_with.contains_key(&from),
                "what was dealt with is tried again"
            );
        }
        for (from, to) in known.values().filter(|(from, _)| !is_owed(*from)) {
            dealt_with.insert(*from, *to);
        }
        let shed = left.inherited.parts.iter();
        let shed = shed.filter(|(_, owed)| *owed == Owed::Overflow).count();
        assert!(!is_last || shed == 0, "the file lacks something");
        sheds |= shed > 0;
        // It was killed before it could be written down that the last one was dealt with.
        let lost = outcome.tries.last().filter(|_| !is_last && dice.one_in(2));
        if let Some(it) = lost
            && dealt_with.remove(&it.ticket.stretch.from).is_some()
        {
            let part = it.ticket.stretch;
            let tries = Tries {
                all: it.ticket.trial,
                interrupted: cut_short.get(&it.ticket.number).copied().unwrap_or(0),
            };
            let again = (part, Owed::Batch(it.ticket.number, tries));
            let parts = &mut left.inherited.parts;
            let is_ahead =
                |it: &(Stretch, Owed)| it.0.from < part.from && !matches!(it.1, Owed::Tee(_));
            let behind = parts.partition_point(is_ahead);
            parts.insert(behind, again);
            left.floor = left.floor.min(part.from);
        }
        if !is_last {
            inputs.go_on(&mut left, &outcome, s.rules.framing);
            taken = left.bytes.len();
        }
    }
    assert_eq!(taken, inputs.all.len(), "all was taken");
    // What waits for the file for what is shed has room of its own on the disk.
    if !sheds {
        assert_none_torn(&s, adversity, &known, &inputs);
    }
    let mut to = 0;
    for (from, end) in dealt_with {
        // What ends a record that was dealt with as it was is nobody's.
        to += u64::from(from == to + 1 && inputs.ended.contains(&(to as usize)));
        assert_eq!(from, to, "something is left out, or dealt with twice");
        to = end;
    }
    to += u64::from(inputs.ended.contains(&(to as usize)));
    assert_eq!(to, inputs.all.len() as u64, "all was dealt with");
}

#[test]
fn batches_that_outlive_a_run_are_tried_again_as_they_were() {
    let first = number("STORM_SEED", 1);
    for seed in first..first + number("STORM", USUAL) / 5 {
        let done = std::panic::catch_unwind(|| spooled_batches(seed));
        assert!(done.is_ok(), "STORM_SEED={seed} STORM=5");
    }
}

#[test]
fn what_outlives_a_run_comes_out_once_whatever_ends_each_of_them() {
    let first = number("STORM_SEED", 1);
    for seed in first..first + number("STORM", USUAL) / 5 {
        let done = std::panic::catch_unwind(|| spool(seed));
        assert!(done.is_ok(), "STORM_SEED={seed} STORM=5");
    }
}
