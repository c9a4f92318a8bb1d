//! `weir --top`: a table of all weirs of this user, or of all users, as they come and go, and keys to change them.
//!
//! Invariant: one thread looks, draws and hears; whatever may take its time (a weir that does not
//! answer a change, somebody's keys) has a thread of its own.

mod columns;
mod frame;
mod keys;
mod screen;
mod view;
mod watch;

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, after, select, unbounded};
use rustix::io::read;
use rustix::stdio::{stdin, stdout};
use rustix::termios::isatty;
use signal_hook::consts::{SIGTSTP, SIGWINCH};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::config::live_options::LiveOptions;
use crate::control::client::{self, ClientError};
use crate::control::directory::Whose;
use crate::control::signals;
use crate::report::process;
use crate::report::terminal::{self, Size};
use crate::report::theme::Theme;
use keys::Key;
use screen::{Screen, print};
use view::{Deed, View};
use watch::Watch;

/// Time between two looks at the weirs.
const EVERY: Duration = Duration::from_millis(500);

/// Shows them until the user has seen enough; then the signal that ended it, if one did.
///
/// # Errors
/// When there is no terminal to show them on.
pub(crate) fn top(whose: Whose, theme: Theme) -> Result<Option<i32>, ClientError> {
    let system = |e: io::Error| ClientError::Failed(format!("start: terminal: {e}"));
    client::may_look(whose)?;
    if !isatty(stdin()) || !isatty(stdout()) {
        let what = "--top needs a terminal; weir --query prints the same once";
        return Err(ClientError::Failed(what.into()));
    }
    if terminal::is_dumb() {
        return plainly(whose);
    }
    let mut top = Top {
        signals: signals::listen(false).map_err(system)?.heed(),
        screen: Some(Screen::enter().map_err(system)?),
        terminal: terminal_signals().map_err(system)?,
        pressed: pressed().map_err(system)?,
        said: unbounded(),
        whose,
        watch: Watch::new(whose),
        view: View::default(),
        theme,
    };
    top.run()
}

/// The table once, where no cursor can be moved.
fn plainly(whose: Whose) -> Result<Option<i32>, ClientError> {
    let (text, error) = client::query(None, whose);
    print(&text)?;
    error.map_or(Ok(None), Err)
}

/// Everybody who is listened to, and what is shown.
struct Top {
    signals: Receiver<signals::Received>,
    /// None while this process is about to be stopped.
    screen: Option<Screen>,
    terminal: Receiver<i32>,
    pressed: Receiver<Vec<Key>>,
    /// What came of changes.
    said: (Sender<String>, Receiver<String>),
    whose: Whose,
    watch: Watch,
    view: View,
    theme: Theme,
}

/// How it ends.
type End = Option<Option<i32>>;

impl Top {
    fn run(&mut self) -> Result<Option<i32>, ClientError> {
        loop {
            self.watch.look(Instant::now());
            let next = after(EVERY);
            loop {
                self.draw()?;
                let end = select! {
                    recv(self.pressed) -> keys => self.on_keys(&keys.unwrap_or(vec![Key::Ctrl('d')]))?,
                    // Any other signal of those that are listened for asks for nothing that is
                    // not shown.
                    recv(self.signals) -> signal => match signal {
                        Ok(signal) if !signals::is_end(signal.number) => None,
                        signal => Some(signal.ok().map(|signal| signal.number)),
                    },
                    recv(self.terminal) -> signal => {
                        if signal == Ok(SIGTSTP) {
                            self.stop()?;
                        }
                        None
                    }
                    recv(self.said.1) -> said => {
                        self.view.message = said.ok();
                        None
                    }
                    recv(next) -> _ => break,
                };
                if let Some(end) = end {
                    return Ok(end);
                }
            }
        }
    }

    fn draw(&mut self) -> io::Result<()> {
        let groups = self.watch.groups();
        self.view.keep_choice(&frame::weirs(&groups));
        let size = Size::of(stdout());
        let hidden = frame::hidden(&groups, &self.view, size);
        self.view.keep_on_page(hidden);
        let strangers = &self.watch.strangers;
        print(&frame::text(
            &groups, strangers, &self.view, size, self.theme,
        ))
    }

    fn on_keys(&mut self, keys: &[Key]) -> io::Result<End> {
        for key in keys {
            let groups = self.watch.groups();
            let deed = self.view.on_key(*key, &frame::weirs(&groups));
            let hidden = frame::hidden(&groups, &self.view, Size::of(stdout()));
            self.view.keep_on_page(hidden);
            match deed {
                Some(Deed::Quit) => return Ok(Some(None)),
                Some(Deed::Stop) => self.stop()?,
                Some(Deed::Change(pid, change, typed)) => self.change(pid, *change, typed),
                None => {}
            }
        }
        Ok(None)
    }

    /// Tells a weir, and says what came of it when it has answered.
    fn change(&mut self, pid: u32, change: LiveOptions, typed: String) {
        let said = self.said.0.clone();
        let whose = self.whose;
        let tell = move || {
            let done = match client::remote(&pid.to_string(), whose, change) {
                Ok(_) => "done".to_owned(),
                Err(error) => error.to_string(),
            };
            let all = match whose {
                Whose::Own => "",
                Whose::Everybody => " --all-users",
            };
            let _ = said.send(format!("weir --remote {pid}{all} {typed}: {done}"));
        };
        let started = thread::Builder::new().name("remote".into()).spawn(tell);
        if let Err(e) = started {
            self.view.message = Some(format!("start: thread: {e}"));
        }
    }

    /// Gives the terminal back and stops, as Ctrl-Z wants it; goes on where it was.
    fn stop(&mut self) -> io::Result<()> {
        // The system stops nobody whom no shell would ever let go on.
        if !process::is_orphaned(std::process::id()) {
            self.screen = None;
            let _ = emulate_default_handler(SIGTSTP);
            self.screen = Some(Screen::enter()?);
        }
        Ok(())
    }
}

/// The signals that a terminal sends about itself.
fn terminal_signals() -> io::Result<Receiver<i32>> {
    let mut signals = Signals::new([SIGWINCH, SIGTSTP])?;
    let (sender, receiver) = unbounded();
    let listen = move || signals.forever().try_for_each(|signal| sender.send(signal));
    thread::Builder::new()
        .name("terminal".into())
        .spawn(listen)?;
    Ok(receiver)
}

/// What the user presses.
fn pressed() -> io::Result<Receiver<Vec<Key>>> {
    let (sender, pressed) = unbounded();
    let thread = thread::Builder::new().name("keys".into());
    thread.spawn(move || {
        let mut bytes = [0; 256];
        while let Ok(n @ 1..) = read(stdin(), &mut bytes) {
            if sender.send(keys::keys(&bytes[..n])).is_err() {
                break;
            }
        }
    })?;
    Ok(pressed)
}
