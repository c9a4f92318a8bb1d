//! Records are counted and caps are kept, by the real binary.
//!
//! A test can only be late, and what it is late for has passed earlier: so it takes the time before
//! a window begins and after something has arrived, and no slowness of the machine can make what
//! arrived too much.

mod counted;

use crate::harness;
use std::io::{BufRead, BufReader, PipeReader, Read, Write, pipe};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::harness::books::Books;
use crate::harness::line::Line;
use crate::harness::{Ended, beside, collect, data, eventually, feed, program, start, weir};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;

/// Feeds it this, and takes everything.
#[track_caller]
fn pass(args: &[&str], input: &[u8]) -> (Vec<u8>, Ended) {
    let (stdin, producer) = pipe().expect("make a pipe");
    let (consumer, stdout) = pipe().expect("make a pipe");
    let weir = start(weir(args), stdin, stdout);
    feed(producer, input.to_vec());
    (collect(consumer).done(), weir.end())
}

/// What comes out of weir under a cap, measured.
struct Meter {
    output: PipeReader,
    /// Units per second.
    cap: f64,
    /// What may come at once.
    step: f64,
    count: fn(&[u8]) -> usize,
    case: String,
}

impl Meter {
    fn new(output: PipeReader, cap: f64, burst: f64, case: &str) -> Meter {
        Meter {
            output,
            cap,
            // 5 ms' worth, or one.
            step: burst + cap * 0.005 + 1.0,
            count: <[u8]>::len,
            case: case.into(),
        }
    }

    /// Takes this much; of what comes since `since`, never is there more than the cap allows.
    #[track_caller]
    fn take(&mut self, much: usize, since: Instant) {
        let mut got = 0;
        let mut buffer = vec![0; 65_536];
        while got < much {
            harness::line::wait(&self.output, PollFlags::IN);
            let n = self.output.read(&mut buffer).expect("read");
            assert!(n > 0, "{}: the output ended after {got}", self.case);
            got += (self.count)(&buffer[..n]);
            let most = self.cap * since.elapsed().as_secs_f64() + self.step;
            assert!(got as f64 <= most, "{}: {got} > {most}", self.case);
        }
    }

    /// Takes what is there already, however much.
    fn catch_up(&mut self) {
        let mut buffer = vec![0; 65_536];
        let now = Timespec::default();
        while poll(&mut [PollFd::new(&self.output, PollFlags::IN)], Some(&now)) == Ok(1) {
            assert!(self.output.read(&mut buffer).expect("read") > 0);
        }
    }
}

#[test]
fn a_cap_that_is_never_reached_costs_no_copy() {
    for args in [
        &[][..],
        &["-r", "1GiB/s"],
        &["-r", "1GiB/s", "--input-rate", "1GiB/s"],
        &["-r", "00:00,1GiB/s"],
        &["-l"],
        &["-0", "-r", "1GiB/s"],
        &["-l", "-r", "1000000000/s"],
        &["--record-size", "7", "--input-rate", "1GiB/s"],
    ] {
        let mut line = Line::new(&[args, &["--summary", "json"]].concat());
        // Less than a pipe holds each time, so that the consumer has kept up.
        for _ in 0..30 {
            line.send(60_000);
            line.take(60_000);
        }
        line.close_input();
        let books = Books::of(&line.finish(1_800_000));
        assert_eq!(books.n("path/copied"), 0, "{args:?}");
        assert_eq!(books.n("path/spliced"), 1_800_000, "{args:?}");
    }
}

#[test]
fn no_more_than_the_cap_and_a_step_has_come_at_any_time() {
    for (args, cap, burst, much) in [
        (&["-r", "200KB/s"][..], 200e3, 0.0, 80_000),
        (&["-r", "200KB/s", "--no-splice"], 200e3, 0.0, 80_000),
        (&["-r", "1600kbit"], 200e3, 0.0, 60_000),
        (&["-r", "12MB/min"], 200e3, 0.0, 60_000),
        (&["--input-rate", "200KB/s"], 200e3, 0.0, 60_000),
        (
            &["-r", "off", "--input-rate", "200KB/s"],
            200e3,
            0.0,
            60_000,
        ),
        (&["-r", "00:00,200KB/s 12:00,200KB/s"], 200e3, 0.0, 60_000),
        (&["-r", "200KB/s", "--burst", "30KB"], 200e3, 30e3, 90_000),
        (&["-r", "200KB/s", "--burst", "100ms"], 200e3, 20e3, 80_000),
        (&["-r", "100KB/s..200KB/s"], 200e3, 0.0, 60_000),
        (&["-r", "100B/s"], 100.0, 0.0, 40),
        // A cap in records as well, which is the looser one.
        (
            &["-l", "-r", "1000000/s", "-r", "200KB/s"],
            200e3,
            0.0,
            60_000,
        ),
    ] {
        let since = Instant::now();
        let (stdin, producer) = pipe().expect("make a pipe");
        let (output, stdout) = pipe().expect("make a pipe");
        let _weir = start(weir(args), stdin, stdout);
        feed(producer, data(1_000_000, 1));
        Meter::new(output, cap, burst, &format!("{args:?}")).take(much, since);
    }
}

#[test]
fn no_more_records_than_the_cap_and_one_have_come_at_any_time() {
    for args in [
        &["-l", "-r", "100/s"][..],
        &["-l", "-r", "6000/min"],
        &["-l", "-r", "100/s", "-r", "10MB/s"],
        &["-l", "-r", "10MB/s", "-r", "1/10ms"],
        &["-l", "-r", "90/s..100/s"],
        &["-l", "-r", "00:00,100/s"],
    ] {
        let since = Instant::now();
        let (stdin, producer) = pipe().expect("make a pipe");
        let (output, stdout) = pipe().expect("make a pipe");
        let _weir = start(weir(args), stdin, stdout);
        feed(producer, b"some words to a line\n".repeat(10_000));
        let mut meter = Meter::new(output, 100.0, 0.0, &format!("{args:?}"));
        meter.count = |bytes| bytes.iter().filter(|b| **b == b'\n').count();
        meter.take(40, since);
    }
}

#[test]
fn an_idle_time_saves_up_no_credit() {
    for args in [&["-r", "200KB/s"][..], &["-r", "200KB/s", "--no-splice"]] {
        let (stdin, mut producer) = pipe().expect("make a pipe");
        let (output, stdout) = pipe().expect("make a pipe");
        let _weir = start(weir(args), stdin, stdout);
        let mut meter = Meter::new(output, 200e3, 0.0, &format!("{args:?}"));
        for _ in 0..3 {
            let since = Instant::now();
            producer.write_all(&data(30_000, 2)).expect("write");
            // To the last byte: nothing of it comes later.
            meter.take(30_000, since);
            sleep(Duration::from_millis(250));
        }
    }
}

#[test]
fn a_time_of_being_stopped_saves_up_no_credit() {
    for args in [&["-r", "200KB/s"][..], &["-r", "200KB/s", "--no-splice"]] {
        let began = Instant::now();
        let (stdin, producer) = pipe().expect("make a pipe");
        let (output, stdout) = pipe().expect("make a pipe");
        let weir = start(weir(args), stdin, stdout);
        feed(producer, data(1_000_000, 3));
        let mut meter = Meter::new(output, 200e3, 0.0, &format!("{args:?}"));
        meter.take(10_000, began);
        weir.signal(Signal::STOP);
        let stat = format!("/proc/{}/stat", weir.pid().as_raw_nonzero());
        eventually("weir stops", || {
            let stat = std::fs::read_to_string(&stat).expect("read a process's state");
            stat.contains(") T ")
        });
        meter.catch_up();
        sleep(Duration::from_millis(400));
        let since = Instant::now();
        weir.signal(Signal::CONT);
        meter.take(40_000, since);
    }
}

#[test]
fn a_consumer_that_stalls_gets_no_more_than_the_cap_afterwards() {
    let (stdin, producer) = pipe().expect("make a pipe");
    let (output, stdout) = pipe().expect("make a pipe");
    let args = ["-r", "1MB/s", "--pipe-size", "64KiB", "-b", "64KiB"];
    let weir = start(weir(&args), stdin, stdout);
    feed(producer, data(3_000_000, 4));
    weir.settle();
    sleep(Duration::from_millis(200));
    let since = Instant::now();
    // What was in the pipe had passed before.
    let mut meter = Meter::new(output, 1e6, 65_536.0, "after a stall");
    meter.take(400_000, since);
}

#[test]
fn a_timetable_goes_by_local_time() {
    use jiff::{Timestamp, ToSpan, tz::TimeZone};
    let now = Timestamp::now().to_zoned(TimeZone::UTC);
    let clock = |hours: i64| (&now + hours.hours()).strftime("%H:%M").to_string();
    // Began an hour ago in Greenwich; in Tokyo, which is nine hours on, the other one did.
    let table = format!("{},7B/s {},9B/s", clock(-1), clock(6));
    for (zone, cap) in [("UTC", 7.0), ("Asia/Tokyo", 9.0)] {
        let mut command = weir(&["-r", &table, "--summary", "json"]);
        command.env("TZ", zone);
        let weir = start(command, Stdio::null(), Stdio::null());
        let books = Books::of(&weir.end());
        assert_eq!(books.value("cap/bytes_per_s"), cap, "{zone} {table}");
    }
}

#[test]
fn a_timetable_that_is_always_off_takes_no_cap_away() {
    for side in ["--rate", "--input-rate"] {
        let args = ["-r", "7B/s", side, "08:00,off", "--summary", "json"];
        let weir = start(weir(&args), Stdio::null(), Stdio::null());
        let books = Books::of(&weir.end());
        assert_eq!(books.value("cap/bytes_per_s"), 7.0, "{side}");
    }
}

#[test]
fn requests_reach_a_server_no_faster_than_the_cap_and_all_of_them_do() {
    const REQUESTS: usize = 12;
    let server = TcpListener::bind("127.0.0.1:0").expect("listen");
    let address = server.local_addr().expect("an address");
    let since = Instant::now();
    let log = beside(move || {
        let mut log = Vec::new();
        for client in server.incoming().take(REQUESTS) {
            let mut client = client.expect("accept");
            let mut request = String::new();
            let mut reader = BufReader::new(client.try_clone().expect("duplicate"));
            reader.read_line(&mut request).expect("read a request");
            log.push((since.elapsed().as_secs_f64(), request));
            client.write_all(b"HTTP/1.0 204 No Content\r\n\r\n").ok();
        }
        log
    });
    let mut seq = program("seq");
    let mut seq = seq.arg("12").stdout(Stdio::piped()).spawn().expect("seq");
    let (output, stdout) = pipe().expect("make a pipe");
    let numbers = seq.stdout.take().expect("piped");
    let weir = start(weir(&["-l", "-r", "20/s"]), numbers, stdout);
    // A client for each line, as xargs would start it.
    for line in BufReader::new(output).lines() {
        let line = line.expect("a line");
        let mut client = TcpStream::connect(address).expect("connect");
        write!(client, "GET /{line} HTTP/1.0\r\n\r\n").expect("ask");
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("an answer");
    }
    weir.end().assert_success("seq | weir | clients");
    seq.wait().expect("seq ends");
    for (i, (time, request)) in log.done().iter().enumerate() {
        assert_eq!(*request, format!("GET /{} HTTP/1.0\r\n", i + 1));
        let most = 20.0 * time + 1.0 + 20.0 * 0.005;
        assert!((i + 1) as f64 <= most, "request {} after {time} s", i + 1);
    }
}

#[test]
fn a_limit_that_cannot_be_is_a_usage_error_that_shows_a_right_one() {
    for (args, says) in [
        (&["-r", "fast"][..], ["'fast'", "try 10MB/s"]),
        (&["-r", "-1"], ["-1", "try 10MB/s"]),
        (&["--rate=-1"], ["'-1'", "try 10MB/s"]),
        (&["-r", ""], ["--rate <LIMIT>", "10MB/s"]),
        (&["-r", "0"], ["'0'", "--pause (to hold the flow) or off"]),
        (&["-r", "0/0s"], ["'0/0s'", "try "]),
        (&["-r", "1MB/0s"], ["no time at all", "try 10MB/s"]),
        (
            &["-r", "0B/s"],
            ["zero", "--pause (to hold the flow) or off"],
        ),
        (
            &["-l", "-r", "0/s"],
            ["zero", "--pause (to hold the flow) or off"],
        ),
        (&["--input-rate", "0"], ["--input-rate", "--pause"]),
        (
            &["-r", "20MB/s..2MB/s"],
            ["faster rate first", "2MB/s..20MB/s"],
        ),
        (
            &["-r", "2MB/s..5/s"],
            ["without the unit of the other end", "2MB/s..20MB/s"],
        ),
        (
            &["-r", "25:00,1MB/s"],
            ["not a time of day", "'08:00,512KiB/s"],
        ),
        (
            &["-r", "08:00,1MB/s 08:00,off"],
            ["given twice", "'Mon..Fri-08:00,1MB/s"],
        ),
        (
            &["-r", "Foo-08:00,1MB/s"],
            ["not a weekday", "'Mon..Fri-08:00,1MB/s"],
        ),
        (
            &["-r", "08:00,1MB/s 9:00,5/s"],
            ["a mix of", "'08:00,512KiB/s"],
        ),
        (
            &["-r", "08:00,1MB/s..2MB/s"],
            ["a range", "'08:00,512KiB/s"],
        ),
        (
            &["-r", "1MB/s", "-r", "2MB/s"],
            ["one already", "--rate 10MB/s --rate 100/s"],
        ),
        (
            &["-r", "1MB/s", "--burst", "65MiB"],
            ["--burst 65MiB", "try a larger --buffer"],
        ),
        (
            &["-r", "1MB/s", "-b", "1MiB", "--burst", "2MiB"],
            ["--burst 2MiB", "--buffer"],
        ),
        (
            &["-r", "1MB/s", "--burst", "lots"],
            ["'lots'", "1MiB, 100 (a count) or 100ms"],
        ),
        (&["--burst", "1MB"], ["no cap", "--rate 10MB/s"]),
        (
            &["-l", "-r", "5/s", "--burst", "1MB"],
            ["in records", "--burst 10"],
        ),
        (
            &["--record-size", "0"],
            ["--record-size 0", "--record-size 512"],
        ),
        (&["-l", "-0"], ["--lines", "--null"]),
    ] {
        let mut line = Line::new(args);
        line.ends_untouched();
        let ended = line.finish(0);
        ended.assert_complains(2, &[&says[..], &["see weir -h"]].concat());
    }
}
