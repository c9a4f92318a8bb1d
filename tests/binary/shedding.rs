//! What is too much goes over the top: whole, counted, and where it was told to go; the producer
//! never waits for a consumer that does not read.

use std::fs;

use crate::harness::books::{joined, line, lines, numbers};
use crate::harness::line::Line;
use crate::harness::stalled::{Overflow, Stalled, success};
use crate::harness::{assert_same, data, eventually};

/// Lines that are more than weir and the pipes around it can hold.
const MANY: usize = 30_000;

#[test]
fn a_record_that_is_too_long_for_the_file_is_said_to_be() {
    let overflow = Overflow::new();
    let path = overflow.name();
    let mut weir = Stalled::new(&["-l", "-b", "64KiB", "--shed", "newest", "--shed-to", &path]);
    let long = vec![b'x'; 9 << 20];
    let short = b"short\n".repeat(40_000);
    weir.send([&short[..], &long, b"\n", &short].concat());
    let (got, ended) = weir.finish();
    assert!(short.starts_with(&got[..got.len().min(short.len())]));
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let says = format!("write: {path}: a record longer than 8MiB was discarded");
    assert!(ended.stderr.contains(&says), "{}", ended.stderr);
    assert!(overflow.read().iter().all(|byte| *byte != b'x'));
}

#[test]
fn a_producer_of_lines_never_waits_and_its_last_line_is_the_last_delivered() {
    for args in [
        &["-l", "--shed", "oldest"][..],
        &["-l", "--shed", "oldest", "--no-splice"],
        &["-l", "--shed", "oldest", "--high", "10%"],
        &["-l", "--shed", "oldest", "--pipe-size", "keep"],
        &["-l", "--shed", "oldest", "--patience", "10ms"],
    ] {
        let mut weir = Stalled::new(args);
        let case = weir.case.clone();
        let sent = lines(0..MANY);
        weir.send(sent.clone());
        let (got, ended) = weir.finish();
        let seen = numbers(&got, line, &case);
        assert_eq!(seen.last(), Some(&(MANY - 1)), "{case}");
        let books = success(&ended, &case);
        let shed = sent.len() - got.len();
        assert!(shed > sent.len() / 2, "{case}: only {shed} shed");
        books.assert_are("bytes", [sent.len(), got.len(), shed, 0], &case);
        let shed = MANY - seen.len();
        books.assert_are("records", [MANY, seen.len(), shed, 0], &case);
        assert_eq!(books.value("end"), "eof");
    }
}

#[test]
fn with_newest_shed_what_came_first_is_delivered() {
    let mut weir = Stalled::new(&["-l", "--shed", "newest"]);
    let sent = lines(0..MANY);
    weir.send(sent.clone());
    let (got, ended) = weir.finish();
    let seen = numbers(&got, line, "newest");
    // The buffer, and what was on its way to the consumer.
    assert!((60_000..90_000).contains(&got.len()), "{}", got.len());
    assert_same(&got, &sent[..got.len()], "newest");
    let books = success(&ended, "newest");
    let shed = MANY - seen.len();
    books.assert_are("records", [MANY, seen.len(), shed, 0], "newest");
}

#[test]
fn records_of_every_framing_are_shed_whole() {
    const RECORD: usize = 48;
    let mut nulls = lines(0..MANY);
    nulls
        .iter_mut()
        .filter(|b| **b == b'\n')
        .for_each(|b| *b = 0);
    let fixed = |i: usize| format!("{i:07} {:>39}\n", "x".repeat(i % 30)).into_bytes();
    for which in ["oldest", "newest"] {
        let mut weir = Stalled::new(&["-0", "--shed", which]);
        weir.send(nulls.clone());
        let (mut got, ended) = weir.finish();
        got.iter_mut().filter(|b| **b == 0).for_each(|b| *b = b'\n');
        let seen = numbers(&got, line, which).len();
        success(&ended, which).assert_are("records", [MANY, seen, MANY - seen, 0], which);

        let mut weir = Stalled::new(&["--record-size", "48", "--shed", which]);
        weir.send((0..MANY).flat_map(fixed).collect());
        let (got, ended) = weir.finish();
        let seen = numbers(&got, fixed, which).len();
        assert_eq!(got.len(), seen * RECORD);
        success(&ended, which).assert_are("records", [MANY, seen, MANY - seen, 0], which);
    }
}

#[test]
fn without_framing_bytes_are_shed() {
    for which in ["oldest", "newest"] {
        let overflow = Overflow::new();
        let mut weir = Stalled::new(&["--shed", which, "--shed-to", &overflow.name()]);
        let sent = data(1_000_000, 5);
        weir.send(sent.clone());
        let (got, ended) = weir.finish();
        let shed = overflow.read().len();
        assert!(shed > 500_000);
        let end = if which == "oldest" {
            sent.ends_with(&got[got.len() - 50_000..])
        } else {
            sent.starts_with(&got)
        };
        assert!(end, "{which}: not what was to be kept");
        let books = success(&ended, which);
        books.assert_are("bytes", [1_000_000, got.len(), shed, 0], which);
    }
}

#[test]
fn a_last_line_without_an_end_is_delivered_as_it_is() {
    let mut weir = Stalled::new(&["-l", "--shed", "oldest"]);
    weir.send([lines(0..MANY), b"unfinished".to_vec()].concat());
    let (mut got, ended) = weir.finish();
    assert!(got.ends_with(b"\nunfinished"));
    got.truncate(got.len() - b"unfinished".len());
    let seen = numbers(&got, line, "unfinished").len();
    let all = [MANY + 1, seen + 1, MANY - seen, 0];
    success(&ended, "unfinished").assert_are("records", all, "unfinished");
}

#[test]
fn nothing_is_shed_from_a_consumer_that_comes_back_in_time() {
    for args in [
        &["-l", "--shed", "oldest", "--patience", "1h"][..],
        &["-l", "--shed", "newest", "--patience", "1h"],
        &["-l", "--max-age", "1h"],
    ] {
        let mut line = Line::new(&[args, &["-b", "64KiB", "--summary", "json"]].concat());
        for _ in 0..3 {
            // The producer is blocked, and what it was blocked by is taken.
            line.stuff();
            assert!(line.before() > 0, "{args:?}: the producer is not blocked");
            let held = line.held() + line.behind();
            line.take(held);
        }
        line.close_input();
        let sent = line.sent();
        let books = success(&line.finish(sent), "patience");
        books.assert_are("bytes", [sent, sent, 0, 0], "patience");
    }
}

#[test]
fn what_is_too_old_is_shed_while_nothing_is_delivered() {
    let overflow = Overflow::new();
    let mut weir = Stalled::new(&["-l", "--max-age", "50ms", "--shed-to", &overflow.name()]);
    weir.send(lines(0..1000));
    let sent = lines(0..1000).len();
    // All but what is under way to the consumer, and that is little.
    eventually("the rest expires", || {
        sent - overflow.read().len() <= 16_384
    });
    let (got, ended) = weir.finish();
    let shed = numbers(&overflow.read(), line, "expired");
    let seen = numbers(&got, line, "under way");
    let all = joined(&seen, &shed, "max-age");
    assert!(all.into_iter().eq(0..1000), "some are in neither");
    let books = success(&ended, "max-age");
    assert_eq!(books.n("shed/expired"), shed.len());
    books.assert_are("records", [1000, seen.len(), shed.len(), 0], "max-age");
}

#[test]
fn overflow_and_delivered_are_the_whole_input() {
    for args in [
        &["-l", "--shed", "oldest"][..],
        &["-l", "--shed", "newest"],
        &["-l", "--shed", "newest", "-b", "4KiB"],
    ] {
        for comes_and_goes in [false, true] {
            let overflow = Overflow::new();
            fs::write(overflow.path(), "before\n").expect("write a file");
            let name = overflow.name();
            let args = [args, &["--shed-to", &name]].concat();
            let mut weir = Stalled::new(&args);
            let case = format!("{args:?} {comes_and_goes}");
            let sent = lines(0..MANY);
            let (got, ended) = if comes_and_goes {
                weir.pass(sent.clone(), 3000)
            } else {
                weir.send(sent.clone());
                weir.finish()
            };
            let shed = overflow.read();
            let shed = shed.strip_prefix(b"before\n").expect("appended");
            let (seen, lost) = (numbers(&got, line, &case), numbers(shed, line, &case));
            let all = joined(&seen, &lost, &case);
            assert!(all.into_iter().eq(0..MANY), "{case}: some are in neither");
            let books = success(&ended, &case);
            books.assert_are("records", [MANY, seen.len(), lost.len(), 0], &case);
            books.assert_are("bytes", [sent.len(), got.len(), shed.len(), 0], &case);
        }
    }
}

#[test]
fn lines_that_no_buffer_can_hold_are_shed_whole_and_counted_as_oversized() {
    // One in three fits into a page, with a few others.
    let mixed = |i: usize| match i % 3 {
        0 => format!("{i:07} {}\n", "y".repeat(5000)).into_bytes(),
        _ => format!("{i:07}\n").into_bytes(),
    };
    for which in ["oldest", "newest"] {
        let overflow = Overflow::new();
        let name = overflow.name();
        let mut weir = Stalled::new(&["-l", "-b", "4KiB", "--shed", which, "--shed-to", &name]);
        let sent: Vec<u8> = (0..600).flat_map(mixed).collect();
        weir.send(sent.clone());
        let (got, ended) = weir.finish();
        let (seen, shed) = (numbers(&got, mixed, which), overflow.read());
        let lost = numbers(&shed, mixed, which);
        let all = joined(&seen, &lost, which);
        assert!(all.into_iter().eq(0..600), "{which}: some are in neither");
        let books = success(&ended, which);
        books.assert_are("records", [600, seen.len(), lost.len(), 0], which);
        books.assert_are("bytes", [sent.len(), got.len(), shed.len(), 0], which);
        assert!(books.n("shed/oversized") > 0, "{which}");
    }
}

#[test]
fn tiny_lines_under_a_tiny_buffer_are_never_torn() {
    let input = [
        b"ab\n".repeat(700),
        [vec![b'z'; 4999], b"\n".to_vec()].concat(),
    ]
    .concat();
    let input = input.repeat(30);
    let mut weir = Stalled::new(&["-l", "-b", "4KiB", "--shed", "oldest"]);
    weir.send(input);
    let (got, ended) = weir.finish();
    for line in got.split_inclusive(|b| *b == b'\n') {
        let whole = line == b"ab\n" || (line.len() == 5000 && line[..4999] == [b'z'; 4999]);
        assert!(whole, "torn: {} bytes", line.len());
    }
    let books = success(&ended, "tiny");
    books.assert_balance("tiny");
    assert_eq!(books.n("in/records"), 701 * 30);
}
