//! A spool keeps all that it takes in. What is to be shed when it is full is shed by a weir of its own before it.

use std::io::{PipeReader, pipe};

use crate::harness::spool::{Place, lines};
use crate::harness::{Running, collect, eventually, feed, start, weir};
use rustix::process::Signal;

/// Lines that fill the spool, and those that come then, which are more than the weir before it holds.
const FIRST: usize = 200_000;
const COUNT: usize = 1_000_000;

/// `producer | weir -l --shed oldest | weir -l --spool q | ...`, of which nothing is read yet.
struct Both {
    front: Running,
    back: Running,
    output: PipeReader,
}

impl Both {
    /// Feeds it numbered lines, which are all taken although nobody reads anything.
    fn fill(place: &Place) -> Both {
        let (stdin, input) = pipe().expect("a pipe");
        let (between, into) = pipe().expect("a pipe");
        let (output, stdout) = pipe().expect("a pipe");
        let args = ["-q", "-l", "-b", "2MiB", "--shed", "oldest"];
        let front = start(weir(&args), stdin, into);
        let args = ["-l", "--spill", "1MiB", "--grace", "1ms"];
        let back = start(place.weir(&args), between, stdout);
        let more = input.try_clone().expect("a duplicate");
        let fed = feed(input, lines(0, FIRST));
        fed.done().expect("it fits into the buffer of the first");
        eventually("the spool is full", || place.taken_in() > 900_000);
        let fed = feed(more, lines(FIRST, COUNT));
        fed.done().expect("the producer waits for nobody");
        Both {
            front,
            back,
            output,
        }
    }
}

/// Numbers, each once and in order.
#[track_caller]
fn numbers(bytes: &[u8]) -> Vec<usize> {
    let text = std::str::from_utf8(bytes).expect("digits");
    let numbers: Vec<usize> = text.lines().map(|it| it.parse().expect("whole")).collect();
    let is_odd = numbers.windows(2).find(|pair| pair[0] >= pair[1]);
    assert_eq!(is_odd, None, "in order, each once");
    assert!(numbers.len() > 100_000, "only {}", numbers.len());
    numbers
}

#[test]
fn before_a_full_spool_the_oldest_that_waits_is_shed_and_what_the_spool_has_stays() {
    let place = Place::new();
    let both = Both::fill(&place);
    let got = collect(both.output);
    both.front.end().assert_success("all was passed on or shed");
    both.back.end().assert_success("all was delivered");
    let got = numbers(&got.done());
    assert!(got.len() < COUNT, "nothing was shed");
    // The spool has what came first, and in front of it the newest is what is kept.
    assert!((0..100_000).eq(got[..100_000].iter().copied()));
    assert!((COUNT - 100_000..COUNT).eq(got[got.len() - 100_000..].iter().copied()));
}

#[test]
fn what_a_spool_behind_one_that_sheds_has_when_it_is_told_to_end_stays_there() {
    let place = Place::new();
    let both = Both::fill(&place);
    both.back.signal(Signal::TERM);
    both.back
        .end()
        .assert_died_by(Signal::TERM, "told to end, before a consumer that is stuck");
    both.front
        .end()
        .assert_died_by(Signal::PIPE, "nobody takes the rest");
    let mut got = collect(both.output).done();
    let whole = got.iter().rposition(|byte| *byte == b'\n');
    got.truncate(whole.map_or(0, |at| at + 1));
    got.extend(place.deliver(&["-l"]).0);
    let got = numbers(&got);
    // What is shed in front of it is behind that.
    assert!((0..100_000).eq(got[..100_000].iter().copied()));
}
