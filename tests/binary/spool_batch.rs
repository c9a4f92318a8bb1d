//! `--spool DIR --batch LIMIT -- COMMAND`: what has become of each batch outlives weir, too. Those that were acknowledged
//! are gone, and the others come again, under the same name and byte for byte the same.

mod damaged;
mod kills;
mod signals;

use crate::harness;
use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::harness::remote::Home;
use crate::harness::spool::{self, lines};
use crate::harness::{collect, eventually, feed, program, start, weir};
use rustix::process::Signal;
use serde_json::Value;

/// A directory with a spool, and what programs leave beside it.
struct Place(spool::Place);

impl Place {
    fn new() -> Place {
        Place(spool::Place::new())
    }

    fn at(&self, name: &str) -> String {
        let path = self.0.0.path().join(name);
        path.to_str().expect("plain").to_owned()
    }

    /// `weir -l --spool q OPTIONS -- sh -c SCRIPT out`.
    fn weir(&self, options: &[&str], script: &str) -> Command {
        let (spool, out) = (self.at("q"), self.at("out"));
        let fixed = ["-q", "-l", "--spool", &spool, "--backoff", "1ms..5ms"];
        let command = ["--", "sh", "-c", script, &out];
        weir(&[&fixed[..], options, &command].concat())
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).unwrap_or_default()
    }

    fn query(&self) -> Value {
        self.0.query()
    }

    #[track_caller]
    fn assert_empty(&self) {
        self.0.assert_empty();
    }
}

/// Gives it all of this, and waits for its end.
fn run(weir: Command, input: Vec<u8>) -> harness::Ended {
    let (stdin, into) = std::io::pipe().expect("a pipe");
    let running = start(weir, stdin, Stdio::null());
    // One that is killed reads no more.
    let _ = feed(into, input).done();
    running.end()
}

#[test]
fn a_batch_that_a_killed_weir_had_begun_comes_again_under_its_name_and_the_acknowledged_do_not() {
    let place = Place::new();
    // The program kills weir, its parent, in the third batch, before that can know how it ends.
    let script = "cat > $0.$WEIR_FIRST.$WEIR_TRY; echo $WEIR_FIRST $WEIR_TRY $WEIR_RECORDS $WEIR_BATCH >> $0; \
                  test $WEIR_FIRST = 21 -a $WEIR_TRY = 1 && kill -9 $PPID; exit 0";
    let killed = run(place.weir(&["--batch", "10"], script), lines(100, 145));
    assert_eq!(killed.status.signal(), Some(9), "{killed:?}");
    let left = place.query();
    assert_eq!(left["batches"], 1, "{left}");
    assert_eq!(left["records"], 25, "{left}");
    let ended = run(place.weir(&["--batch", "10"], script), lines(145, 150));
    assert!(ended.status.success(), "{ended:?}");
    let told = place.read("out");
    let told: Vec<Vec<&str>> = told.lines().map(|it| it.split(' ').collect()).collect();
    let tries: Vec<_> = told.iter().map(|it| (it[0], it[1], it[2])).collect();
    let expected = [
        ("1", "1", "10"),
        ("11", "1", "10"),
        ("21", "1", "10"),
        ("21", "2", "10"),
        ("31", "1", "10"),
        ("41", "1", "10"),
    ];
    assert_eq!(tries, expected, "{told:?}");
    assert_eq!(told[2][3], told[3][3], "one name for both tries");
    let mut names: Vec<_> = told.iter().map(|it| it[3]).collect();
    names.dedup();
    assert_eq!(names.len(), 5, "{names:?}");
    assert_eq!(place.read("out.21.1"), place.read("out.21.2"));
    assert_eq!(place.read("out.41.1").as_bytes(), lines(140, 150));
    place.assert_empty();
}

#[test]
fn several_jobs_leave_only_what_they_had_not_acknowledged() {
    let place = Place::new();
    // The first batch is not acknowledged, until all others are that have come.
    let script = "cat > $0.$WEIR_FIRST; test $WEIR_FIRST != 1 && exit 0; \
                  while ! test -e $0.91; do sleep 0.01; done; kill -9 $PPID";
    let killed = run(
        place.weir(&["--batch", "10", "-j", "3"], script),
        lines(100, 200),
    );
    assert_eq!(killed.status.signal(), Some(9), "{killed:?}");
    let left = place.query();
    let batches = left["batches"].as_u64().expect("a number");
    // Two others may have ended without weir knowing it.
    assert!((1..=3).contains(&batches), "{left}");
    assert_eq!(left["records"].as_u64(), Some(batches * 10), "{left}");
    // Without batches what is left of them goes out as a stream.
    let (stdin, into) = std::io::pipe().expect("a pipe");
    let (output, stdout) = std::io::pipe().expect("a pipe");
    let rest = weir(&["-q", "-l", "--spool", &place.at("q")]);
    let running = start(rest, stdin, stdout);
    feed(into, lines(200, 210));
    let got = collect(output).done();
    running.end().assert_success("it is over");
    let again = (110..200).step_by(10).map(|from| lines(from, from + 10));
    let has = |part: &Vec<u8>| got.windows(part.len()).any(|it| it == part);
    let again: Vec<_> = again.filter(has).collect();
    assert_eq!(again.len() as u64, batches - 1, "{left}");
    let expected = [lines(100, 110), again.concat(), lines(200, 210)].concat();
    harness::assert_same(&got, &expected, "what was left");
    assert_eq!(place.query()["bytes"], 0);
}

#[test]
fn a_program_that_outlived_weir_is_waited_for_and_said() {
    let place = Place::new();
    assert!(
        program("mkfifo")
            .arg(place.at("gate"))
            .status()
            .is_ok_and(|it| it.success())
    );
    let script = "echo $WEIR_TRY >> $0; test $WEIR_TRY = 1 && { echo $$ > $0.pid; read go < ${0%out}gate; }; exit 0";
    let (stdin, into) = std::io::pipe().expect("a pipe");
    let first = start(place.weir(&["--batch", "10"], script), stdin, Stdio::null());
    feed(into, lines(0, 10)).done().expect("all is taken");
    eventually("the program runs", || place.read("out.pid").ends_with('\n'));
    first.signal(Signal::KILL);
    first.end();
    let log = place.at("log");
    let options = ["--batch", "10", "--log", &log];
    let second = start(place.weir(&options, script), Stdio::null(), Stdio::null());
    let pid = place.read("out.pid");
    let says = format!(
        "process {}, which an earlier weir has started, still deals with it",
        pid.trim()
    );
    eventually("it says for whom it waits", || {
        place.read("log").contains(&says)
    });
    assert_eq!(place.read("out"), "1\n", "no other one was started");
    fs::write(place.at("gate"), "go\n").expect("it is let go");
    let ended = second.end();
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(place.read("out"), "1\n2\n");
}

#[test]
fn a_helper_that_outlived_weir_is_waited_for_no_longer_than_a_sink_timeout_or_somebody_who_is_in_a_hurry()
 {
    for hurries in [false, true] {
        let (place, home) = (Place::new(), Home::new());
        let made = program("mkfifo").arg(place.at("gate")).status();
        assert!(made.is_ok_and(|it| it.success()));
        // One that lives on when its program is killed.
        let helper = "{ read go < ${0%out}gate; } & echo $! > $0.pid";
        let script = format!(
            "echo $WEIR_TRY >> $0; test $WEIR_TRY = 1 && {{ {helper}; kill -9 $PPID $$; }}; exit 0"
        );
        let (stdin, into) = std::io::pipe().expect("a pipe");
        let first = start(
            place.weir(&["--batch", "10"], &script),
            stdin,
            Stdio::null(),
        );
        feed(into, lines(0, 10)).done().expect("all is taken");
        first.end();
        let pid: i64 = place.read("out.pid").trim().parse().expect("a number");
        let (spool, out) = (place.at("q"), place.at("out"));
        let timeout = ["--sink-timeout", "2s"];
        let args = ["-l", "--spool", &spool, "-N", "w", "--batch", "10"];
        let args = [&args[..], if hurries { &[] } else { &timeout }].concat();
        let mut weir = home.start(&[&args[..], &["--", "sh", "-c", &script, &out]].concat());
        let mut said = weir.child.stderr.take().expect("not taken yet");
        if hurries {
            eventually("it says for whom it waits", || {
                home.status(&weir)["command"]["waits_for"] == pid
            });
            assert_eq!(place.read("out"), "1\n", "no other one was started");
            eventually("it is named", || {
                home.status(&weir)["culprit"] == format!("process {pid}")
            });
            home.tell("w", &["--retry"]);
        }
        drop(weir.stdin.take());
        assert!(weir.end().success());
        assert_eq!(place.read("out"), "1\n2\n");
        let mut text = String::new();
        std::io::Read::read_to_string(&mut said, &mut text).expect("text");
        assert!(
            text.contains(&format!("tried again beside process {pid}")),
            "{text}"
        );
        fs::write(place.at("gate"), "go\n").expect("it is let go");
    }
}

/// What an earlier run has left is dealt with meanwhile, but it is the tee that keeps everybody from reading.
#[test]
fn a_tee_that_is_not_read_yet_is_named_whatever_an_earlier_run_has_left() {
    let (place, home) = (Place::new(), Home::new());
    let [spool, out, tee] = ["q", "out", "tee"].map(|name| place.at(name));
    let options = ["--spool", &spool, "-l", "--batch", "10", "--", "sh", "-c"];
    let mut first = home.start(&[&options[..], &["exit 1"]].concat());
    first.give(&lines(0, 10));
    eventually("a batch was tried", || {
        home.status(&first)["command"]["failures"] != 0
    });
    first.signal(Signal::KILL);
    first.end();
    harness::sides::make_fifo(std::path::Path::new(&tee));
    let script = "touch $0; exec sleep 1000";
    let args = [&["--tee", &tee][..], &options, &[script, &out]].concat();
    let second = home.start(&args);
    eventually("what was left is dealt with", || {
        std::path::Path::new(&out).exists()
    });
    eventually("the tee is named", || {
        let status = home.status(&second);
        assert_eq!(status["state"], "waiting", "{status}");
        let culprit = status["culprit"].as_str().unwrap_or_default().to_owned();
        culprit.ends_with("tee")
    });
    second.signal(Signal::INT);
}

#[test]
fn a_batch_that_is_given_up_is_in_the_file_for_what_is_shed_and_not_in_the_spool() {
    let place = Place::new();
    let shed = place.at("shed");
    let script = "grep -q '^[0-9]*3$' && exit 7; exit 0";
    let options = [
        "--batch",
        "1",
        "-j",
        "2",
        "--reject",
        "7",
        "--shed-to",
        &shed,
    ];
    let ended = run(place.weir(&options, script), lines(0, 30));
    assert_eq!(ended.status.code(), Some(123), "{ended:?}");
    let mut got: Vec<_> = place.read("shed").lines().map(str::to_owned).collect();
    got.sort();
    assert_eq!(got, ["13", "23", "3"]);
    place.assert_empty();
}

#[test]
fn what_was_not_dealt_with_when_weir_is_told_to_end_stays() {
    let place = Place::new();
    let script = "echo $WEIR_FIRST >> $0; test -e ${0%out}works";
    let (stdin, into) = std::io::pipe().expect("a pipe");
    let running = start(place.weir(&["--batch", "10"], script), stdin, Stdio::null());
    feed(into, lines(0, 100)).done().expect("all is taken");
    eventually("it has failed", || place.read("out").lines().count() > 2);
    running.signal(Signal::TERM);
    running.end().assert_died_by(Signal::TERM, "it was told to");
    let left = place.query();
    assert_eq!(
        (&left["records"], &left["pid"]),
        (&100.into(), &Value::Null),
        "{left}"
    );
    fs::write(place.at("works"), "").expect("a file");
    let ended = run(place.weir(&["--batch", "10"], script), Vec::new());
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(place.query()["bytes"], 0);
}

#[test]
fn so_many_jobs_that_their_books_have_no_place_are_refused() {
    let place = Place::new();
    let refused = start(
        place.weir(&["--batch", "1", "-j", "401"], "true"),
        Stdio::null(),
        Stdio::null(),
    );
    refused
        .end()
        .assert_complains(2, &["--jobs 401", "at most"]);
}

#[test]
fn a_batch_has_no_more_records_than_it_may_while_they_come_one_by_one() {
    const COUNT: usize = 40;
    let place = Place::new();
    // Each is taken while others come, so that what lies on the disk is read back while it grows.
    let script = "cat >> $0; echo $WEIR_RECORDS >> $0.sizes; sleep 0.15";
    let weir = place.weir(&["--batch", "1"], script);
    let (stdin, mut input) = std::io::pipe().expect("a pipe");
    let weir = start(weir, stdin, Stdio::null());
    let all: Vec<String> = (0..COUNT).map(|n| format!("{n}\n")).collect();
    for line in &all {
        input.write_all(line.as_bytes()).expect("fed");
        thread::sleep(Duration::from_millis(30));
    }
    // The end of the input would close batches by itself.
    eventually("all are dealt with", || {
        place.read("out").lines().count() == COUNT
    });
    drop(input);
    weir.end().assert_success("one by one");
    assert_eq!(place.read("out.sizes"), "1\n".repeat(COUNT));
    assert_eq!(place.read("out"), all.concat());
}

#[test]
fn a_record_of_which_a_larger_spool_has_the_beginning_is_whole_in_a_batch_of_a_smaller_one() {
    let place = Place::new();
    let all = lines(100_000, 400_000);
    let (left, rest) = all.split_at(1_500_003);
    assert!(!left.ends_with(b"\n"), "it is the beginning of one");
    let (stdin, mut input) = std::io::pipe().expect("a pipe");
    // More than comes.
    let weir = place.weir(&["--batch", "1000000"], "exit 0");
    let running = start(weir, stdin, Stdio::null());
    input.write_all(left).expect("all is taken");
    place.0.await_bytes(left.len());
    running.signal(Signal::KILL);
    running.end();
    // Its end would be the end of the record, too.
    drop(input);
    let batches = ["--batch", "1000", "--spill", "1MiB"];
    let script = "cat >> $0.all; echo $WEIR_RECORDS $WEIR_BYTES >> $0";
    run(place.weir(&batches, script), rest.to_vec()).assert_success("all is delivered");
    let told = place.read("out");
    assert!(told.lines().all(|it| it == "1000 7000"), "{told}");
    harness::assert_same(place.read("out.all").as_bytes(), &all, "all of it");
    place.assert_empty();
}
