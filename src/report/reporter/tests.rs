//! When a report is due and where it goes: to the log, to the page of `--metrics`, and the last one in time.

use std::fs;

use super::super::*;
use super::*;
use crate::engine::status::Count;

const ALONE: Others = Others {
    directory: || None,
    ask: |_| None,
};

fn plan() -> Plan {
    Plan {
        share: None,
        command: None,
        name: None,
        inputs: Vec::new(),
        records: Records::Records,
        expected: None,
        show: Show::Off,
        interval: Duration::from_secs(1),
        closing: Closing::Off,
        closing_is_asked: true,
        log: None,
        format: None,
        chart: None,
        outputs: Vec::new(),
        beside: Vec::new(),
        metrics: None,
        metrics_interval: Duration::from_secs(1),
    }
}

#[test]
fn nothing_to_show_is_never_time() {
    let now = Instant::now();
    let reporter = Reporter::new(&plan(), ALONE, now).expect("a reporter");
    assert_eq!(reporter.next_tick(), None);
}

#[test]
fn a_summary_alone_looks_as_often_as_a_bar_at_first_and_less_often_in_a_long_run() {
    let start = Instant::now();
    let plan = Plan {
        closing: Closing::Text,
        ..plan()
    };
    let mut reporter = Reporter::new(&plan, ALONE, start).expect("a reporter");
    let mut now = start;
    let mut wait = |reporter: &mut Reporter| {
        let next = reporter.next_tick().expect("a tick");
        let waited = next - now;
        now = next;
        let mut status = sample::status(1, 10, 9);
        status.elapsed = now - start;
        reporter.tick(now, &status);
        waited
    };
    wait(&mut reporter);
    let second = wait(&mut reporter);
    assert!(second <= Duration::from_millis(200), "{second:?}");
    let later = (0..5000).map(|_| wait(&mut reporter)).last();
    assert_eq!(later, Some(Duration::from_secs(1)));
}

#[test]
fn beats_keep_their_distance_and_missed_ones_are_not_made_up_for() {
    let start = Instant::now();
    let at = |ms| start + Duration::from_millis(ms);
    let mut ticker = Ticker::new(Duration::from_millis(100), start);
    assert!(!ticker.falls(at(99)));
    assert!(ticker.falls(at(101)));
    assert_eq!(ticker.next, at(200));
    assert!(ticker.falls(at(250)), "as late as may be");
    assert_eq!(ticker.next, at(300));
    assert!(ticker.falls(at(351)), "too late for the next to be in time");
    assert_eq!(ticker.next, at(451));
    assert!(ticker.falls(at(5000)), "after a stop");
    assert!(!ticker.falls(at(5099)), "a full interval from then");
    assert_eq!(ticker.next, at(5100));
}

#[test]
fn reports_and_the_summary_are_appended_to_the_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    fs::write(&log, "before\n").expect("written");
    let start = Instant::now();
    let plan = Plan {
        show: Show::Plain,
        closing: Closing::Json,
        log: Some(log.clone()),
        ..plan()
    };
    let mut reporter = Reporter::new(&plan, ALONE, start).expect("a reporter");
    let second = reporter.next_tick().expect("a tick");
    assert_eq!(second, start + plan.interval);
    reporter.tick(start, &sample::status(0, 0, 0));
    reporter.tick(second, &sample::status(1, 10, 9));
    reporter.on_demand(&sample::status(2, 20, 18));
    reporter.finish(
        &sample::status(3, 30, 30),
        Ending::Error,
        Count::default(),
        None,
    );
    let text = fs::read_to_string(&log).expect("a log");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 5, "{text}");
    assert_eq!(lines[0], "before");
    assert!(lines[1].contains(" out_rate=9.00MiB/s "), "{text}");
    assert!(lines[2].contains(" elapsed=2.0s "), "{text}");
    assert!(lines[3].contains(" elapsed=3.0s "), "{text}");
    assert!(lines[4].ends_with(r#""end":"error"}"#), "{text}");
}

#[test]
fn words_in_the_log_have_their_time_as_reports_have() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    let plan = Plan {
        show: Show::Plain,
        closing: Closing::Text,
        log: Some(log.clone()),
        ..plan()
    };
    let mut reporter = Reporter::new(&plan, ALONE, Instant::now()).expect("a reporter");
    reporter.complain("write: copy: No space left on device");
    let (status, left) = (sample::status(3, 30, 30), Count::default());
    reporter.finish(&status, Ending::Timeout, left, Some("timeout: it waits"));
    let text = fs::read_to_string(&log).expect("a log");
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.len() >= 4, "{text}");
    for line in &lines {
        let time = line.split(' ').find_map(|word| word.strip_prefix("time="));
        let time = time.and_then(|time| time.parse::<jiff::Timestamp>().ok());
        assert!(time.is_some(), "{line}");
    }
    assert!(
        lines[0].ends_with(" weir: write: copy: No space left on device"),
        "{text}"
    );
    assert!(text.ends_with(" weir: timeout: it waits\n"), "{text}");
    let refused = fs::write(&log, "").map(|()| Reporter::new(&plan, ALONE, Instant::now()));
    refused
        .expect("written")
        .expect("a reporter")
        .give_up(&"open: none");
    let text = fs::read_to_string(&log).expect("a log");
    assert!(
        text.starts_with("time=") && text.ends_with(" weir: open: none\n"),
        "{text}"
    );
}

#[test]
fn there_is_no_part_of_nothing() {
    let plan = Plan {
        expected: Some(Expected::Bytes(0)),
        ..plan()
    };
    let mut reporter = Reporter::new(&plan, ALONE, Instant::now()).expect("a reporter");
    let status = sample::status(3, 30, 30);
    assert_eq!(reporter.glance(&status).percent, None);
    reporter.expect(Some(Expected::Records(0)));
    assert_eq!(reporter.glance(&status).percent, None);
    reporter.expect(Some(Expected::Bytes(60 << 20)));
    assert_eq!(reporter.glance(&status).percent, Some(50));
}

#[test]
fn the_metrics_file_is_kept_and_holds_the_end_at_last() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("weir.prom");
    let plan = Plan {
        metrics: Some(file.clone()),
        ..plan()
    };
    let mut reporter = Reporter::new(&plan, ALONE, Instant::now()).expect("a reporter");
    assert!(reporter.next_tick().is_some());
    let left = Count {
        bytes: 42,
        records: None,
    };
    reporter.finish(&sample::status(3, 30, 30), Ending::Signal, left, None);
    let text = fs::read_to_string(&file).expect("a page");
    assert!(text.contains("\nweir_undelivered_bytes{"), "{text}");
    assert!(text.contains("} 42\n"), "{text}");
}

#[test]
fn a_log_that_cannot_be_written_is_an_error_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = Plan {
        log: Some(folder.path().to_owned()),
        ..plan()
    };
    let refused = Reporter::new(&plan, ALONE, Instant::now())
        .err()
        .expect("an error");
    assert!(refused.to_string().starts_with("open --log: "), "{refused}");
}
