//! A disk, or a server, that does not answer when a spool is forced to it holds up nothing but the end, and that only for as
//! long as a signal lets it.
//!
//! `strace` makes it so; where it is missing, or may not trace, these tests say so and pass.

mod stuck;

use std::fs;
use std::io::Write;
use std::process::{Child, Command, Stdio};

use crate::harness::fifo::Fifo;
use crate::harness::spool::{Place, lines};
use crate::harness::{self, DEADLINE, Running, WEIR, collect, eventually, feed, field, start};
use rustix::process::{Pid, Signal, kill_process};

/// strace(1), which has the disk answer long after the deadline of any test.
fn slowly() -> Option<Command> {
    let delay = 10 * DEADLINE.as_micros();
    let mut strace = harness::strace()?;
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync"]);
    strace.arg("-e");
    strace.arg(format!("inject=fdatasync:delay_enter={delay}"));
    Some(strace)
}

/// weir with this spool on such a disk.
fn on_a_slow_disk(place: &Place, args: &[&str]) -> Option<Command> {
    let mut strace = slowly()?;
    // weir is the child, and not strace.
    strace.args(["-D", WEIR, "--spool", &place.name(), "-q", "-l"]);
    strace.args(args);
    Some(strace)
}

/// From now on the disk of this one is such a disk.
fn slow_down(running: &Running) -> Option<Child> {
    let mut strace = slowly()?;
    let pid = running.pid().as_raw_pid().to_string();
    strace.args(["-p", &pid]).stderr(Stdio::null());
    let strace = strace.spawn().expect("strace");
    let threads = || {
        let entries = fs::read_dir(format!("/proc/{pid}/task")).expect("its threads");
        entries.flatten().map(|entry| entry.path().join("status"))
    };
    eventually("all its threads are traced", || {
        threads().all(|it| field(&it, "TracerPid") == u64::from(strace.id()))
    });
    Some(strace)
}

/// Waits until all of it has ended that strace does not hold: a thread that it makes wait, and with it what is left of the
/// process, until that is over.
fn await_end(running: &Running) {
    let stat = format!("/proc/{}/stat", running.pid().as_raw_pid());
    eventually("it has ended", || {
        let stat = fs::read_to_string(&stat).unwrap_or_default();
        stat.rsplit_once(") ")
            .is_none_or(|(_, rest)| rest.starts_with('Z'))
    });
}

/// All is delivered by one whose disk does not answer, and it ends by these signals; what it says. What is next has nothing
/// left to deliver.
fn ends(args: &[&str], signals: &[Signal]) -> Option<String> {
    let (place, bytes) = (Place::new(), lines(0, 20_000));
    let weir = on_a_slow_disk(&place, args)?;
    let (stdin, input) = std::io::pipe().expect("a pipe");
    let (output, stdout) = std::io::pipe().expect("a pipe");
    let running = start(weir, stdin, stdout);
    let got = collect(output);
    let fed = feed(input.try_clone().expect("a pipe"), bytes.clone());
    fed.done().expect("all is taken");
    place.await_bytes(bytes.len());
    eventually("all is delivered", || place.query()["bytes"] == 0);
    let strace = i32::try_from(running.field("TracerPid")).ok();
    let strace = strace.and_then(Pid::from_raw).expect("it is traced");
    for signal in signals {
        running.signal(*signal);
    }
    await_end(&running);
    kill_process(strace, Signal::KILL).expect("it holds a thread");
    let ended = running.end();
    drop(input);
    let by = std::os::unix::process::ExitStatusExt::signal(&ended.status);
    assert!(
        signals.iter().any(|it| Some(it.as_raw()) == by),
        "{ended:?}"
    );
    assert!(got.done() == bytes, "not all was delivered");
    let (rest, said) = place.deliver(&["-l"]);
    assert_eq!((rest.len(), said.as_str()), (0, ""), "what was delivered");
    Some(ended.stderr)
}

#[test]
fn a_disk_that_does_not_answer_is_waited_for_at_the_end_no_longer_than_the_grace() {
    for sync in ["10ms", "1h"] {
        let Some(said) = ends(&["--sync", sync, "--grace", "300ms"], &[Signal::TERM]) else {
            return;
        };
        assert!(said.contains("is not waited for"), "{said:?}");
    }
}

#[test]
fn a_second_signal_does_not_wait_for_a_disk_that_does_not_answer() {
    for sync in ["10ms", "1h"] {
        let signals = [Signal::TERM, Signal::HUP];
        ends(&["--sync", sync, "--grace", "1h"], &signals);
    }
}

#[test]
fn an_interrupt_waits_for_a_disk_that_does_not_answer_no_longer_than_the_grace() {
    ends(&["--sync", "10ms", "--grace", "300ms"], &[Signal::INT]);
}

#[test]
fn a_signal_while_all_has_been_dealt_with_takes_nothing_from_what_there_is_to_say_of_that() {
    let place = Place::new();
    let args = ["--sync", "1h", "--batch", "10", "--reject", "77", "--"];
    let args = [&args[..], &["sh", "-c", "exit 77"]].concat();
    let Some(weir) = on_a_slow_disk(&place, &args) else {
        return;
    };
    let (stdin, input) = std::io::pipe().expect("a pipe");
    let running = start(weir, stdin, Stdio::null());
    feed(input, lines(10, 30)).done().expect("all is taken");
    let threads = format!("/proc/{}/task", running.pid().as_raw_pid());
    eventually("it waits for the disk", || {
        let threads = fs::read_dir(&threads).expect("its threads").flatten();
        let names = threads.map(|it| fs::read_to_string(it.path().join("comm")));
        names.flatten().any(|name| name == "close\n")
    });
    let strace = i32::try_from(running.field("TracerPid")).ok();
    let strace = strace.and_then(Pid::from_raw).expect("it is traced");
    running.signal(Signal::INT);
    await_end(&running);
    kill_process(strace, Signal::KILL).expect("it holds a thread");
    let ended = running.end();
    assert_eq!(ended.status.code(), Some(123), "{ended:?}");
    let says = "2 batches (20 records, 60B) were given up or rejected";
    assert!(ended.stderr.contains(says), "{ended:?}");
}

/// Who waits for the disk there is who writes to the program, and who ends weir waits for that one.
#[test]
fn with_sync_always_the_end_of_a_program_does_not_wait_for_a_disk_that_does_not_answer() {
    let ends: [(&str, &[Signal]); 2] = [
        ("300ms", &[Signal::TERM]),
        ("1h", &[Signal::TERM, Signal::HUP]),
    ];
    for (grace, signals) in ends {
        let (place, bytes) = (Place::new(), lines(0, 100_000));
        place.leave(&bytes, &["-l"], Signal::KILL);
        // The rest has gone with the pipe of that one.
        let left = place.query()["bytes"].as_u64().expect("a number");
        let bytes = &bytes[bytes.len() - left as usize..];
        let (go, read) = (Fifo::new(), place.0.path().join("read"));
        let most = 66_000;
        // A little more than its pipe holds.
        let script = format!(
            "read go < {}; head -c {most} > {}; exec sleep 1000",
            go.name(),
            read.display()
        );
        let args = ["-l", "--pipe-size", "64KiB", "--sync", "always"];
        let args = [&args[..], &["--grace", grace, "--", "sh", "-c", &script]].concat();
        let running = start(place.weir(&args), Stdio::null(), Stdio::null());
        let mut go = go.open();
        running.settle();
        let Some(mut strace) = slow_down(&running) else {
            return;
        };
        go.write_all(b"\n").expect("it waits for that");
        eventually("it has been given more", || {
            fs::metadata(&read).is_ok_and(|it| it.len() == most as u64)
        });
        for signal in signals {
            running.signal(*signal);
        }
        await_end(&running);
        strace.kill().expect("it holds a thread");
        strace.wait().expect("it has ended");
        let ended = running.end();
        let by = std::os::unix::process::ExitStatusExt::signal(&ended.status);
        assert!(
            signals.iter().any(|it| Some(it.as_raw()) == by),
            "{ended:?}"
        );
        let last = bytes[..most].iter().rposition(|byte| *byte == b'\n');
        let begun = last.map_or(0, |at| at + 1);
        let (rest, said) = place.deliver(&["-l"]);
        assert!(rest == bytes[begun..], "{} and {said:?}", rest.len());
    }
}
