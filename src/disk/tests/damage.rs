//! What is hurt costs itself, is counted, said and set aside; the rest is delivered.

use std::fs::{self, OpenOptions};
use std::path::Path;

use super::super::damage::Cause;
use super::super::format::names;
use super::super::query::query;
use super::super::schedule::Policy;
use super::super::spool::{Spool, SpoolOptions};
use super::super::state::Place;
use super::{NOW, append, filled_with, flip, lines, open, read_from, roomy, small};

/// A spool of three entries of 256 KiB and a piece, in one segment, closed.
fn filled(path: &Path) -> Vec<u8> {
    filled_with(path, &roomy(), lines(0, 22_000))
}

#[test]
fn a_flipped_bit_in_the_data_costs_its_entry_which_is_set_aside() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    let text = filled(&path);
    flip(&path.join(names(0).0), 300_000);
    let opened = open(&path, &roomy());
    assert!(opened.damages.is_empty(), "not read for opening");
    let story = read_from(&opened.spool, 0);
    let (from, to) = (256 << 10, 512 << 10);
    assert_eq!(story.bytes(), [&text[..from], &text[to..]].concat());
    let [gap] = &story.gaps[..] else {
        panic!("{:?}", story.gaps)
    };
    assert_eq!(
        (gap.cause, gap.at, gap.bytes),
        (Cause::Checksum, from as u64, 256 << 10)
    );
    let lost = text[from..to].iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(gap.records, lost as u64);
    let aside = fs::read(path.join(gap.aside.as_ref().unwrap())).unwrap();
    assert_eq!(aside.len(), to - from);
    assert_eq!(
        aside
            .iter()
            .zip(&text[from..to])
            .filter(|(a, b)| a != b)
            .count(),
        1
    );
    assert_eq!(gap.to_string().lines().count(), 1);

    // It is said once, and known from then on.
    let again = read_from(&opened.spool, 0);
    assert!(again.gaps[0].known && again.gaps[0].bytes == gap.bytes);
    opened
        .spool
        .set_place(
            "stdout",
            Place {
                at: 5,
                record: 0,
                begun: 0,
            },
        )
        .unwrap();
    drop(opened);
    let status = query(&path).unwrap();
    assert_eq!(
        (status.lost_bytes, status.lost_records),
        (256 << 10, Some(lost as u64))
    );
    assert_eq!(status.aside, vec![gap.aside.clone().unwrap()]);
    assert!(read_from(&open(&path, &roomy()).spool, 0).gaps[0].known);
}

#[test]
fn a_reader_in_the_middle_of_a_damaged_entry_loses_only_what_it_had_not_had() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    filled(&path);
    flip(&path.join(names(0).0), 5);
    let spool = open(&path, &roomy()).spool;
    let story = read_from(&spool, 262_000);
    assert_eq!(story.gaps[0].bytes, (256 << 10) - 262_000);
}

#[test]
fn records_that_were_delivered_before_their_entry_was_damaged_are_not_counted_as_lost() {
    const LINE: u64 = 36;
    let (end, last) = (256 << 10, (256 << 10) / LINE);
    // Where the output was, and from where on it is given the rest.
    for (at, begun, from) in [(LINE * 20, 0, LINE * 20), (LINE * 20 + 3, 3, LINE * 20)] {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("q");
        let text = filled(&path);
        assert_eq!(text.len() as u64, LINE * 22_000);
        flip(&path.join(names(0).0), 100_000);
        let spool = open(&path, &roomy()).spool;
        let record = 20;
        let place = Place { at, record, begun };
        spool.set_place("stdout", place).unwrap();
        let gap = &read_from(&spool, from).gaps[0];
        assert_eq!((gap.bytes, gap.records), (end - from, last - record));
        assert!(gap.is_counted);
        spool.set_place("stdout", place).unwrap();
        let lost = query(&path).unwrap();
        assert_eq!(
            (lost.lost_bytes, lost.lost_records),
            (gap.bytes, Some(gap.records))
        );
        // So it is for who comes by there later; what nobody has counted is not made up.
        assert_eq!(read_from(&spool, from).gaps[0].records, last - record);
        let elsewhere = &read_from(&spool, LINE * 21).gaps[0];
        assert!(!elsewhere.is_counted && elsewhere.records == 0);
    }
}

#[test]
fn a_flipped_bit_anywhere_in_an_entry_of_the_index_loses_nothing_unsaid() {
    let home = tempfile::tempdir().unwrap();
    for at in 64..128 {
        let path = home.path().join(at.to_string());
        let text = filled(&path);
        flip(&path.join(names(0).1), at);
        let spool = open(&path, &roomy()).spool;
        let story = read_from(&spool, 0);
        let checksum = 64 + 32..64 + 36;
        if checksum.contains(&at) {
            assert_eq!(story.bytes(), text[256 << 10..]);
            assert_eq!((story.gaps.len(), story.lost()), (1, 256 << 10));
            assert!(story.gaps[0].aside.is_some());
        } else {
            // The bytes still match the checksum.
            assert_eq!(story.bytes(), text, "byte {at}");
            assert!(story.gaps.is_empty());
            assert_eq!(story.unchecked.len(), 1);
            assert_eq!(story.unchecked[0].cause, Cause::Index);
        }
    }
}

#[test]
fn an_index_that_is_gone_or_all_zeros_leaves_the_data_to_be_delivered() {
    let home = tempfile::tempdir().unwrap();
    for zeros in [false, true] {
        let path = home.path().join(zeros.to_string());
        let text = filled(&path);
        let index = path.join(names(0).1);
        let len = fs::read(&index).unwrap().len();
        if zeros {
            fs::write(&index, vec![0; len]).unwrap();
        } else {
            fs::remove_file(&index).unwrap();
        }
        let opened = open(&path, &roomy());
        assert_eq!(opened.damages[0].cause, Cause::Index);
        assert_eq!(opened.damages[0].bytes, text.len() as u64);
        let story = read_from(&opened.spool, 0);
        assert_eq!(story.bytes(), text);
        assert_eq!(opened.spool.end().record, 22_000);
    }
}

#[test]
fn a_file_that_is_shorter_by_a_byte_costs_its_last_entry() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    let text = filled(&path);
    let stream = OpenOptions::new()
        .write(true)
        .open(path.join(names(0).0))
        .unwrap();
    stream.set_len(text.len() as u64 - 1).unwrap();
    let opened = open(&path, &roomy());
    assert_eq!(opened.spool.end().at, text.len() as u64);
    append(&opened.spool, b"new\n");
    let story = read_from(&opened.spool, 0);
    let from = 3 * (256 << 10);
    assert_eq!(story.bytes(), [&text[..from], b"new\n"].concat());
    assert_eq!(story.gaps[0].cause, Cause::Missing);
    let aside = fs::read(path.join(story.gaps[0].aside.as_ref().unwrap())).unwrap();
    assert_eq!(aside, text[from..text.len() - 1]);
}

#[test]
fn a_segment_in_the_middle_that_is_gone_is_a_gap_and_a_query_sees_it() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    let options = small();
    let text = filled_with(&path, &options, lines(0, 10_000));
    let (stream, _) = names(2 * 65_536);
    fs::remove_file(path.join(stream)).unwrap();
    let status = query(&path).unwrap();
    assert_eq!(status.problems, vec!["65536 bytes at 131072 are missing"]);
    let story = read_from(&open(&path, &options).spool, 0);
    assert_eq!(story.bytes(), [&text[..131_072], &text[196_608..]].concat());
    assert_eq!((story.gaps.len(), story.lost()), (1, 65_536));
    let lost = &text[131_072..196_608];
    let records = lost.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(story.gaps[0].records, records as u64);
    assert!(story.gaps[0].is_counted);
}

#[test]
fn how_many_records_are_lost_is_told_only_where_it_is_known() {
    for neighbour in [true, false] {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("q");
        let options = small();
        let text = filled_with(&path, &options, lines(0, 10_000));
        fs::remove_file(path.join(names(2 * 65_536).0)).unwrap();
        if !neighbour {
            // What came before it is not to be counted, either.
            fs::remove_file(path.join(names(65_536).1)).unwrap();
        }
        let spool = open(&path, &options).spool;
        read_from(&spool, 0);
        spool.set_place("stdout", spool.end()).unwrap();
        drop(spool);
        let lost = &text[131_072..196_608];
        let records = lost.iter().filter(|byte| **byte == b'\n').count();
        let told = neighbour.then_some(records as u64);
        assert_eq!(query(&path).unwrap().lost_records, told);
    }
}

#[test]
fn what_comes_behind_a_last_byte_that_is_hurt_begins_with_a_record() {
    for (text, begun) in [(lines(0, 100), 0), (b"a line\nhalf".to_vec(), 4)] {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("q");
        let spool = open(&path, &roomy()).spool;
        append(&spool, &text);
        spool.set_place("stdout", Place::default()).unwrap();
        spool.close(false, u64::MAX).unwrap();
        drop(spool);
        flip(&path.join(names(0).0), text.len() as u64 - 1);
        assert_eq!(open(&path, &roomy()).spool.end().begun, begun);
    }
}

#[test]
fn a_spool_that_is_removed_under_a_running_weir_is_said_to_be_and_no_byte_goes_unsaid() {
    for policy in [roomy().policy, Policy::Off] {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("q");
        let options = SpoolOptions { policy, ..small() };
        let spool = open(&path, &options).spool;
        append(&spool, &lines(0, 10_000));
        fs::remove_dir_all(&path).unwrap();
        let story = read_from(&spool, 0);
        assert_eq!(story.lost() + story.bytes().len() as u64, 360_000);
        // What had not been forced to the disk is held open, and so is the last one.
        assert_eq!(
            story.gaps.is_empty(),
            policy != Policy::Off,
            "{:?}",
            story.gaps
        );
        assert!(story.bytes().len() >= 360_000 % 65_536);
        let error = spool.sync().unwrap_err().to_string();
        assert!(
            error.contains("was removed while weir was using it"),
            "{error}"
        );
        let error = loop {
            match spool.append_some(&[0; 10_000], NOW) {
                Ok(_) => {}
                Err(error) => break error.to_string(),
            }
        };
        assert!(
            error.contains("was removed while weir was using it"),
            "{error}"
        );
    }
}

#[test]
fn a_state_of_zeros_delivers_all_again_and_is_said() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    let text = filled(&path);
    let len = fs::read(path.join("state")).unwrap().len();
    for state in [vec![0; len], vec![0xff; len], Vec::new(), vec![0x77; 7]] {
        let spool = open(&path, &roomy()).spool;
        spool
            .set_place(
                "stdout",
                Place {
                    at: 100,
                    record: 2,
                    begun: 0,
                },
            )
            .unwrap();
        drop(spool);
        fs::write(path.join("state"), state).unwrap();
        let opened = open(&path, &roomy());
        assert_eq!(opened.damages.len(), 1);
        assert_eq!(opened.damages[0].cause, Cause::State);
        assert_eq!(opened.spool.place("stdout"), None);
        assert_eq!(read_from(&opened.spool, opened.oldest.at).bytes(), text);
    }
    fs::remove_file(path.join("state")).unwrap();
    assert!(query(&path).unwrap().problems[0].contains("places of outputs are not known"));
    assert_eq!(open(&path, &roomy()).damages[0].cause, Cause::State);
}

#[test]
fn a_flipped_bit_in_the_newest_save_costs_that_save() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    let spool = open(&path, &roomy()).spool;
    append(&spool, &lines(0, 1_000));
    for at in 1..=9 {
        spool
            .set_place(
                "stdout",
                Place {
                    at,
                    record: 0,
                    begun: 0,
                },
            )
            .unwrap();
    }
    drop(spool);
    let whole = fs::read(path.join("state")).unwrap();
    let mut places = Vec::new();
    for slot in 0..4 {
        fs::write(path.join("state"), &whole).unwrap();
        flip(&path.join("state"), slot * (32 << 10) + 70);
        let opened = open(&path, &roomy());
        assert_eq!(opened.damages.len(), 1, "{:?}", opened.damages);
        assert_eq!(opened.damages[0].cause, Cause::OldState);
        places.push(opened.spool.place("stdout").unwrap().at);
        drop(opened);
        assert!(open(&path, &roomy()).damages.is_empty(), "said once");
    }
    places.sort_unstable();
    assert_eq!(places, [8, 9, 9, 9]);
}

#[test]
fn an_unknown_version_is_refused_and_nothing_is_touched() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    let text = filled(&path);
    // A later weir's save: the same head, another version, its checksum right.
    let mut state = fs::read(path.join("state")).unwrap();
    for slot in state.chunks_mut(32 << 10) {
        let len = u32::from_le_bytes(slot[12..16].try_into().unwrap()) as usize;
        if len == 0 {
            continue;
        }
        slot[8] = 2;
        let crc = crc32fast::hash(&slot[..len - 4]);
        slot[len - 4..len].copy_from_slice(&crc.to_le_bytes());
    }
    fs::write(path.join("state"), &state).unwrap();
    let error = Spool::open(&path, &roomy()).unwrap_err().to_string();
    assert!(
        error.contains("format 2") && error.contains("use a newer weir"),
        "{error}"
    );
    assert!(query(&path).unwrap_err().to_string().contains("format 2"));
    assert_eq!(fs::read(path.join("state")).unwrap(), state);
    assert_eq!(fs::read(path.join(names(0).0)).unwrap(), text);
}
