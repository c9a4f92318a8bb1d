//! What is recalled when somebody comes, from memory or from a spool.

use std::os::unix::process::ExitStatusExt;

use rustix::process::Signal;

use super::{Look, assert_in_a_row, lines};
use crate::harness;
use crate::harness::remote::Home;
use crate::harness::{assert_same, eventually};

#[test]
fn what_is_recalled_comes_first_also_while_nothing_passes() {
    let home = Home::new();
    let mut weir = home.start(&["-l", "-N", "w", "--recall", "16KiB"]);
    let before = lines(0, 1000);
    weir.give(&before);
    assert_same(&weir.take(before.len()), &before, "the consumer");
    weir.give(b"line 1000");
    for _ in 0..2 {
        let look = Look::at(&home, "w");
        // All that fits, in whole lines.
        eventually("what has passed is shown", || {
            look.shown().len() > 15 * 1024
        });
        let first = assert_in_a_row(&look.shown(), "recalled");
        assert_eq!(look.shown(), lines(first, 1000 - first));
        assert!(look.shown().len() <= 16 * 1024);
        look.weir.signal(Signal::TERM);
        assert_eq!(look.end().2.signal(), Some(15));
    }
    let look = Look::at(&home, "w");
    eventually("what has passed is shown", || !look.shown().is_empty());
    // It goes on seamlessly, and ends as the weir does.
    let after = lines(1000, 50);
    weir.give(&after["line 1000".len()..]);
    weir.take(after.len());
    eventually("the newest is shown", || look.newest() == Some(1049));
    drop(weir.stdin.take());
    assert!(weir.end().success());
    let (shown, said, status) = look.end();
    let first = assert_in_a_row(&shown, "to the end");
    assert_eq!(shown, lines(first, 1050 - first));
    assert!(status.success() && said.is_empty(), "{status} {said}");
}

#[test]
fn what_is_recalled_from_a_spool_is_the_newest_also_where_nobody_takes_anything() {
    let home = Home::new();
    let place = harness::spool::Place::new();
    let spool = place.name();
    let mut weir = home.start(&[
        "-l", "-N", "w", "--recall", "16KiB", "--spool", &spool, "-r", "1/s",
    ]);
    // Some of it by line, and some in a piece that is longer than what is kept.
    let all = lines(0, 3000);
    let (one_by_one, rest) = all.split_at(lines(0, 500).len());
    for line in one_by_one.split_inclusive(|byte| *byte == b'\n') {
        weir.give(line);
    }
    let (many, last) = rest.split_at(rest.len() - lines(2900, 100).len());
    for piece in [many, last] {
        weir.give(piece);
    }
    place.await_bytes(all.len());
    for end in [3000, 3001] {
        let look = Look::at(&home, "w");
        let newest = lines(end - 100, 100);
        eventually("the newest is shown", || look.shown().ends_with(&newest));
        let shown = look.shown();
        let first = assert_in_a_row(&shown, "recalled");
        assert_eq!(shown, lines(first, end - first));
        let kept = 12 * 1024..=16 * 1024;
        assert!(kept.contains(&shown.len()), "{} bytes", shown.len());
        weir.give(&lines(end, 1));
        eventually("what comes is shown", || {
            look.shown().ends_with(&lines(end, 1))
        });
    }
}
