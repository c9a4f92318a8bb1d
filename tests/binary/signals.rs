//! Ends by signal: what is delivered before, and what weir is seen to die of.

use crate::harness;
use std::fs::{self, File};
use std::io::{self, Read, pipe};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::harness::books::Books;
use crate::harness::line::Line;
use crate::harness::{Beside, beside, collect, eventually, start, weir, weir_in_shell};
use rustix::process::{Pid, Signal, kill_process_group};

const WAYS: [&[&str]; 2] = [&["-b", "1MiB"], &["-b", "1MiB", "--no-splice"]];

#[test]
fn sigterm_and_sighup_deliver_what_is_held_and_are_then_died_of() {
    for signal in [Signal::TERM, Signal::HUP] {
        for way in WAYS {
            let mut line = Line::new(way);
            line.stuff();
            let read = line.sent() - line.before();
            line.weir.signal(signal);
            line.weir.settle();
            assert!(line.weir.is_alive(), "what is held is not yet delivered");
            line.finish(read).assert_died_by(signal, "delivered");
        }
    }
}

/// Whichever it hears of first: the signal, or the end of who writes to it.
#[test]
fn a_signal_to_all_of_a_pipeline_is_what_weir_dies_of() {
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        for _ in 0..10 {
            let (stdin, input) = pipe().expect("a pipe");
            let (mut output, stdout) = pipe().expect("a pipe");
            let mut producer = Command::new("yes");
            producer.stdout(input).process_group(0);
            // In the order in which a shell starts them, and the system tells the last one first.
            let mut child = producer.spawn().expect("started");
            drop(producer);
            let group = Pid::from_child(&child);
            let mut command = weir(&["-q", "-l"]);
            command.process_group(group.as_raw_nonzero().get());
            let weir = start(command, stdin, stdout);
            output.read_exact(&mut [0]).expect("it flows");
            beside(move || io::copy(&mut output, &mut io::sink()));
            kill_process_group(group, signal).expect("sent");
            let end = weir.end();
            child.wait().expect("it has ended");
            assert_eq!(end.status.signal(), Some(signal.as_raw()), "{end:?}");
        }
    }
}

#[test]
fn sigterm_lets_a_prefill_go() {
    let mut line = Line::new(&["--prefill", "1MiB"]);
    line.send(1000);
    line.weir.settle();
    assert_eq!(line.behind(), 0);
    line.weir.signal(Signal::TERM);
    line.finish(1000).assert_died_by(Signal::TERM, "prefill");
}

#[test]
fn a_second_signal_ends_weir_at_once() {
    for (first, second) in [
        (Signal::TERM, Signal::TERM),
        (Signal::HUP, Signal::TERM),
        (Signal::TERM, Signal::INT),
    ] {
        let mut line = Line::new(WAYS[1]);
        line.stuff();
        let behind = line.behind();
        line.weir.signal(first);
        line.weir.settle();
        line.weir.signal(second);
        line.ends_untouched();
        line.finish(behind).assert_died_by(second, "the second");
    }
}

#[test]
fn sigint_stops_now() {
    for way in WAYS {
        let mut line = Line::new(way);
        line.stuff();
        let behind = line.behind();
        line.weir.signal(Signal::INT);
        line.ends_untouched();
        line.finish(behind).assert_died_by(Signal::INT, "full");
    }
}

#[test]
fn a_signal_ends_an_idle_weir_at_once() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        for way in WAYS {
            let line = Line::new(way);
            line.weir.settle();
            line.weir.signal(signal);
            line.finish(0).assert_died_by(signal, "idle");
        }
    }
}

#[test]
fn a_signal_ends_a_weir_that_waits_for_the_writer_of_a_fifo() {
    let dir = tempfile::TempDir::new().expect("make a directory");
    let path = dir.path().join("fifo");
    harness::sides::make_fifo(&path);
    let line = Line::new(&[path.to_str().expect("a plain path")]);
    line.weir.settle();
    line.weir.signal(Signal::TERM);
    line.finish(0).assert_died_by(Signal::TERM, "opening");
}

#[test]
fn a_signal_ends_a_weir_that_waits_for_an_odd_descriptor() {
    use rustix::event::{EventfdFlags, eventfd};
    let stdin = eventfd(0, EventfdFlags::CLOEXEC).expect("make an eventfd");
    let weir = start(weir(&[]), stdin, Stdio::null());
    weir.settle();
    weir.signal(Signal::TERM);
    weir.end().assert_died_by(Signal::TERM, "eventfd");
}

#[test]
fn signals_that_were_ignored_at_the_start_stay_ignored() {
    let mut line = Line::with(weir_in_shell("trap '' HUP INT USR1", &[], ""));
    // It is weir that runs, and no longer the shell, once data comes through.
    line.send(10);
    line.take(10);
    line.weir.signal(Signal::HUP);
    line.weir.signal(Signal::INT);
    // Nor is a question answered: the end says that nothing was said.
    line.weir.signal(Signal::USR1);
    line.weir.settle();
    line.send(100_000);
    line.close_input();
    line.finish(100_010).assert_success("ignored signals");
}

#[test]
fn a_signal_that_was_not_ignored_is_heeded_beside_one_that_was() {
    let mut line = Line::with(weir_in_shell("trap '' HUP", &[], ""));
    line.send(10);
    line.take(10);
    line.weir.signal(Signal::TERM);
    line.finish(10)
        .assert_died_by(Signal::TERM, "TERM beside HUP");
}

/// Counts what comes, until the end.
fn count(mut from: std::io::PipeReader) -> (Arc<AtomicUsize>, Beside<()>) {
    let count = Arc::new(AtomicUsize::new(0));
    let so_far = count.clone();
    let all = beside(move || {
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(n @ 1..) = from.read(&mut bytes) {
            count.fetch_add(n, Ordering::Relaxed);
        }
    });
    (so_far, all)
}

#[test]
fn what_the_summary_says_was_delivered_is_what_the_consumer_gets() {
    for way in [
        "--pipe-size=auto",
        "--no-splice",
        "--shed=oldest",
        "--rate=1GB/s",
    ] {
        for signal in [Signal::INT, Signal::TERM] {
            let (reader, writer) = pipe().expect("a pipe");
            let zeros = File::open("/dev/zero").expect("zeros");
            let weir = start(weir(&["--summary", "json", way]), zeros, writer);
            let (got, all) = count(reader);
            eventually("a good deal flows", || {
                got.load(Ordering::Relaxed) > 10_000_000
            });
            weir.signal(signal);
            let end = weir.end();
            all.done();
            assert_eq!(end.status.signal(), Some(signal.as_raw()), "{way}: {end:?}");
            let books = Books::of(&end);
            let gone = ["out", "shed", "undelivered"].map(|at| books.n(&format!("{at}/bytes")));
            assert_eq!(books.n("in/bytes"), gone.iter().sum::<usize>(), "{way}");
            assert_eq!(books.n("out/bytes"), got.load(Ordering::Relaxed), "{way}");
        }
    }
}

#[test]
fn sigterm_opens_no_other_file() {
    let dir = tempfile::TempDir::new().expect("make a directory");
    let [first, second] = ["first", "second"].map(|name| dir.path().join(name));
    fs::write(&first, vec![b'x'; 4 << 20]).expect("a file");
    fs::write(&second, b"never read").expect("a file");
    let (reader, writer) = pipe().expect("a pipe");
    let mut command = weir(&["-b", "1MiB", "--no-splice"]);
    command.args([&first, &second]);
    let weir = start(command, Stdio::null(), writer);
    weir.settle();
    fs::remove_file(&second).expect("removed");
    weir.signal(Signal::TERM);
    weir.settle();
    let got = collect(reader).done();
    assert!((1 << 20..4 << 20).contains(&got.len()), "{}", got.len());
    weir.end().assert_died_by(Signal::TERM, "in the first file");
}

#[test]
fn a_place_for_what_is_shed_that_nobody_reads_can_be_given_up_on() {
    let dir = tempfile::TempDir::new().expect("make a directory");
    let path = dir.path().join("fifo");
    harness::sides::make_fifo(&path);
    let line = Line::new(&[
        "--shed",
        "oldest",
        "--shed-to",
        path.to_str().expect("a plain path"),
    ]);
    line.weir.settle();
    line.weir.signal(Signal::TERM);
    line.finish(0).assert_died_by(Signal::TERM, "opening");
}

/// A capped weir that holds some of what it was sent and can deliver none of it in time.
fn slow(grace: &str) -> Line {
    let mut line = Line::new(&["-r", "1kB/s", "--grace", grace, "--summary", "json"]);
    line.send(200_000);
    eventually("all of it is read", || line.before() == 0);
    line
}

#[test]
fn under_a_cap_a_signal_is_died_of_when_its_grace_is_over() {
    for signal in [Signal::TERM, Signal::HUP] {
        let mut line = slow("200ms");
        line.weir.signal(signal);
        line.ends_untouched();
        let behind = line.behind();
        let end = line.finish(behind);
        assert_eq!(end.status.signal(), Some(signal.as_raw()), "{end:?}");
        let warning = end.stderr.lines().next().unwrap_or_default();
        assert!(
            warning.contains("kB at 1kB/s would take about 3 minutes: it ends in 200ms (--grace)"),
            "{end:?}"
        );
        let books = Books::of(&end);
        assert_eq!(books.n("in/bytes"), 200_000);
        assert_eq!(books.n("undelivered/bytes"), 200_000 - behind);
        // A fifth of a second, and what may be late on a busy machine.
        assert!(behind < 20_000, "{behind}");
    }
}

#[test]
fn a_consumer_that_stands_still_holds_no_weir_up_that_was_told_to_end() {
    for way in WAYS {
        let mut line = Line::new(&[way, &["--grace", "200ms", "--summary", "json"]].concat());
        line.stuff();
        let read = line.sent() - line.before();
        line.weir.signal(Signal::TERM);
        line.ends_untouched();
        let behind = line.behind();
        let end = line.finish(behind);
        assert_eq!(end.status.signal(), Some(Signal::TERM.as_raw()), "{end:?}");
        let books = Books::of(&end);
        assert_eq!(books.n("undelivered/bytes"), read - behind, "{way:?}");
    }
}

#[test]
fn a_second_signal_does_not_wait_for_the_grace() {
    let mut line = slow("1h");
    line.weir.signal(Signal::TERM);
    line.weir.signal(Signal::HUP);
    line.ends_untouched();
    let behind = line.behind();
    let end = line.finish(behind);
    let by = end.status.signal();
    let signals = [Signal::TERM, Signal::HUP].map(Signal::as_raw);
    assert!(by.is_some_and(|by| signals.contains(&by)), "{end:?}");
    assert!(
        end.stderr
            .contains("about 3 minutes; a second signal stops"),
        "{end:?}"
    );
}

#[test]
fn a_signal_finds_weir_ready_once_anything_of_it_can_be_seen() {
    for end in [
        None,
        Some(Signal::TERM),
        Some(Signal::INT),
        Some(Signal::HUP),
    ] {
        let dir = tempfile::TempDir::new().expect("make a directory");
        let at = |name: &str| dir.path().join(name);
        let [log, fifo] = [at("log"), at("fifo")];
        harness::sides::make_fifo(&fifo);
        let mut command = weir(&["--display", "off", "--shed", "oldest"]);
        command.arg("--log").arg(&log).arg("--shed-to").arg(&fifo);
        let mut line = Line::with(command);
        eventually("the log is made", || log.exists());
        line.weir.signal(Signal::USR1);
        // It waits for somebody who reads the FIFO.
        line.weir.settle();
        assert!(line.weir.is_alive(), "killed by a question");
        if let Some(end) = end {
            line.weir.signal(end);
            line.finish(0).assert_died_by(end, "while it opens");
            continue;
        }
        let shed = File::open(&fifo).expect("open a FIFO");
        let reports = || {
            fs::read_to_string(&log)
                .expect("read the log")
                .lines()
                .count()
        };
        eventually("the question is answered", || reports() == 1);
        line.close_input();
        line.finish(0).assert_success("asked early");
        drop(shed);
    }
}
