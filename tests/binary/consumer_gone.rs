//! Promise 8: a consumer that goes away ends weir at once, by SIGPIPE and without a word, even
//! while the producer is silent.

use crate::harness;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use crate::harness::line::Line;
use crate::harness::sides::{Before, fifo, terminal};
use crate::harness::{beside, start, weir, weir_in_shell};
use rustix::process::Signal;

const WAYS: [&[&str]; 2] = [&[], &["--no-splice"]];

#[test]
fn a_consumer_that_leaves_a_silent_producer_ends_weir_at_once() {
    for way in WAYS {
        let line = Line::new(way);
        line.weir.settle();
        line.leave().assert_died_by(Signal::PIPE, "nothing sent");

        let mut line = Line::new(way);
        line.send(100);
        line.take(100);
        line.weir.settle();
        line.leave().assert_died_by(Signal::PIPE, "all taken");
    }
}

#[test]
fn a_consumer_that_leaves_a_full_buffer_ends_weir_at_once() {
    for way in WAYS {
        let mut line = Line::new(&[&["-b", "1MiB"], way].concat());
        line.stuff();
        line.leave().assert_died_by(Signal::PIPE, "full");
    }
}

#[test]
fn a_consumer_that_leaves_during_a_prefill_ends_weir_at_once() {
    let mut line = Line::new(&["--prefill", "1MiB"]);
    line.send(1000);
    line.weir.settle();
    line.leave().assert_died_by(Signal::PIPE, "held");
}

#[test]
fn a_reader_of_a_fifo_that_leaves_ends_weir_at_once() {
    for way in WAYS {
        let (ours, stdout) = fifo();
        let (stdin, _input) = std::io::pipe().expect("make a pipe");
        let weir = start(weir(way), stdin, stdout);
        weir.settle();
        drop(ours);
        weir.end().assert_died_by(Signal::PIPE, "FIFO");
    }
}

#[test]
fn a_peer_of_a_socket_that_leaves_ends_weir_at_once() {
    let (ours, theirs) = UnixStream::pair().expect("make a socket pair");
    let (stdin, _input) = std::io::pipe().expect("make a pipe");
    let weir = start(weir(&[]), stdin, OwnedFd::from(theirs));
    weir.settle();
    drop(ours);
    weir.end().assert_died_by(Signal::PIPE, "socket");
}

#[test]
fn a_terminal_that_hangs_up_ends_weir_at_once_as_a_write_to_it_would() {
    let says = ["write: standard output: Input/output error"];
    for way in [&[][..], &["--no-splice"], &["-l", "-b", "1MiB"]] {
        let (ours, theirs) = terminal();
        let (stdin, mut input) = std::io::pipe().expect("make a pipe");
        let weir = start(weir(way), stdin, theirs);
        input.write_all(b"shown\n").expect("send");
        let mut shown = [0; 6];
        (&ours).read_exact(&mut shown).expect("it is shown");
        weir.settle();
        drop(ours);
        weir.end().assert_complains(1, &says);
        drop(input);
    }
}

#[test]
fn a_peer_that_only_stops_sending_is_still_a_consumer() {
    let (mut ours, theirs) = UnixStream::pair().expect("make a socket pair");
    let both = theirs.try_clone().expect("duplicate a socket");
    let weir = start(weir(&[]), OwnedFd::from(theirs), OwnedFd::from(both));
    ours.write_all(b"there and back").expect("send");
    ours.shutdown(std::net::Shutdown::Write).expect("shut down");
    let mut back = String::new();
    ours.read_to_string(&mut back).expect("receive");
    assert_eq!(back, "there and back");
    weir.end().assert_success("half closed");
}

#[test]
fn a_consumer_that_leaves_after_the_end_is_no_different_from_one_that_stays() {
    for _ in 0..20 {
        let (mut output, stdout) = std::io::pipe().expect("make a pipe");
        let weir = start(weir(&[]), Before::RegularFile.open(b"all of it"), stdout);
        weir_is_done(weir, &mut output);
    }
}

fn weir_is_done(weir: harness::Running, output: &mut impl Read) {
    let end = weir.end();
    end.assert_success("delivered into the pipe");
    let mut all = String::new();
    output.read_to_string(&mut all).expect("read");
    assert_eq!(all, "all of it");
}

/// `producer that never stops | weir | head -c 1000`
fn leave_in_the_middle(way: &[&str]) {
    for round in 0..25 {
        let (stdin, mut input) = std::io::pipe().expect("make a pipe");
        let (mut output, stdout) = std::io::pipe().expect("make a pipe");
        let weir = start(weir(way), stdin, stdout);
        let producer = beside(move || while input.write_all(&[7; 8192]).is_ok() {});
        output.read_exact(&mut [0; 1000]).expect("read");
        drop(output);
        let case = format!("{way:?}, round {round}");
        weir.end().assert_died_by(Signal::PIPE, &case);
        producer.done();
    }
}

#[test]
fn a_consumer_that_leaves_in_the_middle_of_a_splice_is_not_a_success() {
    leave_in_the_middle(&[]);
}

#[test]
fn a_consumer_that_leaves_in_the_middle_of_a_copy_is_not_a_success() {
    leave_in_the_middle(&["--no-splice"]);
}

#[test]
fn where_sigpipe_is_ignored_a_consumer_that_leaves_is_said_as_cat_says_it() {
    let says = ["write: standard output: Broken pipe"];
    for way in WAYS {
        let ignoring = || weir_in_shell("trap '' PIPE", way, "");
        let mut line = Line::with(ignoring());
        line.send(100);
        line.take(100);
        line.weir.settle();
        line.leave().assert_complains(1, &says);

        let (output, stdout) = std::io::pipe().expect("make a pipe");
        drop(output);
        let weir = start(ignoring(), Before::Pipe.open(&[0; 300_000]), stdout);
        weir.end().assert_complains(1, &says);
    }
    let (output, stdout) = std::io::pipe().expect("make a pipe");
    drop(output);
    let help = weir_in_shell("trap '' PIPE", &["--help"], "");
    let weir = start(help, std::process::Stdio::null(), stdout);
    weir.end().assert_complains(1, &says);
}
