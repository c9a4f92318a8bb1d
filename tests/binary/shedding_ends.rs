//! Shedding when something goes wrong: a full disk, a slow file, an end before the end; and a real
//! server's log.

use crate::harness;
use std::fs::{self, File};
use std::io::{Seek, Write, pipe};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::harness::books::{Books, joined, line, lines, numbers};
use crate::harness::line::Line;
use crate::harness::sides::make_fifo;
use crate::harness::stalled::{Overflow, Stalled, full, success};
use crate::harness::{Ended, beside, collect, program, start, weir};
use rustix::process::Signal;

/// Lines that are more than weir and the pipes around it can hold.
const MANY: usize = 20_000;

/// Longer than any line of a log may ever keep its writer waiting, on a machine that is busy.
const NEVER: Duration = Duration::from_secs(5);

#[test]
fn a_full_disk_never_blocks_the_flow_and_is_said_once() {
    for lines_sent in [3_000, MANY] {
        let mut weir = Stalled::new(&["-l", "--shed", "oldest", "--shed-to", "/dev/full"]);
        let sent = lines(0..lines_sent);
        weir.send(sent.clone());
        let (got, ended) = weir.finish();
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        let said: Vec<&str> = ended.stderr.lines().collect();
        let wanted = "weir: write: /dev/full: No space left on device";
        assert_eq!(said[0], wanted, "{ended:?}");
        assert_eq!(said.len(), 2, "{ended:?}");
        let seen = numbers(&got, line, "/dev/full");
        assert_eq!(seen.last(), Some(&(lines_sent - 1)));
        let all = [sent.len(), got.len(), sent.len() - got.len(), 0];
        Books::of(&ended).assert_are("bytes", all, "/dev/full");
    }
}

#[test]
fn a_file_that_is_full_only_at_the_end_is_said_too() {
    // A line that has no end goes into the file in one piece, when it is known that it has none.
    let mut weir = Stalled::new(&[
        "-l",
        "--shed",
        "newest",
        "-b",
        "4KiB",
        "--shed-to",
        "/dev/full",
    ]);
    weir.send(vec![b'x'; 60_000]);
    let (got, ended) = weir.finish();
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(Books::of(&ended).n("shed/bytes") > 0, "{ended:?}");
    assert_eq!(got.len() + Books::of(&ended).n("shed/bytes"), 60_000);
    let says = ended.stderr.matches("weir: write: /dev/full: ").count();
    assert_eq!(says, 1, "{ended:?}");
}

#[test]
fn a_file_that_takes_nothing_never_blocks_the_flow_and_is_said_once() {
    let overflow = Overflow::new();
    make_fifo(&overflow.path());
    // A reader, so that it can be opened, and one that never reads.
    let options = File::options().read(true).write(true).open(overflow.path());
    let _reader = options.expect("open a FIFO");
    let mut weir = Stalled::new(&["-l", "--shed", "oldest", "--shed-to", &overflow.name()]);
    weir.send(lines(0..MANY));
    let (got, ended) = weir.finish();
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let seen = numbers(&got, line, "a FIFO");
    assert_eq!(seen.last(), Some(&(MANY - 1)));
    let said = format!("weir: write: {}: ", overflow.name());
    assert!(ended.stderr.starts_with(&said), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 2, "{ended:?}");
}

#[test]
fn a_place_that_cannot_be_had_is_an_error_before_the_first_byte_is_read() {
    for (path, reason) in [
        ("/none/such", "No such file or directory"),
        ("/", "Is a directory"),
    ] {
        let mut input = tempfile::tempfile().expect("make a file");
        input.write_all(b"some\nlines\n").expect("write");
        input.rewind().expect("rewind");
        let stdin = input.try_clone().expect("duplicate");
        let (output, stdout) = pipe().expect("make a pipe");
        let command = weir(&["-l", "--shed", "oldest", "--shed-to", path]);
        let ended = start(command, stdin, stdout).end();
        ended.assert_complains(1, &["open", path, reason]);
        assert_eq!(input.stream_position().expect("a position"), 0, "{path}");
        assert_eq!(collect(output).done(), b"", "{path}");
    }
}

/// Fills a weir that sheds into a file, and ends it in some way; what is delivered, shed and left
/// must be what was sent.
#[track_caller]
fn ends_balanced(args: &[&str], ending: &str, end: impl FnOnce(Stalled) -> (Vec<u8>, Ended)) {
    let overflow = Overflow::new();
    let name = overflow.name();
    let args = [&["-l", "--shed", "oldest", "--shed-to", &name], args].concat();
    let mut weir = Stalled::new(&args);
    let sent = lines(0..MANY);
    weir.send(sent.clone());
    weir.weir.settle();
    let (got, ended) = end(weir);
    let books = Books::of(&ended);
    let shed = overflow.read();
    let seen = numbers(&got, line, ending);
    let lost = numbers(&shed, line, ending);
    let left = MANY - joined(&seen, &lost, ending).len();
    let all = [MANY, seen.len(), lost.len(), left];
    books.assert_are("records", all, ending);
    let left = sent.len() - got.len() - shed.len();
    let all = [sent.len(), got.len(), shed.len(), left];
    books.assert_are("bytes", all, ending);
    assert!(left > 0, "{ending}: nothing was left");
    assert_eq!(books.value("end"), ending);
}

#[test]
fn the_books_balance_after_signals() {
    ends_balanced(&[], "signal", |weir| {
        weir.weir.signal(Signal::INT);
        weir.end()
    });
    ends_balanced(&[], "signal", |weir| {
        weir.weir.signal(Signal::TERM);
        weir.weir.settle();
        weir.weir.signal(Signal::TERM);
        weir.end()
    });
}

#[test]
fn the_books_balance_after_a_timeout() {
    let overflow = Overflow::new();
    let name = overflow.name();
    let args = [
        "-l",
        "--shed",
        "oldest",
        "--shed-to",
        &name,
        "--sink-timeout",
        "100ms",
    ];
    let mut weir = Stalled::new(&args);
    // It may end at any time, and the producer does not mind.
    let _sending = weir.sending(lines(0..MANY));
    let (got, ended) = weir.end();
    assert_eq!(ended.status.code(), Some(124), "{ended:?}");
    let books = Books::of(&ended);
    books.assert_balance("timeout");
    assert_eq!(books.n("out/bytes"), got.len());
    assert_eq!(books.n("shed/bytes"), overflow.read().len());
    assert!(books.n("undelivered/bytes") > 0);
    assert_eq!(books.value("end"), "timeout");
}

#[test]
fn sigterm_delivers_what_is_held_and_sheds_no_more() {
    let mut weir = Stalled::new(&["-l", "--shed", "oldest"]);
    weir.send(lines(0..MANY));
    weir.weir.settle();
    weir.weir.signal(Signal::TERM);
    weir.weir.settle();
    let got = collect(weir.output().try_clone().expect("duplicate"));
    let ended = weir.end().1;
    let got = got.done();
    let seen = numbers(&got, line, "SIGTERM");
    assert_eq!(seen.last(), Some(&(MANY - 1)));
    let books = Books::of(&ended);
    let all = [MANY, seen.len(), MANY - seen.len(), 0];
    books.assert_are("records", all, "SIGTERM");
    assert_eq!(books.value("end"), "signal");
}

#[test]
fn the_books_balance_when_the_consumer_has_gone() {
    let overflow = Overflow::new();
    let mut weir = Stalled::new(&["-l", "--shed", "oldest", "--shed-to", &overflow.name()]);
    weir.send(lines(0..MANY));
    weir.weir.settle();
    let books = Books::of(&weir.leave());
    books.assert_balance("consumer gone");
    assert_eq!(books.n("in/bytes"), lines(0..MANY).len());
    assert_eq!(books.n("shed/bytes"), overflow.read().len());
    assert!(books.n("undelivered/records") > 0);
    assert_eq!(books.value("end"), "consumer-gone");
}

#[test]
fn the_books_balance_after_an_error() {
    let dir = tempfile::TempDir::new().expect("make a directory");
    let file = dir.path().join("lines");
    fs::write(&file, lines(0..1000)).expect("write a file");
    let file = file.display().to_string();
    let args = full(&["-l", "--shed", "oldest"]);

    // The producer fails: what was read is delivered.
    let (output, stdout) = pipe().expect("make a pipe");
    let command = weir(&[&args[..], &[&file, "/proc/self/mem"]].concat());
    let weir_1 = start(command, Stdio::null(), stdout);
    let got = collect(output).done();
    let ended = weir_1.end();
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let books = Books::of(&ended);
    books.assert_balance("unreadable");
    assert_eq!(books.n("out/bytes"), got.len());
    assert_eq!(books.n("undelivered/bytes"), 0);
    assert_eq!(books.value("end"), "error");

    // The consumer fails: nothing is delivered.
    let disk = File::options().write(true).open("/dev/full");
    let command = weir(&[&args[..], &[&file]].concat());
    let ended = start(command, Stdio::null(), disk.expect("open")).end();
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let books = Books::of(&ended);
    books.assert_balance("/dev/full");
    assert_eq!(books.n("out/bytes"), 0);
    assert!(books.n("in/bytes") > 0);
    assert_eq!(books.value("end"), "error");
}

#[test]
fn options_of_shedding_that_make_no_sense_are_usage_errors() {
    for (args, says) in [
        (
            "--patience 1s",
            ["--patience: nothing would be shed", "--shed oldest"],
        ),
        (
            "--patience 1s --max-age 1s",
            ["--patience: nothing", "--shed oldest"],
        ),
        (
            "--shed-to file",
            ["--shed-to: nothing would be shed", "--shed oldest"],
        ),
        ("--max-age 0s", ["--max-age 0s", "try 5s"]),
        ("--max-age old", ["'old'", "--max-age <DURATION>"]),
        ("--shed sometimes", ["'sometimes'", "oldest, newest"]),
        ("--shed", ["--shed <WHICH>", "oldest, newest"]),
        (
            "--shed oldest --shed newest",
            ["--shed <WHICH>", "cannot be used multiple times"],
        ),
    ] {
        let args: Vec<&str> = args.split(' ').collect();
        let mut line = Line::new(&args);
        line.ends_untouched();
        let ended = line.finish(0);
        ended.assert_complains(2, &[&says[..], &["see weir -h"]].concat());
    }
}

#[test]
fn a_server_that_logs_is_never_held_up_by_a_shipper_that_stops() {
    const REQUESTS: usize = 30_000;
    let overflow = Overflow::new();
    let shipped = overflow.path().with_file_name("shipped.log");
    let (stdin, mut log) = pipe().expect("make a pipe");
    let (output, stdout) = pipe().expect("make a pipe");
    let name = overflow.name();
    let args = full(&["-l", "--shed", "oldest", "--shed-to", &name]);
    let weir = start(weir(&args), stdin, stdout);
    let file = File::create(&shipped).expect("make a file");
    let shipper = start(program("cat"), output, file);
    // It ships at first.
    log.write_all(&line(0)).expect("write");
    harness::eventually("the first line is shipped", || {
        fs::read(&shipped).expect("read") == line(0)
    });
    shipper.signal(Signal::STOP);
    let server = beside(move || {
        let mut longest = Duration::ZERO;
        for request in 1..REQUESTS {
            let began = Instant::now();
            log.write_all(&line(request)).expect("log a request");
            longest = longest.max(began.elapsed());
        }
        longest
    });
    let longest = server.done();
    assert!(longest < NEVER, "a request took {longest:?}");
    shipper.signal(Signal::CONT);
    let ended = weir.end();
    shipper.end().assert_success("cat");
    let delivered = numbers(&fs::read(&shipped).expect("read"), line, "shipped");
    assert_eq!(delivered.last(), Some(&(REQUESTS - 1)));
    let shed = numbers(&overflow.read(), line, "overflow");
    let all = joined(&delivered, &shed, "the log");
    assert!(all.into_iter().eq(0..REQUESTS), "some are in neither");
    let all = [REQUESTS, delivered.len(), shed.len(), 0];
    success(&ended, "the log").assert_are("records", all, "the log");
}
