//! The journal of batches: what is dealt with, begun, tried and shed, and that it is read as it was written.

use super::*;

fn place(at: u64) -> Place {
    Place {
        at,
        record: at / 10,
        begun: 0,
    }
}

fn entry(number: u64, from: u64, end: u64) -> Entry {
    Entry {
        number,
        opening: 3,
        tries: 1,
        interrupted: 0,
        is_open: number.is_multiple_of(2),
        is_shed: false,
        is_ended: number.is_multiple_of(3),
        records: (end - from) / 10,
        place: place(from),
        end,
        begun: 0,
    }
}

#[test]
fn what_is_in_no_batch_and_before_the_next_is_acknowledged() {
    let mut journal = Journal::at(place(100));
    journal.begin(entry(1, 100, 200));
    journal.begin(entry(2, 200, 300));
    journal.begin(entry(3, 300, 400));
    journal.remove(2);
    assert_eq!(
        (journal.low().at, journal.next.at, journal.last),
        (100, 400, 3)
    );
    journal.remove(1);
    assert_eq!(journal.low(), place(300));
    let again = Entry {
        tries: 2,
        ..entry(3, 300, 400)
    };
    journal.begin(again);
    assert_eq!(journal.open, [again]);
    journal.remove(3);
    assert_eq!(
        journal,
        Journal {
            last: 3,
            ..Journal::at(place(400))
        }
    );
}

#[test]
fn those_ahead_of_one_that_begins_are_known_as_they_are() {
    let untried = |number, from, end| Entry {
        tries: 0,
        ..entry(number, from, end)
    };
    let ahead = [untried(1, 0, 100), untried(2, 100, 200)];
    let mut journal = Journal::at(place(0));
    journal.close(&ahead);
    journal.begin(entry(3, 200, 300));
    let all = [ahead[0], ahead[1], entry(3, 200, 300)];
    assert_eq!((&journal.open[..], journal.last), (&all[..], 3));
    journal.begin(entry(1, 0, 100));
    journal.remove(1);
    // Said late, when it has ended already, and another one has begun.
    journal.close(&ahead);
    assert_eq!(journal.open, all[1..]);
    journal.adopt(9);
    assert_eq!(journal.open, all[1..], "it keeps its number");
}

#[test]
fn one_that_begins_before_others_that_come_before_it_leaves_them_theirs() {
    let mut journal = Journal::at(place(0));
    journal.begin(entry(3, 200, 300));
    assert_eq!((journal.low().at, journal.next.at), (0, 300));
    journal.remove(3);
    journal.begin(entry(2, 100, 200));
    journal.remove(2);
    let ahead = journal.open[0];
    assert_eq!(
        (journal.open.len(), ahead.place, ahead.end),
        (1, place(0), 100)
    );
    assert_eq!((ahead.records, ahead.tries), (10, 0));
    journal.begin(entry(6, 500, 600));
    journal.begin(entry(4, 300, 400));
    journal.adopt(9);
    let names: Vec<_> = journal
        .open
        .iter()
        .map(|it| (it.opening, it.number))
        .collect();
    assert_eq!(names, [(9, 7), (3, 4), (9, 8), (3, 6)]);
    assert_eq!(journal.last, 8);
}

#[test]
fn one_that_is_shed_stays_until_the_file_has_it() {
    let mut journal = Journal::at(place(0));
    for n in 0..2 * BATCHES_MOST as u64 {
        journal.begin(entry(n, n * 10, n * 10 + 10));
        journal.shed(n);
    }
    assert!(journal.open.len() < BATCHES_MOST, "it fits");
    assert!(journal.open.iter().all(|it| it.is_shed));
    let end = journal.open[5].end;
    let before = journal.open.len();
    journal.on_shed_written(end - 1, end);
    assert_eq!(journal.open.len(), before - 1);
    assert!(journal.open.iter().all(|it| it.end != end));
}

#[test]
fn a_stream_that_passes_takes_batches_with_it() {
    let mut journal = Journal::at(place(0));
    journal.begin(entry(1, 0, 100));
    journal.begin(entry(2, 100, 200));
    journal.begin(entry(5, 200, 300));
    journal.remove(2);
    assert_eq!(journal.pass(place(50)), place(50));
    assert_eq!(journal.pass(place(100)), place(200));
    assert_eq!(journal.pass(place(250)), place(250));
    assert_eq!(journal.open.len(), 1);
    assert_eq!(journal.pass(place(300)), place(300));
    assert!(journal.open.is_empty());
    // The last record of this one got its end, which is one byte behind it.
    let ended = Entry {
        is_ended: true,
        ..entry(4, 300, 400)
    };
    journal.begin(ended);
    journal.next = ended.whole();
    assert_eq!(
        journal.pass(place(400)),
        place(400),
        "the end is still owed"
    );
    assert_eq!(journal.pass(ended.whole()), ended.whole());
    assert!(journal.open.is_empty());
}

#[test]
fn a_try_that_no_program_was_run_in_is_none_however_often_that_is_said() {
    let mut journal = Journal::at(place(0));
    for tries in 1..=2 {
        journal.begin(Entry {
            tries,
            ..entry(6, 0, 100)
        });
    }
    for _ in 0..3 {
        journal.give_back(6, 1);
    }
    journal.give_back(7, 0);
    assert_eq!((journal.open.len(), journal.open[0].tries), (1, 1));
    journal.give_back(6, 2);
    assert_eq!(journal.open[0].tries, 1, "nothing is added");
}

#[test]
fn tries_that_were_cut_short_stay_counted_as_such_whatever_comes_after_them() {
    let mut journal = Journal::at(place(0));
    for tries in 1..=5 {
        journal.begin(Entry {
            tries,
            ..entry(6, 0, 100)
        });
        if tries % 2 == 0 {
            journal.interrupt(6);
        }
    }
    journal.interrupt(7);
    let counts = |it: &Journal| {
        it.open
            .iter()
            .map(|it| (it.tries, it.interrupted))
            .collect::<Vec<_>>()
    };
    assert_eq!(counts(&journal), [(5, 2)]);
    let read_back = |journal: &Journal| {
        let mut bytes = Vec::new();
        Journal::encode(Some(journal), &mut bytes);
        let back = Journal::decode(&bytes).flatten();
        assert_eq!(back.as_ref(), Some(journal));
    };
    read_back(&journal);
    journal.open[0].interrupted = INTERRUPTED_MOST - 1;
    for _ in 0..3 {
        journal.interrupt(6);
        read_back(&journal);
    }
    assert_eq!(counts(&journal), [(5, INTERRUPTED_MOST)]);
}

#[test]
fn it_is_read_as_it_was_written_and_anything_else_is_refused() {
    let mut journal = Journal::at(place(7));
    for n in 1..=BATCHES_MOST as u64 {
        journal.begin(entry(n, n * 50 - 43, n * 50 + 7));
    }
    for journal in [None, Some(Journal::default()), Some(journal)] {
        let mut bytes = Vec::new();
        Journal::encode(journal.as_ref(), &mut bytes);
        assert_eq!(Journal::decode(&bytes), Some(journal.clone()));
        for cut in [0, 3, bytes.len() - 1] {
            assert_eq!(Journal::decode(&bytes[..cut]), None, "{cut}");
        }
        let fits = bytes.len() + 4096 < super::super::state::SLOT;
        assert!(fits, "{} bytes", bytes.len());
    }
    assert_eq!(Journal::decode(&[9; 100]), None);
}
