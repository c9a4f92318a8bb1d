//! The client's side of `--look`: what passes through a running weir, as that weir tells it.
//!
//! Invariant: what goes to standard output is whole pieces of whole records: a signal that ends this process waits for
//! the piece that is being written, unless nobody takes that.

use std::io::{self, BufRead, BufReader, Chain, Cursor, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::stdio::stdout;

use super::client::{self, ClientError};
use super::protocol::{self, Answer, Ask, LINE_MAX, Shown};
use super::signals;
use crate::engine::status::Count;
use crate::report::figures;

/// How long a signal waits for the piece that is being written.
const WRITING: Duration = Duration::from_millis(200);

/// What a weir says before a piece that it shows.
#[must_use]
pub(crate) fn preface(bytes: usize, missed: Count) -> Vec<u8> {
    let shown = Shown {
        bytes,
        missed: missed.bytes,
        missed_records: missed.records,
    };
    protocol::line(&protocol::Reply::from(Answer::Shown(shown)))
}

/// A weir that is being looked into.
#[derive(Debug)]
pub(crate) struct Look {
    pid: u32,
    /// What has come with the first answer, and then what comes.
    stream: BufReader<Chain<Cursor<Vec<u8>>, UnixStream>>,
    /// What was shown last; what was missed is also said by whoever ends this process.
    shown: Arc<Mutex<Shown>>,
    /// Held while a piece is being written.
    writing: Arc<Mutex<()>>,
    /// It has said that nothing more comes.
    has_parted: bool,
}

/// Begins to look into the weir of this PID or name.
///
/// # Errors
/// When there is none, or it shows nobody anything.
pub(crate) fn look(target: &str) -> Result<Look, ClientError> {
    let listener = signals::listen(false)?;
    let (pid, socket, early) = client::hand_over(target, Ask::Look)?;
    let shown = Arc::new(Mutex::new(Shown::default()));
    let writing = Arc::new(Mutex::new(()));
    let (told, ends, piece) = (shown.clone(), listener.heed(), writing.clone());
    thread::Builder::new().spawn(move || {
        // Others ask for reports, of which there are none.
        let mut numbers = ends.iter().map(|signal| signal.number);
        if let Some(signal) = numbers.find(|signal| signals::is_end(*signal)) {
            let _whole = lock_within(&piece, WRITING);
            say_missed(&told);
            signals::die_by(signal);
        }
    })?;
    Ok(Look {
        pid,
        stream: BufReader::new(Cursor::new(early).chain(socket.into())),
        shown,
        writing,
        has_parted: false,
    })
}

impl Look {
    /// Passes on what is shown, until the weir ends.
    ///
    /// # Errors
    /// When standard output fails, or whoever reads it has left.
    pub(crate) fn pass_on(&mut self, output: &mut impl Write) -> io::Result<()> {
        let mut piece = Vec::new();
        while let Some(shown) = self.next()? {
            piece.resize(shown.bytes, 0);
            // Half of it would be half a record.
            if self.stream.read_exact(&mut piece).is_err() {
                break;
            }
            // Nothing is shown last, to say that there is no more.
            self.has_parted = shown.bytes == 0;
            *lock(&self.shown) = shown;
            let _whole = lock(&self.writing);
            output.write_all(&piece)?;
            output.flush()?;
        }
        Ok(())
    }

    /// The next piece. `None`: there is none, for the weir has ended.
    fn next(&mut self) -> io::Result<Option<Shown>> {
        let (early, stream) = self.stream.get_ref().get_ref();
        let is_early = early.position() < early.get_ref().len() as u64;
        if self.stream.buffer().is_empty() && !is_early {
            wait(stream)?;
        }
        let mut line = Vec::new();
        let most = LINE_MAX as u64;
        let read = self.stream.by_ref().take(most).read_until(b'\n', &mut line);
        match protocol::reply(&line) {
            Some(Answer::Shown(shown)) if read.is_ok() => Ok(Some(shown)),
            _ => Ok(None),
        }
    }

    /// Says what was missed. Whoever looks knows all that passed, or is told.
    ///
    /// # Errors
    /// When the weir has ended without a last word: it was killed, or has not waited for so slow a look.
    pub(crate) fn finish(self) -> Result<(), ClientError> {
        say_missed(&self.shown);
        match self.has_parted {
            true => Ok(()),
            false => Err(ClientError::Failed(format!(
                "look: weir {} has ended without a last word, killed or too soon for so slow a look: what passed last may not be shown",
                self.pid
            ))),
        }
    }
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Locks it, if that can be done in this time.
fn lock_within<T>(what: &Mutex<T>, time: Duration) -> Option<MutexGuard<'_, T>> {
    let until = Instant::now() + time;
    loop {
        match what.try_lock() {
            Ok(guard) => return Some(guard),
            Err(_) if Instant::now() >= until => return None,
            Err(_) => thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// Waits until there is more to hear.
///
/// # Errors
/// When whoever reads standard output has left, however silent the weir.
fn wait(stream: &UnixStream) -> io::Result<()> {
    let output = stdout();
    let mut both = [
        PollFd::new(stream, PollFlags::IN),
        PollFd::new(&output, PollFlags::empty()),
    ];
    while let Err(e) = poll(&mut both, None) {
        if e != Errno::INTR {
            return Err(e.into());
        }
    }
    match both[0].revents().is_empty() {
        true => Err(io::ErrorKind::BrokenPipe.into()),
        false => Ok(()),
    }
}

/// One line, if anything was missed.
fn say_missed(shown: &Mutex<Shown>) {
    let shown = *lock(shown);
    if shown.missed > 0 {
        let records = shown.missed_records.map(|n| format!(", {n} records"));
        let (bytes, records) = (figures::bytes(shown.missed), records.unwrap_or_default());
        let _ = writeln!(
            io::stderr(),
            "weir: too slow a look: {bytes}{records} not shown"
        );
    }
}
