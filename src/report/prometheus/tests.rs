//! The page of `--metrics`: its format to the letter, its figures, and no series twice.

use std::collections::{HashMap, HashSet};
use std::io::Write as _;
use std::process::{Command, Stdio};

use super::*;
use crate::report::sample;
use crate::report::snapshot::{Ending, OutputKind};

fn pages() -> Vec<String> {
    let mut odd = sample::busy();
    odd.name = Some("a \"b\" \\ c\nd".into());
    let mut ended = sample::summary(Ending::Signal, 5);
    ended.time = Some("2026-11-25T18:30:00.123+01:00".into());
    let mut waits = sample::busy();
    let mut command = sample::command(Some(2.5), 3, 7, 80);
    command.batches = Some(sample::batches(3));
    waits.command = Some(command);
    [
        sample::fresh(),
        sample::busy(),
        sample::shedding(),
        odd,
        ended,
        waits,
    ]
    .iter()
    .map(text)
    .collect()
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_lowercase())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// Splits `name{label="value",…} number`, as strictly as the format allows.
fn sample_of(line: &str) -> (String, Vec<(String, String)>, f64) {
    let (name, rest) = line.split_once('{').expect("labels");
    let mut labels = Vec::new();
    let mut rest = rest;
    loop {
        let (label, after) = rest.split_once("=\"").expect("a label's value");
        assert!(is_name(label), "{line}");
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next().expect("a closing quote") {
                (at, '"') => break at,
                (_, '\\') => match chars.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, c @ ('\\' | '"'))) => value.push(c),
                    other => panic!("{line}: {other:?}"),
                },
                (_, c) => value.push(c),
            }
        };
        labels.push((label.to_owned(), value));
        rest = &after[end + 1..];
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => break,
        }
    }
    let number = rest.strip_prefix("} ").expect("one space and a number");
    (name.to_owned(), labels, number.parse().expect("a number"))
}

#[test]
fn the_format_is_kept_to_the_letter() {
    for page in pages() {
        let mut helped = HashSet::new();
        let mut types: HashMap<&str, &str> = HashMap::new();
        let mut seen = HashSet::new();
        let mut family = "";
        assert!(page.ends_with('\n'));
        for line in page.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, words) = help.split_once(' ').expect("words of help");
                assert!(helped.insert(name) && words.ends_with('.'), "{line}");
                family = name;
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').expect("a type");
                assert_eq!(name, family, "TYPE goes with its HELP");
                assert!(["counter", "gauge"].contains(&kind));
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                assert!(types.insert(name, kind).is_none());
            } else {
                let (name, labels, value) = sample_of(line);
                assert_eq!(name, family, "samples stand under their TYPE");
                assert!(types.contains_key(&*name) && is_name(&name));
                assert!(name.starts_with("weir_"), "{line}");
                assert!(value.is_finite() && value >= 0.0, "{line}");
                assert_eq!(labels[0].0, "name");
                assert!(labels.iter().all(|label| label.0 != "pid"), "{line}");
                let distinct: HashSet<_> = labels.iter().map(|l| &l.0).collect();
                assert_eq!(distinct.len(), labels.len(), "{line}");
                assert!(seen.insert((name, labels)), "twice: {line}");
            }
        }
        assert_eq!(helped.len(), types.len());
    }
}

#[test]
fn a_counter_and_a_gauge_as_they_are_read() {
    let page = text(&sample::shedding());
    for line in [
        "weir_shed_records_total{name=\"\"} 51200",
        "weir_wait_seconds_total{name=\"\",for=\"sink\"} 1",
        "weir_buffer_used_bytes{name=\"\"} 67108864",
        "weir_age_seconds{name=\"\",of=\"p99\"} 1.9",
        "weir_state{name=\"\",state=\"shedding\"} 1",
    ] {
        assert!(page.lines().any(|l| l == line), "{line}\n{page}");
    }
}

#[test]
fn the_last_page_says_how_it_ended_and_when_it_was_written() {
    let all = pages();
    let (running, ended) = (&all[0], &all[4]);
    for line in [
        "weir_end{name=\"backup\",end=\"signal\"} 1",
        "weir_written_timestamp_seconds{name=\"backup\"} 1795627800.123",
    ] {
        assert!(ended.lines().any(|l| l == line), "{line}\n{ended}");
    }
    assert!(!running.contains("weir_end"), "{running}");
}

#[test]
fn promtool_agrees_where_it_is_installed() {
    for page in pages() {
        let child = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn();
        let Ok(mut child) = child else { return };
        let mut input = child.stdin.take().expect("a pipe");
        input.write_all(page.as_bytes()).expect("a page read");
        drop(input);
        assert!(child.wait().expect("an end").success(), "{page}");
    }
}

#[test]
fn no_two_series_of_outputs_are_equal() {
    let mut s = sample::fresh();
    let kinds = [OutputKind::Tee, OutputKind::Tee, OutputKind::Tap];
    let outputs = kinds.map(|kind| sample::output(kind, "/dev/null"));
    s.outputs = outputs.into();
    let page = text(&s);
    for label in [
        r#"output="/dev/null",kind="tee""#,
        r#"output="/dev/null#2",kind="tee""#,
        r#"output="/dev/null",kind="tap""#,
    ] {
        let written = format!("weir_output_written_bytes_total{{name=\"\",{label}}}");
        assert_eq!(page.matches(&written).count(), 1, "{page}");
    }
}
