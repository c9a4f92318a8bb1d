//! A run in one or two lines for a person: how much, how fast, how full, who held it up; and what
//! was not delivered, and why.

use super::figures;
use super::snapshot::{Ending, Holdup, Snapshot};

/// One line, or two when there is something to explain. No line break at the end.
#[must_use]
pub fn text(s: &Snapshot) -> String {
    let who = match &s.name {
        Some(name) => format!("weir {name}"),
        None => "weir".to_owned(),
    };
    let mut text = format!(
        "{who}: {} in {} ({}); {}; {}",
        amount(s.out.bytes, s.out.records),
        figures::time(s.elapsed_s),
        figures::rate(s.out.rate),
        peak(s),
        holdup(s)
    );
    let notes: Vec<String> = [shed(s), ending(s)].into_iter().flatten().collect();
    if !notes.is_empty() {
        text.push_str(&format!("\n{who}: {}", notes.join("; ")));
    }
    text
}

fn amount(bytes: u64, records: Option<u64>) -> String {
    let bytes_text = figures::bytes(bytes);
    match records {
        Some(1) => format!("{bytes_text} (1 record)"),
        Some(n) => format!("{bytes_text} ({} records)", figures::count(n)),
        None => bytes_text,
    }
}

fn peak(s: &Snapshot) -> String {
    match figures::percent(s.buffer.peak, s.buffer.capacity) {
        _ if s.buffer.peak == 0 => "buffer never needed".to_owned(),
        0 => format!("buffer at most {} full", figures::bytes(s.buffer.peak)),
        percent => format!("buffer at most {percent}% full"),
    }
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

fn shed(s: &Snapshot) -> Option<String> {
    if s.shed.bytes == 0 {
        return None;
    }
    let mut text = format!("shed {}", amount(s.shed.bytes, s.shed.records));
    for (n, why) in [(s.shed.oversized, "oversized"), (s.shed.expired, "expired")] {
        if n > 0 {
            text.push_str(&format!(", {} {why}", figures::count(n)));
        }
    }
    Some(text)
}

fn ending(s: &Snapshot) -> Option<String> {
    let why = match s.end? {
        Ending::Eof => "end of input",
        Ending::ConsumerGone => "the consumer went away",
        Ending::Signal => "ended by a signal",
        Ending::Timeout => "a timeout ran out",
        Ending::Error => "ended by an error",
    };
    let left = s.undelivered.bytes.unwrap_or(0);
    match (s.end?, left) {
        (Ending::Eof, 0) => None,
        (_, 0) => Some(format!("{why}, nothing undelivered")),
        _ => Some(format!(
            "{why}, {} undelivered",
            amount(left, s.undelivered.records)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_run_that_went_well_takes_one_line() {
        assert_eq!(
            text(&sample::summary(Ending::Eof, 0)),
            "weir backup: 1.14GiB in 1m 23s (14.1MiB/s); buffer at most 95% full; \
             held up by ssh 60% of the time"
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
    fn what_was_shed_is_told_with_its_reasons() {
        let mut s = sample::shedding();
        s.end = Some(Ending::Eof);
        let text = text(&s);
        let second = text.lines().nth(1);
        assert_eq!(
            second,
            Some("weir: shed 5.00MiB (51.2k records), 2 oversized, 7 expired")
        );
    }
}
