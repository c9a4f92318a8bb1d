//! Tees and taps between real streams: what each of them gets, and what it is to the others that one of
//! them is slow, full, gone or comes late.

mod harness;

use std::fs::{self, File};
use std::io::{Read, Write, pipe};
use std::path::Path;

use harness::books::Books;
use harness::remote::{Home, Weir};
use harness::sides::make_fifo;
use harness::{assert_same, beside, collect, data, eventually, feed, start, weir};
use rustix::process::Signal;
use tempfile::TempDir;

const MIB: usize = 1 << 20;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn name(path: &Path) -> &str {
    path.to_str().expect("a name in UTF-8")
}

/// Runs it with this input into a pipe; what came out, and how it ended.
fn pass(args: &[&str], bytes: &[u8]) -> (Vec<u8>, harness::Ended) {
    let (input, feeder) = pipe().expect("a pipe");
    let (reader, output) = pipe().expect("a pipe");
    let running = start(weir(args), input, output);
    let fed = feed(feeder, bytes.to_vec());
    let got = collect(reader).done();
    fed.done().expect("all was taken");
    (got, running.end())
}

#[test]
fn a_tee_gets_everything_and_append_keeps_what_was_there() {
    let folder = folder();
    let copy = folder.path().join("copy");
    let bytes = data(3 * MIB, 1);
    for (args, before) in [(&[][..], 0), (&["--append"], 1), (&[], 0)] {
        let args = [&["--tee", name(&copy)], args].concat();
        let (got, ended) = pass(&args, &bytes);
        ended.assert_success("a tee");
        assert_same(&got, &bytes, "the consumer");
        let copied = fs::read(&copy).expect("a copy");
        assert_same(&copied, &bytes.repeat(before + 1), "the copy");
    }
}

#[test]
fn an_output_that_fails_is_named_and_the_others_get_everything() {
    let folder = folder();
    let copy = folder.path().join("copy");
    let bytes = data(MIB, 2);
    let (got, ended) = pass(&["--tee", "/dev/full", "--tee", name(&copy)], &bytes);
    ended.assert_complains(1, &["write: /dev/full: No space left on device"]);
    assert_same(&got, &bytes, "the consumer");
    assert_same(&fs::read(&copy).expect("a copy"), &bytes, "the copy");
}

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

#[test]
fn a_tee_on_a_fifo_waits_for_its_reader_while_weir_can_be_asked_and_named() {
    let home = Home::new();
    let folder = folder();
    let copy = folder.path().join("copy");
    make_fifo(&copy);
    let mut weir = home.start(&["--tee", name(&copy)]);
    let bytes = data(MIB, 5);
    let feeding = feed(weir.stdin.take().expect("a pipe"), bytes.clone());
    let all = collect(weir.stdout.take().expect("a pipe"));
    eventually("the one that keeps everybody waiting is named", || {
        let culprit = home.status(&weir)["culprit"].clone();
        culprit.as_str().is_some_and(|it| it.ends_with("copy"))
    });
    let status = home.status(&weir);
    assert_eq!(
        (&status["state"], &status["outputs"][0]["vacant"]),
        (&"waiting".into(), &true.into())
    );
    assert_eq!(home.status(&weir)["in"]["bytes"], 0, "nothing is read yet");
    let reader = beside(move || fs::read(copy)).done().expect("a copy");
    feeding.done().expect("all is taken");
    assert_same(&all.done(), &bytes, "the consumer");
    assert_same(&reader, &bytes, "the copy");
    assert!(weir.end().success());
}

#[test]
fn a_consumer_that_leaves_ends_a_weir_whose_tee_is_not_read() {
    let folder = folder();
    let copy = folder.path().join("copy");
    make_fifo(&copy);
    let (input, _feeder) = pipe().expect("a pipe");
    let (reader, output) = pipe().expect("a pipe");
    let running = start(weir(&["--tee", name(&copy)]), input, output);
    drop(reader);
    running.end().assert_died_by(Signal::PIPE, "nobody is left");
}

/// While all keep up bytes go to all pipes without being copied, whatever is counted on the way.
#[test]
#[cfg(target_os = "linux")]
fn what_several_pipes_take_at_once_is_not_copied() {
    const PIECE: [u8; 64] = *b"one line, which is exactly as long as a piece of it, and an end\n";
    for args in [&[][..], &["-l"]] {
        let folder = folder();
        let paths = ["tee", "tap"].map(|path| folder.path().join(path));
        paths.iter().for_each(|path| make_fifo(path));
        let (input, mut feeder) = pipe().expect("a pipe");
        let (reader, output) = pipe().expect("a pipe");
        let [tee, tap] = paths.clone().map(|path| beside(move || File::open(path)));
        let sides = ["--tee", name(&paths[0]), "--tap", name(&paths[1])];
        let args = [&sides[..], &["--summary", "json"], args].concat();
        let running = start(weir(&args), input, output);
        let [mut tee, mut tap] = [tee, tap].map(|side| side.done().expect("a FIFO"));
        let mut reader = File::from(std::os::fd::OwnedFd::from(reader));
        // What comes before the tap knows its reader is dropped for it.
        let (say, said) = std::sync::mpsc::channel();
        let first = std::thread::spawn(move || {
            let mut got = [0; PIECE.len()];
            tap.read_exact(&mut got).expect("a piece");
            say.send(got).expect("somebody listens");
            tap
        });
        let mut pass_one = || {
            feeder.write_all(&PIECE).expect("taken");
            for side in [&mut reader, &mut tee] {
                let mut got = [0; PIECE.len()];
                side.read_exact(&mut got).expect("a piece");
                assert_eq!(got, PIECE);
            }
        };
        eventually("the tap has got a piece", || {
            pass_one();
            said.try_recv().is_ok()
        });
        let mut tap = first.join().expect("a piece");
        for _ in 0..200 {
            pass_one();
        }
        drop(feeder);
        let mut rest = Vec::new();
        tap.read_to_end(&mut rest).expect("the rest");
        assert!(rest.len() >= 200 * PIECE.len() && rest.chunks(PIECE.len()).all(|it| it == PIECE));
        let books = Books::of(&running.end());
        let all = books.n("in/bytes");
        // Now and then one finds a thread that was not there in time.
        let spliced = books.n("path/spliced");
        assert!(spliced > all / 2, "only {spliced} of {all} were not copied");
        let written = books.n("outputs/0/written/bytes");
        assert_eq!(written, all, "the tee's books");
    }
}

#[test]
fn the_pipe_of_a_tee_is_nobody_else_s() {
    // Else whoever reads it would not see its end before all programs had ended that weir has started.
    let script = "{ \"$0\" --tee /dev/fd/3 -- sh -c 'cat >&2; ! test -e /proc/$$/fd/3'; echo $? >&2; } 3>&1 | cat";
    let output = in_shell(script);
    assert_eq!(output.stdout, b"text\n");
    assert_eq!(output.stderr, b"text\n0\n");
}

/// Runs this with a line of text as its input; `$0` is weir.
fn in_shell(script: &str) -> std::process::Output {
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", script, env!("CARGO_BIN_EXE_weir")]);
    let (input, mut feeder) = pipe().expect("a pipe");
    feeder.write_all(b"text\n").expect("taken");
    drop(feeder);
    shell.stdin(input).output().expect("a shell")
}

#[test]
fn nor_is_the_pipe_of_a_tap() {
    let script = "{ \"$0\" --tap /dev/fd/3 -- sh -c 'cat >&2; ! test -e /proc/$$/fd/3'; echo $? >&2; } 3>&1 | cat";
    let output = in_shell(script);
    assert_eq!(output.stdout, b"text\n");
    assert_eq!(output.stderr, b"text\n0\n");
}

#[test]
fn what_a_file_held_goes_only_when_everything_could_be_opened() {
    let folder = folder();
    let kept = folder.path().join("kept");
    std::fs::write(&kept, "precious\n").expect("written");
    let missing = folder.path().join("none").join("x");
    for rest in [&["--tap", name(&missing)][..], &["--", name(&missing)]] {
        let args = [&["--tee", name(&kept)], rest].concat();
        let (_, end) = pass(&args, b"");
        assert!(!end.status.success(), "{rest:?}");
        let text = std::fs::read(&kept).expect("there");
        assert_eq!(text, b"precious\n", "{rest:?}");
    }
    let (_, end) = pass(&["--tee", name(&kept)], b"new\n");
    end.assert_success("all could be opened");
    assert_eq!(std::fs::read(&kept).expect("there"), b"new\n");
}

#[test]
fn what_a_tee_lacks_is_said_where_nothing_else_would() {
    let folder = folder();
    let slow = folder.path().join("slow");
    harness::sides::make_fifo(&slow);
    let held = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&slow);
    let held = held.expect("a FIFO that nobody reads from");
    let says = format!("undelivered to {}", slow.display());
    let (input, feeder) = pipe().expect("a pipe");
    let tee = ["--pipe-size", "4KiB", "--tee", name(&slow)];
    let args = [
        &tee[..],
        &["--grace", "100ms", "--", "head", "-c", "100000"],
    ]
    .concat();
    let running = start(weir(&args), input, std::process::Stdio::null());
    let fed = feed(feeder, vec![b'x'; 200_000]);
    running.end().assert_complains(125, &[&says]);
    // All of it or not: the one who has had enough was not the tee.
    drop(fed.done());
    let (input, feeder) = pipe().expect("a pipe");
    let script = "head -c 100000 >/dev/null; exit 3";
    let args = [&tee[..], &["--grace", "100ms", "--", "sh", "-c", script]].concat();
    let running = start(weir(&args), input, std::process::Stdio::null());
    let fed = feed(feeder, vec![b'x'; 200_000]);
    running.end().assert_complains(3, &[&says]);
    drop(fed.done());
    let (input, mut feeder) = pipe().expect("a pipe");
    let args = [&tee[..], &["--source-timeout", "300ms"]].concat();
    let running = start(weir(&args), input, std::process::Stdio::null());
    feeder.write_all(&[b'x'; 60_000]).expect("taken");
    running
        .end()
        .assert_complains(124, &["the source has sent nothing", &says]);
    drop((held, feeder));
}

/// Starts a weir whose tee is behind when its COMMAND, which has this status, ends; and who is to read the tee.
fn begin_behind_a_command(status: &str, more: &[&str]) -> (harness::Running, File, TempDir) {
    let folder = folder();
    let [slow, over] = ["slow", "over"].map(|path| folder.path().join(path));
    make_fifo(&slow);
    let reader = File::options().read(true).write(true).open(&slow);
    let reader = reader.expect("a FIFO that nobody reads from yet");
    let script = format!(
        "head -c 100000 >/dev/null; touch '{}'; exit {status}",
        over.display()
    );
    let tee = [
        "--pipe-size",
        "4KiB",
        "--summary",
        "json",
        "--tee",
        name(&slow),
    ];
    let args = [&tee[..], more, &["--", "sh", "-c", &script]].concat();
    let (input, feeder) = pipe().expect("a pipe");
    let running = start(weir(&args), input, std::process::Stdio::null());
    drop(feed(feeder, data(300_000, 7)));
    eventually("it has had enough", || over.exists());
    (running, reader, folder)
}

#[test]
fn a_tee_that_is_behind_gets_what_was_read_when_a_command_has_had_enough() {
    for status in ["0", "3"] {
        let (running, mut reader, _folder) = begin_behind_a_command(status, &["--grace", "1h"]);
        // All of it, behind which nothing comes: the FIFO is ours, too, and has no end.
        let mut got = vec![0; 4096];
        reader.read_exact(&mut got).expect("something");
        rustix::io::ioctl_fionbio(&reader, true).expect("it can");
        let mut running = running;
        eventually("weir ends", || {
            let mut piece = [0; 65536];
            while let Ok(n @ 1..) = reader.read(&mut piece) {
                got.extend_from_slice(&piece[..n]);
            }
            !running.is_alive()
        });
        let mut rest = [0; 65536];
        while let Ok(n @ 1..) = reader.read(&mut rest) {
            got.extend_from_slice(&rest[..n]);
        }
        let ended = running.end();
        assert_eq!(
            ended.status.code().map(|it| it.to_string()).as_deref(),
            Some(status),
            "{ended:?}"
        );
        let books = Books::of(&ended);
        let read = books.n("in/bytes");
        assert_same(&got, &data(300_000, 7)[..read], "the tee");
        assert!(read >= 100_000, "it was behind");
    }
}

#[test]
fn a_signal_ends_the_wait_for_a_tee_behind_a_command_that_has_had_enough() {
    for (signal, times) in [(Signal::INT, 1), (Signal::TERM, 2)] {
        let (running, reader, _folder) = begin_behind_a_command("0", &["--grace", "1h"]);
        running.settle();
        for n in 0..times {
            // Two that come at once are one.
            if n > 0 {
                running.settle();
            }
            running.signal(signal);
        }
        use std::os::unix::process::ExitStatusExt;
        let ended = running.end();
        assert_eq!(ended.status.signal(), Some(signal.as_raw()), "{ended:?}");
        drop(reader);
    }
}

#[test]
fn a_socket_is_named_as_what_it_is_with_the_way_out() {
    let folder = folder();
    let socket = folder.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    for option in ["--tee", "--tap", "--shed-to"] {
        let shed = ["--shed", "oldest", "-l"];
        let args = [&[option, name(&socket)][..], &shed].concat();
        let (_, ended) = pass(&args, b"");
        let way = format!(">(socat - UNIX-CONNECT:{})", socket.display());
        ended.assert_complains(1, &["it is a socket", &way]);
    }
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
