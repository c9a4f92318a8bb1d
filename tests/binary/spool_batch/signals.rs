//! What a signal makes of the batch in hand: it stays in the spool, whatever its program makes of the signal.

use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Stdio;

use rustix::process::Signal;

use super::Place;
use crate::harness::{eventually, start};

#[test]
fn a_batch_that_a_signal_has_ended_stays_and_no_other_is_begun() {
    let (int, term) = (Signal::INT, Signal::TERM);
    let give_up = &["--give-up", "1"][..];
    let reject = &["--reject", "130,143"][..];
    for (signal, is_group, options) in [
        (int, true, give_up),
        (int, true, reject),
        (int, false, give_up),
        (int, false, reject),
        (term, true, give_up),
        (term, true, reject),
        // Weir's own, when the time is over.
        (term, false, give_up),
        (term, false, reject),
    ] {
        let place = Place::new();
        let script = "cat > /dev/null; echo run >> $0; exec sleep 1000";
        let fixed = ["--batch", "1", "--grace", "100ms"];
        let mut command = place.weir(&[&fixed, options].concat(), script);
        command.process_group(0);
        let (stdin, mut input) = std::io::pipe().expect("a pipe");
        let weir = start(command, stdin, Stdio::null());
        input.write_all(b"one\ntwo\nthree\n").expect("it is read");
        eventually("it runs", || place.read("out") == "run\n");
        weir.settle();
        match is_group {
            true => weir.signal_group(signal),
            false => weir.signal(signal),
        }
        let end = weir.end();
        let what = format!("{signal:?}, {is_group}, {options:?}: {end:?}");
        assert_eq!(end.status.signal(), Some(signal.as_raw()), "{what}");
        assert_eq!(place.read("out"), "run\n", "{what}");
        let got = place.0.deliver(&["-l"]).0;
        assert_eq!(got, b"one\ntwo\nthree\n", "{what}");
    }
}
