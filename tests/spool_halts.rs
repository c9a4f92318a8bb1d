//! A weir with a spool that is aborted leaves what it has taken in to the next one, and one that was stopped for a while
//! goes on as if nothing had been.

mod harness;

use harness::spool::{Place, lines};
use harness::{assert_same, collect, feed, start};
use rustix::process::Signal;

/// Bytes that may be in a pipe.
const PIPE: usize = 1 << 20;

#[test]
fn what_an_aborted_one_left_is_delivered_in_order() {
    for args in [&[][..], &["-l"], &["--sync", "1ms"]] {
        let (place, bytes) = (Place::new(), lines(0, 500_000));
        place.leave(&bytes, args, Signal::ABORT);
        let (got, said) = place.deliver(args);
        assert_eq!(said, "", "{args:?}");
        // What was in the pipe that nobody reads is known to have been written.
        let behind = bytes.len().checked_sub(got.len()).expect("nothing twice");
        assert!(behind <= PIPE, "{behind} were written before, {args:?}");
        assert_same(&got, &bytes[behind..], &format!("{args:?}"));
        assert_eq!(place.query()["bytes"], 0, "{args:?}");
    }
}

#[test]
fn one_that_is_stopped_for_a_while_loses_nothing_and_can_be_asked_what_lies_there() {
    let (place, bytes) = (Place::new(), lines(0, 1_000_000));
    let (stdin, input) = std::io::pipe().expect("a pipe");
    let (output, stdout) = std::io::pipe().expect("a pipe");
    let args = ["-l", "--spill", "4MiB", "--sync", "10ms"];
    let running = start(place.weir(&args), stdin, stdout);
    let feeding = feed(input, bytes.clone());
    place.await_bytes(2 << 20);
    running.stop();
    // It is stopped for longer than whatever it does every now and then: another one does all of that meanwhile, from its
    // start to its end.
    let (beside, text) = (Place::new(), lines(0, 100_000));
    beside.leave(&text, &args, Signal::KILL);
    let (got, _) = beside.deliver(&args);
    assert!(text.ends_with(&got) && !got.is_empty(), "the other one");
    let status = place.query();
    assert_eq!(status["pid"], running.pid().as_raw_pid(), "{status}");
    assert!(status["bytes"].as_u64() > Some(0), "{status}");
    assert_eq!(status["problems"].as_array().map(Vec::len), Some(0));
    running.signal(Signal::CONT);
    let got = collect(output).done();
    feeding.done().expect("all was taken");
    running.end().assert_success("it is over");
    assert_same(&got, &bytes, "all of it, once");
    assert_eq!(place.query()["bytes"], 0);
}
