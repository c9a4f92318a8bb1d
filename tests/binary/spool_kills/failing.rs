//! A disk that fails at a call, for a moment or for good, beside the kills.

use std::fs;
use std::process::Stdio;

use super::under_strace;
use crate::harness;
use crate::harness::spool::lines;
use crate::harness::{WEIR, collect, feed, program};

/// weir under strace, with this done to its calls, on all of these lines; what it has written, said, and its status.
fn with(inject: &str, args: &[&str], input: Vec<u8>) -> Option<(Vec<u8>, String, Option<i32>)> {
    let mut strace = under_strace("none", 1, args)?;
    let words: Vec<_> = strace.get_args().map(|it| it.to_owned()).collect();
    let at = words
        .iter()
        .position(|it| it == "trace=none")
        .expect("what is traced");
    let calls = inject.split(':').next().expect("calls");
    strace = program("strace");
    let log = tempfile::NamedTempFile::new().expect("a file");
    strace.args(&words[..at]).arg(format!("trace={calls}"));
    strace
        .arg("-o")
        .arg(log.path())
        .arg("-e")
        .arg(format!("inject={inject}"));
    strace.args(&words[at + 3..]);
    strace.env("XDG_RUNTIME_DIR", "/nowhere");
    let (stdin, into) = std::io::pipe().expect("a pipe");
    let (output, stdout) = std::io::pipe().expect("a pipe");
    strace.stdin(stdin).stdout(stdout).stderr(Stdio::piped());
    let mut child = strace.spawn().expect("it runs");
    drop(strace);
    let leash = harness::Leash::on(&child);
    let feeding = feed(into, input);
    let said = collect(child.stderr.take().expect("what it says"));
    let got = collect(output).done();
    let status = child.wait().expect("its end");
    drop(leash);
    let _ = feeding.done();
    let traced = fs::read_to_string(log.path()).expect("what was traced");
    assert!(traced.contains("(INJECTED)"), "{inject}: it never came");
    Some((
        got,
        String::from_utf8_lossy(&said.done()).into_owned(),
        status.code(),
    ))
}

#[test]
fn a_sync_that_fails_is_made_good_by_other_files_or_said() {
    const COUNT: usize = 100_000;
    // Where the first one fails, or each second one, what is to make it good fails, too.
    for (when, is_said) in [("1", true), ("2+2", true), ("3", false)] {
        let dir = tempfile::tempdir().expect("a directory");
        let spool = dir.path().join("q").display().to_string();
        let args = [
            "-q", "-l", "--spool", &spool, "--sync", "1ms", "-r", "600kB/s",
        ];
        let Some((got, said, status)) = with(
            &format!("fdatasync:error=EIO:when={when}"),
            &args,
            lines(0, COUNT),
        ) else {
            return;
        };
        harness::assert_same(&got, &lines(0, COUNT), "all of it");
        // The last one may fail when all has been delivered, and then weir says by its status that it has.
        assert!(matches!(status, Some(0 | 1)), "{status:?}: {said}");
        assert!(status == Some(0) || !said.is_empty(), "{when}: {status:?}");
        assert!(said.lines().count() <= 2, "{when}: {said}");
        assert!(
            !is_said || said.contains("Input/output error"),
            "{when}: {said}"
        );
    }
}

#[test]
fn a_disk_that_fails_for_a_moment_loses_nothing() {
    const COUNT: usize = 100_000;
    for (call, error) in [
        ("splice", "EIO"),
        ("pwrite64", "EIO"),
        ("fallocate", "EIO"),
        ("fallocate", "ENOSPC"),
        ("fallocate", "EDQUOT"),
        ("splice", "ENOSPC"),
    ] {
        let dir = tempfile::tempdir().expect("a directory");
        let spool = dir.path().join("q").display().to_string();
        let args = ["-q", "-l", "--spool", &spool, "--spill", "2MiB"];
        let inject = format!("{call}:error={error}:when=5..6");
        let Some((mut got, said, _)) = with(&inject, &args, lines(0, COUNT)) else {
            return;
        };
        // Where weir could not go on it has said so, and what was not delivered lies there.
        let mut rest = program(WEIR);
        rest.args(["-q", "-l", "--spool", &spool])
            .stdin(Stdio::null());
        let rest = rest.output().expect("it ran");
        assert!(rest.status.success(), "{call} {error}: {rest:?}");
        got.extend(rest.stdout);
        let all = lines(0, COUNT);
        let taken = got.len() == all.len() || !said.is_empty();
        assert!(
            taken,
            "{call} {error}: {} of {}, and says nothing",
            got.len(),
            all.len()
        );
        harness::assert_same(&got, &all[..got.len()], &format!("{call} {error}: {said}"));
    }
}

#[test]
fn a_state_that_cannot_be_saved_for_a_moment_costs_no_batch() {
    let mut gone_on = 0;
    for k in 1..=8 {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name).display().to_string();
        let (spool, out) = (at("q"), at("out"));
        let fixed = ["-q", "-l", "--spool", &spool, "--batch", "10"];
        let options = [&fixed[..], &["--give-up", "1", "--backoff", "1ms..5ms"]].concat();
        let command = ["--", "sh", "-c", "cat >> $0", &out];
        let args = [&options[..], &command].concat();
        let inject = format!("pwrite64:error=EIO:when={k}");
        let Some((_, said, status)) = with(&inject, &args, lines(0, 25)) else {
            return;
        };
        gone_on += usize::from(status == Some(0) && said.contains("Input/output error"));
        let mut rest = program(WEIR);
        rest.args(fixed).args(command).stdin(Stdio::null());
        let rest = rest.output().expect("it ran");
        assert!(rest.status.success(), "{k}: {rest:?}");
        let got = fs::read_to_string(&out).unwrap_or_default();
        let mut numbers: Vec<usize> = got
            .lines()
            .map(|it| it.parse().expect("a number"))
            .collect();
        // What could not be acknowledged may come again.
        numbers.sort_unstable();
        numbers.dedup();
        let all = if status == Some(0) { 25 } else { numbers.len() };
        let what = format!("{k}: {status:?} {said}");
        assert_eq!(numbers, (0..all).collect::<Vec<_>>(), "{what}");
    }
    assert!(gone_on > 0, "none was of a batch");
}

#[test]
fn a_file_system_that_has_become_read_only_is_said_and_what_was_taken_in_is_there_later() {
    const COUNT: usize = 300_000;
    let dir = tempfile::tempdir().expect("a directory");
    let spool = dir.path().join("q").display().to_string();
    let args = [
        "-q", "-l", "--spool", &spool, "--spill", "16MiB",
        // Many writes, after each of which a place is to be saved: that cannot be waited for.
        "-r", "2MB/s",
    ];
    let inject = "pwrite64,fallocate,ftruncate,unlinkat:error=EROFS:when=12+";
    let Some((mut got, said, status)) = with(inject, &args, lines(0, COUNT)) else {
        return;
    };
    assert!(said.contains("Read-only file system"), "{said}");
    assert_ne!(status, Some(0), "{said}");
    let mut rest = program(WEIR);
    rest.args(["-q", "-l", "--spool", &spool])
        .stdin(Stdio::null());
    let rest = rest.output().expect("it ran");
    assert!(rest.status.success(), "{rest:?}");
    let all = lines(0, COUNT);
    // A write that could not be remembered comes again.
    let again = String::from_utf8_lossy(&rest.stdout);
    if let Some(first) = again.lines().next() {
        let first: usize = first.parse().expect("a number");
        let before = lines(0, first).len();
        assert!(
            before <= got.len() && got.len() - before <= 256 << 10,
            "{before} {}",
            got.len()
        );
        got.truncate(before);
    }
    got.extend(rest.stdout);
    harness::assert_same(&got, &all[..got.len()], "in order");
}
