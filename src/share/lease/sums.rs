//! What members have together of one cap, while questions and answers are late or lost, and members come, leave and die.
//!
//! Invariant: at no instant do those who have a lease have more than the cap, and what is free is given away. The
//! members are the real ones, the store is the [`twin`] of `lease.lua`, and what is on the way is here.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::twin::Store;
use super::*;

/// What becomes of one member. Times are in milliseconds.
#[derive(Debug, Clone)]
struct Plan {
    comes: u64,
    /// How long a question and an answer are on their way at most, and how many of a hundred get lost.
    out: u64,
    back: u64,
    lost: u64,
    /// How much of the cap it would like to have, from one second to the next.
    likes: Vec<f64>,
    /// When it ends, and whether it says so.
    ends: Option<(u64, bool)>,
}

impl Plan {
    /// Wants all that there is, and is so far away.
    fn hungry(comes: u64, trip: u64) -> Plan {
        Plan {
            comes,
            out: trip / 2,
            back: trip / 2,
            lost: 0,
            likes: vec![1.0],
            ends: None,
        }
    }
}

#[derive(Debug)]
enum Event {
    Asks,
    Asked(Question, u64),
    Answered(Question, Answer, u64),
    GivesUp(u64),
    Ends(bool),
    Left,
}

struct Member {
    plan: Plan,
    cap: LeasedCap,
    /// When it asked what it has no answer to yet.
    waits: Option<u64>,
    failures: u32,
    has_begun: bool,
    has_ended: bool,
    /// When its last question reaches the store: none overtakes another.
    arrives: u64,
    used: f64,
}

/// Above everything that a plan says.
const SETTLED: u64 = 10_000;
const RATE_BYTES: f64 = 1e10;

struct World {
    store: Store,
    members: Vec<Member>,
    events: BTreeMap<(u64, u64), (usize, Event)>,
    count: u64,
    begun: Instant,
    now: u64,
    dice: u64,
}

impl World {
    fn new(plans: &[Plan], dice: u64) -> World {
        let begun = Instant::now();
        let rules = Rules {
            rate: "10GB/s".parse().expect("a rate"),
            burst: Burst::Units(0),
        };
        let member = |plan: &Plan| Member {
            plan: plan.clone(),
            cap: LeasedCap::new(rules, begun + Duration::from_millis(plan.comes)),
            waits: None,
            failures: 0,
            has_begun: false,
            has_ended: false,
            arrives: 0,
            used: 0.0,
        };
        let mut world = World {
            store: Store::new(0),
            members: plans.iter().map(member).collect(),
            events: BTreeMap::new(),
            count: 0,
            begun,
            now: 0,
            dice,
        };
        for (who, plan) in plans.iter().enumerate() {
            world.put(plan.comes, who, Event::Asks);
            if let Some((after, says)) = plan.ends {
                world.put(plan.comes + after, who, Event::Ends(says));
            }
        }
        world
    }

    fn put(&mut self, at: u64, who: usize, event: Event) {
        self.count += 1;
        self.events.insert((at, self.count), (who, event));
    }

    /// When something that is sent now is there: half of the time at least; `None`: never.
    fn arrival(&mut self, most: u64, lost: u64) -> Option<u64> {
        self.dice = self.dice.wrapping_mul(6364136223846793005).wrapping_add(1);
        let dice = self.dice >> 33;
        let is_lost = self.now < SETTLED && dice % 100 < lost;
        (!is_lost).then(|| self.now + most / 2 + dice / 100 % (most / 2 + 1))
    }

    /// The part at which a member passes by its lease.
    fn part(&self, who: usize) -> f64 {
        let member = &self.members[who];
        let now = self.begun + Duration::from_millis(self.now);
        let passes = member.has_begun && !member.has_ended && !member.cap.is_cut_off(now);
        let parts = member.cap.pace().filter(|_| passes);
        parts.unwrap_or(0) as f64 / ALL as f64
    }

    fn sum(&self) -> f64 {
        (0..self.members.len()).map(|who| self.part(who)).sum()
    }

    /// Lets time pass, and looks at each instant at what all have.
    fn pass(&mut self, until: u64) {
        while let Some((&(at, count), _)) = self.events.first_key_value()
            && at <= until
        {
            let (who, event) = self.events.remove(&(at, count)).expect("it was there");
            self.go_to(at);
            self.happen(who, event);
            self.go_to(at);
            let sum = self.sum();
            assert!(
                sum <= 1.0 + 1e-9,
                "{sum} of the cap after {at} ms: {:?}",
                (0..self.members.len())
                    .map(|who| self.part(who))
                    .collect::<Vec<_>>()
            );
        }
        self.go_to(until);
    }

    /// Everybody passes what he may until then.
    fn go_to(&mut self, at: u64) {
        let (now, second) = (self.begun + Duration::from_millis(at), at as usize / 1000);
        let time = (at - self.now) as f64 / 1000.0;
        for member in self.members.iter_mut().filter(|member| member.has_begun) {
            let pace = member.cap.pace().unwrap_or(0) as f64 / ALL as f64;
            let last = member.plan.likes.len() - 1;
            let likes = member.plan.likes[second.min(last)];
            member.used += pace.min(likes) * RATE_BYTES * time;
            member.cap.used = member.used as u64;
            member.cap.waited |= likes > pace;
            member.cap.prepare(now);
        }
        self.now = at;
    }

    fn happen(&mut self, who: usize, event: Event) {
        let now = self.begun + Duration::from_millis(self.now);
        let begun = self.begun;
        let instant = |at: u64| begun + Duration::from_millis(at);
        let (out, back, lost) = {
            let plan = &self.members[who].plan;
            (plan.out, plan.back, plan.lost)
        };
        match event {
            Event::Asks if !self.members[who].has_ended => {
                let member = &mut self.members[who];
                let question = member.cap.question(now);
                // The first answer is waited for in any case.
                let timeout = match member.has_begun {
                    true => member.cap.timeout().as_millis() as u64,
                    false => 5000,
                };
                (member.waits, member.used) = (Some(self.now), 0.0);
                self.put(self.now + timeout, who, Event::GivesUp(self.now));
                if let Some(at) = self.arrival(out, lost) {
                    let at = at.max(self.members[who].arrives);
                    self.members[who].arrives = at;
                    self.put(at, who, Event::Asked(question, self.now));
                }
            }
            Event::Asked(question, asked) => {
                let answer = self.store.ask(who, &question, self.now);
                if let Some(at) = self.arrival(back, lost) {
                    self.put(at, who, Event::Answered(question, answer, asked));
                }
            }
            Event::Answered(question, answer, asked) => {
                let member = &mut self.members[who];
                if member.waits == Some(asked) && !member.has_ended {
                    (member.waits, member.failures, member.has_begun) = (None, 0, true);
                    member.cap.on_answer(&question, answer, instant(asked), now);
                    let pause = answer.interval.max(question.interval).as_millis() as u64;
                    self.put((asked + pause).max(self.now), who, Event::Asks);
                }
            }
            Event::GivesUp(asked) => {
                let member = &mut self.members[who];
                if member.waits == Some(asked) {
                    member.cap.on_silence(instant(asked), now);
                    member.waits = None;
                    member.failures = (member.failures + 1).min(3);
                    let pause = 100 << member.failures;
                    self.put((asked + pause).max(self.now), who, Event::Asks);
                }
            }
            Event::Ends(says) => {
                self.members[who].has_ended = true;
                if says && let Some(at) = self.arrival(out, lost) {
                    self.put(at.max(self.members[who].arrives), who, Event::Left);
                }
            }
            Event::Left => self.store.forget(who),
            Event::Asks => {}
        }
    }
}

fn plan() -> impl Strategy<Value = Plan> {
    let likes = prop::sample::select(vec![0.0, 0.01, 0.2, 1.0]);
    let trip = || prop_oneof![0..20u64, 0..600u64];
    let ends = proptest::option::of((100..7000u64, any::<bool>()));
    let lost = prop_oneof![Just(0), 0..40u64];
    let likes = proptest::collection::vec(likes, 1..9);
    (0..3000u64, trip(), trip(), lost, likes, ends).prop_map(
        |(comes, out, back, lost, likes, ends)| Plan {
            comes,
            out,
            back,
            lost,
            likes,
            ends,
        },
    )
}

proptest! {
    #[test]
    fn all_together_never_have_more_than_the_cap_and_in_the_end_all_of_it(
        plans in proptest::collection::vec(plan(), 1..9),
        dice: u64,
    ) {
        let mut world = World::new(&plans, dice);
        world.pass(SETTLED + 20_000);
        let wants = |plan: &Plan| plan.ends.is_none() && plan.likes.last() == Some(&1.0);
        if plans.iter().any(wants) {
            let sum = world.sum();
            prop_assert!(sum > 0.9, "{sum} of the cap");
        }
    }
}

#[test]
fn who_comes_has_its_part_when_each_of_the_others_has_asked_twice() {
    for (trip, most) in [(0, 300), (40, 360), (600, 1900)] {
        let mut plans = vec![Plan::hungry(0, 0); 9];
        plans.push(Plan::hungry(0, trip));
        plans.push(Plan::hungry(SETTLED, 0));
        let mut world = World::new(&plans, 1);
        world.pass(SETTLED);
        while world.part(10) < 0.999 / 11.0 && world.now < 2 * SETTLED {
            let next = world.now + 10;
            world.pass(next);
        }
        let took = world.now - SETTLED;
        assert!(took <= most, "{took} ms where one is {trip} ms away");
    }
}
