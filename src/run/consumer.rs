//! The program that weir runs as its consumer, as the main thread knows it: how it is started and put down.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, after, select};
use nix::sys::signal::SigSet;

use super::error::{StartError, system};
use crate::command::child::{Child, Exit};
use crate::command::line::CommandLine;
use crate::command::spawn;
use crate::config::Config;
use crate::control::signals::{self, Received, SIGTERM};
use crate::pipe::fd::Port;
use crate::pipe::outlet::Outlet;

/// How long a program that was told to end may take for it.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// The program, and what it was told.
pub(super) struct Consumer {
    pub child: Child,
    pub exits: Receiver<Exit>,
    /// It was given the end of the input.
    pub is_fed: bool,
    /// It has been waited for.
    pub has_ended: bool,
    /// The last signal from the terminal, or from somebody in its place.
    pub interrupted: Option<i32>,
    /// When to read on after that.
    pub goes_on: Option<Instant>,
}

/// Starts the program. What it reads is the outlet.
///
/// # Errors
/// When it cannot be run.
pub(super) fn start(
    line: &CommandLine,
    config: &Config,
    mask: &SigSet,
) -> Result<(Outlet, Consumer), StartError> {
    signals::want_ends_of_children().map_err(system)?;
    let (theirs, ours) = io::pipe().map_err(system)?;
    let port = Port::to_command(ours.into(), &line.name())?;
    if let Some(size) = config
        .pipe_size
        .wanted()
        .filter(|_| !config.is_kept_small())
    {
        port.ask_pipe_size(size);
    }
    let child = spawn::spawn(line, theirs.as_fd(), mask, &[])?;
    drop(theirs);
    let exits = child.watch();
    let exits = exits.inspect_err(|_| {
        child.signal(SIGTERM);
        let _ = child.wait();
    });
    let consumer = Consumer {
        exits: exits.map_err(system)?,
        child,
        is_fed: false,
        has_ended: false,
        interrupted: None,
        goes_on: None,
    };
    Ok((Outlet::of_command(port), consumer))
}

impl Consumer {
    /// Ends it, by this signal or, if it takes its time, by one that cannot be refused. A further signal, as
    /// `is_impatient` tells, makes it quick.
    pub(super) fn put_down(
        &mut self,
        by: i32,
        signals: &Receiver<Received>,
        is_impatient: impl Fn(i32) -> bool,
    ) {
        if std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        self.child.signal(by);
        let late = after(LAST_WAIT);
        loop {
            select! {
                recv(self.exits) -> _ => return,
                recv(late) -> _ => break,
                recv(signals) -> signal => {
                    if signal.is_ok_and(|signal| is_impatient(signal.number)) {
                        break;
                    }
                }
            }
        }
        self.child.signal(signals::SIGKILL);
        let _ = self.exits.recv();
    }
}
