//! A real terminal with a shell in it, watched by a terminal emulator.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use crossbeam_channel::{Receiver, unbounded};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use super::{DEADLINE, eventually};

pub(crate) struct Pty {
    master: Box<dyn MasterPty + Send>,
    keyboard: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    screen: Arc<Mutex<vt100::Parser>>,
    changes: Receiver<()>,
}

fn size(rows: u16, cols: u16) -> PtySize {
    PtySize {
        rows,
        cols,
        pixel_width: 0,
        pixel_height: 0,
    }
}

impl Pty {
    /// Runs a script of the shell in a terminal of its own. `$WEIR` is the program.
    pub(crate) fn run(script: &str, rows: u16, cols: u16, environment: &[(&str, &str)]) -> Pty {
        let pair = native_pty_system()
            .openpty(size(rows, cols))
            .expect("a terminal");
        let mut command = CommandBuilder::new("sh");
        command.args(["-c", script]);
        command.env("WEIR", env!("CARGO_BIN_EXE_weir"));
        command.env("TERM", "xterm-256color");
        command.env("LC_ALL", "C.UTF-8");
        command.env_remove("NO_COLOR");
        for (name, value) in environment {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).expect("a shell");
        let screen = Arc::new(Mutex::new(vt100::Parser::new(rows, cols, 0)));
        let (changed, changes) = unbounded();
        let mut output = pair.master.try_clone_reader().expect("its output");
        let eye = screen.clone();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // At the end of the last process the terminal is gone: an error on Linux.
            while let Ok(n @ 1..) = output.read(&mut bytes) {
                look(&eye).process(&bytes[..n]);
                let _ = changed.send(());
            }
        });
        Pty {
            keyboard: pair.master.take_writer().expect("its input"),
            master: pair.master,
            child,
            screen,
            changes,
        }
    }

    /// The rows of the screen, without blanks at their ends.
    pub(crate) fn rows(&self) -> Vec<String> {
        let parser = look(&self.screen);
        let columns = parser.screen().size().1;
        let rows = parser.screen().rows(0, columns);
        rows.map(|row| row.trim_end().to_owned()).collect()
    }

    /// Looks at the screen itself.
    pub(crate) fn with_screen<R>(&self, see: impl FnOnce(&vt100::Screen) -> R) -> R {
        see(look(&self.screen).screen())
    }

    /// Waits until the screen is as wanted, and returns its rows.
    pub(crate) fn wait(&self, what: &str, wanted: impl Fn(&[String]) -> bool) -> Vec<String> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let rows = self.rows();
            if wanted(&rows) {
                return rows;
            }
            match self.changes.recv_deadline(deadline) {
                Ok(()) => {}
                Err(e) => panic!("{what}: {e}\n{}", self.rows().join("\n")),
            }
        }
    }

    /// Waits for a row that holds all of these texts.
    pub(crate) fn wait_for(&self, texts: &[&str]) -> Vec<String> {
        let holds = |row: &String| texts.iter().all(|text| row.contains(text));
        self.wait(&texts.join(", "), |rows| rows.iter().any(holds))
    }

    pub(crate) fn resize(&self, rows: u16, cols: u16) {
        look(&self.screen).screen_mut().set_size(rows, cols);
        self.master.resize(size(rows, cols)).expect("a new size");
    }

    pub(crate) fn type_in(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).expect("typed");
        self.keyboard.flush().expect("typed");
    }

    /// Waits for the shell to end.
    pub(crate) fn end(mut self) -> u32 {
        let mut status = None;
        eventually("the shell ends", || {
            status = self.child.try_wait().expect("it is ours");
            status.is_some()
        });
        status.expect("an end").exit_code()
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

fn look(screen: &Mutex<vt100::Parser>) -> MutexGuard<'_, vt100::Parser> {
    screen.lock().unwrap_or_else(PoisonError::into_inner)
}
