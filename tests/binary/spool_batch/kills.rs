//! Weir killed again and again beside a COMMAND that knows the name of a batch: each line is there once.

use std::collections::BTreeMap;
use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use super::Place;
use crate::harness;
use crate::harness::spool::lines;
use crate::harness::{feed, program, start};

/// Kills weir so often, at random, while it gives all of these lines to programs in batches.
fn killed_again_and_again(
    place: &Place,
    options: &[&str],
    script: &str,
    count: usize,
    kills: usize,
) {
    let (stdin, into) = std::io::pipe().expect("a pipe");
    let feeding = feed(into, lines(0, count));
    let mut dice = 4711_u64;
    for _ in 0..kills {
        let input = stdin.try_clone().expect("a duplicate");
        let running = start(place.weir(options, script), input, Stdio::null());
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        // When the kill comes is what is random here; whatever it hits must be right.
        thread::sleep(Duration::from_micros(dice >> 33 & 0xffff));
        running.signal(Signal::KILL);
        running.end();
    }
    eprintln!("killed {kills} times at random");
    let last = start(place.weir(options, script), stdin, Stdio::null());
    let ended = last.end();
    assert!(ended.status.success(), "{ended:?}");
    feeding.done().expect("all was taken");
    place.assert_empty();
}

#[test]
fn a_program_that_knows_the_name_of_a_batch_has_each_line_once_after_a_hundred_kills() {
    for jobs in ["1", "3"] {
        let place = Place::new();
        fs::create_dir(place.at("rows")).expect("a directory");
        // What has a name is there as a whole, or not at all.
        let script = "t=${0%out}t.$$; cat > $t; mv $t ${0%out}rows/$WEIR_BATCH";
        let options = ["--batch", "50", "-j", jobs, "-b", "64KiB"];
        let kills = harness::kills(100);
        let count = kills * 200;
        killed_again_and_again(&place, &options, script, count, kills);
        let mut rows = BTreeMap::new();
        for entry in fs::read_dir(place.at("rows"))
            .expect("a directory")
            .flatten()
        {
            let text = fs::read_to_string(entry.path()).expect("rows");
            for row in text.lines() {
                let number: usize = row.parse().expect("a whole line");
                let before = rows.insert(number, entry.file_name());
                assert_eq!(before, None, "{number} is in two batches");
            }
        }
        assert_eq!(rows.len(), count, "none is missing");
    }
}

#[test]
fn a_database_has_each_row_once_after_a_hundred_kills() {
    if !harness::has("sqlite3") {
        return;
    }
    let place = Place::new();
    let database = place.at("db");
    let ask = |what: &str| {
        let output = program("sqlite3")
            .args([&database, what])
            .output()
            .expect("it ran");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    ask(
        "PRAGMA journal_mode=WAL; CREATE TABLE batches(id TEXT PRIMARY KEY); CREATE TABLE rows(n INTEGER);",
    );
    let script = "d=${0%out}db; k=$(sqlite3 -cmd '.timeout 9000' $d \"SELECT 1 FROM batches WHERE id='$WEIR_BATCH'\") || exit; \
        test -n \"$k\" && exit 0; \
        { echo 'PRAGMA synchronous=OFF; BEGIN IMMEDIATE;'; echo \"INSERT INTO batches VALUES('$WEIR_BATCH');\"; \
          sed 's/.*/INSERT INTO rows VALUES(&);/'; echo 'COMMIT;'; } | sqlite3 -bail -cmd '.timeout 9000' $d > /dev/null 2>&1";
    let options = ["--batch", "100", "-b", "64KiB"];
    let kills = harness::kills(100);
    let count = kills * 100;
    killed_again_and_again(&place, &options, script, count, kills);
    assert_eq!(
        ask("SELECT count(*), count(DISTINCT n), min(n), max(n) FROM rows"),
        format!("{count}|{count}|0|{}\n", count - 1)
    );
}
