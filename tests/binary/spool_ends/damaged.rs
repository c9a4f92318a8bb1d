//! Parts of a spool that are damaged or gone: what whoever goes on gets is whole records all the same, and the books close.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::spool::{Place, lines};
use crate::harness::weir;

/// A byte at this place of the stream is not what it was.
fn flip(place: &Place, at: usize) {
    let base = |it: &PathBuf| -> usize {
        let name = it.file_stem().and_then(|it| it.to_str()).expect("a name");
        name.parse().expect("an offset")
    };
    let files = place.files("stream");
    let file = files.iter().rev().find(|it| base(it) <= at).expect("it");
    let mut bytes = fs::read(file).expect("a segment");
    bytes[at - base(file)] ^= 0x80;
    fs::write(file, bytes).expect("written back");
}

/// Of records of this many bytes, of which some are lost, the others come whole, in order, and once.
fn assert_whole(got: &[u8], size: usize, what: &str) -> usize {
    let mut last = None;
    for record in got.chunks(size) {
        let text = String::from_utf8(record.to_vec()).expect(what);
        let (number, end) = text.split_at(size - 1);
        let number: u64 = number
            .parse()
            .unwrap_or_else(|_| panic!("{what}: {text:?}"));
        assert_eq!(end, "\n", "{what}");
        assert!(last < Some(number), "{what}: {number} after {last:?}");
        last = Some(number);
    }
    got.len() / size
}

#[test]
fn a_damaged_part_takes_whole_records_with_it_and_the_books_close() {
    // No part begins or ends with a record.
    const SIZE: usize = 13;
    const COUNT: usize = 150_000;
    let all: Vec<u8> = (0..COUNT)
        .flat_map(|n| format!("{n:012}\n").into_bytes())
        .collect();
    let places = [
        ("one part", vec![1_000_000]),
        ("the last part", vec![all.len() - 1]),
        ("parts side by side", vec![700_000, 900_000, 1_100_000]),
    ];
    for args in [&["-l"][..], &["--record-size", "13"]] {
        for (what, flipped) in &places {
            let place = Place::new();
            // In order: all is entered, and can be checked.
            place.leave(&all, args, Signal::INT);
            let before = place.query();
            let owed = before["bytes"].as_u64().expect("a number") as usize;
            flipped.iter().for_each(|at| flip(&place, *at));
            let what = format!("{what}, {args:?}");
            let got = place.deliver(args).0;
            let came = assert_whole(&got, SIZE, &what);
            let left = place.query();
            assert_eq!(
                (&left["bytes"], &left["records"]),
                (&0.into(), &0.into()),
                "{what}: {left}"
            );
            let lost = left["lost"]["bytes"].as_u64().expect("a number") as usize;
            let most = flipped.len() * ((256 << 10) + 2 * SIZE);
            assert!(lost > 0 && lost <= most, "{what}: {lost}");
            assert_eq!(came * SIZE + lost, owed, "{what}: {left}");
            assert_eq!(place.files("stream"), Vec::<PathBuf>::new(), "{what}");
            // And what comes then is what is counted.
            assert_eq!(place.deliver(args).0, b"", "{what}");
        }
    }
}

#[test]
fn the_first_new_record_is_whole_where_the_last_old_byte_is_damaged() {
    let place = Place::new();
    let all = lines(100_000, 400_000);
    place.leave(&all, &["-l"], Signal::INT);
    flip(&place, all.len() - 1);
    let new = place.0.path().join("new");
    fs::write(&new, "first\nsecond\n").expect("a file");
    let name = new.display().to_string();
    let (got, said) = place.deliver(&["-l", &name]);
    assert!(got.ends_with(b"\nfirst\nsecond\n"), "{said}");
    let lost = &place.query()["lost"];
    let records = |bytes: usize| Value::from(bytes / 7);
    let bytes = lost["bytes"].as_u64().expect("a number") as usize;
    assert_eq!(lost["records"], records(bytes), "{lost}");
}

#[test]
fn records_are_numbered_right_where_an_index_is_gone() {
    let place = Place::new();
    let all = lines(100_000, 400_000);
    place.leave(&all, &["-l"], Signal::KILL);
    place
        .files("index")
        .iter()
        .for_each(|it| fs::remove_file(it).expect("gone"));
    let name = place.spool().display().to_string();
    let mut weir = weir(&["-l", "--summary", "json", "--spool", &name]);
    weir.stdin(Stdio::null());
    let output = weir.output().expect("it ran");
    let said = String::from_utf8(output.stderr).expect("text");
    let line = said
        .lines()
        .find(|line| line.starts_with('{'))
        .expect("a summary");
    let summary: Value = serde_json::from_str(line).expect("an object");
    assert_eq!(
        summary["in"]["records"], summary["out"]["records"],
        "{line}"
    );
    assert_eq!(summary["in"]["records"], output.stdout.len() / 7, "{line}");
}
