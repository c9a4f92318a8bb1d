//! The consumer, or COMMAND, sees its end when it has all, and what it says then is weir's status; a tee has its rest after it.

use std::fs::File;
use std::io::Read;

use serde_json::Value;

use super::{folder, lines, silent};
use crate::harness;
use crate::harness::remote::Home;
use crate::harness::{assert_same, eventually};

/// Reads what the tee gets until there is all of it.
fn read_all(tee: &mut File) -> Vec<u8> {
    rustix::io::ioctl_fionbio(&*tee, true).expect("it can");
    let (wanted, mut got) = (lines().len(), Vec::new());
    let mut piece = [0; 65536];
    eventually("the tee has all", || {
        while let Ok(n @ 1..) = tee.read(&mut piece) {
            got.extend_from_slice(&piece[..n]);
        }
        got.len() >= wanted
    });
    got
}

/// As whoever reads from tee(1) does: what else there is to be done is not his business.
#[test]
fn a_consumer_sees_its_end_when_it_has_all_though_a_tee_is_behind() {
    for options in [&["-l"][..], &["--no-splice"], &["-l", "-r", "100MB/s"]] {
        let (home, folder) = (Home::new(), folder());
        let (mut tee, fifo) = silent(&folder);
        let mut weir = home.start(&[options, &["--pipe-size", "256KiB", "--tee", &fifo]].concat());
        let reader = harness::collect(weir.stdout.take().expect("a pipe"));
        weir.give(&lines());
        drop(weir.stdin.take());
        assert_same(&reader.done(), &lines(), "the consumer");
        let status = home.status(&weir);
        assert_eq!(status["state"], "draining", "{status}");
        assert!(status["outputs"][0]["used"].as_u64() > Some(0), "{status}");
        assert_same(&read_all(&mut tee), &lines(), "the tee");
        assert!(weir.end().success(), "{options:?}");
    }
}

/// The same of a program: it ends, and the run has ended as it should when the tee has all, too.
#[test]
fn a_command_sees_its_end_when_it_has_all_though_a_tee_is_behind() {
    for (code, word) in [(0, "eof"), (3, "command-failed")] {
        let (home, folder) = (Home::new(), folder());
        let (mut tee, fifo) = silent(&folder);
        let script = format!("cat >{fifo}.got && echo over >{fifo}.over; exit {code}");
        let options = ["-l", "--summary", "json", "--grace", "10ms"];
        let small = ["--pipe-size", "256KiB", "--tee", &fifo, "--"];
        let options = [&options[..], &small].concat();
        let mut weir = home.start(&[&options[..], &["sh", "-c", &script]].concat());
        weir.give(&lines());
        drop(weir.stdin.take());
        eventually("the program is over", || {
            std::fs::read(format!("{fifo}.over")).is_ok_and(|it| it == b"over\n")
        });
        let got = std::fs::read(format!("{fifo}.got")).expect("a file");
        assert_same(&got, &lines(), "the program");
        // Longer than it would have, had the input not ended first.
        std::thread::sleep(std::time::Duration::from_millis(200));
        assert!(weir.child.try_wait().expect("it is ours").is_none());
        assert_same(&read_all(&mut tee), &lines(), "the tee");
        let (status, mut said) = (weir.end(), String::new());
        assert_eq!(status.code(), Some(code));
        let mut errors = weir.child.stderr.take().expect("a pipe");
        errors.read_to_string(&mut said).expect("text");
        let last = said.lines().last().expect("a summary");
        let summary: Value = serde_json::from_str(last).expect("an object");
        assert_eq!(summary["end"], word, "{said}");
    }
}

/// One that is not run again leaves by counting, before it sees the end of its input or before there is one: it has had
/// all, its status is weir's, and the tee gets the rest.
#[test]
fn a_command_that_leaves_at_its_last_byte_leaves_a_tee_its_rest_and_weir_its_status() {
    for (has_ended, code, word) in [
        (true, 0, "eof"),
        (true, 3, "command-failed"),
        (false, 0, "consumer-gone"),
        (false, 3, "command-failed"),
    ] {
        let case = format!("{has_ended} {code}");
        let (home, folder) = (Home::new(), folder());
        let (mut tee, fifo) = silent(&folder);
        let count = lines().len();
        // It leaves when the test says so: the input has ended by then, or will not.
        let wait = format!("until test -e {fifo}.go; do sleep .01; done");
        let script =
            format!("head -c {count} >/dev/null; {wait}; echo over >{fifo}.over; exit {code}");
        let options = ["-l", "--summary", "json", "--grace", "1h"];
        let small = ["--pipe-size", "256KiB", "--tee", &fifo, "--"];
        let options = [&options[..], &small].concat();
        let mut weir = home.start(&[&options[..], &["sh", "-c", &script]].concat());
        weir.give(&lines());
        let input = weir.stdin.take().filter(|_| !has_ended);
        eventually("all is read", || {
            let status = home.status(&weir);
            status["in"]["bytes"] == count && (status["state"] == "draining") == has_ended
        });
        std::fs::write(format!("{fifo}.go"), "").expect("a file");
        eventually("the program is over", || {
            std::fs::read(format!("{fifo}.over")).is_ok_and(|it| it == b"over\n")
        });
        // Longer than weir waits for the input of one that has left.
        std::thread::sleep(std::time::Duration::from_millis(200));
        assert!(
            weir.child.try_wait().expect("it is ours").is_none(),
            "{case}"
        );
        assert_same(&read_all(&mut tee), &lines(), &case);
        let (status, mut said) = (weir.end(), String::new());
        drop(input);
        assert_eq!(status.code(), Some(code), "{case}");
        let mut errors = weir.child.stderr.take().expect("a pipe");
        errors.read_to_string(&mut said).expect("text");
        let last = said.lines().last().expect("a summary");
        let summary: Value = serde_json::from_str(last).expect("an object");
        assert_eq!(summary["end"], word, "{case}: {said}");
        for (what, bytes) in [
            ("in", count),
            ("out", count),
            ("shed", 0),
            ("undelivered", 0),
        ] {
            assert_eq!(summary[what]["bytes"], bytes, "{case}, {what}: {said}");
        }
        assert_eq!(
            summary["out"]["records"], summary["in"]["records"],
            "{case}"
        );
    }
}

/// It is no different from one that stays.
#[test]
fn a_consumer_that_leaves_when_it_has_all_leaves_a_tee_its_rest() {
    let (home, folder) = (Home::new(), folder());
    let (mut tee, fifo) = silent(&folder);
    let mut weir = home.start(&["-l", "--pipe-size", "256KiB", "--tee", &fifo]);
    let mut output = weir.stdout.take().expect("a pipe");
    let wanted = lines().len();
    let reader = harness::beside(move || {
        let mut got = vec![0; wanted];
        output.read_exact(&mut got).map(|()| (got, output))
    });
    weir.give(&lines());
    drop(weir.stdin.take());
    let (got, output) = reader.done().expect("all of it");
    assert_same(&got, &lines(), "the consumer");
    // Not before the input has ended, however slow all this is: that would be the end of weir.
    drop(output);
    // Longer than weir waits for the input of one that has left.
    std::thread::sleep(std::time::Duration::from_millis(200));
    let status = home.status(&weir);
    assert!(status["outputs"][0]["used"].as_u64() > Some(0), "{status}");
    assert_same(&read_all(&mut tee), &lines(), "the tee");
    assert!(weir.end().success());
}
