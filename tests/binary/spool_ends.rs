//! Where a spool goes on: what another consumer gets when one has left, fell or stalled, and what a full disk keeps.

mod damaged;
mod scarce;

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::harness::spool::{Place, lines};
use crate::harness::{Running, assert_same, collect, eventually, feed, start};
use rustix::process::Signal;

const MIB: usize = 1 << 20;

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
        let fed = feeding.done();
        let kept = match args.len() {
            1 => {
                fed.expect("all is taken");
                drop(output);
                None
            }
            // Its time may be over before that.
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
