//! What one pipeline is to be: every choice is made here, before anything runs, by the seed alone.
//!
//! Caps are chosen so that a pipeline lasts a second or two by itself, however slow the machine.

mod neighbours;

use std::time::Duration;

use crate::dice::Dice;
use crate::dying::Dying;
use crate::killed;
use crate::mate;
use crate::options::{self, DONE};
use crate::store::StoreAct;
use crate::stream::{self, Framing};
use neighbours::{actions, consumer, links};

/// How the producer behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Producer {
    Bursty,
    BytewiseThenRest,
    /// In writes of a line or so, as fast as they are taken.
    Swift,
    Huge,
    /// Sends half, is silent until the end of the pipeline, and ends.
    FallsSilent,
    /// Ends in the middle of a record.
    Dies,
    /// Not a process, but so many files.
    Files(usize),
}

/// How the consumer behaves, until the pipeline is told to come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consumer {
    Eager,
    Slow,
    Lumpy,
    /// Takes so much, and then nothing.
    Stops(usize),
    /// Takes so much, and leaves.
    Leaves(usize),
}

/// What stands right beside weir.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    Pipe,
    Socket,
    /// A `cat`, which can be killed.
    Cat,
    /// A `cat` that weir runs.
    Command,
    /// A program that weir runs, which takes so much, closes its end, lives on, and ends with this status.
    Deaf(usize, u8),
    /// A program that weir runs again and again, since it ends after some bytes.
    Falls,
    /// The same, but it lives on for a while when it has closed its end.
    FallsDeaf,
    /// A `cat` that weir runs with each batch.
    Batches,
}

/// What is done to a pipeline while it runs.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    Wait(Duration),
    Freeze(Duration),
    Signal(&'static str),
    Remote(Vec<String>),
    /// Somebody looks, until weir ends or that one is killed.
    Look,
    KillLook,
    KillBefore,
    KillBehind,
    /// Weir itself is killed.
    Kill,
    /// Both sides are to come to their end.
    Hurry,
    /// The program that weir runs is stopped for a while.
    StopCommand(Duration),
    /// Somebody asks how it goes.
    Query,
    /// Something happens to the store that the cap is shared through.
    Store(StoreAct),
    /// Who shares the cap is sent a signal.
    Mate(&'static str),
}

/// How a program is run again and again.
pub(crate) const AGAIN: [&str; 4] = ["--restart", "always", "--backoff", "1ms..2ms"];

/// One pipeline.
#[derive(Debug)]
pub(crate) struct Plan {
    pub seed: u64,
    pub options: Vec<String>,
    pub framing: Framing,
    pub control: bool,
    pub sheds: bool,
    pub spills: bool,
    pub stalls: bool,
    /// A signal may end it before all is delivered.
    pub hurries: bool,
    /// Its cap is shared through a store.
    pub store: bool,
    /// What another weir moves meanwhile that shares it.
    pub mate: Option<Vec<u8>>,
    /// So much is read at most: something ends the input there.
    pub stop: Option<usize>,
    /// To the files of tees and taps something is added.
    pub appends: bool,
    pub metrics: bool,
    /// A file is shown what passes.
    pub taps: bool,
    /// And a program, through a FIFO.
    pub pipes: bool,
    /// A file gets everything, or sheds by the same rule.
    pub tees: bool,
    /// Another one, which fails.
    pub dying: Option<Dying>,
    /// What has passed is kept for those who look.
    pub recalls: bool,
    /// The course of the run is drawn.
    pub charts: bool,
    /// What is not delivered stays for another weir.
    pub spools: bool,
    pub before: Link,
    pub behind: Link,
    pub producer: Producer,
    pub consumer: Consumer,
    pub actions: Vec<Action>,
    /// Where weir is killed, so long do those run that go on, until they are killed, too.
    pub kills: Vec<Duration>,
    /// So long after it was told to come to its end weir is stopped, and for so long.
    pub late: Option<(Duration, Duration)>,
    pub input: Vec<u8>,
}

impl Plan {
    pub(crate) fn draw(seed: u64) -> Plan {
        let dice = &mut Dice::new(seed);
        let framing = match dice.between(0, 9) {
            0..=3 => Framing::None,
            4..=6 => Framing::Lines,
            7 => Framing::Null,
            // No more than the smallest buffer holds: with shedding that is a usage error.
            _ => Framing::Fixed(dice.spread(1, 4096) as usize),
        };
        let longest = dice.pick(&[20, 200, 200, 9000]);
        let total = dice.spread(1, 3 << 20) as usize;
        let mut input = stream::make(dice, framing, total, longest);
        let files = dice.between(1, 4) as usize;
        let producer = dice.pick(&[
            Producer::Bursty,
            Producer::BytewiseThenRest,
            Producer::Swift,
            Producer::Huge,
            Producer::FallsSilent,
            Producer::Dies,
            Producer::Files(files),
        ]);
        if producer == Producer::Dies {
            input.truncate(input.len() - (longest / 2).min(input.len() / 2));
        }
        let mut options = options::draw(dice, framing, input.len());
        let control = !options.list.iter().any(|o| o == "--no-control");
        let consumer = consumer(dice, input.len());
        let (before, mut behind) = links(dice, producer, consumer);
        let can_fall = !options.stalls && !options.has_lanes();
        // With records it may have batches instead.
        let can_fall = can_fall && (framing == Framing::None || dice.percent(40));
        if behind == Link::Command && !matches!(consumer, Consumer::Leaves(_)) && dice.percent(25) {
            let much = dice.between(1, input.len() as u64 + 1000) as usize;
            behind = Link::Deaf(much, dice.pick(&[0, 0, 7]));
        }
        if behind == Link::Command && can_fall && !matches!(consumer, Consumer::Leaves(_)) {
            behind = dice.pick(&[Link::Falls, Link::FallsDeaf]);
            options.list.extend(AGAIN.map(String::from));
        }
        let may_batch = !options.stalls && !options.has_lanes();
        let may_batch = may_batch && !matches!(consumer, Consumer::Leaves(_));
        if behind == Link::Command && may_batch && dice.percent(70) {
            behind = Link::Batches;
            let of_records = ["100", "30,9999B", "1000,20ms"];
            let of_bytes = ["9999B", "64KiB", "20ms", "64KiB,5ms"];
            let limit = match framing {
                Framing::None => dice.pick(&of_bytes),
                // Each batch is a run of a program.
                Framing::Fixed(size) if input.len() / size > 100_000 => dice.pick(&of_bytes),
                _ if dice.percent(50) => dice.pick(&of_records),
                _ => dice.pick(&of_bytes),
            };
            options.list.extend(["--batch", limit].map(String::from));
        }
        let spools = !options.sheds && dice.percent(40);
        if spools {
            options.sync(dice);
        }
        let stop = options.stop(dice, framing, &input);
        let mut actions = actions(dice, control, &mut options, framing, input.len());
        let mut kills = Vec::new();
        // What is shed is not there for those who go on. What they deliver is known by its numbers.
        let is_known = framing.is_numbered() || framing == Framing::None;
        let is_known = is_known && spools && !options.sheds;
        if is_known && dice.percent(60) {
            actions.truncate(dice.between(0, actions.len() as u64) as usize);
            if dice.percent(40) {
                actions.push(Action::Hurry);
            }
            let until = Action::Wait(dice.millis(0, 150));
            actions.extend([until, Action::Kill]);
            kills = killed::draw(dice);
        }
        let is_shared = options.store || options.list.iter().any(|it| it == "--share");
        let total = input.len();
        let mate = is_shared && dice.percent(60);
        let mate = mate.then(|| mate::draw(dice, framing, total, &mut actions));
        let much = dice.between(0, input.len() as u64) as usize;
        let dying = Some(dice.pick(&[Dying::Full, Dying::Leaves(much)]));
        // What the others owe is not judged where something else may be short.
        let may_die = !matches!(behind, Link::Deaf(..));
        Plan {
            seed,
            framing,
            control,
            sheds: options.sheds,
            spills: options.spills,
            stalls: options.stalls,
            hurries: options.hurries,
            store: options.store,
            mate,
            stop,
            appends: dice.percent(40),
            metrics: dice.percent(20),
            taps: dice.percent(30),
            pipes: dice.percent(30),
            tees: dice.percent(if spools { 60 } else { 30 }),
            dying: dying.filter(|_| may_die && dice.percent(25)),
            recalls: dice.percent(15),
            charts: dice.percent(10),
            spools,
            options: options.list,
            before,
            behind,
            producer,
            consumer,
            actions,
            kills,
            late: dice
                .percent(8)
                .then(|| (dice.millis(0, 60), dice.millis(400, 1200))),
            input,
        }
    }

    /// One line for a person, without the data.
    pub(crate) fn describe(&self) -> String {
        format!(
            "CHAOS_SEED={} {:?} by {:?} ({} bytes) | weir {}{}{}{}{}{}{} | {:?} by {:?}; {:?} {:?} {:?}",
            self.seed,
            self.producer,
            self.before,
            self.input.len(),
            self.options.join(" "),
            if self.spools { " --spool DIR" } else { "" },
            if self.tees { " --tee FILE" } else { "" },
            self.dying
                .map(|it| format!(" --tee {it:?}"))
                .unwrap_or_default(),
            if self.adds() { " --append" } else { "" },
            if self.store { " --share STORE" } else { "" },
            self.mate
                .as_ref()
                .map(|it| format!(" beside another of {} bytes", it.len()))
                .unwrap_or_default(),
            self.consumer,
            self.behind,
            self.actions,
            self.late,
            self.kills
        )
    }

    /// Whether one of these is sent to weir.
    pub(crate) fn sends(&self, signals: &[&str]) -> usize {
        let hit = |a: &&Action| matches!(a, Action::Signal(name) if signals.contains(name));
        self.actions.iter().filter(hit).count()
    }

    /// Whether weir is told to drain.
    pub(crate) fn drains(&self) -> bool {
        let hit = |a: &Action| matches!(a, Action::Remote(o) if o.iter().any(|o| o == "--drain"));
        self.actions.iter().any(hit)
    }

    /// Whether weir runs its consumer.
    pub(crate) fn has_command(&self) -> bool {
        matches!(
            self.behind,
            Link::Command | Link::Deaf(..) | Link::Falls | Link::FallsDeaf | Link::Batches
        )
    }

    /// What that takes before it hears no more, and its status.
    pub(crate) fn deaf(&self) -> Option<(usize, u8)> {
        match self.behind {
            Link::Deaf(much, status) => Some((much, status)),
            _ => None,
        }
    }

    /// Whether something is added to the files of tees and taps, as is said.
    pub(crate) fn adds(&self) -> bool {
        self.appends && (self.tees || self.taps)
    }

    pub(crate) fn is_of_files(&self) -> bool {
        matches!(self.producer, Producer::Files(_))
    }

    /// Whether somebody reads on where weir has stopped.
    pub(crate) fn reads_on(&self) -> bool {
        self.stop.is_some() && self.before == Link::Pipe && !self.is_of_files()
    }

    /// Whether somebody else than the consumer is owed everything.
    pub(crate) fn has_tees(&self) -> bool {
        self.tees || self.dying.is_some()
    }

    /// So much is read, if nothing ends it before.
    pub(crate) fn whole(&self) -> usize {
        self.stop.unwrap_or(self.input.len())
    }

    /// The values of this option, at first and later.
    pub(crate) fn told<'a>(&'a self, option: &'a str) -> impl Iterator<Item = &'a str> {
        let remote = self.actions.iter().filter_map(|action| match action {
            Action::Remote(told) => Some(told),
            _ => None,
        });
        let all = [&self.options].into_iter().chain(remote);
        let pairs = all.flat_map(|list| list.windows(2));
        pairs
            .filter(move |pair| pair[0] == option)
            .map(|pair| pair[1].as_str())
    }

    /// Whether something is run at the end that leaves a line.
    pub(crate) fn leaves_line(&self) -> bool {
        self.told("--on").any(|hook| hook == DONE)
    }

    /// Whether that is run with batches.
    pub(crate) fn batches(&self) -> bool {
        self.behind == Link::Batches
    }

    /// Whether that ends again and again.
    pub(crate) fn falls(&self) -> bool {
        matches!(self.behind, Link::Falls | Link::FallsDeaf)
    }

    pub(crate) fn kills_before(&self) -> bool {
        self.actions.iter().any(|a| matches!(a, Action::KillBefore)) && self.before == Link::Cat
    }

    /// Whether the consumer may be gone before it has everything.
    pub(crate) fn loses_consumer(&self) -> bool {
        let killed = self.actions.iter().any(|a| matches!(a, Action::KillBehind));
        matches!(self.consumer, Consumer::Leaves(_)) || killed && self.behind == Link::Cat
    }
}
