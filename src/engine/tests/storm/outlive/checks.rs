//! What must be so when a run has ended that another one goes on from.

use std::collections::{BTreeMap, BTreeSet};

use super::super::over::Inputs;
use crate::engine::directive::Directive;
use crate::engine::disk::Owed;
use crate::engine::side::Role;
use crate::engine::tests::sim::{Adversity, Outcome, Scenario};
use crate::engine::tests::text::records;
use crate::engine::ticket::Finish;

/// Each tee has got what lies behind its place, and all of it where nothing keeps it from that; each tap whole records.
pub(in crate::engine::tests::storm) fn assert_tees(
    outcome: &Outcome,
    input: &[u8],
    harm: Adversity,
    is_last: bool,
) {
    let plans = harm.sides.into_iter().flatten();
    for ((plan, got), base) in plans.zip(&outcome.sides).zip(&outcome.tee_bases) {
        if plan.role != Role::Tee {
            continue;
        }
        let (got, from) = (got.concat(), *base as usize);
        assert!(input[from..].starts_with(&got), "a tee gets something else");
        assert!(
            !is_last || plan.dies.is_some() || from + got.len() == input.len(),
            "a tee got less"
        );
    }
}

/// What a signal to all has ended is neither shed nor rejected, and nothing is begun behind it.
pub(super) fn assert_interrupted(outcome: &Outcome, harm: Adversity) {
    let Some(told) = harm.programs.told else {
        return;
    };
    for it in &outcome.tries {
        assert!(it.began <= told, "begun after the signal");
        let (number, part) = (it.ticket.number, it.ticket.stretch);
        let mut parts = outcome.left.inherited.parts.iter();
        let is_it = |owed: &Owed| matches!(owed, Owed::Batch(n, _) if *n == number);
        let mut is_owed = || parts.any(|(other, owed)| *other == part && is_it(owed));
        let is_cut = it.ended >= Some(told) && it.finish == Some(Finish::Interrupted);
        assert!(!is_cut || is_owed(), "a signal has shed a batch");
        let is_failed = it.ended >= Some(told) && it.finish == Some(Finish::Failed);
        assert!(!is_failed, "a signal counts as a failure");
    }
}

/// A batch ends with a record, where the next run gets the rest of one, too, but where one alone fills all the room: that
/// others fill the disk is no reason. Who has no memory has no room that could be told here.
pub(super) fn assert_none_torn(
    s: &Scenario,
    adversity: Adversity,
    batches: &BTreeMap<u64, (u64, u64)>,
    inputs: &Inputs,
) {
    let (framing, disk) = (s.rules.framing, adversity.disk);
    if framing.is_none() || adversity.short.is_some() {
        return;
    }
    // What is kept for those who look gives way only when somebody wants room.
    if adversity.recall.is_some() || adversity.lookers.iter().any(Option::is_some) {
        return;
    }
    // What a tee is owed that has died stays until it comes again.
    let mut sides = adversity.sides.iter().flatten();
    if sides.any(|it| it.role == Role::Tee && it.dies.is_some()) {
        return;
    }
    let marks = s.commands.iter().filter_map(|(_, it)| match it {
        Directive::Marks(marks) => Some(marks.high as u64),
        _ => None,
    });
    let high = marks.fold(s.rules.marks.high as u64, u64::min);
    // It gives room back in pieces.
    let piece = (disk.bound / 16).max(1);
    let mut room = high.min(disk.bound - piece);
    if disk.is_ours && disk.refuses.is_some() {
        // There may be no more than what was ours then, which was most of it.
        room = room.min((disk.bound / 2).saturating_sub(piece));
    }
    let mut ends = BTreeSet::new();
    let mut at = 0;
    let mut longest = 0;
    for record in records(framing, &inputs.all) {
        at += record.len() as u64;
        longest = longest.max(record.len() as u64);
        ends.insert(at);
    }
    // The rest of a record of which a tap has had a part stays until it has all of it.
    let is_tap = |role: Role| matches!(role, Role::Tap(_));
    let theirs = adversity.sides.iter().flatten().any(|it| is_tap(it.role));
    let room = room.saturating_sub(if theirs { longest } else { 0 });
    for (from, to) in batches.values() {
        if ends.contains(to) || inputs.ended.contains(&(*to as usize)) {
            continue;
        }
        let begun = ends.range(..to).next_back().copied().unwrap_or(0);
        let length = ends.range(to..).next().map_or(0, |end| end - begun);
        assert!(
            begun <= *from && length >= room,
            "a batch ends inside of a record of {length} bytes, {} behind its beginning, {} of it before that; there is room for {room}: {:?} {adversity:?}",
            to - begun,
            begun.saturating_sub(*from),
            s.rules
        );
    }
}
