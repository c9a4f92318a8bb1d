//! Members of a share that meet in real files.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Instant;

use super::super::file::MAGIC;
use super::super::process::clock;
use super::super::rules::Rules;
use super::super::table::Who;
use super::super::turn::HostCap;
use super::*;
use crate::engine::limiter::{Burst, SharedCap};

thread_local! {
    /// Where the members of a test's thread meet.
    static DIRECTORIES: std::cell::RefCell<Vec<PathBuf>> = const { std::cell::RefCell::new(Vec::new()) };
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn cap(directory: &Path, name: &str, rate: &str) -> HostCap<Arc<Mapped>> {
    let rate = rate.parse().expect(rate);
    let burst = Burst::Units(0);
    let (member, meeting) = meet(&[directory], name);
    HostCap::new(member, Box::new(meeting), Rules { rate, burst }, clock())
}

fn meet(directories: &[&Path], name: &str) -> (Member<Arc<Mapped>>, Meeting) {
    DIRECTORIES.set(directories.iter().map(|path| path.to_path_buf()).collect());
    let directories = || DIRECTORIES.with_borrow(Vec::clone);
    Meeting::join(name, Unit::Bytes, directories).expect("joined")
}

/// How many share a cap under this name.
fn count(directory: &Path, name: &str, is_gone: impl Fn(Who) -> bool) -> usize {
    let file = open(&path(directory, name, Unit::Bytes)).expect("opened");
    members(&map(file).expect("mapped"), is_gone)
}

/// What these may pass in the next 50 ms, asked as fast as they can.
fn passed(caps: &mut [HostCap<Arc<Mapped>>]) -> u64 {
    let now = Instant::now();
    let mut sum = 0;
    for micros in 0..50_000 {
        let now = now + std::time::Duration::from_micros(micros);
        for cap in &mut *caps {
            cap.prepare(now);
            let units = cap.peek(now).unwrap_or(0);
            cap.on_passed(units, now);
            sum += units;
        }
    }
    sum
}

#[test]
fn members_that_join_under_one_name_share_one_cap() {
    let folder = folder();
    let mut caps = [1, 2, 3].map(|_| cap(folder.path(), "nightly", "1MB/s"));
    assert_eq!(count(folder.path(), "nightly", is_gone), 3);
    let sum = passed(&mut caps);
    assert!((45_000..65_000).contains(&sum), "{sum}");
    let mut caps = [
        cap(folder.path(), "a", "1MB/s"),
        cap(folder.path(), "b", "1MB/s"),
    ];
    let sum = passed(&mut caps);
    assert!(
        (90_000..130_000).contains(&sum),
        "{sum}: two names, two caps"
    );
    let names = fs::read_dir(folder.path()).expect("read").count();
    assert_eq!(names, 3, "nothing lies beside the three files");
}

#[test]
fn who_leaves_or_is_gone_is_no_member() {
    let folder = folder();
    let _first = cap(folder.path(), "x", "1MB/s");
    let other = join(&[folder.path().into()], "x", Unit::Bytes).expect("joined");
    assert_eq!(count(folder.path(), "x", is_gone), 2);
    other.leave().leave();
    assert_eq!(count(folder.path(), "x", is_gone), 1);
    let mut child = std::process::Command::new("true").spawn().expect("true");
    let pid = child.id();
    child.wait().expect("waited for");
    let gone = Who::new(pid, 0).expect("a process");
    let file = open(&path(folder.path(), "x", Unit::Bytes)).expect("opened");
    let words = map(file).expect("mapped");
    Member::join(words, Unit::Bytes, gone, |_| false).expect("room");
    assert_eq!(count(folder.path(), "x", |_| false), 2);
    assert_eq!(count(folder.path(), "x", is_gone), 1);
    // A process with this number, but not the one that joined.
    let me = this_process();
    let other = Who::new(me.pid(), me.started() + 1).expect("a process");
    assert!(is_gone(other) && !is_gone(me));
}

#[test]
fn what_is_damaged_or_of_another_boot_is_replaced() {
    let whole = |boot: u64| {
        let [magic, unit, low, _] = header(Unit::Bytes);
        let mut bytes = [magic, unit, low, boot]
            .map(u64::to_le_bytes)
            .as_flattened()
            .to_vec();
        bytes.resize(SIZE, 0);
        bytes
    };
    let short = header(Unit::Bytes)
        .map(u64::to_le_bytes)
        .as_flattened()
        .to_vec();
    let rubbish = vec![0xff; SIZE];
    for bytes in [vec![], b"weir".to_vec(), short, rubbish, whole(4711)] {
        let folder = folder();
        let at = path(folder.path(), "x", Unit::Bytes);
        fs::write(&at, &bytes).expect("written");
        let sum = passed(&mut [cap(folder.path(), "x", "1MB/s")]);
        assert!((45_000..60_000).contains(&sum), "{sum}");
        let mode = fs::metadata(&at).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn what_is_not_ours_or_of_another_version_is_refused_in_one_line() {
    let folder = folder();
    let at = path(folder.path(), "x", Unit::Bytes);
    let refused = || {
        join(&[folder.path().into()], "x", Unit::Bytes)
            .err()
            .map(|e| e.to_string())
    };
    symlink(folder.path().join("elsewhere"), &at).expect("linked");
    assert!(refused().is_some_and(|e| e.contains("not a file of this user's")));
    fs::remove_file(&at).expect("removed");
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        &at,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
    )
    .expect("made");
    assert!(refused().is_some_and(|e| e.contains("not a file of this user's")));
    fs::remove_file(&at).expect("removed");
    fs::write(
        &at,
        [&MAGIC[..], &7u32.to_le_bytes(), &[0; SIZE - 8]].concat(),
    )
    .expect("written");
    let line = refused().expect("refused");
    assert!(line.contains("layout 7") && !line.contains('\n'), "{line}");
    assert!(join(&[folder.path().join("nowhere")], "x", Unit::Bytes).is_err());
    let line = join(&[], "x", Unit::Bytes)
        .expect_err("refused")
        .to_string();
    assert!(
        line.contains("no directory that only this user can enter"),
        "{line}"
    );
}

#[test]
fn who_was_started_elsewhere_finds_those_who_are_there() {
    let (early, late) = (folder(), folder());
    // A job of the night is alone, where no session has a directory.
    let (member, meeting) = meet(&[late.path()], "x");
    assert_eq!(count(late.path(), "x", is_gone), 1);
    // Then somebody logs in.
    let (other, _) = meet(&[early.path(), late.path()], "x");
    assert_eq!(count(late.path(), "x", is_gone), 2);
    assert!(!path(early.path(), "x", Unit::Bytes).exists());
    // What the dead have left behind binds nobody.
    other.leave().leave();
    meeting.way_out().lock().expect("not poisoned").leave();
    let _third = meet(&[early.path(), late.path()], "x");
    assert_eq!(count(early.path(), "x", is_gone), 1);
    drop(member);
}

#[test]
fn members_meet_anew_where_their_file_was_removed() {
    let folder = folder();
    let mut caps = [1, 2].map(|_| cap(folder.path(), "x", "1MB/s"));
    fs::remove_file(path(folder.path(), "x", Unit::Bytes)).expect("removed");
    let mut third = cap(folder.path(), "x", "2MB/s");
    assert_eq!(count(folder.path(), "x", is_gone), 1);
    let later = Instant::now() + std::time::Duration::from_secs(2);
    caps.iter_mut().for_each(|cap| cap.prepare(later));
    assert_eq!(count(folder.path(), "x", is_gone), 3);
    let rate = |cap: &HostCap<_>| cap.rate().to_string();
    third.prepare(later);
    assert_eq!(caps.each_ref().map(rate), [rate(&third), rate(&third)]);
}

#[test]
fn members_whose_file_cannot_be_made_good_pass_one_cap_together() {
    let folder = folder();
    let mut met = [0; 3].map(|_| {
        let (member, meeting) = meet(&[folder.path()], "x");
        let way_out = meeting.way_out();
        let (rate, burst) = ("1MB/s".parse().expect("a rate"), Burst::Units(0));
        let rules = Rules { rate, burst };
        (
            HostCap::new(member, Box::new(meeting), rules, clock()),
            way_out,
        )
    });
    let ways = met.each_ref().map(|(_, way_out)| Arc::clone(way_out));
    let all = || {
        let seen = |way: &WayOut| way.lock().expect("not poisoned").members();
        ways.each_ref().map(seen)
    };
    let mut passed = |from: Instant| {
        let mut sum = 0;
        for micros in 0..100_000 {
            let now = from + std::time::Duration::from_micros(micros);
            for (cap, _) in &mut met {
                cap.prepare(now);
                let units = cap.peek(now).unwrap_or(0);
                cap.on_passed(units, now);
                sum += units;
            }
        }
        sum
    };
    // They look around once a second, and see how many they are.
    let start = Instant::now() + std::time::Duration::from_secs(2);
    passed(start);
    let file = open(&path(folder.path(), "x", Unit::Bytes)).expect("opened");
    DIRECTORIES.set(vec![folder.path().join("nowhere")]);
    file.set_len(0).expect("cut short");
    let sum = passed(start + std::time::Duration::from_secs(1));
    assert!((90_000..120_000).contains(&sum), "{sum}");
    assert_eq!(all(), [(3, true); 3]);
    DIRECTORIES.set(vec![folder.path().into()]);
    let sum = passed(start + std::time::Duration::from_secs(3));
    assert!((90_000..130_000).contains(&sum), "{sum}");
    assert_eq!(all(), [(3, false); 3]);
}
