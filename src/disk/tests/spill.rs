//! What memory has no room for, in files that nobody sees.

use std::fs;

use super::super::room::Full;
use super::super::spill::{Spill, SpillHome};

fn spill(bound: u64) -> (tempfile::TempDir, Spill) {
    let directory = tempfile::tempdir().unwrap();
    let home = SpillHome::find(Some(directory.path().into())).unwrap();
    let spill = Spill::new(home, bound).unwrap();
    (directory, spill)
}

/// Numbered lines, so that each is different.
fn lines(count: usize) -> Vec<u8> {
    let line = |n| format!("{n:09} and what is said about it\n").into_bytes();
    (0..count).flat_map(line).collect()
}

#[test]
fn what_was_spilled_comes_back_in_order_and_no_name_is_seen() {
    let (directory, spill) = spill(1 << 20);
    let text = lines(10_000);
    for (i, piece) in text.chunks(7_777).enumerate() {
        assert_eq!(spill.append(piece).unwrap(), Ok(i as u64 * 7_777));
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    for size in [1_000, 5_555, 100_000] {
        let mut back = vec![0; text.len()];
        for (i, piece) in back.chunks_mut(size).enumerate() {
            spill.read((i * size) as u64, piece).unwrap();
        }
        assert!(back == text, "in pieces of {size}");
    }
    let error = spill.read(text.len() as u64 - 1, &mut [0; 2]).unwrap_err();
    assert!(error.to_string().contains("read back"), "{error}");
}

#[test]
fn a_spill_holds_its_bound_and_goes_on_for_ever_within_it() {
    let (_directory, spill) = spill(1 << 20);
    let piece = vec![b'x'; 50_000];
    let (mut read, mut full) = (0u64, 0);
    while full < 100 {
        match spill.append(&piece).unwrap() {
            Ok(_) => {}
            Err(Full::Bound) => {
                full += 1;
                assert!(spill.used() > 900_000, "{} are used", spill.used());
                read += 200_000;
                let before = spill.used();
                assert!(spill.release(read));
                assert!(spill.used() < before);
            }
            Err(Full::Disk) => panic!("the disk is full"),
        }
        assert!(spill.used() <= 1 << 20);
    }
    spill.release(u64::MAX);
    assert_eq!(spill.used(), 0);
    let at = spill.append(b"on").unwrap().expect("room");
    // What was given back is asked for by who is no longer owed it, and then it is nobody's.
    spill.read(at - 1, &mut [0]).unwrap();
}

#[test]
fn room_that_is_taken_is_there_to_be_written_to() {
    let (_directory, spill) = spill(1 << 20);
    let mut taken = 0;
    while let Ok(room) = spill.ready(100_000).unwrap() {
        let written = spill.append(&vec![b'x'; room]).unwrap();
        assert_eq!(written, Ok(taken as u64));
        taken += room;
    }
    assert_eq!(taken, 1 << 20);
}

#[test]
fn a_full_disk_is_told_apart_from_a_full_spill() {
    // A file system of its own that holds a mebibyte can only be had by root.
    let directory = tempfile::tempdir().unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "weir-test"])
        .arg(directory.path())
        .output();
    if !mounted.is_ok_and(|done| done.status.success()) {
        return;
    }
    let home = SpillHome::find(Some(directory.path().into())).unwrap();
    let spill = Spill::new(home, 1 << 30).unwrap();
    let other = directory.path().join("other");
    fs::write(&other, vec![0; 500_000]).unwrap();
    let mut ends = Vec::new();
    let mut written = 0;
    for _ in 0..2 {
        loop {
            match spill.ready(50_000).unwrap() {
                Ok(room) => {
                    let at = spill.append(&vec![b'x'; room]).unwrap();
                    assert_eq!(at, Ok(written), "room was promised");
                    written += room as u64;
                }
                Err(full) => break ends.push((full, written)),
            }
        }
        let _ = fs::remove_file(&other);
    }
    // Its file keeps the file system busy.
    drop(spill);
    let gone = std::process::Command::new("umount")
        .arg("-l")
        .arg(directory.path())
        .status();
    assert!(gone.is_ok_and(|status| status.success()), "unmounted");
    assert_eq!(ends[0].0, Full::Disk);
    assert!(ends[0].1 > 400_000, "{ends:?}");
    // Where others have made room it goes on.
    assert!(ends[1].1 > 900_000, "{ends:?}");
}

#[test]
fn a_directory_in_memory_is_told_and_one_that_is_not_there_is_an_error() {
    let home = SpillHome::find(Some("/dev/shm".into())).unwrap();
    assert!(home.in_memory);
    assert!(!SpillHome::find(Some("/proc".into())).unwrap().in_memory);
    assert_eq!(
        SpillHome::find(None).unwrap().path.to_str(),
        Some("/var/tmp")
    );
    assert_eq!(
        SpillHome::find(Some("".into())).unwrap().path.to_str(),
        Some("/var/tmp")
    );
    let error = SpillHome::find(Some("/no/such".into()))
        .unwrap_err()
        .to_string();
    assert!(error.contains("/no/such"), "{error}");
    let error = Spill::new(SpillHome::find(Some("/proc".into())).unwrap(), 1 << 20).unwrap_err();
    assert_eq!(error.to_string().lines().count(), 1);
}

#[test]
fn what_is_given_back_while_another_is_begun_is_only_what_was_read() {
    let (_directory, spill) = spill(1 << 20);
    // Files are full after as many bytes as a piece has, so that each is begun when all before it was read.
    let pieces = 3_000_u64;
    const PIECE: usize = 32 << 10;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..pieces {
                let piece = [n as u8; PIECE];
                while spill.ready(PIECE).unwrap() != Ok(PIECE) {
                    std::thread::yield_now();
                }
                assert_eq!(spill.append(&piece).unwrap(), Ok(n * PIECE as u64));
            }
        });
        let mut back = vec![0; PIECE];
        for n in 0..pieces {
            let at = n * PIECE as u64;
            // It is not there yet, or not all of it.
            while spill.read(at, &mut back).is_err() {
                spill.release(at);
            }
            assert!(back == [n as u8; PIECE], "piece {n}");
            spill.release(at + PIECE as u64);
        }
    });
    assert_eq!(spill.used(), 0);
}
