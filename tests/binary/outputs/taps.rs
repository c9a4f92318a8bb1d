//! `--tap`: whoever is shown what passes holds nobody up, neither in the course of the run nor at its end.

use std::fs::{self, File};
use std::io::{Read, Write, pipe};

use super::{MIB, folder, name, pass};
use crate::harness::books::Books;
use crate::harness::remote::{Home, Weir};
use crate::harness::sides::make_fifo;
use crate::harness::{assert_same, beside, collect, data, eventually, feed, start, weir};

#[test]
fn a_tap_that_takes_nothing_holds_nobody_up_and_its_books_say_so() {
    let folder = folder();
    let look = folder.path().join("look");
    make_fifo(&look);
    // One that opens it and never reads.
    let idle = File::options().read(true).write(true).open(&look);
    let idle = idle.expect("a FIFO");
    let bytes = data(8 * MIB, 3);
    let args = [
        "--tap",
        name(&look),
        "--tap-buffer",
        "1MiB",
        "--summary",
        "json",
    ];
    let (got, ended) = pass(&args, &bytes);
    drop(idle);
    assert_same(&got, &bytes, "the consumer");
    let books = Books::of(&ended);
    let n = |field: &str| books.n(&format!("outputs/0/{field}"));
    assert!(n("shed/bytes") > 4 * MIB, "{}", n("shed/bytes"));
    let all = n("written/bytes") + n("shed/bytes") + n("used");
    assert_eq!(all, bytes.len());
}

/// What it is to be shown is copied once, for it; nothing is for the consumer.
#[test]
#[cfg(target_os = "linux")]
fn a_tap_that_takes_nothing_and_one_that_is_a_file_cost_the_consumer_no_copy() {
    const PIECE: usize = 4096;
    let counted = ["-l", "--rate", "50M/s"];
    for args in [&[][..], &["-l"], &["--recall", "1MiB"], &counted] {
        let folder = folder();
        let [look, copy] = ["look", "copy"].map(|path| folder.path().join(path));
        make_fifo(&look);
        // One that opens it and never reads.
        let idle = File::options().read(true).write(true).open(&look);
        let idle = idle.expect("a FIFO");
        let (input, mut feeder) = pipe().expect("a pipe");
        let (mut reader, output) = pipe().expect("a pipe");
        let taps = ["--tap", name(&look), "--tap", name(&copy), "--summary"];
        let args = [&taps[..], &["json"], args].concat();
        let running = start(weir(&args), input, output);
        let bytes = data(4 * MIB, 3);
        for piece in bytes.chunks(PIECE) {
            feeder.write_all(piece).expect("taken");
            let mut got = [0; PIECE];
            reader.read_exact(&mut got).expect("a piece");
            assert_eq!(got, piece);
        }
        drop(feeder);
        let books = Books::of(&running.end());
        drop(idle);
        assert_eq!(books.n("path/spliced"), bytes.len(), "{args:?}");
        assert_same(&fs::read(&copy).expect("a copy"), &bytes, "the file");
    }
}

#[test]
fn each_reader_of_a_tap_begins_with_a_whole_line() {
    let home = Home::new();
    let folder = folder();
    let look = folder.path().join("look");
    make_fifo(&look);
    let mut weir = home.start(&["-l", "--tap", name(&look)]);
    let all = collect(weir.stdout.take().expect("a pipe"));
    let mut lines = 0..;
    let mut send = |weir: &mut Weir| {
        let n: usize = lines.next().expect("numbers do not end");
        weir.give(format!("line {n} {}\n", "x".repeat(n % 50)).as_bytes());
    };
    for _ in 0..3 {
        // Whoever comes before it is known that the last one has left goes on with what that has left unread.
        eventually("nobody reads", || {
            home.status(&weir)["outputs"][0]["vacant"] == true
        });
        // What passes before somebody reads is dropped.
        send(&mut weir);
        let path = look.clone();
        let opened = beside(move || File::open(path).expect("a FIFO"));
        let mut reader = opened.done();
        let (say, said) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut got = vec![0; 40];
            reader.read_exact(&mut got).expect("lines");
            drop(reader);
            say.send(got)
        });
        let mut got = Vec::new();
        eventually("a reader has got lines", || {
            send(&mut weir);
            got = said.try_recv().unwrap_or_default();
            !got.is_empty()
        });
        assert!(got.starts_with(b"line "), "{}", got.escape_ascii());
    }
    drop(weir.stdin.take());
    all.done();
    assert!(weir.end().success(), "taps came and went");
}

/// The machine may be busy: that one of a few ends in time shows that none has to wait.
#[test]
fn a_tap_that_takes_nothing_does_not_put_off_the_end() {
    let folder = folder();
    let look = folder.path().join("look");
    make_fifo(&look);
    let idle = File::options().read(true).write(true).open(&look);
    let _idle = idle.expect("a FIFO");
    let times = (0..5).map(|_| {
        let began = std::time::Instant::now();
        let (_, ended) = pass(&["--tap", name(&look)], &data(MIB, 3));
        ended.assert_success("a tap");
        began.elapsed()
    });
    let best = times.min().expect("some");
    assert!(best < std::time::Duration::from_secs(2), "{best:?}");
}

/// Nobody waits until it has taken the rest of a record, so it is not given a part of one that a pipe takes as a whole.
#[test]
fn a_tap_that_takes_nothing_has_whole_lines_when_weir_has_ended() {
    let folder = folder();
    let look = folder.path().join("look");
    for longest in [9, 67, 1000, 4096] {
        let _ = fs::remove_file(&look);
        make_fifo(&look);
        let reader = File::options().read(true).write(true).open(&look);
        let mut reader = reader.expect("a FIFO");
        let mut bytes = data(MIB, 4);
        bytes.iter_mut().for_each(|byte| *byte |= 128);
        let mut at = 0;
        while at < bytes.len() {
            // The first byte of a line says how long it is.
            at += usize::from(bytes[at]) * 31 % longest + 1;
            bytes[at.min(MIB) - 1] = b'\n';
        }
        let (got, ended) = pass(&["-l", "--tap", name(&look)], &bytes);
        ended.assert_success("a tap");
        assert_same(&got, &bytes, "the consumer");
        rustix::io::ioctl_fionbio(&reader, true).expect("it can");
        let mut seen = Vec::new();
        let _ = reader.read_to_end(&mut seen);
        assert!(seen.len() > 32_768, "{} bytes", seen.len());
        assert_same(&bytes[..seen.len()], &seen, "the tap");
        assert_eq!(seen.last(), Some(&b'\n'), "lines of {longest} at most");
    }
}

/// A pipe says that it has room by pages only. The machine may be busy: that one of a few gets all shows that weir looks at
/// what its reader takes.
#[test]
fn a_tap_whose_reader_takes_a_little_at_a_time_is_waited_for_at_the_end() {
    const MORE: usize = 10;
    let gets_all = |_| {
        let (home, folder) = (Home::new(), folder());
        let look = folder.path().join("look");
        make_fifo(&look);
        let reader = File::options().read(true).write(true).open(&look);
        let mut reader = reader.expect("a FIFO");
        let size = rustix::pipe::fcntl_getpipe_size(&reader).expect("a pipe");
        rustix::io::ioctl_fionbio(&reader, true).expect("it can");
        let mut weir = home.start(&["--tap", name(&look)]);
        eventually("the tap is open", || {
            home.status(&weir)["outputs"][0]["vacant"] == false
        });
        let bytes = data(size + MORE, 3);
        let fed = feed(weir.stdin.take().expect("not fed yet"), bytes.clone());
        assert_same(&weir.take(bytes.len()), &bytes, "the consumer");
        fed.done().expect("all is taken");
        let mut got = Vec::new();
        // Less than a page, and each time sooner than weir may lose patience.
        while got.len() < 8 {
            let mut byte = [0];
            eventually("there is a byte", || reader.read(&mut byte).is_ok());
            got.extend(byte);
            std::thread::sleep(std::time::Duration::from_millis(150));
        }
        let mut piece = vec![0; 65_536];
        eventually("weir ends", || {
            let is_over = weir.child.try_wait().expect("it is ours").is_some();
            while let Ok(n @ 1..) = reader.read(&mut piece) {
                got.extend_from_slice(&piece[..n]);
            }
            is_over
        });
        assert!(weir.end().success(), "a tap");
        got == bytes
    };
    assert!((0..5).any(gets_all), "it was never waited for");
}

/// The rest of what a tap is owed is read only when the consumer has seen its end. The machine may be busy: that it is still
/// given one time of a few shows who comes first.
#[test]
fn a_consumer_sees_its_end_before_taps_are_waited_for() {
    let gets_all = |_| {
        let (home, folder) = (Home::new(), folder());
        let look = folder.path().join("look");
        make_fifo(&look);
        let tap = File::options().read(true).write(true).open(&look);
        let mut tap = tap.expect("a FIFO");
        let mut weir = home.start(&["--tap", name(&look)]);
        eventually("the tap is open", || {
            home.status(&weir)["outputs"][0]["vacant"] == false
        });
        let bytes = data(MIB, 3);
        let fed = feed(weir.stdin.take().expect("not fed yet"), bytes.clone());
        let all = collect(weir.stdout.take().expect("a pipe"));
        assert_same(&all.done(), &bytes, "the consumer");
        fed.done().expect("all is taken");
        rustix::io::ioctl_fionbio(&tap, true).expect("it can");
        let (mut got, mut piece) = (Vec::new(), vec![0; 65_536]);
        eventually("weir ends", || {
            let is_over = weir.child.try_wait().expect("it is ours").is_some();
            while let Ok(n @ 1..) = tap.read(&mut piece) {
                got.extend_from_slice(&piece[..n]);
            }
            is_over
        });
        assert!(weir.end().success(), "a tap");
        got == bytes
    };
    assert!((0..5).any(gets_all), "the consumer came last");
}

/// The same of a FIFO, of which weir has another description of its own, since it can be written to in no other way without
/// blocking.
#[test]
fn a_consumer_that_reads_a_fifo_sees_its_end_before_taps_are_waited_for() {
    let ends_first = |_| {
        let folder = folder();
        let [look, way] = ["look", "way"].map(|path| folder.path().join(path));
        make_fifo(&look);
        make_fifo(&way);
        let tap = File::options().read(true).write(true).open(&look);
        let tap = tap.expect("a FIFO");
        let (opened, from) = (way.clone(), way.clone());
        let reader = beside(move || File::open(from).expect("a FIFO"));
        let output = File::options().write(true).open(opened).expect("a FIFO");
        let mut reader = reader.done();
        let args = ["--no-splice", "--tap", name(&look)];
        let (stdin, input) = pipe().expect("a pipe");
        let mut running = start(weir(&args), stdin, output);
        let bytes = data(MIB, 3);
        let fed = feed(input, bytes.clone());
        let mut got = Vec::new();
        reader.read_to_end(&mut got).expect("to its end");
        let is_there = running.is_alive();
        assert_same(&got, &bytes, "the consumer");
        fed.done().expect("all is taken");
        let status = running.end().status;
        drop(tap);
        assert!(status.success(), "{status}");
        is_there
    };
    assert!((0..5).any(ends_first), "the consumer came last");
}
