//! The threads of tees and taps: each writes to a path of its own, and waits for it alone.
//!
//! A FIFO waits in its thread for somebody to read it: where it is a tee nothing is read meanwhile, a tap drops what
//! passes, and begins anew when its reader has left. (Who opens it before that is noticed goes on with what the one before
//! has left unread, as with any FIFO: the system tells of the last reader that leaves, not of one that comes.) Whatever else fails is said once, and ends that output only.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, Sender, unbounded};
use rustix::fs::{Access, OFlags, access};

use super::append;
use super::capacity::Wanted;
use super::error::PipeError;
use super::fd::Port;
use super::holder::{Tee, name_of};
use super::reopen::{Reopener, Successor};
use super::shared::{Event, Shared, SidePipe};
use super::waker::Waker;
use crate::engine::action::{Actor, For, Wait, Write};
use crate::engine::drive::{Driver, Edge, End};
use crate::engine::on_disk::Load;
use crate::engine::record::Framing;
use crate::engine::scan::Run;
use crate::engine::side::Role;

/// An output that can be written to, or will be able to.
#[derive(Debug)]
pub(crate) struct Branch {
    path: PathBuf,
    pub(super) role: Role,
    /// `None`: nobody reads it yet.
    port: Option<Port>,
    append: bool,
    /// What to ask for when it is opened.
    pipe_size: Option<Wanted>,
    next: Successor<Port>,
    /// What its path stands for, if that is a descriptor.
    ours: Option<File>,
}

/// The threads, as the others see them.
#[derive(Debug)]
pub(crate) struct Branches {
    /// One of them has come to its end.
    pub over: Receiver<()>,
    /// By which others say the same.
    pub said: Sender<()>,
}

impl Branch {
    /// Opens it, before anything is read, unless it is a FIFO that nobody reads yet. `pipe_size` is that of
    /// one that gets everything.
    ///
    /// # Errors
    /// When it cannot be written to.
    pub(crate) fn open(
        path: &Path,
        role: Role,
        append: bool,
        pipe_size: Option<Wanted>,
    ) -> Result<Branch, PipeError> {
        let mut branch = Branch {
            path: path.to_owned(),
            role,
            port: None,
            append,
            pipe_size: pipe_size.filter(|_| role == Role::Tee),
            next: Successor::none(),
            ours: None,
        };
        // Such a pipe of a shell has its reader.
        let inherited = inherited_number(path);
        if let Some(number) = inherited.filter(|_| role != Role::Tee) {
            branch.keep_to_ourselves(number);
        }
        let inherited = inherited.filter(|_| role == Role::Tee);
        if is_fifo(path) && inherited.is_none() {
            let name = path.display().to_string();
            let access = access(path, Access::WRITE_OK);
            access.map_err(|e| PipeError::new("open", &name, e).of(option(role)))?;
        } else {
            let port = branch.port()?;
            if port.is_pipe() {
                // Whoever reads it is to see its end, whatever programs are still running then that weir has started.
                let _ = inherited.map(nix::unistd::close);
            }
            branch.port = Some(port);
        }
        Ok(branch)
    }

    /// Programs that weir starts do not get this descriptor of a FIFO: whoever reads that is to see its end, whatever is
    /// still running then.
    fn keep_to_ourselves(&mut self, number: i32) {
        let flags = OFlags::NONBLOCK.bits() as i32;
        let mut how = File::options();
        how.write(true).custom_flags(flags);
        if is_fifo(&self.path)
            && let Ok(ours) = how.open(&self.path)
        {
            self.path = format!("/dev/fd/{}", ours.as_raw_fd()).into();
            self.ours = Some(ours);
            let _ = nix::unistd::close(number);
        }
    }

    /// Everything is open: what was in it goes, unless it is to be kept, and who reads a tap's FIFO already gets all from
    /// the first byte on.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn begin(&mut self) -> Result<(), PipeError> {
        if self.port.is_none() && self.role != Role::Tee {
            self.port = Port::to_reader(&self.path).map_err(|e| e.of(option(self.role)))?;
        }
        let port = self.port.as_ref().filter(|_| !self.append);
        let emptied = port.map_or(Ok(()), Port::empty);
        emptied.map_err(|e| e.of(option(self.role)))
    }

    fn port(&self) -> Result<Port, PipeError> {
        let port = Port::create(&self.path, self.append);
        let port = port.map_err(|e| e.of(option(self.role)))?;
        self.pipe_size.inspect(|size| port.ask_pipe_size(*size));
        Ok(port)
    }

    /// What opens it anew, if it is a file. What is in that is kept.
    pub(crate) fn reopener(&self) -> Option<Reopener> {
        let is_file = self.port.as_ref().is_some_and(Port::is_file);
        let open = |path: &Path| Port::create(path, true);
        is_file.then(|| self.next.reopener(option(self.role), &self.path, open))
    }

    /// How it is to be known in a spool, where it is the nth: if it is a tee.
    pub(crate) fn in_spool(&self, nth: usize) -> Option<Tee> {
        let port = self.port.as_ref().filter(|port| port.is_file());
        let length = self.path.metadata().map_or(0, |data| data.len());
        (self.role == Role::Tee).then(|| Tee {
            nth,
            name: name_of(&self.path),
            lives_on: port.is_some(),
            is_empty: port.is_some() && length == 0,
        })
    }

    /// What comes next begins a record: see [`append::end_torn`].
    ///
    /// # Errors
    /// See there.
    pub(crate) fn end_torn(&mut self, framing: Option<Framing>) -> Result<(), PipeError> {
        let port = self.port.as_mut();
        port.map_or(Ok(()), |port| append::end_torn(port, &self.path, framing))
    }

    /// Whether nobody reads it yet.
    pub(super) fn is_vacant(&self) -> bool {
        self.port.is_none()
    }

    /// Writes until there is nothing more to write, and tells how it ended.
    fn run(mut self, i: usize, shared: &Arc<Shared>, events: &Sender<Event>, over: &Sender<()>) {
        let done = self.carry(i, shared);
        self.next.close();
        shared.let_none_pass(i);
        // Before anybody can be waiting for the room that is kept for it.
        let done = done.map_err(|failure| match shared.forget(i) {
            Ok(()) => failure,
            Err(another) => failure.and(vec![another]),
        });
        shared.update_and_wake(|engine, now| engine.on_side_over(i, done.is_err(), now));
        if let Err(failure) = done {
            let _ = events.send(Event::OutputFailed(failure));
        }
        let _ = over.send(());
    }

    fn carry(&mut self, i: usize, shared: &Arc<Shared>) -> Result<(), PipeError> {
        let is_tap = matches!(self.role, Role::Tap(_));
        loop {
            let port = match self.port.take() {
                Some(port) => port,
                None => {
                    let port = self.port()?;
                    shared.update_and_wake(|engine, now| engine.on_side_open(i, now));
                    port
                }
            };
            let pipe = SidePipe {
                i,
                visit: shared.update_and_wake(|engine, _| engine.visit(i)),
                port: port.clone(),
                is_waited_for: !is_tap,
            };
            shared.let_pass(pipe);
            let mut edge = World {
                i,
                watched: is_tap && port.can_hang_up(),
                waker: shared.side(i),
                shared,
                port,
                next: &self.next,
            };
            let end = Driver::new(Actor::Output(i)).run(shared, &mut edge);
            match end {
                End::Write(e) if edge.watched && e.kind() == io::ErrorKind::BrokenPipe => {
                    // What lies in it unread goes with our end of it, so that the next reader begins with a record.
                    drop(edge);
                    shared.let_none_pass(i);
                    shared.update_and_wake(|engine, now| engine.on_side_left(i, now));
                }
                End::Disk(e) => return Err(PipeError::disk(e)),
                End::Write(e) => return Err(PipeError::new("write", edge.port.name(), e)),
                _ if edge.port.tells_at_close() => return edge.port.close(),
                _ => return Ok(()),
            }
        }
    }
}

/// What names one that is this.
fn option(role: Role) -> &'static str {
    match role {
        Role::Tee => "--tee",
        _ => "--tap",
    }
}

/// The number of the descriptor that was inherited and is opened anew by this path, as shells make them for `>(…)`.
fn inherited_number(path: &Path) -> Option<i32> {
    let number = path.to_str()?.strip_prefix("/dev/fd/");
    let number = number.or_else(|| path.to_str()?.strip_prefix("/proc/self/fd/"))?;
    number.parse().ok().filter(|n| *n > 2)
}

fn is_fifo(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    path.metadata().is_ok_and(|data| data.file_type().is_fifo())
}

/// Starts a thread for each, whose numbers begin with this one.
///
/// # Errors
/// When the system refuses one.
pub(super) fn start(
    branches: Vec<(usize, Branch)>,
    shared: &Arc<Shared>,
    events: &Sender<Event>,
) -> io::Result<Branches> {
    let (say, over) = unbounded();
    for (i, branch) in branches {
        let (shared, events, say) = (shared.clone(), events.clone(), say.clone());
        thread::Builder::new()
            .name(format!("output {i}"))
            .spawn(move || branch.run(i, &shared, &events, &say))?;
    }
    Ok(Branches { over, said: say })
}

/// The world as the driver sees it.
struct World<'a> {
    /// Its number.
    i: usize,
    waker: Arc<Waker>,
    shared: &'a Shared,
    port: Port,
    /// What is to be written to instead.
    next: &'a Successor<Port>,
    /// That its reader leaves is to be noticed at once.
    watched: bool,
}

impl World<'_> {
    /// The file was moved away: what is left of the record in progress goes there, and then it is another one.
    fn change(&mut self, write: &Write) -> io::Result<Option<usize>> {
        let cursor = write.permit.cursor;
        if cursor.is_inside() {
            let first = write.slices().next().unwrap_or_default();
            let rest = &first[..cursor.reach(first, 0)];
            return Ok(self.port.write_now(&[rest])?);
        }
        self.go_on_with_next()?;
        self.write(write)
    }

    /// The same where nothing is written: while nothing comes, too, what was moved away gets nothing more.
    fn change_between_writes(&mut self) -> io::Result<()> {
        let is_between = || {
            self.shared
                .update_and_wake(|engine, _| !engine.is_inside_record(self.i))
        };
        match self.next.is_there() && is_between() {
            true => self.go_on_with_next(),
            false => Ok(()),
        }
    }

    fn go_on_with_next(&mut self) -> io::Result<()> {
        let Some((port, _asked)) = self.next.take() else {
            return Ok(());
        };
        let old = std::mem::replace(&mut self.port, port);
        old.close().map_err(io::Error::other)
    }
}

impl Edge for World<'_> {
    fn write(&mut self, write: &Write) -> io::Result<Option<usize>> {
        if self.next.is_there() {
            return self.change(write);
        }
        let is_framed = write.permit.cursor.framing().is_some();
        let slices = match self.watched && is_framed {
            // Nobody waits until a tap has the rest of a record.
            true => write.whole_within(self.port.sure_room()),
            false => write.slices().collect(),
        };
        Ok(self.port.write_now(&slices)?)
    }

    fn fetch(&mut self, load: &mut Load) -> io::Result<()> {
        self.shared.fetch(self.i, load)
    }

    fn remember(&mut self, to: u64, run: Run) -> io::Result<()> {
        self.shared.remember(self.i, to, run)
    }

    fn wait(&mut self, Wait { sleep, version }: Wait) -> Option<io::Result<bool>> {
        if let Err(e) = self.change_between_writes() {
            return Some(Err(e));
        }
        if sleep.what == For::Room {
            return Some(self.port.wait_writable(sleep.until).map_err(Into::into));
        }
        let waker = &self.waker;
        if !self.watched {
            waker.wait(version, sleep.until);
            return Some(Ok(false));
        }
        Some(match waker.wait_hang_up(version, &self.port) {
            Ok(true) => Err(io::ErrorKind::BrokenPipe.into()),
            other => other.map_err(Into::into),
        })
    }
}
