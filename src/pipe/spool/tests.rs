//! What is owed to whom of what lies in a spool when it is opened again.

use std::fs;

use std::time::Duration;

use super::*;
use crate::disk::format::{Framing, names};
use crate::disk::schedule::Policy;
use crate::disk::spool::SpoolOptions;
use crate::disk::state;
use crate::engine::action::CONSUMER;
use crate::engine::record::{Cursor, Framing::Terminator};
use crate::engine::scan::Run;
use crate::pipe::spill::{Disk, Store};
use crossbeam_channel::unbounded;

fn options(boot: u8) -> SpoolOptions {
    SpoolOptions {
        bound: 1 << 20,
        framing: Framing::Lines,
        policy: Policy::Within(Duration::from_secs(3600)),
        boot: Some([boot; 16]),
    }
}

/// Lines have ten bytes.
fn place(at: u64) -> Place {
    Place {
        at,
        record: at / 10,
        begun: 0,
    }
}

/// After a power cut they may be gone while what was saved of them is older.
#[test]
fn what_workers_have_had_stays_theirs_where_all_that_was_owed_before_it_has_gone_with_its_segment()
{
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("q");
    let spool = Spool::open(&path, &options(1)).expect("it is new").spool;
    let text: String = (0..30_000).map(|line| format!("{line:09}\n")).collect();
    let mut rest = text.as_bytes();
    while let Taken::Bytes(n) = spool.append_some(rest, 1).expect("there is room")
        && n < rest.len()
    {
        rest = &rest[n..];
    }
    let mut dealt = Dealt::after(None, place(0));
    dealt.on_written(0, (place(100), place(200_000)));
    let journal = dealt.journal();
    spool.set_journal(state::CONSUMER, journal).expect("saved");
    spool.sync().expect("forced to the disk");
    drop(spool);
    for name in <[String; 2]>::from(names(0)) {
        fs::remove_file(path.join(name)).expect("the first segment");
    }
    let opened = Spool::open(&path, &options(2)).expect("it opens");
    assert!(
        (100..200_000).contains(&opened.oldest.at),
        "{:?}",
        opened.oldest
    );
    let outputs = Outputs {
        use_by: UseBy::Workers,
        lives_on: true,
        tees: Vec::new(),
    };
    let store = SpoolStore::new(opened, outputs, |_| ()).expect("it goes on");
    let rest = stretch(place(200_000), place(300_000), false);
    assert_eq!(store.inherited().parts, [(rest, Owed::Consumer)]);
}

#[test]
fn what_nobody_is_owed_goes_before_the_beginning_of_a_record_that_goes_on() {
    let home = tempfile::tempdir().expect("a directory");
    let opened = Spool::open(&home.path().join("q"), &options(1)).expect("it is new");
    let outputs = Outputs {
        use_by: UseBy::Stream,
        lives_on: false,
        tees: Vec::new(),
    };
    let store = SpoolStore::new(opened, outputs, |_| ()).expect("it goes on");
    let mut text: Vec<u8> = (0..90_000)
        .flat_map(|line| format!("{line:09}\n").into_bytes())
        .collect();
    text.extend(vec![b'r'; 1 << 20]);
    let mut run = Run::at(Cursor::new(Some(Terminator(b'\n'))));
    let mut end = 0;
    while let Taken::Bytes(n) = store.spool.append_some(&text[end..], 1).expect("a disk") {
        run.add(&text[end..end + n]);
        end += n;
    }
    assert!(end > 900_000, "it holds less than was thought: {end}");
    store.remember(CONSUMER, end as u64, run).expect("saved");
    let (events, _heard) = unbounded();
    let (disk, _floors) = Disk::new(Store::Spool(store), 1 << 20, events);
    disk.give_back(end as u64);
    disk.room(4096).expect("there was enough to give back");
    drop(disk);
    let again = Spool::open(&home.path().join("q"), &options(1)).expect("it opens");
    assert_eq!(again.spool.place(state::CONSUMER), Some(place(900_000)));
}
