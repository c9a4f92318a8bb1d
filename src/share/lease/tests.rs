//! One member and what the store may say to it, on a made-up clock.

use super::answer::rules_from_text;
use super::*;
use crate::units::Unit;

fn rules(rate: &str) -> Rules {
    Rules {
        rate: rate.parse().expect(rate),
        burst: Burst::Units(0),
    }
}

fn answer(parts: u64, members: u64) -> Answer {
    Answer {
        parts,
        interval: INTERVAL,
        members,
        rules: None,
        begins: false,
    }
}

/// A member with its clock; it passes all that it may.
struct Member {
    cap: LeasedCap,
    now: Instant,
}

impl Member {
    fn new(rate: &str) -> Member {
        let now = Instant::now();
        Member {
            cap: LeasedCap::new(rules(rate), now),
            now,
        }
    }

    /// What passes in this time, where this share of it is wanted.
    fn pass(&mut self, time: Duration, most: u64) -> u64 {
        let end = self.now + time;
        let mut sum = 0;
        while self.now < end {
            self.cap.prepare(self.now);
            match self.cap.peek(self.now) {
                Ok(units) if sum < most => {
                    let units = units.min(most - sum);
                    self.cap.on_passed(units, self.now);
                    sum += units;
                }
                Ok(_) => break,
                Err(when) => self.now = when.min(end),
            }
        }
        self.now = end;
        sum
    }

    fn ask(&mut self, answer: Answer) -> Question {
        let question = self.cap.question(self.now);
        self.cap.on_answer(&question, answer, self.now, self.now);
        question
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_member_passes_the_part_that_it_has() {
    for (rate, parts, wanted) in [
        ("8MB/s", ALL / 8, 100_000),
        ("8MB/s", ALL, 800_000),
        ("3GB/s", ALL / 3, 100_000_000),
    ] {
        let mut member = Member::new(rate);
        let mut sum = 0;
        for _ in 0..10 {
            member.ask(answer(parts, 8));
            sum += member.pass(INTERVAL, u64::MAX);
        }
        assert!(sum.abs_diff(wanted * 10) < wanted / 10, "{sum} of {rate}");
    }
    let mut member = Member::new("1MB/s");
    member.ask(answer(0, 8));
    assert_eq!(member.pass(INTERVAL, u64::MAX), 0);
}

#[test]
fn nobody_who_comes_has_the_first_unit_for_nothing_but_one_who_is_alone() {
    for (begins, wanted) in [(false, [0, 0, 1]), (true, [1, 0, 1])] {
        let mut member = Member::new("10/s");
        let mut passed = [0; 3];
        for (sum, millis) in passed.iter_mut().zip([40, 50, 60]) {
            member.ask(Answer {
                begins,
                ..answer(ALL, 1)
            });
            *sum = member.pass(Duration::from_millis(millis), u64::MAX);
        }
        assert_eq!(passed, wanted, "begins: {begins}");
    }
}

#[test]
fn what_is_taken_away_and_given_again_brings_no_unit_with_it() {
    let mut member = Member::new("10/s");
    let mut sum = 0;
    for _ in 0..30 {
        member.ask(answer(ALL, 1));
        sum += member.pass(INTERVAL / 4, u64::MAX);
        member.ask(answer(0, 1));
        assert_eq!(member.pass(4 * INTERVAL, u64::MAX), 0);
    }
    // It had a part for seven and a half tenths of a second.
    assert!((6..=7).contains(&sum), "{sum}");
}

/// They know of those who were there before them, and what a lease that is over was for is nobody's.
#[test]
fn those_who_come_at_once_to_a_store_that_is_slow_have_no_more_than_the_cap() {
    const TRIP: Duration = Duration::from_millis(600);
    for knows_trip in [true, false] {
        let mut members: Vec<Member> = (0..8).map(|_| Member::new("8MB/s")).collect();
        let mut sum = 0;
        for (before, member) in (0..).zip(&mut members) {
            if knows_trip {
                member.cap.on_trip(TRIP);
            }
            let parts = if before == 0 { ALL } else { 0 };
            let asked = member.now;
            let question = member.cap.question(asked);
            member.now += TRIP;
            let first = answer(parts, before + 1);
            member.cap.on_answer(&question, first, asked, member.now);
            assert_eq!(member.cap.is_cut_off(member.now), !knows_trip);
            sum += member.pass(TRIP, u64::MAX);
        }
        let most = if knows_trip { 4_800_000 } else { 0 };
        assert!(sum <= most + most / 100, "{sum} of {most}");
        // A store that is silent from then on does not stop them for good.
        let last = &mut members[7];
        last.now += 10 * SECOND;
        let asked = last.now;
        last.cap.on_failure();
        last.cap.on_silence(asked, asked + SECOND);
        let each = last.pass(SECOND, u64::MAX);
        assert!(each.abs_diff(1_000_000) < 20_000, "{each}");
    }
}

#[test]
fn without_a_lease_it_passes_an_nth_of_the_most_that_there_were() {
    let mut member = Member::new("8MB/s");
    member.ask(answer(ALL / 8, 8));
    member.pass(INTERVAL, u64::MAX);
    member.ask(answer(ALL / 2, 2));
    let sum = member.pass(4 * INTERVAL, u64::MAX);
    assert!(sum.abs_diff(1_600_000) < 20_000, "{sum}");
    assert!(!member.cap.is_cut_off(member.now));
    member.pass(INTERVAL, u64::MAX);
    assert!(member.cap.is_cut_off(member.now));
    let sum = member.pass(SECOND, u64::MAX);
    assert!(sum.abs_diff(1_000_000) < 20_000, "{sum}");
    member.ask(answer(ALL / 2, 2));
    let sum = member.pass(INTERVAL, u64::MAX);
    assert!(sum.abs_diff(400_000) < 20_000, "{sum}");
}

/// One member of eight that has all, and a store whose answers are on their way for so long.
#[test]
fn a_store_that_is_far_away_costs_no_lease() {
    for millis in [90, 300, 600, 900] {
        let trip = Duration::from_millis(millis);
        let mut member = Member::new("8MB/s");
        member.ask(answer(ALL, 8));
        let mut sums = Vec::new();
        for _ in 0..20 {
            let asked = member.now;
            let question = member.cap.question(asked);
            let before = member.pass(trip, u64::MAX);
            let now = member.now;
            member.cap.on_answer(&question, answer(ALL, 8), asked, now);
            let next = asked + question.interval;
            let after = member.pass(next.saturating_duration_since(now), u64::MAX);
            let time = member.now.duration_since(asked).as_secs_f64();
            sums.push((before + after) as f64 / time / 8e6);
        }
        // How far away it is has to be found out.
        let least = sums[2..].iter().copied().fold(f64::INFINITY, f64::min);
        assert!(least > 0.95, "{trip:?}: {sums:?}");
    }
}

/// It is asked again as soon as it has answered: what was used is to be held against what there was then.
#[test]
fn who_has_just_been_given_more_still_wants_more() {
    let trip = Duration::from_millis(300);
    let mut member = Member::new("8MB/s");
    member.ask(answer(0, 2));
    for parts in [0, ALL / 2, ALL / 8, ALL / 2] {
        let asked = member.now;
        let question = member.cap.question(asked);
        member.pass(trip, u64::MAX);
        member
            .cap
            .on_answer(&question, answer(parts, 2), asked, member.now);
        // It asks before anybody has looked at the answer.
        member.now += Duration::from_micros(50);
        let wants = member.cap.question(member.now).wants;
        assert_eq!(wants, None, "{parts}");
        member.pass(trip, u64::MAX);
    }
}

/// What is waited for grows where no answer comes, but not without end.
#[test]
fn a_store_that_says_nothing_is_waited_for_longer_up_to_five_seconds() {
    let mut member = Member::new("8MB/s");
    member.ask(answer(ALL, 8));
    let mut timeout = Vec::new();
    for _ in 0..4 {
        let asked = member.now;
        timeout.push(member.cap.timeout().as_millis());
        member.now += member.cap.timeout();
        member.cap.on_silence(asked, member.now);
    }
    assert_eq!(timeout, [500, 2500, 5000, 5000]);
    member.ask(answer(ALL, 8));
    assert_eq!(member.cap.timeout().as_millis(), 500);
}

#[test]
fn it_wants_all_that_there_is_only_while_it_uses_what_it_has_up() {
    let mut member = Member::new("1MB/s");
    assert_eq!(
        member.ask(answer(ALL / 2, 2)).wants,
        None,
        "it has just come"
    );
    member.pass(INTERVAL, u64::MAX);
    assert_eq!(member.ask(answer(ALL / 2, 2)).wants, None);
    member.pass(INTERVAL, 10_000);
    let wants = member
        .ask(answer(ALL / 2, 2))
        .wants
        .expect("a tenth of the cap");
    let tenth = ALL as f64 / 10.0;
    assert!((1.0..1.1).contains(&(wants as f64 / tenth)), "{wants}");
    member.pass(INTERVAL, 0);
    let question = member.ask(answer(0, 2));
    assert_eq!((question.wants, question.interval), (Some(0), IDLE));
    member.pass(INTERVAL / 10, 1);
    assert_eq!(member.ask(answer(0, 2)).wants, None);
}

#[test]
fn a_lease_is_counted_from_before_it_was_asked_for() {
    let mut member = Member::new("1MB/s");
    let asked = member.now;
    let question = member.cap.question(asked);
    let then = asked + 4 * INTERVAL;
    member.cap.on_answer(&question, answer(ALL, 1), asked, then);
    assert!(!member.cap.is_cut_off(then));
    assert!(member.cap.is_cut_off(asked + 5 * INTERVAL));
}

#[test]
fn the_newest_rules_are_for_all() {
    let mut member = Member::new("1MB/s");
    assert!(member.ask(answer(ALL, 1)).says);
    let newer = Answer {
        rules: Some(rules("2MB/s")),
        ..answer(ALL, 2)
    };
    assert!(!member.ask(newer).says);
    assert_eq!(member.cap.rules(), rules("2MB/s"));
    let sum = member.pass(INTERVAL, u64::MAX);
    assert!(sum.abs_diff(200_000) < 20_000, "{sum}");
    // Changed here while the question was under way: what the store says is older.
    let question = member.cap.question(member.now);
    member.cap.set(rules("3MB/s"));
    member
        .cap
        .on_answer(&question, newer, member.now, member.now);
    assert_eq!(member.cap.rules(), rules("3MB/s"));
    assert!(
        member
            .ask(Answer {
                rules: Some(rules("3MB/s")),
                ..newer
            })
            .says
    );
    assert!(!member.cap.question(member.now).says);
}

#[test]
fn parts_of_rates_are_exact_and_bursts_and_rules_survive_as_text() {
    for rate in ["1/day", "3GB/s", "1/s", "7/5s", "18446744073709551615/ns"] {
        let rate: Rate = rate.parse().expect(rate);
        for parts in [ALL / 1000, ALL / 3, ALL / 8, ALL] {
            let part = part(rate, parts).expect("something").per_second();
            let wanted = rate.per_second() * parts as f64 / ALL as f64;
            assert!((part / wanted - 1.0).abs() < 0.02, "{part} for {wanted}");
        }
        for burst in [Burst::Units(7), Burst::Worth(Duration::from_millis(3))] {
            let rules = Rules { rate, burst };
            let (amount, per) = (rate.amount().to_string(), rate.per_nanos().to_string());
            let read = rules_from_text(&amount, &per, &burst_to_text(burst), rate.unit());
            assert_eq!(read, Some(rules));
        }
    }
    assert_eq!(rules_from_text("0", "1", "0", Unit::Bytes), None);
    assert_eq!(rules_from_text("", "", "", Unit::Bytes), None);
}
