//! A COMMAND that cannot be run, at first or any more: no program was run, so no batch has failed, and none is given up.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use crate::harness::books::Books;
use crate::harness::spool::{Place, lines};
use crate::harness::{eventually, feed, start, weir};

/// Writes a program there, with this mode.
fn program(at: &Path, text: &str, mode: u32) {
    fs::write(at, text).expect("a file");
    fs::set_permissions(at, Permissions::from_mode(mode)).expect("its mode");
}

#[test]
fn a_batch_that_no_program_was_ever_run_with_stays_whatever_is_to_be_given_up() {
    let spooled = ["", "--spool"];
    let sheds = ["", "--shed-to"];
    let commands = [("", 0o644), ("#!/no/such/interpreter\n", 0o755)];
    for (spool, shed, (text, mode)) in spooled
        .iter()
        .flat_map(|it| sheds.iter().map(move |shed| (it, shed)))
        .flat_map(|(spool, shed)| commands.iter().map(move |it| (spool, shed, it)))
    {
        let place = Place::new();
        let at = |name: &str| place.0.path().join(name).display().to_string();
        let (cannot, lost, name) = (at("cannot"), at("lost"), place.name());
        program(Path::new(&cannot), text, *mode);
        let mut words = vec!["-l", "--batch", "10", "--give-up", "1", "--summary", "json"];
        if !spool.is_empty() {
            words.extend([spool, name.as_str()]);
        }
        if !shed.is_empty() {
            words.extend([shed, lost.as_str()]);
        }
        words.extend(["--", &cannot]);
        let (stdin, into) = std::io::pipe().expect("a pipe");
        let running = start(weir(&words), stdin, Stdio::null());
        let _ = feed(into, lines(0, 25)).done();
        let end = running.end();
        let what = format!("{words:?}: {end:?}");
        assert!(matches!(end.status.code(), Some(126 | 127)), "{what}");
        let books = Books::of(&end);
        assert_eq!(books.n("shed/records"), 0, "{what}");
        assert_eq!(books.n("command/batches/shed/batches"), 0, "{what}");
        assert_eq!(fs::read(&lost).unwrap_or_default(), b"", "{what}");
        if spool.is_empty() {
            continue;
        }
        // Whoever has them next has them for the first time.
        let taken = books.n("in/records");
        let out = at("out");
        let script = "echo $WEIR_TRY >> $0.tries; cat >> $0";
        let words = ["-q", "-l", "--spool", &name, "--batch", "10", "--"];
        let words = [&words[..], &["sh", "-c", script, &out]].concat();
        let end = start(weir(&words), Stdio::null(), Stdio::null()).end();
        end.assert_success(&what);
        let got = fs::read(&out).expect("lines");
        assert_eq!(got, lines(0, taken), "{what}");
        let tries = fs::read_to_string(at("out.tries")).expect("tries");
        assert!(tries.lines().all(|it| it == "1"), "{tries}");
        place.assert_empty();
    }
}

#[test]
fn one_that_cannot_be_run_any_more_is_tried_on_and_gives_nothing_up() {
    for is_spooled in [false, true] {
        let place = Place::new();
        let at = |name: &str| place.0.path().join(name).display().to_string();
        let (command, log, out, name) = (at("command"), at("log"), at("out"), place.name());
        // It can be run once each time that somebody has seen to that.
        let text =
            "#!/bin/sh\necho $WEIR_TRY >> $1.tries; cat >> $1; test -e $1.again || chmod -x $0\n";
        program(Path::new(&command), text, 0o755);
        let mut words = vec!["-l", "--batch", "10", "--give-up", "1", "--log", &log];
        words.extend(["--backoff", "1ms..5ms"]);
        if is_spooled {
            words.extend(["--spool", &name]);
        }
        words.extend(["--", &command, &out]);
        let (stdin, into) = std::io::pipe().expect("a pipe");
        let running = start(weir(&words), stdin, Stdio::null());
        let feeding = feed(into, lines(0, 25));
        let said = || fs::read_to_string(&log).unwrap_or_default();
        let times = || said().matches("run: ").count();
        eventually("it is said", || times() == 1);
        program_again(&command);
        eventually("it is said again", || times() == 2);
        fs::write(at("out.again"), "").expect("a file");
        program_again(&command);
        feeding.done().expect("all was taken");
        let end = running.end();
        assert!(end.status.success(), "{is_spooled}: {end:?} {}", said());
        assert_eq!(fs::read(&out).expect("lines"), lines(0, 25));
        let tries = fs::read_to_string(at("out.tries")).expect("tries");
        assert_eq!(tries, "1\n1\n1\n", "{is_spooled}");
    }
}

fn program_again(at: &str) {
    fs::set_permissions(at, Permissions::from_mode(0o755)).expect("its mode");
}
