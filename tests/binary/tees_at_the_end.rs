//! A tee that is behind when the programs that are the consumer have ended: what was read it still gets, whoever of weir
//! and them a signal reaches first, and weir goes on answering meanwhile.

mod consumers;

use crate::harness;
use std::fs::{File, Permissions};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

use crate::harness::remote::{Home, Weir};
use crate::harness::sides::make_fifo;
use crate::harness::{assert_same, eventually};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// How COMMAND is run: alone, beside another one, and once for each batch.
const WAYS: [&[&str]; 3] = [&["-l"], &["-l", "-j", "2"], &["-l", "--batch", "5000"]];
const LINES: usize = 30_000;

fn lines() -> Vec<u8> {
    (0..LINES)
        .flat_map(|n| format!("line {n}\n").into_bytes())
        .collect()
}

fn folder() -> TempDir {
    TempDir::new().expect("a directory")
}

/// A program of these words, put there at once.
fn put_program(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).expect("a file");
    std::fs::set_permissions(&new, Permissions::from_mode(0o755)).expect("ours");
    std::fs::rename(&new, path).expect("ours");
}

/// A weir whose tee nobody reads from yet.
struct Behind {
    home: Home,
    weir: Weir,
    tee: File,
    folder: TempDir,
}

impl Behind {
    /// COMMAND is this script, to which a directory is `$1`.
    fn begin(way: &[&str], script: &str) -> Behind {
        let folder = folder();
        let home = folder.path().to_str().expect("a plain path").to_owned();
        let mut behind = Behind::before(folder, way, &["sh", "-c", script, "sh", &home]);
        behind.weir.give(&lines());
        behind
    }

    /// The same with any COMMAND, and nothing is read yet.
    fn before(folder: TempDir, way: &[&str], command: &[&str]) -> Behind {
        let home = Home::new();
        let fifo = folder.path().join("tee");
        make_fifo(&fifo);
        let tee = File::options().read(true).write(true).open(&fifo);
        let tee = tee.expect("a FIFO that nobody reads from yet");
        let grace = match way.contains(&"--grace") {
            true => &[][..],
            false => &["--grace", "1h"],
        };
        let options = ["-N", "w", "--pipe-size", "4KiB", "--tee"];
        let fifo = fifo.to_str().expect("a plain path");
        let args = [way, grace, &options[..], &[fifo, "--"], command].concat();
        let weir = home.start(&args);
        Behind {
            home,
            weir,
            tee,
            folder,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn status(&self) -> Value {
        self.home.status(&self.weir)
    }

    fn await_all_read(&self) {
        eventually("all of it is read", || {
            self.status()["in"]["bytes"] == lines().len()
        });
    }

    /// Reads what the tee gets until weir ends, with a status that this says is right.
    fn end(mut self, case: &str, is_right: impl FnOnce(std::process::ExitStatus) -> bool) {
        rustix::io::ioctl_fionbio(&self.tee, true).expect("it can");
        let (wanted, mut got) = (lines(), Vec::new());
        let mut piece = [0; 65536];
        eventually("the tee has all", || {
            while let Ok(n @ 1..) = self.tee.read(&mut piece) {
                got.extend_from_slice(&piece[..n]);
            }
            got.len() >= wanted.len()
        });
        assert_same(&got, &wanted, case);
        let status = self.weir.end();
        assert!(is_right(status), "{case}: {status:?}");
    }
}

#[test]
fn weir_answers_while_only_a_tee_is_waited_for() {
    for way in WAYS {
        let mut behind = Behind::begin(way, "cat >/dev/null");
        drop(behind.weir.stdin.take());
        eventually("no program is given anything any more", || {
            let status = behind.status();
            let is_over = match way.len() {
                1 => status["state"] == "draining",
                _ => status["command"]["running"] == 0,
            };
            is_over && status["out"]["bytes"] == lines().len()
        });
        behind.end(&way.join(" "), |status| status.success());
    }
}

/// One that is run again is not told of the end of the input before tees have had all, for it may have to be given it
/// again; it leaves by counting.
#[test]
fn a_program_that_leaves_at_the_last_byte_has_had_all_and_a_tee_has_as_long_as_it_takes() {
    let script = format!(
        "head -c {} >/dev/null; until [ -e $1/leave ]; do sleep .01; done; echo >> $1/ended",
        lines().len()
    );
    for when in ["on-failure", "always"] {
        let way = ["-l", "--grace", "1ms", "--restart", when];
        let mut behind = Behind::begin(&way, &script);
        drop(behind.weir.stdin.take());
        eventually("it has read all", || {
            let status = behind.status();
            status["state"] == "draining" && status["out"]["bytes"] == lines().len()
        });
        std::fs::write(behind.path("leave"), "").expect("a file");
        eventually("it has ended", || {
            behind.path("ended").exists() && behind.status()["command"]["running"] == 0
        });
        // Long enough to end weir by --grace, if that were to rule.
        std::thread::sleep(std::time::Duration::from_millis(100));
        let ended = std::fs::read(behind.path("ended")).expect("a file");
        assert_eq!(ended.len(), 1, "{when}: it was run again");
        behind.end(when, |status| status.success());
    }
}

#[test]
fn a_signal_gives_a_tee_its_time_also_where_the_programs_end_by_it_at_once() {
    for way in WAYS {
        let behind = Behind::begin(way, "echo $$ >> $1/pids; exec cat >/dev/null");
        behind.await_all_read();
        behind.weir.signal(Signal::TERM);
        let pids = std::fs::read_to_string(behind.path("pids")).unwrap_or_default();
        for pid in pids.lines().filter_map(|pid| pid.parse().ok()) {
            // Some have ended already.
            let _ = kill_process(Pid::from_raw(pid).expect("a number"), Signal::TERM);
        }
        behind.end(&way.join(" "), |status| {
            status.signal() == Some(Signal::TERM.as_raw())
        });
    }
}

#[test]
fn a_first_signal_begins_the_time_of_a_tee_and_a_second_one_ends_it() {
    for way in &WAYS[1..] {
        for times in [1, 2] {
            let mut behind = Behind::begin(way, "cat >/dev/null");
            drop(behind.weir.stdin.take());
            eventually("only the tee is behind", || {
                let status = behind.status();
                status["command"]["running"] == 0 && status["out"]["bytes"] == lines().len()
            });
            behind.weir.signal(Signal::TERM);
            let case = format!("{way:?}, {times} signals");
            let is_right =
                |status: std::process::ExitStatus| status.signal() == Some(Signal::TERM.as_raw());
            if times == 1 {
                behind.end(&case, is_right);
                continue;
            }
            // Two that come at once are one.
            harness::settle(behind.weir.pid().parse().expect("a number"));
            behind.weir.signal(Signal::TERM);
            let status = behind.weir.end();
            assert!(is_right(status), "{case}: {status:?}");
        }
    }
}

#[test]
fn a_program_that_can_be_run_after_all_is_not_run_while_tees_are_waited_for() {
    let folder = folder();
    let [program, ran] = ["program", "ran"].map(|name| folder.path().join(name));
    put_program(&program, "#!/no/such/interpreter\n");
    let way = ["-l", "--batch", "1000", "--backoff", "10ms..10ms"];
    let command = [program.to_str().expect("a plain path")];
    let mut behind = Behind::before(folder, &way, &command);
    let stdin = behind.weir.stdin.take().expect("not fed yet");
    drop(harness::feed(stdin, lines()));
    eventually("it is over", || behind.status()["state"] == "draining");
    let read = behind.status()["in"]["bytes"].as_u64().expect("a number") as usize;
    let script = format!("#!/bin/sh\ntouch '{}'\ncat >/dev/null\n", ran.display());
    put_program(&program, &script);
    rustix::io::ioctl_fionbio(&behind.tee, true).expect("it can");
    let (mut got, mut piece) = (Vec::new(), [0; 65536]);
    eventually("the tee has all that was read", || {
        while let Ok(n @ 1..) = behind.tee.read(&mut piece) {
            got.extend_from_slice(&piece[..n]);
        }
        got.len() >= read
    });
    let status = behind.weir.end();
    assert_eq!(status.code(), Some(127), "{status:?}");
    assert_same(&got, &lines()[..got.len()], "the tee");
    assert!(!ran.exists(), "it was run");
}

/// The others read on until they are told to end, and one of them does not listen to that.
#[test]
fn a_program_that_fails_beside_others_leaves_a_tee_what_was_read() {
    let script =
        "trap '' TERM; mkdir $1/first 2>/dev/null && { echo $$ > $1/other; exec sleep 1000; }
        until [ -e $1/fail ]; do sleep .01; done; exit 3";
    let mut behind = Behind::begin(&["-l", "-j", "2"], script);
    behind.await_all_read();
    std::fs::write(behind.path("fail"), "").expect("a file");
    eventually("it is over", || behind.status()["state"] == "draining");
    let status = behind.status();
    let culprit = status["culprit"].as_str().unwrap_or_default().to_owned();
    assert_ne!(status["in"]["bytes"], status["out"]["bytes"], "{status}");
    drop(behind.weir.stdin.take());
    behind.end("workers", |status| status.code() == Some(3));
    assert!(culprit.is_empty() || culprit.ends_with("tee"), "{culprit}");
}

/// The tee is what everybody waits for then, and not a program that is not run any more.
#[test]
fn a_tee_is_named_where_a_signal_has_left_batches_for_it_alone() {
    let script =
        "echo >> $1/runs; [ $WEIR_TRY = 1 ] || until [ -e $1/fail ]; do sleep .01; done; exit 1";
    let behind = Behind::begin(&["-l", "--batch", "5000"], script);
    behind.await_all_read();
    eventually("it has failed, and is run again", || {
        std::fs::read(behind.path("runs")).is_ok_and(|it| it.len() == 2)
    });
    behind.weir.signal(Signal::TERM);
    eventually("it drains", || behind.status()["state"] == "draining");
    std::fs::write(behind.path("fail"), "").expect("a file");
    eventually("the tee is named", || {
        let culprit = behind.status()["culprit"].clone();
        culprit.as_str().is_some_and(|it| it.ends_with("tee"))
    });
    behind.end("batches", |status| {
        status.signal() == Some(Signal::TERM.as_raw())
    });
}

/// A FIFO that nobody reads from yet.
fn silent(folder: &TempDir) -> (File, String) {
    let fifo = folder.path().join("tee");
    make_fifo(&fifo);
    let tee = File::options().read(true).write(true).open(&fifo);
    let tee = tee.expect("a FIFO that nobody reads from yet");
    (tee, fifo.to_str().expect("a plain path").to_owned())
}

/// An input that cannot be read on is said, whatever ends the run before all is delivered.
#[test]
#[cfg(target_os = "linux")]
fn an_input_that_fails_is_said_where_a_signal_or_a_program_ends_weir_before_it_has_all() {
    for (way, script, signals) in [
        (WAYS[0], "exec sleep 1000", true),
        (WAYS[1], "exec sleep 1000", true),
        (WAYS[2], "exec sleep 1000", true),
        (
            WAYS[1],
            "until [ -e $1/fail ]; do sleep .01; done; exit 3",
            false,
        ),
    ] {
        let folder = folder();
        let input = folder.path().join("input");
        std::fs::write(&input, lines()).expect("a file");
        let input = input.to_str().expect("plain");
        let (_tee, fifo) = silent(&folder);
        let home = Home::new();
        // Memory at the address of nothing cannot be read: EIO.
        let path = folder.path().to_str().expect("plain");
        let options = [
            "--grace",
            "10ms",
            "--pipe-size",
            "256KiB",
            "--tee",
            &fifo,
            input,
            "/proc/self/mem",
            "--",
        ];
        let args = [way, &options[..], &["sh", "-c", script, "sh", path]].concat();
        let mut weir = home.start(&args);
        eventually("all of it is read", || {
            let status = home.status(&weir);
            status["in"]["bytes"] == lines().len() && status["state"] == "draining"
        });
        match signals {
            true => weir.signal(Signal::TERM),
            false => std::fs::write(folder.path().join("fail"), "").expect("a file"),
        }
        let (status, mut said) = (weir.end(), String::new());
        let mut errors = weir.child.stderr.take().expect("a pipe");
        errors.read_to_string(&mut said).expect("text");
        let case = format!("{way:?} {script} {status:?}: {said}");
        assert!(said.contains("read: /proc/self/mem: "), "{case}");
        assert_eq!(
            status.code(),
            if signals { None } else { Some(3) },
            "{case}"
        );
    }
}
