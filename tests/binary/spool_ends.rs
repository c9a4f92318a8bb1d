//! Where a spool goes on: what another consumer gets when one has left, fell or stalled, and what a full disk keeps.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::harness::small_disk::SmallDisk;
use crate::harness::spool::{Place, lines};
use crate::harness::{Running, WEIR, assert_same, collect, eventually, feed, start, weir};
use rustix::process::Signal;
use serde_json::Value;

const MIB: usize = 1 << 20;

/// A byte at this place of the stream is not what it was.
fn flip(place: &Place, at: usize) {
    let base = |it: &PathBuf| -> usize {
        let name = it.file_stem().and_then(|it| it.to_str()).expect("a name");
        name.parse().expect("an offset")
    };
    let files = place.files("stream");
    let file = files.iter().rev().find(|it| base(it) <= at).expect("it");
    let mut bytes = fs::read(file).expect("a segment");
    bytes[at - base(file)] ^= 0x80;
    fs::write(file, bytes).expect("written back");
}

/// These are lines of six digits, whole, and none is missing between the first and the last; the first.
fn first_of(got: &[u8], what: &str) -> usize {
    // One that was killed may have been about to take in the rest of the last one.
    let whole = got.iter().rposition(|byte| *byte == b'\n');
    let text = std::str::from_utf8(&got[..=whole.expect("a line")]).expect("digits");
    let numbers: Vec<usize> = text
        .split_inclusive('\n')
        .map(|line| line.strip_suffix('\n').filter(|it| it.len() == 6))
        .map(|line| line.and_then(|it| it.parse().ok()).expect(what))
        .collect();
    let is_next = |two: &[usize]| two[1] == two[0] + 1;
    assert!(numbers.windows(2).all(is_next), "{what}");
    *numbers.first().expect("something is left")
}

#[test]
fn a_consumer_that_leaves_inside_of_a_record_leaves_the_whole_of_it_to_the_next() {
    let all = lines(100_000, 400_000);
    // One that leaves, and one that hangs.
    for args in [&["-l"][..], &["-l", "--sink-timeout", "200ms"]] {
        let place = Place::new();
        let (stdin, input) = std::io::pipe().expect("a pipe");
        let (mut output, stdout) = std::io::pipe().expect("a pipe");
        let running = start(place.weir(args), stdin, stdout);
        let feeding = feed(input, all.clone());
        let mut first = vec![0; 3_000];
        output.read_exact(&mut first).expect("the first of it");
        feeding.done().expect("all is taken");
        let kept = match args.len() {
            1 => {
                drop(output);
                None
            }
            _ => Some(output),
        };
        assert!(!running.end().status.success(), "{args:?}");
        drop(kept);
        // What was in its pipe is all that is gone with it.
        let first = first_of(&place.deliver(&["-l"]).0, &format!("{args:?}"));
        assert!(first < 100_000 + MIB / 7, "{first}");
    }
}

/// A file that is appended to.
fn appended(path: &Path) -> fs::File {
    let file = fs::File::options().create(true).append(true).open(path);
    file.expect("a file")
}

/// A weir that has taken all of this, and is stopped while the file that it appends to ends inside of a line.
fn stopped_inside_of_a_line(place: &Place, all: &[u8], path: &Path) -> Running {
    let (stdin, input) = std::io::pipe().expect("a pipe");
    let args = ["-l", "-r", "100003B/s"];
    let running = start(place.weir(&args), stdin, appended(path));
    let feeding = feed(input, all.to_vec());
    feeding.done().expect("all is taken");
    place.await_bytes(all.len());
    eventually("it stands inside of a line", || {
        running.stop();
        let is_inside = fs::read(path).is_ok_and(|it| it.last().is_some_and(|end| *end != b'\n'));
        if !is_inside {
            running.signal(Signal::CONT);
        }
        is_inside
    });
    running
}

#[test]
fn what_is_appended_to_a_file_goes_on_in_the_middle_of_a_record() {
    let place = Place::new();
    let all = lines(100_000, 200_000);
    let path = place.0.path().join("out");
    let running = stopped_inside_of_a_line(&place, &all, &path);
    running.signal(Signal::INT);
    running.signal(Signal::CONT);
    running.end();
    let running = start(place.weir(&["-l"]), Stdio::null(), appended(&path));
    running.end().assert_success("it is over");
    assert_same(&fs::read(&path).expect("a file"), &all, "each byte once");
}

#[test]
fn a_half_that_was_all_that_a_file_has_had_goes_on_there_and_is_whole_for_anybody_else() {
    // Each a file of its own: where two append to one, parts of a record of one come between those of the other.
    let out: &[&str] = &["sh", "-c", "cat >$0.$$"];
    for (options, runs_it, other, wanted) in [
        (&["-l"][..], false, "F", "aaa\nbbbCCC\nddd\n"),
        (&["-l"], false, "G", "bbbCCC\nddd\n"),
        (&["-l"], true, "G", "bbbCCC\nddd\n"),
        (&["-l", "-j", "2"], true, "G", "bbbCCC\nddd\n"),
        (&["-l", "--batch", "5"], true, "G", "bbbCCC\nddd\n"),
    ] {
        let what = format!("{options:?} {runs_it} {other}");
        let place = Place::new();
        let (first, then) = (place.0.path().join("F"), place.0.path().join(other));
        // The second time it goes on inside of what it has had, and no more comes.
        for text in [&b"aaa\nb"[..], b"bb"] {
            let (stdin, mut input) = std::io::pipe().expect("a pipe");
            let before = fs::read(&first).unwrap_or_default();
            let running = start(place.weir(&["-l"]), stdin, appended(&first));
            input.write_all(text).expect("it reads");
            eventually("the file has all", || {
                fs::read(&first).is_ok_and(|it| it == [&before, text].concat())
            });
            running.signal(Signal::INT);
            running.end();
        }
        let (stdin, mut input) = std::io::pipe().expect("a pipe");
        input.write_all(b"CCC\nddd\n").expect("it fits");
        drop(input);
        let name = then.display().to_string();
        let command = [&["--"][..], out, &[&name]].concat();
        let running = match runs_it {
            true => start(
                place.weir(&[options, &command].concat()),
                stdin,
                Stdio::null(),
            ),
            false => start(place.weir(options), stdin, appended(&then)),
        };
        running.end().assert_success(&what);
        let files = fs::read_dir(place.0.path()).expect("a directory").flatten();
        let is_its =
            |it: &PathBuf| *it == then || it.to_string_lossy().starts_with(&format!("{name}."));
        let files = files.map(|it| it.path()).filter(is_its);
        let files = files.map(|it| fs::read_to_string(it).expect("text"));
        let got: String = files.collect();
        let mut records: Vec<&str> = got.split_inclusive('\n').collect();
        // Order among programs is not kept.
        records.sort_unstable();
        assert_eq!(records.concat(), wanted, "{what}");
    }
}

#[test]
fn whoever_comes_after_a_file_that_had_a_part_of_a_record_gets_that_from_its_beginning() {
    let all = lines(100_000, 200_000);
    for options in [
        &["-l"][..],
        &["-l", "-j", "2"],
        &["-l", "--batch", "1000000"],
    ] {
        let place = Place::new();
        let path = place.0.path().join("out");
        let running = stopped_inside_of_a_line(&place, &all, &path);
        running.signal(Signal::INT);
        running.signal(Signal::CONT);
        running.end();
        let begun = fs::metadata(&path).expect("a file").len() as usize / 7 * 7;
        let (script, rest) = ("cat >$0/$$", place.0.path().join("rest"));
        fs::create_dir(&rest).expect("a directory");
        let name = rest.display().to_string();
        let command = match options.len() {
            1 => &[][..],
            _ => &["--", "sh", "-c", script, &name],
        };
        let (mut got, said) = place.deliver(&[options, command].concat());
        assert_eq!(said, "", "{options:?}");
        let files = fs::read_dir(&rest).expect("a directory").flatten();
        let files = files.map(|it| fs::read_to_string(it.path()).expect("text"));
        let files: String = files.collect();
        // Order among programs is not kept.
        let mut records: Vec<&str> = files.split_inclusive('\n').collect();
        records.sort_unstable();
        got.extend(records.concat().bytes());
        assert_same(&got, &all[begun..], &format!("{options:?}"));
    }
}

#[test]
fn a_tee_that_is_new_begins_with_a_whole_line_where_the_consumer_goes_on_inside_of_one() {
    let place = Place::new();
    let all = lines(100_000, 200_000);
    let path = place.0.path().join("out");
    let copy = place.0.path().join("copy");
    let running = stopped_inside_of_a_line(&place, &all, &path);
    running.signal(Signal::INT);
    running.signal(Signal::CONT);
    running.end();
    let begun = fs::metadata(&path).expect("a file").len() as usize / 7 * 7;
    let tee = ["-l", "--tee", copy.to_str().expect("plain")];
    let running = start(place.weir(&tee), Stdio::null(), appended(&path));
    running.end().assert_success("it is over");
    assert_same(&fs::read(&path).expect("a file"), &all, "each byte once");
    let copied = fs::read(&copy).expect("a copy");
    assert_same(&copied, &all[begun..], "the line that was begun, too");
}

#[test]
fn a_part_of_a_line_that_a_kill_left_in_a_file_is_not_glued_to_the_next_line() {
    let place = Place::new();
    let all = lines(100_000, 200_000);
    let path = place.0.path().join("out");
    let running = stopped_inside_of_a_line(&place, &all, &path);
    running.signal(Signal::KILL);
    running.end();
    let part = fs::read(&path).expect("a file");
    assert_ne!(part.last(), Some(&b'\n'));
    let running = start(place.weir(&["-l"]), Stdio::null(), appended(&path));
    running.end().assert_success("it is over");
    let got = fs::read(&path).expect("a file");
    assert_eq!(got[part.len()], b'\n', "the part has an end of its own");
    let whole = |line: &&[u8]| line.len() == 7;
    let lines = got.split_inclusive(|byte| *byte == b'\n').filter(whole);
    let mut lines: Vec<&[u8]> = lines.collect();
    lines.sort_unstable();
    lines.dedup();
    assert_same(&lines.concat(), &all, "each line is there");
}

#[test]
fn what_a_command_has_not_read_stays_for_the_next_one() {
    let all = lines(100_000, 101_000);
    let whole = 3_000 / 7 * 7;
    for (then, read) in [
        ("kill -9 $$", whole),
        ("exit 0", whole),
        ("cat >/dev/null", all.len()),
    ] {
        for ends in [false, true] {
            let place = Place::new();
            let go = place.0.path().join("go");
            let go = go.display().to_string();
            let script = format!(
                "while [ ! -e {go} ]; do sleep .01; done; dd bs=3000 count=1 of={go} 2>/dev/null; {then}"
            );
            let (stdin, mut input) = std::io::pipe().expect("a pipe");
            let weir = place.weir(&["-l", "--", "sh", "-c", &script]);
            let running = start(weir, stdin, Stdio::null());
            std::io::Write::write_all(&mut input, &all).expect("all is taken");
            place.await_bytes(all.len());
            let ends = ends || read == all.len();
            let input = (!ends).then_some(input);
            fs::write(&go, "").expect("a file");
            running.end();
            drop(input);
            let left = place.query();
            assert_eq!(left["bytes"], all.len() - read, "{then}: {left}");
            assert_eq!(left["records"], (all.len() - read) / 7, "{then}: {left}");
            assert_same(&place.deliver(&["-l"]).0, &all[read..], then);
        }
    }
}

#[test]
fn one_that_is_run_again_reads_on_and_so_does_the_next_weir() {
    let all = lines(100_000, 400_000);
    let place = Place::new();
    let out = place.0.path().join("out").display().to_string();
    // Three read a little, and fall; the fourth reads nothing.
    let script = format!(
        "while [ ! -e {out} ] || [ $(wc -c <{out}) -ge 9000 ]; do sleep .01; done; \
         dd bs=3000 count=1 2>/dev/null >>{out}; exit 1"
    );
    let (stdin, input) = std::io::pipe().expect("a pipe");
    let options = [
        "-l",
        "--restart",
        "on-failure",
        "--backoff",
        "1ms..2ms",
        "--",
        "sh",
        "-c",
        &script,
    ];
    let running = start(place.weir(&options), stdin, Stdio::null());
    feed(input, all.clone()).done().expect("all is taken");
    place.await_bytes(all.len());
    fs::write(&out, "").expect("a file");
    let got = || fs::read(&out).expect("what was read");
    eventually("three have fallen", || got().len() >= 9000);
    running.signal(Signal::TERM);
    running.end();
    let got = got();
    // Each was given the record again of which its predecessor had read a part.
    let runs = got.len().div_ceil(3_000);
    let read = runs * (3_000 / 7 * 7);
    let rest = place.deliver(&["-l"]).0;
    assert_eq!(rest[..7], all[read..read + 7], "{runs} runs");
}

/// Of records of this many bytes, of which some are lost, the others come whole, in order, and once.
fn assert_whole(got: &[u8], size: usize, what: &str) -> usize {
    let mut last = None;
    for record in got.chunks(size) {
        let text = String::from_utf8(record.to_vec()).expect(what);
        let (number, end) = text.split_at(size - 1);
        let number: u64 = number
            .parse()
            .unwrap_or_else(|_| panic!("{what}: {text:?}"));
        assert_eq!(end, "\n", "{what}");
        assert!(last < Some(number), "{what}: {number} after {last:?}");
        last = Some(number);
    }
    got.len() / size
}

#[test]
fn a_damaged_part_takes_whole_records_with_it_and_the_books_close() {
    // No part begins or ends with a record.
    const SIZE: usize = 13;
    const COUNT: usize = 150_000;
    let all: Vec<u8> = (0..COUNT)
        .flat_map(|n| format!("{n:012}\n").into_bytes())
        .collect();
    let places = [
        ("one part", vec![1_000_000]),
        ("the last part", vec![all.len() - 1]),
        ("parts side by side", vec![700_000, 900_000, 1_100_000]),
    ];
    for args in [&["-l"][..], &["--record-size", "13"]] {
        for (what, flipped) in &places {
            let place = Place::new();
            // In order: all is entered, and can be checked.
            place.leave(&all, args, Signal::INT);
            let before = place.query();
            let owed = before["bytes"].as_u64().expect("a number") as usize;
            flipped.iter().for_each(|at| flip(&place, *at));
            let what = format!("{what}, {args:?}");
            let got = place.deliver(args).0;
            let came = assert_whole(&got, SIZE, &what);
            let left = place.query();
            assert_eq!(
                (&left["bytes"], &left["records"]),
                (&0.into(), &0.into()),
                "{what}: {left}"
            );
            let lost = left["lost"]["bytes"].as_u64().expect("a number") as usize;
            let most = flipped.len() * ((256 << 10) + 2 * SIZE);
            assert!(lost > 0 && lost <= most, "{what}: {lost}");
            assert_eq!(came * SIZE + lost, owed, "{what}: {left}");
            assert_eq!(place.files("stream"), Vec::<PathBuf>::new(), "{what}");
            // And what comes then is what is counted.
            assert_eq!(place.deliver(args).0, b"", "{what}");
        }
    }
}

#[test]
fn the_first_new_record_is_whole_where_the_last_old_byte_is_damaged() {
    let place = Place::new();
    let all = lines(100_000, 400_000);
    place.leave(&all, &["-l"], Signal::INT);
    flip(&place, all.len() - 1);
    let new = place.0.path().join("new");
    fs::write(&new, "first\nsecond\n").expect("a file");
    let name = new.display().to_string();
    let (got, said) = place.deliver(&["-l", &name]);
    assert!(got.ends_with(b"\nfirst\nsecond\n"), "{said}");
    let lost = &place.query()["lost"];
    let records = |bytes: usize| Value::from(bytes / 7);
    let bytes = lost["bytes"].as_u64().expect("a number") as usize;
    assert_eq!(lost["records"], records(bytes), "{lost}");
}

#[test]
fn a_disk_that_is_full_at_the_start_is_waited_for() {
    for leaves in [false, true] {
        let place = Place::new();
        let Some(_disk) = SmallDisk::mount(place.spool(), "512k") else {
            return;
        };
        let filler = place.0.path().join("q/filler");
        let inside = place.spool().join("spool");
        // It has no more room than for the name of a file.
        let _ = fs::write(&filler, vec![1; 512 << 10]);
        let (stdin, input) = std::io::pipe().expect("a pipe");
        let (output, stdout) = std::io::pipe().expect("a pipe");
        let name = inside.display().to_string();
        let log = place.0.path().join("log");
        let log_name = log.display().to_string();
        let args = ["--spool", &name, "--log", &log_name, "-N", "waits"];
        let at_home = |mut it: Command| {
            it.env("XDG_RUNTIME_DIR", place.0.path());
            it
        };
        let running = start(at_home(weir(&args)), stdin, stdout);
        let waits =
            format!("spool to: {name}: the disk is full: nothing is read until there is room");
        eventually("it has said that it waits", || {
            fs::read_to_string(&log).is_ok_and(|said| said.contains(&waits))
        });
        let ask = |option| {
            let mut asking = at_home(weir(&[option, "waits"]));
            if option == "--remote" {
                asking.arg("--pause");
            }
            asking.output().expect("it ran")
        };
        eventually("it says so to who asks, too", || {
            let answer = ask("--query");
            let status = serde_json::from_slice(&answer.stdout).unwrap_or(Value::Null);
            answer.status.success() && status["state"] == "disk-full" && status["name"] == "waits"
        });
        let refused = ask("--remote");
        let why = String::from_utf8_lossy(&refused.stderr);
        assert!(
            !refused.status.success() && why.contains("waits for room; SIGTERM ends it"),
            "{why}"
        );
        if leaves {
            drop(output);
            let ended = running.end();
            let signal = ended.status.signal();
            assert_eq!(signal, Some(Signal::PIPE.as_raw()), "{ended:?}");
            let sockets = fs::read_dir(place.0.path().join("weir")).expect("where they are");
            assert_eq!(sockets.count(), 0, "nothing is left of it");
            continue;
        }
        fs::remove_file(&filler).expect("room");
        eventually("it goes on, and answers as ever", || {
            let answer = ask("--query");
            let status = serde_json::from_slice(&answer.stdout).unwrap_or(Value::Null);
            answer.status.success() && status["state"] != "disk-full"
        });
        let feeding = feed(input, b"what came".to_vec());
        assert_eq!(collect(output).done(), b"what came");
        feeding.done().expect("all is taken");
        let ended = running.end();
        assert!(ended.status.success(), "{ended:?}");
        let said = fs::read_to_string(&log).expect("a log");
        assert_eq!(said.matches(&waits).count(), 1, "{said}");
    }
}

#[test]
fn records_are_numbered_right_where_an_index_is_gone() {
    let place = Place::new();
    let all = lines(100_000, 400_000);
    place.leave(&all, &["-l"], Signal::KILL);
    place
        .files("index")
        .iter()
        .for_each(|it| fs::remove_file(it).expect("gone"));
    let name = place.spool().display().to_string();
    let mut weir = weir(&["-l", "--summary", "json", "--spool", &name]);
    weir.stdin(Stdio::null());
    let output = weir.output().expect("it ran");
    let said = String::from_utf8(output.stderr).expect("text");
    let line = said
        .lines()
        .find(|line| line.starts_with('{'))
        .expect("a summary");
    let summary: Value = serde_json::from_str(line).expect("an object");
    assert_eq!(
        summary["in"]["records"], summary["out"]["records"],
        "{line}"
    );
    assert_eq!(summary["in"]["records"], output.stdout.len() / 7, "{line}");
}

#[test]
fn the_last_line_without_an_end_is_delivered_once() {
    let place = Place::new();
    let (stdin, input) = std::io::pipe().expect("a pipe");
    let (output, stdout) = std::io::pipe().expect("a pipe");
    let running = start(place.weir(&["-l", "--", "cat"]), stdin, stdout);
    feed(input, b"one\ntwo".to_vec());
    assert_eq!(collect(output).done(), b"one\ntwo");
    running.end().assert_success("it is over");
    assert_eq!(place.query()["bytes"], 0);
}

#[test]
fn too_few_descriptors_are_no_damage() {
    let place = Place::new();
    let all = lines(0, 400_000);
    place.leave(&all, &[], Signal::KILL);
    let name = place.spool().display().to_string();
    let mut got = Vec::new();
    for most in 3..24 {
        let script = format!("ulimit -n {most} && exec {WEIR} -q --spool {name}");
        let mut weir = Command::new("sh");
        weir.args(["-c", &script]).stdin(Stdio::null());
        let output = weir.output().expect("it ran");
        let said = String::from_utf8_lossy(&output.stderr);
        // Either all are there from the beginning, or none is asked for.
        let is_short = said.contains("Too many open files") || said.contains("Error 24");
        assert_eq!(!output.status.success(), is_short, "{most}: {said}");
        for word in ["damage", "lost", "unchecked", "missing"] {
            assert!(!said.contains(word), "{most}: {said}");
        }
        got.extend(output.stdout);
    }
    got.extend(place.deliver(&[]).0);
    // What the one that was killed had written into its pipe is gone with that.
    let from = all
        .len()
        .checked_sub(got.len())
        .expect("not more than came");
    assert!(from <= MIB);
    assert_same(&got, &all[from..], "each byte once");
}

#[test]
fn a_small_disk_passes_on_more_than_it_holds() {
    let cat = ["-l", "--", "cat"];
    for args in [&[][..], &["-l"], &["--record-size", "1001"], &cat] {
        let place = Place::new();
        let Some(_disk) = SmallDisk::mount(place.spool(), "3m") else {
            return;
        };
        let bytes = lines(0, 1_000_000);
        let (stdin, input) = std::io::pipe().expect("a pipe");
        let (output, stdout) = std::io::pipe().expect("a pipe");
        let running = start(place.weir(args), stdin, stdout);
        let feeding = feed(input, bytes.clone());
        assert_same(&collect(output).done(), &bytes, &format!("{args:?}"));
        feeding.done().expect("all is taken");
        running.end();
    }
}
