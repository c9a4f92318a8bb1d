//! One cap for several weirs, by the real binary: on one host, and through a real `redis-server`.
//!
//! A test can only be late, and what it is late for has passed earlier: so it takes the time before
//! a window begins and after something has arrived, and no slowness of the machine can make what
//! arrived too much.

mod file;
#[cfg(feature = "redis")]
mod through_a_store;

use crate::harness;
use std::fs::{self, File};
use std::io::{PipeReader, Read, pipe};
use std::time::Instant;

use crate::harness::line::Line;
use crate::harness::remote::Home;
use crate::harness::{eventually, start};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;

/// A weir whose producer never ends; it shares its cap.
fn member(home: &Home, args: &[&str]) -> (harness::Running, PipeReader) {
    let (consumer, stdout) = pipe().expect("make a pipe");
    let zero = File::open("/dev/zero").expect("zeros");
    (start(home.command(args), zero, stdout), consumer)
}

/// Takes so much from all of them together; never is there more than the cap allows since `since`,
/// with a step for each that there is or was.
#[track_caller]
fn take(outputs: &[&PipeReader], much: usize, cap: f64, since: Instant) {
    let mut buffer = vec![0; 65_536];
    let (mut got, until) = (0, Instant::now() + harness::DEADLINE);
    while got < much {
        assert!(Instant::now() < until, "only {got} of {much} came");
        for output in outputs {
            let mut output: &PipeReader = output;
            let now = Timespec::default();
            if poll(&mut [PollFd::new(output, PollFlags::IN)], Some(&now)) == Ok(1) {
                got += output.read(&mut buffer).expect("read");
            }
        }
        let most = cap * since.elapsed().as_secs_f64() + 0.005 * cap * 5.0;
        assert!(got as f64 <= most, "{got} > {most}");
    }
}

/// Takes what is there already. The time before that: whatever comes from then on is what the cap allows.
fn catch_up(outputs: &[&PipeReader]) -> Instant {
    let since = Instant::now();
    for output in outputs {
        let mut output: &PipeReader = output;
        let now = Timespec::default();
        while poll(&mut [PollFd::new(output, PollFlags::IN)], Some(&now)) == Ok(1) {
            assert!(output.read(&mut [0; 65_536]).expect("read") > 0);
        }
    }
    since
}

/// What `--query` says of a process.
fn status(home: &Home, pid: &str) -> serde_json::Value {
    let output = home.run(&["--query", pid]);
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

/// Options of one of those that share 4 MB/s, who says nothing but errors and warnings.
fn silent(share: &str) -> [&str; 8] {
    [
        "--share",
        share,
        "-r",
        "4MB/s",
        "--display",
        "off",
        "--summary",
        "off",
    ]
}

#[test]
fn weirs_that_share_a_name_pass_no_more_than_one_cap_whoever_is_stopped_or_killed() {
    let home = Home::new();
    let cap = 4_000_000.0;
    let begin = Instant::now();
    let args = ["--share", "it", "-r", "4MB/s", "-q"];
    let members: Vec<_> = (0..4).map(|_| member(&home, &args)).collect();
    let outputs: Vec<&PipeReader> = members.iter().map(|(_, output)| output).collect();
    take(&outputs, 1_500_000, cap, begin);
    members[0].0.signal(Signal::STOP);
    members[1].0.signal(Signal::KILL);
    let left = &outputs[2..];
    let since = catch_up(left);
    // It is the sum that is capped, and the others have all of it.
    take(left, 1_500_000, cap, since);
    eventually("the one that was killed is not counted", || {
        status(&home, &members[2].0.pid().to_string())["share"]["members"] == 3
    });
    members[0].0.signal(Signal::CONT);
    let three = [outputs[0], outputs[2], outputs[3]];
    let since = catch_up(&three);
    take(&three, 1_500_000, cap, since);
}

#[test]
fn records_are_shared_and_bytes_beside_them() {
    let home = Home::new();
    let yes = || {
        let (consumer, stdout) = pipe().expect("make a pipe");
        let (lines, producer) = pipe().expect("make a pipe");
        let args = ["-l", "--share", "it", "-r", "2000/s", "-r", "1MB/s", "-q"];
        harness::feed(producer, b"four\n".repeat(100_000));
        (start(home.command(&args), lines, stdout), consumer)
    };
    let begin = Instant::now();
    let members = [yes(), yes(), yes()];
    let outputs: Vec<&PipeReader> = members.iter().map(|(_, output)| output).collect();
    // Five bytes each: the records' cap is the tighter one.
    take(&outputs, 5_000, 10_000.0, begin);
    let names: Vec<_> = fs::read_dir(home.sockets())
        .expect("a directory")
        .flatten()
        .collect();
    let shares = names
        .iter()
        .filter(|entry| entry.path().extension().is_some_and(|e| e == "share"));
    assert_eq!(shares.count(), 2);
}

#[test]
fn the_newest_rules_are_for_all_and_a_change_of_one_too() {
    let home = Home::new();
    let rate = |pid: &str| {
        status(&home, pid)["cap"]["bytes_per_s"]
            .as_f64()
            .unwrap_or(0.0)
    };
    let first = home.start(&["--share", "it", "-r", "1MB/s", "-N", "first"]);
    assert_eq!(rate(&first.pid()), 1e6);
    let second = home.start(&["--share", "it", "-r", "2MB/s", "-N", "second"]);
    for pid in [first.pid(), second.pid()] {
        eventually("the second's rate", || rate(&pid) == 2e6);
    }
    // What was said once and is no longer so can be said again.
    home.tell("first", &["--rate", "1MB/s"]);
    assert_eq!(rate(&first.pid()), 1e6);
    assert_eq!(rate(&second.pid()), 1e6);
    home.tell("second", &["--burst", "1MiB"]);
    assert_eq!(rate(&first.pid()), 1e6, "a burst changes no rate");
    let share = &status(&home, &first.pid())["share"];
    assert_eq!(
        share,
        &serde_json::json!({"name": "it", "members": 2, "cut_off": false})
    );
}

#[test]
fn what_cannot_be_shared_is_refused_in_one_line() {
    for (args, says) in [
        (
            "--share it",
            "--share it: there is no cap to share; add one",
        ),
        ("--share it -r off", "--share it: there is no cap to share"),
        (
            "--share it -r 1MB/s..2MB/s",
            "--rate 1MB/s..2MB/s cannot be shared",
        ),
        (
            "--share it -r 08:00,1MB/s",
            "cannot be shared: each weir has its own clock",
        ),
        ("--share ../it -r 1MB/s", "not a name of letters"),
        (
            "--share redis://u:p@h/it -r 1MB/s",
            "a password on the command line",
        ),
        (
            "--share http://h/it -r 1MB/s",
            "not a store: try redis://HOST/NAME",
        ),
    ] {
        let args: Vec<&str> = args.split(' ').collect();
        let mut line = Line::new(&args);
        line.ends_untouched();
        line.finish(0).assert_complains(2, &[says]);
    }
    let home = Home::new();
    let weir = home.start(&["-l", "--share", "it", "-r", "1MB/s", "-N", "it"]);
    for (change, says) in [
        (
            &["--rate", "1MB/s..2MB/s"][..],
            "cannot be shared: it follows the buffer of one",
        ),
        (
            &["--rate", "08:00,1MB/s"],
            "cannot be shared: each weir has its own clock",
        ),
        (
            &["--rate", "off"],
            "--rate off: the cap is shared, and cannot be lifted for one",
        ),
        (
            &["--rate", "100/s"],
            "--rate in records: it would not be shared",
        ),
        (
            &["--rate", "100/s", "--rate", "off"],
            "--rate off: the cap is shared",
        ),
    ] {
        let output = home.run(&[&["--remote", "it"], change].concat());
        assert_eq!(output.status.code(), Some(2), "{change:?}");
        let line = String::from_utf8_lossy(&output.stderr);
        assert!(
            line.contains(says) && line.lines().count() == 1,
            "{change:?}: {line}"
        );
    }
    assert_eq!(
        home.status(&weir)["cap"]["bytes_per_s"],
        1e6,
        "nothing has changed"
    );
}

#[test]
fn a_file_without_end_is_no_password() {
    let home = Home::new();
    let mut command = home.command(&["--share", "redis://127.0.0.1:1/it", "-r", "1MB/s"]);
    command.env("WEIR_SHARE_PASSWORD_FILE", "/dev/zero");
    let weir = start(
        command,
        File::open("/dev/null").expect("it"),
        std::process::Stdio::null(),
    );
    let says = "$WEIR_SHARE_PASSWORD_FILE: /dev/zero: too long for a password";
    weir.end().assert_complains(1, &[says]);
}

#[test]
fn weirs_without_a_session_share_whatever_their_temporary_directories_are() {
    let (home, other) = (Home::new(), Home::new());
    fs::remove_dir(home.runtime()).expect("no session");
    let weirs = [&home, &other].map(|its| {
        let mut command = home.command(&["--share", "it", "-r", "1MB/s", "-q"]);
        let weir = harness::remote::spawn(command.env("TMPDIR", its.temporary()));
        home.heard(weir)
    });
    for weir in &weirs {
        assert_eq!(home.status(weir)["share"]["members"], 2);
    }
}
