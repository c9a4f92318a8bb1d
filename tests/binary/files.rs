//! Files as inputs: several of them, missing ones, directories, and the output itself.

use crate::harness;
use std::fs::{self, File, OpenOptions};
use std::io::pipe;
use std::path::Path;
use std::process::Stdio;

use crate::harness::sides::{BEHIND, Before, make_fifo};
use crate::harness::{assert_same, collect, data, feed, start, weir};
use tempfile::TempDir;

/// A directory with these files in it.
fn files(names: &[&str]) -> (TempDir, Vec<(String, Vec<u8>)>) {
    let dir = TempDir::new().expect("make a directory");
    let make = |(i, name): (usize, &&str)| {
        let bytes = data(200_001 * i, i as u64);
        let path = dir.path().join(name);
        fs::write(&path, &bytes).expect("fill a file");
        (text(&path).to_owned(), bytes)
    };
    let files = names.iter().enumerate().map(make).collect();
    (dir, files)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

#[test]
fn files_and_standard_input_are_passed_on_one_after_the_other() {
    let (_dir, files) = files(&["empty", "one", "two", "three"]);
    let typed = data(100_000, 99);
    let args = [
        files[1].0.as_str(),
        "-",
        &files[0].0,
        &files[3].0,
        &files[2].0,
    ];
    let wanted = [&files[1].1, &typed, &files[3].1, &files[2].1].map(Vec::as_slice);
    for before in [Before::Pipe, Before::RegularFile, Before::UnixSocket] {
        for behind in BEHIND {
            for way in [&[][..], &["--no-splice"]] {
                let case = format!("{before:?} among files to {behind:?} {way:?}");
                let (stdout, catch) = behind.open();
                let end = start(weir(&[way, &args].concat()), before.open(&typed), stdout).end();
                end.assert_success(&case);
                if let Some(caught) = catch.all() {
                    assert_same(&caught, &wanted.concat(), &case);
                }
            }
        }
    }
}

#[test]
fn standard_input_named_twice_is_empty_the_second_time() {
    let (output, stdout) = pipe().expect("make a pipe");
    let end = start(weir(&["-", "-"]), Before::Pipe.open(b"once"), stdout).end();
    end.assert_success("- -");
    assert_eq!(collect(output).done(), b"once");
}

#[test]
fn a_missing_file_is_named_before_anything_is_written() {
    let (dir, files) = files(&["empty", "one"]);
    let missing = dir.path().join("missing");
    let (output, stdout) = pipe().expect("make a pipe");
    let end = start(weir(&[&files[1].0, text(&missing)]), Stdio::null(), stdout).end();
    end.assert_complains(
        1,
        &["open: ", text(&missing), ": No such file or directory"],
    );
    assert_eq!(collect(output).done(), b"");
}

#[test]
fn all_files_that_are_missing_are_named_a_line_each() {
    let (dir, files) = files(&["empty", "one"]);
    let missing = ["first", "second", "third"].map(|name| dir.path().join(name));
    let [first, second, third] = missing.each_ref().map(|path| text(path));
    let (output, stdout) = pipe().expect("make a pipe");
    let log = dir.path().join("log");
    let log = ["--log", text(&log)];
    let args = [first, &files[1].0, second, third, log[0], log[1]];
    let end = start(weir(&args), Stdio::null(), stdout).end();
    let line = |path| format!("weir: open: {path}: No such file or directory\n");
    let lines: String = [first, second, third].map(line).concat();
    assert_eq!((end.status.code(), &end.stderr), (Some(1), &lines));
    let log = fs::read_to_string(log[1]).expect("a log");
    let untimed = log.lines().map(|line| {
        let timed = line.split_once(' ').expect("a time");
        assert!(timed.0.starts_with("time=20"), "{line}");
        timed.1.to_owned() + "\n"
    });
    assert_eq!(untimed.collect::<String>(), lines);
    assert_eq!(collect(output).done(), b"");
}

#[test]
fn a_directory_is_refused_before_anything_is_written() {
    let (dir, files) = files(&["empty", "one"]);
    let (output, stdout) = pipe().expect("make a pipe");
    let end = start(
        weir(&[&files[1].0, text(dir.path())]),
        Stdio::null(),
        stdout,
    )
    .end();
    end.assert_complains(1, &["open: ", text(dir.path()), ": Is a directory"]);
    assert_eq!(collect(output).done(), b"");

    let directory = File::open(dir.path()).expect("open a directory");
    let end = start(weir(&[]), directory, Stdio::null()).end();
    end.assert_complains(1, &["read: standard input: Is a directory"]);
}

#[test]
fn a_fifo_named_as_a_file_is_read_to_its_end() {
    let dir = TempDir::new().expect("make a directory");
    let path = dir.path().join("fifo");
    make_fifo(&path);
    let bytes = data(500_000, 4);
    let (output, stdout) = pipe().expect("make a pipe");
    let weir = start(weir(&[text(&path)]), Stdio::null(), stdout);
    let input = OpenOptions::new()
        .write(true)
        .open(&path)
        .expect("open a FIFO");
    feed(input, bytes.clone());
    assert_same(&collect(output).done(), &bytes, "FIFO");
    weir.end().assert_success("FIFO");
}

/// `weir one FIFO two`, with `two` taken away once weir has begun; then the consumer does this.
fn with_a_file_that_vanishes(
    consumer: fn(std::io::PipeReader) -> usize,
) -> (usize, harness::Ended) {
    let (dir, files) = files(&["empty", "one", "two"]);
    let fifo = dir.path().join("fifo");
    make_fifo(&fifo);
    let (output, stdout) = pipe().expect("make a pipe");
    let args = [files[1].0.as_str(), text(&fifo), &files[2].0];
    let weir = start(
        weir(&[&["-b", "1MiB", "--pipe-size", "4KiB"], &args[..]].concat()),
        Stdio::null(),
        stdout,
    );
    let input = OpenOptions::new()
        .write(true)
        .open(&fifo)
        .expect("open a FIFO");
    fs::remove_file(&files[2].0).expect("remove a file");
    drop(input);
    weir.settle();
    let end = harness::beside(move || consumer(output));
    (end.done(), weir.end())
}

#[test]
fn what_came_before_a_failure_is_delivered_and_the_failure_is_told() {
    let (taken, end) = with_a_file_that_vanishes(|output| collect(output).done().len());
    assert_eq!(taken, 200_001);
    end.assert_complains(1, &["open: ", "two: No such file or directory"]);
}

#[test]
fn a_consumer_that_leaves_after_a_failure_does_not_hide_it() {
    let (_, end) = with_a_file_that_vanishes(|output| {
        drop(output);
        0
    });
    end.assert_complains(1, &["open: ", "two: No such file or directory"]);
}

#[test]
fn an_input_that_is_the_output_is_refused_and_left_as_it_was() {
    let (dir, files) = files(&["empty", "one"]);
    let (path, content) = &files[1];
    let link = dir.path().join("link");
    fs::hard_link(path, &link).expect("link a file");
    let appending = || {
        let open = OpenOptions::new().append(true).open(path);
        open.expect("open")
    };
    let says = ["input file is output file"];
    let input = File::open(&link).expect("open a file");
    start(weir(&[]), input, appending())
        .end()
        .assert_complains(1, &says);
    for args in [
        [path.as_str(), "-"],
        ["-", text(&link)],
        ["-", "/dev/stdin"],
    ] {
        let stdin: Stdio = if args[1] == "/dev/stdin" {
            File::open(path).expect("open a file").into()
        } else {
            Before::Pipe.open(b"x")
        };
        start(weir(&args), stdin, appending())
            .end()
            .assert_complains(1, &says);
    }
    assert_same(&fs::read(path).expect("read a file"), content, "the file");
}

#[test]
fn an_input_that_is_where_shed_data_goes_is_refused_and_left_as_it_was() {
    let (dir, files) = files(&["empty", "one"]);
    let (path, content) = &files[1];
    let link = dir.path().join("link");
    fs::hard_link(path, &link).expect("link a file");
    for (shed_to, inputs) in [
        (path.as_str(), &[][..]),
        (text(&link), &["-"]),
        (path, &[&files[0].0, text(&link)]),
    ] {
        let args = [&["--shed", "newest", "--shed-to", shed_to], inputs].concat();
        let input = File::open(path).expect("open a file");
        let end = start(weir(&args), input, Stdio::null()).end();
        let says = ["open: ", shed_to, " and --shed-to are one file"];
        end.assert_complains(1, &says);
        assert_same(&fs::read(path).expect("read a file"), content, "the file");
    }
    // What gives nothing back may be both.
    let args = ["--shed", "newest", "--shed-to", "/dev/null", "/dev/null"];
    let end = start(weir(&args), Stdio::null(), Stdio::null()).end();
    end.assert_success("/dev/null");
}

#[test]
fn a_file_is_read_from_and_written_to_where_its_descriptor_stands() {
    use std::io::{Seek, SeekFrom};
    let (dir, files) = files(&["empty", "one"]);
    let to = dir.path().join("to");
    for way in [&[][..], &["--no-splice"]] {
        fs::write(&to, b"0123456789").expect("fill a file");
        let mut input = File::open(&files[1].0).expect("open a file");
        input.seek(SeekFrom::Start(100_000)).expect("seek");
        let mut output = OpenOptions::new()
            .write(true)
            .open(&to)
            .expect("open a file");
        output.seek(SeekFrom::Start(4)).expect("seek");
        start(weir(way), input, output)
            .end()
            .assert_success("offsets");
        let wanted = [b"0123", &files[1].1[100_000..]].concat();
        assert_same(&fs::read(&to).expect("read a file"), &wanted, "offsets");
    }
}

#[test]
fn files_of_the_system_that_claim_to_be_empty_are_read() {
    let file = || File::open("/proc/cpuinfo").expect("open a file of the system");
    for stdin in [true, false] {
        let (output, stdout) = pipe().expect("make a pipe");
        let weir = if stdin {
            start(weir(&[]), file(), stdout)
        } else {
            start(weir(&["/proc/cpuinfo"]), Stdio::null(), stdout)
        };
        assert!(collect(output).done().len() > 100);
        weir.end().assert_success("/proc/cpuinfo");
    }
}

#[test]
fn a_name_with_a_line_break_makes_no_second_line() {
    let name = "no\u{1b}[31m\nsuch file";
    let says = ["open: no\\u{1b}[31m\\nsuch file: No such file"];
    let weir = start(weir(&[name]), Stdio::null(), Stdio::null());
    weir.end().assert_complains(1, &says);
}
