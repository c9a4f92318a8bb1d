//! A weir with a spool that is aborted leaves what it has taken in to the next one, and one that was stopped for a while
//! goes on as if nothing had been.

use std::fs;
use std::io::{BufRead, BufReader, Lines, PipeWriter};
use std::process::{Child, ChildStderr, Stdio};

use crate::harness::spool::{Place, lines};
use crate::harness::{Leash, assert_same, collect, eventually, feed, settle, start, weir_in_shell};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, prlimit};

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

/// The places cannot be saved from some moment on, which ends it.
struct Failing {
    place: Place,
    bytes: Vec<u8>,
    weir: Child,
    _leash: Leash,
    /// It does not end by that.
    _input: PipeWriter,
    /// What is not limited any more.
    before: Rlimit,
    said: Lines<BufReader<ChildStderr>>,
}

/// What the program reads before it sleeps.
const READ: usize = 64 << 10;

impl Failing {
    fn start(more: &[&str]) -> Failing {
        let (place, bytes) = (Place::new(), lines(0, 200_000));
        let go = place.0.path().join("go");
        let script = format!(
            "until [ -e {} ]; do sleep .01; done; head -c {READ} >/dev/null; exec sleep 1000",
            go.display()
        );
        let spool = place.name();
        let args = ["-l", "--spool", &spool, "--", "sh", "-c", &script];
        // Without that a file that may not grow is its end.
        let mut weir = weir_in_shell("trap '' XFSZ", &[more, &args].concat(), "");
        let (stdin, input) = std::io::pipe().expect("a pipe");
        weir.stdin(stdin)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut weir = weir.spawn().expect("weir");
        let leash = Leash::on(&weir);
        let feeding = feed(input.try_clone().expect("a pipe"), bytes.clone());
        feeding.done().expect("all is taken");
        place.await_bytes(bytes.len());
        settle(weir.id());
        let none = Rlimit {
            current: Some(0),
            maximum: getrlimit(Resource::Fsize).maximum,
        };
        let pid = Pid::from_child(&weir);
        let before = prlimit(Some(pid), Resource::Fsize, none).expect("set a limit");
        fs::write(go, "").expect("a file");
        let said = BufReader::new(weir.stderr.take().expect("a pipe"));
        let mut said = said.lines();
        let line = said.next().expect("it says so").expect("text");
        assert!(line.contains("save places"), "{line}");
        Failing {
            place,
            bytes,
            weir,
            _leash: leash,
            _input: input,
            before,
            said,
        }
    }

    /// What it says up to its end, and what another one delivers.
    fn end(mut self) -> (String, Vec<u8>, Vec<u8>) {
        let rest: Vec<String> = self.said.map(|line| line.expect("text")).collect();
        let status = self.weir.wait().expect("its end");
        assert_eq!(status.code(), Some(125), "{rest:?}");
        let (got, _) = self.place.deliver(&["-l"]);
        (rest.join("\n"), self.bytes, got)
    }
}

#[test]
fn what_a_program_has_not_read_stays_in_the_spool_though_the_disk_fails_when_it_is_put_down() {
    let mut it = Failing::start(&["-q"]);
    // The thread that leaves the spool in order tries again and again, and sleeps in between.
    let tasks = format!("/proc/{}/task", it.weir.id());
    let sleeps = || {
        let tasks = fs::read_dir(&tasks).into_iter().flatten().flatten();
        let texts = tasks.filter_map(|task| fs::read_to_string(task.path().join("status")).ok());
        let closing = texts
            .into_iter()
            .find(|text| text.starts_with("Name:\tclose\n"));
        let count = closing.as_deref().and_then(|text| {
            let (_, rest) = text.split_once("\nvoluntary_ctxt_switches:")?;
            rest.split_whitespace().next()?.parse::<u64>().ok()
        });
        count.unwrap_or(0)
    };
    eventually("it tries again, or has ended", || {
        sleeps() >= 5 || it.weir.try_wait().expect("its end").is_some()
    });
    // It is there no more where it has ended.
    let pid = Pid::from_child(&it.weir);
    let _ = prlimit(Some(pid), Resource::Fsize, it.before);
    let (said, bytes, got) = it.end();
    assert!(!said.contains("lost"), "{said}");
    let read = bytes.len() - got.len();
    assert!(read <= READ, "{read} bytes are gone, and {READ} were read");
    assert_same(&got, &bytes[read..], "the rest");
}

#[test]
fn what_a_program_has_not_read_is_said_to_be_lost_where_the_disk_does_not_work_again() {
    let (said, bytes, got) = Failing::start(&["--summary", "text"]).end();
    let gone = bytes.len() - got.len();
    assert_same(&got, &bytes[gone..], "the rest");
    assert!(gone > READ, "{gone} bytes are gone, and {READ} were read");
    for line in [
        "that the consumer was given and has not read are lost: that they are owed again could not be saved",
        "which stays in the spool, but for ",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
}

/// `sh` does this: it reads a little, closes its standard input, and lives on until weir is gone, or it is told to fail;
/// the next one reads all.
const DEAF: &str = "
    if [ -e $0.read ]; then exec cat >$0.rest; fi
    until [ -e $0.go ]; do sleep .01; done
    dd bs=3000 count=1 of=$0.read 2>/dev/null
    exec <&-
    while kill -0 $PPID 2>/dev/null && ! [ -e $0.end ]; do sleep .01; done
    exit 1";

#[test]
fn what_a_program_that_reads_no_more_has_left_is_in_the_spool_while_it_lives_on() {
    let all = lines(100_000, 400_000);
    let rest = &all[3_000 / 7 * 7..];
    let again = ["--restart", "on-failure", "--backoff", "1ms..2ms"];
    for options in [&[][..], &["-j", "1"], &again] {
        for is_killed in [true, false] {
            let what = format!("{options:?}, killed: {is_killed}");
            let place = Place::new();
            let at = |name: &str| place.0.path().join(name);
            let out = at("out").display().to_string();
            let command = ["--", "sh", "-c", DEAF, &out];
            let weir = place.weir(&[&["-l"], options, &command].concat());
            let (stdin, input) = std::io::pipe().expect("a pipe");
            let running = start(weir, stdin, Stdio::null());
            feed(input, all.clone()).done().expect("all is taken");
            place.await_bytes(all.len());
            fs::write(at("out.go"), "").expect("a file");
            eventually(&what, || place.query()["bytes"] == rest.len());
            assert_eq!(place.query()["records"], rest.len() / 7, "{what}");
            if is_killed {
                running.signal(Signal::KILL);
            } else {
                fs::write(at("out.end"), "").expect("a file");
            }
            let is_run_again = !is_killed && options == again;
            let status = running.end().status.code();
            let wanted = (!is_killed).then_some(i32::from(!is_run_again));
            assert_eq!(status, wanted, "{what}");
            let got = match is_run_again {
                true => fs::read(at("out.rest")).expect("what the next one has read"),
                false => place.deliver(&["-l"]).0,
            };
            assert_same(&got, rest, &what);
            place.assert_empty();
        }
    }
}
