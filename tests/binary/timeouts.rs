//! The watchdog: status 124 and the name of the side that stalled; no word against one that moves.

use crate::harness;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread::sleep;
use std::time::Duration;

use crate::harness::line::Line;
use crate::harness::{DEADLINE, Ended};
use rustix::process::Signal;

const KIB: usize = 1024;

/// Ended by the watchdog, with a line that says all of these and, behind the first, for how long: at least so long.
#[track_caller]
fn assert_accuses(ended: &Ended, limit: Duration, says: &[&str]) {
    ended.assert_complains(124, &[&["timeout"], says].concat());
    let (_, time) = ended.stderr.split_once(says[0]).expect("it says so");
    let time = time.split(';').next().unwrap_or_default().trim();
    let time = humantime::parse_duration(time).unwrap_or_else(|e| panic!("{time:?}: {e}"));
    assert!((limit..DEADLINE).contains(&time), "{ended:?}");
}

#[test]
fn a_silent_producer_runs_out_of_time() {
    for option in ["--source-timeout", "--timeout"] {
        for way in ["--pipe-size=keep", "--no-splice"] {
            let mut line = Line::prefilled(&[option, "300ms", way], 1000);
            line.take(1000);
            let says = ["the source has sent nothing for", "; nothing undelivered"];
            assert_accuses(&line.finish(1000), Duration::from_millis(300), &says);
        }
    }
}

#[test]
fn a_producer_that_never_sends_anything_runs_out_of_time() {
    let line = Line::new(&["--source-timeout", "200ms"]);
    line.finish(0).assert_complains(124, &["the source"]);
}

#[test]
fn a_consumer_that_takes_nothing_runs_out_of_time() {
    for option in ["--sink-timeout", "--timeout"] {
        for way in ["-q", "--no-splice"] {
            let args = ["-b", "64KiB", "--pipe-size", "64KiB", option, "400ms", way];
            // More than weir takes, so that the producer is not to blame.
            let mut line = Line::prefilled(&args, 180_000);
            line.ends_untouched();
            let (held, behind) = (line.held(), line.behind());
            let kib = held as f64 / 1024.0;
            // Three figures, as everywhere.
            let undelivered = format!("; {kib:.*}KiB undelivered", 2 - kib.log10() as usize);
            let says = ["the sink has taken nothing for", &undelivered];
            assert_accuses(&line.finish(behind), Duration::from_millis(400), &says);
        }
    }
}

#[test]
fn beside_a_spool_the_line_says_that_the_rest_stays_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = folder.path().join("q").display().to_string();
    let fixed = ["--pipe-size", "64KiB", "--sink-timeout", "400ms"];
    // More than the pipe holds.
    let mut line = Line::prefilled(&[&["--spool", &spool], &fixed[..]].concat(), 180_000);
    line.ends_untouched();
    let behind = line.behind();
    let says = ["timeout", " undelivered, which stays in the spool"];
    line.finish(behind).assert_complains(124, &says);
}

#[test]
fn a_consumer_that_leaves_in_its_pipe_what_others_wrote_runs_out_of_time() {
    let before = "head -c 65536 /dev/zero";
    let args = ["--shed", "oldest", "--sink-timeout", "400ms"];
    let (stdin, mut input) = std::io::pipe().expect("a pipe");
    let (_untouched, output) = std::io::pipe().expect("a pipe");
    input.write_all(b"something\n").expect("written");
    let weir = harness::start(harness::weir_in_shell(before, &args, ""), stdin, output);
    let says = ["the sink has taken nothing for", "10B"];
    assert_accuses(&weir.end(), Duration::from_millis(400), &says);
}

const BOTH_WAYS: [&str; 2] = ["--pipe-size=64KiB", "--no-splice"];

/// Does this again and again for longer in all than three seconds, the time limit, and never waits for so long at once.
fn move_slowly(mut step: impl FnMut()) {
    for _ in 0..17 {
        step();
        sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_slow_consumer_that_moves_is_left_alone() {
    let mut lines = BOTH_WAYS.map(|way| {
        let mut line = Line::new(&["--sink-timeout", "3s", way]);
        line.send(3000 * KIB);
        line.close_input();
        line
    });
    move_slowly(|| lines.iter_mut().for_each(|line| line.take(64 * KIB)));
    for line in lines {
        line.finish(3000 * KIB).assert_success("slow but healthy");
    }
}

#[test]
fn a_slow_producer_that_moves_is_left_alone() {
    let mut lines = BOTH_WAYS.map(|way| Line::new(&["--source-timeout", "3s", way]));
    move_slowly(|| {
        for line in &mut lines {
            line.send(10);
            line.take(10);
        }
    });
    for mut line in lines {
        line.close_input();
        let sent = line.sent();
        line.finish(sent).assert_success("slow but healthy");
    }
}

#[test]
fn the_producer_is_not_accused_while_the_buffer_is_full() {
    // As much as there is room for, and more, before anybody is waited for.
    let args = ["--source-timeout", "500ms", "-b", "64KiB"];
    let mut line = Line::prefilled(&[&args[..], &["--pipe-size", "64KiB"]].concat(), 180_000);
    sleep(Duration::from_millis(1200));
    assert!(line.weir.is_alive());
    line.close_input();
    let sent = line.sent();
    line.finish(sent).assert_success("blocked by the consumer");
}

#[test]
fn the_consumer_is_not_accused_while_there_is_nothing_for_it() {
    let mut lines = [
        ["--sink-timeout", "3s"].as_slice(),
        &["--sink-timeout", "3s", "--prefill", "50%"],
    ]
    .map(Line::new);
    lines.iter_mut().for_each(|line| line.send(100));
    sleep(Duration::from_millis(3500));
    for mut line in lines {
        line.close_input();
        line.finish(100).assert_success("a silent producer");
    }
}

#[test]
fn a_fifo_that_nobody_opens_for_writing_runs_out_of_time() {
    let dir = tempfile::TempDir::new().expect("make a directory");
    let path = dir.path().join("fifo");
    harness::sides::make_fifo(&path);
    let line = Line::new(&[
        "--source-timeout",
        "300ms",
        path.to_str().expect("a plain path"),
    ]);
    line.finish(0).assert_complains(124, &["the source"]);
}

#[test]
fn a_consumer_that_takes_a_few_bytes_at_a_time_is_left_alone() {
    let mut line = Line::new(&["--sink-timeout", "3s"]);
    line.send(500_000);
    move_slowly(|| {
        assert!(line.weir.is_alive());
        line.take(100);
    });
    assert!(line.weir.is_alive());
}

#[test]
fn a_weir_that_was_stopped_itself_accuses_nobody() {
    let mut line = Line::new(&["--timeout", "4s"]);
    line.send(1000);
    line.take(1000);
    line.weir.signal(Signal::STOP);
    sleep(Duration::from_secs(6));
    line.weir.signal(Signal::CONT);
    // It has all of its patience again; it would have ended at once.
    sleep(Duration::from_millis(300));
    line.send(1000);
    line.take(1000);
    line.close_input();
    line.finish(2000).assert_success("stopped and continued");
}

#[test]
fn a_consumer_on_a_socket_that_takes_a_little_all_the_time_is_left_alone() {
    let (ours, theirs) = UnixStream::pair().expect("sockets");
    let (stdin, mut input) = std::io::pipe().expect("a pipe");
    let command = harness::weir(&["--sink-timeout", "3s", "-b", "64KiB"]);
    let weir = harness::start(command, stdin, std::os::fd::OwnedFd::from(theirs));
    let fed = harness::beside(move || input.write_all(&vec![b'x'; 600_000]));
    let mut ours = ours;
    let mut bytes = vec![0; 4000];
    // Never enough for the system to say that there is room.
    let mut taken = 0;
    move_slowly(|| {
        ours.read_exact(&mut bytes).expect("read");
        taken += bytes.len();
    });
    let rest = harness::collect(ours).done();
    assert_eq!(rest.len() + taken, 600_000);
    fed.done().expect("fed");
    weir.end().assert_success("a slow reader");
}
