//! What must be so at the end of a run, whatever came: as the neighbours saw it, and as the books have it.

use std::collections::BTreeMap;

use crate::engine::StopAt;
use crate::engine::directive::Directive;
use crate::engine::policy::Which;
use crate::engine::record::Framing;
use crate::engine::side::Role;
use crate::engine::tests::sim::{Adversity, Outcome, Scenario, Try};
use crate::engine::tests::text::records;
use crate::engine::ticket::Finish;

/// The output is the input with whole records removed, as far as it goes.
pub(super) fn assert_whole(s: &Scenario, outcome: &Outcome) {
    if s.rules.framing != Some(Framing::Terminator(b'\n')) {
        return;
    }
    // Where a piece of a record larger than the buffer was rejected, the rest has gone without it.
    let mut tries = outcome.tries.iter();
    let is_whole = tries.all(|it| it.bytes.ends_with(b"\n"))
        || outcome
            .engine
            .status(std::time::Instant::now())
            .shed
            .total
            .bytes
            == 0;
    let is_in_order = s.rules.batch.is_none_or(|batch| batch.jobs.most == 1);
    if is_in_order && is_whole && s.rules.workers.is_none() {
        assert_part(s, outcome.taken, &outcome.output);
    }
    for got in &outcome.sides {
        // Each reader of a tap begins behind where the one before it has left.
        for reader in got {
            assert_part(s, outcome.taken, reader);
        }
    }
}

/// This is the input with whole records removed.
fn assert_part(s: &Scenario, taken: usize, got: &[u8]) {
    let mut input = records(s.rules.framing, &s.input.0[..taken]).into_iter();
    let output = records(s.rules.framing, got);
    let (last, others) = output
        .split_last()
        .map_or((&[][..], &[][..]), |(l, o)| (l, o));
    for record in others {
        assert!(
            input.any(|other| other == *record),
            "torn, twice or out of order"
        );
    }
    let mut left = input;
    assert!(
        last.is_empty() || left.any(|other| other.starts_with(last)),
        "the last is torn"
    );
}

/// Each record was delivered or is in the file for what is shed; there in the order of the input, where the oldest go and
/// nothing else does.
pub(super) fn assert_divided(s: &Scenario, outcome: &Outcome, adversity: Adversity) {
    let is_lost = adversity.short.is_some() || adversity.disk.fails.is_some();
    let is_one = s.rules.batch.is_none() && s.rules.workers.is_none();
    // Behind a last record without an end another one may come in the file.
    let is_whole = s.input.0[..outcome.taken].ends_with(b"\n");
    let is_framed = s.rules.framing == Some(Framing::Terminator(b'\n'));
    if !is_framed || !is_whole || !is_one || is_lost {
        return;
    }
    let mut all = records(s.rules.framing, &s.input.0[..outcome.taken]);
    let shed = records(s.rules.framing, &outcome.spilled);
    let longest = all.iter().map(|it| it.len()).max().unwrap_or(0);
    let mut got = records(s.rules.framing, &outcome.output);
    got.extend(shed);
    all.sort_unstable();
    got.sort_unstable();
    assert!(
        all == got,
        "a record is neither delivered nor shed, or both"
    );
    let sheds_oldest = s.rules.shed.is_some_and(|it| it.which == Which::Oldest);
    let may_change = |it: &Directive| {
        matches!(
            it,
            Directive::Shed(_) | Directive::MaxAge(_) | Directive::Marks(_)
        )
    };
    let is_changed = s.commands.iter().any(|it| may_change(&it.1));
    let is_plain = s.rules.max_age.is_none() && longest < s.rules.marks.high / 4;
    let is_steady = adversity.falls == [None; 3];
    if sheds_oldest && is_plain && is_steady && !is_changed && adversity.lanes.is_none() {
        assert_part(s, outcome.taken, &outcome.spilled);
    }
}

/// The consumer has gone: tees that lose nothing by a rule or by themselves have got all that was read.
pub(super) fn assert_tees_have_all(s: &Scenario, outcome: &Outcome, adversity: Adversity) {
    let may_shed = |it: &Directive| matches!(it, Directive::Shed(_) | Directive::MaxAge(_));
    let sheds = s.rules.is_fresh() || s.commands.iter().any(|it| may_shed(&it.1));
    if sheds || adversity.disk.fails.is_some() {
        return;
    }
    let plans = adversity.sides.into_iter().flatten();
    for (plan, got) in plans.zip(&outcome.sides) {
        if plan.role == Role::Tee && plan.dies.is_none() {
            assert_eq!(
                got.concat(),
                s.input.0[..outcome.taken],
                "a tee got less when the consumer had gone"
            );
        }
    }
}

/// Each record was dealt with by one worker, or shed.
pub(super) fn assert_workers(s: &Scenario, outcome: &Outcome) {
    if s.rules.workers.is_none() || s.rules.framing != Some(Framing::Terminator(b'\n')) {
        return;
    }
    let mut left: BTreeMap<&[u8], u64> = BTreeMap::new();
    let taken = &s.input.0[..outcome.taken];
    for record in records(s.rules.framing, taken) {
        *left.entry(record).or_default() += 1;
    }
    let runs = outcome.workers.iter();
    for record in runs.flat_map(|run| records(s.rules.framing, run)) {
        let count = left.get_mut(record);
        let count = count.unwrap_or_else(|| panic!("torn: {:?}", String::from_utf8_lossy(record)));
        assert!(*count > 0, "twice: {:?}", String::from_utf8_lossy(record));
        *count -= 1;
    }
}

/// Each try of a batch gets the same, in whole records; none is tried again once it was dealt with, or too often; what
/// is shed of them is what failed too often or was rejected; and all of them in order are the input with whole
/// records removed.
pub(super) fn assert_batches(s: &Scenario, outcome: &Outcome, adversity: Adversity) {
    let Some(rules) = s.rules.batch else { return };
    let mut all: BTreeMap<u64, Vec<&Try>> = BTreeMap::new();
    for it in &outcome.tries {
        all.entry(it.ticket.number).or_default().push(it);
    }
    let (mut stream, mut records, mut shed) = (Vec::new(), 0, 0);
    for (n, (number, tries)) in all.iter().enumerate() {
        let first = tries[0];
        assert!(*number > n as u64 && !first.bytes.is_empty());
        for (n, it) in tries.iter().enumerate() {
            assert_eq!(it.bytes, first.bytes, "another batch under the same number");
            assert_eq!(it.ticket.trial as usize, n + 1);
            assert_eq!(it.ticket.records, first.ticket.records);
            let is_last_try = rules
                .give_up
                .is_some_and(|most| it.ticket.trial >= most.get());
            assert_eq!(it.ticket.is_last_try, is_last_try);
            let is_last = n + 1 == tries.len();
            assert!(
                is_last || it.finish == Some(Finish::Failed),
                "tried once more"
            );
        }
        let most = rules.give_up.map_or(usize::MAX, |most| most.get() as usize);
        assert!(tries.len() <= most, "tried too often");
        let last = tries[tries.len() - 1].finish;
        if last == Some(Finish::Rejected) || last == Some(Finish::Failed) && tries.len() == most {
            shed += first.bytes.len() as u64;
        }
        if let Some((count, from)) = first.ticket.records {
            assert!(from > records, "numbers of records go back");
            records = from + count - 1;
            let most = rules.records.map_or(u64::MAX, |most| most.get());
            assert!(count <= most, "{count} records");
        }
        let is_whole = s.rules.framing.is_some() && first.ticket.records.is_some_and(|it| it.0 > 1);
        if let Some(most) = rules.bytes.filter(|_| is_whole) {
            assert!(first.bytes.len() as u64 <= most.get(), "too many bytes");
        }
        stream.extend_from_slice(&first.bytes);
    }
    if s.rules.framing == Some(Framing::Terminator(b'\n')) {
        assert_part(s, outcome.taken, &stream);
    }
    let status = outcome.engine.status(std::time::Instant::now());
    let may_shed =
        |it: &Directive| matches!(it, Directive::Shed(Some(_)) | Directive::MaxAge(Some(_)));
    let others = s.rules.is_fresh() || s.commands.iter().any(|it| may_shed(&it.1));
    let total = status.shed.total.bytes;
    // The end of a try after a halt is not told any more.
    assert!(
        total == shed || total > shed && others || outcome.engine.is_halted(),
        "{total} shed, {shed} by failures"
    );
    let finish = outcome.told.iter().find(|it| it.1 == Directive::Finish);
    if let Some((at, _)) = finish {
        let mut tries = outcome.tries.iter();
        assert!(tries.all(|it| it.ordered <= *at), "tried after the end");
    }
    if let Some(told) = adversity.programs.told {
        let mut tries = outcome.tries.iter();
        assert!(tries.all(|it| it.began <= told), "begun after the signal");
    }
    assert_waits(s, outcome);
}

/// After a failure nobody tries for as long as the shortest wait; and then one alone.
fn assert_waits(s: &Scenario, outcome: &Outcome) {
    let Some(rules) = s.rules.batch.filter(|batch| batch.jobs.most == 1) else {
        return;
    };
    for pair in outcome.tries.windows(2) {
        let ended = pair[0].ended.expect("one after the other");
        let wait = pair[1].began.saturating_sub(ended);
        let failed = pair[0].finish == Some(Finish::Failed);
        assert!(
            !failed || wait >= rules.backoff.0,
            "tried again after {wait:?}"
        );
    }
}

/// Nothing is read beyond the end that was set, and all before it is where nothing else ends the run.
pub(super) fn assert_stops(s: &Scenario, outcome: &Outcome, adversity: Adversity) {
    let all = &s.input.0;
    let end = match s.rules.stop_at {
        None => return,
        Some(StopAt::Bytes(n)) => all.len().min(n as usize),
        Some(StopAt::Records(n)) => {
            let records = records(s.rules.framing, all);
            records.iter().take(n as usize).map(|it| it.len()).sum()
        }
    };
    assert!(outcome.taken <= end, "{} bytes beyond", outcome.taken - end);
    let is_cut = adversity.dies.or(adversity.halts).is_some() || adversity.short.is_some();
    let is_cut = is_cut || outcome.is_over;
    let is_end = |it: &Directive| matches!(it, Directive::Drain | Directive::Finish);
    let may_end = is_cut || s.commands.iter().any(|it| is_end(&it.1));
    assert!(
        !outcome.finished || may_end || outcome.taken == end,
        "stopped at {} of {end}: {:?}",
        outcome.taken,
        s.rules
    );
}

/// Each tee and tap has got all, but for what was dropped for it.
pub(super) fn assert_sides(s: &Scenario, outcome: &Outcome, adversity: Adversity) {
    let now = std::time::Instant::now();
    let read = outcome.engine.status(now).read;
    let all = outcome.engine.side_status(now);
    let plans = adversity.sides.into_iter().flatten();
    for ((side, got), plan) in all.iter().zip(&outcome.sides).zip(plans) {
        let n: usize = got.iter().map(Vec::len).sum();
        assert_eq!(side.written.bytes, n as u64, "{plan:?}");
        if let (Some(all), Some(written)) = (read.records, side.written.records) {
            let dropped = side.dropped.records.unwrap_or(0);
            let owed = if side.owed > 0 { all } else { 0 };
            assert!(
                (all..=all + owed).contains(&(written + dropped + owed)),
                "records of {plan:?}"
            );
        }
        let sheds = s.rules.shed.is_some()
            || s.commands
                .iter()
                .any(|it| matches!(it.1, Directive::Shed(_)));
        let is_ended =
            adversity.halts.is_some() || adversity.dies.is_some() || adversity.disk.fails.is_some();
        let is_ended = is_ended || s.commands.iter().any(|it| it.1 == Directive::Finish);
        if plan.role == Role::Tee && plan.dies.is_none() && !sheds && !is_ended {
            assert_eq!(got.concat(), s.input.0[..outcome.taken], "a tee got less");
        }
    }
}
