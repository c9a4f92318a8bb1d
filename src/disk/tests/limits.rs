//! Disks that are full, read-only, or refuse; on file systems of the test's own where it may mount
//! them.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::super::format::names;
use super::super::query::query;
use super::super::room::Full;
use super::super::schedule::Policy;
use super::super::segments::Appended;
use super::super::spool::{Spool, SpoolOptions};
use super::super::state::Place;
use super::{NOW, append, lines, open, read_from, roomy, skip};

/// A file system of a few MiB, gone with the test.
struct Mounted {
    _home: tempfile::TempDir,
    path: PathBuf,
}

impl Mounted {
    fn run(program: &str, arguments: &[&str]) -> bool {
        Command::new(program)
            .args(arguments)
            .output()
            .is_ok_and(|output| output.status.success())
    }

    fn tmpfs(size: &str) -> Option<Mounted> {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("disk");
        fs::create_dir(&path).unwrap();
        let at = path.to_str().unwrap();
        let size = format!("size={size}");
        if !Mounted::run("mount", &["-t", "tmpfs", "-o", &size, "none", at]) {
            skip("no file system may be mounted here");
            return None;
        }
        Some(Mounted { _home: home, path })
    }

    fn ext4(size: u64) -> Option<Mounted> {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("disk");
        let image = home.path().join("image");
        fs::create_dir(&path).unwrap();
        fs::File::create(&image).unwrap().set_len(size).unwrap();
        let (at, from) = (path.to_str().unwrap(), image.to_str().unwrap());
        if !Mounted::run("mkfs.ext4", &["-q", "-F", "-m", "0", from])
            || !Mounted::run("mount", &["-o", "loop", from, at])
        {
            skip("no ext4 may be made and mounted here");
            return None;
        }
        Some(Mounted { _home: home, path })
    }

    fn spool(&self) -> PathBuf {
        self.path.join("q")
    }

    fn room(&self) -> u64 {
        let stat = rustix::fs::statvfs(&self.path).unwrap();
        stat.f_bavail * stat.f_frsize
    }

    /// Removes a file, and waits for its room: a process that another test is about to run has it open, maybe, until it
    /// has begun to run something else.
    fn remove(&self, file: &Path) {
        let room = self.room() + fs::metadata(file).unwrap().len() / 2;
        fs::remove_file(file).unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        while self.room() < room {
            assert!(Instant::now() < until, "its room never came");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Mounted::run("umount", &["-l", self.path.to_str().unwrap()]);
    }
}

/// Appends until the disk is full; what was taken.
fn fill(spool: &Spool, text: &[u8]) -> usize {
    let mut taken = 0;
    loop {
        match spool.append_some(&text[taken..][..10_000], NOW).unwrap() {
            Appended::Bytes(n) => taken += n,
            Appended::Full(Full::Disk) => return taken,
            other => panic!("{other:?} after {taken} bytes"),
        }
    }
}

fn a_full_disk_blocks_and_loses_nothing(disk: &Mounted) {
    let text = lines(0, 600_000);
    let ballast = disk.path.join("ballast");
    let spool = open(&disk.spool(), &roomy()).spool;
    fs::write(&ballast, vec![1; 1 << 20]).unwrap();
    let mut taken = fill(&spool, &text);
    assert!(taken > 5 << 20, "{taken}");
    // Places are saved on a full disk.
    for at in 0..50 {
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
    assert_eq!(fill(&spool, &text[taken..]), 0);
    assert!(spool.sync_and_find().unwrap().is_empty());
    assert!(read_from(&spool, 0).bytes() == text[..taken]);

    // A kill, and another start, on the full disk.
    drop(spool);
    let opened = open(&disk.spool(), &roomy());
    assert!(opened.damages.is_empty(), "{:?}", opened.damages);
    let spool = opened.spool;
    assert_eq!(
        spool.place("stdout"),
        Some(Place {
            at: 49,
            record: 0,
            begun: 0
        })
    );
    taken += fill(&spool, &text[taken..]);

    // Space appears elsewhere, and then by delivering.
    disk.remove(&ballast);
    let more = fill(&spool, &text[taken..]);
    assert!(more > 500_000, "{more}");
    taken += more;
    let place = Place {
        at: taken as u64,
        record: 0,
        begun: 0,
    };
    spool.set_place("stdout", place).unwrap();
    spool.release(u64::MAX).unwrap();
    let more = fill(&spool, &text[taken..]);
    assert!(more > 1 << 20, "{more}");
    assert!(read_from(&spool, taken as u64).bytes() == text[taken..taken + more]);
}

#[test]
fn a_full_tmpfs_blocks_and_loses_nothing() {
    if let Some(disk) = Mounted::tmpfs("8M") {
        a_full_disk_blocks_and_loses_nothing(&disk);
    }
}

#[test]
fn a_full_ext4_blocks_and_loses_nothing() {
    if let Some(disk) = Mounted::ext4(12 << 20) {
        a_full_disk_blocks_and_loses_nothing(&disk);
    }
}

#[test]
fn a_disk_that_became_read_only_is_one_line_and_what_is_there_can_still_be_read() {
    let Some(disk) = Mounted::tmpfs("8M") else {
        return;
    };
    let text = lines(0, 10_000);
    let spool = open(&disk.spool(), &roomy()).spool;
    append(&spool, &text);
    spool.close(false, u64::MAX).unwrap();
    drop(spool);
    let at = disk.path.to_str().unwrap();
    let spool = open(&disk.spool(), &roomy()).spool;
    assert!(read_from(&spool, 0).bytes() == text);
    // This one is not to be had while somebody may write.
    drop(spool);
    assert!(Mounted::run("mount", &["-o", "remount,ro", at]));
    let error = Spool::open(&disk.spool(), &roomy())
        .unwrap_err()
        .to_string();
    assert!(error.contains("Read-only file system"), "{error}");
    assert_eq!(error.lines().count(), 1);
    assert_eq!(
        super::super::query::query(&disk.spool()).unwrap().bytes,
        360_000
    );
}

#[test]
fn a_disk_that_becomes_read_only_under_a_running_weir_loses_nothing_that_is_there() {
    let Some(disk) = Mounted::ext4(12 << 20) else {
        return;
    };
    let text = lines(0, 20_000);
    let spool = open(&disk.spool(), &roomy()).spool;
    append(&spool, &text);
    let at = disk.path.to_str().unwrap();
    if !Mounted::run("mount", &["-o", "remount,abort", at]) {
        skip("this system does not stop a file system on demand");
        return;
    }
    let error = loop {
        match spool.append_some(&text, NOW) {
            Ok(_) => {}
            Err(error) => break error.to_string(),
        }
    };
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(spool.sync().is_err());
    let story = read_from(&spool, 0);
    assert!(story.bytes().starts_with(&text));
    assert!(story.gaps.is_empty(), "{:?}", story.gaps);
}

#[test]
fn more_outputs_than_a_state_can_hold_are_refused_in_one_line() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    let options = SpoolOptions {
        policy: Policy::Off,
        ..roomy()
    };
    let spool = open(&path, &options).spool;
    let long = "x".repeat(4_000);
    let error = (0..100)
        .find_map(|n| {
            spool
                .set_place(&format!("{long}{n}"), Place::default())
                .err()
        })
        .unwrap()
        .to_string();
    assert!(error.contains("name fewer"), "{error}");
    spool.keep_places(&["stdout"]).unwrap();
    spool.set_place("stdout", Place::default()).unwrap();
    drop(spool);
    assert!(open(Path::new(&path), &options).damages.is_empty());
}

#[test]
fn what_is_damaged_stays_until_a_full_disk_has_room_to_set_it_aside_and_each_part_is_told_once() {
    // One segment of it holds all.
    let Some(disk) = Mounted::tmpfs("24m") else {
        return;
    };
    // Two parts of 256 KiB that were not forced to the disk, each with a page that is not as it was.
    let text = lines(0, 30_000);
    let spool = open(&disk.spool(), &roomy()).spool;
    append(&spool, &text);
    spool.set_place("stdout", Place::default()).unwrap();
    drop(spool);
    let stream = disk.spool().join(names(0).0);
    let stream = fs::File::options().write(true).open(stream).unwrap();
    for at in [10_000, 300_000] {
        stream.write_all_at(&[0; 4096], at).unwrap();
    }
    // Room for one of them.
    let ballast = disk.path.join("ballast");
    fs::write(&ballast, vec![1; disk.room() as usize - (400 << 10)]).unwrap();
    let other = SpoolOptions {
        boot: Some([8; 16]),
        ..roomy()
    };
    let mut found = Vec::new();
    for _ in 0..2 {
        let error = Spool::open_again(&disk.spool(), &other, &mut found).unwrap_err();
        assert!(error.is_full, "{error}");
        assert_eq!(found.len(), 1, "{found:?}");
    }
    disk.remove(&ballast);
    let opened = Spool::open_again(&disk.spool(), &other, &mut found).unwrap();
    let [one, two, ..] = &opened.damages[..] else {
        panic!("{:?}", opened.damages)
    };
    for (damage, at) in [(one, 0), (two, 256 << 10)] {
        assert_eq!((damage.at, damage.bytes), (at, 256 << 10));
        let aside = disk.spool().join(damage.aside.as_ref().unwrap());
        assert_eq!(fs::read(aside).unwrap().len(), 256 << 10);
    }
    let lost: u64 = opened.damages.iter().map(|it| it.bytes).sum();
    assert_eq!(query(&disk.spool()).unwrap().lost_bytes, 0, "not saved yet");
    opened.spool.set_place("stdout", Place::default()).unwrap();
    assert_eq!(query(&disk.spool()).unwrap().lost_bytes, lost);
    assert_eq!(read_from(&opened.spool, 0).lost(), lost);
}

#[test]
fn a_full_disk_on_which_the_end_of_a_record_has_no_room_is_opened_and_gets_it_when_there_is() {
    let Some(disk) = Mounted::tmpfs("8M") else {
        return;
    };
    // A whole number of blocks, without the end of the last record; 63 rows behind the head make one of index.
    for rows in [1, 63] {
        let spool = open(&disk.spool(), &roomy()).spool;
        let page = [&lines(0, 120)[..4095], b"x"].concat();
        let mut at = NOW;
        for _ in 0..rows {
            assert_eq!(spool.append_some(&page, at), Ok(Appended::Bytes(4096)));
            // What comes so much later has an entry of its own.
            at += 2_000_000_000;
        }
        spool.set_place("stdout", Place::default()).unwrap();
        spool.end_input().unwrap();
        spool.close(false, u64::MAX).unwrap();
        let end = spool.end();
        assert!(end.begun > 0);
        drop(spool);
        let ballast = disk.path.join("ballast");
        fs::write(&ballast, vec![1; disk.room() as usize]).unwrap();
        assert_eq!(disk.room(), 0);
        for _ in 0..2 {
            let spool = open(&disk.spool(), &roomy()).spool;
            assert_eq!((spool.end(), spool.due_end()), (end, Some(b'\n')));
            assert!(read_from(&spool, 0).bytes() == page.repeat(rows));
        }
        disk.remove(&ballast);
        let spool = open(&disk.spool(), &roomy()).spool;
        assert_eq!(spool.due_end(), None);
        assert_eq!(spool.end().at, end.at + 1);
        assert_eq!(read_from(&spool, end.at).bytes(), b"\n");
        spool.set_place("stdout", spool.end()).unwrap();
        spool.close(true, u64::MAX).unwrap();
        drop(spool);
        fs::remove_dir_all(disk.spool()).unwrap();
    }
}
