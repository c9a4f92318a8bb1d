//! What an actor is to do, before anything is handed out for it; and when one that sleeps on such a plan is to be
//! woken.

use std::time::{Duration, Instant};

use super::action::{Actor, For, Reason, SIDES, Sleep};
use super::limiter::QUANTUM;
use super::task::Task;

/// How room is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Those who are furthest behind lose records: their oldest, or what their lanes say.
    Fullest,
    /// The consumer loses the newest.
    Newest,
}

/// What an actor is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Read so many bytes at most.
    Read(ReadPlan),
    /// Pass around the log.
    Transfer,
    /// Write.
    Write,
    /// Read back from the disk what lies at this place.
    Fetch(u64),
    /// Give the consumer's pipe this size.
    Fit(usize),
    /// Give memory back.
    Trim,
    /// Drop what is too old, or the oldest, first; then plan again.
    Expire,
    /// See there.
    Shed(Way),
    /// Close a batch, up to this place, first; then plan again.
    Take(u64),
    /// Run the program.
    Run,
    /// Do something with the program of a worker.
    Order(Task),
    /// Sleep.
    Wait(Sleep),
    /// It is over.
    End(Reason),
}

/// A read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReadPlan {
    pub(super) most: usize,
    /// What was read may be written at once.
    pub(super) pass: bool,
    /// What is read is too much.
    pub(super) discard: bool,
    /// It goes to the disk.
    pub(super) to_disk: bool,
}

impl Plan {
    pub(super) fn wait(what: For, until: Option<Instant>) -> Plan {
        Plan::Wait(Sleep { what, until })
    }

    /// The same, but for a sleep that is over by then.
    pub(super) fn or_sooner(self, at: Option<Instant>) -> Plan {
        match self {
            Plan::Wait(Sleep { what, until }) => Plan::wait(what, earlier(until, at)),
            plan => plan,
        }
    }
}

/// An actor's decisions: which version is in force, and whether it sleeps on it.
#[derive(Debug, Default)]
pub(crate) struct Sleeper {
    pub(super) version: u64,
    pub(super) asleep: Option<Sleep>,
}

impl Sleeper {
    pub(super) fn is_for(&self, what: For) -> bool {
        self.asleep.is_some_and(|sleep| sleep.what == what)
    }
}

/// How much later than it should a sleep may end: a cap that moves with the occupancy is not worth waking
/// somebody for every byte.
pub(super) fn tolerance(sleep: Sleep) -> Duration {
    if sleep.what == For::Cap {
        QUANTUM
    } else {
        Duration::ZERO
    }
}

/// Whether who sleeps so need not be woken for this plan: it is the same, or to sleep longer.
pub(super) fn is_kept(sleep: Sleep, plan: Plan) -> bool {
    let Plan::Wait(other) = plan else {
        return false;
    };
    let in_time = match (sleep.until, other.until) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(sleeps), Some(at)) => sleeps <= at + tolerance(sleep),
    };
    // Who has been away for long enough is about to come back by itself.
    let is_same = other.what == sleep.what || (sleep.what, other.what) == (For::More, For::Input);
    is_same && in_time
}

/// Whether a sleep can be ended by the waker. Who waits for input does so whatever else is to be done, a tee or a
/// tap for room, too, and who lingers for room does so for a moment.
pub(super) fn is_wakeable(actor: Actor, sleep: Sleep) -> bool {
    !matches!(
        (actor, sleep.what),
        (Actor::Source, For::Input | For::Room) | (Actor::Output(SIDES..), For::Room)
    )
}

/// The earlier one of those that there are.
pub(super) fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    a.into_iter().chain(b).min()
}
