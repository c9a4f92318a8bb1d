//! Tees and taps between real streams: what each of them gets, and what it is to the others that one of
//! them is slow, full, gone or comes late.

mod taps;

use crate::harness;
use std::fs::{self, File};
use std::io::{Read, Write, pipe};
use std::path::Path;

use crate::harness::books::Books;
use crate::harness::remote::Home;
use crate::harness::sides::make_fifo;
use crate::harness::{assert_same, beside, collect, data, eventually, feed, start, weir};
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
fn what_cannot_be_opened_is_named_with_its_option() {
    let folder = folder();
    let none = folder.path().join("none/such");
    for (args, what) in [
        (&["--tee"][..], "open --tee"),
        (&["--append", "--tee"], "open --tee"),
        (&["--tap"], "open --tap"),
        (&["--shed", "oldest", "--shed-to"], "open --shed-to"),
        (&["--log"], "open --log"),
        (&["--metrics"], "write --metrics"),
        (&["--chart"], "write --chart"),
    ] {
        let (got, ended) = pass(&[args, &[name(&none)]].concat(), b"");
        let line = format!("{what}: {}: No such file or directory", name(&none));
        ended.assert_complains(1, &[&line]);
        assert_eq!(got, b"", "{args:?}");
    }
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
    // It waits for nothing before that.
    feeder.write_all(&[b'x'; 60_000]).expect("there is room");
    let running = start(weir(&args), input, std::process::Stdio::null());
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
