//! What weir shows on a terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::thread;
use std::time::Duration;

use super::{pass, weir};
use crate::harness::fifo::Fifo;
use crate::harness::pty::Pty;

/// A row of a bar that was drawn for this width: a narrow one has no room for the last words.
fn is_bar(row: &str, columns: usize) -> bool {
    let blamed = if columns < 60 {
        row.ends_with("◀ source")
    } else {
        row.ends_with("◀ source is slow")
    };
    row.contains('%') && blamed && row.chars().count() < columns
}

#[test]
fn the_bar_follows_the_terminal_and_leaves_a_clean_line() {
    let fifo = Fifo::new();
    let script = "printf 'before\\n'; \"$WEIR\" -N me -i 10ms <\"$FIFO\" >/dev/null; echo after";
    let pty = Pty::run(script, 10, 100, &[("FIFO", fifo.name())]);
    let mut source = fifo.open();
    source.write_all(b"some").expect("fed");
    for columns in [100, 60, 24, 120] {
        pty.resize(10, columns);
        let rows = pty.wait("a bar", |rows| {
            rows.iter().any(|row| is_bar(row, columns.into()))
        });
        let bars = rows.iter().filter(|row| is_bar(row, columns.into()));
        assert_eq!(bars.count(), 1, "{rows:#?}");
        assert_eq!(rows[0], "before");
        assert!(rows[1..].concat().contains("source"), "{rows:#?}");
    }
    drop(source);
    let rows = pty.wait_for(&["after"]);
    assert!(rows[1].starts_with("weir me: 4B in "), "{rows:#?}");
    assert!(!rows.concat().contains('▏'), "{rows:#?}");
    assert_eq!(pty.end(), 0);
}

#[test]
fn a_bar_has_colour_unless_told_not_to() {
    for (environment, colour, glyph) in [
        (("X", "x"), true, "▏"),
        (("NO_COLOR", "1"), false, "▏"),
        (("LC_ALL", "C"), true, "]"),
    ] {
        let fifo = Fifo::new();
        let script = "\"$WEIR\" -i 10ms <\"$FIFO\" >/dev/null";
        let pty = Pty::run(script, 5, 80, &[("FIFO", fifo.name()), environment]);
        let source = fifo.open();
        let rows = pty.wait_for(&["0%", glyph]);
        assert_eq!(rows.concat().is_ascii(), glyph == "]", "{rows:#?}");
        let painted = pty.with_screen(|screen| {
            (0..5 * 80).any(|place| {
                let cell = screen.cell(place / 80, place % 80).expect("a cell");
                cell.fgcolor() != vt100::Color::Default
            })
        });
        assert_eq!(painted, colour, "{environment:?}");
        drop(source);
    }
}

#[test]
fn a_dumb_terminal_gets_lines_and_so_does_one_that_nobody_has_named() {
    for terminal in ["export TERM=dumb", "export TERM=", "unset TERM"] {
        let fifo = Fifo::new();
        let script = format!("{terminal}; \"$WEIR\" -i 10ms <\"$FIFO\" >/dev/null");
        let pty = Pty::run(&script, 5, 200, &[("FIFO", fifo.name())]);
        let _source = fifo.open();
        pty.wait_for(&["weir name=- pid=", " state="]);
    }
}

#[test]
fn what_remote_has_changed_is_said_on_a_terminal() {
    let fifo = Fifo::new();
    let script = r#""$WEIR" -q -N to-be-changed -r 195kB/s <"$FIFO" >/dev/null &
        until "$WEIR" --query to-be-changed >/dev/null 2>&1; do sleep .05; done
        "$WEIR" --remote to-be-changed -r off --high 75%
        "$WEIR" --remote to-be-changed --high 75% --pause
        "$WEIR" --remote to-be-changed --resume
        "$WEIR" --remote to-be-changed --drain
        echo after"#;
    let pty = Pty::run(script, 20, 100, &[("FIFO", fifo.name())]);
    let source = fifo.open();
    let rows = pty.wait_for(&["after"]);
    let told: Vec<_> = rows.iter().filter(|row| row.contains(": ")).collect();
    let wanted = [
        "to-be-changed: rate 195kB/s → off",
        "to-be-changed: high default → 75%",
        "to-be-changed: paused",
        "to-be-changed: resumed",
        "to-be-changed: draining",
    ];
    assert_eq!(told, wanted, "{rows:#?}");
    drop(source);
}

#[test]
fn a_timetable_without_units_is_said_to_be_understood_on_a_terminal_and_only_there() {
    for (options, said) in [
        (
            "-r '00:00,5000'",
            "'00:00,5kB/s': a figure without a unit is bytes, not KiB",
        ),
        (
            "-l -r '00:00,5000'",
            "'00:00,5000/s': a figure without a unit counts records",
        ),
    ] {
        let script = format!("echo x | \"$WEIR\" {options} >/dev/null; echo after");
        let rows = Pty::run(&script, 20, 200, &[]).wait_for(&["after"]);
        let told: Vec<_> = rows.iter().filter(|row| row.contains(said)).collect();
        assert_eq!(told.len(), 1, "{rows:#?}");
        assert!(
            told[0].starts_with("weir: --rate '00:00,5000' is taken as "),
            "{told:?}"
        );
    }
    let output = pass(weir("-r 00:00,5000"), 10);
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn in_the_background_it_draws_nothing_and_is_not_stopped() {
    // The harshest terminal: one that stops whoever writes from the background.
    let (fifo, out) = (Fifo::new(), Fifo::new());
    let script = "set -m; stty tostop
        \"$WEIR\" -i 10ms <\"$FIFO\" >\"$OUT\" & pid=$!
        read -r word; kill -USR1 $pid; read -r word
        fg >/dev/null; echo after";
    let ends = [("FIFO", fifo.name()), ("OUT", out.name())];
    let mut pty = Pty::run(script, 20, 250, &ends);
    let mut source = fifo.open();
    let mut sink = File::open(&out.path).expect("a reader");
    // Before it has passed something it may not listen to signals yet.
    source.write_all(b"x").expect("fed");
    sink.read_exact(&mut [0]).expect("passed on");
    // Not a wait for something to be true: time in which many a frame is due.
    thread::sleep(Duration::from_millis(500));
    pty.type_in("ask\n");
    let rows = pty.wait_for(&["weir name=- pid=", " in=1B "]);
    assert!(!rows.concat().contains(['▕', '▏']), "{rows:#?}");
    pty.type_in("on\n");
    pty.wait_for(&["▕", "◀ source is slow"]);
    drop(source);
    let rows = pty.wait_for(&["after"]);
    assert!(!rows.concat().contains('▏'), "{rows:#?}");
}
