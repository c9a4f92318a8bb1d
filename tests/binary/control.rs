//! A running weir is changed, paused, drained and queried by its user, through the real binary.

mod queries;
mod refused;

use crate::harness;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;

use crate::harness::remote::{Home, Weir};
use crate::harness::{Beside, data, eventually};
use rustix::process::Signal;
use serde_json::Value;

/// Feeds it all of this, then the end, beside the test.
fn feed(weir: &mut Weir, bytes: Vec<u8>) -> Beside<std::io::Result<()>> {
    harness::feed(weir.stdin.take().expect("not fed yet"), bytes)
}

/// Takes all it writes, beside the test.
fn collect(weir: &mut Weir) -> Beside<Vec<u8>> {
    harness::collect(weir.stdout.take().expect("not taken yet"))
}

fn said(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

#[test]
fn a_cap_that_is_lifted_lets_a_transfer_end_that_would_take_days() {
    let home = Home::new();
    let mut weir = home.start(&["-r", "100B/s"]);
    let bytes = data(10_000_000, 1);
    let (fed, got) = (feed(&mut weir, bytes.clone()), collect(&mut weir));
    home.tell(&weir.pid(), &["--rate", "off"]);
    assert!(weir.end().success());
    fed.done().expect("fed");
    assert!(got.done() == bytes, "not the same bytes");
}

#[test]
fn a_cap_is_in_force_when_remote_returns_and_holds_from_then_on() {
    let home = Home::new();
    let mut weir = home.start(&["-b", "8MiB", "-r", "4MB/s"]);
    let bytes = data(64 << 20, 1);
    let (fed, got) = (feed(&mut weir, bytes), collect(&mut weir));
    eventually("bytes flow", || {
        number(&home.status(&weir)["out"]["bytes"]) > 0
    });
    home.tell(&weir.pid(), &["--rate", "1000B/s"]);
    let before = home.status(&weir);
    assert_eq!(before["cap"]["bytes_per_s"], 1000.0);
    eventually("some time goes by", || {
        let now = home.status(&weir);
        let passed = number(&now["out"]["bytes"]) - number(&before["out"]["bytes"]);
        let time = |status: &Value| status["elapsed_s"].as_f64().expect("a time");
        let span = time(&now) - time(&before);
        // A step is 5 ms' worth of a cap: one of this, and one of the old that was under way.
        let step = (1000.0 + 4e6) * 0.005;
        assert!(passed as f64 <= 1000.0 * span + step + 1.0, "{passed}");
        span > 0.3
    });
    drop(weir);
    drop((fed, got));
}

#[test]
fn a_thousand_changes_lose_no_byte() {
    let home = Home::new();
    let mut weir = home.start(&["-b", "1MiB", "-r", "1MB/s"]);
    let bytes = data(32 << 20, 1);
    // The transfer cannot end before the last change, however long they take.
    let held = weir
        .stdin
        .as_ref()
        .map(|it| it.as_fd().try_clone_to_owned());
    let (fed, got) = (feed(&mut weir, bytes.clone()), collect(&mut weir));
    let mut line = home.connect(&weir);
    for n in (0..1000u64).rev() {
        let rate = 1 + n * n * 7;
        let change = format!(r#"{{"v":1,"ask":{{"change":{{"rate":["{rate}B/s"]}}}}}}"#);
        assert_eq!(line.ask(&change), "done");
    }
    home.tell(&weir.pid(), &["--rate", "off"]);
    drop(held);
    assert!(weir.end().success());
    fed.done().expect("fed");
    assert!(got.done() == bytes, "not the same bytes");
}

#[test]
fn a_pause_holds_the_output_and_lets_the_buffer_fill() {
    let home = Home::new();
    let mut weir = home.start(&["-N", "held"]);
    weir.give(b"before");
    assert_eq!(weir.take(6), b"before");
    home.tell("held", &["--pause"]);
    weir.give(b"after");
    eventually("it is read", || {
        number(&home.status(&weir)["in"]["bytes"]) == 11
    });
    let status = home.status(&weir);
    assert_eq!(status["state"], "paused");
    assert_eq!(status["out"]["bytes"], 6);
    home.tell("held", &["--resume"]);
    assert_eq!(weir.take(5), b"after");
}

#[test]
fn a_producer_that_is_blocked_is_freed_by_shedding_whatever_the_consumer_does() {
    for framing in ["-l", "--record-size=100", "--no-splice"] {
        for shed in [&["--shed", "oldest"][..], &["--max-age", "50ms"]] {
            let home = Home::new();
            let mut weir = home.start(&["-b", "64KiB", framing]);
            let line = [&[b'x'; 99][..], b"\n"].concat();
            let fed = feed(&mut weir, line.repeat(20_000));
            eventually("the producer is blocked", || {
                home.status(&weir)["state"] == "blocked"
            });
            home.tell(&weir.pid(), shed);
            // It would wait for ever: nobody takes anything.
            fed.done().expect("fed");
            let got = collect(&mut weir).done();
            assert!(weir.end().success());
            let is_whole = got.chunks(100).all(|got| got == line);
            assert!(is_whole || framing == "--no-splice", "{framing}: torn");
        }
    }
}

#[test]
fn shedding_is_switched_on_while_it_runs_and_off_again() {
    const ALL: usize = 8 << 20;
    let home = Home::new();
    let mut weir = home.start(&["-b", "64KiB", "--input-rate", "400kB/s"]);
    let (pid, bytes) = (weir.pid(), data(ALL, 1));
    let fed = feed(&mut weir, bytes);
    home.tell(
        &pid,
        &["--shed", "oldest", "--patience", "1ms", "--max-age", "1h"],
    );
    let shed = |weir: &Weir| number(&home.status(weir)["shed"]["bytes"]);
    eventually("it sheds what the consumer does not take", || {
        shed(&weir) > 0
    });
    // What was patience is no contradiction now.
    home.tell(&pid, &["--shed", "off", "--max-age", "off"]);
    let shed = shed(&weir);
    assert!(shed < ALL as u64 / 2, "all of it is gone already");
    home.tell(&pid, &["--input-rate", "off"]);
    eventually("the producer is blocked", || {
        home.status(&weir)["state"] == "blocked"
    });
    let got = collect(&mut weir);
    assert!(weir.end().success());
    fed.done().expect("fed");
    assert_eq!(got.done().len() as u64 + shed, ALL as u64);
}

#[test]
fn a_drain_delivers_what_is_held_and_ends_while_the_producer_goes_on() {
    let home = Home::new();
    let mut weir = home.start(&[]);
    home.tell(&weir.pid(), &["--pause"]);
    weir.give(b"held");
    eventually("it is held", || {
        number(&home.status(&weir)["buffer"]["used"]) == 4
    });
    home.tell(&weir.pid(), &["--drain"]);
    // As after SIGTERM: input may be left unread.
    assert_eq!(weir.end().signal(), Some(15));
    assert_eq!(collect(&mut weir).done(), b"held");
    assert_eq!(home.listing(), [""; 0].map(std::path::PathBuf::from));
}

#[test]
fn a_drain_is_told_as_the_end_but_one_after_the_end_of_input_is_none() {
    let home = Home::new();
    for (closes, end) in [(false, "drained"), (true, "eof")] {
        let mut weir = home.start(&["--summary", "json", "-r", "100B/s"]);
        weir.give(&[b'x'; 1000]);
        eventually("it is held", || {
            number(&home.status(&weir)["in"]["bytes"]) == 1000
        });
        if closes {
            drop(weir.stdin.take());
            eventually("the end of input is seen", || {
                home.status(&weir)["state"] == "draining"
            });
        }
        home.tell(&weir.pid(), &["--drain", "--rate", "off"]);
        collect(&mut weir).done();
        let mut summary = String::new();
        let mut stderr = weir.child.stderr.take().expect("its words");
        stderr.read_to_string(&mut summary).expect("a summary");
        assert!(summary.contains(&format!("\"end\":\"{end}\"")), "{summary}");
        assert_eq!(weir.end().success(), closes);
    }
}

#[test]
fn a_drain_is_told_as_the_end_also_where_batches_were_rejected() {
    let home = Home::new();
    let options = ["-l", "--batch", "1", "--reject", "77", "--summary", "json"];
    let mut weir = home.start(&[&options[..], &["--", "sh", "-c", "exit 77"]].concat());
    weir.give(b"one\ntwo\nthree\n");
    eventually("all are rejected", || {
        number(&home.status(&weir)["shed"]["records"]) == 3
    });
    home.tell(&weir.pid(), &["--drain"]);
    let mut said = String::new();
    let mut stderr = weir.child.stderr.take().expect("its words");
    stderr.read_to_string(&mut said).expect("a summary");
    assert!(said.contains("\"end\":\"drained\""), "{said}");
    let says = "3 batches (3 records, 14B) were given up or rejected";
    assert!(said.contains(says), "{said}");
    assert_eq!(weir.end().code(), Some(123), "{said}");
}

#[test]
fn the_name_and_the_expected_total_can_be_changed() {
    let home = Home::new();
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), [0; 3000]).expect("filled");
    let mut weir = home.start(&["-N", "before"]);
    let size = format!("@{}", file.path().display());
    home.tell("before", &["--name", "after", "--size", &size]);
    let status = home.status(&weir);
    assert_eq!(status["name"], "after");
    assert_eq!(status["size"], 3000);
    // By its new name, and with a total that is typed.
    home.tell("after", &["--size", "5000"]);
    assert_eq!(home.status(&weir)["size"], 5000);
    drop(weir.stdin.take());
    assert!(weir.end().success());
}

#[test]
fn a_drain_is_answered_even_if_it_ends_the_weir_at_once() {
    for _ in 0..20 {
        let home = Home::new();
        let mut weir = home.start(&[]);
        home.tell(&weir.pid(), &["--drain"]);
        assert_eq!(weir.end().signal(), Some(15));
    }
}

#[test]
fn every_option_that_can_be_changed_is() {
    let home = Home::new();
    let weir = home.start(&["-b", "1MiB", "-l"]);
    home.tell(
        &weir.pid(),
        &[
            "--rate",
            "5MB/s",
            "-r",
            "100/s",
            "--input-rate",
            "3MB/s",
            "--burst",
            "1s",
            "--high",
            "75%",
            "--low",
            "25%",
            "--prefill",
            "50%",
            "-i",
            "1s",
        ],
    );
    let status = home.status(&weir);
    assert_eq!(status["cap"]["bytes_per_s"], 5e6);
    assert_eq!(status["cap"]["records_per_s"], 100.0);
    assert_eq!(status["buffer"]["high"], 768 << 10);
    assert_eq!(status["buffer"]["low"], 256 << 10);
    assert_eq!(status["state"], "filling");
    home.tell(&weir.pid(), &["--rate", "off"]);
    let status = home.status(&weir);
    assert_eq!(status["cap"]["bytes_per_s"], Value::Null);
    assert_eq!(status["cap"]["records_per_s"], Value::Null);
}

#[test]
fn a_timetable_is_in_force_at_once() {
    let home = Home::new();
    let weir = home.start(&[]);
    home.tell(&weir.pid(), &["--rate", "00:00,7B/s 12:00,7B/s"]);
    assert_eq!(home.status(&weir)["cap"]["bytes_per_s"], 7.0);
    home.tell(&weir.pid(), &["--rate", "00:00,9B/s 23:59,9B/s"]);
    assert_eq!(home.status(&weir)["cap"]["bytes_per_s"], 9.0);
    home.tell(&weir.pid(), &["--rate", "off"]);
    assert_eq!(home.status(&weir)["cap"]["bytes_per_s"], Value::Null);
}

#[test]
fn reports_follow_a_new_interval() {
    let home = Home::new();
    let mut weir = home.start(&["--display", "json", "-i", "1h"]);
    home.tell(&weir.pid(), &["--interval", "10ms"]);
    let mut report = [0; 5];
    let mut stderr = weir.child.stderr.take().expect("piped");
    stderr.read_exact(&mut report).expect("a report");
    assert_eq!(&report, b"{\"v\":");
}

#[test]
#[cfg(target_os = "linux")]
fn a_stopped_weir_does_not_do_later_what_was_given_up_on() {
    let home = Home::new();
    let weir = home.start(&[]);
    weir.stop();
    let output = home.run(&["--remote", &weir.pid(), "--rate", "5MB/s"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("does not answer"),
        "{}",
        said(&output)
    );
    weir.signal(Signal::CONT);
    assert_eq!(home.status(&weir)["cap"]["bytes_per_s"], Value::Null);
}

#[test]
#[cfg(target_os = "linux")]
fn one_that_does_not_answer_is_known_by_its_first_name_or_named_among_all_that_do_not() {
    let home = Home::new();
    let weirs = [home.start(&["-N", "aa"]), home.start(&["-N", "bb"])];
    weirs.iter().for_each(|weir| weir.stop());
    let [one, other] = weirs.each_ref().map(|weir| weir.pid());
    let output = home.run(&["--remote", "bb", "--pause"]);
    let wanted = format!("weir: weir {other} does not answer; is it stopped?\n");
    assert_eq!(said(&output), wanted);
    // It may have been given another name since.
    let output = home.run(&["--remote", "cc", "--pause"]);
    let mut pids = [&one, &other].map(|pid| pid.parse::<u32>().expect("a number"));
    pids.sort_unstable();
    let wanted = format!(
        "weir: no weir of yours has the PID or the name cc, unless it is one of those that do not answer: {}, {}\n",
        pids[0], pids[1]
    );
    assert_eq!(said(&output), wanted);
    weirs.iter().for_each(|weir| weir.signal(Signal::CONT));
}

#[test]
fn without_control_there_is_no_socket_and_no_thread_for_it() {
    let home = Home::new();
    let mut weir = home.start_deaf(&["--no-control"]);
    weir.give(b"x");
    weir.take(1);
    weir.stdin = None;
    assert!(weir.end().success());
    assert!(!home.sockets().exists() && !home.refuge().exists());
}
