//! A weir with a spool that is aborted leaves what it has taken in to the next one, and one that was stopped for a while
//! goes on as if nothing had been.

mod harness;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use harness::spool::{Place, lines};
use harness::{assert_same, collect, eventually, feed, field, settle, start, weir_in_shell};
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

/// The places cannot be saved from some moment on, which ends it, until it has said that what lies in the program's pipe
/// cannot be saved as not delivered.
#[test]
fn what_a_program_has_not_read_stays_in_the_spool_though_the_disk_fails_when_it_is_put_down() {
    const READ: usize = 64 << 10;
    let (place, bytes) = (Place::new(), lines(0, 200_000));
    let go = place.0.path().join("go");
    let script = format!(
        "until [ -e {} ]; do sleep .01; done; head -c {READ} >/dev/null; exec sleep 1000",
        go.display()
    );
    let spool = place.name();
    let args = ["-l", "-q", "--spool", &spool, "--", "sh", "-c", &script];
    // Without that a file that may not grow is its end.
    let mut weir = weir_in_shell("trap '' XFSZ", &args, "");
    let (stdin, input) = std::io::pipe().expect("a pipe");
    weir.stdin(stdin)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut weir = weir.spawn().expect("weir");
    let feeding = feed(input.try_clone().expect("a pipe"), bytes.clone());
    feeding.done().expect("all is taken");
    place.await_bytes(bytes.len());
    settle(weir.id());
    let pid = Pid::from_child(&weir);
    let none = Rlimit {
        current: Some(0),
        maximum: getrlimit(Resource::Fsize).maximum,
    };
    let before = prlimit(Some(pid), Resource::Fsize, none).expect("set a limit");
    fs::write(go, "").expect("a file");
    let said = BufReader::new(weir.stderr.take().expect("a pipe"));
    let mut said = said.lines().map(|line| line.expect("text"));
    let line = said.next().expect("it says so");
    assert!(line.contains("save places"), "{line}");
    // It tries again and again, and sleeps in between.
    let status = format!("/proc/{}/status", weir.id());
    let sleeps = || field(status.as_ref(), "voluntary_ctxt_switches");
    let asleep = sleeps();
    eventually("it tries again, or has ended", || {
        sleeps() >= asleep + 10 || weir.try_wait().expect("its end").is_some()
    });
    // It is there no more where it has ended.
    let _ = prlimit(Some(pid), Resource::Fsize, before);
    let rest: Vec<String> = said.collect();
    let status = weir.wait().expect("its end");
    assert_eq!(status.code(), Some(125), "{rest:?}");
    drop(input);
    let (got, _) = place.deliver(&["-l"]);
    let read = bytes.len() - got.len();
    assert!(read <= READ, "{read} bytes are gone, and {READ} were read");
    assert_same(&got, &bytes[read..], "the rest");
}
