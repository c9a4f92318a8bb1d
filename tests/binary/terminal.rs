//! Several weirs on one terminal, and their manners there.

mod dead;
mod output;
mod stopped;

use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::fifo::Fifo;
use crate::harness::pty::Pty;
use rustix::process::{Pid, Signal, kill_process};

/// Waits until this page of metrics has been written so often that holds this: each time a frame was due, too.
fn await_pages(page: &Path, holds: &str, n: usize) {
    let (mut last, mut seen) = (String::new(), 0);
    let until = Instant::now() + Duration::from_secs(60);
    while seen < n {
        let now = std::fs::read_to_string(page).unwrap_or_default();
        seen += usize::from(now != last && now.contains(holds));
        last = now;
        assert!(Instant::now() < until, "{holds}: {last}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A directory for what weirs share that other tests do not see.
fn home() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// The places of the rows of these weirs, a bar each, if all of them are there.
fn bars(rows: &[String], names: &[&str]) -> Option<Vec<usize>> {
    let row_of = |name: &&str| {
        let start = format!("{name} ");
        rows.iter()
            .position(|row| row.starts_with(&start) && row.contains(['▏', '━', '─']))
    };
    names.iter().map(row_of).collect()
}

/// No part of any bar is left.
#[track_caller]
fn assert_clean(rows: &[String]) {
    let ghosts = rows
        .iter()
        .filter(|row| row.contains(['▏', '▕', '◀', '━', '─']));
    assert_eq!(ghosts.count(), 0, "{rows:#?}");
}

/// The places of these weirs' summaries.
fn summaries(rows: &[String], names: &[&str]) -> Vec<Option<usize>> {
    let summary = |name: &&str| {
        let start = format!("weir {name}: ");
        rows.iter().position(|row| row.starts_with(&start))
    };
    names.iter().map(summary).collect()
}

#[test]
fn the_weirs_of_a_pipeline_have_a_line_each_in_its_order_and_so_do_their_summaries() {
    let (fifo, home) = (Fifo::new(), home());
    // The last starts first, and the first last.
    let script = r#"
        gate() { until test -e "$XDG_RUNTIME_DIR/$1"; do sleep 0.01; done; }
        { gate one; exec "$WEIR" -N one -i 20ms <"$FIFO"; } | cat |
        { gate two; exec "$WEIR" -N two -i 20ms; } | cat |
        "$WEIR" -N three -i 20ms >/dev/null; echo after"#;
    let home = home.path();
    let path = home.to_str().expect("a path");
    let environment = [("FIFO", fifo.name()), ("XDG_RUNTIME_DIR", path)];
    let pty = Pty::run(script, 12, 100, &environment);
    let names = ["one", "two", "three"];
    for (there, next) in [(2, "two"), (1, "one")] {
        pty.wait("the one behind is there", |rows| {
            bars(rows, &names[there..]).is_some()
        });
        std::fs::write(home.join(next), "").expect("a file");
    }
    let mut source = fifo.open();
    for (bytes, total) in [(3000, "2.93KiB"), (4000, "6.84KiB")] {
        source.write_all(&vec![b'x'; bytes]).expect("fed");
        pty.wait("all alive, below each other, and nothing else", |rows| {
            let alive = |at: &usize| rows[*at].contains(total);
            let all = rows.iter().filter(|row| row.contains('%')).count();
            bars(rows, &names).is_some_and(|places| {
                let in_order = places.windows(2).all(|two| two[1] == two[0] + 1);
                places.iter().all(alive) && in_order && all == 3
            })
        });
    }
    for columns in [40, 120] {
        pty.resize(12, columns);
        pty.wait("bars as wide as the terminal", |rows| {
            bars(rows, &names).is_some_and(|places| {
                let widths = places.iter().map(|at| rows[*at].chars().count());
                let columns = usize::from(columns);
                widths
                    .into_iter()
                    .all(|width| width < columns && width > columns / 2)
            })
        });
    }
    drop(source);
    let rows = pty.wait_for(&["after"]);
    let places = summaries(&rows, &names);
    assert!(
        places.iter().all(Option::is_some) && places.is_sorted(),
        "{rows:#?}"
    );
    assert_clean(&rows);
}

#[test]
fn one_that_ends_before_those_above_it_lets_them_go_and_waits_for_their_words() {
    let home = home();
    // Nobody but the last one tells the others that it is over; what they say of it stands in the order of the pipeline.
    let script = r#"
        yes | "$WEIR" -N one -i 20ms | cat | "$WEIR" -N two -i 20ms | { read -r word; exec cat </dev/null; }
        echo after"#;
    let environment = [("XDG_RUNTIME_DIR", home.path().to_str().expect("a path"))];
    let pty = Pty::run(script, 12, 100, &environment);
    let rows = pty.wait_for(&["after"]);
    let places = summaries(&rows, &["one", "two"]);
    assert!(places.iter().all(Option::is_some), "{rows:#?}");
    assert_clean(&rows);
}

#[test]
fn nothing_that_the_last_one_says_is_lost_while_those_above_it_go_on_or_are_killed() {
    let (fifo, home) = (Fifo::new(), home());
    let script = r#"
        { sh -c 'echo $$ >"$XDG_RUNTIME_DIR/pid"; exec "$WEIR" -N one -i 20ms <"$FIFO"' | cat |
            { until test -e "$XDG_RUNTIME_DIR/go"; do sleep 0.01; done; exec "$WEIR" -N two -i 20ms --timeout 2s; }
            echo "status $?" >"$XDG_RUNTIME_DIR/status"; } >/dev/null
        cat "$XDG_RUNTIME_DIR/status"; echo after"#;
    let home = home.path();
    let path = home.to_str().expect("a path");
    let environment = [("FIFO", fifo.name()), ("XDG_RUNTIME_DIR", path)];
    let pty = Pty::run(script, 12, 100, &environment);
    let mut source = fifo.open();
    source.write_all(b"word\n").expect("fed");
    // The second begins when the word is there for it: however long that takes is no silence.
    pty.wait("the word has passed the first", |rows| {
        bars(rows, &["one"]).is_some_and(|at| rows[at[0]].contains(" 5B "))
    });
    std::fs::write(home.join("go"), "").expect("a file");
    // The second has ended and says so, though the first goes on.
    let rows = pty.wait("its words above the bar of the first", |rows| {
        let all = rows.join("\n");
        let place = |text: &str| all.find(text);
        let bar = bars(rows, &["one"]).is_some();
        bar && place("two: timeout: the source has sent nothing") < place("two: 5B")
            && place("two: 5B").is_some()
    });
    let pid = std::fs::read_to_string(home.join("pid")).expect("its number");
    let pid = Pid::from_raw(pid.trim().parse().expect("a number")).expect("a process");
    kill_process(pid, Signal::KILL).expect("it runs");
    let after = pty.wait_for(&["after"]);
    let words = |rows: &[String]| rows.iter().filter(|row| row.contains("two: ")).count();
    assert_eq!(
        (words(&rows), words(&after)),
        (2, 2),
        "{rows:#?} {after:#?}"
    );
    assert!(after.iter().any(|row| row == "status 124"), "{after:#?}");
}

#[test]
fn one_that_is_killed_leaves_no_ghost_and_the_others_go_on() {
    for killed in 0..3 {
        let (fifo, home) = (Fifo::new(), home());
        let script = r#"
            for name in a b c; do "$WEIR" -N $name -i 20ms <"$FIFO" >/dev/null & echo pid $!; done
            wait; echo after"#;
        let home = home.path().to_str().expect("a path");
        let environment = [("FIFO", fifo.name()), ("XDG_RUNTIME_DIR", home)];
        let pty = Pty::run(script, 14, 100, &environment);
        let source = fifo.open();
        let names = ["a", "b", "c"];
        let rows = pty.wait("three bars", |rows| bars(rows, &names).is_some());
        let pids: Vec<i32> = rows
            .iter()
            .filter_map(|row| row.strip_prefix("pid ")?.parse().ok())
            .collect();
        let pid = Pid::from_raw(pids[killed]).expect("a process");
        kill_process(pid, Signal::KILL).expect("it is there");
        let rest: Vec<&str> = names
            .into_iter()
            .filter(|name| *name != names[killed])
            .collect();
        pty.wait("two bars", |rows| {
            // A look may fall into the middle of a frame.
            let all = rows.iter().filter(|row| row.contains('%')).count();
            bars(rows, &rest).is_some() && all == 2
        });
        drop(source);
        let rows = pty.wait_for(&["after"]);
        assert!(
            summaries(&rows, &rest).iter().all(Option::is_some),
            "{rows:#?}"
        );
        assert_clean(&rows);
    }
}

#[test]
fn many_that_come_and_go_leave_a_summary_each_and_nothing_else() {
    let home = home();
    let script = r#"
        seq 1 12 | xargs -P5 -I{} sh -c 'head -c 300000 /dev/zero | "$WEIR" -N job{} -r 1MB/s -i 20ms >/dev/null'
        echo after"#;
    let home = home.path().to_str().expect("a path");
    let pty = Pty::run(script, 40, 100, &[("XDG_RUNTIME_DIR", home)]);
    let rows = pty.wait_for(&["after"]);
    assert_clean(&rows);
    for n in 1..=12 {
        let start = format!("weir job{n}: ");
        assert_eq!(
            rows.iter().filter(|row| row.starts_with(&start)).count(),
            1,
            "{rows:#?}"
        );
    }
    let left = std::fs::read_dir(std::path::Path::new(home).join("weir")).expect("a folder");
    assert_eq!(left.count(), 0, "nothing is left behind");
}

#[test]
fn a_message_of_two_lines_leaves_no_part_of_a_bar_behind_it() {
    let (fifo, go, home) = (Fifo::new(), Fifo::new(), home());
    let script = r#"
        for name in a b; do "$WEIR" -N $name -i 20ms <"$FIFO" >/dev/null & done
        read -r word <"$GO"; printf 'tar: one\ntar: two\n'
        wait; echo after"#;
    let home = home.path().to_str().expect("a path");
    let environment = [
        ("FIFO", fifo.name()),
        ("GO", go.name()),
        ("XDG_RUNTIME_DIR", home),
    ];
    let pty = Pty::run(script, 14, 100, &environment);
    let source = fifo.open();
    let clean = |rows: &[String], text: &str| rows.iter().any(|row| row == text);
    pty.wait("two bars", |rows| bars(rows, &["a", "b"]).is_some());
    writeln!(go.open(), "go").expect("told");
    pty.wait(
        "both lines as they were written, and both bars below them",
        |rows| {
            let places = bars(rows, &["a", "b"]);
            let told = rows.iter().position(|row| row == "tar: two");
            clean(rows, "tar: one") && places.zip(told).is_some_and(|(all, told)| all[0] > told)
        },
    );
    drop(source);
    let rows = pty.wait_for(&["after"]);
    assert!(
        clean(&rows, "tar: one") && clean(&rows, "tar: two"),
        "{rows:#?}"
    );
    assert_clean(&rows);
}

#[test]
fn one_that_ends_in_the_background_leaves_nothing_of_the_bars_in_the_foreground_behind_its_words() {
    let (fifo, other, home) = (Fifo::new(), Fifo::new(), home());
    let script = r#"
        set -m; "$WEIR" -N back -i 20ms <"$OTHER" >/dev/null &
        "$WEIR" -N fore -i 20ms <"$FIFO" >/dev/null; echo after"#;
    let home = home.path().to_str().expect("a path");
    let ends = [("FIFO", fifo.name()), ("OTHER", other.name())];
    let environment = [ends[0], ends[1], ("XDG_RUNTIME_DIR", home)];
    // So narrow that its last words take several rows.
    let pty = Pty::run(script, 14, 50, &environment);
    let (source, mut others) = (fifo.open(), other.open());
    pty.wait("a bar", |rows| bars(rows, &["fore"]).is_some());
    others.write_all(b"x").expect("fed");
    drop(others);
    pty.wait_for(&["weir back: "]);
    drop(source);
    let rows = pty.wait_for(&["after"]);
    assert_clean(&rows);
}

#[test]
fn sixteen_that_end_at_once_leave_a_summary_each_and_nothing_else() {
    let (fifo, home) = (Fifo::new(), home());
    let script = r#"
        for n in $(seq 1 16); do "$WEIR" -N job$n -i 20ms <"$FIFO" >/dev/null & done
        wait; echo after"#;
    let home = home.path().to_str().expect("a path");
    let environment = [("FIFO", fifo.name()), ("XDG_RUNTIME_DIR", home)];
    let pty = Pty::run(script, 50, 100, &environment);
    let source = fifo.open();
    let names: Vec<String> = (1..=16).map(|n| format!("job{n}")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    pty.wait("sixteen bars", |rows| bars(rows, &all).is_some());
    drop(source);
    let rows = pty.wait_for(&["after"]);
    assert_clean(&rows);
    for name in names {
        let start = format!("weir {name}: ");
        let told = rows.iter().filter(|row| row.starts_with(&start)).count();
        assert_eq!(told, 1, "{name}: {rows:#?}");
    }
}

#[test]
fn nothing_is_drawn_while_a_password_is_asked_for() {
    let (fifo, home) = (Fifo::new(), home());
    let script = r#"
        "$WEIR" -N me -i 10ms --metrics "$XDG_RUNTIME_DIR/page" <"$FIFO" >/dev/null &
        read -r word; stty -echo; printf 'password: '; read -r word; stty echo; echo; read -r word
        wait; echo after"#;
    let home = home.path().to_str().expect("a path");
    let environment = [("FIFO", fifo.name()), ("XDG_RUNTIME_DIR", home)];
    let mut pty = Pty::run(script, 10, 100, &environment);
    let mut source = fifo.open();
    pty.wait("a bar", |rows| bars(rows, &["me"]).is_some());
    pty.type_in("go\n");
    pty.wait("the question", |rows| {
        rows.iter().any(|row| row == "password:")
    });
    source.write_all(b"some").expect("fed");
    await_pages(
        &Path::new(home).join("page"),
        "read_bytes_total{name=\"me\"} 4",
        4,
    );
    let rows = pty.rows();
    assert!(rows.iter().any(|row| row == "password:"), "{rows:#?}");
    assert!(!rows.concat().contains("4B"), "{rows:#?}");
    pty.type_in("secret\n");
    let rows = pty.wait_for(&["me ", "4B"]);
    assert!(rows.iter().any(|row| row == "password:"), "{rows:#?}");
    pty.type_in("\n");
    drop(source);
    assert_clean(&pty.wait_for(&["after"]));
}

#[test]
fn a_command_that_could_write_to_the_terminal_keeps_no_bar_from_it() {
    let fifo = Fifo::new();
    let script =
        r#""$WEIR" -l -N me -i 10ms -- sh -c 'while read -r n; do echo "got $n"; done' <"$FIFO""#;
    let pty = Pty::run(script, 10, 100, &[("FIFO", fifo.name())]);
    let mut source = fifo.open();
    source.write_all(b"first\n").expect("fed");
    pty.wait("a bar below", |rows| {
        rows[0] == "got first" && bars(rows, &["me"]).is_some()
    });
    source.write_all(b"second\n").expect("fed");
    pty.wait("one bar below both", |rows| {
        rows[..2] == ["got first", "got second"] && bars(rows, &["me"]).is_some()
    });
    drop(source);
    let rows = pty.wait_for(&["weir me: 2 lines"]);
    assert_eq!(rows[..2], ["got first", "got second"]);
}
