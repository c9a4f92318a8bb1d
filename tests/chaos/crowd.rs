//! Programs that run side by side, as workers or with batches, and what becomes of them: some are slow, fail, hang,
//! are stopped or killed. What each has dealt with lies in a file of its own.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::dice::Dice;
use crate::files;
use crate::killed;
use crate::options;
use crate::plan::Producer;
use crate::store::{Store, StoreAct};
use crate::stream::{self, Framing};

/// What is done while they run.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    Wait(Duration),
    Freeze(Duration),
    Signal(&'static str),
    Remote(Vec<String>),
    /// One of the programs is killed, or stopped for a while: that of this number, if there are so many.
    Kill(usize),
    Stop(usize, Duration),
    /// Something happens to the store that the cap is shared through.
    Store(StoreAct),
    /// Weir itself is killed.
    KillWeir,
}

/// What the first to come do, before the others do what is expected; each needs a name of its own.
const ODD: [&str; 5] = [
    "sleep 0.2",
    "exit 3",
    "exec sleep 8",
    "head -c 100 >/dev/null; exit 4",
    "exec </dev/null; sleep 0.1; exit 5",
];
/// That which ends with the status of a batch that can never succeed.
const FAILS: usize = 1;
/// That which loses what it has read.
const LOSES: usize = 3;

/// One such pipeline.
#[derive(Debug)]
pub(crate) struct Crowd {
    pub seed: u64,
    options: Vec<String>,
    pub framing: Framing,
    pub is_batch: bool,
    pub control: bool,
    pub sheds: bool,
    pub spills: bool,
    /// A batch may be rejected, or given up.
    pub rejects: bool,
    /// What is not delivered stays for another weir, which delivers it.
    pub spools: bool,
    /// The cap is shared through a store.
    pub store: bool,
    /// So much of the input is read.
    pub whole: usize,
    /// A program that has dealt with its batch closes its end, and lives on for a while.
    lingers: bool,
    pub producer: Producer,
    odd: Vec<usize>,
    pub acts: Vec<Act>,
    /// Where weir is killed, so long do those run that go on, until they are killed, too.
    pub kills: Vec<Duration>,
    pub input: Vec<u8>,
}

impl Crowd {
    pub(crate) fn draw(seed: u64) -> Crowd {
        let dice = &mut Dice::new(seed ^ 0x5eed);
        let framing = match dice.between(0, 5) {
            0..=3 => Framing::Lines,
            4 => Framing::Null,
            _ => Framing::Fixed(dice.between(8, 900) as usize),
        };
        let is_batch = dice.percent(50);
        // Each batch is a run of a shell.
        let most = if is_batch { 1 << 17 } else { 1 << 20 };
        let total = dice.spread(1, most) as usize;
        // One that is longer than the buffer comes in pieces, each of them a batch.
        let longest = dice.pick(&[20, 200, 900]);
        let input = stream::make(dice, framing, total, longest);
        let mut options = loop {
            let options = options::draw(dice, framing, input.len());
            if !options.has_lanes() && !options.stalls && !options.sheds_fair() {
                break options;
            }
        };
        let least = dice.between(1, 3);
        let most = least + dice.between(u64::from(least == 1), 3);
        let range = [format!("{most}"), format!("{least}..{most}")];
        let jobs = if dice.percent(30) {
            &range[0]
        } else {
            &range[1]
        };
        options.list.extend(["-j".into(), jobs.clone()]);
        let more = match is_batch {
            true => vec![
                "--batch",
                match dice.pick(&["20", "100,20ms", "9999B", "64KiB,5ms"]) {
                    // As many runs as end in time on a machine with much else to do.
                    "20" if framing.split(&input).len() > 2000 => "100",
                    limit => limit,
                },
            ],
            false => vec!["--restart", "on-failure"],
        };
        let always = ["--backoff", "1ms..5ms", "--sink-timeout", "5s"];
        let all = more.into_iter().chain(always);
        options.list.extend(all.map(String::from));
        let rejects = is_batch && dice.percent(40);
        let keeps_rejected = rejects && dice.percent(60);
        if rejects {
            options.list.extend(["--reject", "3"].map(String::from));
        }
        // One that is killed when it has dealt with all of it has failed, too: what is given up then is there twice.
        if rejects && !options.spills && !keeps_rejected {
            options.list.extend(["--give-up", "2"].map(String::from));
        }
        let spools = !options.sheds && dice.percent(40);
        if spools {
            options.sync(dice);
        }
        let control = !options.list.iter().any(|o| o == "--no-control");
        let odd = (0..dice.between(0, 4)).map(|_| dice.between(0, 4) as usize);
        let odd: Vec<usize> = odd.collect();
        let producer = dice.pick(&[
            Producer::Bursty,
            Producer::Swift,
            Producer::Huge,
            Producer::FallsSilent,
        ]);
        let whole = options.stop(dice, framing, &input);
        let mut acts = acts(dice, control, &mut options, framing, input.len());
        let mut kills = Vec::new();
        // What is shed, or not to be read, is not there for those who go on.
        if spools && !options.sheds && whole.is_none() && dice.percent(60) {
            acts.truncate(dice.between(0, acts.len() as u64) as usize);
            acts.extend([Act::Wait(dice.millis(0, 150)), Act::KillWeir]);
            kills = killed::draw(dice);
        }
        // One that is killed when it has dealt with all of it, or whose weir is, would be there twice.
        let hurts = |act: &Act| matches!(act, Act::Kill(_) | Act::Stop(..) | Act::KillWeir);
        let gives_up = is_batch && !rejects && !acts.iter().any(hurts) && dice.percent(50);
        if gives_up {
            let after = dice.pick(&["1", "1", "2"]);
            options.list.extend(["--give-up", after].map(String::from));
        }
        let keeps_rejected = keeps_rejected || gives_up && dice.percent(60);
        Crowd {
            seed,
            framing,
            is_batch,
            control,
            sheds: options.sheds,
            spills: options.spills || keeps_rejected,
            rejects: rejects || gives_up,
            spools,
            store: options.store,
            whole: whole.unwrap_or(input.len()),
            lingers: dice.percent(20),
            options: options.list,
            producer,
            odd,
            acts,
            kills,
            input,
        }
    }

    /// What each program does: it writes what it reads to a file, which for a batch has its last name when it is complete.
    fn script(&self) -> String {
        let odd = self.odd.iter().enumerate();
        let odd: String = odd
            .map(|(n, what)| {
                let what = ODD[*what];
                format!("if mkdir $0/odd{n} 2>/dev/null; then {what}; fi; ")
            })
            .collect();
        let rest = match self.is_batch {
            true if self.lingers => {
                "cat >$0/$$.part && mv $0/$$.part $0/$WEIR_BATCH.whole && exec </dev/null && sleep 0.01"
            }
            true => "cat >$0/$$.part && mv $0/$$.part $0/$WEIR_BATCH.whole",
            // Where one is killed, nobody is left who reads on.
            false => "exec cat >$0/$$.part",
        };
        odd + rest
    }

    /// Whether something is run at the end that leaves a line.
    pub(crate) fn leaves_line(&self) -> bool {
        self.options.iter().any(|it| it == options::DONE)
    }

    pub(crate) fn command(&self, dir: &Path, store: Option<&Store>) -> Command {
        let mut weir = files::weir(&self.options, dir, self.spills, self.spools);
        if self.store {
            files::share(&mut weir, store);
        }
        weir.args(["--", "sh", "-c", &self.script()]).arg(dir);
        weir
    }

    /// Another weir, which delivers what this one has left.
    pub(crate) fn rest(&self, dir: &Path) -> Command {
        files::next(self.framing, dir)
    }

    pub(crate) fn describe(&self) -> String {
        format!(
            "CHAOS_SEED={} {:?} ({} bytes) | weir{}{} {} -- {}; {:?} {:?}",
            self.seed,
            self.producer,
            self.input.len(),
            if self.spools { " --spool DIR" } else { "" },
            if self.store { " --share STORE" } else { "" },
            self.options.join(" "),
            self.script(),
            self.acts,
            self.kills
        )
    }

    pub(crate) fn sends(&self, signals: &[&str]) -> bool {
        let is_one = |act: &Act| matches!(act, Act::Signal(name) if signals.contains(name));
        self.acts.iter().any(is_one)
    }

    pub(crate) fn tells(&self, word: &str) -> bool {
        let is_one = |act: &Act| matches!(act, Act::Remote(o) if o.iter().any(|o| o == word));
        self.acts.iter().any(is_one)
    }

    /// Whether a batch was rejected for sure, where this program of the odd ones has run.
    pub(crate) fn is_rejected_by(&self, has_run: impl Fn(usize) -> bool) -> bool {
        let fails = |n: usize| self.odd[n] == FAILS && has_run(n);
        let kills = self.acts.iter().any(|act| matches!(act, Act::Kill(_)));
        let rejects = self.options.iter().any(|it| it == "--reject");
        rejects && !kills && (0..self.odd.len()).any(fails)
    }

    /// A worker may fail when it was given all that there is.
    pub(crate) fn may_fail(&self) -> bool {
        let hurts = |act: &Act| matches!(act, Act::Kill(_) | Act::Stop(..));
        !self.is_batch && (!self.odd.is_empty() || self.acts.iter().any(hurts))
    }

    /// Whether weir is killed, if it has not ended by then.
    pub(crate) fn is_killed(&self) -> bool {
        self.acts.iter().any(|act| matches!(act, Act::KillWeir))
    }

    /// So many programs run at a time, at most.
    pub(crate) fn jobs_most(&self) -> usize {
        let told = self.acts.iter().filter_map(|act| match act {
            Act::Remote(told) => Some(told),
            _ => None,
        });
        let all = [&self.options].into_iter().chain(told);
        let pairs = all.flat_map(|list| list.windows(2));
        let jobs = pairs.filter(|pair| matches!(&pair[0][..], "-j" | "--jobs"));
        let most = jobs.filter_map(|pair| pair[1].rsplit("..").next()?.parse().ok());
        most.max().expect("how many")
    }

    /// What lies in the pipe of a worker that does not read is lost when nobody is there to take it back.
    pub(crate) fn may_lose_when_killed(&self) -> bool {
        self.may_lose() || !self.is_batch && !self.odd.is_empty()
    }

    /// A worker may have read something, and not dealt with it.
    pub(crate) fn may_lose(&self) -> bool {
        let hurts = |act: &Act| matches!(act, Act::Kill(_) | Act::Stop(..) | Act::Freeze(_));
        !self.is_batch && (self.odd.contains(&LOSES) || self.acts.iter().any(hurts))
    }
}

fn acts(
    dice: &mut Dice,
    control: bool,
    options: &mut options::Options,
    framing: Framing,
    total: usize,
) -> Vec<Act> {
    let mut acts = Vec::new();
    for _ in 0..dice.between(0, 8) {
        acts.push(Act::Wait(dice.millis(0, 80)));
        let who = dice.between(0, 5) as usize;
        if options.store && dice.percent(35) {
            let wait = dice.millis(0, 800);
            acts.extend([Act::Store(StoreAct::draw(dice)), Act::Wait(wait)]);
            continue;
        }
        match dice.between(0, 16) {
            0 => acts.push(Act::Freeze(dice.millis(0, 120))),
            1..=4 if control => {
                let told = loop {
                    let told = options::change(dice, options, framing, total);
                    if !told.iter().any(|it| it == "fair") {
                        break told;
                    }
                };
                acts.push(Act::Remote(told));
            }
            5 if control => acts.push(Act::Remote(vec!["--retry".into()])),
            6 => acts.push(Act::Signal("USR1")),
            7 if dice.percent(50) => acts.push(Act::Signal(dice.pick(&["TERM", "HUP"]))),
            8 if dice.percent(30) => acts.push(Act::Signal("INT")),
            9..=12 => acts.push(Act::Kill(who)),
            13..=15 => acts.push(Act::Stop(who, dice.millis(0, 150))),
            _ => acts.push(Act::Wait(dice.millis(0, 400))),
        }
    }
    acts
}
