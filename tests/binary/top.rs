//! `weir --top` in a real terminal.

use crate::harness;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::harness::eventually;
use crate::harness::remote::{Home, Weir};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// A terminal with `weir --top` in it.
struct Top {
    screen: Arc<Mutex<vt100::Parser>>,
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    before: String,
}

impl Top {
    fn start(home: &Home, columns: u16) -> Top {
        Top::start_on(home, columns, "xterm")
    }

    fn start_on(home: &Home, columns: u16, terminal: &str) -> Top {
        let size = PtySize {
            rows: 24,
            cols: columns,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pair = native_pty_system().openpty(size).expect("a terminal");
        let screen = Arc::new(Mutex::new(vt100::Parser::new(24, columns, 0)));
        let mut command = CommandBuilder::new(harness::WEIR);
        command.arg("--top");
        for (name, value) in home.variables() {
            command.env(name, value);
        }
        command.env("TERM", terminal);
        command.env("LC_ALL", "C");
        let before = format!("{:?}", pair.master.get_termios().map(|t| t.local_flags));
        let mut output = pair.master.try_clone_reader().expect("its output");
        let seen = screen.clone();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = output.read(&mut bytes) {
                seen.lock().expect("no panic").process(&bytes[..n]);
            }
        });
        Top {
            screen,
            keys: pair.master.take_writer().expect("its keys"),
            child: pair.slave.spawn_command(command).expect("started"),
            master: pair.master,
            before,
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("pressed");
    }

    fn resize(&self, rows: u16, cols: u16) {
        let mut screen = self.screen.lock().expect("no panic");
        screen.screen_mut().set_size(rows, cols);
        drop(screen);
        let size = PtySize {
            rows,
            cols,
            pixel_width: 0,
            pixel_height: 0,
        };
        self.master.resize(size).expect("a new size");
    }

    fn text(&self) -> String {
        self.screen.lock().expect("no panic").screen().contents()
    }

    #[track_caller]
    fn shows(&self, text: &str) {
        eventually(&format!("the screen shows {text:?}"), || {
            self.text().contains(text)
        });
    }

    /// Leaves by this key, and leaves the terminal as it was.
    #[track_caller]
    fn leave(mut self, key: &[u8]) {
        self.keys.write_all(key).expect("pressed");
        let mut status = None;
        eventually("it ends", || {
            status = self.child.try_wait().expect("it is ours");
            status.is_some()
        });
        assert!(status.expect("it has ended").success());
        let after = self.master.get_termios().map(|t| t.local_flags);
        assert_eq!(format!("{after:?}"), self.before);
        eventually("the screen is given back", || {
            let parser = self.screen.lock().expect("no panic");
            let screen = parser.screen();
            !screen.alternate_screen() && !screen.hide_cursor()
        });
    }
}

impl Drop for Top {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

/// Makes it wait for its producer, its cap or its consumer.
fn held(home: &Home, args: &[&str], bytes: usize) -> Weir {
    let mut weir = home.start(args);
    weir.give(&vec![b'x'; bytes]);
    weir
}

#[test]
fn weirs_are_shown_as_they_come_and_go() {
    let home = Home::new();
    let top = Top::start(&home, 80);
    top.shows("no weir is running");
    let one = held(&home, &["-N", "one"], 0);
    top.shows("1 weir");
    top.shows("one");
    let two = held(&home, &["-N", "two", "-r", "1B/s"], 1000);
    top.shows("2 weirs");
    top.shows("the cap of two");
    drop(two);
    top.shows("1 weir ");
    drop(one);
    top.shows("no weir is running");
    top.leave(b"q");
}

#[test]
fn arrows_and_other_keys_do_not_leave() {
    let home = Home::new();
    let mut top = Top::start(&home, 80);
    top.shows("no weir is running");
    // Up, Home, F1, Delete, and Esc alone.
    top.keys
        .write_all(b"\x1b[A\x1bOH\x1bOP\x1b[3~\x1b")
        .expect("pressed");
    // Whoever had left for one of them would not live to show this: keys go before the next look.
    let _one = held(&home, &["-N", "one"], 0);
    top.shows("1 weir");
    top.leave(b"q");
}

#[test]
fn all_that_is_known_of_a_weir_can_be_scrolled_through() {
    let home = Home::new();
    let _weirs = [
        held(&home, &["-N", "one"], 0),
        held(&home, &["-N", "two"], 0),
    ];
    let mut top = Top::start(&home, 80);
    top.shows("2 weirs");
    top.press("\x1b[H\r");
    top.shows("  age_s.max");
    top.shows("more lines below");
    top.press("\x1b[B\x1b[B");
    top.shows("2 more lines above, ");
    top.press("\x1b[F");
    top.shows("  wait_s.source");
    assert!(top.text().trim_end().ends_with("more lines above"));
    // That is where it ends: one up is one up.
    top.press("\x1b[B\x1b[A");
    top.shows(", 1 below");
    top.press("\x1b[H");
    top.shows("  age_s.max");
    let first = top.text().contains("weir one");
    top.press(if first { "\x1b[C" } else { "\x1b[D" });
    top.shows(if first { "weir two" } else { "weir one" });
    top.leave(b"\x03");
}

#[test]
fn every_width_of_a_terminal_will_do() {
    let home = Home::new();
    let _one = held(&home, &["-N", "one", "-r", "1B/s"], 1000);
    for (columns, key) in [(24, b"q"), (40, b"Q"), (80, b"\x03"), (200, b"q")] {
        let top = Top::start(&home, columns);
        top.shows("1 weir");
        top.shows("q quits");
        top.shows("the cap of one");
        top.shows("> one");
        let rows = top.text().lines().count();
        assert_eq!(rows, 4, "a line was wrapped:\n{}", top.text());
        top.leave(key);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn the_slow_stage_between_two_weirs_is_named() {
    let home = Home::new();
    let script = "yes | \"$0\" -N upper -b 64KiB | sleep 1000 | \"$0\" -N lower >/dev/null";
    let mut command = std::process::Command::new("sh");
    command.args(["-c", script, harness::WEIR]);
    command.env("XDG_RUNTIME_DIR", home.runtime());
    command.stdin(std::process::Stdio::null());
    use std::os::unix::process::CommandExt;
    let mut shell = command.process_group(0).spawn().expect("started");
    let top = Top::start(&home, 100);
    top.shows("2 weirs");
    top.shows("< sleep");
    let text = top.text();
    let place = |name| text.find(name).expect("it is shown");
    assert!(place("upper") < place("lower"), "{text}");
    top.leave(b"q");
    let group = rustix::process::Pid::from_child(&shell);
    let kill = rustix::process::Signal::KILL;
    rustix::process::kill_process_group(group, kill).expect("it is there");
    shell.wait().expect("ended");
}

#[test]
fn the_keys_do_what_one_could_type_and_say_so() {
    let home = Home::new();
    let one = held(&home, &["-N", "one", "-r", "1B/s"], 1000);
    let mut top = Top::start(&home, 120);
    let pid = one.pid();
    top.shows("> one");
    for (keys, said, shown) in [
        ("p", "--pause: done", "paused"),
        ("p", "--resume: done", "capped"),
        ("r2kB/s\r", "--rate 2kB/s: done", "2kB/s"),
        ("rfast\r", "--rate fast: ", "2kB/s"),
        ("dn", "q quits", "2kB/s"),
        ("\r", "buffer.capacity", "67108864"),
        ("\x1b", "q quits", "2kB/s"),
        ("?", "weir --remote NAME --drain", "pause it"),
        ("q", "q quits", "2kB/s"),
    ] {
        top.press(keys);
        top.shows(said);
        top.shows(shown);
    }
    top.press("dy");
    top.shows(&format!("weir --remote {pid} --drain: done"));
    top.leave(b"q");
}

#[test]
fn one_that_has_ended_stays_for_a_while() {
    let home = Home::new();
    let top = Top::start(&home, 80);
    let one = held(&home, &["-N", "one", "-r", "1B/s"], 1000);
    top.shows("1 weir");
    drop(one);
    top.shows("no weir is running");
    top.shows("ended");
    eventually("it goes", || !top.text().contains("ended"));
    top.leave(b"q");
}

#[test]
#[cfg(target_os = "linux")]
fn one_that_is_stopped_is_shown_as_such_and_holds_up_nobody() {
    let home = Home::new();
    let (one, two) = (
        held(&home, &["-N", "one"], 0),
        held(&home, &["-N", "two"], 0),
    );
    let top = Top::start(&home, 80);
    top.shows("2 weirs");
    one.stop();
    top.shows("stopped?");
    let output = home.run(&["--query"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains(&format!("{} does not answer", one.pid())),
        "{said}"
    );
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains(&format!("\"pid\":{},", two.pid())), "{told}");
    one.signal(rustix::process::Signal::CONT);
    eventually("it is back", || !top.text().contains("stopped?"));
    top.leave(b"q");
}

#[test]
fn a_new_size_is_followed_and_every_weir_can_be_reached() {
    let home = Home::new();
    let names: Vec<String> = (0..8).map(|n| format!("weir{n}")).collect();
    let _weirs: Vec<Weir> = names
        .iter()
        .map(|name| held(&home, &["-N", name], 0))
        .collect();
    let mut top = Top::start(&home, 100);
    top.shows("8 weirs");
    top.shows("weir7");
    top.resize(6, 60);
    top.shows("more lines below");
    let head = top.text().lines().next().map(str::len);
    assert_eq!(head, Some(59), "{}", top.text());
    top.press("\x1b[F");
    top.shows("> weir7");
    top.press("\x1b[H");
    top.shows("> weir0");
    top.leave(b"q");
}

#[test]
fn a_dumb_terminal_gets_the_table_once() {
    let home = Home::new();
    let _one = held(&home, &["-N", "one"], 0);
    let mut top = Top::start_on(&home, 100, "dumb");
    eventually("it ends", || {
        top.child.try_wait().expect("it is ours").is_some()
    });
    top.shows("one");
    assert!(top.text().contains("HOLDUP"), "{}", top.text());
}

#[test]
fn without_a_terminal_there_is_nothing_to_show() {
    let output = Home::new().run(&["--top"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.starts_with("weir: --top needs a terminal"), "{said}");
}
