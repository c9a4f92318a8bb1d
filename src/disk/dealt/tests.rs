//! What several have dealt with of one stream, out of order: what is owed, to whom, and what is written down of that.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// Records have ten bytes.
fn place(at: u64) -> Place {
    Place {
        at,
        record: at / 10,
        begun: at % 10,
    }
}

fn span(from: u64, to: u64) -> Span {
    (place(from), place(to))
}

fn parts(journal: &Journal) -> Vec<(u64, u64)> {
    journal
        .open
        .iter()
        .map(|it| (it.place.at, it.end))
        .collect()
}

#[test]
fn what_others_have_in_hand_is_owed_and_what_falls_back_is_owed_again() {
    let mut dealt = Dealt::after(None, place(0));
    dealt.on_written(1, span(20, 40));
    dealt.on_written(2, span(60, 80));
    let journal = dealt.journal();
    assert_eq!(parts(&journal), [(0, 20), (40, 60)]);
    assert_eq!((journal.low(), journal.next), (place(0), place(80)));
    assert_eq!(journal.open[1].records, 2);
    dealt.on_written(0, span(0, 20));
    dealt.give_back(2, &[span(70, 80)]);
    assert_eq!(parts(&dealt.journal()), [(40, 60), (70, 80)]);
    dealt.on_written(0, span(40, 60));
    dealt.on_written(0, span(70, 80));
    assert!(dealt.has_all(80));
    assert_eq!(dealt.journal(), Journal::at(place(80)));
}

#[test]
fn a_record_that_was_begun_is_owed_whole_unless_nothing_else_fits() {
    let mut dealt = Dealt::after(None, place(0));
    dealt.on_written(1, span(10, 25));
    dealt.on_written(0, span(0, 10));
    assert!(dealt.has_all(25));
    assert_eq!(dealt.journal(), Journal::at(place(20)));
    assert!(!dealt.lets_go_of_begun(30, 30), "there is more");
    assert!(
        !dealt.lets_go_of_begun(25, 20),
        "somebody else is in the way"
    );
    assert!(dealt.lets_go_of_begun(25, 25));
    assert_eq!(dealt.journal(), Journal::at(place(25)));
    dealt.on_written(1, span(25, 33));
    assert_eq!(dealt.journal(), Journal::at(place(30)));
    // It falls with what it has begun.
    dealt.give_back(1, &[span(30, 33)]);
    assert!(!dealt.has_all(33));
    assert_eq!(dealt.journal(), Journal::at(place(30)));
}

#[test]
fn no_part_ends_inside_of_a_record_that_is_owed_from_its_beginning() {
    let mut dealt = Dealt::after(None, place(0));
    dealt.on_written(0, span(0, 6));
    dealt.on_written(1, span(10, 25));
    let journal = dealt.journal();
    assert_eq!((parts(&journal), journal.next), (vec![(0, 10)], place(20)));
    // What it has given back touches that.
    dealt.give_back(1, &[span(10, 25)]);
    let journal = dealt.journal();
    assert_eq!((parts(&journal), journal.next), (vec![(0, 20)], place(20)));
    assert_eq!(dealt.missing_in(&journal), 0);
    dealt.on_written(0, span(6, 10));
    dealt.on_written(1, span(10, 37));
    let journal = dealt.journal();
    assert_eq!(journal, Journal::at(place(30)));
    // Another one is behind it.
    dealt.on_written(0, span(40, 50));
    assert_eq!(parts(&dealt.journal()), [(30, 40)]);
}

#[test]
fn what_is_lost_is_owed_to_nobody_and_what_follows_has_its_number() {
    let mut dealt = Dealt::after(None, place(0));
    dealt.on_written(1, span(60, 80));
    dealt.lose(0, 33, 3, None);
    dealt.lose(80, 120, 4, Some(12));
    let journal = dealt.journal();
    assert_eq!(parts(&journal), [(33, 60)]);
    assert_eq!((journal.open[0].place.record, journal.next.record), (3, 12));
}

#[test]
fn batches_of_an_earlier_run_are_parts_that_are_owed_and_their_numbers_stay_theirs() {
    let mut journal = Journal::at(place(0));
    let batch = |number, from, to| Entry {
        number,
        opening: 2,
        tries: 3,
        is_open: true,
        ..untried(span(from, to))
    };
    journal.begin(batch(7, 20, 40));
    journal.begin(batch(8, 40, 60));
    let dealt = Dealt::after(Some(journal.clone()), place(10));
    let journal = dealt.journal();
    assert_eq!(parts(&journal), [(10, 60)]);
    assert_eq!((journal.last, journal.next), (8, place(60)));
}

#[test]
fn there_are_never_more_parts_than_there_is_room_for_and_none_is_left_out() {
    let mut dealt = Dealt::after(None, place(0));
    let parts = BATCHES_MOST as u64 + 50;
    // Fifty of the gaps are short.
    for k in 0..parts {
        let to = if k % 9 == 4 { 50 } else { 90 };
        dealt.on_written(0, span(k * 100 + 10, k * 100 + to));
    }
    let journal = dealt.journal();
    assert_eq!(journal.open.len(), BATCHES_MOST);
    assert_eq!(journal.low(), place(0));
    let saved: u64 = journal.open.iter().map(|it| it.end - it.place.at).sum();
    let owed: u64 = dealt.owed.values().map(|(from, to)| to.at - from.at).sum();
    assert!(owed < saved && saved < owed + 50 * 81, "{owed} {saved}");
    assert_eq!(dealt.missing_in(&journal), 0);
    let records: u64 = journal.open.iter().map(|it| it.records).sum();
    assert_eq!(records, saved / 10);
}

proptest! {
    #[test]
    fn it_is_what_a_set_of_places_would_be(
        steps in prop::collection::vec((0usize..3, 0u64..300, 1u64..60, any::<bool>()), 1..80),
    ) {
        let (mut dealt, mut had) = (Dealt::after(None, place(0)), BTreeSet::new());
        let mut furthest = 0;
        for (who, from, n, is_given) in steps {
            // Records alone, so that what has begun does not matter.
            let (from, to) = (from / 10 * 10, (from + n).next_multiple_of(10));
            if is_given {
                dealt.on_written(who, span(from, to));
                had.extend(from..to);
                furthest = to.max(furthest);
            } else {
                dealt.give_back(who, &[span(from, to)]);
                had.retain(|at| !(from..to).contains(at));
            }
            let journal = dealt.journal();
            let owed: BTreeSet<u64> = parts(&journal).into_iter().flat_map(|(a, b)| a..b).collect();
            let wanted: BTreeSet<u64> = (0..furthest).filter(|at| !had.contains(at)).collect();
            prop_assert_eq!(&owed, &wanted);
            prop_assert_eq!(journal.next, place(furthest));
            prop_assert!(journal.open.windows(2).all(|two| two[0].end < two[1].place.at));
            prop_assert!(journal.open.iter().all(|it| it.records * 10 == it.end - it.place.at));
            prop_assert_eq!(Dealt::after(Some(journal.clone()), journal.low()).journal(), journal);
        }
    }
}
