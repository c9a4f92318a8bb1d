//! Members of a share on one made-up clock: what all together pass, and who gets how much of it.

mod world;

use std::sync::{Arc, Mutex, atomic::AtomicU32};

use proptest::prelude::*;

use super::super::clock::ticks;
use super::super::cost::LATE;
use super::super::table::{FIRST_SLOT, SLOT_WORDS, TURN, Who};
use super::*;
use crate::units::{Rate, Unit};
use world::*;

#[test]
fn eight_share_a_cap_evenly_exactly_and_fairly() {
    for (rate, per_second) in [
        ("10MB/s", 10_000_000u64),
        ("3GB/s", 3_000_000_000),
        ("1kB/s", 1000),
    ] {
        let mut world = World::new();
        for n in 0..8 {
            let late = Duration::from_micros(100 * n);
            world.add(rules(rate, NO_BURST), Duration::ZERO, late);
        }
        world.run(secs(20));
        let each: Vec<_> = world
            .flows
            .iter()
            .map(|flow| flow.total(secs(0), secs(20)))
            .collect();
        let off = each.iter().sum::<u64>() as f64 / (20 * per_second) as f64;
        assert!((off - 1.0).abs() < 0.001, "{rate}: {off} of the cap");
        assert!(jain(&each) > 0.999, "{rate}: {each:?}");
        let most = world.most_in(millis(100)) as f64 / per_second as f64 * 10.0;
        assert!(most < 1.06, "{rate}: {most} of the cap in 100 ms");
    }
}

#[test]
fn what_one_does_not_want_the_others_get() {
    let mut world = World::new();
    for _ in 0..3 {
        world.add(rules("1MB/s", NO_BURST), Duration::ZERO, millis(1));
    }
    world.flows[2].wants = secs(0)..secs(2);
    world.run(secs(10));
    let [a, b, c] = [0, 1, 2].map(|n: usize| world.flows[n].total(secs(0), secs(2)));
    assert!(jain(&[a, b, c]) > 0.999, "{a} {b} {c}");
    let rest = world.total(secs(2) + millis(5), secs(10));
    let wanted = 7_995_000;
    assert!(rest.abs_diff(wanted) < wanted / 500, "{rest}, not {wanted}");
}

#[test]
fn one_that_is_killed_or_stopped_costs_the_others_one_turn() {
    let mut world = World::new();
    for _ in 0..8 {
        world.add(rules("8MB/s", NO_BURST), Duration::ZERO, millis(1));
    }
    world.run(secs(1));
    world.flows[0].cap = None; // Ended: the place in the table is given back, the turn is not.
    let stopped = world.flows[1].asks;
    world.flows[1].asks = secs(3); // Stopped for two seconds.
    assert!(stopped < secs(2));
    world.run(secs(6));
    let soon = world.total(secs(1), secs(1) + millis(100));
    assert!(
        soon.abs_diff(800_000) < 40_000,
        "{soon} in the first 100 ms without them"
    );
    let all = world.total(secs(1), secs(6));
    assert!(all.abs_diff(40_000_000) < 80_000, "{all}");
    let back = world.flows[1].total(secs(3), secs(3) + millis(10));
    assert!(
        back <= 3 * 8000 * 10 / 7 + 8000,
        "{back}: credit was saved up"
    );
    assert!(world.most_in(millis(100)) < 880_000);
}

#[test]
fn a_burst_is_for_all_together() {
    let mut world = World::new();
    for _ in 0..4 {
        let flow = world.add(
            rules("1MB/s", Burst::Units(500_000)),
            secs(0),
            Duration::ZERO,
        );
        flow.wants = secs(0)..millis(1);
    }
    world.run(secs(1));
    for flow in &mut world.flows {
        flow.asks = secs(5);
        flow.wants = secs(5)..FOR_EVER;
    }
    world.run(secs(6));
    let at_once = world.total(secs(5), secs(5) + millis(1));
    assert!((500_000..520_000).contains(&at_once), "{at_once}");
    let all = world.total(secs(5), secs(6));
    assert!((1_495_000..1_520_000).contains(&all), "{all}");
}

#[test]
fn the_newest_rules_are_for_all_and_have_no_memory_of_the_old() {
    let mut world = World::new();
    world.add(rules("1/h", NO_BURST), secs(0), Duration::ZERO);
    world.add(rules("1/h", NO_BURST), secs(0), Duration::ZERO);
    world.run(secs(10));
    assert_eq!(world.total(secs(0), secs(10)), 1);
    let fast = rules("1MB/s", Burst::Worth(millis(3)));
    world.set(1, fast, secs(10));
    world.run(secs(20));
    let soon = world.total(secs(10) + LOOK, secs(20));
    assert!(soon.abs_diff(9_900_000) < 10_000, "{soon}");
    assert_eq!(
        world.flows[0].cap.as_ref().expect("alive").rate(),
        fast.rate
    );
    let slow = rules("100B/s", NO_BURST);
    world.set(0, slow, secs(20));
    world.run(secs(30));
    let then = world.total(secs(20), secs(30));
    assert!((1000..4000 + 2 * 5000).contains(&then), "{then}");
    assert!(world.total(secs(21), secs(30)).abs_diff(900) <= 2);
}

#[test]
fn a_change_of_the_rules_lets_nothing_out_that_is_owed() {
    // The burst, the cap, or both, by one of two who each wait for a record.
    let mut world = World::new();
    world.add(rules("1/60s", NO_BURST), secs(0), millis(1));
    world.add(rules("1/60s", NO_BURST), secs(0), millis(1));
    for n in 1..=9 {
        world.run(n as u32 * millis(300));
        let burst = Burst::Worth(millis(n));
        let rules = rules(&format!("1/6{n}s"), burst);
        world.set(n as usize % 2, rules, n as u32 * millis(300));
    }
    world.run(secs(55));
    assert_eq!(world.total(secs(0), secs(55)), 1);
    world.run(secs(300));
    assert_eq!(world.total(secs(0), secs(300)), 5, "one in 69 s since then");
}

#[test]
fn who_comes_later_with_another_cap_has_nothing_for_nothing() {
    let mut world = World::new();
    for n in 0..20u32 {
        let rate = ["1/60s", "1/61s"][n as usize % 2];
        let flow = world.add(rules(rate, NO_BURST), n * millis(100), Duration::ZERO);
        flow.wants = n * millis(100)..(n + 1) * millis(100);
        world.run((n + 1) * millis(100));
        let flow = world.flows.last_mut().expect("just added");
        flow.cap = None;
    }
    // Those who ended keep the turns that they had reserved.
    assert_eq!(world.total(secs(0), secs(3)), 1);
}

#[test]
fn those_who_come_for_a_record_and_end_have_the_whole_cap() {
    let cap = rules("10/s", NO_BURST);
    let mut world = World::new();
    for _ in 0..3 {
        world.add(cap, secs(0), Duration::ZERO);
    }
    for now in 1..3000 {
        world.run(millis(now));
        let has_passed = |flow: &&mut Flow| flow.cap.is_some() && !flow.passed.is_empty();
        if let Some(flow) = world.flows.iter_mut().find(has_passed) {
            flow.cap = None;
            flow.leave.leave();
            world.add(cap, millis(now + 5), Duration::ZERO);
        }
    }
    let all = world.total(secs(0), secs(3));
    assert!((29..=31).contains(&all), "{all} of 30");
}

#[test]
fn a_cap_that_is_changed_a_hundred_times_a_second_is_a_cap() {
    for (one, other) in [
        ("1MB/s", "1100kB/s"),
        ("1MB/s", "1MB/s"),
        ("1000B/s", "1100B/s"),
    ] {
        let mut world = World::new();
        for n in 0..3 {
            world.add(rules(one, NO_BURST), secs(0), millis(n));
        }
        let burst = |n: u32| Burst::Units(u64::from(n % 2));
        for n in 0..300 {
            let at = n * millis(10);
            world.run(at);
            let rate = [one, other][n as usize % 2];
            world.set(n as usize % 3, rules(rate, burst(n)), at);
        }
        world.run(secs(3));
        let cap = rules(one, NO_BURST).rate.per_second() + rules(other, NO_BURST).rate.per_second();
        let passed = world.total(secs(0), secs(3)) as f64 / (1.5 * cap);
        assert!((0.98..1.02).contains(&passed), "{one}, {other}: {passed}");
    }
}

#[test]
fn who_passes_long_records_gets_no_more_than_the_others() {
    let mut world = World::new();
    for _ in 0..4 {
        world.add(rules("4MB/s", NO_BURST), secs(0), millis(1));
    }
    world.flows[0].piece = 500_000;
    world.run(secs(20));
    let each: Vec<_> = world
        .flows
        .iter()
        .map(|flow| flow.total(secs(0), secs(20)))
        .collect();
    assert!(jain(&each) > 0.995, "{each:?}");
    let all = each.iter().sum::<u64>();
    assert!(all.abs_diff(80_000_000) < 800_000, "{all}");
}

#[test]
fn one_alone_that_passes_long_records_or_asks_seldom_has_the_whole_cap() {
    for pause in [millis(0), millis(400)] {
        let mut world = World::new();
        world.add(rules("1MB/s", NO_BURST), secs(0), pause).piece = 1_000_000;
        world.run(secs(60));
        let all = world.total(secs(1), secs(60));
        assert!(
            all.abs_diff(59_000_000) <= 1_500_000,
            "{all}, asking {pause:?} late"
        );
    }
}

#[test]
fn a_damaged_word_holds_nobody_up() {
    for damage in [
        0,
        1,
        u64::MAX,
        u64::MAX >> 8,
        1 << 55,
        0x0100_0000_0000_0000,
    ] {
        for word in [super::super::table::TURN, 8, 25, 26, 27, 28, 29, 30] {
            let mut world = World::new();
            world.add(rules("1MB/s", NO_BURST), secs(0), Duration::ZERO);
            world.add(rules("1MB/s", NO_BURST), secs(0), Duration::ZERO);
            world.run(secs(1));
            world.memory[word].store(damage, SeqCst);
            world.run(secs(2));
            // Whatever the rules are now, these are newer.
            let faster = rules("2MB/s", NO_BURST);
            world.set(0, faster, secs(2));
            world.run(secs(4));
            let all = world.total(secs(3), secs(4));
            assert!(
                all.abs_diff(2_000_000) < 20_000,
                "{all} after {damage:#x} in word {word}"
            );
        }
    }
}

#[test]
fn a_turn_that_another_one_takes_between_two_instructions_is_the_others() {
    let memory = memory();
    let start = Instant::now();
    let (rules, clock) = (rules("1MB/s", NO_BURST), Clock::new(start, 1 << 40));
    let other = HostCap::new(join(memory.clone(), 1), Box::new(Everywhere), rules, clock);
    let other = Arc::new(Mutex::new(other));
    // The word has been read, and is about to be changed.
    let (looks, quicker) = (AtomicU32::new(0), Arc::clone(&other));
    let before = move |index| {
        if index == TURN && looks.fetch_add(1, SeqCst) == 1 {
            quicker.lock().unwrap().prepare(start);
        }
    };
    let member = join(Watched(memory, before), 2);
    let mut cap = HostCap::new(member, Box::new(Everywhere), rules, clock);
    cap.prepare(start);
    assert!(other.lock().unwrap().peek(start).is_ok());
    assert!(cap.peek(start).is_err(), "it has the same turn");
}

#[test]
fn whoever_is_killed_while_it_changes_the_rules_leaves_some_that_were_said() {
    let memory = memory();
    let number = |n| NonZeroU64::new(n).unwrap();
    let said = |n| Rules {
        rate: Rate::new(number(n), number(10 * n), Unit::Bytes),
        burst: Burst::Units(100 * n),
    };
    let reader = join(memory.clone(), 1);
    let before = move |_| {
        if let (_, Some(rules)) = reader.rules() {
            assert!((1..10).any(|n| rules == said(n)), "{rules:?}");
        }
    };
    let mut member = join(Watched(memory, before), 2);
    for n in 1..10 {
        member.publish(said(n));
    }
}

#[test]
fn who_says_rules_replaces_those_that_another_one_has_said_meanwhile() {
    let memory = memory();
    let mut other = Some(join(memory.clone(), 1));
    let (first, second) = (rules("1MB/s", NO_BURST), rules("2MB/s", NO_BURST));
    // It has seen that there are none, and is about to write its own down.
    let other = Mutex::new(move || Some(other.take()?.publish(first)));
    let before = move |index: usize| {
        if index > FIRST_SLOT + SLOT_WORDS {
            (other.lock().unwrap())();
        }
    };
    let replaced = join(Watched(memory, before), 2).publish(second);
    assert_eq!(replaced.map(|(_, rules)| rules), Some(first));
}

#[test]
fn threads_that_fight_for_turns_get_no_more_than_there_is() {
    let memory = memory();
    let start = Instant::now();
    let rules = rules("1GB/s", NO_BURST);
    let (members, times) = if cfg!(miri) { (3, 50) } else { (8, 20_000) };
    let totals: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..members)
            .map(|n| {
                let memory = memory.clone();
                scope.spawn(move || {
                    let who = Who::new(n + 1, 0).expect("a process");
                    let member = Member::join(memory, Unit::Bytes, who, |_| false).expect("room");
                    let mut cap = HostCap::new(
                        member,
                        Box::new(Everywhere),
                        rules,
                        Clock::new(start, 1 << 40),
                    );
                    // All at the same instants of a made-up clock, as fast as they can.
                    (0..times)
                        .map(|n| {
                            let now = start + Duration::from_micros(n);
                            cap.prepare(now);
                            let units = cap.peek(now).unwrap_or(0);
                            cap.on_passed(units, now);
                            units
                        })
                        .sum()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .collect()
    });
    let most = 1000 * times + 5_000_000 + 1_000_000 * u64::from(members);
    assert!(
        totals.iter().sum::<u64>() <= most,
        "{totals:?}, at most {most}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 1 } else { 64 }))]
    #[test]
    fn in_no_window_is_there_more_than_the_cap_the_burst_and_a_step_each(
        amount in 1..10_000_000u64,
        per in prop_oneof![Just(1_000_000_000u64), 1..10_000_000_000u64],
        burst in prop_oneof![Just(0), 0..1_000_000u64],
        members in prop::collection::vec((0..3000u64, 0..10_000u64, 0..3000u64), 1..8),
        window in 1..1000u64,
    ) {
        let per = per.max(amount.div_ceil(10)); // No faster than 10 units in a nanosecond.
        let rate = Rate::new(NonZeroU64::new(amount).unwrap(), NonZeroU64::new(per).unwrap(), Unit::Bytes);
        let rules = Rules { rate, burst: Burst::Units(burst) };
        let mut world = World::new();
        for (starts, late, lasts) in &members {
            let (starts, late) = (millis(*starts), Duration::from_micros(*late));
            let flow = world.add(rules, starts, late);
            flow.wants = starts..starts + millis(*lasts);
        }
        world.run(secs(4));
        let window = millis(window);
        let scale = Scale::new(rules);
        let worth = |time: Duration| amount as f64 * time.as_nanos() as f64 / per as f64;
        let step = scale.step.max(scale.units_in(ticks(LATE)) + 1) as f64;
        let bound = worth(window) + burst as f64 + step * (1 + members.len()) as f64;
        let most = world.most_in(window) as f64;
        prop_assert!(most <= bound + 1.0, "{most} in {window:?}, more than {bound}");
    }
}
