//! Programs that run side by side under a shell on a real terminal: Ctrl-C, Ctrl-Z and `fg` are theirs as they would
//! be without weir.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::harness::dir::{Dir, lines};
use crate::harness::eventually;
use crate::harness::fifo::Fifo;
use crate::harness::pty::Pty;
use tempfile::TempDir;

const CTRL_C: &str = "\x03";
const CTRL_Z: &str = "\x1a";
/// What each program does first: it says that it is there.
const COMES: &str = "echo $$ >> $0.pids.runs;";

/// A shell on a terminal, whose prompt is the status of the last command, with a weir in the foreground.
struct Shell {
    dir: Dir,
    pty: Pty,
    source: File,
    _home: TempDir,
}

impl Shell {
    /// `script` is what each program does.
    fn run(options: &str, script: &str) -> Shell {
        Shell::run_behind("", options, script)
    }

    /// The same, where each program does `first` before it says that it is there.
    fn run_behind(first: &str, options: &str, script: &str) -> Shell {
        let (dir, fifo) = (Dir::new(), Fifo::new());
        let home = tempfile::tempdir().expect("a directory");
        let out = dir.at("out");
        let script = format!("{first} {COMES} {script}");
        let environment = [
            ("FIFO", fifo.name()),
            ("XDG_RUNTIME_DIR", home.path().to_str().expect("a path")),
            ("SCRIPT", &script),
            ("OUT", &out),
            ("PS1", "$ "),
        ];
        let mut pty = Pty::run("exec bash --norc -i", 20, 100, &environment);
        pty.wait("a prompt", |rows| rows[0].starts_with('$'));
        let line = format!("\"$WEIR\" -l {options} -- sh -c \"$SCRIPT\" \"$OUT\" <\"$FIFO\"");
        pty.type_in(&format!("PS1='st=$? $ '; clear; {line}\n"));
        let source = fifo.open();
        Shell {
            dir,
            pty,
            source,
            _home: home,
        }
    }

    fn feed(&mut self, from: usize, to: usize) {
        let (all, before) = (lines(to), lines(from));
        self.source
            .write_all(&all[before.len()..])
            .expect("it is read");
    }

    fn programs(&self) -> Vec<String> {
        self.dir.lines("out.pids.runs")
    }

    fn await_programs(&self, n: usize) {
        eventually("they run", || self.programs().len() >= n);
    }

    fn await_all(&self, n: usize) {
        eventually("all is dealt with", || self.dir.all().len() == 9 * n);
    }

    /// The end of what it reads, and its own, which is a good one.
    fn end(self) -> Dir {
        drop(self.source);
        await_prompt(&self.pty, "0");
        self.dir
    }

    fn await_prompt(&self, status: &str) {
        await_prompt(&self.pty, status);
    }

    /// No program that was ever run is left.
    fn assert_none_is_left(&self) {
        for pid in self.programs() {
            let is_left = Path::new("/proc").join(&pid).exists();
            assert!(!is_left, "{pid} is left");
        }
    }

    /// Stops all, and goes on after so long.
    fn stop_and_go_on(&mut self, after: Duration) {
        self.pty.type_in(CTRL_Z);
        self.pty.wait("it is stopped", |rows| {
            rows.iter().any(|row| row.contains("Stopped"))
        });
        thread::sleep(after);
        self.pty.type_in("clear; fg\n");
        self.pty.wait("it goes on", |rows| {
            let is_there = rows.iter().any(|row| row.contains("WEIR"));
            is_there && !rows.iter().any(|row| row.contains("Stopped"))
        });
    }
}

/// Behind what the terminal shows of a key, where nobody has begun another line.
fn await_prompt(pty: &Pty, status: &str) {
    let prompt = format!("st={status} $");
    let is_prompt = |row: &String| row.trim_end().trim_start_matches("^C") == prompt;
    pty.wait(&prompt, |rows| rows.iter().any(is_prompt));
}

#[test]
fn ctrl_c_ends_workers_and_weir_with_them() {
    let mut it = Shell::run("-j 3", "exec cat >> $0.$$");
    it.await_programs(3);
    it.feed(0, 100);
    it.await_all(100);
    it.pty.type_in(CTRL_C);
    it.await_prompt("130");
    it.assert_none_is_left();
    it.dir.assert_all(100);
}

#[test]
fn where_workers_go_on_after_ctrl_c_so_does_weir() {
    let mut it = Shell::run_behind("trap '' INT;", "-j 1..3", "exec cat >> $0.$$");
    it.await_programs(1);
    it.feed(0, 100);
    it.await_all(100);
    it.pty.type_in(CTRL_C);
    it.feed(100, 200);
    it.await_all(200);
    let dir = it.end();
    dir.assert_all(200);
}

#[test]
fn workers_are_stopped_and_go_on_with_weir() {
    // Longer than a program that has work may stand still, which on a busy machine takes a while by itself.
    let (options, longer) = (
        "-j 3 --sink-timeout 3s --restart on-failure",
        Duration::from_millis(3200),
    );
    let mut it = Shell::run(options, "cat >> $0.$$");
    it.await_programs(3);
    it.feed(0, 5_000);
    it.stop_and_go_on(longer);
    it.feed(5_000, 6_000);
    it.await_all(6_000);
    it.stop_and_go_on(longer);
    let dir = it.end();
    dir.assert_all(6_000);
    assert_eq!(dir.lines("out.pids.runs").len(), 3, "one was run again");
}

#[test]
fn ctrl_c_ends_batches_that_run_and_none_is_tried_again() {
    let mut it = Shell::run("--batch 1 -j 2", "exec sleep 1000");
    it.feed(0, 10);
    it.await_programs(2);
    it.pty.type_in(CTRL_C);
    it.await_prompt("130");
    it.assert_none_is_left();
    assert_eq!(it.programs().len(), 2);
}

#[test]
fn batches_that_go_on_after_ctrl_c_are_waited_for_and_none_is_begun() {
    let script = "trap '' INT; echo >> $0.deaf.runs; until test -e $0.go; do sleep 0.01; done; exec cat > $0.$WEIR_BATCH";
    let mut it = Shell::run("--batch 1 -j 2", script);
    it.feed(0, 10);
    eventually("they go on", || it.dir.read("out.deaf.runs").len() == 2);
    it.pty.type_in(CTRL_C);
    // It is shown that it came.
    it.pty
        .wait("^C", |rows| rows.iter().any(|row| row.contains("^C")));
    std::fs::write(it.dir.at("out.go"), "").expect("a file");
    it.await_prompt("130");
    it.assert_none_is_left();
    assert_eq!(it.programs().len(), 2);
    assert_eq!(it.dir.all().len(), 9 * 2, "{}", it.dir.all());
}

#[test]
fn batches_are_stopped_and_go_on_with_weir() {
    let script = "test -e $0.go || sleep 1000; exec cat > $0.$WEIR_BATCH";
    let script = script.replace("sleep 1000", "until test -e $0.go; do sleep 0.01; done");
    let mut it = Shell::run("--batch 10 -j 1..3 --sink-timeout 1h", &script);
    it.feed(0, 200);
    it.await_programs(2);
    it.stop_and_go_on(Duration::ZERO);
    std::fs::write(it.dir.at("out.go"), "").expect("a file");
    it.feed(200, 400);
    let dir = it.end();
    dir.assert_all(400);
}

/// One that makes a process group of its own, as `timeout` does.
const APART: &str = "exec timeout 1000 sh -c '%' $0";

#[test]
fn ctrl_c_ends_programs_in_a_group_of_their_own_too() {
    for options in ["-r 1/s", "-j 2", "--restart always"] {
        let mut it = Shell::run(options, &APART.replace('%', "exec cat >> $0.$$"));
        it.await_programs(1);
        it.feed(0, 10);
        it.pty.type_in(CTRL_C);
        it.await_prompt("130");
        it.assert_none_is_left();
    }
}

#[test]
fn a_second_ctrl_c_ends_programs_in_a_group_of_their_own_that_heed_none() {
    for (options, n) in [("", 1), ("-j 2", 2), ("--restart always", 1)] {
        let script = "trap 'echo > $0.heard' INT; echo >> $0.deaf; while :; do sleep 0.01; done";
        // Not `timeout`: one that is told after its own program has begun, and before `fork` has told it that it has one,
        // ends at once.
        let script = format!("exec setsid sh -c '{}' $0", script.replace('\'', "\""));
        let mut it = Shell::run(options, &script);
        it.await_programs(n);
        eventually("they go on", || it.dir.read("out.deaf").len() == n);
        it.pty.type_in(CTRL_C);
        eventually("it was told", || {
            Path::new(&it.dir.at("out.heard")).exists()
        });
        it.pty.type_in(CTRL_C);
        it.await_prompt("130");
        it.assert_none_is_left();
    }
}
