//! Space is given back once all have had what lies there, and readers and the writer go on side by side meanwhile.

use super::super::format::ENTRY_MOST;
use super::super::reader::{Cursor, Piece};
use super::super::room::Full;
use super::super::segments::Appended;
use super::super::state::Place;
use super::{NOW, append, lines, open, read_all, read_from, roomy, small};

#[test]
fn space_is_given_back_in_whole_segments_and_the_bound_holds() {
    let home = tempfile::tempdir().unwrap();
    let spool = open(&home.path().join("q"), &small()).spool;
    let chunk = vec![b'x'; 10_000];
    let mut at = 0;
    let full = loop {
        match spool.append_some(&chunk, NOW).unwrap() {
            Appended::Bytes(n) => at += n as u64,
            other => break other,
        }
    };
    assert_eq!(full, Appended::Full(Full::Bound));
    assert!(at > 900_000, "{at}");
    assert!(spool.used() <= 1 << 20, "{}", spool.used());
    spool
        .set_place(
            "stdout",
            Place {
                at: 65_535,
                record: 0,
                begun: 0,
            },
        )
        .unwrap();
    spool.release(u64::MAX).unwrap();
    assert_eq!(
        spool.append_some(&chunk, NOW).unwrap(),
        Appended::Full(Full::Bound)
    );
    spool
        .set_place(
            "stdout",
            Place {
                at: 65_536,
                record: 0,
                begun: 0,
            },
        )
        .unwrap();
    spool
        .set_place(
            "a tee",
            Place {
                at: 0,
                record: 0,
                begun: 0,
            },
        )
        .unwrap();
    spool.release(u64::MAX).unwrap();
    assert_eq!(
        spool.append_some(&chunk, NOW).unwrap(),
        Appended::Full(Full::Bound)
    );
    spool.keep_places(&["stdout"]).unwrap();
    spool.release(u64::MAX).unwrap();
    assert!(matches!(
        spool.append_some(&chunk, NOW).unwrap(),
        Appended::Bytes(_)
    ));
    assert!(spool.used() <= 1 << 20);
}

#[test]
fn readers_at_different_places_go_on_while_another_thread_appends() {
    let home = tempfile::tempdir().unwrap();
    let spool = open(&home.path().join("q"), &roomy()).spool;
    let text = lines(0, 100_000);
    std::thread::scope(|scope| {
        scope.spawn(|| text.chunks(10_007).for_each(|piece| append(&spool, piece)));
        for _ in 0..2 {
            scope.spawn(|| {
                let mut cursor = Cursor::new(0);
                let mut got = Vec::new();
                while got.len() < text.len() {
                    let story = read_all(&spool, &mut cursor);
                    assert!(
                        story.gaps.is_empty() && story.unchecked.is_empty(),
                        "{story:?}"
                    );
                    got.extend(story.bytes());
                }
                assert!(got == text);
            });
        }
    });
}

#[test]
fn what_is_given_back_while_a_segment_is_begun_is_only_what_was_delivered() {
    let home = tempfile::tempdir().unwrap();
    let spool = open(&home.path().join("q"), &small()).spool;
    // A segment has 64 KiB: each is begun when all before it was delivered, as a rule.
    const PIECE: usize = 32 << 10;
    let pieces = 2_000_u64;
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let over = std::sync::atomic::Ordering::Acquire;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..pieces {
                let piece = [n as u8; PIECE];
                let mut rest = &piece[..];
                while !rest.is_empty() {
                    match spool.append_some(rest, NOW).unwrap() {
                        Appended::Bytes(taken) => rest = &rest[taken..],
                        _ => std::thread::yield_now(),
                    }
                }
            }
        });
        scope.spawn(|| {
            while !is_over.load(over) {
                spool.release(u64::MAX).unwrap();
            }
        });
        let mut cursor = Cursor::new(0);
        let mut buffer = vec![0; ENTRY_MOST];
        let end = pieces * PIECE as u64;
        while cursor.at() < end {
            match spool.read(&mut cursor, &mut buffer).unwrap() {
                Piece::Bytes { range, .. } => {
                    for (at, byte) in (cursor.at()..).zip(&buffer[range.clone()]) {
                        assert_eq!(*byte, (at / PIECE as u64) as u8, "at {at}");
                    }
                    cursor.advance(range.len() as u64);
                    let at = cursor.at();
                    let place = Place {
                        at,
                        ..Place::default()
                    };
                    spool.set_place("stdout", place).unwrap();
                }
                Piece::Gap(gap) => {
                    is_over.store(true, std::sync::atomic::Ordering::Release);
                    panic!("{gap}");
                }
                Piece::Gone => panic!("it is still owed"),
                Piece::End => std::thread::yield_now(),
            }
        }
        is_over.store(true, std::sync::atomic::Ordering::Release);
    });
}

#[test]
fn what_is_given_back_when_somebody_is_about_to_read_it_is_no_damage() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    let text = lines(0, 10_000);
    let spool = open(&path, &small()).spool;
    append(&spool, &text);
    let mut buffer = vec![0; ENTRY_MOST];
    // One has files open there, and the other has none yet; neither's place is saved.
    let (mut inside, mut outside) = (Cursor::new(0), Cursor::new(100_000));
    let piece = spool.read(&mut inside, &mut buffer).unwrap();
    assert!(matches!(piece, Piece::Bytes { .. }), "{piece:?}");
    spool.set_place("stdout", spool.end()).unwrap();
    assert!(spool.release(u64::MAX).unwrap());
    for cursor in [&mut inside, &mut outside] {
        assert_eq!(spool.read(cursor, &mut buffer).unwrap(), Piece::Gone);
    }
    assert!(!spool.is_damaged());
    // What comes is owed.
    let at = spool.end().at;
    append(&spool, &text);
    assert_eq!(read_from(&spool, at).bytes(), text);
}

#[test]
fn the_beginning_of_a_record_in_a_segment_that_is_longer_than_all_the_room_leaves_room_for_its_rest()
 {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    let long = [lines(0, 60_000), b"half".to_vec()].concat();
    let before = open(&path, &roomy()).spool;
    append(&before, &long);
    drop(before);
    let spool = open(&path, &small()).spool;
    assert!(spool.used() > 1 << 20, "{}", spool.used());
    let at = long.len() as u64 - 4;
    let place = |at| Place {
        at,
        record: 60_000,
        begun: 0,
    };
    spool.set_place("stdout", place(at / 2)).unwrap();
    let _ = spool.release(u64::MAX).unwrap();
    let full = spool.append_some(b"more", NOW).unwrap();
    assert_eq!(full, Appended::Full(Full::Bound), "half of it is owed");
    spool.set_place("stdout", place(at)).unwrap();
    assert!(spool.release(u64::MAX).unwrap(), "there is room now");
    assert!(!spool.release(u64::MAX).unwrap(), "and no more than that");
    append(&spool, b"-way\n");
    assert_eq!(read_from(&spool, at).bytes(), b"half-way\n");
    let used = spool.used();
    spool.set_place("stdout", spool.end()).unwrap();
    assert!(spool.release(u64::MAX).unwrap());
    let path = path.join(super::super::format::names(0).0);
    assert!(
        !path.exists() && spool.used() < used,
        "it is given back whole"
    );
    drop(spool);
}
