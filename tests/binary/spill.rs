//! The disk behind memory: what a producer sends goes on arriving there while the consumer takes nothing, comes out in
//! order, and leaves nothing behind.

use crate::harness;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::linux::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::io::ioctl_fionread;

use crate::harness::remote::{Home, Weir};
use crate::harness::sides::make_fifo;
use crate::harness::small_disk::SmallDisk;
use crate::harness::{WEIR, assert_same, beside, collect, data, eventually, feed, start, weir};

const MIB: usize = 1 << 20;

/// Bytes of disk that files without a name take which this process holds.
fn unnamed(pid: &str) -> u64 {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return 0;
    };
    let files = entries.flatten().filter(|entry| {
        let name = fs::read_link(entry.path()).unwrap_or_default();
        name.to_string_lossy().ends_with(" (deleted)")
    });
    let blocks = files.filter_map(|entry| fs::metadata(entry.path()).ok());
    blocks.map(|data| data.st_blocks() * 512).sum()
}

/// A number in its status.
fn figure(home: &Home, weir: &Weir, pointer: &str) -> u64 {
    let status = home.status(weir);
    let found = status.pointer(pointer).and_then(serde_json::Value::as_u64);
    found.unwrap_or_else(|| panic!("{pointer} is no number in {status}"))
}

#[test]
fn a_producer_ends_though_the_consumer_has_taken_nothing() {
    let bytes = data(30 * MIB, 1);
    for args in [
        &["-b", "1MiB", "--spill", "64MiB"][..],
        &["-b", "1MiB", "--spill", "64MiB", "-l"],
        &["-b", "4KiB", "--spill", "40MiB", "--no-splice"],
        &["-b", "1MiB", "--spill", "64MiB", "--tee", "/dev/null"],
    ] {
        let home = Home::new();
        let mut weir = home.start(args);
        let input = weir.stdin.take().expect("its input");
        feed(input, bytes.clone())
            .done()
            .expect("all of it is taken");
        eventually("all is read", || {
            figure(&home, &weir, "/in/bytes") == bytes.len() as u64
        });
        let on_disk = figure(&home, &weir, "/buffer/disk/used");
        assert!(on_disk > 25 * MIB as u64, "{on_disk} on disk, {args:?}");
        assert!(unnamed(&weir.pid()) >= on_disk, "{args:?}");
        assert_eq!(fs::read_dir(home.temporary()).expect("it").count(), 0);
        let output = weir.stdout.take().expect("its output");
        assert_same(&collect(output).done(), &bytes, &format!("{args:?}"));
        assert!(weir.end().success(), "{args:?}");
    }
}

#[test]
fn memory_is_used_first_and_the_disk_not_at_all_until_it_is_full() {
    let home = Home::new();
    let mut weir = home.start(&["-b", "4MiB", "--spill", "64MiB"]);
    weir.give(&data(3 * MIB, 2));
    assert_eq!(unnamed(&weir.pid()), 0);
    assert_eq!(figure(&home, &weir, "/buffer/disk/peak"), 0);
    assert_eq!(
        figure(&home, &weir, "/buffer/capacity"),
        68 * MIB as u64,
        "the marks are of memory and disk together"
    );
}

#[test]
fn room_is_given_back_while_it_is_read() {
    let home = Home::new();
    let mut weir = home.start(&["-b", "1MiB", "--spill", "64MiB"]);
    let bytes = data(60 * MIB, 3);
    let input = weir.stdin.take().expect("its input");
    feed(input, bytes.clone())
        .done()
        .expect("all of it is taken");
    let full = unnamed(&weir.pid());
    assert!(full > 55 * MIB as u64, "{full}");
    let mut got = weir.take(30 * MIB);
    eventually("half of it is given back", || {
        unnamed(&weir.pid()) < 40 * MIB as u64
    });
    got.extend(weir.take(30 * MIB));
    assert_same(&got, &bytes, "all of it");
    assert!(weir.end().success());
}

#[test]
fn a_stream_that_is_longer_than_the_disk_passes_within_its_bound() {
    let bytes = data(40 * MIB, 4);
    let (stdin, input) = std::io::pipe().expect("a pipe");
    let (output, stdout) = std::io::pipe().expect("a pipe");
    let args = [
        "-b",
        "64KiB",
        "--spill",
        "2MiB",
        "-q",
        "--pipe-size",
        "64KiB",
    ];
    let running = start(weir(&args), stdin, stdout);
    let pid = running.pid().as_raw_nonzero().to_string();
    let feeding = feed(input, bytes.clone());
    eventually("it is full", || unnamed(&pid) > 3 * MIB as u64 / 2);
    let most = beside(move || {
        let mut most = 0;
        while Path::new(&format!("/proc/{pid}/fd")).exists() {
            let now = unnamed(&pid);
            if now == 0 && most > 0 {
                break;
            }
            most = most.max(now);
        }
        most
    });
    assert_same(&collect(output).done(), &bytes, "a long stream");
    feeding.done().expect("all of it is taken");
    running.end().assert_success("a long stream");
    // While one file after the other is looked at, one that was counted goes and another one comes.
    let most = most.done();
    assert!(most <= (2 * MIB + 2 * 64 * 1024) as u64, "{most}");
}

#[test]
fn a_prefill_of_all_is_store_and_forward() {
    let home = Home::new();
    let mut weir = home.start(&["-b", "1MiB", "--spill", "32MiB", "--prefill", "100%"]);
    let bytes = data(20 * MIB, 5);
    weir.give(&bytes);
    eventually("it holds it", || {
        home.status(&weir)["state"] == "filling"
            && figure(&home, &weir, "/buffer/used") == 20 * MIB as u64
    });
    drop(weir.stdin.take());
    let output = weir.stdout.take().expect("its output");
    assert_same(&collect(output).done(), &bytes, "stored and forwarded");
    assert!(weir.end().success());
}

#[test]
fn shedding_keeps_the_newest_whole_records_of_memory_and_disk_together() {
    let home = Home::new();
    let args = [
        "-l",
        "-b",
        "64KiB",
        "--spill",
        "1MiB",
        "--shed",
        "oldest",
        "--pipe-size",
        "4KiB",
    ];
    let mut weir = home.start(&args);
    let lines: Vec<String> = (0..300_000).map(|n| format!("{n:08}\n")).collect();
    let input = weir.stdin.take().expect("its input");
    feed(input, lines.concat().into_bytes())
        .done()
        .expect("nobody is held up");
    let output = weir.stdout.take().expect("its output");
    let got = String::from_utf8(collect(output).done()).expect("text");
    assert!(weir.end().success());
    let mut numbers = got.lines().map(|line| {
        assert_eq!(line.len(), 8, "{line:?} is torn");
        line.parse::<u32>().expect("a number")
    });
    let mut all: Vec<u32> = numbers.by_ref().collect();
    assert!(all.is_sorted_by(|a, b| a < b), "out of order");
    assert_eq!(all.pop(), Some(299_999));
    // What fits: more than memory alone would hold, and less than all.
    assert!((50_000..150_000).contains(&all.len()), "{}", all.len());
}

#[test]
fn what_is_shed_from_the_disk_is_kept_whole_in_the_file_for_it() {
    let home = Home::new();
    let file = home.temporary().join("shed");
    let path = file.to_str().expect("text");
    let args = [
        "-l",
        "-b",
        "64KiB",
        "--spill",
        "1MiB",
        "--shed",
        "oldest",
        "--shed-to",
        path,
    ];
    let mut weir = home.start(&args);
    let lines: Vec<String> = (0..200_000).map(|n| format!("{n:08} and more\n")).collect();
    for part in lines.chunks(2_000) {
        weir.give(part.concat().as_bytes());
    }
    drop(weir.stdin.take());
    let output = weir.stdout.take().expect("its output");
    let got = String::from_utf8(collect(output).done()).expect("text");
    let shed = fs::read_to_string(&file).expect("what was shed");
    let _ = weir.end();
    let mut all: Vec<&str> = got.lines().chain(shed.lines()).collect();
    all.sort_unstable();
    let wanted: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
    assert!(
        !shed.is_empty() && all == wanted,
        "{} of {}",
        all.len(),
        wanted.len()
    );
}

/// The numbers of lines, which are whole and in order, each once.
#[track_caller]
fn numbers(bytes: &[u8], what: &str) -> Vec<u32> {
    let text = std::str::from_utf8(bytes).expect("digits");
    let whole = |line: &str| line.len() == 9 && line.ends_with('\n');
    let torn = text.split_inclusive('\n').find(|line| !whole(line));
    assert_eq!(torn, None, "{what}: torn");
    let numbers: Vec<u32> = text
        .lines()
        .map(|line| line.parse().expect("digits"))
        .collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{what}: out of order");
    numbers
}

#[test]
fn what_grows_too_old_in_memory_and_on_disk_goes_by_whole_records_for_each_output_and_the_books_close()
 {
    const COUNT: usize = 200_000;
    let home = Home::new();
    let at = |name: &str| home.temporary().join(name);
    let (copy, fifo) = (at("copy"), at("fifo"));
    make_fifo(&fifo);
    let mut reader = File::options()
        .read(true)
        .write(true)
        .open(&fifo)
        .expect("a FIFO");
    let args = [
        "-l",
        "-b",
        "64KiB",
        "--spill",
        "8MiB",
        "--pipe-size",
        "64KiB",
        "--tap-buffer",
        "64KiB",
        "--tee",
        copy.to_str().expect("text"),
        "--tap",
        fifo.to_str().expect("text"),
    ];
    let mut weir = home.start(&args);
    let all: String = (0..COUNT).map(|n| format!("{n:08}\n")).collect();
    weir.give(&all.as_bytes()[..all.len() / 2]);
    // Nothing is too old before each of them has got something.
    let unread = |pipe: &dyn AsFd| ioctl_fionread(pipe.as_fd()).is_ok_and(|n| n > 0);
    eventually("the consumer, the tee and the tap have something", || {
        let is_copied = fs::metadata(&copy).is_ok_and(|it| it.len() > 0);
        is_copied && weir.stdout.as_ref().is_some_and(|it| unread(it)) && unread(&reader)
    });
    home.tell(&weir.pid(), &["--max-age", "100ms"]);
    eventually("something is too old", || {
        figure(&home, &weir, "/shed/bytes") > 0
    });
    weir.give(&all.as_bytes()[all.len() / 2..]);
    // But for the rest of a line that has been begun.
    eventually("all is too old that is not in the pipe", || {
        let is_read = figure(&home, &weir, "/in/bytes") == all.len() as u64;
        is_read && figure(&home, &weir, "/buffer/used") < 9
    });
    let shed = figure(&home, &weir, "/shed/bytes") as usize;
    assert!(shed > 100_000, "{shed}");
    drop(weir.stdin.take());
    let got = collect(weir.stdout.take().expect("its output")).done();
    weir.end();
    assert_eq!(got.len() + shed, all.len(), "the books");
    assert_eq!(numbers(&got, "the consumer").first(), Some(&0));
    let copied = numbers(&fs::read(&copy).expect("a copy"), "the tee");
    assert!(copied.len() * 9 >= got.len(), "the tee got little");
    // What was written to it is whole lines, and an end behind them is how one knows that it is all.
    reader.write_all(b"x").expect("there is room");
    let mut tapped = Vec::new();
    while tapped.last() != Some(&b'x') {
        let mut piece = [0; 65536];
        let n = reader.read(&mut piece).expect("what was written");
        tapped.extend_from_slice(&piece[..n]);
    }
    tapped.pop();
    assert!(!numbers(&tapped, "the tap").is_empty(), "the tap");
}

#[test]
fn a_full_disk_blocks_as_a_full_buffer_does_and_goes_on_when_there_is_room() {
    let home = Home::new();
    let Some(small) = SmallDisk::mount(home.temporary().join("disk"), "4m") else {
        return;
    };
    let others = small.ballast(2 * MIB);
    let mut command = home.command(
        &[
            &["-b", "1MiB", "--spill", "1GiB", "-q"][..],
            &["--pipe-size", "256KiB"],
        ]
        .concat(),
    );
    let log = home.temporary().join("said");
    command.env("TMPDIR", small.path());
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command.stderr(fs::File::create(&log).expect("a file"));
    let mut child = command.spawn().expect("started");
    let _leash = harness::Leash::on(&child);
    let bytes = data(8 * MIB, 6);
    let feeding = feed(child.stdin.take().expect("its input"), bytes.clone());
    let pid = child.id().to_string();
    let status = || -> serde_json::Value {
        let output = home.run(&["--query", &pid]);
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    };
    eventually("it says that the disk is full", || {
        status()["state"] == "disk-full"
    });
    let before = status()["in"]["bytes"].as_u64().expect("a figure");
    assert!(
        before > 2 * MIB as u64 && before < 4 * MIB as u64,
        "{before}"
    );
    fs::remove_file(&others).expect("it is there");
    eventually("it goes on", || {
        status()["in"]["bytes"]
            .as_u64()
            .is_some_and(|now| now > before + MIB as u64)
    });
    let output = child.stdout.take().expect("its output");
    assert_same(&collect(output).done(), &bytes, "all of it");
    feeding.done().expect("all of it is taken");
    assert!(child.wait().expect("it ends").success());
    let said = fs::read_to_string(&log).expect("what it said");
    let full: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("disk is full"))
        .collect();
    let memory: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("in memory"))
        .collect();
    assert_eq!((full.len(), memory.len()), (1, 1), "{said}");
    assert_eq!(said.lines().count(), 2, "{said}");
}

#[test]
fn what_is_wrong_with_it_is_said_in_one_line() {
    for (args, directory, status, says) in [
        (
            &["--spill", "100KiB"][..],
            "/var/tmp",
            2,
            ["--spill 100KiB", "1MiB"],
        ),
        (&["--spill", "1GiB"], "/no/such", 1, ["--spill", "/no/such"]),
        (
            &["--spill", "1GiB"],
            "/proc",
            1,
            ["make a file for --spill in", "/proc"],
        ),
    ] {
        let mut command = Command::new(WEIR);
        command.args(args).env("TMPDIR", directory);
        let (stdin, _) = std::io::pipe().expect("a pipe");
        start(command, stdin, Stdio::null())
            .end()
            .assert_complains(status, &says);
    }
}
