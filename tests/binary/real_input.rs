//! Real programs and real data on both sides.

use crate::harness;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write, pipe};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::books::Books;
use crate::harness::line::Line;
use crate::harness::sides::{Before, tcp};
use crate::harness::{Running, assert_same, beside, collect, data, program, start, weir};
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socketpair};

const WAYS: [&[&str]; 2] = [&[], &["--no-splice", "-b", "100KB"]];

/// `first | weir | last`: what comes out.
fn through(first: Command, way: &[&str], stdin: Stdio, last: Command) -> Vec<u8> {
    let (a, b) = (pipe().expect("make a pipe"), pipe().expect("make a pipe"));
    let (output, stdout) = pipe().expect("make a pipe");
    let programs = [
        start(first, stdin, a.1),
        start(weir(way), a.0, b.1),
        start(last, b.0, stdout),
    ];
    let all = collect(output).done();
    for program in programs {
        program.end().assert_success("pipeline");
    }
    all
}

fn command(name: &str, args: &[&str]) -> Command {
    let mut command = program(name);
    command.args(args);
    command
}

/// A consumer that does not leave before the end has come through, as tar does now and then.
fn to_the_end(script: &str) -> Command {
    program("tar");
    command("sh", &["-c", &format!("{script} && cat")])
}

#[test]
fn a_consumer_that_has_all_and_leaves_just_before_the_end_is_no_failure() {
    for _ in 0..60 {
        let create = command(
            "tar",
            &["-cf", "-", "-C", env!("CARGO_MANIFEST_DIR"), "src"],
        );
        through(
            create,
            WAYS[0],
            Stdio::null(),
            command("tar", &["-tf", "-"]),
        );
    }
}

#[test]
fn an_archive_of_a_real_tree_arrives_whole() {
    let tree = [
        "-C",
        env!("CARGO_MANIFEST_DIR"),
        "src",
        "tests",
        "Cargo.lock",
    ];
    let create = || command("tar", &[&["-cf", "-"][..], &tree].concat());
    for way in WAYS {
        let list = to_the_end("tar -tf -");
        let listed = through(create(), way, Stdio::null(), list);
        let listed = String::from_utf8(listed).expect("names are text");
        assert_eq!(listed.lines().filter(|l| *l == "src/main.rs").count(), 1);
        assert_eq!(listed.lines().last(), Some("Cargo.lock"));

        let dir = tempfile::TempDir::new().expect("make a directory");
        let to = dir.path().to_str().expect("a plain path");
        let extract = to_the_end(&format!("tar -xf - -C '{to}'"));
        through(create(), way, Stdio::null(), extract);
        for file in ["src/main.rs", "Cargo.lock", "tests/binary/real_input.rs"] {
            let want = fs::read(file).expect("read a file of this project");
            let got = fs::read(dir.path().join(file)).expect("read an extracted file");
            assert_same(&got, &want, file);
        }
    }
}

#[test]
fn a_compressor_on_each_side_changes_nothing() {
    let bytes = data(2_000_000, 8).repeat(2);
    for way in WAYS {
        for before in [Before::Pipe, Before::RegularFile] {
            let (pack, unpack) = (command("gzip", &["-1c"]), command("gzip", &["-dc"]));
            let got = through(pack, way, before.open(&bytes), unpack);
            assert_same(&got, &bytes, "gzip | weir | gzip -d");
        }
    }
}

#[test]
fn a_hop_over_the_network_changes_nothing() {
    let bytes = data(5_000_000, 9);
    for way in WAYS {
        let (near, far) = tcp();
        let sender = start(weir(way), Before::Pipe.open(&bytes), OwnedFd::from(near));
        let (output, stdout) = pipe().expect("make a pipe");
        let receiver = start(weir(way), OwnedFd::from(far), stdout);
        assert_same(&collect(output).done(), &bytes, "TCP");
        sender.end().assert_success("sender");
        receiver.end().assert_success("receiver");
    }
}

#[test]
fn weir_after_weir_changes_nothing() {
    let bytes = data(5_000_000, 10);
    let (a, b) = (pipe().expect("make a pipe"), pipe().expect("make a pipe"));
    let (output, stdout) = pipe().expect("make a pipe");
    let all = [
        start(weir(&[]), Before::RegularFile.open(&bytes), a.1),
        start(weir(&["-b", "4KiB", "--no-splice"]), a.0, b.1),
        start(weir(&["--prefill", "50%"]), b.0, stdout),
    ];
    assert_same(&collect(output).done(), &bytes, "three of them");
    for weir in all {
        weir.end().assert_success("three of them");
    }
}

#[test]
fn each_line_of_a_growing_file_comes_through_before_the_next_is_written() {
    let log = tempfile::NamedTempFile::new().expect("make a file");
    let mut growing = OpenOptions::new()
        .append(true)
        .open(log.path())
        .expect("open a file");
    for way in WAYS {
        let (stdin, tail_out) = pipe().expect("make a pipe");
        let (output, stdout) = pipe().expect("make a pipe");
        let path = log.path().to_str().expect("a plain path");
        let tail = command("tail", &["-n", "0", "-f", path]);
        let tail: Running = start(tail, Stdio::null(), tail_out);
        let _weir = start(weir(way), stdin, stdout);
        // Before tail has looked at the file nothing could come through.
        tail.settle();
        let mut lines = BufReader::new(output);
        for n in 0..4 {
            writeln!(growing, "line {n}").expect("write a line");
            let got = beside(move || {
                let mut line = String::new();
                lines.read_line(&mut line).map(|_| (line, lines))
            });
            let (line, back) = got.done().expect("read a line");
            assert_eq!(line, format!("line {n}\n"));
            lines = back;
        }
    }
}

#[test]
fn each_byte_comes_through_before_the_next_is_sent() {
    for way in WAYS {
        let mut line = Line::new(way);
        for _ in 0..2000 {
            line.send(1);
            line.take(1);
        }
        line.close_input();
        line.finish(2000).assert_success("byte by byte");
    }
}

#[test]
fn a_producer_of_single_bytes_fills_the_buffer_and_loses_nothing() {
    let bytes = data(60_000, 11);
    for way in [
        &["-b", "20000", "--pipe-size", "4KiB"][..],
        &["-b", "20000", "--pipe-size", "4KiB", "--no-splice"],
    ] {
        let (stdin, mut input) = pipe().expect("make a pipe");
        let (mut output, stdout) = pipe().expect("make a pipe");
        let weir = start(weir(way), stdin, stdout);
        let single = bytes.clone();
        let fed = beside(move || single.iter().all(|b| input.write_all(&[*b]).is_ok()));
        weir.settle();
        let mut caught = Vec::new();
        output.read_to_end(&mut caught).expect("read");
        assert!(fed.done());
        assert_same(&caught, &bytes, "single bytes");
        weir.end().assert_success("single bytes");
    }
}

#[test]
fn a_request_and_its_answer_do_not_wait_for_a_block_to_fill() {
    // Two programs that talk in turns deadlock over a filter that waits for more.
    let ((stdin, input), (answers, stdout)) = (pipe().expect("pipe"), pipe().expect("pipe"));
    let (echo_in, weir_out) = pipe().expect("make a pipe");
    let _weir = start(weir(&["--no-splice"]), stdin, weir_out);
    let _echo = start(program("cat"), echo_in, stdout);
    let talk = beside(move || {
        let (mut input, mut answers) = (input, answers);
        (0..200u8).all(|n| {
            let mut answer = [0];
            input.write_all(&[n]).is_ok()
                && answers.read_exact(&mut answer).is_ok()
                && answer == [n]
        })
    });
    assert!(talk.done());
}

/// A block device of 1 MiB over a file, as root can have one; gone with this.
struct Loop(String);

impl Loop {
    fn over(image: &Path) -> Option<Loop> {
        let made = Command::new("losetup")
            .args(["-f", "--show"])
            .arg(image)
            .output();
        let made = made.ok().filter(|made| made.status.success())?;
        Some(Loop(
            String::from_utf8_lossy(&made.stdout).trim().to_owned(),
        ))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["-d", &self.0]).status();
    }
}

#[test]
fn a_block_device_has_a_size() {
    let dir = tempfile::TempDir::new().expect("make a directory");
    let image = dir.path().join("image");
    let bytes = data(1 << 20, 5);
    fs::write(&image, &bytes).expect("an image");
    let Some(device) = Loop::over(&image) else {
        harness::skip("no loop device can be had here; that takes root and losetup");
        return;
    };
    for named in [true, false] {
        let mut command = weir(&["--summary", "json"]);
        let stdin = if named {
            command.arg(&device.0);
            Stdio::null()
        } else {
            File::open(&device.0).expect("a device").into()
        };
        let (output, stdout) = pipe().expect("make a pipe");
        let weir = start(command, stdin, stdout);
        let got = collect(output).done();
        let end = weir.end();
        assert!(end.status.success(), "{end:?}");
        assert!(got == bytes, "not the same bytes");
        let books = Books::of(&end);
        assert_eq!(books.n("size"), 1 << 20, "{}", end.stderr);
    }
}

#[test]
fn packets_of_a_socket_lose_nothing_whatever_room_there_is() {
    let spool = tempfile::tempdir().expect("a directory");
    let home = spool.path().join("q").display().to_string();
    let ways = [
        &["-b", "8KiB"][..],
        &["--input-rate", "100MB/s", "-l"],
        &["--spool", &home, "-b", "4KiB"],
    ];
    for way in ways {
        let (kind, flags) = (SocketType::SEQPACKET, SocketFlags::CLOEXEC);
        let sockets = socketpair(AddressFamily::UNIX, kind, flags, None);
        let (stdin, input) = sockets.expect("a pair of sockets");
        let (output, stdout) = pipe().expect("make a pipe");
        let running = start(weir(way), stdin, stdout);
        let bytes = data(4 << 20, 5);
        let sent = bytes.clone();
        let feeding = beside(move || {
            for (n, packet) in sent.chunks(50_000).enumerate() {
                // An empty one is not the end.
                let few = &packet[..n % 3];
                for part in [few, &packet[few.len()..]] {
                    send(&input, part, SendFlags::empty()).expect("it is sent");
                }
            }
        });
        assert_same(&collect(output).done(), &bytes, &format!("{way:?}"));
        feeding.done();
        running.end().assert_success("all has come");
    }
}

#[test]
fn what_is_left_of_a_packet_when_weir_is_told_to_end_is_said() {
    let (kind, flags) = (SocketType::SEQPACKET, SocketFlags::CLOEXEC);
    let sockets = socketpair(AddressFamily::UNIX, kind, flags, None);
    let (stdin, input) = sockets.expect("a pair of sockets");
    let (mut output, stdout) = pipe().expect("make a pipe");
    let running = start(weir(&["--input-rate", "20KB/s"]), stdin, stdout);
    send(&input, &data(100_000, 5), SendFlags::empty()).expect("it is sent");
    std::io::Read::read_exact(&mut output, &mut [0; 100]).expect("some of it has come");
    running.signal(rustix::process::Signal::TERM);
    let rest = collect(output);
    let ended = running.end();
    let left = 100_000 - 100 - rest.done().len();
    let says = format!("standard input: the last {left} bytes of a packet are not delivered");
    assert!(ended.stderr.contains(&says), "{ended:?}");
}
