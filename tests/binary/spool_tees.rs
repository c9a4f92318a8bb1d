//! Tees and taps beside a spool: each tee goes on where it was, whatever ends weir, and a tap holds nothing up.

mod files;

use crate::harness;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::harness::sides::make_fifo;
use crate::harness::spool::{Place, go_on, go_on_in_file, lines};
use crate::harness::{assert_same, collect, eventually, feed, start};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::Signal;
use serde_json::Value;

const MIB: usize = 1 << 20;

fn path(place: &Place, name: &str) -> String {
    place.0.path().join(name).display().to_string()
}

/// What the tee of this path is owed.
fn owed(status: &Value, path: &str) -> Option<u64> {
    let tees = status["tees"].as_array().expect("tees");
    let tee = tees.iter().find(|tee| tee["path"] == path);
    tee.and_then(|tee| tee["bytes"].as_u64())
}

/// Somebody who reads a FIFO, and has opened it before anybody writes to it.
struct FifoReader {
    /// Nobody will write to it any more.
    is_over: Arc<AtomicBool>,
    bytes: harness::Beside<Vec<u8>>,
}

impl FifoReader {
    fn open(path: &str) -> FifoReader {
        let nonblocking = OFlags::NONBLOCK.bits() as i32;
        let mut how = File::options();
        let file = how.read(true).custom_flags(nonblocking).open(path);
        let mut file = file.expect("a FIFO");
        let is_over = Arc::new(AtomicBool::new(false));
        let over = is_over.clone();
        let bytes = harness::beside(move || {
            let (mut bytes, mut piece) = (Vec::new(), vec![0; 65536]);
            loop {
                // What was written before it was over is read before the end is seen.
                let is_over = over.load(Ordering::Acquire);
                match file.read(&mut piece) {
                    Ok(n @ 1..) => bytes.extend_from_slice(&piece[..n]),
                    Ok(_) if is_over => return bytes,
                    _ => thread::sleep(Duration::from_millis(1)),
                }
            }
        });
        FifoReader { is_over, bytes }
    }

    /// All that was written to it, by those who have ended.
    fn done(self) -> Vec<u8> {
        self.is_over.store(true, Ordering::Release);
        self.bytes.done()
    }
}

/// So many bytes from it, or fewer where it ends.
fn up_to(output: &mut impl Read, n: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = output.take(n).read_to_end(&mut bytes);
    read.expect("a pipe");
    bytes
}

#[test]
fn kills_at_any_time_lose_nothing_for_any_output() {
    const COUNT: usize = 200_000;
    for options in [&["-l"][..], &["-l", "--sync", "1ms"]] {
        let place = Place::new();
        let (copy, fifo) = (path(&place, "copy"), path(&place, "fifo"));
        make_fifo(Path::new(&fifo));
        let (stdin, input) = std::io::pipe().expect("a pipe");
        let feeding = feed(input, lines(0, COUNT));
        let fixed = [
            "--spill", "2MiB", "-r", "20MB/s", "--tee", &copy, "--tee", &fifo,
        ];
        let args = [&fixed[..], options].concat();
        let (mut dice, mut next, mut piped, mut kills) = (4711_u64, 0, 0, 0);
        let mut was_killed = true;
        // One that is killed when it has just delivered all may leave that in the spool.
        while next < COUNT || was_killed {
            let (mut output, stdout) = std::io::pipe().expect("a pipe");
            let input = stdin.try_clone().expect("a duplicate");
            let beside = FifoReader::open(&fifo);
            let running = start(place.weir(&args), input, stdout);
            was_killed = kills < 25 && next < COUNT;
            let mut got = Vec::new();
            if was_killed {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                // When the kill comes is what is random here, and whatever it hits must be right: often as it begins, and
                // as often when something has been delivered, however long that takes.
                match kills % 2 {
                    0 => thread::sleep(Duration::from_micros(dice >> 33 & 0x7fff)),
                    _ => got = up_to(&mut output, dice >> 33 & 0x1_ffff),
                }
                running.signal(Signal::KILL);
                kills += 1;
            }
            let reading = collect(output);
            running.end();
            let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("digits");
            got.extend(reading.done());
            go_on(&mut next, &text(got), "the consumer");
            go_on(&mut piped, &text(beside.done()), "the tee that is read");
        }
        feeding.done().expect("all was taken");
        assert_eq!(piped, COUNT, "the tee that is read");
        let copied = fs::read_to_string(&copy).expect("a copy");
        assert_eq!(go_on_in_file(&copied), COUNT, "the copy");
        assert_eq!(place.query()["bytes"], 0);
    }
}

#[test]
fn a_tee_that_is_behind_gets_the_rest_from_the_next_weir_and_the_consumer_nothing_twice() {
    let place = Place::new();
    let (fifo, bytes) = (path(&place, "fifo"), lines(0, 500_000));
    make_fifo(Path::new(&fifo));
    let args = ["-l", "--tee", &fifo];
    // It is there, and reads nothing.
    let mut stuck = File::options()
        .read(true)
        .write(true)
        .open(&fifo)
        .expect("a FIFO");
    let (stdin, input) = std::io::pipe().expect("a pipe");
    let (output, stdout) = std::io::pipe().expect("a pipe");
    let running = start(place.weir(&args), stdin, stdout);
    let (got, feeding) = (collect(output), feed(input, bytes.clone()));
    feeding.done().expect("all is taken");
    place.await_bytes(bytes.len());
    eventually("the tee is behind", || {
        let status = place.query();
        owed(&status, &fifo) == status["bytes"].as_u64() && status["bytes"].as_u64() > Some(0)
    });
    // The FIFO's rest is in its pipe, and the first reader gets it.
    let most = place.query()["bytes"].as_u64().expect("bytes") as usize;
    let mut first = vec![0; bytes.len() - most];
    stuck.read_exact(&mut first).expect("what was written");
    running.signal(Signal::KILL);
    running.end();
    let got = got.done();
    assert!(bytes.starts_with(&got), "the consumer");
    // It goes with the last who has it open, which may be a process that a test beside this one is about to start.
    empty(&mut stuck);
    drop(stuck);
    let rest = FifoReader::open(&fifo);
    let (again, said) = place.deliver(&args);
    assert_eq!(said, "");
    let behind = bytes.len() - again.len();
    assert!(
        behind <= got.len() && got.len() - behind <= MIB,
        "{behind} {}",
        got.len()
    );
    assert_same(&again, &bytes[behind..], "the consumer, from a record on");
    let rest = rest.done();
    let from = bytes.len() - rest.len();
    let begins = bytes.windows(24).position(|it| rest.starts_with(it));
    let what = format!(
        "the rest, from {begins:?} on, behind {} of {most}",
        first.len()
    );
    assert_same(&rest, &bytes[from..], &what);
    // What it was given when it was killed may come again.
    assert!(
        from <= first.len() + MIB && from + MIB > first.len(),
        "{from} {}",
        first.len()
    );
    assert_eq!(place.query()["bytes"], 0);
}

/// Reads what lies in this pipe, and waits for nothing.
fn empty(pipe: &mut File) {
    fcntl_setfl(&*pipe, OFlags::NONBLOCK).expect("it can be told");
    let error = pipe
        .read_to_end(&mut Vec::new())
        .expect_err("it is open for writing");
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
}

#[test]
fn a_new_tee_begins_with_what_is_there_and_one_that_is_not_named_again_is_forgotten() {
    let place = Place::new();
    let (one, two) = (path(&place, "one"), path(&place, "two"));
    let bytes = lines(0, 300_000);
    place.leave(&bytes, &["-l"], Signal::KILL);
    let args = ["-l", "--tee", &one];
    let (got, said) = place.deliver(&args);
    assert_eq!(said, "");
    assert!(bytes.ends_with(&got) && !got.is_empty(), "the rest of it");
    assert_same(
        &fs::read(&one).expect("a copy"),
        &got,
        "what this run delivers",
    );
    // It is at the end, and there is nothing to be said of it.
    let (_, said) = place.deliver(&["-l", "--tee", &two]);
    assert_eq!(said, "");
    let known = place.query();
    assert_eq!((owed(&known, &one), owed(&known, &two)), (None, Some(0)));
}

#[test]
fn a_tee_is_the_same_whichever_way_its_path_goes() {
    let place = Place::new();
    let (copy, around) = (path(&place, "copy"), path(&place, "d/../copy"));
    fs::create_dir(path(&place, "d")).expect("a directory");
    let bytes = lines(0, 300_000);
    let (stdin, input) = std::io::pipe().expect("a pipe");
    // It stays full, and what is in it is never read.
    let (_output, stdout) = std::io::pipe().expect("a pipe");
    let running = start(place.weir(&["-l", "--tee", &around]), stdin, stdout);
    let feeding = feed(input, bytes.clone());
    feeding.done().expect("all is taken");
    eventually("the tee has all", || {
        fs::metadata(&copy).is_ok_and(|copy| copy.len() == bytes.len() as u64)
    });
    running.signal(Signal::INT);
    running.end();
    assert_same(&fs::read(&copy).expect("a copy"), &bytes, "all of it");
    let (_, said) = place.deliver(&["-l", "--tee", &copy]);
    assert_eq!(said, "");
    assert_same(&fs::read(&copy).expect("a copy"), &bytes, "nothing twice");
}

#[test]
fn what_is_kept_for_a_tee_that_is_not_named_again_is_said_and_given_back() {
    let place = Place::new();
    // Whatever its name is, it is said in one line, which does nothing to a terminal.
    let fifo = path(&place, "fi\n\u{1b}[31mfo");
    make_fifo(Path::new(&fifo));
    // It waits for its reader, and what an earlier run has left is there for it.
    place.leave(&lines(0, 300_000), &["-l"], Signal::KILL);
    let (output, stdout) = std::io::pipe().expect("a pipe");
    let running = start(place.weir(&["-l", "--tee", &fifo]), Stdio::null(), stdout);
    let got = collect(output);
    eventually("the consumer has all", || {
        let status = place.query();
        status["pid"].is_u64() && owed(&status, &fifo).is_some_and(|bytes| bytes > MIB as u64)
    });
    running.signal(Signal::KILL);
    running.end();
    got.done();
    let (_, said) = place.deliver(&["-l"]);
    assert!(
        said.contains("/fi\\n\\u{1b}[31mfo is not named again: "),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
    assert_eq!(place.query()["bytes"], 0);
}

#[test]
fn one_that_fails_is_named_and_nothing_is_kept_for_it() {
    let place = Place::new();
    let bytes = lines(0, 600_000);
    let (stdin, input) = std::io::pipe().expect("a pipe");
    let (output, stdout) = std::io::pipe().expect("a pipe");
    let args = ["-l", "--spill", "1MiB", "--tee", "/dev/full"];
    let running = start(place.weir(&args), stdin, stdout);
    let (got, feeding) = (collect(output), feed(input, bytes.clone()));
    assert_same(&got.done(), &bytes, "the consumer");
    feeding.done().expect("all was taken");
    let says = ["write: /dev/full: No space left on device"];
    running.end().assert_complains(1, &says);
    let status = place.query();
    assert_eq!(
        (&status["bytes"], owed(&status, "/dev/full")),
        (&0.into(), None)
    );
}

#[test]
fn a_tap_holds_neither_the_flow_nor_the_spool() {
    let place = Place::new();
    let (fifo, bytes) = (path(&place, "fifo"), lines(0, 1_000_000));
    make_fifo(Path::new(&fifo));
    // It reads nothing, and its share is larger than the spool.
    let stuck = File::options().read(true).write(true).open(&fifo);
    let _stuck = stuck.expect("a FIFO");
    let (stdin, input) = std::io::pipe().expect("a pipe");
    let (output, stdout) = std::io::pipe().expect("a pipe");
    let running = start(
        place.weir(&["-l", "--spill", "1MiB", "--tap", &fifo]),
        stdin,
        stdout,
    );
    let (got, feeding) = (collect(output), feed(input, bytes.clone()));
    assert_same(&got.done(), &bytes, "the consumer");
    feeding.done().expect("all was taken");
    running.end().assert_success("it is over");
    let status = place.query();
    assert_eq!((&status["bytes"], owed(&status, &fifo)), (&0.into(), None));
}

#[test]
fn a_damaged_part_is_lost_to_each_output_and_said_once() {
    let place = Place::new();
    let bytes = lines(0, 300_000);
    let args = ["-l", "--sync", "1ms", "--grace", "100ms"];
    place.leave(&bytes, &args, Signal::TERM);
    let other = path(&place, "other");
    let owed_before = place.query()["bytes"].as_u64().expect("bytes");
    let segment = place.files("stream").remove(0);
    let mut stream = fs::read(&segment).expect("a segment");
    let at = stream.len() - 300_000;
    stream[at] ^= 0x40;
    fs::write(&segment, stream).expect("hurt");
    let (got, said) = place.deliver(&["-l", "--tee", &other]);
    let mut lines: Vec<&str> = said.lines().collect();
    let is_it = |line: &&str| line.contains(" are lost: ");
    assert!(!lines.is_empty() && lines.iter().all(is_it), "{said}");
    lines.sort_unstable();
    assert!(lines.windows(2).all(|two| two[0] != two[1]), "{said}");
    let lost = place.query()["lost"]["bytes"].as_u64().expect("bytes");
    assert_eq!(got.len() as u64 + lost, owed_before, "it counts once");
    assert_same(
        &fs::read(&other).expect("a copy"),
        &got,
        "what is lost to both",
    );
    let text = String::from_utf8(got).expect("digits");
    let numbers = text
        .lines()
        .map(|line| line.parse::<usize>().expect("a whole line"));
    assert!(numbers.is_sorted(), "whole lines in order");
}

#[test]
fn batches_and_a_tee_each_have_a_place_of_their_own() {
    const COUNT: usize = 20_000;
    let place = Place::new();
    let (copy, rows) = (path(&place, "copy"), path(&place, "rows"));
    fs::create_dir(&rows).expect("a directory");
    let script = "t=$0.$$; cat > $t && mv $t $0/$WEIR_BATCH";
    let fixed = ["-l", "--batch", "500", "-j", "2", "--tee", &copy];
    let args = [&fixed[..], &["--", "sh", "-c", script, &rows]].concat();
    let (stdin, input) = std::io::pipe().expect("a pipe");
    let feeding = feed(input, lines(0, COUNT));
    let mut dice = 99_u64;
    for run in 0..8 {
        let input = stdin.try_clone().expect("a duplicate");
        let done = || fs::read_dir(&rows).expect("a directory").count();
        let before = done();
        let running = start(place.weir(&args), input, Stdio::null());
        if run < 7 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            match run % 2 {
                0 => thread::sleep(Duration::from_micros(dice >> 33 & 0x7fff)),
                _ => eventually("a batch is done, or all are", || {
                    done() > before || done() >= COUNT / 500
                }),
            }
            running.signal(Signal::KILL);
        }
        let ended = running.end();
        assert!(run < 7 || ended.status.success(), "{ended:?}");
    }
    feeding.done().expect("all was taken");
    let mut all: Vec<usize> = Vec::new();
    for entry in fs::read_dir(&rows).expect("a directory").flatten() {
        let text = fs::read_to_string(entry.path()).expect("rows");
        all.extend(
            text.lines()
                .map(|line| line.parse::<usize>().expect("a line")),
        );
    }
    all.sort_unstable();
    assert!(all.into_iter().eq(0..COUNT), "each line in one batch");
    let copied = fs::read_to_string(&copy).expect("a copy");
    assert_eq!(go_on_in_file(&copied), COUNT, "the copy");
}
