//! What it leaves in the spool when weir is told to end: by a signal the batch in hand, whatever its program makes of
//! the signal, and always what has come of a record in half.

use std::fs;
use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Stdio;

use rustix::process::Signal;

use super::{Place, run};
use crate::harness::remote::Home;
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

#[test]
fn a_try_that_the_end_of_weir_cuts_short_is_no_failure_to_a_later_run_and_one_that_weir_died_in_is()
{
    // It hangs in the first tries, and fails then for as long as it is to.
    let script =
        "cat > /dev/null; echo $WEIR_TRY >> $0; test -e $0.fails || exec sleep 1000; ! rm $0.fails";
    let options = ["--batch", "1", "--give-up", "2", "--grace", "100ms"];
    let (int, term, kill) = (Signal::INT, Signal::TERM, Signal::KILL);
    for (signals, status, tries) in [
        (&[term, int, term][..], 0, "1\n2\n3\n4\n5\n"),
        (&[kill], 123, "1\n2\n"),
        (&[term, kill, int], 123, "1\n2\n3\n4\n"),
    ] {
        let place = Place::new();
        let mut input = Vec::from(b"one\n");
        for (n, signal) in signals.iter().enumerate() {
            let (stdin, mut into) = std::io::pipe().expect("a pipe");
            let mut command = place.weir(&options, script);
            command.process_group(0);
            let weir = start(command, stdin, Stdio::null());
            into.write_all(&std::mem::take(&mut input))
                .expect("it is read");
            eventually("it runs", || place.read("out").lines().count() == n + 1);
            weir.settle();
            // A program that outlives weir would be waited for.
            weir.signal_group(*signal);
            let end = weir.end();
            assert_eq!(end.status.signal(), Some(signal.as_raw()), "{end:?}");
        }
        fs::write(place.at("out.fails"), "").expect("written");
        // Whoever fails once has nothing to wait for any more.
        let succeeds = script.replace("exec sleep 1000", "exit 0");
        let end = run(place.weir(&options, &succeeds), Vec::new());
        assert_eq!(end.status.code(), Some(status), "{signals:?}: {end:?}");
        assert_eq!(place.read("out"), tries, "{signals:?}");
        place.assert_empty();
    }
}

#[test]
fn a_drain_after_a_batch_was_rejected_says_that_and_keeps_what_has_come_of_a_record() {
    let (place, home) = (Place::new(), Home::new());
    let script = "n=$(cat); echo $n >> $0; test $n != bad || exit 3";
    let options = ["-N", "half", "--batch", "1", "--reject", "3"];
    let (stdin, mut input) = std::io::pipe().expect("a pipe");
    let copy = stdin.try_clone().expect("a duplicate");
    let mut command = place.weir(&options, script);
    command.envs(home.variables());
    let first = start(command, copy, Stdio::null());
    input.write_all(b"bad\ngood\nha").expect("it is read");
    eventually("all else is dealt with", || {
        place.read("out") == "bad\ngood\n" && place.query()["bytes"] == 2
    });
    home.tell("half", &["--drain"]);
    let end = first.end();
    assert_eq!(end.status.code(), Some(123), "{end:?}");
    assert_eq!(place.query()["bytes"], 2);
    input.write_all(b"lf\n").expect("the pipe holds it");
    drop(input);
    let next = start(place.weir(&options, script), stdin, Stdio::null()).end();
    next.assert_success("nobody ended it");
    assert_eq!(place.read("out"), "bad\ngood\nhalf\n");
    place.assert_empty();
}
