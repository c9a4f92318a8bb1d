//! Few descriptors: weir does with fewer, or says what is short, and gets over it.

use crate::harness;
use std::fs;
use std::process::Stdio;

use crate::harness::dir::{Dir, lines};
use crate::harness::line::Line;
use crate::harness::remote::{Home, Weir};
use crate::harness::sides::{Before, make_fifo};
use crate::harness::{eventually, start, weir_in_shell};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

#[test]
fn it_runs_where_few_descriptors_can_be_had() {
    for limit in [4, 5, 6, 7, 8, 9, 10, 12, 16] {
        for args in [&[][..], &["-l"]] {
            let before = format!("ulimit -n {limit}");
            let mut line = Line::with(weir_in_shell(&before, args, ""));
            line.send(100_000);
            line.take(100_000);
            line.close_input();
            line.finish(100_000).assert_success(&before);
        }
    }
}

#[test]
fn where_there_are_too_few_it_says_so_and_how_many_it_takes() {
    let folder = tempfile::tempdir().expect("a folder");
    let look = folder.path().join("look");
    make_fifo(&look);
    let args = ["--tap", look.to_str().expect("a name in UTF-8")];
    let line = Line::with(weir_in_shell("ulimit -n 4", &args, ""));
    let says = ["start: descriptors: Too many open files", "ulimit -n"];
    line.finish(0).assert_complains(1, &says);
}

#[test]
fn beside_a_disk_too_few_are_said_before_anything_is_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let spool = directory.path().join("q").display().to_string();
    for disk in [["--spool", &spool], ["--spill", "1MiB"]] {
        let line = Line::with(weir_in_shell("ulimit -n 13", &disk, ""));
        let says = ["start: descriptors: Too many open files", "ulimit -n"];
        line.finish(0).assert_complains(1, &says);
        let mut line = Line::with(weir_in_shell("ulimit -n 32", &disk, ""));
        line.send(100_000);
        line.close_input();
        line.finish(100_000).assert_success(disk[0]);
    }
}

/// However much passes before the disk is forced, and whatever an earlier run has left that was never forced there.
#[test]
fn a_spool_does_with_the_descriptors_that_there_are() {
    let directory = tempfile::tempdir().expect("a directory");
    let spool = directory.path().join("q").display().to_string();
    for (limit, sync) in [
        (18, "500ms"),
        (24, "off"),
        (40, "1h"),
        (18, "1h"),
        (1024, "1h"),
    ] {
        // Many small files, of which each is given back soon after it was begun.
        let options = ["--spool", &spool, "--spill", "1MiB", "--sync", sync];
        let before = format!("ulimit -n {limit}");
        let mut line = Line::with(weir_in_shell(&before, &options, ""));
        for _ in 0..60 {
            line.send(1_000_000);
            line.take(1_000_000);
            line.rewind();
        }
        line.close_input();
        line.finish(0).assert_success(&before);
    }
}

#[test]
fn where_programs_run_side_by_side_too_few_are_said_before_anything_is_read_and_how_many_will_do() {
    let dir = Dir::new();
    let (spool, out) = (dir.at("q"), dir.at("out"));
    let spools = ["--spool", &spool];
    for (nth, options) in [
        &["-j", "4"][..],
        &["-j", "2..60"],
        &["-j", "2..4", "--batch", "100"],
        &[&["-j", "4"], &spools[..]].concat(),
        &[&["-j", "4", "--batch", "100"], &spools[..]].concat(),
    ]
    .into_iter()
    .enumerate()
    {
        let out = format!("{out}{nth}");
        let command = ["--", "sh", "-c", "cat >>$0.$$", &out];
        let words = [&["-l"], options, &command].concat();
        let run = |limit: u64| {
            let weir = weir_in_shell(&format!("ulimit -n {limit}"), &words, "");
            let end = start(weir, Before::Pipe.open(&lines(9000)), Stdio::null()).end();
            let files = fs::read_dir(dir.at("")).expect("a directory").flatten();
            let files = files.map(|it| it.path().display().to_string());
            let got = files.filter(|it| it.starts_with(&format!("{out}.")));
            let got: usize = got.map(|it| fs::read(it).expect("a file").len()).sum();
            (end, got)
        };
        let (end, got) = run(12);
        let says = ["start: descriptors: Too many open files", "ulimit -n"];
        end.assert_complains(125, &says);
        assert_eq!(got, 0, "{options:?}");
        let (_, limit) = end.stderr.split_once("ulimit -n ").expect("a limit");
        let limit = limit.split(|it: char| !it.is_ascii_digit()).next();
        let limit = limit.and_then(|it| it.parse().ok()).expect("a number");
        let (end, got) = run(limit - 1);
        end.assert_complains(125, &says);
        assert_eq!(got, 0, "{options:?}");
        let (end, got) = run(limit);
        end.assert_success(&format!("{options:?}"));
        assert_eq!(got, lines(9000).len(), "{options:?}");
    }
}

/// How often the thread that serves clients has gone to sleep; none when it has ended.
fn sleeps(weir: &Weir) -> Option<u64> {
    let tasks = fs::read_dir(format!("/proc/{}/task", weir.pid())).ok()?;
    let control = tasks.flatten().map(|task| task.path()).find(|path| {
        let name = fs::read_to_string(path.join("comm")).unwrap_or_default();
        name.trim() == "control"
    })?;
    Some(harness::field(
        &control.join("status"),
        "voluntary_ctxt_switches",
    ))
}

/// As many as an ordinary limit has room for; of a range that is not known before.
#[test]
fn many_programs_run_within_an_ordinary_limit() {
    let dir = Dir::new();
    for (jobs, lines) in [("300", lines(9000)), ("1..900", lines(900))] {
        let out = dir.at(&format!("out{jobs}"));
        let words = ["-l", "-j", jobs, "--", "sh", "-c", "cat >>$0", &out];
        let weir = weir_in_shell("ulimit -n 1024", &words, "");
        let end = start(weir, Before::Pipe.open(&lines), Stdio::null()).end();
        end.assert_success(jobs);
        let got = fs::read(&out).expect("a file").len();
        assert_eq!(got, lines.len(), "{jobs}");
    }
}

#[test]
fn a_want_of_descriptors_when_somebody_knocks_is_not_the_end_of_control() {
    let home = Home::new();
    let mut weir = home.start(&[]);
    home.status(&weir);
    let pid = Pid::from_raw(weir.child.id().cast_signed());
    let fds = format!("/proc/{}/fd", weir.pid());
    let is_socket = |fd: &u64| {
        let link = fs::read_link(format!("{fds}/{fd}")).unwrap_or_default();
        link.to_string_lossy().starts_with("socket:")
    };
    eventually("the last client has gone", || {
        (0..64).filter(is_socket).count() == 1
    });
    // None is free below this.
    let is_free = |fd: &u64| fs::symlink_metadata(format!("{fds}/{fd}")).is_err();
    let free = (0..).find(is_free).expect("a free one");
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = |current| Rlimit {
        current: Some(current),
        maximum,
    };
    let before = prlimit(pid, Resource::Nofile, limit(free)).expect("set a limit");
    let mut client = home.connect(&weir);
    client.say(r#"{"v":1,"ask":"status"}"#);
    let asleep = sleeps(&weir).expect("control has ended");
    // It looks again and again, and sleeps in between.
    eventually("it looks again", || match sleeps(&weir) {
        None => panic!("control has ended"),
        Some(now) => now >= asleep + 3,
    });
    prlimit(pid, Resource::Nofile, before).expect("set a limit");
    assert!(client.hear().is_some(), "no answer");
    weir.give(b"well");
    assert_eq!(weir.take(4), b"well");
}
