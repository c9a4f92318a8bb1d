//! Promise 3: memory that is not used is not touched, and what a flood has used is given back.
//! And promise 4: an idle weir does nothing at all.

use crate::harness;
use std::fs::{self, OpenOptions};
use std::io::{Read, Write, pipe};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::Signal;

use crate::harness::books::Books;
use crate::harness::dir::Dir;
use crate::harness::line::Line;
use crate::harness::sides::make_fifo;
use crate::harness::{Running, beside, collect, eventually, field, start, weir, weir_in_shell};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// KiB of its own that the program itself may take, a build for tests included: several times what it does.
const PROGRAM: u64 = 4 * 1024;

/// Sends this much, never more at a time than the pipes hold, so that the consumer keeps up.
fn keep_up(line: &mut Line, bytes: usize) {
    for _ in 0..bytes / (64 * KIB) {
        line.send(64 * KIB);
        line.take(64 * KIB);
    }
}

/// Fails when the memory was ever larger than the program and this many KiB.
#[track_caller]
fn assert_slim(weir: &Running, more: u64, case: &str) {
    let peak = weir.peak();
    assert!(peak < PROGRAM + more, "{case}: {peak} KiB");
}

#[test]
fn a_large_buffer_stays_untouched_while_the_consumer_keeps_up() {
    for (way, more) in [("--pipe-size=auto", 0), ("--no-splice", 2048)] {
        let mut line = Line::new(&["-b", "1GiB", way]);
        for _ in 0..256 / 8 {
            keep_up(&mut line, 8 * MIB);
            line.rewind();
        }
        assert_slim(&line.weir, more, way);
    }
}

#[test]
fn a_buffer_larger_than_what_it_carries_takes_what_it_carries() {
    let memory = field(Path::new("/proc/meminfo"), "MemTotal") * 1024;
    let mut line = Line::new(&["-b", "8GiB", "--prefill", "2MiB"]);
    if memory < 8 << 30 {
        let end = line.finish(0);
        end.assert_complains(
            2,
            &["--buffer 8GiB is more than the memory of this machine"],
        );
        return;
    }
    line.send(MIB);
    line.weir.settle();
    assert_eq!(line.held(), MIB);
    assert_slim(&line.weir, 3 * 1024, "8GiB");
    line.close_input();
    line.finish(MIB).assert_success("8GiB");
}

#[test]
fn the_books_of_lanes_are_a_part_of_the_buffer() {
    let (reader, mut writer) = pipe().expect("a pipe");
    let (_unread, output) = pipe().expect("a pipe");
    let args = ["-l", "-b", "16MiB", "--shed", "fair", "--key", "1"];
    let weir = start(weir(&args), reader, output);
    let fed = beside(move || {
        // Neighbours are of different lanes, each of which loses here and there.
        let lines =
            (0u32..1 << 20).map(|n| format!("k{:<8} {n:030}\n", n.wrapping_mul(0x9e37_79b1) >> 20));
        let bytes: String = lines.collect();
        writer.write_all(bytes.as_bytes()).is_ok()
    });
    assert!(fed.done(), "the producer was held up");
    assert_slim(&weir, 21 * 1024, "short records in 4096 lanes");
}

/// A flood of 6 MiB that has drained; returns what it took, in KiB.
fn flood(line: &mut Line) -> u64 {
    line.send(6 * MIB);
    line.weir.settle();
    let full = line.weir.field("VmRSS");
    line.take(6 * MIB);
    full
}

#[test]
fn what_a_flood_has_taken_is_given_back() {
    for way in ["--pipe-size=64KiB", "--no-splice"] {
        let mut line = Line::new(&["-b", "8MiB", way]);
        for _ in 0..2 {
            let full = flood(&mut line);
            assert!(full > 6 * 1024, "{way}: the flood took {full} KiB only");
            eventually("memory is given back", || {
                line.weir.field("VmRSS") < full - 3 * 1024
            });
            line.rewind();
        }
        line.send(1000);
        line.take(1000);
    }
}

#[test]
fn what_a_flood_has_taken_is_given_back_although_a_trickle_goes_on() {
    let mut line = Line::new(&["-b", "8MiB", "--no-splice"]);
    let full = flood(&mut line);
    eventually("memory is given back", || {
        // Much less than a second lies between two of them: it is never idle for as long as it takes to give memory back.
        for _ in 0..50 {
            line.send(1);
            line.take(1);
        }
        line.weir.field("VmRSS") < full - 3 * 1024
    });
}

#[test]
fn a_full_buffer_takes_no_more_memory_than_its_size_however_small_the_reads() {
    for way in ["--shed=oldest", "--max-age=1h", "--no-splice"] {
        // One byte more than what is moved next to its predecessor anyway.
        for piece in [4097, 70_000] {
            let (reader, mut writer) = pipe().expect("a pipe");
            let (_unread, output) = pipe().expect("a pipe");
            let weir = start(weir(&["-b", "16MiB", way]), reader, output);
            let fed = beside(move || {
                let bytes = vec![b'x'; piece];
                // Where nothing is shed it is weir's end that ends this.
                (0..48 * MIB / piece).all(|_| writer.write_all(&bytes).is_ok())
            });
            eventually("the buffer is full", || weir.field("VmRSS") > 16 * 1024);
            if way == "--shed=oldest" {
                assert!(fed.done(), "the producer was held up");
            } else {
                weir.settle();
            }
            assert_slim(&weir, 18 * 1024, &format!("{way}, {piece}"));
        }
    }
}

#[test]
fn a_tap_that_stalls_takes_no_more_memory_than_its_share_however_small_the_reads() {
    let folder = tempfile::tempdir().expect("a folder");
    let look = folder.path().join("look");
    make_fifo(&look);
    // One that opens it and never reads.
    let idle = fs::File::options().read(true).write(true).open(&look);
    let _idle = idle.expect("a FIFO");
    let tap = look.to_str().expect("a name in UTF-8");
    for way in [&["-b", "1MiB"][..], &["-b", "1MiB", "-l"]] {
        let mut line = Line::new(&[way, &["--tap", tap, "--tap-buffer", "16MiB"]].concat());
        // What is as good as full and what is not, each after the other.
        for (piece, bytes) in [(250_000, 20 * MIB), (4097, 20 * MIB), (250_000, 20 * MIB)] {
            for n in 1..=bytes / piece {
                line.send(piece);
                line.take(piece);
                if n % (8 * MIB / piece) == 0 {
                    line.rewind();
                }
            }
            line.rewind();
        }
        assert_slim(&line.weir, 24 * 1024, &format!("{way:?}"));
    }
}

#[test]
fn an_idle_weir_makes_no_system_calls() {
    for way in [&["-q"][..], &["-q", "--no-splice"], &["--prefill", "1MiB"]] {
        let home = Dir::new();
        let mut line = alone(way, &home);
        line.send(1000);
        if !way.contains(&"--prefill") {
            line.take(1000);
        }
        assert_idle(&line.weir, &format!("{way:?}"));
    }
}

#[test]
fn a_full_weir_makes_no_system_calls_either() {
    for way in ["--pipe-size=64KiB", "--no-splice"] {
        let home = Dir::new();
        let mut line = alone(&["-b", "1MiB", way], &home);
        line.stuff();
        assert_idle(&line.weir, way);
    }
}

#[test]
fn one_whose_input_somebody_else_has_read_is_idle_too() {
    for way in [&["-l"][..], &["--tap"], &["-l", "--tap"]] {
        let home = Dir::new();
        let fifo = home.at("tap");
        make_fifo(Path::new(&fifo));
        // A reader that stands still.
        let _held = OpenOptions::new().read(true).write(true).open(&fifo);
        let mut command = weir(&["-q", "--pipe-size", "keep"]);
        command.env("XDG_RUNTIME_DIR", home.0.path()).args(way);
        if way.contains(&"--tap") {
            command.args([&fifo, "--tap-buffer", "10000"]);
        }
        let (input, mut end) = pipe().expect("make a pipe");
        let (mut output, stdout) = pipe().expect("make a pipe");
        rustix::pipe::fcntl_setpipe_size(&stdout, 8192).expect("make it small");
        set_nonblocking(&input);
        set_nonblocking(&output);
        let mut thief = input.try_clone().expect("duplicate a descriptor");
        let weir = start(command, input, stdout);
        let lines = [[b'x'; 99].as_slice(), b"\n"].concat().repeat(200);
        let mut sink = vec![0; 1 << 20];
        for i in 0..100 {
            // A part of it is passed on, the rest was looked at.
            end.write_all(&lines).expect("there is room");
            sleep(Duration::from_micros(500 * (i % 5)));
            let _ = thief.read(&mut sink);
            for _ in 0..3 {
                while matches!(output.read(&mut sink), Ok(1..)) {}
                sleep(Duration::from_millis(1));
            }
        }
        assert_idle(&weir, &format!("{way:?}"));
    }
}

fn set_nonblocking(fd: &impl AsFd) {
    let flags = fcntl_getfl(fd).expect("read flags");
    fcntl_setfl(fd, flags | OFlags::NONBLOCK).expect("set flags");
}

/// A weir that no other test finds: whoever lists the weirs of a user asks each of them, and wakes it.
fn alone(args: &[&str], home: &Dir) -> Line {
    let mut command = weir(args);
    command.env("XDG_RUNTIME_DIR", home.0.path());
    Line::with(command)
}

/// No thread is woken over a second and a half: a call that waits would wake it at its end, and
/// one that does not would show as time spent.
#[track_caller]
fn assert_idle(weir: &Running, case: &str) {
    let before = (weir.settle(), weir.ticks());
    sleep(Duration::from_millis(1500));
    assert_eq!((weir.settle(), weir.ticks()), before, "{case}");
}

/// A control group with a limit, as root can have one; gone with this.
struct Group(PathBuf);

impl Group {
    /// Of the first version of such groups or of the second, whichever rules memory here.
    fn of(bytes: usize) -> Option<Group> {
        [
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            ("/sys/fs/cgroup", "memory.max"),
        ]
        .into_iter()
        .find_map(|(root, limit)| {
            let folder = Path::new(root).join(format!("weir-test-{}", std::process::id()));
            fs::create_dir(&folder).ok()?;
            let group = Group(folder);
            // A file of that name is the kernel's, not one that a mere directory would take.
            let limit = group.0.join(limit);
            (limit.exists() && fs::write(limit, bytes.to_string()).is_ok()).then_some(group)
        })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn a_control_group_with_less_memory_than_the_machine_is_what_counts() {
    let Some(group) = Group::of(96 * MIB) else {
        harness::skip("no control group with a limit can be had here; that takes root");
        return;
    };
    let join = format!("echo $$ > {}/cgroup.procs", group.0.display());
    let run = |args: &[&str]| {
        let (output, stdout) = pipe().expect("make a pipe");
        let all = [args, &["--no-splice", "--summary", "json"]].concat();
        let weir = start(weir_in_shell(&join, &all, ""), Stdio::null(), stdout);
        drop(collect(output).done());
        weir.end()
    };
    let books = Books::of(&run(&["-b", "10%"]));
    // To a page.
    let tenth = 96 * MIB / 10;
    assert!(
        books.n("buffer/capacity").abs_diff(tenth) <= 4096,
        "{books:?}"
    );
    // One that is larger than the group blocks the producer in time, and nobody is killed.
    let (stdin, mut input) = pipe().expect("make a pipe");
    let (output, stdout) = pipe().expect("make a pipe");
    let weir = start(weir_in_shell(&join, &["-b", "200MiB"], ""), stdin, stdout);
    let sending = beside(move || {
        let block = vec![7; MIB];
        (0..120).filter(|_| input.write_all(&block).is_ok()).count()
    });
    eventually("it holds a good deal", || weir.field("VmRSS") > 40 * 1024);
    weir.settle();
    assert!(weir.field("VmRSS") < 96 * 1024, "{}", weir.field("VmRSS"));
    let got = beside(move || std::io::copy(&mut &output, &mut std::io::sink()).expect("read"));
    assert_eq!((sending.done(), got.done()), (120, 120 * MIB as u64));
    weir.end().assert_success("in a group");
}

#[test]
fn what_a_file_that_takes_nothing_is_owed_of_what_is_shed_takes_no_more_memory_than_it_may() {
    let dir = Dir::new();
    let path = PathBuf::from(dir.at("shed"));
    make_fifo(&path);
    // Somebody has it open, and reads nothing.
    let fifo = OpenOptions::new().read(true).write(true).open(&path);
    let _fifo = fifo.expect("a FIFO");
    for order in ["newest", "oldest"] {
        let name = path.display().to_string();
        let args = ["-l", "-b", "1MiB", "--shed", order, "--shed-to", &name];
        let (stdin, input) = pipe().expect("a pipe");
        let (_output, stdout) = pipe().expect("a pipe");
        let running = start(weir(&args), stdin, stdout);
        let lines = |n: usize| format!("{n:09}\n").into_bytes();
        let feeding = beside(move || {
            let text: Vec<u8> = (0..500_000).flat_map(lines).collect();
            (0..8).for_each(|_| (&input).write_all(&text).expect("it is taken"));
            input
        });
        let _input = feeding.done();
        assert_slim(&running, 24 * 1024, order);
        running.signal(Signal::KILL);
        running.end();
    }
}
