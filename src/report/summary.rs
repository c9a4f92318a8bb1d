//! A run in one or two lines for a person: how much, how fast, how full, who held it up; and what
//! was not delivered, and why.

use super::figures::{self, Scale};
use super::outputs;
use super::snapshot::{Advice, Ending, Holdup, Lane, Snapshot};

/// One line, or two when there is something to explain. No line break at the end.
#[must_use]
pub(crate) fn text(s: &Snapshot) -> String {
    let scale = s.scale();
    let who = match &s.name {
        Some(name) => format!("weir {name}"),
        None => "weir".to_owned(),
    };
    let mut text = format!(
        "{who}: {} in {} ({}); {}; {}",
        s.amount(s.out.bytes, s.out.records),
        figures::time(s.elapsed_s),
        rate(s, scale),
        peak(s),
        holdup(s)
    );
    // A timeout has a line of its own, which says this and more.
    let ending = ending(s).filter(|_| s.end != Some(Ending::Timeout));
    let notes = [
        shed(s),
        restarts(s),
        retries(s),
        ending,
        places(s),
        advice(s),
    ];
    let notes: Vec<String> = notes.into_iter().flatten().collect();
    if !notes.is_empty() {
        text.push_str(&format!("\n{who}: {}", notes.join("; ")));
    }
    for it in &s.outputs {
        text.push_str(&format!("\n{who}: {}", outputs::text(s, it)));
    }
    text
}

fn rate(s: &Snapshot, scale: Scale) -> String {
    match s.out.records {
        Some(_) => figures::rate_of_records(s.out.records_rate),
        None => scale.rate(s.out.rate),
    }
}

fn peak(s: &Snapshot) -> String {
    match figures::percent(s.buffer.peak, s.buffer.capacity) {
        _ if s.buffer.peak == 0 => "buffer never needed".to_owned(),
        0 => format!("buffer at most {} full", s.scale().bytes(s.buffer.peak)),
        percent => format!("buffer at most {percent}% full"),
    }
}

/// The most that each part of the buffer held, once the disk was needed.
fn places(s: &Snapshot) -> Option<String> {
    let disk = s.buffer.disk.filter(|it| it.peak > 0)?;
    let Some(memory) = s.buffer.memory else {
        return Some(format!(
            "at most {} in the spool",
            s.scale().bytes(disk.peak)
        ));
    };
    let (memory, disk) = (s.scale().bytes(memory.peak), s.scale().bytes(disk.peak));
    Some(format!("at most {memory} in memory, {disk} on disk"))
}

fn holdup(s: &Snapshot) -> String {
    match s.holdup {
        None => "held up by nobody".to_owned(),
        Some(who) => {
            let share = match who {
                Holdup::Source => s.shares.source,
                Holdup::Sink => s.shares.sink,
                Holdup::Cap => s.shares.cap,
            };
            let name = s.culprit.as_deref().unwrap_or(who.word());
            format!("held up by {name} {:.0}% of the time", share * 100.0)
        }
    }
}

/// Lanes that are named, of those that have lost most.
const LANES_NAMED: usize = 3;

fn shed(s: &Snapshot) -> Option<String> {
    if s.shed.bytes == 0 {
        return None;
    }
    let mut text = format!("shed {}", s.amount(s.shed.bytes, s.shed.records));
    for (n, why) in [(s.shed.oversized, "oversized"), (s.shed.expired, "expired")] {
        if n > 0 {
            text.push_str(&format!(", {} {why}", figures::count(n)));
        }
    }
    if !s.lanes.is_empty() {
        let lane = |it: &Lane| {
            let key = it.key.as_deref().unwrap_or("without a key");
            let others = if it.shared { " and others" } else { "" };
            let records = figures::count(it.shed.records.unwrap_or(0));
            format!("{key}{others} {records}")
        };
        let lanes: Vec<_> = s.lanes.iter().take(LANES_NAMED).map(lane).collect();
        text.push_str(&format!(", most of: {}", lanes.join(", ")));
    }
    Some(text)
}

/// How often the consumer was run again, and what it was given twice for that.
fn restarts(s: &Snapshot) -> Option<String> {
    let it = s.command.as_ref().filter(|it| it.restarts > 0)?;
    let times = match it.restarts {
        1 => "once".to_owned(),
        n => format!("{} times", figures::count(n)),
    };
    let repeated = match it.repeated.bytes {
        0 => String::new(),
        bytes => format!(", {} repeated", s.amount(bytes, it.repeated.records)),
    };
    Some(format!("{} was restarted {times}{repeated}", it.name))
}

/// How often it was given the same batch again.
fn retries(s: &Snapshot) -> Option<String> {
    let it = s.command.as_ref()?;
    let again = it
        .batches
        .map(|it| it.retried)
        .filter(|it| it.batches > 0)?;
    let batches = match again.batches {
        1 => "a batch".to_owned(),
        n => format!("{} batches", figures::count(n)),
    };
    let what = s.amount(again.bytes, again.records);
    Some(format!("{} was given {batches} again, {what}", it.name))
}

/// What there is evidence for.
fn advice(s: &Snapshot) -> Option<String> {
    let scale = s.scale();
    let who = s.culprit.as_deref();
    Some(match (s.advice?, s.holdup) {
        (Advice::Larger { size, saved_s }, _) => {
            let (size, saved) = (scale.typed(size as f64), figures::time(saved_s));
            format!("a buffer of {size} would have saved {saved}")
        }
        (Advice::Smaller { size }, _) => {
            format!("a buffer of {} serves as well", scale.typed(size as f64))
        }
        (Advice::NoSize, Some(Holdup::Sink)) => {
            format!(
                "no larger buffer helps: {} is slower than the source",
                who.unwrap_or("the sink")
            )
        }
        (Advice::NoSize, _) => return None,
    })
}

fn ending(s: &Snapshot) -> Option<String> {
    let why = match s.end? {
        Ending::Eof => "end of input",
        Ending::Drained => {
            "drained: what was held was delivered, the rest of the input was not read"
        }
        Ending::ConsumerGone => "the consumer went away",
        Ending::CommandFailed => "the consumer has failed",
        Ending::Signal => "ended by a signal",
        Ending::Timeout => "a timeout ran out",
        Ending::Error => "ended by an error",
    };
    let left = s.undelivered.bytes.unwrap_or(0);
    match (s.end?, left) {
        (Ending::Eof, 0) => None,
        (Ending::Drained, 0) => Some(why.to_owned()),
        (_, 0) => Some(format!("{why}, nothing undelivered")),
        _ if s.buffer.is_spool() => {
            let but = match s.undelivered.lost.unwrap_or(0) {
                0 => String::new(),
                lost => format!(", but for {} that are lost", s.scale().bytes(lost)),
            };
            Some(format!(
                "{why}, {} undelivered, which stays in the spool{but}",
                s.amount(left, s.undelivered.records)
            ))
        }
        _ => Some(format!(
            "{why}, {} undelivered",
            s.amount(left, s.undelivered.records)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::status::LaneLoss;
    use crate::report::sample;
    use crate::report::snapshot::{self, Output};

    #[test]
    fn a_run_that_went_well_takes_one_line() {
        assert_eq!(
            text(&sample::summary(Ending::Eof, 0)),
            "weir backup: 1.14GiB in 1m 23s (14.1MiB/s); buffer at most 95% full; \
             held up by ssh 60% of the time"
        );
    }

    #[test]
    fn every_tee_and_tap_has_a_line_of_its_own() {
        let mut s = sample::summary(Ending::Eof, 0);
        let bytes = |bytes| snapshot::Amount {
            bytes,
            records: None,
        };
        let output = |kind, path: &str, shed, failed| Output {
            written: bytes(5 << 20),
            shed: bytes(shed),
            failed,
            ..sample::output(kind, path)
        };
        s.outputs = vec![
            output(snapshot::OutputKind::Tee, "copy.tar", 0, true),
            output(snapshot::OutputKind::Tap, "look", 1 << 20, false),
        ];
        let text = text(&s);
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                "weir backup: tee copy.tar: 5.00MiB, failed",
                "weir backup: tap look: 5.00MiB, 1.00MiB dropped"
            ]
        );
    }

    #[test]
    fn what_was_not_delivered_takes_another() {
        let text = text(&sample::summary(Ending::ConsumerGone, 60 << 20));
        let second = text.lines().nth(1);
        assert_eq!(
            second,
            Some("weir backup: the consumer went away, 60.0MiB undelivered")
        );
    }

    #[test]
    fn what_lies_in_a_spool_and_is_lost_all_the_same_is_told_apart() {
        let mut s = sample::summary(Ending::Error, 60 << 20);
        s.buffer.memory = None;
        s.buffer.disk = Some(snapshot::Place {
            capacity: 1 << 30,
            used: 60 << 20,
            peak: 60 << 20,
        });
        for (lost, but) in [(0, ""), (256 << 10, ", but for 256KiB that are lost")] {
            s.undelivered.lost = Some(lost);
            let text = text(&s);
            let wanted = format!(
                "weir backup: ended by an error, 60.0MiB undelivered, which stays in the spool{but}"
            );
            let parts = text.split([';', '\n']);
            assert!(parts.into_iter().any(|part| part == wanted), "{text}");
        }
    }

    #[test]
    fn advice_is_a_line_that_names_a_size_or_a_program() {
        let mut s = sample::summary(Ending::Eof, 0);
        for (advice, said) in [
            (
                Advice::Larger {
                    size: 300 << 20,
                    saved_s: 12.3,
                },
                "weir backup: a buffer of 300MiB would have saved 12.3s",
            ),
            (
                Advice::Smaller { size: 4 << 20 },
                "weir backup: a buffer of 4MiB serves as well",
            ),
            (
                Advice::NoSize,
                "weir backup: no larger buffer helps: ssh is slower than the source",
            ),
        ] {
            s.advice = Some(advice);
            assert_eq!(text(&s).lines().nth(1), Some(said));
        }
    }

    #[test]
    fn a_consumer_that_was_restarted_is_told_of_with_what_it_was_given_twice() {
        let mut s = sample::summary(Ending::Eof, 0);
        for (restarts, bytes, said) in [
            (1, 0, "weir backup: curl was restarted once"),
            (
                7,
                80,
                "weir backup: curl was restarted 7 times, 80B repeated",
            ),
        ] {
            s.command = Some(sample::command(None, 0, restarts, bytes));
            assert_eq!(text(&s).lines().nth(1), Some(said));
        }
    }

    #[test]
    fn batches_that_were_tried_again_are_told_of() {
        let mut s = sample::summary(Ending::Eof, 0);
        for (batches, said) in [
            (0, None),
            (1, Some("weir backup: curl was given a batch again, 80B")),
            (7, Some("weir backup: curl was given 7 batches again, 80B")),
        ] {
            let mut command = sample::command(None, 0, 0, 0);
            command.batches = Some(sample::batches(batches));
            s.command = Some(command);
            assert_eq!(text(&s).lines().nth(1), said);
        }
    }

    #[test]
    fn what_was_shed_is_told_with_its_reasons() {
        let mut s = sample::shedding();
        s.end = Some(Ending::Eof);
        let text = text(&s);
        let second = text.lines().nth(1);
        assert_eq!(
            second,
            Some("weir: shed 51.2k records (5.00MiB), 2 oversized, 7 expired")
        );
    }

    #[test]
    fn the_lanes_that_lost_most_are_named_fit_for_a_terminal() {
        let mut s = sample::shedding();
        let lane = |key: Option<&[u8]>, shared, records| {
            Lane::of(&LaneLoss {
                key: key.map(Into::into),
                shared,
                bytes: 10 * records,
                records,
            })
        };
        let long = b"x".repeat(100);
        s.lanes = vec![
            lane(Some(b"no\x1b[2Jisy\xff"), false, 51_000),
            lane(None, false, 9),
            lane(Some(&long), true, 2),
            lane(Some(b"quiet"), false, 1),
        ];
        let text = text(&s);
        let second = text.lines().nth(1);
        let wanted = format!(
            "weir: shed 51.2k records (5.00MiB), 2 oversized, 7 expired, \
             most of: no\\u{{1b}}[2Jisy\u{fffd} 51.0k, without a key 9, {}\u{2026} and others 2",
            "x".repeat(60)
        );
        assert_eq!(second, Some(&*wanted));
    }
}
