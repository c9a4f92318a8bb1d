//! Which scenario a seed stands for: all that is chosen is chosen here, in an order that never changes, so that a seed stays
//! what it was.

use std::num::NonZeroU64;
use std::time::Duration;

use super::dice::Dice;
use crate::engine::directive::Directive;
use crate::engine::policy::Which;
use crate::engine::record::Framing;
use crate::engine::stall::Timeouts;
use crate::engine::tests::sim::{self, Adversity, Scenario, Script, Text, WorkerScript, rules};
use crate::engine::tests::text::lines;
use crate::engine::{Limits, Rules, StopAt};
use crate::units::Unit;

pub(super) fn scenario(seed: u64) -> (Scenario, Adversity) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let largest = if dice.one_in(3) { 200_000 } else { 20_000 };
    let capacity = 4096 + dice.roll(largest) as usize;
    let framing = match dice.roll(4) {
        0 => None,
        1 => NonZeroU64::new(1 + dice.roll(200)).map(Framing::Fixed),
        _ => Some(Framing::Terminator(b'\n')),
    };
    let framed = framing.is_some();
    let longest = [50, 50, 6_000, 50_000][dice.roll(4) as usize];
    let mut input = lines(5_000 + dice.roll(40_000) as usize, longest);
    input.truncate(input.len() - dice.roll(4) as usize);
    let limits = |dice: &mut Dice| Limits {
        bytes: dice.some(4, |dice| dice.cap(Unit::Bytes)),
        records: dice
            .some(4, |dice| dice.cap(Unit::Records))
            .filter(|_| framed),
    };
    let rules = Rules {
        marks: dice.marks(capacity),
        may_bypass: !dice.one_in(3),
        framing,
        output: limits(&mut dice),
        input: limits(&mut dice),
        keeps_given: !dice.one_in(3),
        shed: dice.some(2, Dice::policy),
        max_age: dice.some(3, |dice| dice.micros(30_000) + Duration::from_micros(1)),
        timeouts: Timeouts {
            source: None,
            sink: Some(Duration::from_secs(60)),
        },
        ..rules(capacity)
    };
    let offers =
        (0..1 + dice.roll(12)).map(|_| (dice.micros(60_000), 1 + dice.roll(20_000) as usize));
    let mut offers: sim::Offers = offers.collect();
    offers.push((Duration::from_millis(60), input.len()));
    let mut takes: sim::Takes = (0..dice.roll(30))
        .map(|_| (dice.micros(90_000), 1 + dice.roll(9000) as usize))
        .collect();
    let mut commands: sim::Commands = (0..dice.roll(30))
        .map(|_| (dice.micros(120_000), dice.command(capacity, framed)))
        .collect();
    let late = Duration::from_millis(130);
    let freed = [
        Directive::Resume,
        Directive::RateOfBytes(None),
        Directive::RateOfRecords(None),
        Directive::InputRateOfBytes(None),
        Directive::InputRateOfRecords(None),
    ];
    commands.extend(freed.map(|command| (late, command)));
    commands.extend(dice.some(4, |dice| (dice.micros(120_000), Directive::Drain)));
    // Some consumers never move again; then what may not be shed stays.
    if !dice.one_in(8) {
        takes.push((Duration::from_millis(140), usize::MAX / 2));
    }
    let stops = (0..dice.roll(3)).map(|_| (dice.micros(120_000), dice.micros(3_000_000)));
    let stops = stops.collect();
    let short = dice.some(4, |dice| {
        let from = dice.micros(60_000);
        (from, from + dice.micros(60_000))
    });
    let falls = [(); 3].map(|()| {
        dice.some(3, |dice| {
            let falls = dice.micros(150_000);
            (falls, falls + dice.micros(80_000))
        })
    });
    let falls = if rules.keeps_given { falls } else { [None; 3] };
    let sides = [(); 3].map(|()| dice.some(3, Dice::side));
    let lookers = [(); 3].map(|()| dice.some(3, Dice::looker));
    let recall = dice.some(6, |dice| 4096 + dice.roll(40_000));
    let memory = dice.some(2, |dice| 4096 + dice.roll(capacity as u64) as usize);
    let memory = memory.filter(|memory| *memory < capacity);
    let disk = dice.disk(capacity);
    let mut adversity = Adversity {
        disk,
        sides,
        lookers,
        recall,
        falls,
        short,
        deaf: None,
        ends: None,
        looks: None,
        over: None,
        refuses: None,
        dies: dice.some(12, |dice| dice.micros(130_000)),
        halts: dice.some(12, |dice| dice.micros(130_000)),
        slow_file: dice.some(3, |dice| dice.micros(130_000)),
        lanes: None,
        sizes: false,
        programs: Script::default(),
        workers: WorkerScript::default(),
        stale_clock: true,
        watched: true,
    };
    let pipe = if dice.one_in(3) {
        20 + dice.roll(400) as usize
    } else {
        4096 + dice.roll(60_000) as usize
    };
    let stop_at = dice.some(4, |dice| match dice.one_in(2) {
        true if framed => StopAt::Records(dice.roll(900)),
        _ => StopAt::Bytes(dice.roll(50_000)),
    });
    let lanes = dice
        .some(3, Dice::lanes)
        .filter(|_| framed && memory.is_none());
    let mut rules = Rules {
        memory,
        stop_at,
        ..rules
    };
    if lanes.is_some() {
        let policies = commands
            .iter_mut()
            .filter_map(|(_, command)| match command {
                Directive::Shed(policy) => policy.as_mut(),
                _ => None,
            });
        for policy in policies.chain(&mut rules.shed) {
            if !dice.one_in(3) {
                policy.which = Which::Fair;
            }
        }
    }
    adversity.lanes = lanes;
    adversity.sizes = pipe >= 4096 && dice.one_in(2);
    let mut scenario = Scenario {
        rules,
        direct: !dice.one_in(3),
        input: Text(input),
        offers,
        takes,
        stops,
        commands,
        pipe,
        seed,
    };
    let batch = dice.some(3, |dice| dice.batch(capacity, framed));
    if let Some(batch) = batch.filter(|_| lanes.is_none()) {
        scenario.rules.batch = Some(batch);
        scenario.rules.keeps_given = false;
        adversity.falls = [None; 3];
        adversity.programs = dice.script();
        let finish = dice.some(8, |dice| (dice.micros(120_000), Directive::Finish));
        scenario.commands.extend(finish);
    }
    let workers = dice.some(3, Dice::workers);
    let is_free = scenario.rules.batch.is_none() && lanes.is_none();
    if let Some(workers) = workers.filter(|_| is_free && framed) {
        scenario.rules.workers = Some(workers);
        scenario.rules.keeps_given = false;
        (adversity.falls, adversity.dies) = ([None; 3], None);
        adversity.workers = dice.worker_script(workers);
    }
    if let Some(batch) = &mut scenario.rules.batch {
        batch.jobs = dice.scaling(batch.jobs);
    }
    if let Some(workers) = &mut scenario.rules.workers {
        workers.count = dice.scaling(workers.count);
        adversity.workers.follows =
            dice.some(4, |dice| (dice.roll(4) as usize, dice.roll(4) as usize));
    }
    // Behind all else, so that a seed is what it was.
    adversity.deaf = dice.some(3, |dice| dice.micros(60_000));
    adversity.looks = dice.some(2, |dice| 1 + dice.roll(20));
    let is_steady = adversity.falls == [None; 3] && adversity.dies.is_none();
    let over = dice.some(4, |dice| dice.micros(130_000));
    adversity.over = over.filter(|_| scenario.rules.batch.is_none() && is_steady);
    adversity.refuses = dice.some(6, |dice| dice.micros(130_000));
    let is_alone = scenario.rules.batch.is_none() && scenario.rules.workers.is_none();
    // Not those that once broke something, which would be others then.
    if seed % 16 == 3 && is_alone && is_steady && adversity.over.is_none() {
        scenario.rules.timeouts.sink = Some(Duration::from_millis(10 + dice.roll(80)));
    }
    if [1, 9, 14].contains(&(seed % 16)) && scenario.rules.batch.is_some() {
        let told = dice.micros(120_000);
        adversity.programs.told = Some(told);
        let heard = told + dice.micros(2_000);
        scenario.commands.push((heard, Directive::Finish));
    }
    if [2, 5, 9].contains(&(seed % 16)) && scenario.rules.batch.is_some() {
        adversity.programs.refuses = Some(2 + dice.roll(4));
    }
    if [1, 3, 14].contains(&(seed % 16)) {
        adversity.ends = Some(1 + dice.roll(12));
    }
    if [1, 9, 14].contains(&(seed % 24)) {
        // Many small pieces, one right behind the other: they are taken together.
        let (mut at, every) = (dice.micros(50_000), 1 + dice.roll(24));
        let most = [100, 1000, 6000][dice.roll(3) as usize];
        for _ in 0..50 + dice.roll(300) {
            at += Duration::from_micros(dice.roll(2 * every));
            let small = 1 + dice.roll(most) as usize;
            scenario.offers.push((at, small));
        }
    }
    (scenario, adversity)
}
