//! Files of a spool that are gone: what they held is told as far as anything is left to tell it, and the rest is there.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::super::damage::Cause;
use super::super::format::names;
use super::super::query::query;
use super::super::spool::{Spool, SpoolOptions};
use super::super::state::Place;
use super::super::sys::Call;
use super::faults;
use super::{append, lines, open, read_from, small};

/// A spool of several segments, all entered, that was killed: nobody has had any of it.
fn killed(path: &Path) -> Vec<u8> {
    let text = lines(0, 8_000);
    let spool = open(path, &small()).spool;
    spool.set_place("stdout", Place::default()).unwrap();
    append(&spool, &text);
    spool.sync().unwrap();
    text
}

/// Where its segments begin.
fn bases(path: &Path) -> Vec<u64> {
    let stems = fs::read_dir(path).unwrap().map(|it| it.unwrap().path());
    let is_stream = |it: &PathBuf| it.extension().is_some_and(|it| it == "stream");
    let stems = stems.filter(is_stream);
    let mut bases: Vec<u64> = stems
        .map(|it| it.file_stem().unwrap().to_str().unwrap().parse().unwrap())
        .collect();
    bases.sort_unstable();
    bases
}

fn reads_all_but(spool: &Spool, text: &[u8], lost: std::ops::Range<usize>) {
    let story = read_from(spool, 0);
    assert_eq!(story.lost(), lost.len() as u64, "{:?}", story.gaps);
    assert!(story.bytes() == [&text[..lost.start], &text[lost.end..]].concat());
}

#[test]
fn an_index_that_is_gone_costs_nothing_whichever_it_is() {
    let home = tempfile::tempdir().unwrap();
    for nth in 0..4 {
        let path = home.path().join(nth.to_string());
        let text = killed(&path);
        fs::remove_file(path.join(names(bases(&path)[nth]).1)).unwrap();
        for _ in 0..2 {
            let opened = open(&path, &small());
            reads_all_but(&opened.spool, &text, 0..0);
            assert!(opened.spool.sync_and_find().unwrap().is_empty());
        }
        assert_eq!(query(&path).unwrap().lost_bytes, 0);
    }
}

#[test]
fn a_last_segment_that_is_gone_is_told_by_its_index_with_its_records() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    let text = killed(&path);
    let last = *bases(&path).last().unwrap();
    fs::remove_file(path.join(names(last).0)).unwrap();
    let lost = last as usize..text.len();
    let opened = open(&path, &small());
    reads_all_but(&opened.spool, &text, lost.clone());
    opened.spool.set_place("stdout", Place::default()).unwrap();
    let status = query(&path).unwrap();
    let ends = text[lost.clone()].iter().filter(|byte| **byte == b'\n');
    assert_eq!(status.lost_bytes, lost.len() as u64);
    assert_eq!(status.lost_records, Some(ends.count() as u64));
    // What comes goes on behind it, and the next start knows as much.
    append(&opened.spool, b"new\n");
    drop(opened);
    let opened = open(&path, &small());
    assert_eq!(
        read_from(&opened.spool, text.len() as u64).bytes(),
        b"new\n"
    );
    reads_all_but(&opened.spool, &[&text[..], b"new\n"].concat(), lost);
}

#[test]
fn last_segments_that_are_gone_are_told_by_their_indexes_alone_where_nothing_was_saved_since() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    let text = lines(0, 8_000);
    let spool = open(&path, &small()).spool;
    spool.set_place("stdout", Place::default()).unwrap();
    append(&spool, &text);
    drop(spool);
    // Of the last one nothing is entered, and nothing tells of that.
    let bases = bases(&path);
    let [.., first, last] = bases[..] else {
        panic!("{bases:?}")
    };
    for base in [first, last] {
        fs::remove_file(path.join(names(base).0)).unwrap();
    }
    let opened = open(&path, &small());
    assert_eq!(opened.spool.end().at, last);
    reads_all_but(
        &opened.spool,
        &text[..last as usize],
        first as usize..last as usize,
    );
    assert!(opened.spool.is_damaged());
}

#[test]
fn after_another_start_of_the_system_a_first_segment_that_is_gone_may_have_been_delivered_and_is_said()
 {
    let home = tempfile::tempdir().unwrap();
    for is_synced in [true, false] {
        let path = home.path().join(is_synced.to_string());
        let text = lines(0, 8_000);
        let spool = open(&path, &small()).spool;
        spool.set_place("stdout", Place::default()).unwrap();
        append(&spool, &text);
        if is_synced {
            spool.sync().unwrap();
        }
        drop(spool);
        let (stream, index) = names(0);
        fs::remove_file(path.join(stream)).unwrap();
        fs::remove_file(path.join(index)).unwrap();
        let other = SpoolOptions {
            boot: Some([8; 16]),
            ..small()
        };
        let opened = open(&path, &other);
        let second = bases(&path)[0];
        // What was on the disk is gone only because it was given back.
        let unsure = opened
            .damages
            .iter()
            .find(|it| it.cause == Cause::Uncertain);
        let unsure = unsure.map(|it| (it.at, it.bytes));
        assert_eq!(unsure, (!is_synced).then_some((0, second)));
        let place = opened.spool.place("stdout").unwrap();
        assert_eq!(place.at, second);
        let story = read_from(&opened.spool, second);
        let lost = story.lost() as usize;
        assert!(text[second as usize..].starts_with(&story.bytes()) || lost > 0);
    }
}

#[test]
fn an_index_that_a_kill_left_behind_when_its_segment_was_given_back_is_no_loss() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    let text = killed(&path);
    let last = path.join(names(*bases(&path).last().unwrap()).1);
    let index = fs::read(&last).unwrap();
    let spool = open(&path, &small()).spool;
    spool.set_place("stdout", spool.end()).unwrap();
    spool.close(false, u64::MAX).unwrap();
    drop(spool);
    assert!(bases(&path).is_empty(), "all was given back");
    fs::write(&last, index).unwrap();
    let opened = open(&path, &small());
    assert_eq!(opened.spool.end().at, text.len() as u64);
    assert_eq!(read_from(&opened.spool, text.len() as u64).lost(), 0);
    assert!(!opened.spool.is_damaged() && !last.exists());
}

#[test]
fn an_index_of_another_spool_is_neither_believed_nor_removed() {
    let home = tempfile::tempdir().unwrap();
    let (path, other) = (home.path().join("q"), home.path().join("other"));
    let text = killed(&path);
    let beyond = lines(0, 16_000);
    let spool = open(&other, &small()).spool;
    append(&spool, &beyond);
    spool.sync().unwrap();
    drop(spool);
    let last = *bases(&other).last().unwrap();
    assert!(last as usize > text.len());
    let name = names(last).1;
    let index = fs::read(other.join(&name)).unwrap();
    // As it is, one whose head is damaged, and one of this spool under another segment's name.
    let mut headless = index.clone();
    headless[20] ^= 1;
    let own = fs::read(path.join(names(bases(&path)[1]).1)).unwrap();
    for (nth, index) in [index, headless, own].into_iter().enumerate() {
        fs::write(path.join(&name), &index).unwrap();
        let opened = open(&path, &small());
        assert_eq!(opened.spool.end().at, text.len() as u64, "{nth}");
        let [damage] = &opened.damages[..] else {
            panic!("{:?}", opened.damages)
        };
        assert_eq!(damage.cause, Cause::Foreign);
        assert!(!opened.spool.is_damaged() && !path.join(&name).exists());
        let aside = damage.aside.as_deref().expect("it is kept");
        assert_eq!(fs::read(path.join(aside)).unwrap(), index);
        assert_eq!(query(&path).unwrap().aside.len(), nth + 1);
        reads_all_but(&opened.spool, &text, 0..0);
    }
    assert!(open(&path, &small()).damages.is_empty(), "it is said once");
}

#[test]
fn an_index_that_is_left_alone_after_the_state_was_lost_is_still_of_this_spool() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    let text = killed(&path);
    let slots = fs::read(path.join("state")).unwrap().len();
    fs::write(path.join("state"), vec![0; slots]).unwrap();
    let spool = open(&path, &small()).spool;
    spool.set_place("stdout", spool.end()).unwrap();
    // The stream goes, and its index cannot be removed.
    faults::fail(Errno::ROFS, &[Call::Name], 1, 1);
    assert!(spool.release(u64::MAX).is_err());
    faults::set(None);
    assert!(!path.join(names(0).0).exists() && path.join(names(0).1).exists());
    drop(spool);
    let opened = open(&path, &small());
    assert!(opened.damages.is_empty(), "{:?}", opened.damages);
    assert_eq!(opened.spool.end().at, text.len() as u64);
    assert!(!path.join(names(0).1).exists());
}
