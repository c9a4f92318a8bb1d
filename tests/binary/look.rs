//! `--look`: what passes through a weir that was started without a thought of it, for whoever comes, as often as
//! they like, and what that is to everybody else: nothing.

mod recalled;
mod whole;

use crate::harness;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::harness::remote::{Home, Weir};
use crate::harness::{Beside, assert_same, beside, collect, eventually, settle};
use rustix::process::Signal;

const MIB: usize = 1 << 20;

/// Somebody who looks, and what was shown so far.
struct Look {
    weir: Weir,
    shown: Arc<Mutex<Vec<u8>>>,
    reading: Beside<()>,
}

impl Look {
    /// Begins to look.
    fn at(home: &Home, target: &str) -> Look {
        let mut weir = home.start_deaf(&["--look", target]);
        let mut stdout = weir.stdout.take().expect("not taken yet");
        let shown = Arc::new(Mutex::new(Vec::new()));
        let all = shown.clone();
        let reading = beside(move || {
            let mut piece = vec![0; 65536];
            while let Ok(n @ 1..) = stdout.read(&mut piece) {
                all.lock().expect("whole").extend_from_slice(&piece[..n]);
            }
        });
        Look {
            weir,
            shown,
            reading,
        }
    }

    fn shown(&self) -> Vec<u8> {
        self.shown.lock().expect("whole").clone()
    }

    /// The number of the last line that it has shown whole.
    fn newest(&self) -> Option<usize> {
        let shown = self.shown.lock().expect("whole");
        let mut lines = shown.rsplit(|byte| *byte == b'\n').skip(1);
        let number = lines.next()?.strip_prefix(b"line ")?;
        let number = number.split(|byte| *byte == b' ').next()?;
        std::str::from_utf8(number).ok()?.parse().ok()
    }

    /// All that it shows, what it says at its end, and how it ends.
    fn end(mut self) -> (Vec<u8>, String, std::process::ExitStatus) {
        let mut stderr = self.weir.child.stderr.take().expect("not taken yet");
        let status = self.weir.end();
        let mut said = String::new();
        stderr.read_to_string(&mut said).expect("text");
        // Some of it may still lie in its pipe.
        self.reading.done();
        let shown = self.shown.lock().expect("whole").clone();
        (shown, said, status)
    }
}

/// Lines that are all different.
fn lines(from: usize, n: usize) -> Vec<u8> {
    let line = |k: usize| format!("line {k} {}\n", "x".repeat(k * 7 % 90));
    (from..from + n).map(line).collect::<String>().into_bytes()
}

/// Lets lines pass until somebody is shown some; the number of the next line.
fn pass_until(weir: &mut Weir, mut next: usize, mut is_so: impl FnMut() -> bool) -> usize {
    eventually("somebody is shown what passes", || {
        let line = lines(next, 1);
        weir.give(&line);
        weir.take(line.len());
        next += 1;
        is_so()
    });
    next
}

/// These are lines in a row, all of them whole; which one is the first.
#[track_caller]
fn assert_in_a_row(shown: &[u8], case: &str) -> usize {
    let text = String::from_utf8_lossy(shown);
    let first = text
        .strip_prefix("line ")
        .and_then(|rest| rest.split(' ').next()?.parse().ok());
    let first = first.unwrap_or_else(|| panic!("{case}: {:?}", &text[..text.len().min(80)]));
    let n = shown.iter().filter(|byte| **byte == b'\n').count();
    assert_same(shown, &lines(first, n), case);
    first
}

#[test]
fn whoever_comes_is_shown_whole_lines_from_then_on_and_may_come_again() {
    for way in [
        &["-l"][..],
        &["-l", "--no-splice"],
        &["-l", "--shed", "oldest"],
    ] {
        let home = Home::new();
        let mut weir = home.start(&[way, &["-N", "w"]].concat());
        let mut next = 0;
        for _ in 0..3 {
            // The first half of a line is on its way before anybody looks.
            let half = lines(next, 1);
            weir.give(&half[..3]);
            let name = weir.pid();
            let looks: Vec<_> = (0..3).map(|_| Look::at(&home, &name)).collect();
            weir.give(&half[3..]);
            weir.take(half.len());
            next = pass_until(&mut weir, next + 1, || {
                looks.iter().all(|look| !look.shown().is_empty())
            });
            for look in looks {
                look.weir.signal(Signal::INT);
                let (shown, said, status) = look.end();
                assert_in_a_row(&shown, &format!("{way:?}"));
                assert_eq!((status.signal(), said.as_str()), (Some(2), ""));
            }
        }
        drop(weir.stdin.take());
        assert!(weir.end().success());
    }
}

#[test]
fn one_that_is_stopped_holds_nobody_up_and_says_what_it_missed() {
    let home = Home::new();
    let mut weir = home.start(&["-l", "-N", "w", "-b", "1MiB"]);
    let stopped = Look::at(&home, "w");
    let reading = Look::at(&home, "w");
    let next = pass_until(&mut weir, 0, || {
        !stopped.shown().is_empty() && !reading.shown().is_empty()
    });
    stopped.weir.signal(Signal::STOP);
    let flood = lines(next, 64 * MIB / 50);
    let mut stdin = weir.stdin.take().expect("not fed yet");
    let bytes = flood.clone();
    let fed = beside(move || stdin.write_all(&bytes).map(|()| stdin));
    assert_same(&weir.take(flood.len()), &flood, "the consumer");
    let stdin = fed.done().expect("all was taken");
    let last = next + 64 * MIB / 50 - 1;
    eventually("the newest is shown", || reading.newest() == Some(last));
    drop(stdin);
    assert!(weir.end().success());
    stopped.weir.signal(Signal::CONT);
    let (shown, said, status) = stopped.end();
    // It was too slow for a last word.
    assert_eq!(status.code(), Some(1), "{said}");
    // Whole lines, of which many are missing.
    assert!(shown.ends_with(b"\n") && shown.len() < flood.len() - 16 * MIB);
    let mut all = flood.split_inclusive(|byte| *byte == b'\n');
    let own = lines(0, next);
    let mut before = own.split_inclusive(|byte| *byte == b'\n');
    for line in shown.split_inclusive(|byte| *byte == b'\n') {
        assert!(
            before.any(|other| other == line) || all.any(|other| other == line),
            "torn: {}",
            line.escape_ascii()
        );
    }
    assert!(reading.end().2.success());
}

#[test]
fn what_was_missed_is_said_at_the_end() {
    let home = Home::new();
    let mut weir = home.start(&["-l", "-N", "w"]);
    let look = Look::at(&home, "w");
    let next = pass_until(&mut weir, 0, || !look.shown().is_empty());
    look.weir.signal(Signal::STOP);
    let flood = lines(next, 64 * MIB / 50);
    let n = flood.len();
    let mut stdin = weir.stdin.take().expect("not fed yet");
    let fed = beside(move || {
        stdin.write_all(&flood).expect("all is taken");
        stdin
    });
    weir.take(n);
    // The weir goes on: what is said is no matter of its end.
    let stdin = fed.done();
    look.weir.signal(Signal::CONT);
    weir.stdin = Some(stdin);
    let last = next + 64 * MIB / 50;
    // It may have come further than that by the time somebody looks.
    pass_until(&mut weir, last, || look.newest() >= Some(last));
    look.weir.signal(Signal::INT);
    let (_, said, status) = look.end();
    assert_eq!(status.signal(), Some(2));
    assert!(said.starts_with("weir: too slow a look: "), "{said:?}");
    assert!(
        said.ends_with(" records not shown\n") && said.lines().count() == 1,
        "{said:?}"
    );
}

#[test]
fn bytes_go_around_the_buffer_whoever_looks() {
    let home = Home::new();
    let mut weir = home.start(&["-N", "w", "--pipe-size", "64KiB"]);
    let spliced = |weir: &mut Weir| {
        let n = |weir: &Weir| {
            home.status(weir)["path"]["spliced"]
                .as_u64()
                .expect("a number")
        };
        let before = n(weir);
        weir.give(&[b'x'; 20_000]);
        weir.take(20_000);
        n(weir) - before
    };
    // What has left may not be in the books yet.
    eventually("around the buffer where nobody looks", || {
        spliced(&mut weir) == 20_000
    });
    let look = Look::at(&home, "w");
    eventually("somebody looks", || {
        spliced(&mut weir);
        !look.shown().is_empty()
    });
    // While one comes or goes, some may take the other way.
    eventually("around the buffer beside somebody who looks", || {
        spliced(&mut weir) == 20_000
    });
    drop(look);
    eventually("around the buffer behind somebody who looked", || {
        spliced(&mut weir) == 20_000
    });
    drop(weir.stdin.take());
    assert!(weir.end().success());
}

#[test]
fn where_nothing_may_be_seen_one_line_says_so() {
    let home = Home::new();
    let deaf = home.start_deaf(&["-N", "deaf", "--no-control"]);
    for target in ["deaf", &deaf.pid(), "nobody"] {
        let output = home.run(&["--look", target]);
        let said = String::from_utf8_lossy(&output.stderr);
        let wanted = format!("weir: no weir of yours has the PID or the name {target}\n");
        assert_eq!((output.status.code(), &*said), (Some(1), wanted.as_str()));
    }
}

#[test]
fn a_reader_that_has_enough_ends_the_look_also_while_nothing_passes() {
    let home = Home::new();
    let mut weir = home.start(&["-l", "-N", "w", "--recall", "64KiB"]);
    let some = lines(0, 10);
    weir.give(&some);
    weir.take(some.len());
    let mut look = home.start_deaf(&["--look", "w"]);
    let mut first = String::new();
    let stdout = look.stdout.take().expect("not taken yet");
    BufReader::new(stdout)
        .read_line(&mut first)
        .expect("a line");
    assert_eq!(first, "line 0 \n");
    assert_eq!(look.end().signal(), Some(13), "as cat ends then");
}

#[test]
fn neither_of_them_makes_a_call_while_nothing_passes() {
    let home = Home::new();
    let mut weir = home.start(&["-l", "-N", "w"]);
    let look = Look::at(&home, "w");
    pass_until(&mut weir, 0, || !look.shown().is_empty());
    let pids = [weir.child.id(), look.weir.child.id()];
    let before = pids.map(settle);
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(pids.map(settle), before);
}

#[test]
fn a_crowd_may_look_at_once_and_nobody_is_shown_half_a_line() {
    const CROWD: usize = 100;
    let home = Home::new();
    let mut weir = home.start(&["-l", "-N", "w"]);
    let mut all = Vec::new();
    for _ in 0..CROWD {
        let mut line = home.connect(&weir);
        let welcome = line.ask(r#"{"v":1,"ask":"look"}"#);
        assert_eq!(welcome["shown"]["bytes"], 0);
        all.push(line);
    }
    let flood = lines(0, 100_000);
    let (n, bytes) = (flood.len(), flood.clone());
    let readers: Vec<_> = all
        .into_iter()
        .map(|line| beside(move || read_shown(line, n)))
        .collect();
    let mut stdin = weir.stdin.take().expect("not fed yet");
    let fed = beside(move || stdin.write_all(&bytes).map(|()| stdin));
    let got = collect(weir.stdout.take().expect("not taken yet"));
    // The end of weir does not wait for those who look.
    let stdin = fed.done().expect("all was taken");
    for reader in readers {
        let (shown, missed) = reader.done();
        assert_eq!(missed, 0, "it has a share of 16 MiB");
        assert_same(&shown, &flood, "one of a crowd");
    }
    drop(stdin);
    assert_eq!(got.done().len(), n);
    assert!(weir.end().success());
}

/// What is shown by this connection, up to so many bytes, and what was missed.
fn read_shown(line: harness::remote::Line, most: usize) -> (Vec<u8>, u64) {
    let mut stream = BufReader::new(line.socket.try_clone().expect("a descriptor"));
    let (mut all, mut missed) = (Vec::new(), 0);
    while all.len() < most {
        let mut head = String::new();
        if stream.read_line(&mut head).unwrap_or(0) == 0 {
            return (all, missed);
        }
        let head: serde_json::Value = serde_json::from_str(&head).expect("an answer");
        let shown = &head["answer"]["shown"];
        missed = shown["missed"].as_u64().expect("a number");
        let at = all.len();
        all.resize(at + shown["bytes"].as_u64().expect("a number") as usize, 0);
        stream
            .read_exact(&mut all[at..])
            .expect("what was promised");
    }
    (all, missed)
}

#[test]
fn whoever_looks_is_told_that_the_weir_was_killed_and_not_that_it_has_ended() {
    for signal in [
        None,
        Some(Signal::KILL),
        Some(Signal::INT),
        Some(Signal::TERM),
    ] {
        let home = Home::new();
        let mut weir = home.start(&["-l", "-N", "w"]);
        let look = Look::at(&home, "w");
        let next = pass_until(&mut weir, 0, || !look.shown().is_empty());
        // Weir waits for a moment only for one that is behind.
        eventually("the newest is shown", || look.newest() == Some(next - 1));
        match signal {
            Some(signal) => weir.signal(signal),
            None => drop(weir.stdin.take()),
        }
        weir.end();
        let pid = weir.pid();
        let (_, said, status) = look.end();
        let wanted = match signal {
            Some(Signal::KILL) => (
                Some(1),
                format!("weir: look: weir {pid} has ended without a last word"),
            ),
            _ => (Some(0), String::new()),
        };
        assert_eq!(status.code(), wanted.0, "{signal:?}: {said}");
        assert!(
            said.starts_with(&wanted.1) && said.lines().count() < 2,
            "{signal:?}: {said}"
        );
        // A record that was not shown yet when weir stopped is told, and no fault.
        assert!(
            !wanted.1.is_empty() || said.is_empty() || said.contains("not shown"),
            "{signal:?}: {said}"
        );
    }
}
