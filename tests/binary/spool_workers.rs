//! `weir -l --spool DIR -j N -- COMMAND`: programs that run side by side take from one spool. What each of them has been
//! given outlives weir, and so does what it has left.

mod long;

use std::collections::BTreeMap;
use std::fs;
use std::io::{PipeReader, Write, pipe};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use crate::harness::dir::{Dir, lines};
use crate::harness::remote::Home;
use crate::harness::{Running, eventually, feed, spool, start, weir};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Bytes of a line.
const LINE: usize = 9;

/// `weir -l --spool q OPTIONS -- sh -c SCRIPT out`, of which what the programs write is in `out.PID`.
struct Place {
    dir: Dir,
    spool: spool::Place,
}

impl Place {
    fn new() -> Place {
        Place {
            dir: Dir::new(),
            spool: spool::Place::new(),
        }
    }

    fn start(&self, options: &[&str], script: &str, stdin: impl Into<Stdio>) -> Running {
        let words = self.words(options, script);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        start(weir(&words), stdin, Stdio::null())
    }

    fn words(&self, options: &[&str], script: &str) -> Vec<String> {
        let (spool, out) = (self.name(), self.dir.at("out"));
        let fixed = ["-q", "-l", "--spool", &spool];
        let command = ["--", "sh", "-c", script, &out];
        let words = [&fixed[..], options, &command].concat();
        words.into_iter().map(str::to_owned).collect()
    }

    fn name(&self) -> String {
        self.spool.name()
    }

    /// What `weir --query` says of it.
    fn query(&self) -> Value {
        self.spool.query()
    }

    /// How many lines the programs have, each counted as often as it is there. What one whose weir was killed has of its
    /// last line does not count.
    fn counted(&self) -> BTreeMap<usize, usize> {
        let mut count = BTreeMap::new();
        for file in fs::read_dir(self.dir.0.path()).expect("a directory") {
            let text = fs::read(file.expect("a file").path()).unwrap_or_default();
            let lines = text.split_inclusive(|byte| *byte == b'\n');
            for line in lines.filter(|line| line.len() == LINE) {
                let line = str::from_utf8(line).expect("text").trim_end();
                *count.entry(line.parse().expect("a number")).or_default() += 1;
            }
        }
        count
    }

    /// Starts a program in each of two hands: the first reads nothing, and the other one so many lines, and then leaves.
    /// Then the first is killed, and weir. Each line of the rest lies there once. Who feeds it still does.
    fn leave_parts(&self, n: usize, read: usize) -> PipeReader {
        let script = format!(
            "if mkdir $0.lock 2>/dev/null; then echo $$ >$0.pid; mv $0.pid $0.go; exec sleep 1000; fi; \
             until test -e $0.go; do sleep 0.01; done; \
             n=0; while [ $n -lt {read} ] && read x; do echo $x >>$0.$$; n=$((n+1)); done"
        );
        let options = ["-j", "2", "--restart", "on-failure", "--backoff", "1h..1h"];
        let (stdin, mut input) = pipe().expect("a pipe");
        let copy = stdin.try_clone().expect("a duplicate");
        let weir = self.start(&options, &script, stdin);
        input.write_all(&lines(n)).expect("it is read");
        eventually("one has had enough", || self.counted().len() == read);
        let pid = self.dir.read("out.go").trim().parse().expect("a number");
        let first = Pid::from_raw(pid).expect("a process");
        kill_process(first, Signal::KILL).expect("it lives");
        let rest = ((n - read) * LINE) as u64;
        eventually("all that was not read is owed", || {
            self.query()["bytes"] == rest
        });
        assert_eq!(self.query()["records"], n - read);
        assert_eq!(self.query()["batches"], 0);
        weir.signal(Signal::KILL);
        weir.end();
        let left = self.query();
        assert_eq!(
            (&left["bytes"], &left["records"]),
            (&rest.into(), &(n - read).into())
        );
        copy
    }

    #[track_caller]
    fn assert_empty(&self) {
        self.spool.assert_empty();
    }
}

/// It ends inside of a line, where the last run stopped reading, and what goes on with that comes while the first of what
/// lies there is still being given.
#[test]
fn a_full_spool_that_is_opened_again_is_not_torn_where_it_ended() {
    const COUNT: usize = 200_000;
    for round in 0..4 {
        let place = Place::new();
        let (stdin, input) = pipe().expect("a pipe");
        let feeding = feed(input, lines(COUNT));
        let copy = stdin.try_clone().expect("a duplicate");
        let script = "echo $$ >>$0.go; exec sleep 1000";
        let first = place.start(&["-j", "2", "--spill", "1MiB"], script, copy);
        let is_full = || place.query()["bytes"].as_u64() > Some(1 << 19);
        eventually("they run", || place.dir.lines("out.go").len() == 2);
        eventually("it fills", is_full);
        let before = std::cell::Cell::new(None);
        eventually("it is full", || {
            let held = place.query()["bytes"].as_u64();
            before.replace(held) == held
        });
        first.signal(Signal::KILL);
        first.end();
        for pid in place.dir.lines("out.go") {
            let pid = Pid::from_raw(pid.parse().expect("a number"));
            kill_process(pid.expect("a process"), Signal::KILL).expect("it lives");
        }
        fs::remove_file(place.dir.at("out.go")).expect("it is there");
        let rest = place.start(&["-j", "2", "--spill", "1MiB"], "exec cat >>$0.$$", stdin);
        rest.end().assert_success("nobody killed it");
        feeding.done().expect("all was taken");
        let all = place.dir.all();
        let torn = all.split_inclusive('\n').filter(|line| line.len() != LINE);
        let torn: Vec<_> = torn.collect();
        assert!(torn.is_empty(), "round {round}: {torn:?}");
        let count = place.counted();
        // What those have had who read nothing is gone with them.
        let (first, last) = (count.keys().next(), count.keys().last());
        let (first, last) = (first.expect("some"), last.expect("some"));
        assert_eq!(count.len(), last - first + 1, "round {round}");
        assert!(lines(COUNT).ends_with(format!("{last:08}\n").as_bytes()));
    }
}

#[test]
fn what_has_come_in_half_when_weir_is_told_to_end_is_given_once_and_whole_by_the_next() {
    let (jobs, batch) = (&["-j", "2"][..], &["--batch", "10"][..]);
    let all = lines(2);
    for (options, drains) in [(jobs, false), (jobs, true), (batch, true)] {
        let (place, home) = (Place::new(), Home::new());
        let (stdin, mut input) = pipe().expect("a pipe");
        let copy = stdin.try_clone().expect("a duplicate");
        let (script, held) = ("exec cat >>$0.$$", if options == batch { LINE } else { 0 });
        let words = place.words(&[&["-N", "half"], options].concat(), script);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let first = start(home.command(&words), copy, Stdio::null());
        // Some of it has been looked at when the rest of that comes.
        let mut sent = 0;
        for (to, bytes) in [(LINE, held), (LINE + 2, held + 2), (LINE + 4, held + 4)] {
            input.write_all(&all[sent..to]).expect("it is read");
            sent = to;
            place.spool.await_bytes(to);
            eventually("it has come", || place.query()["bytes"] == bytes);
        }
        match drains {
            true => home.tell("half", &["--drain"]),
            false => first.signal(Signal::TERM),
        }
        let status = first.end().status;
        assert_eq!(status.signal(), Some(15), "{options:?} {status:?}");
        assert_eq!(place.query()["bytes"], 4, "{options:?}");
        place.dir.assert_all(1);
        input.write_all(&all[sent..]).expect("the pipe holds it");
        drop(input);
        let next = place.start(options, script, stdin).end();
        next.assert_success("nobody ended it");
        place.dir.assert_all(2);
        place.assert_empty();
    }
}

/// The runs of numbers that are there more than once.
fn repeated(count: &BTreeMap<usize, usize>) -> usize {
    let again = count.iter().filter(|(_, times)| **times > 1);
    let (mut runs, mut next) = (0, 0);
    for (number, _) in again {
        runs += usize::from(*number != next);
        next = number + 1;
    }
    runs
}

#[test]
fn kills_at_any_time_lose_nothing_and_repeat_a_write_of_each_program_at_most() {
    const COUNT: usize = 400_000;
    const JOBS: usize = 3;
    const KILLS: usize = 8;
    let place = Place::new();
    let (stdin, input) = pipe().expect("a pipe");
    let feeding = feed(input, lines(COUNT));
    let mut seed = 77_u64;
    // A program that lives on reads what lies in its pipe to the end. All of it would take seven seconds at this pace.
    let options = ["-j", "3", "-r", "500kB/s"];
    for _ in 0..KILLS {
        let copy = stdin.try_clone().expect("a duplicate");
        let weir = place.start(&options, "exec cat >>$0.$$", copy);
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let more = place.counted().len() + 1 + (seed >> 33) as usize % 10_000;
        eventually("it delivers", || place.counted().len() >= more.min(COUNT));
        weir.signal(Signal::KILL);
        let status = weir.end().status;
        // On a very slow machine it may just have delivered all.
        assert!(status.signal() == Some(9) || status.success(), "{status:?}");
    }
    let ended = place.start(&["-j", "3"], "exec cat >>$0.$$", stdin).end();
    ended.assert_success("nobody killed it");
    feeding.done().expect("all was taken");
    eventually("all of it", || place.counted().len() == COUNT);
    let runs = repeated(&place.counted());
    assert!(runs <= KILLS * JOBS, "{runs} runs");
    place.assert_empty();
}

#[test]
fn what_one_had_not_read_when_it_was_killed_is_not_missing_beside_a_spool() {
    let place = Place::new();
    let (stdin, input) = pipe().expect("a pipe");
    let feeding = feed(input, lines(150));
    let options = [
        "-j",
        "3",
        "--restart",
        "on-failure",
        "--backoff",
        "1ms..2ms",
    ];
    // Not even a line of it is read ahead.
    let script = "read one || exit 0; echo $one >>$0.$$; kill -9 $$";
    place.start(&options, script, stdin).end();
    feeding.done().expect("all was taken");
    place.dir.assert_all(150);
    place.assert_empty();
}

#[test]
fn what_was_given_back_is_there_for_a_run_without_jobs_with_others_and_with_batches() {
    for (options, script) in [
        (&[][..], "exec cat >>$0.$$"),
        (&["-j", "5"], "exec cat >>$0.$$"),
        (&["-j", "2..3", "--restart", "always"], "exec cat >>$0.$$"),
        (&["--batch", "70"], "cat >>$0.$$"),
        (&["--batch", "70", "-j", "2"], "cat >>$0.$$"),
    ] {
        let place = Place::new();
        place.leave_parts(1000, 200);
        let ended = place.start(options, script, Stdio::null()).end();
        ended.assert_success(&format!("{options:?}"));
        let missing: Vec<usize> = (1..=1000)
            .filter(|n| !place.counted().contains_key(n))
            .collect();
        assert_eq!(missing, [0; 0], "{options:?}");
        let count = place.counted();
        assert!(
            count.values().all(|times| *times == 1),
            "{options:?}: twice"
        );
        place.assert_empty();
    }
}

#[test]
fn batches_that_an_earlier_run_has_left_are_dealt_out() {
    let place = Place::new();
    let (stdin, input) = pipe().expect("a pipe");
    let feeding = feed(input, lines(1000));
    let options = ["--batch", "100", "-j", "3", "--backoff", "1h..1h"];
    // One fails, and its batch is not tried again soon.
    let script = "if mkdir $0.lock 2>/dev/null; then touch $0.go; exit 3; fi; exec cat >>$0.$$";
    let weir = place.start(&options, script, stdin);
    feeding.done().expect("all was taken");
    eventually("one has failed", || {
        place
            .dir
            .at("out.go")
            .parse::<std::path::PathBuf>()
            .is_ok_and(|it| it.exists())
    });
    eventually("all lies there", || {
        place.query()["batches"].as_u64() >= Some(1)
    });
    weir.signal(Signal::KILL);
    weir.end();
    let ended = place
        .start(&["-j", "3"], "exec cat >>$0.$$", Stdio::null())
        .end();
    ended.assert_success("dealt out");
    eventually("all of it", || place.counted().len() == 1000);
    place.assert_empty();
}

#[test]
fn a_signal_leaves_the_rest_in_the_spool_and_another_run_deals_that_out() {
    let place = Place::new();
    let (stdin, mut input) = pipe().expect("a pipe");
    // Slow, but each line is there when it was read.
    let script = "while read x; do echo $x >>$0.$$; done";
    let options = ["-j", "2", "-r", "500/s", "--grace", "100ms"];
    let weir = place.start(&options, script, stdin);
    input.write_all(&lines(5000)).expect("it is read");
    eventually("something has come", || place.counted().len() > 20);
    weir.signal(Signal::TERM);
    let ended = weir.end();
    assert_eq!(
        ended.status.signal(),
        Some(Signal::TERM.as_raw()),
        "{ended:?}"
    );
    drop(input);
    assert!(place.query()["records"].as_u64() > Some(1000));
    let ended = place
        .start(&["-j", "4"], "exec cat >>$0.$$", Stdio::null())
        .end();
    ended.assert_success("the rest");
    let count = place.counted();
    assert_eq!(
        count.len(),
        5000,
        "{:?}",
        (1..=5000).find(|n| !count.contains_key(n))
    );
    place.assert_empty();
}
