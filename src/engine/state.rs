//! All that the state machine remembers. What is made of it is said by the files of the actors' turns, and by
//! the rules that each keep a part of it.

use std::ops::Range;
use std::time::Instant;

use super::action::{CONSUMER, Path, ReadState, TransferState};
use super::age::Timeline;
use super::batch::Jobs;
use super::bypass::Bypass;
use super::coalescing::Coalescing;
use super::directive::Directive;
use super::disk::Spill;
use super::event::{Event, Events};
use super::gate::Gate;
use super::given::Given;
use super::inflight::InFlightWindow;
use super::lane_books::Fairness;
use super::limiter::{Bursts, Limiters};
use super::log::Log;
use super::output::Output;
use super::plan::Sleeper;
use super::policy::Shedder;
use super::record::{Cursor, Framing};
use super::rules::{Rules, StopAt};
use super::side::Role;
use super::stall::StallDetector;
use super::stats::Stats;
use super::workers::Workers;

/// Whose sleep is over.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Wakes {
    /// The source's, with the new version of its decision.
    pub source: Option<u64>,
    /// The consumer's, and that of the file for what is shed.
    pub outputs: [Option<u64>; 2],
    /// Those of tees and taps, with their numbers.
    pub sides: Vec<(usize, u64)>,
    /// Those of jobs, with their numbers.
    pub jobs: Vec<(usize, u64)>,
    /// That of whoever waits until nothing moves any more: what was asked for up to this number has come.
    pub quiet: Option<u64>,
    /// What has happened that somebody listens to.
    pub events: Vec<Event>,
    /// Nobody sleeps for this: what lies before this offset on the disk can be given back.
    pub floor: Option<u64>,
}

/// What is known of the source.
#[derive(Debug)]
pub(crate) struct Source {
    pub sleeper: Sleeper,
    /// Where in its record the input stands.
    pub cursor: Cursor,
    /// What it reads into, when it does not.
    pub(super) read: Option<Box<ReadState>>,
    /// The same for what passes around the log.
    pub(super) transfer: Option<Box<TransferState>>,
    pub path: Path,
    /// What is still to be read before the input is taken to have ended.
    pub left: Option<StopAt>,
    /// Bytes are being read or passed.
    pub is_reading: bool,
    /// Bytes are on their way to the consumer by this side.
    pub is_passing: bool,
    /// As a rule there is nothing to read now: waiting first costs one call, trying first two.
    pub(super) waits_first: bool,
    /// When what was waited for came, until it is read.
    pub(super) came_at: Option<Instant>,
    /// Whether to stay away for a moment before it is waited for.
    pub(super) coalescing: Coalescing,
    /// The producer is being waited for.
    pub is_waiting: bool,
    /// All inputs were read to their ends, or as far as they are to be. Where nothing more is read for another reason, what
    /// goes on with a record may still come to another run.
    pub is_over: bool,
    /// The output had no room when bytes were to be passed.
    pub is_full: bool,
    /// There was no memory to read into.
    pub(super) is_short: bool,
}

impl Source {
    pub(super) fn new(framing: Option<Framing>, left: Option<StopAt>) -> Source {
        Source {
            sleeper: Sleeper::default(),
            cursor: Cursor::new(framing),
            read: Some(Box::default()),
            transfer: Some(Box::default()),
            path: Path::default(),
            left,
            is_over: left.is_some_and(|left| left.bytes() == 0),
            is_reading: false,
            is_passing: false,
            waits_first: false,
            came_at: None,
            coalescing: Coalescing::default(),
            is_waiting: false,
            is_full: false,
            is_short: false,
        }
    }

    /// Whether all that is to be read was read.
    #[inline]
    pub(super) fn has_all(&self) -> bool {
        self.left.is_some_and(|left| left.bytes() == 0)
    }

    /// What was waited for has come.
    #[inline]
    pub(super) fn on_input_there(&mut self, now: Instant) {
        (self.waits_first, self.came_at) = (false, Some(now));
    }
}

/// What is not the queue's own.
#[derive(Debug, Default)]
pub(crate) struct Overflow {
    pub is_wanted: bool,
    /// Nothing more will be dropped.
    pub is_closing: bool,
    /// The beginning of a record whose rest is still to come.
    pub(super) unfinished: Option<Range<u64>>,
    /// That record is too much.
    pub(super) is_refusing: bool,
    /// Something was too much, and the file has taken nothing since.
    pub(super) is_full: bool,
    pub(super) lost: u64,
    /// A record was, while it still came.
    pub(super) was_too_long: bool,
    /// Where the part of a record ends that the file was given last, if it was.
    pub(super) begun: Option<u64>,
}

impl Overflow {
    /// Bytes of a record that is not complete yet.
    pub(super) fn unfinished_bytes(&self) -> u64 {
        self.unfinished
            .as_ref()
            .map_or(0, |run| run.end - run.start)
    }
}

/// Bounded buffer, gates, buckets and books. See the module's text.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(super) log: Log,
    pub(super) source: Source,
    pub(super) outputs: Vec<Output>,
    /// How many there are beside the consumer and the file for what is shed, and how many of these get what is
    /// read next.
    pub(super) side_count: usize,
    pub(super) joining: usize,
    pub(super) overflow: Overflow,
    pub(super) gate: Gate,
    /// Whether the bypass is wanted.
    pub(super) may_bypass: bool,
    pub(super) bypass: Bypass,
    pub(super) stats: Stats,
    pub(super) watchdog: StallDetector,
    pub(super) input: Limiters,
    pub(super) output: Limiters,
    pub(super) burst: Bursts,
    pub(super) capacity: usize,
    pub(super) spill: Option<Spill>,
    pub(super) framing: Option<Framing>,
    pub(super) shedder: Shedder,
    /// What tells the lanes of records apart, where they are.
    pub(super) fairness: Option<Box<Fairness>>,
    pub(super) timeline: Timeline,
    /// Somebody holds the output.
    pub(super) paused: bool,
    /// Somebody holds the input.
    pub(super) input_held: bool,
    /// Somebody looks at it from outside.
    pub(super) input_looked_at: bool,
    /// What was given to the consumer and may lie unread.
    pub(super) given: Given,
    /// Who runs programs with batches, where that is the consumer.
    pub(super) jobs: Option<Box<Jobs>>,
    /// Who runs programs side by side that take from one queue, where these are the consumer.
    pub(super) workers: Option<Box<Workers>>,
    /// Nothing more will be read: end of input, or told to drain.
    pub(super) ended: bool,
    /// No read is under way after the end: a last record without terminator has been counted.
    pub(super) last_counted: bool,
    /// What of the last record has come and is left for another run.
    pub(super) half: Option<Range<u64>>,
    /// Nothing is to move any more.
    pub(super) halted: bool,
    /// Somebody waits until nothing is on its way to the consumer: how often that was asked for, and whether
    /// it still is.
    pub(super) quiet_asked: u64,
    pub(super) quiet_wanted: bool,
    pub(super) wakes: Wakes,
    pub(super) has_wakes: bool,
    /// See [`Engine::is_plain`].
    pub(super) has_plain_rules: bool,
    /// What somebody listens to, if anybody does.
    pub(super) events: Option<Box<Events>>,
    pub(super) trim_at: Option<Instant>,
    pub(super) started: Instant,
}

impl Engine {
    /// An empty one.
    #[must_use]
    pub(crate) fn new(rules: Rules, now: Instant) -> Engine {
        let source = Source::new(rules.framing, rules.stop_at);
        let mut engine = Engine {
            log: Log::new(rules.memory.unwrap_or(rules.capacity), rules.framing),
            ended: source.is_over,
            source,
            outputs: vec![
                Output {
                    window: InFlightWindow::beside(rules.capacity),
                    ..Output::new(rules.framing)
                },
                Output::new(rules.framing),
            ],
            side_count: 0,
            joining: 0,
            overflow: Overflow::default(),
            gate: Gate::new(rules.marks),
            may_bypass: rules.may_bypass,
            bypass: Bypass::new(false),
            stats: Stats::default(),
            watchdog: StallDetector::new(rules.common_timeouts()),
            input: Limiters::default(),
            output: Limiters::default(),
            burst: rules.burst,
            capacity: rules.capacity,
            spill: rules
                .memory
                .map(|memory| Spill::new(memory, rules.outlives)),
            framing: rules.framing,
            shedder: Shedder::default(),
            fairness: None,
            timeline: Timeline::default(),
            paused: false,
            input_held: false,
            input_looked_at: false,
            given: Given::new(rules.keeps_given, now),
            jobs: rules
                .batch
                .map(|batch| Box::new(Jobs::new(batch, rules.timeouts, now))),
            workers: rules.workers.map(|workers| {
                let timeout = rules.timeouts.sink;
                Box::new(Workers::new(workers, rules.framing, timeout, now))
            }),
            last_counted: false,
            half: None,
            halted: false,
            quiet_asked: 0,
            quiet_wanted: false,
            wakes: Wakes::default(),
            has_wakes: false,
            has_plain_rules: false,
            events: None,
            trim_at: None,
            started: now,
        };
        for command in [
            Directive::RateOfBytes(rules.output.bytes),
            Directive::RateOfRecords(rules.output.records),
            Directive::InputRateOfBytes(rules.input.bytes),
            Directive::InputRateOfRecords(rules.input.records),
            Directive::Shed(rules.shed),
            Directive::MaxAge(rules.max_age),
        ] {
            engine.command(now, command);
        }
        if let Some(share) = rules.recall {
            engine.add_side(Role::Recall(share), false);
        }
        engine
    }

    /// Bytes in a segment of the log.
    pub(crate) fn segment_size(&self) -> usize {
        self.log.segment_size()
    }

    /// What the consumer is owed, in bytes, what is in batches included.
    #[inline]
    pub(super) fn used(&self) -> usize {
        (self.outputs[CONSUMER].queue.owed() + self.in_batches()) as usize
    }
}
