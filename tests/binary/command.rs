//! `weir -- COMMAND`: it runs as it would run in weir's place, and ends as `timeout`, `env` and `xargs` do.

mod inherited;
#[cfg(target_os = "linux")]
mod late_signals;
mod signals;

use crate::harness;
use std::fs;
use std::io::{Read, Write, pipe};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use crate::harness::books::Books;
use crate::harness::sides::Before;
use crate::harness::{Ended, Running, assert_same, collect, data, eventually, start, weir};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// `weir OPTIONS -- sh -c SCRIPT`
fn weir_sh(options: &[&str], script: &str) -> std::process::Command {
    weir(&[options, &["--", "sh", "-c", script]].concat())
}

/// Runs it between these bytes and a file.
fn run(command: std::process::Command, input: &[u8]) -> (Ended, Vec<u8>) {
    let (output, stdout) = pipe().expect("a pipe");
    let all = collect(output);
    let end = start(command, Before::Pipe.open(input), stdout).end();
    (end, all.done())
}

/// Reads a number that COMMAND writes first.
fn number(from: &mut impl Read) -> Pid {
    let mut text = String::new();
    let mut byte = [0];
    while from.read(&mut byte).expect("read") == 1 && byte[0] != b'\n' {
        text.push(char::from(byte[0]));
    }
    Pid::from_raw(text.parse().expect("a number")).expect("a process")
}

#[track_caller]
fn is_gone(pid: Pid) {
    eventually("COMMAND is gone", || test_kill_process(pid).is_err());
}

#[test]
fn everything_goes_through_command_by_splice_and_by_copy() {
    let bytes = data(3_000_000, 5);
    for way in [
        &[][..],
        &["--no-splice"],
        &["-l"],
        &["-b", "64KiB", "-r", "50MB/s"],
    ] {
        let (end, got) = run(weir(&[way, &["--", "cat"]].concat()), &bytes);
        end.assert_success("cat");
        assert_same(&got, &bytes, &format!("{way:?}"));
    }
}

#[test]
fn the_status_of_command_is_that_of_weir() {
    for (script, status) in [
        ("cat >/dev/null; exit 0", 0),
        ("cat >/dev/null; exit 3", 3),
        ("exit 7", 7),
        ("exit 0", 0),
        ("cat >/dev/null; kill -KILL $$", 128 + 9),
        ("kill -TERM $$", 128 + 15),
    ] {
        let (end, _) = run(weir_sh(&[], script), &data(2_000_000, 1));
        assert_eq!(end.status.code(), Some(status), "{script}: {end:?}");
        assert_eq!(end.stderr, "", "{script}");
    }
}

#[test]
fn a_command_that_ends_early_ends_weir_though_the_producer_is_silent() {
    let (stdin, _input) = pipe().expect("a pipe");
    let (output, stdout) = pipe().expect("a pipe");
    let weir = start(weir(&["--", "true"]), stdin, stdout);
    weir.end().assert_success("true");
    assert_eq!(collect(output).done(), b"");
}

#[test]
fn what_cannot_be_run_is_127_or_126_at_once_and_nothing_is_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let at = |name: &str| dir.path().join(name).to_str().expect("plain").to_owned();
    fs::write(at("text"), "not a program").expect("a file");
    fs::write(at("-dash"), "a file of old").expect("a file");
    fs::write(at("unrun"), "#! /no/such/runner -x\n").expect("a file");
    let may_run = fs::Permissions::from_mode(0o755);
    fs::set_permissions(at("unrun"), may_run).expect("ours");
    for (program, status, says) in [
        (
            "no-such-program-here".to_owned(),
            127,
            "run: no-such-program-here: No such file",
        ),
        (at("none"), 127, "No such file or directory"),
        (
            at("unrun"),
            127,
            "unrun: /no/such/runner, which its first line names, is not there",
        ),
        (
            at("text"),
            126,
            "Permission denied; to read that file: weir ",
        ),
        (
            dir.path().to_str().expect("plain").to_owned(),
            126,
            "Is a directory",
        ),
        (
            "-dash".to_owned(),
            127,
            "No such file or directory; to read that file: weir ./-dash",
        ),
    ] {
        let (stdin, mut input) = pipe().expect("a pipe");
        input.write_all(b"unread").expect("room");
        let kept = stdin.try_clone().expect("a duplicate");
        let mut command = weir(&["--", &program]);
        command.current_dir(dir.path());
        let end = start(command, stdin, Stdio::null()).end();
        end.assert_complains(status, &[says]);
        drop(input);
        assert_eq!(collect(kept).done(), b"unread", "{program}");
    }
    let end = start(weir(&["--", ""]), Stdio::null(), Stdio::null()).end();
    end.assert_complains(2, &["the name of the program is empty"]);
}

#[test]
fn a_script_without_an_interpreter_is_run_by_the_shell() {
    let dir = tempfile::tempdir().expect("a directory");
    let script = dir.path().join("script");
    fs::write(&script, "echo \"$1\"; cat").expect("a file");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("a program");
    let path = format!("{}:/usr/bin:/bin", dir.path().display());
    for name in [script.to_str().expect("plain"), "script"] {
        let mut command = weir(&["--", name, "a b"]);
        command.env("PATH", &path);
        let (end, got) = run(command, b"data");
        end.assert_success(name);
        assert_eq!(got, b"a b\ndata");
    }
}

#[test]
fn failures_of_weir_s_own_are_125_beside_a_command() {
    let dir = tempfile::tempdir().expect("a directory");
    let none = dir.path().join("none");
    let none = none.to_str().expect("plain");
    for words in [
        &[none, "--", "cat"][..],
        &["--tee", "/dev/full", "--", "cat"],
        &["--log", "/proc/none", "--", "cat"],
    ] {
        let (end, _) = run(weir(words), b"some\n");
        assert_eq!(end.status.code(), Some(125), "{words:?}: {end:?}");
        assert!(end.stderr.starts_with("weir: "), "{end:?}");
    }
    // What is read of a directory fails after COMMAND was started, which gets its end.
    let (end, got) = run(weir(&["/proc/self/mem", "--", "cat"]), b"");
    end.assert_complains(125, &["read: /proc/self/mem"]);
    assert_eq!(got, b"");
}

/// A weir whose COMMAND has said its number, and the producer's end of it.
fn running(options: &[&str], script: &str) -> (Running, Pid, std::io::PipeWriter) {
    running_behind("", options, script)
}

/// The same of one that has done `first` by the time that its number is known.
fn running_behind(
    first: &str,
    options: &[&str],
    script: &str,
) -> (Running, Pid, std::io::PipeWriter) {
    let (stdin, input) = pipe().expect("a pipe");
    let (mut output, stdout) = pipe().expect("a pipe");
    let weir = start(
        weir_sh(options, &format!("{first} echo $$; {script}")),
        stdin,
        stdout,
    );
    let pid = number(&mut output);
    harness::beside(move || output.read_to_end(&mut Vec::new()));
    (weir, pid, input)
}

#[test]
fn a_command_that_closes_its_standard_input_is_waited_for_and_the_producer_notices() {
    let (stdin, mut input) = pipe().expect("a pipe");
    let (mut output, stdout) = pipe().expect("a pipe");
    let script = "exec <&-; echo $$; while kill -0 $PPID; do test -e /proc/$PPID/done; sleep 0.01; \
                  test -e \"$0\" && exit 4; done";
    let dir = tempfile::tempdir().expect("a directory");
    let flag = dir.path().join("flag");
    let mut command = weir(&["--", "sh", "-c", script]);
    command.arg(&flag);
    let mut weir = start(command, stdin, stdout);
    number(&mut output);
    eventually("the producer gets an error", || {
        input.write_all(&[0; 4096]).is_err()
    });
    assert!(weir.is_alive(), "COMMAND lives");
    fs::write(&flag, "").expect("a file");
    assert_eq!(weir.end().status.code(), Some(4));
}

#[test]
fn a_grandchild_that_keeps_the_pipe_does_not_keep_weir() {
    let script = "sleep 1000 & echo $! >&2; exit 6";
    let end = start(
        weir_sh(&[], script),
        Before::Pipe.open(&data(2_000_000, 2)),
        Stdio::null(),
    )
    .end();
    assert_eq!(end.status.code(), Some(6), "{end:?}");
    let pid = Pid::from_raw(end.stderr.trim().parse().expect("a number")).expect("a process");
    kill_process(pid, Signal::KILL).expect("it is there");
}

#[test]
fn a_stalled_command_is_124_and_put_down() {
    let (weir, pid, mut input) = running(&["--sink-timeout", "200ms"], "exec sleep 1000");
    harness::beside(move || while input.write_all(&[0; 8192]).is_ok() {});
    let end = weir.end();
    end.assert_complains(124, &["the sink has taken nothing for"]);
    is_gone(pid);
}

#[test]
fn the_summary_names_how_it_ended() {
    for (script, word) in [
        ("exec cat >/dev/null", "eof"),
        ("exit 0", "consumer-gone"),
        ("exit 1", "command-failed"),
    ] {
        let mut command = weir_sh(&["--summary", "json", "--no-splice"], script);
        command.stdin(Stdio::piped());
        let end = start(
            command,
            Before::Pipe.open(&data(3_000_000, 4)),
            Stdio::null(),
        )
        .end();
        let books = Books::of(&end);
        assert_eq!(books.value("end"), word, "{script}");
        let gone = ["out", "shed", "undelivered"].map(|at| books.n(&format!("{at}/bytes")));
        assert_eq!(books.n("in/bytes"), gone.iter().sum::<usize>(), "{script}");
    }
}

#[test]
fn a_command_that_leaves_at_its_last_byte_has_had_all() {
    let bytes = [data(300_000, 5), b"\n".to_vec()].concat();
    for options in [&[][..], &["-l"], &["--no-splice"], &["-l", "-r", "100MB/s"]] {
        for (code, is_open) in [(0, false), (4, false), (0, true), (4, true)] {
            let case = format!("{options:?} {code} {is_open}");
            let script = format!("head -c {} >/dev/null; exit {code}", bytes.len());
            let command = weir_sh(&[&["--summary", "json"], options].concat(), &script);
            let (stdin, input) = std::io::pipe().expect("a pipe");
            // Where it is open there may be more to come.
            let held = input.try_clone().expect("a duplicate");
            let held = Some(held).filter(|_| is_open);
            let running = start(command, stdin, Stdio::null());
            let fed = harness::feed(input, bytes.clone());
            let end = running.end();
            drop(held);
            fed.done().expect("all was taken");
            assert_eq!(end.status.code(), Some(code), "{case}: {end:?}");
            let books = Books::of(&end);
            let n = bytes.len();
            books.assert_are("bytes", [n, n, 0, 0], &case);
            let words: &[&str] = match (code, is_open) {
                (4, _) => &["command-failed"],
                (_, true) => &["consumer-gone"],
                // Whichever is seen first.
                (_, false) => &["eof", "consumer-gone"],
            };
            let word = books.value("end").as_str().unwrap_or_default();
            assert!(words.contains(&word), "{case}: {word}");
        }
    }
}

#[test]
fn tees_and_what_is_shed_are_served_beside_a_command() {
    let dir = tempfile::tempdir().expect("a directory");
    let copy = dir.path().join("copy");
    let bytes = data(1_000_000, 8);
    let words = ["--tee", copy.to_str().expect("plain"), "--", "cat"];
    let (end, got) = run(weir(&words), &bytes);
    end.assert_success("tee");
    assert_same(&got, &bytes, "COMMAND");
    assert_same(&fs::read(&copy).expect("a file"), &bytes, "the tee");
}

#[test]
fn a_file_is_read_where_the_input_is_not() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), b"content").expect("filled");
    let path = file.path().to_str().expect("plain");
    let (end, got) = run(weir(&[path, "--", "sed", "s/t/-/g"]), b"unread");
    end.assert_success("a file");
    assert_eq!(got, b"con-en-");
}

#[test]
fn a_hundred_commands_leave_no_zombie_and_no_weir() {
    for i in 0..100 {
        let (end, got) = run(weir(&["--", "cat"]), &data(1000 * i, i as u64));
        end.assert_success("cat");
        assert_eq!(got.len(), 1000 * i);
    }
}
