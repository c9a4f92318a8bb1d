//! The options that can be changed while a weir runs, as they were typed, and what they amount to.
//!
//! Invariant: a change is checked as a whole by the same checks as a command line, against what is
//! in force, before any of it is told to anybody.

use std::mem::discriminant;
use std::time::Duration;

use super::{Misuse, bursts, limits, marks, max_age, shed};
use crate::control::protocol::{Change, Typed};
use crate::control::schedule::Schedule;
use crate::core::Limits;
use crate::core::command::Command;
use crate::core::frame::Framing;
use crate::core::gate::Marks;
use crate::core::pace::Bursts;
use crate::core::shed::{Policy, Which};
use crate::core::watch::Side;
use crate::units::{Amount, Limit, Mark, OrOff, Span};

/// What was asked for. To be able to change one more option: a field here and in [`Change`], a
/// line in [`Dials::turned`] and in [`Tuning::commands`], and its name in `cli::CHANGEABLE`.
#[derive(Debug, Clone)]
pub struct Dials {
    /// Capacity of the ring in bytes; stays as it is.
    pub capacity: usize,
    /// What makes a record; stays as it is.
    pub framing: Option<Framing>,
    /// `--rate`.
    pub rate: Vec<Limit>,
    /// `--input-rate`.
    pub input_rate: Vec<Limit>,
    /// `--burst`.
    pub burst: Option<Amount>,
    /// `--high`.
    pub high: Option<Mark>,
    /// `--low`.
    pub low: Option<Mark>,
    /// `--prefill`.
    pub prefill: Option<Mark>,
    /// `--shed`.
    pub shed: Option<OrOff<Which>>,
    /// `--patience`.
    pub patience: Option<Span>,
    /// `--max-age`.
    pub max_age: Option<OrOff<Span>>,
}

/// What it comes to.
#[derive(Debug, Clone)]
pub struct Tuning {
    /// The watermarks.
    pub marks: Marks,
    /// Caps on the output.
    pub output: Limits,
    /// Caps on the input.
    pub input: Limits,
    /// What may pass at once.
    pub burst: Bursts,
    /// What to drop when the buffer is full.
    pub shed: Option<Policy>,
    /// How long data may wait.
    pub max_age: Option<Duration>,
    /// Caps that change with the time of day.
    pub schedules: Vec<Schedule>,
}

impl Dials {
    /// Checks them against each other.
    ///
    /// # Errors
    /// When they contradict each other.
    pub fn tune(&self) -> Result<Tuning, Misuse> {
        let mut schedules = Vec::new();
        let limits = |option, side, given: &[Limit], schedules: &mut Vec<Schedule>| {
            limits(option, side, given, self.framing, schedules)
        };
        Ok(Tuning {
            marks: marks(self, self.capacity)?,
            output: limits("--rate", Side::Sink, &self.rate, &mut schedules)?,
            input: limits(
                "--input-rate",
                Side::Source,
                &self.input_rate,
                &mut schedules,
            )?,
            burst: self.bursts()?,
            shed: shed(self.shed, self.patience)?,
            max_age: max_age(self.max_age)?,
            schedules,
        })
    }

    fn bursts(&self) -> Result<Bursts, Misuse> {
        let limits = self.rate.iter().chain(&self.input_rate);
        let caps = limits.filter_map(Limit::unit).collect();
        let burst = self.burst.map(|b| bursts(b, caps, self.capacity));
        burst.transpose().map(Option::unwrap_or_default)
    }

    /// Turned as the change says, and what that comes to.
    ///
    /// # Errors
    /// When the result would contradict itself.
    pub fn turned(&self, change: &Change) -> Result<(Dials, Tuning), Misuse> {
        super::display::interval(change.interval.as_ref().map(|interval| interval.0))?;
        let mut dials = self.clone();
        replace_caps("--rate", &mut dials.rate, &change.rate)?;
        replace_caps("--input-rate", &mut dials.input_rate, &change.input_rate)?;
        set(&mut dials.burst, change.burst.as_ref());
        set(&mut dials.high, change.high.as_ref());
        set(&mut dials.low, change.low.as_ref());
        set(&mut dials.prefill, change.prefill.as_ref());
        set(&mut dials.shed, change.shed.as_ref());
        set(&mut dials.patience, change.patience.as_ref());
        set(&mut dials.max_age, change.max_age.as_ref());
        // A burst that was given for a cap that is gone waits for the next one.
        if change.burst.is_none() && dials.bursts().is_err() {
            let tuning = Dials {
                burst: None,
                ..dials.clone()
            }
            .tune()?;
            return Ok((dials, tuning));
        }
        let tuning = dials.tune()?;
        Ok((dials, tuning))
    }
}

fn set<T: Clone>(dial: &mut Option<T>, to: Option<&Typed<T>>) {
    if let Some(Typed(value)) = to {
        *dial = Some(value.clone());
    }
}

/// A cap takes the place of the one in the same unit, and `off` that of all.
fn replace_caps(option: &str, caps: &mut Vec<Limit>, given: &[Typed<Limit>]) -> Result<(), Misuse> {
    for (nth, Typed(limit)) in given.iter().enumerate() {
        let unit = limit.unit();
        if given[..nth].iter().any(|earlier| earlier.0.unit() == unit) {
            return Err(Misuse(format!(
                "{option} {limit}: there is one already; one cap in bytes and one in records can be given"
            )));
        }
    }
    // First those that take away, whatever the order: `--rate 10/s --rate off` is no contradiction.
    let (off, some): (Vec<_>, Vec<_>) = given.iter().partition(|limit| limit.0.unit().is_none());
    for Typed(limit) in off.into_iter().chain(some) {
        caps.retain(|cap| {
            limit.unit().is_some() && cap.unit().is_some() && cap.unit() != limit.unit()
        });
        caps.push(limit.clone());
    }
    Ok(())
}

impl Tuning {
    /// All of it as commands, where what the timetables say `by_clock` goes before.
    #[must_use]
    pub fn commands(&self, by_clock: Vec<Command>) -> Vec<Command> {
        let mut commands = vec![
            Command::Marks(self.marks),
            Command::Burst(self.burst),
            Command::RateOfBytes(self.output.bytes),
            Command::RateOfRecords(self.output.records),
            Command::InputRateOfBytes(self.input.bytes),
            Command::InputRateOfRecords(self.input.records),
            Command::Shed(self.shed),
            Command::MaxAge(self.max_age),
        ];
        // In the place of the others, not after them: a cap that is lifted for a moment is no cap.
        for command in by_clock {
            commands.retain(|other| discriminant(other) != discriminant(&command));
            commands.push(command);
        }
        commands
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::settings;

    fn dials(line: &str) -> Dials {
        settings(line).expect(line).dials
    }

    fn change(line: &str) -> Change {
        let typed = |text: &str| Typed(text.parse().expect(text));
        let mut change = Change::default();
        let words: Vec<_> = line.split(' ').collect();
        for pair in words.chunks(2) {
            match pair[0] {
                "rate" => change.rate.push(typed(pair[1])),
                "burst" => change.burst = Some(Typed(pair[1].parse().expect("an amount"))),
                "high" => change.high = Some(Typed(pair[1].parse().expect("a mark"))),
                "low" => change.low = Some(Typed(pair[1].parse().expect("a mark"))),
                other => panic!("{other}"),
            }
        }
        change
    }

    #[test]
    fn a_cap_takes_the_place_of_the_one_in_its_unit() {
        for (line, told, left) in [
            ("", "rate 1MB/s", "1MB/s"),
            ("-r 2MB/s", "rate 1MB/s", "1MB/s"),
            ("-l -r 2MB/s -r 5/s", "rate 1MB/s", "5/s 1MB/s"),
            ("-l -r 2MB/s -r 5/s", "rate 7/s", "2MB/s 7/s"),
            ("-l -r 2MB/s -r 5/s", "rate off", "off"),
            ("-l -r 2MB/s -r 5/s", "rate 7/s rate off", "7/s"),
            ("-r off", "rate 1MB/s", "1MB/s"),
            ("-r 2MB/s", "rate 08:00,off", "off"),
            ("-r 2MB/s", "rate 1MB/s rate 08:00,off", "1MB/s"),
        ] {
            let (dials, _) = dials(line).turned(&change(told)).expect(told);
            let caps: Vec<_> = dials.rate.iter().map(ToString::to_string).collect();
            assert_eq!(caps.join(" "), left, "{line}: {told}");
        }
    }

    #[test]
    fn what_contradicts_what_is_in_force_is_turned_away() {
        for (line, told, said) in [
            (
                "--high 50%",
                "low 75%",
                "--low 75% must be below --high 50%",
            ),
            (
                "--low 50%",
                "high 25%",
                "--low 50% must be below --high 25%",
            ),
            ("", "high 65MiB", "--high 65MiB must be above 0 and within"),
            ("", "rate 5/s", "--rate 5/s counts records"),
            (
                "-l",
                "rate 5/s rate 6/s",
                "--rate 6/s: there is one already",
            ),
            ("", "burst 1MiB", "--burst 1MiB: there is no cap"),
            (
                "-r 1MB/s",
                "rate off burst 1MiB",
                "--burst 1MiB: there is no cap",
            ),
        ] {
            let misuse = dials(line).turned(&change(told)).expect_err(told);
            assert!(misuse.to_string().starts_with(said), "{told}: {misuse}");
        }
    }

    #[test]
    fn a_default_follows_what_it_depends_on() {
        let (_, tuning) = dials("-b 64MiB")
            .turned(&change("high 8MiB"))
            .expect("a change");
        assert_eq!(tuning.marks.low, 7 << 20);
    }

    #[test]
    fn a_burst_outlives_its_cap() {
        let dials = dials("-r 1MB/s --burst 1MiB");
        let (without, tuning) = dials.turned(&change("rate off")).expect("a change");
        assert_eq!(tuning.burst, Bursts::default());
        let (_, tuning) = without.turned(&change("rate 2MB/s")).expect("a change");
        assert_eq!(tuning.burst, dials.tune().expect("right").burst);
    }

    #[test]
    fn a_timetable_that_is_always_off_leaves_the_cap_beside_it() {
        for line in ["-r 1KB/s -r 08:00,off", "-r 08:00,off -r 1KB/s"] {
            let tuning = dials(line).tune().expect(line);
            let cap = settings("-r 1KB/s").expect("a cap").rules.output.bytes;
            assert_eq!(tuning.output.bytes, cap, "{line}");
            assert!(tuning.schedules.is_empty(), "{line}");
        }
    }

    #[test]
    fn a_timetable_lifts_no_cap_on_its_way() {
        let tuning = dials("-r 00:00,1MB/s").tune().expect("a timetable");
        let told = tuning.schedules[0].at(&jiff::Zoned::now()).0;
        let commands = tuning.commands(vec![told]);
        let caps: Vec<_> = commands
            .iter()
            .filter(|command| matches!(command, Command::RateOfBytes(_)))
            .collect();
        assert_eq!(caps, [&told]);
    }
}
