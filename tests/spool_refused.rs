//! `--spool DIR` on file systems that take no room beforehand, or do not say how much they have: what they refuse is read
//! again, and nothing that was read is in memory alone but for that.

mod harness;

use std::fs;
use std::io::{PipeReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use harness::remote::Home;
use harness::small_disk::SmallDisk;
use harness::{Beside, Running, collect, eventually, feed, spool, start};
use rustix::process::Signal;
use serde_json::Value;

/// One that has no size takes what comes.
#[test]
fn a_file_system_that_does_not_say_how_much_room_it_has_is_not_full() {
    let place = spool::Place::new();
    let Some(_disk) = SmallDisk::without_size(place.spool()) else {
        return;
    };
    let bytes = spool::lines(0, 100_000);
    place.leave(&bytes, &["-l"], Signal::KILL);
    let files = place.files("stream").len();
    assert!(files < 4, "{files} files");
    let (rest, said) = place.deliver(&["-l"]);
    assert!(rest == bytes, "{} of {} bytes", rest.len(), bytes.len());
    assert_eq!(said, "");
}

/// A weir that reads a socket, for a consumer that reads nothing, and has been refused by its disk what it had room for.
struct Refused {
    // It is gone before the place where it is.
    _disk: SmallDisk,
    place: spool::Place,
    home: Home,
    ballast: PathBuf,
    bytes: Vec<u8>,
    running: Running,
    feeding: Beside<std::io::Result<()>>,
    _output: PipeReader,
}

impl Refused {
    fn new() -> Option<Refused> {
        let place = spool::Place::new();
        let disk = SmallDisk::without_reserving(place.spool(), 16)?;
        let home = Home::new();
        let (mut ours, theirs) = UnixStream::pair().expect("sockets");
        let (output, stdout) = std::io::pipe().expect("a pipe");
        let mut weir = place.weir(&["-l", "-N", "refused", "--grace", "1ms"]);
        weir.envs(home.variables());
        let running = start(weir, OwnedFd::from(theirs), stdout);
        let bytes = spool::lines(0, 200_000);
        let (first, rest) = bytes.split_at(300_000);
        ours.write_all(first).expect("it is taken");
        place.await_bytes(first.len());
        let ballast = disk.fill();
        let feeding = feed(ours, rest.to_vec());
        let refused = Refused {
            place,
            home,
            _disk: disk,
            ballast,
            running,
            feeding,
            bytes,
            _output: output,
        };
        eventually("it is full", || refused.status()["state"] == "disk-full");
        Some(refused)
    }

    fn status(&self) -> Value {
        let answer = self.home.run(&["--query", "refused"]).stdout;
        serde_json::from_slice(&answer).unwrap_or(Value::Null)
    }

    /// What the next run gets, which is what was sent first.
    fn rest(place: &spool::Place, bytes: &[u8]) -> usize {
        let (rest, _) = place.deliver(&["-l"]);
        assert!(
            bytes.starts_with(&rest),
            "of {} bytes something is not in order",
            rest.len()
        );
        rest.len()
    }
}

#[test]
fn what_a_socket_brings_and_the_disk_refuses_is_not_read_on_into_memory() {
    let Some(it) = Refused::new() else { return };
    let read = it.status()["in"]["bytes"].as_u64().expect("a number");
    let there = it.place.taken_in() as u64;
    assert!(read <= there, "{read} bytes read, and {there} in the spool");
    it.running.signal(Signal::KILL);
    it.running.end();
    fs::remove_file(&it.ballast).expect("room");
    assert!(Refused::rest(&it.place, &it.bytes) as u64 >= read);
}

#[test]
fn what_a_socket_brings_and_the_disk_refuses_goes_there_once_it_has_room() {
    let Some(it) = Refused::new() else { return };
    fs::remove_file(&it.ballast).expect("room");
    it.place.await_bytes(it.bytes.len());
    it.feeding.done().expect("all is taken");
    it.running.signal(Signal::KILL);
    it.running.end();
    assert_eq!(Refused::rest(&it.place, &it.bytes), it.bytes.len());
}

#[test]
fn what_a_socket_has_brought_and_never_has_room_is_named_at_the_end() {
    let Some(it) = Refused::new() else { return };
    let read = it.status()["in"]["bytes"].as_u64().expect("a number");
    it.running.signal(Signal::TERM);
    let ended = it.running.end();
    let says = "there is no room for the last ";
    assert!(ended.stderr.contains(says), "{ended:?}");
    fs::remove_file(&it.ballast).expect("room");
    assert!(Refused::rest(&it.place, &it.bytes) as u64 >= read);
}

/// Nothing is certain to be enough for it, so that what others have there is not waited for.
#[test]
fn a_record_that_is_longer_than_memory_does_not_wait_for_good_for_room_that_others_have() {
    for options in [&["--batch", "1", "--", "cat"][..], &["-j2", "--", "cat"]] {
        let place = spool::Place::new();
        let Some(disk) = SmallDisk::mount(place.spool(), "6m") else {
            return;
        };
        disk.ballast(4 << 20);
        let mut bytes = vec![b'x'; 6 << 20];
        bytes.push(b'\n');
        let (stdin, input) = std::io::pipe().expect("a pipe");
        let (output, stdout) = std::io::pipe().expect("a pipe");
        let fixed = ["-l", "--buffer", "1MiB"];
        let running = start(place.weir(&[&fixed[..], options].concat()), stdin, stdout);
        let feeding = feed(input, bytes.clone());
        let got = collect(output).done();
        assert!(got == bytes, "{options:?}: {} bytes", got.len());
        feeding.done().expect("all is taken");
        running.end().assert_success("it goes on");
    }
}
