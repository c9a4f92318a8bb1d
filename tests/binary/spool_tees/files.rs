//! The file of a tee, and what is in it of a line that a kill has cut off.

use std::fs::{self};

use rustix::process::Signal;

use super::path;
use crate::harness::spool::{Place, lines};
use crate::harness::{assert_same, eventually, feed, start};

#[test]
fn a_part_of_a_line_at_the_end_of_the_file_of_a_tee_gets_an_end_of_its_own() {
    for (before, is_torn) in [("HEAD", true), ("HEAD\n", false), ("", false)] {
        let place = Place::new();
        let copy = path(&place, "copy");
        let all = lines(100_000, 200_000);
        let (stdin, input) = std::io::pipe().expect("a pipe");
        let (_output, stdout) = std::io::pipe().expect("a pipe");
        let running = start(place.weir(&["-l"]), stdin, stdout);
        feed(input, all.clone()).done().expect("all is taken");
        place.await_bytes(all.len());
        // From the very beginning on nobody goes on with anything.
        eventually("some is delivered, and that is saved", || {
            let left = place.query()["bytes"].as_u64();
            left.is_some_and(|left| left < all.len() as u64)
        });
        running.signal(Signal::KILL);
        running.end();
        fs::write(&copy, before).expect("a file");
        let (got, _) = place.deliver(&["-l", "--tee", &copy]);
        assert!(
            !got.is_empty(),
            "there is something to be written behind it"
        );
        let end: &[u8] = if is_torn { b"\n" } else { b"" };
        let copied = fs::read(&copy).expect("a copy");
        assert_same(
            &copied,
            &[before.as_bytes(), end, &got].concat(),
            "all of it",
        );
    }
}

#[test]
fn nothing_goes_from_the_file_of_a_tee_whose_records_have_no_end() {
    // What might be half a record is what was there before.
    for before in ["HEAD\n", "HEAD\n000000\n000001\n", "000000\n1"] {
        let place = Place::new();
        let copy = path(&place, "copy");
        let fixed = ["--record-size", "7"];
        place.leave(&lines(100_000, 200_000), &fixed, Signal::KILL);
        fs::write(&copy, before).expect("a file");
        let args = [&fixed[..], &["--tee", &copy]].concat();
        let (got, _) = place.deliver(&args);
        assert!(
            !got.is_empty(),
            "there is something to be written behind it"
        );
        let copied = fs::read(&copy).expect("a copy");
        assert_same(&copied, &[before.as_bytes(), &got].concat(), "all of it");
    }
}
