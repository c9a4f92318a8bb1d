//! A spool: what was taken in outlives weir, whatever ends it, and is delivered once, in order, by the next one.

use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use crate::harness::remote::Home;
use crate::harness::small_disk::SmallDisk;
use crate::harness::spool::{Place, go_on, lines};
use crate::harness::{assert_same, collect, data, eventually, feed, kills, start, weir};
use rustix::io::ioctl_fionread;
use rustix::process::Signal;
use serde_json::Value;

const MIB: usize = 1 << 20;

#[test]
fn what_passes_is_what_came_and_nothing_is_left() {
    let bytes = data(30 * MIB, 1);
    for args in [
        &[][..],
        &["-l"],
        &["--record-size", "1000"],
        &["--sync", "off", "-b", "4KiB"],
        &["--sync", "1ms", "--spill", "1MiB"],
        &["--prefill", "50%", "--spill", "4MiB"],
        &["-r", "100MB/s"],
    ] {
        let place = Place::new();
        place.pass(args, &bytes).assert_success("it is over");
        assert_eq!(place.files("stream"), Vec::<PathBuf>::new());
        let left = place.query();
        assert_eq!(left["bytes"], 0, "{left}");
    }
}

#[test]
fn files_and_each_sync_are_fine_too() {
    let place = Place::new();
    let bytes = lines(0, 20_000);
    let input = place.0.path().join("in");
    fs::write(&input, &bytes).expect("a file");
    let name = input.display().to_string();
    let (got, said) = place.deliver(&["--sync", "always", &name, &name]);
    assert_same(&got, &bytes.repeat(2), "twice the file");
    assert_eq!(said, "");
}

#[test]
fn what_a_killed_one_left_is_delivered_first_and_then_the_new_input() {
    let place = Place::new();
    let (old, new) = (data(5 * MIB, 2), data(3 * MIB, 3));
    place.leave(&old, &[], Signal::KILL);
    let (stdin, input) = std::io::pipe().expect("a pipe");
    let (output, stdout) = std::io::pipe().expect("a pipe");
    let running = start(place.weir(&[]), stdin, stdout);
    feed(input, new.clone());
    let got = collect(output).done();
    running.end().assert_success("it is over");
    // The first one had filled a pipe that nobody read, which is known to have been written.
    let behind = (old.len() + new.len())
        .checked_sub(got.len())
        .expect("not more than came");
    assert!(behind <= MIB, "{behind} were written before");
    assert_same(
        &got,
        &[&old[behind..], &new[..]].concat(),
        "the old, then the new",
    );
    assert_eq!(place.query()["bytes"], 0);
}

#[test]
fn a_consumer_that_is_stuck_when_weir_is_told_to_end_gets_each_byte_once() {
    let bytes = lines(0, 900_000);
    for args in [&["--grace", "100ms"][..], &["--grace", "100ms", "-l"]] {
        let place = Place::new();
        let (stdin, input) = std::io::pipe().expect("a pipe");
        let (mut output, stdout) = std::io::pipe().expect("a pipe");
        let looked = stdin.try_clone().expect("a duplicate");
        let running = start(place.weir(args), stdin, stdout);
        let mut got = vec![0; 100_000];
        let feeding = feed(input, bytes.clone());
        output.read_exact(&mut got).expect("the first of it");
        feeding.done().expect("all is written");
        eventually("all is taken", || {
            ioctl_fionread(&looked).is_ok_and(|left| left == 0)
        });
        running.signal(Signal::TERM);
        running.end().assert_died_by(Signal::TERM, "it was told to");
        let left = place.query();
        assert!(left["bytes"].as_u64() > Some(0), "{left}");
        assert_eq!(left["pid"], Value::Null);
        output.read_to_end(&mut got).expect("what was in the pipe");
        if args.contains(&"-l") {
            // Another reader gets the whole of a line of which this one got a part.
            let whole = got.iter().rposition(|byte| *byte == b'\n');
            got.truncate(whole.map_or(0, |at| at + 1));
        }
        got.extend(place.deliver(args).0);
        assert_same(&got, &bytes, &format!("{args:?}"));
    }
}

#[test]
fn kills_at_any_time_lose_nothing_and_repeat_a_write_at_most() {
    let place = Place::new();
    // There is something to deliver for each.
    let wanted = kills(40);
    let count = wanted * 10_000;
    let (stdin, input) = std::io::pipe().expect("a pipe");
    let feeding = feed(input, lines(0, count));
    let mut dice = 12_345_u64;
    let mut next = 0;
    let mut kills = 0;
    // One that was killed may have given all of it away, and not have written that down.
    let mut is_killed = true;
    while next < count || is_killed {
        let (output, stdout) = std::io::pipe().expect("a pipe");
        let input = stdin.try_clone().expect("a duplicate");
        let running = start(
            place.weir(&["-l", "--spill", "2MiB", "-r", "40MB/s"]),
            input,
            stdout,
        );
        let reading = collect(output);
        is_killed = kills < wanted;
        if is_killed {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // When the kill comes is what is random here; whatever it hits must be right.
            thread::sleep(Duration::from_micros(dice >> 33 & 0x7fff));
            running.signal(Signal::KILL);
            kills += 1;
        }
        running.end();
        let got = String::from_utf8(reading.done()).expect("digits");
        go_on(&mut next, &got, "after a kill");
    }
    eprintln!("killed {kills} times at random");
    feeding.done().expect("all was taken");
    assert_eq!(place.query()["bytes"], 0);
}

#[test]
fn a_second_weir_is_refused_and_told_who_has_it() {
    let place = Place::new();
    let home = Home::new();
    let mut first = home.start(&["--spool", &place.name()]);
    let second = start(place.weir(&[]), Stdio::null(), Stdio::null());
    let pid = format!("weir {} is using it", first.pid());
    second
        .end()
        .assert_complains(1, &["open the spool", &place.name(), &pid]);
    assert_eq!(place.query()["pid"].to_string(), first.pid());
    drop(first.stdin.take());
    assert!(first.end().success());
}

#[test]
fn a_query_says_what_lies_there() {
    let place = Place::new();
    let missing = start(
        weir(&["--query", &place.name()]),
        Stdio::null(),
        Stdio::null(),
    );
    missing
        .end()
        .assert_complains(1, &[&place.name(), "No such file"]);
    let text = lines(100_000, 400_000);
    place.leave(&text, &["-l"], Signal::KILL);
    let left = place.query();
    let bytes = left["bytes"].as_u64().expect("a number") as usize;
    // What was written into the pipe was whole records, as far as it is counted.
    assert!(bytes <= text.len() && bytes >= text.len() - MIB, "{left}");
    // What a killed one had not entered yet is not counted, and then it is not known how many they are.
    let records = left["records"].as_u64();
    assert!(
        records.is_none_or(|records| records == bytes as u64 / 7),
        "{left}"
    );
    assert_eq!(left["lost"]["bytes"], 0);
    assert!(
        left["age_s"].as_f64().is_some_and(|age| age < 600.0),
        "{left}"
    );
    let elsewhere = place.0.path().display().to_string();
    let none = start(weir(&["--query", &elsewhere]), Stdio::null(), Stdio::null());
    none.end().assert_complains(1, &["there is no spool in it"]);
}

#[test]
fn a_flipped_bit_costs_its_part_alone_and_is_said_and_set_aside() {
    let place = Place::new();
    let text = lines(100_000, 500_000);
    place.leave(&text, &["-l"], Signal::KILL);
    let at = text.len() - 400_000;
    let behind = text.len() - place.query()["bytes"].as_u64().expect("a number") as usize;
    let files = place.files("stream");
    let mut base = 0;
    for file in files {
        let mut bytes = fs::read(&file).expect("a segment");
        let name = file.file_stem().and_then(|it| it.to_str()).expect("a name");
        base = name.parse().expect("an offset");
        if (base..base + bytes.len()).contains(&at) {
            bytes[at - base] ^= 4;
            fs::write(&file, bytes).expect("written back");
            break;
        }
    }
    assert!(base <= at);
    let (got, said) = place.deliver(&["-l"]);
    assert!(
        said.contains("are lost: they are not what was written"),
        "{said}"
    );
    assert!(said.contains("damaged-"), "{said}");
    let lost = text.len() - behind - got.len();
    assert!(0 < lost && lost <= (256 << 10) + 14, "{lost} lost");
    let before = got
        .iter()
        .zip(&text[behind..])
        .take_while(|(a, b)| a == b)
        .count();
    assert_same(&got[before..], &text[behind + before + lost..], "the rest");
    let left = place.query();
    assert_eq!(left["lost"]["bytes"], lost as u64, "{left}");
    // The lines that lie in it in part have each a file of their own.
    let aside = left["aside"].as_array().map(Vec::len);
    assert!((1..=3).contains(&aside.unwrap_or(0)), "{left}");
}

#[test]
fn files_that_are_cut_or_gone_or_zeros_never_stop_it() {
    type Harm = fn(&Place);
    let harms: [(&str, Harm); 4] = [
        ("a byte of the stream is cut off", |place| {
            let path = place.files("stream").pop().expect("a segment");
            let len = fs::metadata(&path).expect("its length").len();
            let file = fs::File::options().write(true).open(path).expect("a file");
            file.set_len(len - 1).expect("cut");
        }),
        ("an index is gone", |place| {
            fs::remove_file(place.files("index").pop().expect("an index")).expect("gone");
        }),
        ("the state is zeros", |place| {
            fs::write(place.spool().join("state"), vec![0; 131_072]).expect("zeros");
        }),
        ("the state is gone", |place| {
            fs::remove_file(place.spool().join("state")).expect("gone");
        }),
    ];
    for (what, harm) in harms {
        let place = Place::new();
        let text = lines(100_000, 300_000);
        place.leave(&text, &["-l"], Signal::KILL);
        harm(&place);
        let (got, _) = place.deliver(&["-l"]);
        let whole = &text[text.len() - got.len().min(text.len())..];
        let near = got.len().abs_diff(text.len()) <= MIB;
        assert!(near, "{what}: {} of {}", got.len(), text.len());
        if !what.contains("cut off") {
            assert_same(&got, whole, what);
        }
        assert_eq!(place.query()["bytes"], 0, "{what}");
    }
}

#[test]
fn an_unknown_version_is_refused_and_nothing_is_touched() {
    let place = Place::new();
    place.leave(&lines(0, 300_000), &[], Signal::KILL);
    let index = place.files("index").pop().expect("an index");
    for file in [place.spool().join("state"), index] {
        let good = fs::read(&file).expect("a file");
        let mut other = good.clone();
        for slot in other.chunks_mut(if file.ends_with("state") {
            32 << 10
        } else {
            good.len()
        }) {
            let len = match file.ends_with("state") {
                true => u32::from_le_bytes(slot[12..16].try_into().expect("four")) as usize,
                false => 64,
            };
            if len > 0 {
                slot[8] = 9;
                let crc = crc32fast::hash(&slot[..len - 4]);
                slot[len - 4..len].copy_from_slice(&crc.to_le_bytes());
            }
        }
        fs::write(&file, &other).expect("written");
        let refused = start(place.weir(&[]), Stdio::null(), Stdio::null());
        refused
            .end()
            .assert_complains(1, &["it has format 9", "use a newer weir"]);
        assert_eq!(fs::read(&file).expect("a file"), other);
        fs::write(&file, &good).expect("written");
    }
    assert!(!place.deliver(&[]).0.is_empty());
}

#[test]
fn what_cannot_work_together_is_refused_in_one_line() {
    let place = Place::new();
    for (args, says) in [
        (
            &["--shed", "oldest"][..],
            "--shed cannot go together with --spool",
        ),
        (
            &["--max-age", "5s"],
            "--max-age cannot go together with --spool",
        ),
        (&["--spill", "10KiB"], "--spill 10KiB is too small"),
    ] {
        let refused = start(place.weir(args), Stdio::null(), Stdio::null());
        refused.end().assert_complains(2, &[says]);
    }
    let refused = start(weir(&["--sync", "1s"]), Stdio::null(), Stdio::null());
    refused
        .end()
        .assert_complains(2, &["--sync", "add --spool DIR"]);
    place.leave(&lines(0, 300_000), &["-l"], Signal::KILL);
    let refused = start(place.weir(&["-0"]), Stdio::null(), Stdio::null());
    refused
        .end()
        .assert_complains(1, &["with --lines, not with --null"]);
}

#[test]
fn a_full_disk_blocks_as_a_full_buffer_does_and_goes_on_with_space() {
    let place = Place::new();
    let Some(disk) = SmallDisk::mount(place.0.path().join("disk"), "6m") else {
        return;
    };
    let ballast = disk.ballast(2 * MIB);
    let spool = disk.path().join("q").display().to_string();
    let home = Home::new();
    let mut weir = home.start(&["--spool", &spool]);
    let bytes = data(9 * MIB, 4);
    let feeding = feed(weir.stdin.take().expect("its input"), bytes.clone());
    eventually("it says that the disk is full", || {
        home.status(&weir)["state"] == "disk-full"
    });
    fs::remove_file(&ballast).expect("space");
    let output = weir.stdout.take().expect("its output");
    assert_same(&collect(output).done(), &bytes, "all of it");
    feeding.done().expect("all was taken");
    assert!(weir.end().success());
}

#[test]
fn a_directory_that_is_removed_is_said_once_and_what_was_taken_in_is_delivered() {
    let place = Place::new();
    let bytes = lines(0, 200_000);
    let (stdin, mut input) = std::io::pipe().expect("a pipe");
    let (output, stdout) = std::io::pipe().expect("a pipe");
    let running = start(place.weir(&["-l", "--sync", "10ms"]), stdin, stdout);
    let (first, rest) = bytes.split_at(300_000);
    input.write_all(first).expect("it is taken");
    eventually("it lies there", || place.taken_in() == first.len());
    fs::remove_dir_all(place.spool()).expect("removed");
    feed(input, rest.to_vec());
    assert_same(&collect(output).done(), &bytes, "all of it");
    let ended = running.end();
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let said: Vec<_> = ended.stderr.lines().collect();
    let is_it = |line: &&str| line.ends_with("directory was removed while weir was using it");
    assert!(
        (1..=3).contains(&said.len()) && said.iter().all(is_it),
        "{said:?}"
    );
}
