//! `weir --top`: all weirs of this user, a bar each, as they come and go.
//!
//! Invariant: however it ends, the terminal is left as it was found.

use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, after, select, unbounded};
use rustix::io::read;
use rustix::stdio::{stdin, stdout};
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, isatty, tcgetattr, tcgetwinsize,
    tcsetattr,
};

use crate::control::client::{self, Peer, Trouble};
use crate::control::signals;
use crate::report::pipeline::{self, Process};
use crate::report::snapshot::Snapshot;
use crate::report::terminal;
use crate::report::theme::Theme;

mod frame;

/// Time between two looks at the weirs.
const EVERY: Duration = Duration::from_millis(500);
/// How long one of them may hold up the picture of the others.
const PATIENCE: Duration = Duration::from_millis(250);
/// Looks after which the processes are looked at again, if no weir has come or gone.
const STALE: u32 = 10;

const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/// Keys that leave: `q`, and those that end programs. Not Esc, with which the arrows and all other
/// keys without a character begin.
const QUIT: &[u8] = b"qQ\x03\x04";

/// Shows them until the user has seen enough; then the signal that ended it, if one did.
///
/// # Errors
/// When there is no terminal to show them on.
pub fn top(theme: Theme) -> Result<Option<i32>, Trouble> {
    let system = |e: io::Error| Trouble::Failed(format!("start: terminal: {e}"));
    if !isatty(stdin()) || !isatty(stdout()) {
        let what = "--top needs a terminal; weir --query prints the same once";
        return Err(Trouble::Failed(what.into()));
    }
    let signals = signals::listen().map_err(system)?.heed();
    let _screen = Screen::enter().map_err(system)?;
    let keys = keys().map_err(system)?;
    let mut watch = Watch::default();
    loop {
        watch.look();
        let text = frame::text(&watch.groups(), &watch.silent, size(), theme);
        print(&text)?;
        // Any other signal of those that are listened for asks for nothing that is not shown.
        let next = after(EVERY);
        loop {
            select! {
                recv(keys) -> key => match key {
                    Ok(key) if !QUIT.contains(&key) => {}
                    _ => return Ok(None),
                },
                recv(signals) -> signal => match signal {
                    Ok(signal) if !signals::is_end(signal) => {}
                    signal => return Ok(signal.ok()),
                },
                recv(next) -> _ => break,
            }
        }
    }
}

/// What is known of the weirs.
#[derive(Debug, Default)]
struct Watch {
    peers: Vec<Peer>,
    statuses: Vec<Snapshot>,
    /// Those that do not answer.
    silent: Vec<u32>,
    chains: Vec<Vec<Process>>,
    looks: u32,
}

impl Watch {
    fn look(&mut self) {
        let known: Vec<u32> = self.peers.iter().map(|peer| peer.pid).collect();
        self.peers
            .extend(client::all_where(|pid| !known.contains(&pid)));
        self.peers.sort_by_key(|peer| peer.pid);
        let found = client::statuses(&mut self.peers, PATIENCE);
        let before = std::mem::take(&mut self.statuses);
        self.statuses = found
            .statuses
            .into_iter()
            .map(|s| completed(s, &before))
            .collect();
        self.silent = found.silent;
        let now: Vec<u32> = self.peers.iter().map(|peer| peer.pid).collect();
        if now != known || self.looks.is_multiple_of(STALE) {
            self.chains = pipeline::chains(&pipeline::processes(), &now);
        }
        self.looks = self.looks.wrapping_add(1);
    }

    /// The pipelines: their weirs from head to tail, and what holds each up.
    fn groups(&self) -> Vec<frame::Group<'_>> {
        let group = |chain: &Vec<Process>| frame::Group {
            weirs: chain
                .iter()
                .filter_map(|process| self.statuses.iter().find(|s| s.pid == process.pid))
                .collect(),
            bottleneck: pipeline::bottleneck(chain, &self.statuses),
        };
        let groups = self.chains.iter().map(group);
        groups.filter(|group| !group.weirs.is_empty()).collect()
    }
}

/// Says what the schema leaves to its readers: rates of records, and how much is done.
fn completed(mut s: Snapshot, before: &[Snapshot]) -> Snapshot {
    if let Some(before) = before.iter().find(|before| before.pid == s.pid) {
        let span = s.elapsed_s - before.elapsed_s;
        let rate = |now: Option<u64>, before: Option<u64>| {
            let n = now?.saturating_sub(before?);
            (span > 0.0).then(|| n as f64 / span)
        };
        s.input.records_rate = rate(s.input.records, before.input.records);
        s.out.records_rate = rate(s.out.records, before.out.records);
    }
    // With records it is not said which of the two is counted.
    if let (Some(size), None) = (s.size, s.out.records) {
        let done = s.out.bytes.saturating_add(s.shed.bytes);
        s.percent = Some(crate::report::figures::percent(done, size));
        s.progress = Some((done, size));
    }
    s.name = Some(pipeline::label(&s));
    s
}

/// Columns and rows of the terminal.
fn size() -> (usize, usize) {
    let rows = tcgetwinsize(stdout()).map_or(0, |size| size.ws_row);
    let rows = if rows == 0 { 24 } else { rows };
    let columns = terminal::columns_of(stdout());
    (usize::from(columns), usize::from(rows))
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// What the user presses.
fn keys() -> io::Result<Receiver<u8>> {
    let (pressed, keys) = unbounded();
    let thread = thread::Builder::new().name("keys".into());
    thread.spawn(move || {
        let mut key = [0];
        while read(stdin(), &mut key).is_ok_and(|n| n > 0) {
            if pressed.send(key[0]).is_err() {
                break;
            }
        }
    })?;
    Ok(keys)
}

/// The terminal while it is ours.
struct Screen {
    before: Termios,
}

impl Screen {
    fn enter() -> io::Result<Screen> {
        let before = tcgetattr(stdin())?;
        let mut ours = before.clone();
        // Keys come at once and unseen, and Ctrl-C is one of them.
        ours.local_modes &= !(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
        ours.special_codes[SpecialCodeIndex::VMIN] = 1;
        ours.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(stdin(), OptionalActions::Flush, &ours)?;
        let screen = Screen { before };
        print(ENTER)?;
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs no restoring.
        let _ = print(LEAVE);
        let _ = tcsetattr(stdin(), OptionalActions::Flush, &self.before);
    }
}
