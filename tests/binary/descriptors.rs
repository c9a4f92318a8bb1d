//! Odd descriptors: closed, the wrong way round, full, non-blocking, and left as they were found.

use crate::harness;
use std::fs::{File, OpenOptions};
use std::io::pipe;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use crate::harness::line::Line;
use crate::harness::sides::{Before, make_raw, terminal};
use crate::harness::{assert_same, collect, data, feed, start, weir, weir_in_shell};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::pipe::fcntl_getpipe_size;

const WAYS: [&[&str]; 2] = [&[], &["--no-splice"]];

#[test]
fn a_closed_standard_input_is_an_error() {
    for args in [&[][..], &["-"]] {
        let (_, stdout) = pipe().expect("make a pipe");
        let end = start(
            weir_in_shell("", args, "<&-"),
            Before::DevNull.open(b""),
            stdout,
        )
        .end();
        end.assert_complains(1, &["read: standard input: Bad file descriptor"]);
    }
}

#[test]
fn a_closed_standard_output_is_an_error() {
    let stdin = Before::Pipe.open(b"x");
    let end = start(
        weir_in_shell("", &[], ">&-"),
        stdin,
        std::process::Stdio::null(),
    )
    .end();
    end.assert_complains(1, &["write: standard output: Bad file descriptor"]);
}

#[test]
fn a_closed_standard_output_is_an_error_for_help_and_generated_text_too() {
    for args in [
        &["-h"][..],
        &["--help"],
        &["-V"],
        &["--generate", "man"],
        &["--query"],
    ] {
        let null = std::process::Stdio::null;
        let end = start(weir_in_shell("", args, ">&-"), null(), null()).end();
        end.assert_complains(1, &["write: standard output: Bad file descriptor"]);
    }
}

#[test]
fn a_closed_standard_input_does_not_matter_to_files() {
    let file = tempfile::NamedTempFile::new().expect("make a file");
    std::fs::write(file.path(), b"content").expect("fill a file");
    let (output, stdout) = pipe().expect("make a pipe");
    let path = file.path().to_str().expect("a plain path");
    let end = start(
        weir_in_shell("", &[path], "<&-"),
        std::process::Stdio::null(),
        stdout,
    )
    .end();
    end.assert_success("file");
    assert_eq!(collect(output).done(), b"content");
}

#[test]
fn descriptors_open_the_wrong_way_round_are_errors() {
    let file = tempfile::NamedTempFile::new().expect("make a file");
    let read_only = || File::open(file.path()).expect("open");
    let write_only = || {
        OpenOptions::new()
            .write(true)
            .open(file.path())
            .expect("open")
    };
    let end = start(weir(&[]), Before::Pipe.open(b"x"), read_only()).end();
    end.assert_complains(1, &["write: standard output: Bad file descriptor"]);
    let end = start(weir(&[]), write_only(), std::process::Stdio::null()).end();
    end.assert_complains(1, &["read: standard input: Bad file descriptor"]);
}

#[test]
fn a_full_device_is_one_line_and_status_1() {
    let full = || {
        OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .expect("open /dev/full")
    };
    for way in WAYS {
        for before in [Before::Pipe, Before::RegularFile, Before::UnixSocket] {
            let end = start(weir(way), before.open(&data(300_000, 1)), full()).end();
            end.assert_complains(1, &["write: standard output: No space left on device"]);
        }
    }
    for args in [&["-h"][..], &["--help"], &["-V"], &["--generate", "fish"]] {
        let end = start(weir(args), std::process::Stdio::null(), full()).end();
        end.assert_complains(1, &["write: standard output: No space left on device"]);
    }
}

#[test]
fn help_into_a_pipe_that_nobody_reads_is_silent() {
    for args in [&["--help"][..], &["--generate", "zsh"]] {
        let (output, stdout) = pipe().expect("make a pipe");
        drop(output);
        let end = start(weir(args), std::process::Stdio::null(), stdout).end();
        end.assert_died_by(rustix::process::Signal::PIPE, "help");
    }
}

#[test]
fn a_terminal_that_has_hung_up_is_an_end_and_not_a_busy_loop() {
    let (ours, theirs) = terminal();
    let weir = start(weir(&[]), theirs, std::process::Stdio::null());
    weir.settle();
    drop(ours);
    let status = weir.end().status.code();
    assert!(matches!(status, Some(0 | 1)), "{status:?}");

    let (ours, theirs) = terminal();
    let (stdin, input) = pipe().expect("make a pipe");
    let weir = start(harness::weir(&[]), stdin, theirs);
    weir.settle();
    drop(ours);
    feed(input, b"into the void".to_vec());
    weir.end()
        .assert_complains(1, &["write: standard output: Input/output error"]);
}

fn set_nonblocking(fd: &impl AsFd) -> OFlags {
    let flags = fcntl_getfl(fd).expect("read flags") | OFlags::NONBLOCK;
    fcntl_setfl(fd, flags).expect("set flags");
    flags
}

/// Passes data through two descriptors, one or both of them non-blocking, with a producer and a
/// consumer that make each other wait; then looks whether the flags are what they were.
fn passes(theirs: [OwnedFd; 2], ours: [OwnedFd; 2], nonblocking: bool, case: &str) {
    let [stdin, stdout] = theirs;
    let before = if nonblocking {
        [set_nonblocking(&stdin), set_nonblocking(&stdout)]
    } else {
        [&stdin, &stdout].map(|fd| fcntl_getfl(fd).expect("read flags"))
    };
    let kept = [&stdin, &stdout].map(|fd| fd.try_clone().expect("duplicate a descriptor"));
    let [input, output] = ours.map(File::from);
    let bytes = data(3_000_000, 5);
    let weir = start(weir(&["-b", "100KB"]), stdin, stdout);
    weir.settle();
    feed(input, bytes.clone());
    weir.settle();
    let caught = harness::beside({
        let n = bytes.len();
        move || {
            use std::io::Read;
            let mut all = vec![0; n];
            (&output).read_exact(&mut all).map(|()| (all, output))
        }
    });
    let (all, output) = caught.done().expect("read");
    assert_same(&all, &bytes, case);
    weir.end().assert_success(case);
    let after = kept
        .each_ref()
        .map(|fd| fcntl_getfl(fd).expect("read flags"));
    assert_eq!(before, after, "{case}: flags have changed");
    drop(output);
}

fn pipes() -> ([OwnedFd; 2], [OwnedFd; 2]) {
    let ((stdin, input), (output, stdout)) = (pipe().expect("pipe"), pipe().expect("pipe"));
    ([stdin.into(), stdout.into()], [input.into(), output.into()])
}

fn sockets() -> ([OwnedFd; 2], [OwnedFd; 2]) {
    let pair = || UnixStream::pair().expect("make a socket pair");
    let ((stdin, input), (output, stdout)) = (pair(), pair());
    ([stdin.into(), stdout.into()], [input.into(), output.into()])
}

fn fifos() -> ([OwnedFd; 2], [OwnedFd; 2]) {
    let ((stdin, input), (output, stdout)) = (harness::sides::fifo(), harness::sides::fifo());
    ([stdin.into(), stdout.into()], [input.into(), output.into()])
}

#[test]
fn data_passes_whether_somebody_left_the_descriptors_blocking_or_not_and_flags_stay() {
    for nonblocking in [true, false] {
        for (case, make) in [
            ("pipes", pipes as fn() -> _),
            ("sockets", sockets),
            ("FIFOs", fifos),
        ] {
            let (theirs, ours) = make();
            passes(theirs, ours, nonblocking, &format!("{case}, {nonblocking}"));
        }
    }
}

#[test]
fn a_nonblocking_terminal_takes_everything() {
    let (ours, theirs) = terminal();
    make_raw(&theirs);
    let flags = set_nonblocking(&theirs);
    let kept = theirs.try_clone().expect("duplicate a descriptor");
    let bytes = data(200_000, 6);
    let weir = start(weir(&[]), Before::Pipe.open(&bytes), theirs);
    weir.settle();
    let caught = collect(ours);
    weir.end().assert_success("terminal");
    assert_eq!(fcntl_getfl(&kept), Ok(flags));
    drop(kept);
    assert_same(&caught.done(), &bytes, "terminal");
}

#[test]
fn a_stopped_terminal_runs_out_of_time_like_any_consumer() {
    let (_ours, theirs) = terminal();
    make_raw(&theirs);
    let args = ["--sink-timeout", "400ms"];
    let weir = start(weir(&args), Before::Pipe.open(&data(500_000, 6)), theirs);
    weir.end()
        .assert_complains(124, &["the sink has taken nothing"]);
}

#[test]
fn pipes_get_the_size_that_was_asked_for() {
    for (options, wanted) in [
        ("--pipe-size auto", [1 << 20, 256 << 10]),
        ("--buffer 300000", [256 << 10, 256 << 10]),
        ("--rate 1GB/s", [256 << 10, 256 << 10]),
        ("--pipe-size keep", [64 << 10, 64 << 10]),
        ("--pipe-size 128KiB", [128 << 10, 128 << 10]),
    ] {
        let mut line = Line::new(&options.split(' ').collect::<Vec<_>>());
        line.weir.settle();
        let sizes = [
            fcntl_getpipe_size(line.output_pipe()).expect("pipe size"),
            fcntl_getpipe_size(line.input_pipe()).expect("pipe size"),
        ];
        assert_eq!(sizes, wanted, "{options}");
    }
}

#[test]
fn a_refused_pipe_size_is_accepted_in_silence() {
    let mut line = Line::new(&["--pipe-size", "1GiB"]);
    line.send(100_000);
    line.close_input();
    line.finish(100_000).assert_success("1GiB");
}
