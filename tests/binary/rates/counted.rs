//! Records are counted as they come in and go out, whichever way the bytes go.

use super::pass;
use crate::harness::assert_same;
use crate::harness::books::Books;
use crate::harness::line::Line;

#[test]
fn records_are_counted_as_they_come_in_and_go_out() {
    let large = [vec![b'x'; 100_000], b"\nx\n".to_vec()].concat();
    for (args, input, records) in [
        (&["-l"][..], &b""[..], 0),
        (&["-l"], b"\n", 1),
        (&["-l"], b"a\nbb\n\nccc\n", 4),
        (&["-l"], b"a\nbb\n\nccc", 4),
        (&["-l"], b"a", 1),
        (&["-0"], b"a\0b\n\0\0", 3),
        (&["-0"], b"a\nb\n", 1),
        (&["--record-size", "4"], b"123456789", 3),
        (&["--record-size", "4"], b"12345678", 2),
        (&["--record-size", "1MiB"], b"12345678", 1),
        (&["-l", "-b", "4KiB"], &large, 2),
        (&["--record-size", "50000", "-b", "4KiB"], &large, 3),
        (&["-l", "-b", "4KiB", "-r", "5MB/s"], &large, 2),
        (&["-l", "-b", "4KiB", "-r", "100/s"], &large, 2),
        (&["-l", "-b", "4KiB", "--input-rate", "5MB/s"], &large, 2),
    ] {
        let case = format!("{args:?} {} bytes", input.len());
        let (got, ended) = pass(&[args, &["--summary", "json"]].concat(), input);
        assert_same(&got, input, &case);
        assert!(ended.status.success(), "{case}: {ended:?}");
        let books = Books::of(&ended);
        books.assert_are("records", [records, records, 0, 0], &case);
        books.assert_are("bytes", [input.len(), input.len(), 0, 0], &case);
        assert_eq!(books.value("end"), "eof");
    }
}

#[test]
fn records_are_counted_right_on_both_paths_and_from_one_to_the_other() {
    for args in [
        &["-l"][..],
        &["-l", "-r", "10000000/s"],
        &["-l", "--no-splice"],
    ] {
        let mut line = Line::new(&[args, &["-b", "1MiB", "--summary", "json"]].concat());
        for _ in 0..2 {
            for _ in 0..20 {
                line.send(50_001);
                line.take(50_001);
            }
            // Now the consumer stops, in the middle of what has been looked at already.
            let before = line.sent();
            line.stuff();
            line.take(line.sent() - before);
        }
        line.close_input();
        let ends = line.script().iter().filter(|&&b| b == b'\n').count();
        let records = ends + usize::from(!line.script().ends_with(b"\n"));
        let sent = line.sent();
        let books = Books::of(&line.finish(sent));
        books.assert_are("records", [records, records, 0, 0], &format!("{args:?}"));
        books.assert_are("bytes", [sent, sent, 0, 0], &format!("{args:?}"));
        assert!(books.n("path/copied") > 0, "{args:?}");
        let has_spliced = books.n("path/spliced") > 0;
        assert_eq!(has_spliced, args[1..] != ["--no-splice"], "{args:?}");
    }
}

#[test]
fn without_framing_nothing_is_said_of_records() {
    let (_, ended) = pass(&["--summary", "json"], b"a\nb\n");
    let books = Books::of(&ended);
    for at in ["in", "out", "shed", "undelivered"] {
        assert!(books.value(&format!("{at}/records")).is_null(), "{at}");
    }
}

#[test]
fn a_record_goes_on_over_the_end_of_a_file() {
    let dir = tempfile::TempDir::new().expect("make a directory");
    let path = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(path("a"), "one\nt").expect("write a file");
    std::fs::write(path("b"), "wo\nthree").expect("write a file");
    let (got, ended) = pass(&["-l", "--summary", "json", &path("a"), &path("b")], b"");
    assert_same(&got, b"one\ntwo\nthree", "two files");
    Books::of(&ended).assert_are("records", [3, 3, 0, 0], "two files");
}
