//! The lines of weirs on one terminal: their order, who draws, who is left out, and a file that nobody can spoil.

use super::*;

/// Weirs that have said something at this time.
fn board(pids: &[u32], now: u64) -> Board {
    let mut board = Board::default();
    for pid in pids {
        board.put(slot(*pid, now));
    }
    board
}

fn slot(pid: u32, at: u64) -> Slot {
    Slot {
        pid,
        since: at,
        at,
        every: 200,
        line: format!("line {pid}"),
        ..Slot::default()
    }
}

fn ended(pid: u32, at: u64) -> Slot {
    Slot {
        summary: Some(format!("summary {pid}")),
        ..slot(pid, at)
    }
}

fn pids(board: &Board) -> Vec<u32> {
    board.slots.iter().map(|slot| slot.pid).collect()
}

#[test]
fn pipelines_stay_together_and_the_older_one_is_above() {
    let mut board = Board::default();
    for (pid, since) in [(30, 5), (31, 6), (20, 1), (22, 9), (21, 8)] {
        board.put(slot(pid, since));
    }
    assert_eq!(pids(&board), [20, 30, 31, 21, 22]);
    assert!(!board.is_in_order());
    board.order(&[vec![8, 22, 9, 20, 21], vec![31, 30]]);
    assert_eq!(pids(&board), [22, 20, 21, 31, 30]);
    assert!(board.is_in_order());
    board.put(slot(40, 10));
    assert!(!board.is_in_order());
    assert_eq!(pids(&board), [22, 20, 21, 31, 30, 40]);
}

#[test]
fn a_new_line_takes_the_place_of_the_old_one() {
    let mut board = board(&[1, 2], 10);
    board.order(&[vec![2, 1]]);
    board.put(Slot {
        line: "new".into(),
        ..slot(1, 300)
    });
    assert_eq!(pids(&board), [2, 1]);
    assert_eq!(
        (board.slots[1].line.as_str(), board.slots[1].since),
        ("new", 10)
    );
}

#[test]
fn a_picture_is_drawn_as_often_as_one_weir_would_however_many_there_are() {
    let mut board = Board::default();
    let mut drawn = 0;
    for ms in (1000..11_000).step_by(10) {
        // Ten of them, each in its own step.
        let pid = (ms / 10 % 20) as u32;
        if pid < 10 {
            board.put(slot(pid, ms));
            if board.is_due(ms, 200) {
                board.drawn = ms;
                drawn += 1;
            }
        }
    }
    assert!((45..=65).contains(&drawn), "{drawn} in ten seconds");
}

#[test]
fn the_dead_are_left_out_and_the_stopped_stay() {
    let mut board = board(&[1, 2, 3], 1000);
    board.put(slot(3, 1900));
    let is_alive = |slot: &Slot| slot.pid != 1;
    assert!(
        !board.reap(1900, is_alive),
        "nobody has been silent for long"
    );
    assert!(board.reap(2000, is_alive));
    assert_eq!(pids(&board), [2, 3]);
    assert!(Board::is_silent(&board.slots[0], 2000) && !Board::is_silent(&board.slots[1], 2000));
}

#[test]
fn summaries_are_told_in_the_order_of_the_pipeline() {
    let mut board = board(&[1, 2, 3, 9], 1000);
    board.order(&[vec![1, 2, 3], vec![9]]);
    board.put(ended(3, 1000));
    assert!(board.told().is_empty(), "two before it run on");
    board.put(ended(9, 1000));
    assert_eq!(board.told(), ["summary 9"]);
    board.put(ended(1, 1000));
    assert_eq!(board.told(), ["summary 1"]);
    // The one between is killed.
    board.remove(2);
    assert_eq!(board.told(), ["summary 3"]);
    assert!(board.slots.is_empty());
}

#[test]
fn what_waits_stays_however_long_and_can_be_taken_back() {
    let mut board = board(&[1, 2, 3, 4, 9], 1000);
    board.order(&[vec![1, 2, 3, 4], vec![9]]);
    for pid in [4, 3, 9] {
        board.put(ended(pid, 1000));
    }
    assert_eq!(board.told(), ["summary 9"]);
    board.reap(u64::MAX, |slot| slot.pid == 1);
    assert!(!board.is_told(4) && board.told().is_empty());
    assert!(board.told_anyway(1).is_empty(), "it runs");
    assert_eq!(board.told_anyway(4), ["summary 3", "summary 4"]);
    assert!(board.is_told(4) && board.told_anyway(4).is_empty());
    assert!(!board.is_told(4), "it knows");
    assert_eq!(pids(&board), [1]);
}

#[test]
fn the_file_is_shared_under_its_lock_and_gone_with_the_last_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let shared = || Shared::new(Some(folder.path()), "8801", || None);
    let now = Duration::ZERO;
    let (mut one, mut two) = (shared(), shared());
    assert_eq!(one.with(now, |board| board.put(slot(1, 5))), Some(()));
    let inside = one.with(now, |board| {
        board.put(slot(2, 5));
        two.with(now, |_| ())
    });
    assert_eq!(inside, Some(None), "one at a time");
    assert_eq!(two.with(now, |board| pids(board)), Some(vec![1, 2]));
    two.with(now, |board| board.slots.clear());
    assert_eq!(folder.path().read_dir().expect("a folder").count(), 0);
    assert_eq!(one.with(now, |board| board.slots.len()), Some(0));
}

#[test]
fn the_lines_of_an_earlier_terminal_of_the_same_name_are_not_those_of_this_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let shared = |mark| Shared::new(Some(folder.path()), "8801", mark);
    let now = Duration::ZERO;
    let (mut one, mut other) = (
        shared(|| Some("one".into())),
        shared(|| Some("other".into())),
    );
    one.with(now, |board| board.put(slot(1, 5)));
    one.with(now, |board| board.put(slot(2, 5)));
    assert_eq!(one.with(now, |board| pids(board)), Some(vec![1, 2]));
    assert_eq!(other.with(now, |board| pids(board)), Some(vec![]));
}

#[test]
fn what_cannot_be_understood_counts_for_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut shared = Shared::new(Some(folder.path()), "8801", || None);
    for text in ["", "{\"drawn\":1,\"slots\":[{\"pid\":4", "GIF89a"] {
        fs::write(folder.path().join("terminal-8801.2"), text).expect("written");
        assert_eq!(
            shared.with(Duration::ZERO, |board| board.slots.len()),
            Some(0)
        );
    }
}

#[test]
fn without_a_place_to_share_a_weir_is_alone() {
    for directory in [None, Some(Path::new("/nowhere/at/all"))] {
        let mut shared = Shared::new(directory, "8801", || None);
        shared.with(Duration::ZERO, |board| board.put(slot(1, 5)));
        assert_eq!(
            shared.with(Duration::ZERO, |board| pids(board)),
            Some(vec![1])
        );
    }
}

#[test]
fn no_number_in_a_file_is_too_large_to_be_looked_at() {
    let mut board = board(&[1], 0);
    board.slots[0].at = u64::MAX;
    board.slots[0].every = u64::MAX;
    assert!(!Board::is_silent(&board.slots[0], u64::MAX));
    assert!(board.is_due(u64::MAX, 1));
    assert!(!board.is_due(1, u64::MAX));
}
