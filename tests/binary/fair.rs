//! One noisy key does not drown the others, and what is to be kept is.

use crate::harness;
use std::collections::BTreeMap;

use crate::harness::line::Line;
use crate::harness::remote::{Home, Weir};
use crate::harness::stalled::{Overflow, Stalled, success};
use crate::harness::{collect, eventually, feed};

/// So many lines of one key beside one of each of some others, so many times.
fn flood(rounds: usize, loud: usize, others: usize) -> Vec<u8> {
    let mut text = Vec::new();
    for round in 0..rounds {
        for n in 0..loud {
            text.extend(format!("noisy {round} {n} {}\n", "x".repeat(n % 50)).into_bytes());
        }
        for other in 0..others {
            text.extend(format!("key{other} {round} caf\u{e9}\n").into_bytes());
        }
    }
    text
}

/// The lines of each first word.
fn by_key(text: &[u8]) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for line in String::from_utf8_lossy(text).lines() {
        let key = line.split(' ').next().unwrap_or_default();
        all.entry(key.to_owned()).or_default().push(line.to_owned());
    }
    all
}

#[test]
fn a_key_at_a_hundredfold_takes_nothing_from_99_that_stay_below_their_share() {
    for args in [
        &["-l", "--shed", "fair", "--key", "1"][..],
        &["-l", "--shed", "fair", "--key", "^([^ ]*) "],
        &["-l", "--shed", "fair", "--key", "1", "--patience", "10ms"],
    ] {
        let overflow = Overflow::new();
        let path = overflow.name();
        let mut weir = Stalled::new(&[args, &["--shed-to", &path]].concat());
        let case = weir.case.clone();
        let sent = flood(20, 1000, 99);
        weir.send(sent.clone());
        let (got, ended) = weir.finish();
        let (sent, got) = (by_key(&sent), by_key(&got));
        let mut shed = by_key(&overflow.read());
        for (key, lines) in &sent {
            let mut all = got.get(key).cloned().unwrap_or_default();
            if key != "noisy" {
                assert_eq!(&all, lines, "{case}: {key}");
            }
            let dropped = shed.remove(key).unwrap_or_default();
            let mut left = lines.iter();
            let is_in_order = dropped.iter().all(|line| left.any(|other| other == line));
            assert!(is_in_order, "{case}: what was shed of {key}");
            all.extend(dropped);
            all.sort();
            let mut lines = lines.clone();
            lines.sort();
            assert!(all == lines, "{case}: {key} is lost, torn or there twice");
        }
        assert!(
            got["noisy"].len() > 500,
            "{case}: the loud one gets the rest"
        );
        let books = success(&ended, &case);
        books.assert_balance(&case);
        assert_eq!(books.value("lanes/0/key"), "noisy", "{case}");
        let lost = books.n("lanes/0/shed/records");
        assert_eq!(lost, books.n("shed/records"), "{case}");
    }
}

/// One that is longer than the buffer is shed while it comes, and one that comes last may never end.
#[test]
fn what_is_shed_before_its_end_is_known_is_counted_to_its_lane() {
    let mut weir = Stalled::new(&["-l", "-b", "64KiB", "--shed", "fair", "--key", "1"]);
    let case = weir.case.clone();
    let long = |key: &str, end: &str| format!("{key} {}{end}", "x".repeat(300_000));
    let (long, endless) = (long("long", "\n"), long("endless", ""));
    weir.send(format!("quiet 1\n{long}quiet 2\n{endless}").into_bytes());
    let (got, ended) = weir.finish();
    assert_eq!(got, b"quiet 1\nquiet 2\n", "{case}");
    let books = success(&ended, &case);
    books.assert_balance(&case);
    let lanes = [("endless", endless), ("long", long)];
    for (n, (key, record)) in lanes.into_iter().enumerate() {
        assert_eq!(books.value(&format!("lanes/{n}/key")), key, "{case}");
        assert_eq!(books.n(&format!("lanes/{n}/shed/records")), 1, "{case}");
        let bytes = record.len();
        assert_eq!(books.n(&format!("lanes/{n}/shed/bytes")), bytes, "{case}");
    }
}

#[test]
fn short_records_are_shed_no_more_than_is_needed() {
    let numbers = |n: u32| -> Vec<u8> {
        (1..=n)
            .flat_map(|n| format!("{n}\n").into_bytes())
            .collect()
    };
    let args = [
        "-l",
        "-b",
        "1MiB",
        "--shed",
        "fair",
        "--key",
        "1",
        "--prefill",
        "50%",
    ];
    for (n, least) in [
        // There is room for all of them, and for what is noted of each.
        (100_000, 588_895),
        // What is noted of them takes most of the memory, which may be twice the buffer's here: no key comes twice, so that
        // what is dropped lies scattered.
        (500_000, 200_000),
    ] {
        let sent = numbers(n);
        let (got, ended, _) = read_before_anything_is_taken(&sent, &args);
        assert!(got.len() >= least, "{n}: {} of {}", got.len(), sent.len());
        success(&ended, "short records").assert_balance("short records");
    }
}

#[test]
fn gaps_that_dropped_records_leave_between_others_make_nobody_lose_more() {
    // Every second record goes, so that what is left lies scattered, in memory that is full until it is moved together.
    let line = |n: usize| {
        let key = match n % 2 {
            0 => "loud".to_owned(),
            _ => format!("quiet{}", n / 2 % 99),
        };
        format!("{:x<99}\n", format!("{key} {n:07} "))
    };
    let sent: String = (0..50_000).map(line).collect();
    let args = [
        "-l",
        "-b",
        "4MiB",
        "--shed",
        "fair",
        "--key",
        "1",
        "--prefill",
        "100%",
    ];
    let (got, ended, _) = read_before_anything_is_taken(sent.as_bytes(), &args);
    let quiet = |line: &&[u8]| line.starts_with(b"quiet");
    let quiet = got.split_inclusive(|b| *b == b'\n').filter(quiet).count();
    // 25,000 are two thirds of the buffer, and what is noted of them is a quarter of it.
    assert!(quiet >= 22_000, "only {quiet} of 25000");
    success(&ended, "gaps").assert_balance("gaps");
}

#[test]
fn what_is_left_of_a_million_keys_does_not_keep_the_memory_of_all_that_came_with_it() {
    // Most keys come once and stay, a record here and there; what was moved together is soon mostly gaps again.
    let mut state = 88_172_645_463_325_252u64;
    let mut line = |n: usize| {
        for (left, by) in [(true, 13), (false, 7), (true, 17)] {
            state ^= if left { state << by } else { state >> by };
        }
        format!("{:x<63}\n", format!("k{:06} {n:07} ", state % 1_000_000))
    };
    let sent: String = (0..900_000).map(&mut line).collect();
    let args = ["-l", "-b", "4MiB", "--shed", "fair", "--key", "1"];
    let (_, ended, peak) = read_before_anything_is_taken(sent.as_bytes(), &args);
    success(&ended, "a million keys").assert_balance("a million keys");
    assert!(peak < 19 << 10, "{peak} KiB");
}

#[test]
fn short_records_that_take_the_place_of_long_ones_take_no_more_memory_than_without_them() {
    let long = |n: usize| format!("{:x<9999}\n", format!("k{} ", n % 50));
    let short = |n: usize| format!("k{:03} {n:07}\n", n * 7919 % 1000);
    let shorts: String = (0..3_000_000).map(short).collect();
    let longs: String = (0..4_000).map(long).collect();
    let args = ["-l", "-b", "32MiB", "--shed", "fair", "--key", "1"];
    let [without, with] = [String::new(), longs].map(|first| {
        let (_, ended, peak) = read_before_anything_is_taken((first + &shorts).as_bytes(), &args);
        success(&ended, "long and short").assert_balance("long and short");
        peak
    });
    // An eighth of the buffer is kept when it falls free, and another eighth is for what one run differs from another by. The
    // longs themselves were all of it.
    assert!(
        with < without + (8 << 10),
        "{with} KiB, {without} KiB without"
    );
}

/// What comes out of a weir that has read all of this before anything is taken, and the most memory of its own that it had till
/// then, in KiB. It reads a file, so that what is read at once does not hang on who writes when.
fn read_before_anything_is_taken(sent: &[u8], args: &[&str]) -> (Vec<u8>, harness::Ended, u64) {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    std::io::Write::write_all(&mut file, sent).expect("room for it");
    let path = file.path().to_str().expect("a plain path");
    let args = [args, &["--summary", "json", path]].concat();
    let (output, stdout) = std::io::pipe().expect("a pipe");
    let running = harness::start(harness::weir(&args), std::process::Stdio::null(), stdout);
    eventually("all of it is read", || read_by(&running) >= sent.len());
    running.settle();
    let peak = running.peak();
    let got = collect(output).done();
    (got, running.end(), peak)
}

/// Bytes that it has read.
fn read_by(running: &harness::Running) -> usize {
    let io = format!("/proc/{}/io", running.pid().as_raw_nonzero());
    harness::field(std::path::Path::new(&io), "rchar") as usize
}

#[test]
fn what_matches_keep_is_shed_only_when_nothing_else_is_left() {
    for which in ["oldest", "newest", "fair"] {
        let mut weir = Stalled::new(&["-l", "--shed", which, "--keep", "^key[0-9]+ "]);
        let sent = flood(20, 1000, 99);
        weir.send(sent.clone());
        let (got, ended) = weir.finish();
        let (mut sent, mut got) = (by_key(&sent), by_key(&got));
        let (loud, heard) = (sent.remove("noisy"), got.remove("noisy"));
        assert!(sent == got, "{which}: something to be kept is not there");
        assert!(
            heard.map(|it| it.len()) < loud.map(|it| it.len()),
            "{which}"
        );
        success(&ended, which).assert_balance(which);
    }
}

#[test]
fn what_cannot_be_is_refused_in_one_line() {
    for (args, says) in [
        (
            &["-l", "--shed", "oldest", "--key", "1"][..],
            "--key: nothing is shed by lanes; add --shed fair",
        ),
        (&["-l", "--key", "1"], "add --shed fair"),
        (&["-l", "--keep", "x"], "--keep: nothing would be shed"),
        (
            &["--shed", "fair", "--key", "1"],
            "--key: there are no records; add --lines",
        ),
        (
            &["--shed", "oldest", "--keep", "x"],
            "--keep: there are no records; add --lines",
        ),
        (
            &["-l", "--shed", "fair", "--key", "1", "--spill", "1GiB"],
            "--key and --spill",
        ),
        (
            &["-l", "--shed", "fair", "--key", "1", "--spool", "/tmp"],
            "--shed cannot go together with --spool",
        ),
        (
            &["-l", "--shed", "oldest", "--keep", "x", "--spill", "1GiB"],
            "--keep and --spill",
        ),
        (&["-l", "--shed", "fair", "--key", "0"], "counted from 1"),
        (
            &["-l", "--shed", "fair", "--key", "user=("],
            "unclosed group, at character 6",
        ),
        (
            &["-l", "--shed", "fair", "--keep", "a["],
            "unclosed character class, at character 2",
        ),
    ] {
        let mut line = Line::new(args);
        line.ends_untouched();
        line.finish(0).assert_complains(2, &[says]);
    }
}

/// The lines of all others are there, whatever became of the loud one's.
fn assert_others(sent: &BTreeMap<String, Vec<String>>, got: &[u8], case: &str) {
    let got = by_key(got);
    for (key, lines) in sent.iter().filter(|(key, _)| *key != "noisy") {
        assert!(got.get(key) == Some(lines), "{case}: {key}");
    }
}

/// One more end of the same pipe.
fn duplicate(stdin: &std::process::ChildStdin) -> std::fs::File {
    // Not one that a program inherits which another test starts meanwhile: weir would never see the end.
    let copy = std::os::fd::AsFd::as_fd(stdin).try_clone_to_owned();
    copy.expect("a descriptor").into()
}

#[test]
fn a_running_weir_begins_to_shed_fairly_and_ends_when_it_is_told_to() {
    let home = Home::new();
    let (tee, tap) = (home.temporary().join("tee"), home.temporary().join("tap"));
    let mut weir = home.start(
        &[
            &["-l", "-b", "256KiB", "--key", "1", "--shed", "off"][..],
            &["--tee", &tee.to_string_lossy()],
            &["--tap", &tap.to_string_lossy()],
        ]
        .concat(),
    );
    let text = flood(60, 1000, 99);
    let half = text.len() / 2;
    let sent = by_key(&text);
    let stdin = weir.stdin.take().expect("a pipe");
    let feeding = feed(duplicate(&stdin), text[..half].to_vec());
    eventually("the producer is blocked", || {
        home.status(&weir)["state"] == "blocked"
    });
    let read_all = |weir: &Weir| home.status(weir)["in"]["bytes"].as_u64() == Some(half as u64);
    assert!(!read_all(&weir));
    home.tell(&weir.pid(), &["--shed", "fair"]);
    eventually("all is read", || read_all(&weir));
    feeding.done().expect("it reads");
    let status = home.status(&weir);
    assert_eq!(status["lanes"][0]["key"], "noisy", "{status}");
    assert!(status["lanes"][1].is_null(), "{status}");
    // By the other rules the lanes are no lanes, and what is held stays.
    home.tell(&weir.pid(), &["--shed", "oldest"]);
    home.tell(&weir.pid(), &["--shed", "off"]);
    let used = home.status(&weir)["buffer"]["used"].clone();
    home.tell(&weir.pid(), &["--shed", "fair"]);
    assert_eq!(home.status(&weir)["buffer"]["used"], used);
    let feeding = feed(stdin, text[half..].to_vec());
    feeding.done().expect("it reads, and sheds");
    let got = collect(weir.stdout.take().expect("a pipe")).done();
    assert!(weir.end().success());
    assert_others(&sent, &got, "the consumer");
    assert_others(&sent, &std::fs::read(tee).expect("a file"), "the tee");
    assert_eq!(std::fs::read(tap).expect("a file"), text, "the tap");
}

#[test]
fn a_tap_keeps_what_came_last_also_where_the_newest_are_dropped_and_some_are_kept() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("tap");
    harness::sides::make_fifo(&path);
    let reader = std::fs::File::options().read(true).write(true).open(&path);
    let mut reader = reader.expect("a FIFO that is read late");
    let tap = ["--tap", path.to_str().expect("a plain path")];
    let rule = "-l -b 1MiB --shed newest --keep ^K --tap-buffer 64KiB";
    let args: Vec<_> = rule.split(' ').chain(tap).collect();
    let text: String = (0..50_000).map(|n| format!("line {n}\n")).collect();
    let (stdin, mut input) = std::io::pipe().expect("a pipe");
    let running = harness::start(harness::weir(&args), stdin, std::process::Stdio::null());
    std::io::Write::write_all(&mut input, text.as_bytes()).expect("all is taken");
    running.settle();
    let mut shown = Vec::new();
    let mut piece = [0; 65536];
    rustix::io::ioctl_fionbio(&reader, true).expect("it can");
    eventually("the last line is shown", || {
        let n = std::io::Read::read(&mut reader, &mut piece).unwrap_or(0);
        shown.extend_from_slice(&piece[..n]);
        shown.ends_with(b"line 49999\n")
    });
    drop(input);
    assert!(running.end().status.success());
    assert!(shown.len() < text.len(), "nothing was dropped for it");
}
