//! What COMMAND makes of a signal from the terminal, or of one in its place, is what weir makes of it; but what is not
//! delivered, and would have been, had it been run again, is no success.

use std::io::pipe;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use rustix::process::Signal;

use crate::harness::spool::{Place, lines};
use crate::harness::{eventually, feed, start, weir};

/// What weir ends with: a status, or a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    With(i32),
    By(Signal),
}

use Ends::{By, With};

#[test]
fn an_end_after_an_interrupt_is_the_same_with_one_and_with_several_and_with_a_spool() {
    let never = &[][..];
    let always = &["--restart", "always"][..];
    let on_failure = &["--restart", "on-failure"][..];
    let rows = [
        // It was the end of the run, and so its status is weir's.
        (never, "exit 0", With(0)),
        (never, "exit 3", With(3)),
        (on_failure, "exit 0", With(0)),
        // Another one would have gone on, and none has.
        (always, "exit 0", By(Signal::INT)),
        // A status that says of itself that not all is well is kept.
        (on_failure, "exit 3", With(3)),
        (always, "exit 3", With(3)),
        // It has died by it, and so does weir.
        (never, "trap - INT; kill -INT $$", By(Signal::INT)),
        (on_failure, "trap - INT; kill -INT $$", By(Signal::INT)),
        (always, "trap - INT; kill -INT $$", By(Signal::INT)),
    ];
    for (restart, makes, wanted) in rows {
        for jobs in [&[][..], &["-j", "2"]] {
            for is_spooled in [false, true] {
                let place = Place::new();
                let (name, out) = (place.name(), place.0.path().join("out"));
                let out = out.display().to_string();
                // One line at most, so that most of it is undelivered.
                let script = format!(
                    "trap '{makes}' INT; read -r l; echo >$0.$$.go; while :; do sleep 0.01; done"
                );
                let spool = ["--spool", &name];
                let spool = if is_spooled { &spool[..] } else { &[] };
                let command = ["--", "sh", "-c", &script, &out];
                let words = [&["-q", "-l"], jobs, restart, spool, &command].concat();
                let (stdin, into) = pipe().expect("a pipe");
                let running = start(weir(&words), stdin, Stdio::null());
                let feeding = feed(into, lines(0, 100_000));
                let all = || {
                    let files = std::fs::read_dir(place.0.path()).expect("a directory");
                    let names = files.map(|it| it.expect("a file").file_name());
                    names
                        .filter(|it| it.to_string_lossy().ends_with(".go"))
                        .count()
                };
                eventually("they run", || all() == jobs.len().max(1));
                running.signal(Signal::INT);
                let end = running.end();
                // It may have read no more.
                let _ = feeding.done();
                let got = match (end.status.code(), end.status.signal()) {
                    (Some(status), _) => With(status),
                    (None, Some(2)) => By(Signal::INT),
                    _ => panic!("{words:?}: {end:?}"),
                };
                assert_eq!(got, wanted, "{words:?}: {end:?}");
            }
        }
    }
}

/// Its record goes back to the others; but that nobody was there to take it is no success.
#[test]
fn one_that_was_to_be_run_again_when_the_interrupt_came_is_missed() {
    let place = Place::new();
    let dir = place.0.path();
    let out = dir.join("out").display().to_string();
    let script = "if mkdir $0.lock 2>/dev/null; then read -r l; exit 3; fi; \
                  trap 'exit 0' INT; read -r l; echo >$0.reads; while :; do sleep 0.01; done";
    let hook = format!("restart=echo >{out}.fell");
    let again = ["--restart", "on-failure", "--backoff", "1m..1m", "--on"];
    let words = [&["-q", "-l", "-j", "2"], &again[..], &[&hook]].concat();
    let words = [&words[..], &["--", "sh", "-c", script, &out]].concat();
    let (stdin, into) = pipe().expect("a pipe");
    let running = start(weir(&words), stdin, Stdio::null());
    let feeding = feed(into, lines(0, 100_000));
    eventually("one has fallen, and the other one reads", || {
        dir.join("out.fell").exists() && dir.join("out.reads").exists()
    });
    running.signal(Signal::INT);
    let end = running.end();
    let _ = feeding.done();
    assert_eq!(end.status.signal(), Some(2), "{end:?}");
}
