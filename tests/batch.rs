//! `weir --batch LIMIT -- COMMAND`: the program is run once for each batch, and again with one that it has not
//! acknowledged.

mod harness;

use std::fs;
use std::io::{Write, pipe};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;

use harness::books::Books;
use harness::dir::{Dir, lines};
use harness::remote::Home;
use harness::sides::Before;
use harness::{Ended, eventually, start, weir};
use rustix::process::{Pid, Signal, kill_process};

/// Words of a command line that runs `sh -c SCRIPT DIR/out`.
fn words<'a>(options: &[&'a str], script: &'a str, out: &'a str) -> Vec<&'a str> {
    [
        options,
        &["--backoff", "1ms..5ms", "--", "sh", "-c", script, out],
    ]
    .concat()
}

fn run(dir: &Dir, options: &[&str], script: &str, input: &[u8]) -> Ended {
    let out = dir.at("out");
    let words = words(options, script, &out);
    start(weir(&words), Before::Pipe.open(input), Stdio::null()).end()
}

/// The same with records of lines and a summary to read.
fn run_lines(dir: &Dir, options: &[&str], script: &str, n: usize) -> (Ended, Books) {
    let options = [&["-l", "--summary", "json"], options].concat();
    let end = run(dir, &options, script, &lines(n));
    let books = Books::of(&end);
    (end, books)
}

#[test]
fn each_batch_is_a_whole_file_with_its_number_and_what_is_in_it() {
    let dir = Dir::new();
    let script = "test -f /dev/stdin || exit 9; n=$(wc -l); \
                  echo $WEIR_TRY $WEIR_RECORDS $WEIR_BYTES $WEIR_FIRST $n >> $0; \
                  echo $WEIR_BATCH >> $0.ids";
    let (end, books) = run_lines(&dir, &["--batch", "4"], script, 10);
    assert!(end.status.success(), "{end:?}");
    assert_eq!(dir.lines("out"), ["1 4 36 1 4", "1 4 36 5 4", "1 2 18 9 2"]);
    let mut ids = dir.lines("out.ids");
    ids.dedup();
    assert_eq!(ids.len(), 3, "{ids:?}");
    books.assert_are("records", [10, 10, 0, 0], "all of them");
    assert_eq!(books.n("command/batches/acknowledged"), 3);
}

#[test]
fn a_batch_that_fails_is_tried_again_byte_for_byte_under_the_same_number() {
    let dir = Dir::new();
    let script =
        "cat > $0.$WEIR_FIRST.$WEIR_TRY; echo $WEIR_BATCH >> $0.$WEIR_FIRST; test $WEIR_TRY = 3";
    let (end, books) = run_lines(&dir, &["--batch", "100"], script, 250);
    assert!(end.status.success(), "{end:?}");
    let input = lines(250);
    let mut ids = Vec::new();
    for (first, range) in [(1, 0..900), (101, 900..1800), (201, 1800..2250)] {
        for trial in 1..=3 {
            let got = fs::read(dir.at(&format!("out.{first}.{trial}"))).expect("a try");
            harness::assert_same(&got, &input[range.clone()], "the same batch");
        }
        let mut of_it = dir.lines(&format!("out.{first}"));
        of_it.dedup();
        assert_eq!(of_it.len(), 1, "one number for all tries");
        ids.extend(of_it);
    }
    ids.dedup();
    assert_eq!(ids.len(), 3);
    let retried = |what: &str| books.n(&format!("command/batches/retried/{what}"));
    assert_eq!((retried("batches"), retried("records")), (6, 500));
}

#[test]
fn batches_are_closed_by_bytes_at_record_ends() {
    let dir = Dir::new();
    let script = "wc -c >> $0; wc -l < /dev/null > /dev/null";
    let (end, _) = run_lines(&dir, &["--batch", "40B,1000"], script, 10);
    assert!(end.status.success(), "{end:?}");
    // Four lines are 36 bytes; a fifth would be too much.
    assert_eq!(dir.lines("out"), ["36", "36", "18"]);
    // One that is longer by itself is a batch by itself.
    let dir = Dir::new();
    let end = run(
        &dir,
        &["-l", "--batch", "5B"],
        script,
        b"a\nlonger than that\nb\nc\n",
    );
    end.assert_success("long");
    assert_eq!(dir.lines("out"), ["2", "17", "4"]);
    // Without records there are bytes.
    let dir = Dir::new();
    let end = run(&dir, &["--batch", "1000B"], script, &[7; 2500]);
    end.assert_success("bytes");
    assert_eq!(dir.lines("out"), ["1000", "1000", "500"]);
}

#[test]
fn a_batch_is_closed_when_its_first_record_has_waited_for_so_long() {
    let dir = Dir::new();
    let (stdin, mut input) = pipe().expect("a pipe");
    let out = dir.at("out");
    let words = words(&["-l", "--batch", "1000,50ms"], "cat >> $0", &out);
    let weir = start(weir(&words), stdin, Stdio::null());
    input.write_all(b"first\nsec").expect("written");
    eventually("it arrives", || dir.read("out") == "first\n");
    input.write_all(b"ond\n").expect("written");
    eventually("it arrives", || dir.read("out") == "first\nsecond\n");
    drop(input);
    weir.end().assert_success("age");
}

#[test]
fn a_batch_is_closed_at_the_high_mark() {
    let dir = Dir::new();
    let script = "wc -c >> $0";
    let end = run(
        &dir,
        &["-l", "-b", "4KiB", "--batch", "1GiB"],
        script,
        &lines(5000),
    );
    end.assert_success("high");
    let sizes: Vec<u64> = dir
        .lines("out")
        .iter()
        .map(|n| n.parse().expect("a size"))
        .collect();
    assert!(sizes.iter().all(|n| *n <= 4096 && n % 9 == 0), "{sizes:?}");
    assert_eq!(sizes.iter().sum::<u64>(), 45_000);
}

#[test]
fn a_record_larger_than_the_buffer_passes_in_pieces() {
    let dir = Dir::new();
    let mut input = vec![b'x'; 20_000];
    input.extend_from_slice(b"\nshort\n");
    let end = run(
        &dir,
        &["-l", "-b", "4KiB", "--batch", "1"],
        "cat >> $0",
        &input,
    );
    end.assert_success("pieces");
    harness::assert_same(dir.read("out").as_bytes(), &input, "pieces");
}

#[test]
fn the_beginning_of_a_record_that_is_more_than_the_low_mark_waits_for_its_rest() {
    let dir = Dir::new();
    let options = "--record-size 581 -b 9999 --high 74% --low 3% --batch 9999B";
    let options: Vec<_> = options.split(' ').collect();
    let end = run(&dir, &options, "wc -c >> $0", &[b'x'; 581 * 200]);
    assert!(end.status.success(), "{end:?}");
    let batches: Vec<usize> = dir
        .lines("out")
        .iter()
        .map(|n| n.trim().parse().expect("a number"))
        .collect();
    assert!(batches.iter().all(|n| n % 581 == 0), "{batches:?}");
    assert_eq!(batches.iter().sum::<usize>(), 581 * 200);
}

#[test]
fn one_that_ends_well_without_reading_has_acknowledged() {
    let dir = Dir::new();
    let (end, books) = run_lines(&dir, &["--batch", "7"], "exit 0", 1000);
    assert!(end.status.success(), "{end:?}");
    books.assert_are("records", [1000, 1000, 0, 0], "unread");
}

#[test]
fn no_input_is_no_batch() {
    let dir = Dir::new();
    let end = run(&dir, &["-l", "--batch", "7"], "echo run >> $0", b"");
    end.assert_success("nothing");
    assert_eq!(dir.read("out"), "");
}

#[test]
fn a_last_line_without_an_end_is_in_the_last_batch() {
    let dir = Dir::new();
    let mut input = lines(10);
    input.extend_from_slice(b"no end");
    let script = "echo $WEIR_RECORDS >> $0.n; cat >> $0";
    let options = ["-l", "--batch", "5", "--summary", "json"];
    let end = run(&dir, &options, script, &input);
    assert!(end.status.success(), "{end:?}");
    assert_eq!(dir.read("out").as_bytes(), input);
    assert_eq!(dir.lines("out.n"), ["5", "5", "1"]);
    Books::of(&end).assert_are("records", [11, 11, 0, 0], "no end");
}

#[test]
fn after_so_many_failures_a_batch_is_shed_and_the_next_one_has_its_turn() {
    let dir = Dir::new();
    let shed = dir.at("shed");
    let script = "test $WEIR_FIRST = 11 && { echo $WEIR_TRY >> $0.tries; exit 5; }; cat >> $0";
    let options = ["--batch", "10", "--give-up", "3", "--shed-to", &shed];
    let (end, books) = run_lines(&dir, &options, script, 30);
    assert_eq!(end.status.code(), Some(123), "{end:?}");
    assert!(
        end.stderr
            .contains("weir: 1 batch (10 records, 90B) was given up or rejected\n")
    );
    assert_eq!(dir.lines("out.tries"), ["1", "2", "3"]);
    let all = lines(30);
    assert_eq!(dir.read("shed").as_bytes(), &all[90..180]);
    assert_eq!(
        dir.read("out").as_bytes(),
        [&all[..90], &all[180..]].concat()
    );
    books.assert_are("records", [30, 20, 10, 0], "given up");
    assert_eq!(books.n("command/batches/shed/batches"), 1);
}

#[test]
fn one_that_is_rejected_is_shed_at_once() {
    let dir = Dir::new();
    let shed = dir.at("shed");
    let script = "echo $WEIR_FIRST >> $0; case $WEIR_FIRST in 11) exit 22;; 21) kill -9 $$;; esac";
    let options = ["--batch", "10", "--reject", "22,137", "--shed-to", &shed];
    let (end, books) = run_lines(&dir, &options, script, 40);
    assert_eq!(end.status.code(), Some(123), "{end:?}");
    assert_eq!(dir.lines("out"), ["1", "11", "21", "31"]);
    assert_eq!(dir.read("shed").as_bytes(), &lines(40)[90..270]);
    books.assert_are("records", [40, 20, 20, 0], "rejected");
}

#[test]
fn what_is_not_there_is_127_before_anything_is_read() {
    let (stdin, _input) = pipe().expect("a pipe");
    let words = ["-l", "--batch", "10", "--", "no-such-program-here"];
    let end = start(weir(&words), stdin, Stdio::null()).end();
    end.assert_complains(127, &["run: no-such-program-here"]);
    let words = ["-l", "--batch", "10", "--", "/etc/passwd"];
    let end = start(weir(&words), Before::Pipe.open(b"x\n"), Stdio::null()).end();
    end.assert_complains(126, &["run: /etc/passwd"]);
}

#[test]
fn one_that_hangs_is_ended_and_its_batch_tried_again() {
    let dir = Dir::new();
    let script = "test $WEIR_TRY = 1 && exec sleep 1000; cat >> $0";
    let options = ["-l", "--batch", "10", "--sink-timeout", "50ms"];
    let end = run(&dir, &options, script, &lines(200));
    end.assert_success("hangs");
    assert_eq!(dir.read("out").as_bytes(), lines(200));
}

/// The one child of weir.
fn child(of: Pid) -> Option<Pid> {
    let path = format!("/proc/{}/task", of.as_raw_nonzero());
    let tasks = fs::read_dir(path).into_iter().flatten().flatten();
    let children = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let all: String = children.collect();
    let first = all.split_whitespace().next()?;
    Pid::from_raw(first.parse().ok()?)
}

#[test]
fn a_command_that_is_killed_at_any_time_loses_nothing() {
    let dir = Dir::new();
    let (stdin, mut input) = pipe().expect("a pipe");
    let out = dir.at("out");
    // Whoever reads the result takes each batch once, by its number.
    let script = "cat > $0.part.$$ && mv $0.part.$$ $0.$WEIR_BATCH";
    let words = words(&["-l", "--batch", "50", "--summary", "json"], script, &out);
    let mut weir = start(weir(&words), stdin, Stdio::null());
    let writing = harness::beside(move || input.write_all(&lines(20_000)));
    let (mut kills, mut dice) = (0, 1u64);
    while weir.is_alive() && kills < 200 {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        std::thread::sleep(std::time::Duration::from_micros((dice >> 33) % 3000));
        if let Some(child) = child(weir.pid()) {
            kills += usize::from(kill_process(child, Signal::KILL).is_ok());
        }
    }
    writing.done().expect("all is read");
    let end = weir.end();
    assert!(end.status.success(), "{end:?}");
    let files = Path::new(&out)
        .parent()
        .expect("a folder")
        .read_dir()
        .expect("files");
    let names = files.map(|file| file.expect("a file").path());
    let whole = names.filter(|path| !path.to_string_lossy().contains(".part."));
    let all: String = whole
        .map(|path| fs::read_to_string(path).expect("a batch"))
        .collect();
    let mut numbers: Vec<&str> = all.lines().collect();
    numbers.sort_unstable();
    let wanted = String::from_utf8(lines(20_000)).expect("text");
    assert_eq!(numbers, wanted.lines().collect::<Vec<_>>(), "{kills} kills");
}

#[test]
fn while_it_waits_it_can_be_told_to_try_at_once_and_to_try_no_more() {
    let dir = Dir::new();
    let home = Home::new();
    let (stdin, mut input) = pipe().expect("a pipe");
    let script = "echo run >> $0.runs; test -e $0.well || exit 1; cat >> $0";
    let out = dir.at("out");
    let words = [
        "-N",
        "it",
        "-l",
        "--batch",
        "10",
        "--backoff",
        "1h",
        "--",
        "sh",
        "-c",
        script,
        &out,
    ];
    let weir = start(home.command(&words), stdin, Stdio::null());
    input.write_all(&lines(10)).expect("it is read");
    let status = || -> serde_json::Value {
        let output = home.run(&["--query", "it"]);
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    };
    eventually("it waits", || status()["command"]["circuit"] == "open");
    let it = status();
    assert_eq!(it["command"]["failures"], 1, "{it}");
    assert_eq!(it["buffer"]["used"], 90, "what is in a batch is held: {it}");
    home.tell("it", &["--retry"]);
    eventually("it is tried", || dir.lines("out.runs").len() == 2);
    eventually("it waits again", || status()["command"]["failures"] == 2);
    home.tell("it", &["--pause"]);
    home.tell("it", &["--retry"]);
    fs::write(dir.at("out.well"), "").expect("a file");
    weir.settle();
    assert_eq!(dir.lines("out.runs").len(), 2, "it is paused");
    home.tell("it", &["--resume"]);
    eventually("it is delivered", || {
        dir.read("out").as_bytes() == lines(10)
    });
    drop(input);
    assert!(weir.end().status.success());
}

#[test]
fn a_signal_lets_the_batch_in_hand_finish_and_starts_no_other() {
    for signal in [Signal::TERM, Signal::HUP] {
        let dir = Dir::new();
        let (stdin, mut input) = pipe().expect("a pipe");
        let script = "echo run >> $0.runs; until test -e $0.go; do sleep 0.01; done; cat >> $0";
        let out = dir.at("out");
        let words = words(&["-l", "--batch", "10", "--summary", "json"], script, &out);
        let weir = start(weir(&words), stdin, Stdio::null());
        input.write_all(&lines(25)).expect("it is read");
        eventually("it runs", || dir.lines("out.runs").len() == 1);
        weir.settle();
        weir.signal(signal);
        // It knows before the program ends.
        weir.settle();
        fs::write(dir.at("out.go"), "").expect("a file");
        let end = weir.end();
        assert_eq!(end.status.signal(), Some(signal.as_raw()), "{end:?}");
        assert_eq!(dir.read("out").as_bytes(), lines(10));
        assert_eq!(dir.lines("out.runs").len(), 1);
        Books::of(&end).assert_are("records", [25, 10, 0, 15], "in hand");
    }
}

#[test]
fn an_interrupt_is_passed_on_and_nothing_is_tried_again() {
    let dir = Dir::new();
    let (stdin, mut input) = pipe().expect("a pipe");
    let script = "echo run >> $0.runs; trap 'exit 5' INT; while :; do sleep 0.01; done";
    let out = dir.at("out");
    let words = words(&["-l", "--batch", "10"], script, &out);
    let weir = start(weir(&words), stdin, Stdio::null());
    input.write_all(&lines(25)).expect("it is read");
    eventually("it runs", || dir.lines("out.runs").len() == 1);
    weir.signal(Signal::INT);
    let end = weir.end();
    assert_eq!(end.status.signal(), Some(Signal::INT.as_raw()), "{end:?}");
    assert_eq!(dir.lines("out.runs").len(), 1);
}

#[test]
fn a_signal_while_it_waits_ends_it_at_once() {
    let dir = Dir::new();
    let (stdin, mut input) = pipe().expect("a pipe");
    let out = dir.at("out");
    let words = [
        "-l",
        "--batch",
        "10",
        "--backoff",
        "1h",
        "--summary",
        "json",
        "--",
        "sh",
        "-c",
        "echo run >> $0; exit 1",
        &out,
    ];
    let weir = start(weir(&words), stdin, Stdio::null());
    input.write_all(&lines(10)).expect("it is read");
    eventually("it has failed", || dir.lines("out").len() == 1);
    weir.settle();
    weir.signal(Signal::TERM);
    let end = weir.end();
    assert_eq!(end.status.signal(), Some(Signal::TERM.as_raw()), "{end:?}");
    Books::of(&end).assert_are("records", [10, 0, 0, 10], "undelivered");
}

#[test]
fn shedding_rules_while_it_fails_but_for_the_batch_that_was_tried() {
    let dir = Dir::new();
    let script = "echo $WEIR_FIRST >> $0.firsts; test -e $0.well || exit 1; cat >> $0";
    let out = dir.at("out");
    let (stdin, mut input) = pipe().expect("a pipe");
    let options = [
        "-l",
        "-b",
        "16KiB",
        "--shed",
        "oldest",
        "--batch",
        "10",
        "--summary",
        "json",
    ];
    let words = words(&options, script, &out);
    let weir = start(weir(&words), stdin, Stdio::null());
    let all = lines(20_000);
    input.write_all(&all[..90]).expect("it is read");
    eventually("it is tried", || !dir.lines("out.firsts").is_empty());
    // More than fits: that it is all read shows that it was shed.
    input.write_all(&all[90..]).expect("it is read");
    fs::write(dir.at("out.well"), "").expect("a file");
    drop(input);
    let end = weir.end();
    assert!(end.status.success(), "{end:?}");
    let got = dir.lines("out");
    assert_eq!(
        got[0], "00000001",
        "the batch that was tried is still there"
    );
    assert_eq!(got.last().map(String::as_str), Some("00020000"));
    assert!(
        got.windows(2).all(|pair| pair[0] < pair[1]),
        "in order, none twice"
    );
    let books = Books::of(&end);
    books.assert_balance("shed");
    assert!(books.n("shed/records") > 0);
}

#[test]
fn options_that_make_no_sense_are_refused() {
    for (words, says) in [
        (
            &["-l", "--batch", "10"][..],
            "--batch: there is nothing to run with a batch; add -- COMMAND",
        ),
        (
            &["--batch", "10", "--", "cat"],
            "--batch 10: that is a number of records",
        ),
        (&["-l", "--batch", "0", "--", "cat"], "no record at all"),
        (&["-l", "--batch", "0k", "--", "cat"], "nothing at all"),
        (
            &["-l", "--batch", "10,20", "--", "cat"],
            "another limit of that kind",
        ),
        (
            &["-l", "--batch", "10", "--restart", "always", "--", "cat"],
            "leave --restart out",
        ),
        (&["-j", "2", "--", "cat"], "nothing makes a record"),
        (&["-l", "-j", "2"], "--jobs: there is nothing to run"),
        (
            &["-l", "-j", "2", "--spool", "/tmp/x", "--", "cat"],
            "only batches can be dealt out from a spool yet; add --batch 1000,1s",
        ),
        (
            &["-l", "-j", "2", "--shed", "fair", "--key", "1", "--", "cat"],
            "lanes for several COMMANDs are not there yet; shed in a weir of its own before this one",
        ),
        (
            &[
                "-l", "--batch", "10", "--shed", "fair", "--key", "1", "--", "cat",
            ],
            "lanes of batches are not there yet; shed in a weir of its own before this one",
        ),
        (
            &["--remote", "w", "--batch", "3"],
            "--batch cannot be changed while running",
        ),
        (
            &["-l", "--batch", "1", "-j", "4..2", "--", "cat"],
            "the first number is the larger one",
        ),
        (
            &["--reject", "3", "--", "cat"],
            "--reject: there are no batches",
        ),
        (
            &["-l", "--batch", "10", "--reject", "0", "--", "cat"],
            "the status of success",
        ),
        (
            &["-l", "--batch", "10", "--reject", "256", "--", "cat"],
            "not an exit status",
        ),
        (
            &["-l", "--batch", "10", "--shed-to", "x", "--", "cat"],
            "--shed-to: nothing would be shed; add --give-up 3 or --reject 22",
        ),
    ] {
        let end = start(weir(words), Stdio::null(), Stdio::null()).end();
        end.assert_complains(2, &[says]);
    }
}

#[test]
fn jobs_take_batches_side_by_side_and_each_record_is_dealt_with_once() {
    let dir = Dir::new();
    // Each waits until three others run at the same time, or have.
    let script = "echo $WEIR_BATCH > $0.$WEIR_FIRST.at; \
                  until test $(ls $0.*.at | wc -l) -ge 4; do sleep 0.01; done; \
                  cat > $0.$WEIR_FIRST";
    let (end, books) = run_lines(&dir, &["--batch", "10", "-j", "4"], script, 200);
    assert!(end.status.success(), "{end:?}");
    let all: String = (0..20)
        .map(|n| dir.read(&format!("out.{}", 10 * n + 1)))
        .collect();
    harness::assert_same(all.as_bytes(), &lines(200), "all of them");
    books.assert_are("records", [200, 200, 0, 0], "side by side");
}

#[test]
fn one_job_that_hangs_holds_up_no_other() {
    let dir = Dir::new();
    let out = dir.at("out");
    let (stdin, mut input) = pipe().expect("a pipe");
    let script = "test $WEIR_FIRST = 1 && until test -e $0.go; do sleep 0.01; done; cat >> $0";
    let options = ["-l", "--batch", "10", "-j", "2", "--summary", "json"];
    let words = words(&options, script, &out);
    let weir = start(weir(&words), stdin, Stdio::null());
    input.write_all(&lines(500)).expect("it is read");
    eventually("all others are dealt with", || {
        dir.read("out").as_bytes() == &lines(500)[90..]
    });
    fs::write(dir.at("out.go"), "").expect("a file");
    drop(input);
    let end = weir.end();
    assert!(end.status.success(), "{end:?}");
    assert_eq!(
        dir.read("out").as_bytes(),
        [&lines(500)[90..], &lines(10)].concat()
    );
    Books::of(&end).assert_are("records", [500, 500, 0, 0], "one hangs");
}

#[test]
fn after_a_failure_one_alone_tries_and_the_others_wait_for_it() {
    let dir = Dir::new();
    // Who finds another one running while the service is down says so.
    let script = "test -e $0.well && { cat >> $0; exit 0; }; \
                  mkdir $0.alone 2> /dev/null || { test -e $0.first || echo two >> $0.two; exit 1; }; \
                  rm -f $0.first; sleep 0.02; rmdir $0.alone; echo try >> $0.tries; exit 1";
    let out = dir.at("out");
    fs::write(dir.at("out.first"), "").expect("a file");
    let (stdin, mut input) = pipe().expect("a pipe");
    let words = words(&["-l", "--batch", "10", "-j", "3"], script, &out);
    let weir = start(weir(&words), stdin, Stdio::null());
    // One alone at first. When it is tried again its failure is known, and before it others might be started.
    input.write_all(&lines(10)).expect("it is read");
    eventually("it fails", || dir.lines("out.tries").len() > 1);
    input.write_all(&lines(100)).expect("it is read");
    eventually("it fails on", || dir.lines("out.tries").len() > 8);
    assert_eq!(dir.read("out.two"), "", "two at a time");
    fs::write(dir.at("out.well"), "").expect("a file");
    drop(input);
    weir.end().assert_success("well again");
    assert_eq!(dir.lines("out").len(), 110);
}

/// A small server: what it is asked `n`th it deals with as `answers` says, and with success from then on. What was
/// sent in a request that was answered well is what has arrived.
fn serve(answers: &'static [&'static str]) -> (u16, std::sync::mpsc::Receiver<(String, String)>) {
    use std::io::{BufRead, BufReader, Read};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (arrived, arrivals) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for (n, stream) in listener.incoming().enumerate() {
            let mut stream = stream.expect("a connection");
            let mut reader = BufReader::new(stream.try_clone().expect("a copy"));
            let (mut length, mut id) = (0, String::new());
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) <= 2 {
                    break;
                }
                if let Some((name, value)) = line.split_once(':') {
                    match name.to_ascii_lowercase().as_str() {
                        "content-length" => length = value.trim().parse().unwrap_or(0),
                        "idempotency-key" => id = value.trim().to_owned(),
                        _ => {}
                    }
                }
            }
            match answers.get(n).copied().unwrap_or("200 OK") {
                // It goes away with what it was sent unread.
                "reset" => continue,
                "hang" => {
                    kept.push(stream);
                    continue;
                }
                answer => {
                    let mut body = vec![0; length];
                    if reader.read_exact(&mut body).is_err() {
                        continue;
                    }
                    let head = format!(
                        "HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                    );
                    let is_sent = stream.write_all(head.as_bytes()).is_ok();
                    if is_sent && answer.starts_with("200") {
                        let text = String::from_utf8(body).expect("text");
                        if arrived.send((id, text)).is_err() {
                            return;
                        }
                    }
                }
            }
        }
    });
    (port, arrivals)
}

#[test]
fn a_log_is_shipped_over_http_through_refusals_resets_and_silence() {
    if std::process::Command::new("curl")
        .arg("--version")
        .output()
        .is_err()
    {
        eprintln!("SKIPPED: there is no curl here");
        return;
    }
    let (port, arrivals) = serve(&[
        "503 Service Unavailable",
        "reset",
        "200 OK",
        "hang",
        "503 Service Unavailable",
        "200 OK",
        "reset",
    ]);
    let dir = Dir::new();
    let script = format!(
        "exec curl -sf -H \"Idempotency-Key: $WEIR_BATCH\" --data-binary @- http://127.0.0.1:{port}/in"
    );
    let options = ["--batch", "100", "--sink-timeout", "300ms"];
    let (end, books) = run_lines(&dir, &options, &script, 500);
    assert!(end.status.success(), "{end:?}");
    books.assert_are("records", [500, 500, 0, 0], "over HTTP");
    // One that was answered too late may have come twice, under the same number.
    let mut all: Vec<(String, String)> = arrivals.try_iter().collect();
    all.dedup();
    let text: String = all.iter().map(|(_, text)| text.as_str()).collect();
    harness::assert_same(text.as_bytes(), &lines(500), "over HTTP");
    assert!(books.n("command/batches/retried/batches") >= 5);
}

#[test]
fn a_database_that_knows_the_number_of_a_batch_has_no_row_twice_and_misses_none() {
    if std::process::Command::new("sqlite3")
        .arg("--version")
        .output()
        .is_err()
    {
        eprintln!("SKIPPED: there is no sqlite3 here");
        return;
    }
    let dir = Dir::new();
    let out = dir.at("out");
    let make = "create table r(batch, n, primary key(batch, n))";
    let made = harness::program("sqlite3").args([&out, make]).status();
    assert!(made.expect("sqlite3").success());
    let script = "{ echo .timeout 10000; echo 'begin immediate;'; \
                  sed \"s/.*/insert or ignore into r values('$WEIR_BATCH', '&');/\"; echo 'commit;'; } \
                  | sqlite3 -bail $0";
    let (stdin, mut input) = pipe().expect("a pipe");
    let words = words(&["-l", "--batch", "50", "--summary", "json"], script, &out);
    let mut weir = start(weir(&words), stdin, Stdio::null());
    let writing = harness::beside(move || input.write_all(&lines(3000)));
    let (mut kills, mut dice) = (0, 7u64);
    while weir.is_alive() && kills < 100 {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        std::thread::sleep(std::time::Duration::from_micros((dice >> 33) % 20_000));
        if let Some(child) = child(weir.pid()) {
            kills += usize::from(kill_process(child, Signal::KILL).is_ok());
        }
    }
    writing.done().expect("all is read");
    let end = weir.end();
    assert!(end.status.success(), "{end:?}");
    let ask = "select count(*), count(distinct n), min(n), max(n) from r";
    let answer = harness::program("sqlite3").args([&out, ask]).output();
    let answer = String::from_utf8(answer.expect("sqlite3").stdout).expect("text");
    assert_eq!(
        answer.trim(),
        "3000|3000|00000001|00003000",
        "{kills} kills"
    );
}

#[test]
fn a_directory_for_large_batches_that_is_not_there_is_refused_at_the_start() {
    let dir = Dir::new();
    for (limit, is_refused) in [("10000000", true), ("1MiB", false)] {
        let mut weir = weir(&[
            "-l",
            "--batch",
            limit,
            "--",
            "sh",
            "-c",
            "cat >> $0",
            &dir.at("out"),
        ]);
        weir.env("TMPDIR", dir.at("none"));
        let ended = start(weir, Before::Pipe.open(&lines(10)), Stdio::null()).end();
        if is_refused {
            ended.assert_complains(125, &["none: No such file", "set TMPDIR"]);
            assert_eq!(dir.read("out"), "", "nothing was run");
        } else {
            assert!(ended.status.success(), "{ended:?}");
        }
    }
}

#[test]
fn a_full_disk_under_the_file_of_a_batch_is_said_once_and_waited_for() {
    let dir = Dir::new();
    fs::create_dir(dir.at("disk")).expect("a directory");
    let mut mount = harness::program("mount");
    mount.args(["-t", "tmpfs", "-o", "size=4m", "tmpfs", &dir.at("disk")]);
    if !mount
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|it| it.success())
    {
        eprintln!("SKIPPED: this test may not mount a file system, so no disk is full here");
        return;
    }
    let ballast = dir.at("disk/ballast");
    fs::write(&ballast, vec![1; 3 << 20]).expect("a file in the way");
    let (out, log) = (dir.at("out"), dir.at("log"));
    let mut weir = weir(&[
        "-q",
        "--log",
        &log,
        "--batch",
        "2MiB",
        "--",
        "sh",
        "-c",
        "cat >> $0",
        &out,
    ]);
    weir.env("TMPDIR", dir.at("disk"));
    let bytes = harness::data(6 << 20, 9);
    let running = start(weir, Before::Pipe.open(&bytes), Stdio::null());
    eventually("it says so", || {
        dir.read("log")
            .contains("the disk is full: the batch waits for room")
    });
    assert_eq!(fs::read(dir.at("out")).unwrap_or_default().len(), 0);
    fs::remove_file(&ballast).expect("room");
    let ended = running.end();
    let gone = harness::program("umount")
        .args(["-l", &dir.at("disk")])
        .status();
    assert!(gone.is_ok_and(|it| it.success()), "unmounted");
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(dir.lines("log").len(), 1, "{}", dir.read("log"));
    harness::assert_same(
        &fs::read(dir.at("out")).expect("all"),
        &bytes,
        "each batch as it was",
    );
}

#[test]
fn rejected_batches_that_could_not_be_kept_are_an_error_of_weir_s_own() {
    let dir = Dir::new();
    let options = [
        "-l",
        "--batch",
        "1",
        "--reject",
        "3",
        "--shed-to",
        "/dev/full",
    ];
    let end = run(&dir, &options, "exit 3", &lines(3));
    assert_eq!(end.status.code(), Some(125), "{end:?}");
    assert!(end.stderr.contains("/dev/full"), "{end:?}");
    assert!(end.stderr.contains("3 batches"), "{end:?}");
}
