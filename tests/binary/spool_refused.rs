//! `--spool DIR` on file systems that take no room beforehand, or do not say how much they have: what they refuse is read
//! again, and nothing that was read is in memory alone but for that.

use std::fs;
use std::io::{PipeReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use crate::harness::remote::Home;
use crate::harness::small_disk::SmallDisk;
use crate::harness::{Running, collect, eventually, feed, side_by_side, spool, start};
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
    // The pipe has had the rest.
    let is_end = bytes.ends_with(&rest);
    assert!(is_end && rest.len() > 200_000, "{} bytes", rest.len());
    assert_eq!(said, "");
}

/// So many lines come.
const LINES: usize = 200_000;

fn status_of(home: &Home) -> Value {
    let answer = home.run(&["--query", "refused"]).stdout;
    serde_json::from_slice(&answer).unwrap_or(Value::Null)
}

/// A weir that reads a socket, for a consumer that reads nothing, and has been refused by its disk what it had room for.
struct Refused {
    // It is gone before the place where it is.
    _disk: SmallDisk,
    place: spool::Place,
    home: Home,
    ballast: PathBuf,
    running: Running,
    output: PipeReader,
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
        let bytes = spool::lines(0, LINES);
        let (first, rest) = bytes.split_at(300_000);
        ours.write_all(first).expect("it is taken");
        place.await_bytes(first.len());
        let ballast = disk.fill();
        feed(ours, rest.to_vec());
        let refused = Refused {
            place,
            home,
            _disk: disk,
            ballast,
            running,
            output,
        };
        eventually("it is full", || refused.status()["state"] == "disk-full");
        Some(refused)
    }

    fn status(&self) -> Value {
        status_of(&self.home)
    }

    /// Ends it by this signal. What it says, and how many lines the consumer and the next run have together, in order.
    fn end(self, by: Signal) -> (String, usize) {
        self.running.signal(by);
        let said = self.running.end().stderr;
        if self.ballast.exists() {
            fs::remove_file(&self.ballast).expect("room");
        }
        // What lies in the pipe.
        let first = collect(self.output).done();
        let mut next = first.split(|byte| *byte == b'\n').count() - 1;
        let (rest, _) = self.place.deliver(&["-l"]);
        let rest = String::from_utf8(rest).expect("text");
        assert!(!rest.is_empty(), "nothing was left");
        spool::go_on(&mut next, &rest, "behind the end");
        (said, next)
    }

    /// Bytes that it says it has read.
    fn read(&self) -> usize {
        self.status()["in"]["bytes"].as_u64().expect("a number") as usize
    }
}

#[test]
fn what_a_socket_brings_and_the_disk_refuses_is_not_read_on_into_memory() {
    let Some(it) = Refused::new() else { return };
    let (read, there) = (it.read(), it.place.taken_in());
    assert!(read <= there, "{read} bytes read, and {there} in the spool");
    let (_, lines) = it.end(Signal::KILL);
    // The last of them is not complete, maybe.
    assert!(spool::lines(0, lines + 1).len() >= read);
}

#[test]
fn what_a_socket_brings_and_the_disk_refuses_goes_there_once_it_has_room() {
    let Some(it) = Refused::new() else { return };
    fs::remove_file(&it.ballast).expect("room");
    it.place.await_bytes(spool::lines(0, LINES).len());
    assert_eq!(it.end(Signal::KILL).1, LINES);
}

#[test]
fn what_a_socket_has_brought_and_never_has_room_is_named_at_the_end() {
    let Some(it) = Refused::new() else { return };
    let read = it.read();
    let (said, lines) = it.end(Signal::TERM);
    let says = "there is no room for the last ";
    assert!(said.contains(says), "{said}");
    assert!(spool::lines(0, lines + 1).len() >= read);
}

/// Others may always give their room back: until then it is not torn, and where it fits after that not at all. One that is
/// longer than the disk is passed on in parts once nobody else has room there.
#[test]
fn a_record_that_is_longer_than_memory_waits_for_room_that_others_have() {
    let to_count = "cat; printf e";
    for (length, options) in [
        (3 << 20, &["--batch", "1", "--", "sh", "-c", to_count][..]),
        (6 << 20, &["--batch", "1", "--", "cat"]),
        (6 << 20, &["-j2", "--", "cat"]),
    ] {
        let place = spool::Place::new();
        let Some(disk) = SmallDisk::mount(place.spool(), "6m") else {
            return;
        };
        let home = Home::new();
        let mut bytes = vec![b'x'; length];
        bytes.push(b'\n');
        let (stdin, input) = std::io::pipe().expect("a pipe");
        let (output, stdout) = std::io::pipe().expect("a pipe");
        let fixed = ["-l", "-N", "refused", "--buffer", "1MiB"];
        let mut weir = place.weir(&[&fixed[..], options].concat());
        weir.envs(home.variables());
        let running = start(weir, stdin, stdout);
        eventually("it has begun", || place.spool().join("state").exists());
        let ballast = disk.ballast(4 << 20);
        let feeding = feed(input, bytes.clone());
        eventually("it is full", || {
            let status = status_of(&home);
            let read = status["in"]["bytes"].as_u64();
            status["state"] == "disk-full" && read > Some(3 << 19)
        });
        fs::remove_file(ballast).expect("others give their room back");
        let got = collect(output).done();
        if options.contains(&to_count) {
            bytes.push(b'e');
        }
        assert!(got == bytes, "{options:?}: {} bytes", got.len());
        feeding.done().expect("all is taken");
        let ended = running.end();
        assert!(ended.status.success(), "{ended:?}");
    }
}

/// Who waits for others who wait for it, too, has no end: then the beginning of a record is passed on, and given back.
#[test]
fn room_that_others_never_give_back_is_not_waited_for_for_good() {
    let jobs = [
        &[][..],
        &["--batch", "1", "--", "cat"],
        &["-j2", "--", "cat"],
    ];
    side_by_side(jobs, |options| {
        let place = spool::Place::new();
        let Some(disk) = SmallDisk::mount(place.spool(), "6m") else {
            return;
        };
        let mut bytes = vec![b'x'; 8 << 20];
        bytes.push(b'\n');
        if !options.contains(&"-j2") {
            // Of several the other one would have it first.
            bytes.extend_from_slice(b"the next one\n");
        }
        let (stdin, input) = std::io::pipe().expect("a pipe");
        let (output, stdout) = std::io::pipe().expect("a pipe");
        let fixed = ["-l", "--buffer", "1MiB"];
        let weir = place.weir(&[&fixed[..], options].concat());
        let running = start(weir, stdin, stdout);
        eventually("it has begun", || place.spool().join("state").exists());
        disk.ballast(4 << 20);
        let feeding = feed(input, bytes.clone());
        let got = collect(output).done();
        assert!(got == bytes, "{options:?}: {} bytes", got.len());
        feeding.done().expect("all is taken");
        let ended = running.end();
        assert!(ended.status.success(), "{ended:?}");
    });
}
