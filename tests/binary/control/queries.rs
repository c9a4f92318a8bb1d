//! What `--query` prints of running weirs.

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::Value;

use super::number;
use crate::harness::eventually;
use crate::harness::remote::Home;

#[test]
fn a_query_prints_the_status_object_with_all_its_keys() {
    let home = Home::new();
    assert_eq!(home.run(&["--query"]).stdout, b"");
    assert_eq!(home.run(&["--query"]).status.code(), Some(0));
    let weirs = [home.start(&["-N", "a"]), home.start(&["-N", "b"])];
    let output = home.run(&["--query"]);
    let text = String::from_utf8(output.stdout).expect("text");
    let keys = "v name pid event elapsed_s state buffer in out shed undelivered cap wait_s holdup \
                age_s path size eta_s culprit time outputs lanes rates advice share command end";
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("an object"))
        .collect();
    assert_eq!(lines.len(), 2);
    for (line, text) in lines.iter().zip(text.lines()) {
        let object = line.as_object().expect("an object");
        assert_eq!(object.len(), keys.split_whitespace().count());
        let places = keys
            .split_whitespace()
            .map(|key| text.find(&format!("\"{key}\":")));
        assert!(places.is_sorted_by(|a, b| a.is_some() && a < b), "{text}");
        assert_eq!(
            (&object["v"], &object["event"]),
            (&1.into(), &"status".into())
        );
    }
    let mut names: Vec<_> = lines.iter().map(|line| line["name"].clone()).collect();
    names.sort_by_key(ToString::to_string);
    assert_eq!(names, ["a", "b"]);
    let one = home.run(&["--query", "b"]);
    let one: Value = serde_json::from_slice(&one.stdout).expect("an object");
    assert_eq!(one["pid"].to_string(), weirs[1].pid());
}

#[test]
fn a_query_tells_rates_since_the_one_before() {
    let home = Home::new();
    let mut weir = home.start(&[]);
    weir.give(&[b'x'; 1000]);
    weir.take(1000);
    eventually("it is counted", || {
        number(&home.status(&weir)["out"]["bytes"]) == 1000
    });
    // Nothing has passed since that query, however much has since the start.
    assert_eq!(home.status(&weir)["out"]["rate"], 0.0);
}

#[test]
fn a_closed_output_of_a_query_is_silent() {
    let home = Home::new();
    let _weir = home.start(&[]);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = home.command(&["--query"]);
    let child = command.stdout(writer).stderr(Stdio::piped()).spawn();
    let output = child.expect("started").wait_with_output().expect("ended");
    assert_eq!(output.status.signal(), Some(Signal::PIPE.as_raw()));
    assert!(output.stderr.is_empty());
}
