//! Ends by signal: what is delivered before, and what weir is seen to die of.

mod harness;

use harness::line::Line;
use harness::weir_in_shell;
use rustix::process::Signal;

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
    let weir = harness::start(harness::weir(&[]), stdin, std::process::Stdio::null());
    weir.settle();
    weir.signal(Signal::TERM);
    weir.end().assert_died_by(Signal::TERM, "eventfd");
}

#[test]
fn signals_that_were_ignored_at_the_start_stay_ignored() {
    let mut line = Line::with(weir_in_shell("trap '' HUP INT", &[], ""));
    // It is weir that runs, and no longer the shell, once data comes through.
    line.send(10);
    line.take(10);
    line.weir.signal(Signal::HUP);
    line.weir.signal(Signal::INT);
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
