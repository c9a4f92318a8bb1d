//! Ten thousand members on one store, on a made-up clock: how often it is asked, how fair that is, and how soon one
//! that joins has its part. The members are the real ones, the store is the [`twin`] of `lease.lua`.
//!
//! ```sh
//! cargo test --lib ten_thousand -- --nocapture   # prints the figures
//! ```

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::twin::Store;
use super::*;

/// A member, and how much of the cap it would like to have at most.
struct Member {
    cap: LeasedCap,
    likes: f64,
    asked: u64,
    pace: f64,
}

/// All of them on one clock.
struct World {
    store: Store,
    members: Vec<Member>,
    turns: BinaryHeap<Reverse<(u64, usize)>>,
    begun: Instant,
    now: u64,
    /// The most of the cap at which all passed together.
    most: f64,
    sum: f64,
}

const RATE: &str = "10GB/s";
const RATE_BYTES: f64 = 1e10;

impl World {
    fn new() -> World {
        World {
            store: Store::new(0),
            members: Vec::new(),
            turns: BinaryHeap::new(),
            begun: Instant::now(),
            now: 0,
            most: 0.0,
            sum: 0.0,
        }
    }

    fn join(&mut self, likes: f64) -> usize {
        let rules = Rules {
            rate: RATE.parse().expect("a rate"),
            burst: Burst::Units(0),
        };
        let now = self.begun + Duration::from_millis(self.now);
        self.members.push(Member {
            cap: LeasedCap::new(rules, now),
            likes,
            asked: self.now,
            pace: 0.0,
        });
        let who = self.members.len() - 1;
        self.turns.push(Reverse((self.now, who)));
        who
    }

    /// Lets time pass up to this millisecond.
    fn pass(&mut self, until: u64) {
        while let Some(Reverse((at, who))) = self.turns.peek().copied()
            && at <= until
        {
            self.turns.pop();
            self.now = at;
            let now = self.begun + Duration::from_millis(at);
            let member = &mut self.members[who];
            let time = (at - member.asked) as f64 / 1000.0;
            member.cap.used = (member.pace.min(member.likes) * RATE_BYTES * time) as u64;
            member.cap.waited = member.likes > member.pace;
            let question = member.cap.question(now);
            let answer = self.store.ask(who, &question, at);
            member.cap.on_answer(&question, answer, now, now);
            member.cap.prepare(now);
            let before = member.pace.min(member.likes);
            member.pace = member.cap.pace().unwrap_or(0) as f64 / ALL as f64;
            member.asked = at;
            self.sum += member.pace.min(member.likes) - before;
            self.most = self.most.max(self.sum);
            let next = question.interval.max(answer.interval).as_millis() as u64;
            self.turns.push(Reverse((at + next, who)));
        }
        self.now = until;
    }

    /// Jain's index of those that want more than they get.
    fn fairness(&self) -> f64 {
        let paces = self.members.iter().filter(|it| it.likes > it.pace);
        let (n, sum, squares) = paces.fold((0.0, 0.0, 0.0), |(n, s, q), it| {
            (n + 1.0, s + it.pace, q + it.pace * it.pace)
        });
        sum * sum / (n * squares)
    }
}

#[test]
fn ten_thousand_members_are_served_fairly_by_a_store_that_is_asked_five_times_a_millisecond() {
    for (n, quiet) in [(10, 0), (1_000, 0), (10_000, 0), (10_000, 9_000)] {
        let mut world = World::new();
        for who in 0..n {
            let likes = if who < quiet { 0.5 / n as f64 } else { 1.0 };
            // They do not come all at once.
            world.pass(2 * who as u64 / 10);
            world.join(likes);
        }
        let settled = world.now + 60_000;
        world.pass(settled);
        let calls = world.store.calls;
        world.pass(settled + 60_000);
        let calls = (world.store.calls - calls) as f64 / 60.0;
        let (fair, sum, most) = (world.fairness(), world.sum, world.most);
        let joined = world.now;
        let who = world.join(1.0);
        let share = (1.0 - 0.5 * f64::from(quiet) / f64::from(n)) / f64::from(n - quiet + 1);
        while world.members[who].pace < 0.9 * share && world.now < joined + 60_000 {
            let next = world.now + 10;
            world.pass(next);
        }
        let took = world.now - joined;
        println!(
            "{n} members, {quiet} of which want half a share: {calls:.0} calls a second, {:.2} for each; Jain's index \
             {fair:.4}; {:.2}% of the cap passes, {:.2}% at most; one that joins has its share after {took} ms",
            calls / f64::from(n),
            100.0 * sum,
            100.0 * most,
        );
        assert!(
            calls <= 5_100.0 && calls <= 10.1 * f64::from(n),
            "{calls} calls"
        );
        assert!(fair > 0.99, "{fair}");
        assert!(most <= 1.0 + 1e-6, "{most} of the cap");
        assert!(sum > 0.97, "{sum} of the cap");
        assert!(took < 15_000, "{took} ms");
    }
}
