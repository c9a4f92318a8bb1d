//! `weir -l -j N -- COMMAND`: programs that run side by side, each with whole records by a pipe of its own.

use crate::harness;
use std::fs;
use std::io::{Write, pipe};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use crate::harness::books::Books;
use crate::harness::dir::{Dir, lines};
use crate::harness::sides::Before;
use crate::harness::{Ended, eventually, start, weir};
use rustix::process::Signal;

/// One that fails is run again, and soon.
const AGAIN: [&str; 4] = ["--restart", "on-failure", "--backoff", "1ms..2ms"];

/// Words of a command line that runs `sh -c SCRIPT DIR/out`.
fn words<'a>(options: &[&'a str], script: &'a str, out: &'a str) -> Vec<&'a str> {
    let rest = ["--summary", "json", "--", "sh", "-c", script, out];
    [&["-l"], options, &rest].concat()
}

fn run(dir: &Dir, options: &[&str], script: &str, n: usize) -> Ended {
    let out = dir.at("out");
    let words = words(options, script, &out);
    let stdin = Before::Pipe.open(&lines(n));
    start(weir(&words), stdin, Stdio::null()).end()
}

/// It has ended well; its summary is the only thing that it says.
trait Ends {
    fn assert_ok(&self, case: &str);
}

impl Ends for Ended {
    fn assert_ok(&self, case: &str) {
        assert!(self.status.success(), "{case}: {self:?}");
    }
}

/// The first to come does this, and the others that.
fn first(this: &str, that: &str) -> String {
    format!("if mkdir $0.lock 2>/dev/null; then {this}; else {that}; fi")
}

#[test]
fn each_record_is_dealt_with_by_one_of_them() {
    let dir = Dir::new();
    let end = run(&dir, &["-j", "4"], "cat > $0.$$", 50_000);
    end.assert_ok("four of them");
    dir.assert_all(50_000);
    assert_eq!(fs::read_dir(dir.0.path()).expect("a directory").count(), 4);
    let books = Books::of(&end);
    books.assert_are("records", [50_000, 50_000, 0, 0], "four of them");
    assert_eq!(books.value("command/batches"), &serde_json::Value::Null);
}

#[test]
fn one_that_reads_nothing_holds_up_no_other_and_has_a_record_at_most() {
    let dir = Dir::new();
    let out = dir.at("out");
    let script = first(
        "until test -e $0.go; do sleep 0.01; done; cat > $0.$$",
        "exec cat > $0.$$",
    );
    let words = words(&["-j", "3"], &script, &out);
    let (stdin, mut input) = pipe().expect("a pipe");
    let weir = start(weir(&words), stdin, Stdio::null());
    input.write_all(&lines(5_000)).expect("it is read");
    eventually("all others are dealt with", || dir.all().len() >= 9 * 4_999);
    fs::write(dir.at("out.go"), "").expect("a file");
    drop(input);
    weir.end().assert_ok("it was let go on");
    dir.assert_all(5_000);
}

#[test]
fn one_that_has_had_enough_leaves_the_rest_to_the_others() {
    let dir = Dir::new();
    let script = first(
        "if read one; then echo $one > $0.$$; fi",
        "exec cat > $0.$$",
    );
    run(&dir, &["-j", "3"], &script, 5_000).assert_ok("two go on");
    dir.assert_all(5_000);
}

#[test]
fn when_none_wants_any_more_weir_ends_as_they_do() {
    let dir = Dir::new();
    let end = run(&dir, &["-j", "2"], "read one", 5_000);
    end.assert_ok("both had enough");
    let books = Books::of(&end);
    assert_eq!(books.value("end"), "consumer-gone");
    books.assert_balance("both had enough");
}

#[test]
fn a_failure_ends_weir_with_its_status() {
    let dir = Dir::new();
    let end = run(&dir, &["-j", "3"], &first("exit 7", "cat > $0.$$"), 50);
    assert_eq!(end.status.code(), Some(7), "{end:?}");
    let dir = Dir::new();
    // One that has read all is waited for, as are the others.
    let script = first("cat > $0.$$; exit 8", "cat > $0.$$");
    let end = run(&dir, &["-j", "3"], &script, 50);
    assert_eq!(end.status.code(), Some(8), "{end:?}");
    dir.assert_all(50);
    let words = ["-l", "-j", "2", "--", "no-such-program-here"];
    let end = start(weir(&words), Stdio::null(), Stdio::null()).end();
    end.assert_complains(127, &["no-such-program-here"]);
}

#[test]
fn what_one_had_not_read_when_it_was_killed_is_not_missing() {
    let dir = Dir::new();
    let options = [&["-j", "3"], &AGAIN[..]].concat();
    // Not even a line of it is read ahead.
    let script = "read one || exit 0; echo $one >> $0.$$; kill -9 $$";
    let end = run(&dir, &options, script, 150);
    dir.assert_all(150);
    let books = Books::of(&end);
    books.assert_are("records", [150, 150, 0, 0], "killed again and again");
    assert!(books.n("command/restarts") > 100, "{end:?}");
    assert_eq!(books.n("command/repeated/records"), 0);
}

#[test]
fn a_record_that_was_begun_is_given_again_whole() {
    let dir = Dir::new();
    let options = [&["-j", "2"], &AGAIN[..]].concat();
    let script = first(
        "dd bs=1 count=4 of=/dev/null 2>/dev/null; exit 3",
        "exec cat > $0.$$",
    );
    let end = run(&dir, &options, &script, 500);
    end.assert_ok("another one has it");
    dir.assert_all(500);
    let books = Books::of(&end);
    assert_eq!(books.n("command/repeated/records"), 1);
    assert_eq!(books.n("command/repeated/bytes"), 4);
}

#[test]
fn one_that_stalls_is_ended_and_what_it_had_goes_on() {
    let dir = Dir::new();
    let options = ["-j", "2", "--restart", "on-failure", "--sink-timeout", "2s"];
    let script = first("exec sleep 1000", "exec cat > $0.$$");
    run(&dir, &options, &script, 500).assert_ok("it was run again");
    dir.assert_all(500);
    let dir = Dir::new();
    let options = ["-j", "2", "--sink-timeout", "2s"];
    let end = run(
        &dir,
        &options,
        &first("exec sleep 1000", "exec cat > $0.$$"),
        500,
    );
    assert_eq!(end.status.code(), Some(124), "{end:?}");
    assert!(end.stderr.contains("the sink has taken nothing"), "{end:?}");
}

#[test]
fn after_so_many_failures_in_a_row_weir_ends() {
    let dir = Dir::new();
    let options = ["-j", "2", "--restart", "always", "--give-up", "3"];
    let options = [&options[..], &["--backoff", "1ms..2ms"]].concat();
    let end = run(&dir, &options, "echo >> $0.$$; exit 9", 50);
    assert_eq!(end.status.code(), Some(9), "{end:?}");
}

#[test]
fn a_signal_lets_them_have_what_is_held() {
    let dir = Dir::new();
    let out = dir.at("out");
    let words = words(&["-j", "2", "-r", "2000/s"], "exec cat > $0.$$", &out);
    let (stdin, mut input) = pipe().expect("a pipe");
    let weir = start(weir(&words), stdin, Stdio::null());
    input.write_all(&lines(500)).expect("it is read");
    eventually("something has come", || !dir.all().is_empty());
    weir.signal(Signal::TERM);
    let end = weir.end();
    assert_eq!(end.status.signal(), Some(Signal::TERM.as_raw()), "{end:?}");
    dir.assert_all(500);
}

#[test]
fn one_that_closes_its_input_and_lives_on_is_ended_and_run_again() {
    let dir = Dir::new();
    // Both of them do that at first. Left alone they end well, and want nothing; the second may be, where there is
    // nothing left that it could take.
    let deaf = "exec <&-; exec sleep 6";
    let script = format!(
        "if mkdir $0.one 2>/dev/null || mkdir $0.two 2>/dev/null; then {deaf}; else exec cat > $0.$$; fi"
    );
    let options = [&AGAIN[..], &["-j", "2", "--sink-timeout", "2s"]].concat();
    let end = run(&dir, &options, &script, 1000);
    end.assert_ok("run again");
    let books = Books::of(&end);
    books.assert_are("records", [1000, 1000, 0, 0], "run again");
    assert!(books.n("command/restarts") >= 1, "{end:?}");
}

#[test]
fn those_who_wait_for_each_other_s_end_get_it() {
    let dir = Dir::new();
    // Only one at a time reads, and it holds the lock until its end.
    let script = "until mkdir $0.lock 2>/dev/null; do sleep 0.01; done; cat > $0.$$; rmdir $0.lock";
    run(&dir, &["-j", "2"], script, 1_000).assert_ok("one after the other");
    dir.assert_all(1_000);
    // A record of which a part has no room in the pipe of one that does not read is no reason to wait either.
    let dir = Dir::new();
    let out = dir.at("out");
    let long = [vec![b'x'; 1 << 20], b"\n".to_vec()].concat().repeat(4);
    let stdin = Before::Pipe.open(&long);
    let end = start(
        weir(&words(&["-j", "2"], script, &out)),
        stdin,
        Stdio::null(),
    )
    .end();
    end.assert_ok("long ones, one after the other");
    assert_eq!(Books::of(&end).n("out/bytes"), long.len());
}

#[test]
fn a_tee_that_is_behind_gets_its_rest_when_they_have_ended() {
    let dir = Dir::new();
    let (tee, copy) = (dir.at("tee"), dir.at("copy"));
    harness::sides::make_fifo(std::path::Path::new(&tee));
    let late = std::process::Command::new("sh")
        .args(["-c", "(sleep 1; exec cat > $1) < $0", &tee, &copy])
        .spawn();
    let mut late = late.expect("a reader");
    let text = "cat > /dev/null";
    run(&dir, &["-j", "2", "--tee", &tee], text, 100_000).assert_ok("it is waited for");
    assert!(late.wait().expect("its end").success());
    assert_eq!(fs::read(&copy).expect("a copy"), lines(100_000));
}

#[test]
fn those_who_make_an_end_of_their_own_of_an_interrupt_have_not_failed() {
    for (options, status) in [(&["-j", "2"][..], 0), (&["-j", "2"], 3), (&[], 0), (&[], 3)] {
        let dir = Dir::new();
        let script =
            format!("trap 'exit {status}' INT; echo >$0.$$.go; while :; do sleep 0.01; done");
        let out = dir.at("out");
        let (stdin, input) = pipe().expect("a pipe");
        let weir = start(weir(&words(options, &script, &out)), stdin, Stdio::null());
        let all = || fs::read_dir(dir.0.path()).expect("a directory").count();
        eventually("they run", || all() == options.len().max(1));
        weir.signal(Signal::INT);
        let end = weir.end();
        drop(input);
        assert_eq!(end.status.code(), Some(status), "{options:?}: {end:?}");
        assert_eq!(Books::of(&end).value("end"), "signal", "{options:?}");
    }
}
