//! When it is answered it is in force: not one byte goes to the old file any more, whatever was under way.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{name, pass, text};
use crate::harness::remote::{Home, Weir, spawn};
use crate::harness::{self, WEIR, assert_same, beside, collect, eventually};

/// A weir that sheds soon, since nobody takes anything from it.
const SHEDDING: [&str; 5] = ["-l", "-b", "4KiB", "--shed", "oldest"];

/// What names a file, and what else that takes.
const WAYS: [(&str, &[&str]); 4] = [
    ("--tee", &[]),
    ("--tap", &["-l"]),
    ("--shed-to", &SHEDDING),
    ("--log", &["--display", "json", "-i", "20ms"]),
];

fn length(path: &Path) -> u64 {
    path.metadata().map_or(0, |data| data.len())
}

/// Whether this process has this file open.
fn has_open(weir: &Weir, path: &Path) -> bool {
    let all = fs::read_dir(format!("/proc/{}/fd", weir.pid())).expect("its descriptors");
    let links = all.flatten().map(|entry| fs::read_link(entry.path()));
    links.flatten().any(|link| link == path)
}

/// Gives it lines until this file has more than so much.
fn pass_until_written(weir: &mut Weir, path: &Path, least: u64, takes: bool) {
    eventually("it is written to", || {
        let bytes = "a line of the stream\n".repeat(50);
        weir.give(bytes.as_bytes());
        if takes {
            weir.take(bytes.len());
        }
        length(path) > least
    });
}

#[test]
fn whoever_has_the_answer_finds_the_old_file_closed_also_where_nothing_passes() {
    for (option, others) in WAYS {
        let home = Home::new();
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().canonicalize().expect("a folder");
        let [file, old] = ["file", "old"].map(|it| folder.join(it));
        let mut weir = home.start(&[others, &["-N", "w", option, name(&file)]].concat());
        let takes = option != "--shed-to";
        pass_until_written(&mut weir, &file, 0, takes);
        if option == "--log" {
            // From here on it has nothing to write for a long time.
            home.tell("w", &["-i", "1h"]);
        }
        assert!(has_open(&weir, &file), "{option}");
        fs::rename(&file, &old).expect("moved");
        home.tell("w", &["--reopen"]);
        let length_then = length(&old);
        assert!(!has_open(&weir, &old), "{option}");
        assert!(has_open(&weir, &file), "{option}");
        if option == "--log" {
            home.tell("w", &["-i", "20ms"]);
        }
        pass_until_written(&mut weir, &file, 0, takes);
        assert_eq!(length(&old), length_then, "{option}");
    }
}

#[test]
fn a_record_that_ends_soon_is_waited_for() {
    let home = Home::new();
    let folder = tempfile::tempdir().expect("a folder");
    let [copy, old] = ["copy", "old"].map(|it| folder.path().join(it));
    let mut weir = home.start(&["-l", "-N", "w", "--tee", name(&copy)]);
    pass(&mut weir, b"one\nha");
    eventually("it is copied", || text(&copy) == "one\nha");
    fs::rename(&copy, &old).expect("moved");
    let (mut line, moved) = (home.connect(&weir), old.clone());
    let answer = beside(move || {
        let answer = line.ask(r#"{"v":1,"ask":{"change":{"reopen":true}}}"#);
        (answer, text(&moved))
    });
    eventually("it was asked", || copy.exists());
    pass(&mut weir, b"lf\ntwo\n");
    let (answer, then) = answer.done();
    match answer.as_str() {
        Some("done") => assert_eq!(then, "one\nhalf\n"),
        // A busy machine has let its time pass.
        _ => assert!(answer["pending"].is_string(), "{answer}"),
    }
    eventually("it goes on", || text(&copy) == "two\n");
    assert_eq!(text(&old), "one\nhalf\n");
}

/// Whether a thread of this name is held by strace, as far as one look tells.
fn is_held(weir: &Weir, thread: &str) -> bool {
    let tasks = fs::read_dir(format!("/proc/{}/task", weir.pid())).expect("its threads");
    let stats = tasks.flatten().map(|it| it.path().join("stat"));
    let held = format!("({thread}) t");
    stats
        .flat_map(fs::read_to_string)
        .any(|stat| stat.contains(&held))
}

/// `weir` whose writes to this file take a moment; `None` where there is no strace.
fn slow_at(file: &Path) -> Option<Command> {
    let mut strace = harness::strace()?;
    strace.args(["-D", "-f", "-qq", "-o", "/dev/null", "-P", name(file)]);
    strace.args(["-e", "inject=write,writev:delay_enter=400000", WEIR]);
    Some(strace)
}

#[test]
fn a_write_that_is_under_way_is_waited_for() {
    let threads = ["output 2", "output 2", "overflow", "log"];
    for ((option, others), thread) in WAYS.into_iter().zip(threads) {
        let home = Home::new();
        let folder = tempfile::tempdir().expect("a folder");
        let [file, old] = ["file", "old"].map(|it| folder.path().join(it));
        File::create(&file).expect("a file");
        let Some(mut strace) = slow_at(&file) else {
            return;
        };
        strace.args(others).args(["-N", "w", option, name(&file)]);
        let mut weir = home.heard(spawn(strace.envs(home.variables())));
        let takes = option != "--shed-to";
        let lines = "a line of the stream\n".repeat(500);
        weir.give(lines.as_bytes());
        if takes {
            weir.take(lines.len());
        }
        let mut looks = 0;
        eventually("it is about to write", || {
            looks = if is_held(&weir, thread) { looks + 1 } else { 0 };
            looks > 20
        });
        fs::rename(&file, &old).expect("moved");
        let mut line = home.connect(&weir);
        let answer = line.ask(r#"{"v":1,"ask":{"change":{"reopen":true}}}"#);
        let length_then = length(&old);
        assert_eq!(answer, "done", "{option}");
        pass_until_written(&mut weir, &file, 0, takes);
        assert_eq!(length(&old), length_then, "{option}");
    }
}

#[test]
fn in_a_steady_flow_that_is_moved_away_again_and_again_every_byte_is_in_one_place() {
    const ROTATIONS: usize = 30;
    for (option, others) in [
        ("--tee", &[][..]),
        ("--tee", &["--no-splice"]),
        ("--tee", &["-l"]),
        ("--tee", &["-l", "-b", "64KiB", "--spill", "64MiB"]),
        ("--tap", &["-l", "--tap-buffer", "64MiB"]),
    ] {
        let case = format!("{option} {others:?}");
        let home = Home::new();
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        let mut weir = home.start(&[others, &["-N", "w", option, name(&file)]].concat());
        let got = collect(weir.stdout.take().expect("not taken yet"));
        let mut stdin = weir.stdin.take().expect("not fed yet");
        let (stop, stopped) = crossbeam_channel::bounded::<()>(0);
        let fed = beside(move || {
            let mut n = 0;
            while stopped.try_recv() != Err(crossbeam_channel::TryRecvError::Disconnected) {
                let line = |n: usize| format!("line {n} {}\n", "x".repeat(n * 7 % 300));
                let lines: String = (n..n + 100).map(line).collect();
                stdin.write_all(lines.as_bytes()).expect("it reads");
                n += 100;
            }
        });
        let mut line = home.connect(&weir);
        let moved: Vec<(PathBuf, u64)> = (0..ROTATIONS)
            .map(|n| {
                eventually("some is written", || length(&file) > 0);
                let old = file.with_extension(n.to_string());
                fs::rename(&file, &old).expect("moved");
                let answer = line.ask(r#"{"v":1,"ask":{"change":{"reopen":true}}}"#);
                let length = length(&old);
                assert_eq!(answer, "done", "{case}");
                (old, length)
            })
            .collect();
        drop(stop);
        fed.done();
        assert!(weir.end().success(), "{case}");
        let mut all = Vec::new();
        for (old, length) in moved {
            let bytes = fs::read(&old).expect("it is there");
            assert_eq!(bytes.len() as u64, length, "{case}: {}", old.display());
            let is_whole = !others.contains(&"-l") || bytes.ends_with(b"\n");
            assert!(is_whole, "{case}: {}", old.display());
            all.extend(bytes);
        }
        all.extend(fs::read(&file).expect("it is there"));
        assert_same(&all, &got.done(), &case);
    }
}
