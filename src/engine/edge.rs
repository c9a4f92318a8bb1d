//! The world as those see it who act for the state machine: what a driver can ask of it.
//!
//! Each call is one attempt, which says what came of it. What an actor never does need not be there, and fails.

use std::io::{self, IoSliceMut};
use std::sync::Arc;

use super::action::{NoRoom, Pass, Permit, Taker, Wait, Write};
use super::on_disk::Load;
use super::scan::Run;
use super::segment::Segment;
use super::stall::Side;
use super::task::{Answer, Task};
use super::ticket::{Finish, Stretch, Ticket, Untried};

/// What came of one attempt to pass bytes around the log.
#[cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "splice(2) is Linux's")
)]
#[derive(Debug)]
pub(crate) enum Passage {
    /// These have passed.
    Passed(Run),
    /// The input is at its end.
    End,
    /// Nothing could be moved: the input is empty or the output is full.
    Stuck,
    /// Not to be had between these two.
    Refused,
    /// So many have passed to the consumer, and are to be read: somebody has had less, or nothing.
    Uneven(usize),
    /// This side has failed. Nothing has passed.
    Failed(Side, io::Error),
}

/// Bytes that were read (0: the end), and where they begin on the disk, if they lie there.
pub(crate) type Came = (usize, Option<u64>);

/// What has come of reading to the disk: what has come, if anything has; or that there is no room for it after all, and it
/// is where it was.
pub(crate) type Taken = Result<Option<Came>, NoRoom>;

/// The world as an actor sees it. A wait that is not over returns `None` where the world is made up, and
/// never where it is real. What an actor never does need not be there.
pub(crate) trait Edge {
    /// So many bytes of memory for the log.
    ///
    /// # Errors
    /// When there is none.
    fn segment(&mut self, _size: usize) -> io::Result<Arc<Segment>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Reads what is there; `None`: nothing yet; 0: the end.
    ///
    /// # Errors
    /// When the input fails.
    fn read(&mut self, _into: &mut [IoSliceMut<'_>]) -> io::Result<Option<usize>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Writes at once what there is room for of so short a piece that waking somebody else for it is not
    /// worth it; nothing of a longer one, nor where it fails: that will be met again.
    fn pass_on(&mut self, _bytes: &[u8], _pass: Pass) -> usize {
        0
    }

    /// Moves bytes from the input to the output.
    fn bypass(&mut self, _permit: Permit) -> Passage {
        Passage::Refused
    }

    /// Moves bytes from the input to the output, and to others, for each of which it says how many it has had: of those
    /// that the output has had. `is_owed`: they are to be read, too, for somebody else.
    fn fan_out(&mut self, _permit: Permit, _takers: &mut [Taker], _is_owed: bool) -> Passage {
        Passage::Refused
    }

    /// Reads what has passed to the output, and somebody has not had.
    ///
    /// # Errors
    /// When the input fails.
    fn read_passed(&mut self, into: &mut [IoSliceMut<'_>]) -> io::Result<Option<usize>> {
        self.read(into)
    }

    /// Whether a read would return at once.
    fn is_readable(&mut self) -> bool {
        true
    }

    /// Writes what there is room for; `None`: there is none.
    ///
    /// # Errors
    /// When the output fails.
    fn write(&mut self, _write: &Write) -> io::Result<Option<usize>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Bytes that lie in the output's pipe unread, where that matters and can be told.
    fn unread(&mut self) -> Option<u64> {
        None
    }

    /// Runs the program with the batch that was written last, and says what came of it; `None`: it still runs. Those
    /// ahead of it are not to be forgotten.
    fn run(&mut self, _ticket: &Ticket, _ahead: &[Untried]) -> Option<Finish> {
        Some(Finish::NotRun { is_over: true })
    }

    /// Does this with the program of a worker; `None`: it is not done yet.
    fn order(&mut self, _task: Task) -> Option<Answer> {
        Some(Answer {
            done: false,
            unread: 0,
        })
    }

    /// How many bytes there is room for on the disk, which is more than none, `most` at most; it is kept for them.
    /// Where it is full `awaits_others` says whether room is waited for that others have.
    fn disk_room(&mut self, _most: usize, _awaits_others: bool) -> Result<usize, NoRoom> {
        Err(NoRoom::OTHERS)
    }

    /// Reads what is there and puts it on the disk; where it begins there, if it does not stay in memory alone.
    ///
    /// # Errors
    /// When the input fails.
    fn take(&mut self, into: &mut [u8]) -> io::Result<Taken> {
        let came = self.read(&mut [IoSliceMut::new(into)])?;
        Ok(Ok(came.map(|n| (n, None))))
    }

    /// Reads back from the disk what is asked for, or the first part of it.
    ///
    /// # Errors
    /// When that fails, or it is not there.
    fn fetch(&mut self, _load: &mut Load) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// What lies before this offset of a stream that outlives the run has been written: this was the last of it.
    ///
    /// # Errors
    /// When that cannot be remembered.
    fn remember(&mut self, _to: u64, _run: Run) -> io::Result<()> {
        Ok(())
    }

    /// The same where several take from that stream side by side: this part of it has been written.
    ///
    /// # Errors
    /// When that cannot be remembered.
    fn remember_part(&mut self, _part: Stretch) -> io::Result<()> {
        Ok(())
    }

    /// Gives the output's pipe this size. False when it holds too much for that.
    fn fit(&mut self, _size: usize) -> bool {
        true
    }

    /// Sleeps. Says whether what the sleep was for, beside the waker, is there.
    ///
    /// # Errors
    /// When what is waited for fails.
    fn wait(&mut self, wait: Wait) -> Option<io::Result<bool>>;
}
