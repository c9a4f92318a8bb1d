//! A disk, or descriptors, that are short when a spool is opened again: that is no damage, and nothing is lost.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;

use super::MIB;
use crate::harness::small_disk::SmallDisk;
use crate::harness::spool::{Place, lines};
use crate::harness::{WEIR, assert_same, collect, eventually, feed, start, weir};

#[test]
fn a_disk_that_is_full_at_the_start_is_waited_for() {
    for leaves in [false, true] {
        let place = Place::new();
        let Some(_disk) = SmallDisk::mount(place.spool(), "512k") else {
            return;
        };
        let filler = place.0.path().join("q/filler");
        let inside = place.spool().join("spool");
        // It has no more room than for the name of a file.
        let _ = fs::write(&filler, vec![1; 512 << 10]);
        let (stdin, input) = std::io::pipe().expect("a pipe");
        let (output, stdout) = std::io::pipe().expect("a pipe");
        let name = inside.display().to_string();
        let log = place.0.path().join("log");
        let log_name = log.display().to_string();
        let args = ["--spool", &name, "--log", &log_name, "-N", "waits"];
        let at_home = |mut it: Command| {
            it.env("XDG_RUNTIME_DIR", place.0.path());
            it
        };
        let running = start(at_home(weir(&args)), stdin, stdout);
        let waits =
            format!("spool to: {name}: the disk is full: nothing is read until there is room");
        eventually("it has said that it waits", || {
            fs::read_to_string(&log).is_ok_and(|said| said.contains(&waits))
        });
        let ask = |option| {
            let mut asking = at_home(weir(&[option, "waits"]));
            if option == "--remote" {
                asking.arg("--pause");
            }
            asking.output().expect("it ran")
        };
        eventually("it says so to who asks, too", || {
            let answer = ask("--query");
            let status = serde_json::from_slice(&answer.stdout).unwrap_or(Value::Null);
            answer.status.success() && status["state"] == "disk-full" && status["name"] == "waits"
        });
        let refused = ask("--remote");
        let why = String::from_utf8_lossy(&refused.stderr);
        assert!(
            !refused.status.success() && why.contains("waits for room; SIGTERM ends it"),
            "{why}"
        );
        if leaves {
            drop(output);
            let ended = running.end();
            let signal = ended.status.signal();
            assert_eq!(signal, Some(Signal::PIPE.as_raw()), "{ended:?}");
            let sockets = fs::read_dir(place.0.path().join("weir")).expect("where they are");
            assert_eq!(sockets.count(), 0, "nothing is left of it");
            continue;
        }
        fs::remove_file(&filler).expect("room");
        eventually("it goes on, and answers as ever", || {
            let answer = ask("--query");
            let status = serde_json::from_slice(&answer.stdout).unwrap_or(Value::Null);
            answer.status.success() && status["state"] != "disk-full"
        });
        let feeding = feed(input, b"what came".to_vec());
        assert_eq!(collect(output).done(), b"what came");
        feeding.done().expect("all is taken");
        let ended = running.end();
        assert!(ended.status.success(), "{ended:?}");
        let said = fs::read_to_string(&log).expect("a log");
        assert_eq!(said.matches(&waits).count(), 1, "{said}");
    }
}

#[test]
fn too_few_descriptors_are_no_damage() {
    let place = Place::new();
    let all = lines(0, 400_000);
    place.leave(&all, &[], Signal::KILL);
    let name = place.spool().display().to_string();
    let mut got = Vec::new();
    for most in 3..24 {
        let script = format!("ulimit -n {most} && exec {WEIR} -q --spool {name}");
        let mut weir = Command::new("sh");
        weir.args(["-c", &script]).stdin(Stdio::null());
        let output = weir.output().expect("it ran");
        let said = String::from_utf8_lossy(&output.stderr);
        // Either all are there from the beginning, or none is asked for.
        let is_short = said.contains("Too many open files") || said.contains("Error 24");
        assert_eq!(!output.status.success(), is_short, "{most}: {said}");
        for word in ["damage", "lost", "unchecked", "missing"] {
            assert!(!said.contains(word), "{most}: {said}");
        }
        got.extend(output.stdout);
    }
    got.extend(place.deliver(&[]).0);
    // What the one that was killed had written into its pipe is gone with that.
    let from = all
        .len()
        .checked_sub(got.len())
        .expect("not more than came");
    assert!(from <= MIB);
    assert_same(&got, &all[from..], "each byte once");
}

#[test]
fn a_small_disk_passes_on_more_than_it_holds() {
    let cat = ["-l", "--", "cat"];
    for args in [&[][..], &["-l"], &["--record-size", "1001"], &cat] {
        let place = Place::new();
        let Some(_disk) = SmallDisk::mount(place.spool(), "3m") else {
            return;
        };
        let bytes = lines(0, 1_000_000);
        let ended = place.pass(args, &bytes);
        // That it waits for room may be said.
        let is_wait = |line: &str| line.contains("waits for some");
        let is_well = ended.status.success() && ended.stderr.lines().all(is_wait);
        assert!(is_well, "{args:?}: {ended:?}");
    }
}
