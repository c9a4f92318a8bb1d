//! A change of a running weir changes what it names, and nothing else: through the real binary.

use crate::harness;
use crate::harness::remote::{Home, Weir};
use crate::harness::{eventually, settle};
use serde_json::Value;

/// What can be changed, one after the other, and may not move the gate. `--high`, `--low` and `--prefill` are about the gate
/// itself, `--shed` opens it, and `--jobs`, `--retry`, `--reopen` and `--drain` are for what is not there, or for the end.
const CHANGES: &[&[&str]] = &[
    &["--interval", "2s"],
    &["--rate", "1B/s"],
    &["--rate", "1/h"],
    &["--rate", "off", "--rate", "1B/s"],
    &["--input-rate", "1GB/s"],
    &["--input-rate", "00:00,2GB/s"],
    &["--burst", "1ms"],
    &["--max-age", "1h"],
    &["--max-age", "off"],
    &["--shed", "off"],
    &["--patience", "1h"],
    &["--pause"],
    &["--resume"],
    &["--size", "5GiB"],
    &["--name", "another"],
];

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

#[test]
fn a_gate_that_is_closed_stays_closed_whatever_else_is_changed() {
    let home = Home::new();
    let marks = ["-b", "1MiB", "--high", "90%", "--low", "10%"];
    let mut weir =
        home.start(&[&marks[..], &["--no-splice", "-l", "--pipe-size", "64KiB"]].concat());
    let feeding = harness::feed(
        weir.stdin.take().expect("a pipe"),
        b"word\n".repeat(1 << 20),
    );
    eventually("the producer is blocked", || {
        home.status(&weir)["state"] == "blocked"
    });
    // Half of it, so that occupancy is between the marks.
    weir.take(500_000);
    settle(weir.child.id());
    let used = number(&home.status(&weir)["buffer"]["used"]);
    assert!((200_000..800_000).contains(&used), "{used}");
    let read = |weir: &Weir| number(&home.status(weir)["in"]["bytes"]);
    let before = read(&weir);
    for change in CHANGES {
        home.tell(&weir.pid(), change);
        // A source that may read would read what lies in its pipe before it sleeps again.
        settle(weir.child.id());
        assert_eq!(read(&weir), before, "{change:?}");
    }
    drop(weir);
    drop(feeding);
}
