//! Promise 1: every byte read is written, in order, whatever stands on either side.

use crate::harness::sides::{BEHIND, Before};
use crate::harness::{assert_same, data, start, weir};

/// Ways to run weir that take different paths through it.
const WAYS: [&[&str]; 5] = [
    &[],
    &["--no-splice"],
    &["-b", "4KiB", "--pipe-size", "4KiB"],
    &["--no-splice", "-b", "9999", "--high", "7777", "--low", "1"],
    &["-b", "300001", "--prefill", "299999", "--pipe-size", "keep"],
];

#[track_caller]
fn reaches_every_output(before: Before) {
    let bytes = before.suit(&data(700_001, 7));
    for behind in BEHIND {
        for way in WAYS {
            let case = format!("{before:?} | weir {} | {behind:?}", way.join(" "));
            let (stdout, catch) = behind.open();
            let end = start(weir(way), before.open(&bytes), stdout).end();
            end.assert_success(&case);
            if let Some(caught) = catch.all() {
                assert_same(&caught, &bytes, &case);
            }
        }
    }
}

#[test]
fn what_comes_from_a_pipe_reaches_every_output_whole() {
    reaches_every_output(Before::Pipe);
}

#[test]
fn what_comes_from_a_fifo_reaches_every_output_whole() {
    reaches_every_output(Before::Fifo);
}

#[test]
fn what_comes_from_a_regular_file_reaches_every_output_whole() {
    reaches_every_output(Before::RegularFile);
}

#[test]
fn what_comes_from_a_unix_socket_reaches_every_output_whole() {
    reaches_every_output(Before::UnixSocket);
}

#[test]
fn what_comes_from_a_tcp_socket_reaches_every_output_whole() {
    reaches_every_output(Before::TcpSocket);
}

#[test]
fn what_is_typed_at_a_terminal_reaches_every_output_whole() {
    reaches_every_output(Before::Terminal);
}

#[test]
fn an_empty_input_makes_an_empty_output_everywhere() {
    reaches_every_output(Before::DevNull);
    for before in [
        Before::Pipe,
        Before::Fifo,
        Before::RegularFile,
        Before::UnixSocket,
    ] {
        for behind in BEHIND {
            let case = format!("nothing from {before:?} to {behind:?}");
            let (stdout, catch) = behind.open();
            start(weir(&[]), before.open(b""), stdout)
                .end()
                .assert_success(&case);
            assert!(catch.all().is_none_or(|bytes| bytes.is_empty()), "{case}");
        }
    }
}
