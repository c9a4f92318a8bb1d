//! Ctrl-Z, fg, and a shell that has the terminal again: whose it is then.

use std::io::Write;
use std::thread;
use std::time::Duration;

use super::{assert_clean, bars, home};
use crate::harness::fifo::Fifo;
use crate::harness::pty::Pty;

#[test]
fn ctrl_z_takes_the_bar_away_and_fg_brings_it_back() {
    let (fifo, home) = (Fifo::new(), home());
    let home = home.path().to_str().expect("a path");
    let environment = [
        ("FIFO", fifo.name()),
        ("XDG_RUNTIME_DIR", home),
        ("PS1", "$ "),
    ];
    let mut pty = Pty::run("exec bash --norc -i", 12, 100, &environment);
    pty.wait("a prompt", |rows| rows[0].starts_with('$'));
    pty.type_in("PS1='$ '; clear; \"$WEIR\" -N me -i 10ms <\"$FIFO\" >/dev/null\n");
    let source = fifo.open();
    for _ in 0..2 {
        pty.wait("a bar", |rows| bars(rows, &["me"]).is_some());
        pty.type_in("\x1a");
        let rows = pty.wait("it is stopped", |rows| {
            rows.iter().any(|row| row.contains("Stopped")) && rows.iter().any(|row| row == "$")
        });
        assert_clean(&rows);
        pty.type_in("clear; fg\n");
    }
    pty.wait("a bar", |rows| bars(rows, &["me"]).is_some());
    drop(source);
    let rows = pty.wait_for(&["weir me: 0B in"]);
    assert_clean(&rows);
}

#[test]
fn a_shell_that_has_the_terminal_again_before_the_end_keeps_nothing_of_the_bar() {
    let home = home();
    let home = home.path().to_str().expect("a path");
    let silent = Fifo::new();
    let environment = [
        ("XDG_RUNTIME_DIR", home),
        ("PS1", "$ "),
        ("SILENT", silent.name()),
    ];
    // A subshell that Ctrl-C ends gives the terminal back to the shell, whoever of its pipeline is still there: for a
    // moment, or for so long that weir finds itself in the background. It does so where a builtin of it is interrupted; one
    // that runs programs may go on.
    let last = [
        "\"$WEIR\" -N me -i 10ms >/dev/null",
        "(trap '' INT; exec \"$WEIR\" -N me -i 10ms -r 10B/s >/dev/null)",
    ];
    for last in last {
        let mut pty = Pty::run("exec bash --norc -i", 12, 100, &environment);
        pty.wait("a prompt", |rows| rows[0].starts_with('$'));
        let first = "(printf 12345678901234567890; read -r _ <>\"$SILENT\")";
        pty.type_in(&format!("clear; {first} | {last}\n"));
        pty.wait("a bar", |rows| bars(rows, &["me"]).is_some());
        pty.type_in("\x03");
        pty.wait_for(&["weir me: "]);
        // Nobody can look whose the terminal is and write to it in one: a prompt that came in between may be gone.
        pty.type_in("\n");
        let rows = pty.wait("a prompt", |rows| {
            let last = rows.iter().rfind(|row| !row.is_empty());
            last.is_some_and(|row| row == "$")
        });
        assert_clean(&rows);
    }
}

#[test]
fn ctrl_z_gives_the_terminal_back_from_the_live_view_too() {
    let home = home();
    let home = home.path().to_str().expect("a path");
    let environment = [("XDG_RUNTIME_DIR", home), ("WEIR_TEST_TMP", home)];
    let mut pty = Pty::run("exec bash --norc -i", 12, 100, &environment);
    pty.type_in("PS1='$ '; clear; \"$WEIR\" --top\n");
    for _ in 0..2 {
        pty.wait_for(&["no weir is running"]);
        pty.type_in("\x1a");
        pty.wait("it is stopped", |rows| {
            rows.iter().any(|row| row.contains("Stopped")) && rows.iter().any(|row| row == "$")
        });
        pty.type_in("clear; fg\n");
    }
    pty.wait_for(&["no weir is running"]);
    pty.type_in("q");
    pty.wait("the prompt", |rows| rows.iter().any(|row| row == "$"));
}

#[test]
fn a_summary_after_ctrl_c_begins_its_row() {
    let fifo = Fifo::new();
    let script =
        r#"trap : INT; "$WEIR" --display off --summary text <"$FIFO" >/dev/null; echo after"#;
    let mut pty = Pty::run(script, 12, 100, &[("FIFO", fifo.name())]);
    let mut source = fifo.open();
    source.write_all(b"some").expect("it reads");
    // It has read, so that it listens to signals.
    let until = std::time::Instant::now() + Duration::from_secs(60);
    while rustix::io::ioctl_fionread(&source) != Ok(0) {
        assert!(std::time::Instant::now() < until, "nobody reads");
        thread::sleep(Duration::from_millis(1));
    }
    pty.type_in("\x03");
    let rows = pty.wait_for(&["after"]);
    assert!(
        rows.iter().any(|row| row.starts_with("weir: ")),
        "{rows:#?}"
    );
}
