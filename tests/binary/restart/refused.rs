//! What cannot be run, and options that would have no effect: said, and no loop.

use std::process::Stdio;

use crate::harness::sides::Before;
use crate::harness::{start, weir};

#[test]
fn what_cannot_be_run_is_127_at_once_and_not_a_loop() {
    let words = ["--restart", "always", "--", "no-such-program-here"];
    let end = start(weir(&words), Before::Pipe.open(b"x"), Stdio::null()).end();
    end.assert_complains(127, &["run: no-such-program-here"]);
}

#[test]
fn options_that_would_have_no_effect_are_refused() {
    for (words, says) in [
        (
            &["--restart", "always"][..],
            "--restart: there is nothing to run again",
        ),
        (
            &["--backoff", "1s", "--", "cat"],
            "--backoff: nothing is run again",
        ),
        (
            &["--give-up", "3", "--", "cat"],
            "--give-up: nothing is run again",
        ),
        (
            &["--restart", "always", "--give-up", "0", "--", "cat"],
            "invalid value '0'",
        ),
    ] {
        let end = start(weir(words), Stdio::null(), Stdio::null()).end();
        end.assert_complains(2, &[says]);
    }
}
