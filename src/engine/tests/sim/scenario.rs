//! What a run of the simulator is made of, what may go wrong in it, and what it was like.

use super::*;

/// What the producer does: each burst of bytes is offered at its time, and waits for room.
pub(in super::super) type Offers = Vec<(Duration, usize)>;
/// What the consumer does: from each time on it takes up to so many bytes.
pub(in super::super) type Takes = Vec<(Duration, usize)>;
/// What happens to the process: at each time everything stands still for so long.
pub(in super::super) type Stops = Vec<(Duration, Duration)>;

/// What the state machine is told while it runs.
pub(in super::super) type Commands = Vec<(Duration, Directive)>;

/// One run to simulate.
#[derive(Debug, Clone)]
pub(in super::super) struct Scenario {
    pub rules: Rules,
    /// Whether the system has a zero-copy path for these neighbours.
    pub direct: bool,
    pub input: Text,
    pub offers: Offers,
    pub takes: Takes,
    pub stops: Stops,
    pub commands: Commands,
    /// Capacity of each of the kernel's pipes, in bytes.
    pub pipe: usize,
    /// Decides who of those who can act acts first, and how long each step takes.
    pub seed: u64,
}

/// Bytes that are not printed when a property fails.
#[derive(Clone, PartialEq)]
pub(in super::super) struct Text(pub Vec<u8>);

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// What came of it.
#[derive(Debug)]
pub(in super::super) struct Outcome {
    /// What reached the pipe to the consumer, and when each piece did.
    pub passed: Vec<(Duration, usize)>,
    /// The bytes that did.
    pub output: Vec<u8>,
    /// When each piece of the input was taken.
    pub took: Vec<(Duration, usize)>,
    /// The state machine after the last step.
    pub engine: Engine,
    /// Bytes by which memory, with the books of lanes, was more than it may be at most.
    pub over: u64,
    /// The time of the last step.
    pub end: Duration,
    /// Everything that was offered was delivered.
    pub finished: bool,
    /// Occupancies at which reading stopped, and at which it started again.
    pub turns: Vec<(usize, usize)>,
    /// What was shed, in order.
    pub spilled: Vec<u8>,
    /// When each command was given.
    pub told: Commands,
    /// How much of the input was taken.
    pub taken: usize,
    /// Somebody was accused of a stall.
    pub accused: bool,
    /// A driver went on and on, and nothing came of it.
    pub span: bool,
    /// Each try of a batch: what it was told, when it began and ended, what it got, and what came of it.
    pub tries: Vec<Try>,
    /// What each run of a worker's program has dealt with.
    pub workers: Vec<Vec<u8>>,
    /// When each of them was run.
    pub starts: Vec<Duration>,
    /// When one got the end of what it reads.
    pub closed: Vec<Duration>,
    /// A worker has left although there was more.
    pub someone_left: bool,
    /// What each tee and tap got, once for each time that somebody was there to take it.
    pub sides: Vec<Vec<Vec<u8>>>,
    /// How often bytes went to several at once, around the log.
    pub fanned: usize,
    /// How often these were read, too, for somebody who was owed them.
    pub kept: usize,
    /// The consumer has gone for good.
    pub is_over: bool,
    /// Where each tee and tap began in the stream that outlives the run.
    pub tee_bases: Vec<u64>,
    /// What lies where it outlives the run, and was not delivered by what is remembered.
    pub left: Left,
}

/// What a run leaves for the next one, where it outlives it.
#[derive(Debug, Default, Clone)]
pub(in super::super) struct Left {
    /// All that was ever put on the disk, and how much of that has been given back.
    pub bytes: Vec<u8>,
    pub floor: u64,
    /// What of it somebody is still owed.
    pub inherited: Inherited,
}

/// A try of a batch.
#[derive(Debug, Clone)]
pub(in super::super) struct Try {
    pub ticket: Ticket,
    /// When it was decided that it is run, which is what caps are about: whoever acts on that may be held up.
    pub ordered: Duration,
    pub began: Duration,
    pub ended: Option<Duration>,
    pub bytes: Vec<u8>,
    pub finish: Option<Finish>,
}

/// Blocking, all of the capacity in use, nothing capped.
pub(in super::super) fn rules(capacity: usize) -> Rules {
    Rules {
        capacity,
        memory: None,
        outlives: false,
        marks: Marks {
            high: capacity,
            low: capacity - capacity / 8,
            prefill: 0,
        },
        may_bypass: true,
        keeps_given: false,
        batch: None,
        workers: None,
        framing: None,
        output: Limits::default(),
        input: Limits::default(),
        burst: Bursts::default(),
        shed: None,
        max_age: None,
        stop_at: None,
        timeouts: Timeouts::default(),
        recall: None,
    }
}

/// Takes everything, in time.
pub(in super::super) fn glutton() -> Takes {
    vec![(Duration::ZERO, usize::MAX / 2)]
}

/// A producer and a consumer that are always ready.
pub(in super::super) fn plain(rules: Rules, input: Vec<u8>) -> Scenario {
    Scenario {
        rules,
        direct: false,
        offers: vec![(Duration::ZERO, input.len())],
        input: Text(input),
        takes: glutton(),
        stops: Vec::new(),
        commands: Vec::new(),
        pipe: 4096,
        seed: 7,
    }
}

/// A tee or a tap.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct SidePlan {
    pub role: Role,
    /// When somebody comes to read it, if not from the start.
    pub comes: Option<Duration>,
    /// Between these times it takes nothing.
    pub stalls: Option<(Duration, Duration)>,
    /// From then on it fails, and when somebody else comes: a tap may be read again.
    pub dies: Option<(Duration, Duration)>,
}

/// What else may happen.
#[derive(Debug, Clone, Copy, Default)]
pub(in super::super) struct Adversity {
    /// Who gets the stream beside the consumer.
    pub sides: [Option<SidePlan>; 3],
    /// Who comes to look into it while it runs, and goes.
    pub lookers: [Option<SidePlan>; 3],
    /// How much of what has passed is kept for them.
    pub recall: Option<u64>,
    /// Between these times the system has no memory.
    pub short: Option<(Duration, Duration)>,
    /// From this time on the system does not pass anything around the log.
    pub refuses: Option<Duration>,
    /// From this time on the output fails.
    pub dies: Option<Duration>,
    /// At this time nothing is to move any more.
    pub halts: Option<Duration>,
    /// The consumer falls at the first of these times, and another one comes at the second, which gets what that
    /// one had not read.
    pub falls: [Option<(Duration, Duration)>; 3],
    /// That consumer has closed its standard input so long before it falls.
    pub deaf: Option<Duration>,
    /// The consumer goes at this time, and nobody comes in its place: tees still get what was read.
    pub over: Option<Duration>,
    /// One step in so many is a look at how much lies unread in the consumer's pipe.
    pub looks: Option<u64>,
    /// Once weir is told to end, one step in so many begins with a look of the main thread at whether the input has ended:
    /// it tells that before whoever reads it does, or behind that.
    pub ends: Option<u64>,
    /// A process is stopped between looking at the clock and telling the time.
    pub stale_clock: bool,
    /// The watchdog looks.
    pub watched: bool,
    /// The file for what is shed takes nothing until this time.
    pub slow_file: Option<Duration>,
    /// What the programs do that are run with batches.
    pub programs: Script,
    /// What workers do.
    pub workers: WorkerScript,
    /// The disk.
    pub disk: Disk,
    /// The pipe to the consumer is a kernel's: it gets the size that it is asked for, once it holds no more than that, and
    /// takes pages.
    pub sizes: bool,
    /// Which patterns tell the lanes of records apart, and which of them are to be kept.
    pub lanes: Option<(Option<&'static str>, Option<&'static str>)>,
}

/// What programs do that are run with batches.
#[derive(Debug, Clone, Copy, Default)]
pub(in super::super) struct Script {
    /// One try in so many fails, and one in so many is rejected.
    pub fails: Option<u64>,
    pub rejects: Option<u64>,
    /// One in so many cannot be started.
    pub refuses: Option<u64>,
    /// Until then all fail.
    pub outage: Duration,
    /// How long each runs, at most.
    pub lasts: Duration,
    /// From then on, and until then, programs do not end.
    pub hangs: Option<(Duration, Duration)>,
    /// When a signal that ends weir is sent to all of them, and to weir, which hears of it a moment later.
    pub told: Option<Duration>,
}

/// What the disk behind memory is like, if there is one.
#[derive(Debug, Clone, Copy, Default)]
pub(in super::super) struct Disk {
    /// Bytes that it holds; it gives them back in pieces of a 16th of that.
    pub bound: u64,
    /// That is nearly all that there is on it.
    pub is_ours: bool,
    /// Others have the rest, and never give it back.
    pub others_stay: bool,
    /// Between these times others fill it.
    pub full: Option<(Duration, Duration)>,
    /// One write in so many is cut short although there was room.
    pub tears: Option<u64>,
    /// One read in so many finds that it is full after all, and stays where it was.
    pub refuses: Option<u64>,
    /// From this time on nothing can be read back.
    pub fails: Option<Duration>,
    /// What was dropped and lies there is damaged when it is read back for the file of what is dropped.
    pub damages_dropped: bool,
    /// How long each of its calls takes.
    pub slow: Duration,
}

impl Disk {
    /// What is in the way where it has less room than was thought, and we have so many bytes there.
    pub(super) fn filled_by(&self, held: u64) -> FilledBy {
        match self.is_ours && held > self.bound / 2 {
            true => FilledBy::Ours,
            false => FilledBy::Others,
        }
    }
}
