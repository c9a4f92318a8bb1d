//! Inputs that end inside of a record, and others that follow in the next run of a spool: what was left of the last record
//! is one of its own for everybody who is owed it, and what comes then is another.

use crate::harness;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::sides::make_fifo;
use crate::harness::spool::Place;
use crate::harness::{Running, assert_same, collect, eventually, feed, side_by_side, start, weir};
use rustix::fs::SeekFrom;
use rustix::process::Signal;
use serde_json::Value;

/// Three records, of which the last has no end. The first one is long: with the cap that is set none of it has come when the
/// rest has been taken in.
const TEXT: &[u8] = b"the first one is long enough to take its time\n2\n3";
const CAP: [&str; 3] = ["-l", "-r", "1B/s"];

/// A weir that has taken all of this in, and has seen that this is all. Its consumer gets next to nothing; who reads that.
fn held_up(weir: Command, place: &Place, text: &[u8]) -> (Running, std::io::PipeReader) {
    held_up_at(weir, place, text, |it| it["records"] == 3)
}

/// The same where that is what is owed then.
fn held_up_at(
    weir: Command,
    place: &Place,
    text: &[u8],
    is_owed: impl Fn(&Value) -> bool,
) -> (Running, std::io::PipeReader) {
    let (stdin, input) = std::io::pipe().expect("a pipe");
    let (output, stdout) = std::io::pipe().expect("a pipe");
    let running = start(weir, stdin, stdout);
    feed(input, text.to_vec()).done().expect("all is taken");
    eventually(
        "the last record counts, for nothing goes on with it",
        || {
            let status = place.spool().join("state").exists().then(|| place.query());
            let pid = running.pid().as_raw_nonzero().get();
            status.is_some_and(|it| it["pid"] == pid && is_owed(&it))
        },
    );
    (running, output)
}

/// The same, ended by this.
fn leave(place: &Place, args: &[&str], by: Signal) {
    let (running, _output) = held_up(place.weir(args), place, TEXT);
    running.signal(by);
    assert_eq!(running.end().status.signal(), Some(by.as_raw()));
}

/// What the next weir makes of it with this for its input.
fn next(place: &Place, args: &[&str], text: &[u8]) -> Vec<u8> {
    let (stdin, input) = std::io::pipe().expect("a pipe");
    let (output, stdout) = std::io::pipe().expect("a pipe");
    let running = start(place.weir(args), stdin, stdout);
    let feeding = feed(input, text.to_vec());
    let got = collect(output).done();
    feeding.done().expect("all is taken");
    running.end().assert_success("it is over");
    got
}

fn with(behind: &[u8]) -> Vec<u8> {
    [TEXT, behind].concat()
}

#[test]
fn a_last_record_without_an_end_that_is_still_owed_is_not_glued_to_the_next_input() {
    for by in [Signal::KILL, Signal::INT] {
        let place = Place::new();
        leave(&place, &CAP, by);
        let got = next(&place, &["-l"], b"4\n");
        assert_same(&got, &with(b"\n4\n"), &format!("{by:?}"));
        place.assert_empty();
    }
}

#[test]
fn it_has_one_end_however_often_the_spool_is_opened_and_the_next_may_end_like_that_too() {
    let place = Place::new();
    leave(&place, &CAP, Signal::KILL);
    for _ in 0..3 {
        let (running, _output) = held_up(place.weir(&CAP), &place, b"");
        running.signal(Signal::KILL);
        running.end();
    }
    let left = place.query();
    assert_eq!(left["bytes"], TEXT.len() + 1, "{left}");
    let got = next(&place, &["-l"], b"4\n5");
    assert_same(&got, &with(b"\n4\n5"), "and no more than came");
    // All of that was delivered: it is over, and nothing is put behind it.
    assert_same(&next(&place, &["-l"], b"6\n"), b"6\n", "the next one");
    place.assert_empty();
}

#[test]
fn with_no_new_input_it_comes_with_its_end() {
    let place = Place::new();
    leave(&place, &CAP, Signal::KILL);
    assert_same(&place.deliver(&["-l"]).0, &with(b"\n"), "all of it");
    assert_same(&place.deliver(&["-l"]).0, b"", "once");
}

#[test]
fn zero_bytes_end_records_too_and_what_nothing_ends_goes_on() {
    let zeros: Vec<u8> = TEXT
        .iter()
        .map(|it| if *it == b'\n' { 0 } else { *it })
        .collect();
    let place = Place::new();
    let (running, _output) = held_up(place.weir(&["-0", "-r", "1B/s"]), &place, &zeros);
    running.signal(Signal::KILL);
    running.end();
    let got = next(&place, &["-0"], b"4\0");
    assert_same(&got, &[&zeros[..], b"\x004\0"].concat(), "zero bytes");
    for args in [&["--record-size", "20"][..], &[]] {
        let place = Place::new();
        place.leave(TEXT, &[args, &["-r", "1B/s"]].concat(), Signal::KILL);
        let got = next(&place, args, b"4\n");
        assert!(got.ends_with(b"\n2\n34\n"), "{args:?}");
    }
}

#[test]
fn a_consumer_that_leaves_leaves_it_to_the_next_one() {
    let place = Place::new();
    let (running, output) = held_up(place.weir(&CAP), &place, TEXT);
    drop(output);
    let ended = running.end();
    assert!(!ended.status.success(), "{ended:?}");
    assert_same(&next(&place, &["-l"], b"4\n"), &with(b"\n4\n"), "all of it");
}

#[test]
fn a_command_that_fails_leaves_it_to_the_next_one_and_the_books_close() {
    let place = Place::new();
    let go = place.0.path().join("go");
    let script = format!("until test -e {}; do sleep .01; done; exit 3", go.display());
    let command = ["-l", "--", "sh", "-c", &script];
    // It was given all of that, and has read nothing; only the record that had no end when it was given is still owed.
    let is_last = |it: &Value| it["bytes"] == 1 && it["records"] == 1;
    let (running, _output) = held_up_at(place.weir(&command), &place, TEXT, is_last);
    fs::write(&go, "").expect("a file");
    assert_eq!(running.end().status.code(), Some(3));
    let (stdin, input) = std::io::pipe().expect("a pipe");
    let (output, stdout) = std::io::pipe().expect("a pipe");
    let name = place.name();
    let json = ["-l", "--summary", "json", "--spool", &name, "--", "cat"];
    let running = start(weir(&json), stdin, stdout);
    feed(input, b"4\n5".to_vec()).done().expect("all is taken");
    assert_same(&collect(output).done(), &with(b"\n4\n5"), "all of it");
    let ended = running.end();
    let mut said = ended.stderr.lines();
    let line = said.find(|it| it.starts_with('{')).expect("a summary");
    let summary: Value = serde_json::from_str(line).expect("an object");
    let records = |of: &str| summary[of]["records"].clone();
    assert_eq!(
        [records("in"), records("out")],
        [5, 5].map(Value::from),
        "{line}"
    );
    place.assert_empty();
}

#[test]
fn an_input_that_had_ended_when_command_did_is_over_though_nobody_had_seen_that() {
    // It is gone, or it has closed its standard input before. A signal to weir leaves the record open.
    let ends = [("", None), ("exec <&-;", None), ("", Some(Signal::INT))];
    let scenes = ends.map(|(leaves, by)| [false, true].map(|is_file| (leaves, by, is_file)));
    side_by_side(scenes.into_iter().flatten(), |(leaves, by, is_file)| {
        let place = Place::new();
        let go = place.0.path().join("go");
        let wait = format!("until test -e {}; do sleep .01; done", go.display());
        let script = format!("{wait}; {leaves} sleep .1; exit 3");
        // After the last byte the cap lets nobody look for more for a while.
        let cap = ["-l", "--input-rate", "1B/4s"];
        let weir = place.weir(&[&cap[..], &["--", "sh", "-c", &script]].concat());
        let (stdin, mut input) = std::io::pipe().expect("a pipe");
        input.write_all(b"a\nb").expect("room");
        drop(input);
        let file = is_file.then(|| {
            let path = place.0.path().join("input");
            fs::write(&path, "a\nb").expect("a file");
            fs::File::open(path).expect("a file")
        });
        let input = match &file {
            Some(file) => Stdio::from(file.try_clone().expect("another one")),
            None => Stdio::from(stdin.try_clone().expect("another one")),
        };
        let running = start(weir, input, Stdio::null());
        eventually("all was taken", || match &file {
            Some(file) => rustix::fs::seek(file, SeekFrom::Current(0)).is_ok_and(|at| at == 3),
            None => rustix::io::ioctl_fionread(&stdin) == Ok(0),
        });
        match by {
            Some(signal) => running.signal(signal),
            None => fs::write(&go, "").expect("a file"),
        }
        let ended = running.end();
        let status = ended.status;
        assert!(status.code() == Some(3) || by.is_some(), "{ended:?}");
        let got = next(&place, &["-l"], b"c\n");
        let all = if by.is_some() { "a\nbc\n" } else { "a\nb\nc\n" };
        let what = format!("{leaves} {by:?} {is_file}");
        assert_same(&got, all.as_bytes(), &what);
    });
}

#[test]
fn where_the_end_of_this_runs_input_was_set_inside_of_a_record_that_is_over_too() {
    let place = Place::new();
    let text = with(b" goes on\n");
    let end = format!("{}B", TEXT.len());
    let args = [&CAP[..], &["--stop-at", &end]].concat();
    let (running, _output) = held_up(place.weir(&args), &place, &text);
    running.signal(Signal::KILL);
    running.end();
    assert_same(&next(&place, &["-l"], b"4\n"), &with(b"\n4\n"), "all of it");
}

#[test]
fn an_output_that_has_had_it_gets_no_empty_record_and_one_that_has_not_gets_it_whole() {
    let place = Place::new();
    let at = |name: &str| place.0.path().join(name).display().to_string();
    let (copy, fifo) = (at("copy"), at("fifo"));
    make_fifo(Path::new(&fifo));
    let tees = ["--tee", &copy, "--tee", &fifo];
    let mut reader = fs::File::options()
        .read(true)
        .write(true)
        .open(&fifo)
        .expect("a FIFO");
    let (running, _output) = held_up(place.weir(&[&CAP[..], &tees].concat()), &place, TEXT);
    let mut had = vec![0; TEXT.len()];
    reader.read_exact(&mut had).expect("a FIFO");
    assert_same(&had, TEXT, "as it came");
    eventually("the copy has all", || {
        fs::read(&copy).is_ok_and(|it| it == TEXT)
    });
    running.signal(Signal::INT);
    running.end();
    let beside = harness::beside(move || {
        let mut had = [0; 2];
        reader.read_exact(&mut had).expect("a FIFO");
        had
    });
    let got = next(&place, &[&["-l"], &tees[..]].concat(), b"4\n");
    assert_same(&got, &with(b"\n4\n"), "the consumer");
    assert_eq!(&beside.done(), b"4\n", "who reads the FIFO");
    let copied = fs::read(&copy).expect("a copy");
    assert_same(&copied, &with(b"\n4\n"), "a file has lines");
    place.assert_empty();
}

/// `weir -l --spool q OPTIONS -- sh -c SCRIPT out`.
fn program(place: &Place, options: &[&str], script: &str) -> Command {
    let out = place.0.path().join("out").display().to_string();
    let command = ["--", "sh", "-c", script, &out];
    place.weir(&[&["-l"], options, &command].concat())
}

/// What lies beside the spool, by name.
fn files(place: &Place) -> BTreeMap<String, String> {
    let all = fs::read_dir(place.0.path()).expect("a directory").flatten();
    let all = all.filter(|it| it.path().is_file());
    all.map(|it| {
        let name = it.file_name().to_string_lossy().into_owned();
        (name, fs::read_to_string(it.path()).expect("text"))
    })
    .collect()
}

#[test]
fn a_batch_that_ends_with_it_comes_again_as_it_was_and_its_end_is_in_no_other() {
    let place = Place::new();
    // The program kills weir, its parent, before that can know how it ends.
    let script = "cat >$0.$WEIR_FIRST.$WEIR_TRY; echo $WEIR_BATCH $WEIR_RECORDS $WEIR_BYTES >$0.said.$WEIR_FIRST.$WEIR_TRY; \
                  test $WEIR_TRY = 1 -a $WEIR_FIRST = 1 && kill -9 $PPID; exit 0";
    let mut names = Vec::new();
    for input in ["one\ntwo\nthree", "four\nfive"] {
        let (stdin, into) = std::io::pipe().expect("a pipe");
        let weir = program(&place, &["--batch", "10"], script);
        let running = start(weir, stdin, Stdio::null());
        let _ = feed(into, input.into()).done();
        names.push(running.end().status.signal());
    }
    assert_eq!(names, [Some(9), None]);
    let files = files(&place);
    let get = |name: &str| files[&format!("out.{name}")].as_str();
    assert_eq!([get("1.1"), get("1.2")], ["one\ntwo\nthree"; 2]);
    assert_eq!(get("said.1.1"), get("said.1.2"), "the same batch");
    assert!(get("said.1.1").ends_with(" 3 13\n"), "{}", get("said.1.1"));
    assert_eq!(get("4.1"), "four\nfive");
    assert!(get("said.4.1").ends_with(" 2 9\n"), "{}", get("said.4.1"));
    assert_eq!(files.len(), 6, "{files:?}");
    place.assert_empty();
}

#[test]
fn what_is_in_no_batch_yet_comes_in_one_with_its_end_and_a_batch_that_becomes_a_stream_too() {
    let place = Place::new();
    leave(&place, &CAP, Signal::KILL);
    let script = "cat >>$0; echo $WEIR_RECORDS >>$0.said";
    let weir = program(&place, &["--batch", "10"], script);
    let (stdin, into) = std::io::pipe().expect("a pipe");
    let running = start(weir, stdin, Stdio::null());
    feed(into, b"4\n".to_vec()).done().expect("all is taken");
    running.end().assert_success("it is over");
    let files = files(&place);
    assert_same(files["out"].as_bytes(), &with(b"\n4\n"), "in batches");
    let records = files["out.said"].lines().map(|it| it.parse::<u64>());
    assert_eq!(records.map(|it| it.expect("a number")).sum::<u64>(), 4);

    let place = Place::new();
    let (stdin, into) = std::io::pipe().expect("a pipe");
    let weir = program(&place, &["--batch", "10"], "kill -9 $PPID; exit 1");
    let running = start(weir, stdin, Stdio::null());
    let _ = feed(into, TEXT.to_vec()).done();
    running.end();
    assert_eq!(place.query()["records"], 3);
    assert_same(&next(&place, &["-l"], b"4\n"), &with(b"\n4\n"), "a stream");
    place.assert_empty();
}

#[test]
fn several_who_take_side_by_side_get_it_whole_and_none_gets_an_empty_one() {
    for by in [Signal::KILL, Signal::INT] {
        let place = Place::new();
        // They are given all of it, and read nothing.
        let script = "until test -e $0.go || ! test -e ${0%/*}; do sleep .01; done; cat >>$0.late";
        let (stdin, input) = std::io::pipe().expect("a pipe");
        let weir = program(&place, &["-j", "2"], script);
        let running = start(weir, stdin, Stdio::null());
        feed(input, TEXT.to_vec()).done().expect("all is taken");
        eventually(
            "only the last one is owed if it is killed: it was over",
            || {
                let left = place.spool().join("state").exists().then(|| place.query());
                left.is_some_and(|it| it["records"] == 1 && it["bytes"] == 1)
            },
        );
        running.signal(by);
        running.end();
        let weir = program(&place, &["-j", "2"], "cat >>$0.next.$$");
        let (stdin, into) = std::io::pipe().expect("a pipe");
        let running = start(weir, stdin, Stdio::null());
        feed(into, b"4\n5\n".to_vec()).done().expect("all is taken");
        running.end().assert_success("it is over");
        fs::write(place.0.path().join("out.go"), "").expect("a file");
        let mut files = files(&place);
        files.retain(|name, _| name.starts_with("out.next"));
        // Who is quick may have taken all of it, before the other one had begun.
        let whole = |it: &String| it.is_empty() || it.ends_with('\n');
        assert!(files.values().all(whole), "{files:?}");
        let text: String = files.into_values().collect();
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        let first = str::from_utf8(TEXT).expect("text").lines().next();
        let wanted = match by {
            Signal::KILL => &["3", "4", "5"][..],
            // What they had not read is there again.
            _ => &["2", "3", "4", "5", first.expect("a line")],
        };
        assert_eq!(lines, wanted, "{by:?}");
        place.assert_empty();
    }
}

#[test]
fn a_file_that_ends_with_that_record_gets_its_end_where_nobody_else_was_owed_it_too() {
    let place = Place::new();
    let path = place.0.path().join("out");
    for text in [&b"1\n2\n3"[..], b"4\n"] {
        let (stdin, input) = std::io::pipe().expect("a pipe");
        let appended = fs::File::options().create(true).append(true).open(&path);
        let running = start(place.weir(&["-l"]), stdin, appended.expect("a file"));
        feed(input, text.to_vec()).done().expect("all is taken");
        running.end().assert_success("it is over");
    }
    assert_same(&fs::read(&path).expect("a file"), b"1\n2\n3\n4\n", "both");
    place.assert_empty();
}
