//! The caps: what may be given together, what a change puts in whose place, and what each comes
//! to. There are four, on bytes and on records at either side, and each stands alone.

use super::error::ConfigError;
use super::live_options::LiveOptions;
use crate::engine::Limits;
use crate::engine::directive::Directive;
use crate::engine::limiter::{Burst, Bursts, Cap};
use crate::engine::record::Framing;
use crate::engine::stall::Side;
use crate::units::{Amount, Limit, Rate, Size, Timetable, TypedLimit, Unit};

/// What rules one cap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Ruler {
    /// There is none.
    #[default]
    Nothing,
    /// It stays, or follows the occupancy.
    Engine(Cap),
    /// It follows the clock on the wall.
    Clock(Timetable),
}

impl Ruler {
    /// What the engine is told at the start; a timetable is told to it as time goes by.
    fn cap(&self) -> Option<Cap> {
        match self {
            Ruler::Engine(cap) => Some(*cap),
            Ruler::Nothing | Ruler::Clock(_) => None,
        }
    }
}

/// What rules the caps of one side.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SideCaps {
    /// On bytes.
    pub bytes: Ruler,
    /// On records.
    pub records: Ruler,
}

impl SideCaps {
    /// For the start of the engine.
    #[must_use]
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            bytes: self.bytes.cap(),
            records: self.records.cap(),
        }
    }

    /// The rates of those that stay.
    pub(crate) fn rates(&self) -> impl Iterator<Item = Rate> {
        let caps = self.each().into_iter();
        caps.filter_map(|(_, ruler)| match ruler {
            Ruler::Engine(Cap::Fixed(rate)) => Some(*rate),
            _ => None,
        })
    }

    /// What tells the engine of the cap on the output in this unit, if it stays.
    pub(super) fn command(&self, unit: Unit) -> Option<Directive> {
        let rate = self.rates().find(|rate| rate.unit() == unit)?;
        Some(command(Side::Sink, unit, Some(Cap::Fixed(rate))))
    }

    /// Both, by what they count.
    pub(super) fn each(&self) -> [(Unit, &Ruler); 2] {
        [(Unit::Bytes, &self.bytes), (Unit::Records, &self.records)]
    }

    /// Checks what was given for one side: one for each unit at most.
    pub(super) fn of(
        option: &str,
        side: Side,
        given: &[TypedLimit],
        framing: Option<Framing>,
    ) -> Result<SideCaps, ConfigError> {
        let framed = framing.is_some();
        let mut caps = SideCaps::default();
        for (nth, limit) in given.iter().enumerate() {
            let unit = limit.unit(framed);
            if given[..nth]
                .iter()
                .any(|earlier| earlier.unit(framed) == unit)
            {
                return Err(ConfigError(format!(
                    "{option} {limit}: there is one already; one cap in bytes and one in records can be given, such as {option} 10MB/s {option} 100/s"
                )));
            }
            match unit {
                Some(Unit::Records) => caps.records = ruler(limit.limit(framed), side),
                Some(Unit::Bytes) => caps.bytes = ruler(limit.limit(framed), side),
                None => {}
            }
        }
        Ok(caps)
    }
}

fn ruler(limit: &Limit, side: Side) -> Ruler {
    match (limit, side) {
        (Limit::Off, _) => Ruler::Nothing,
        (Limit::Timetable(table), _) => Ruler::Clock(table.clone()),
        (Limit::Fixed(rate), _) => Ruler::Engine(Cap::Fixed(*rate)),
        (Limit::Range { empty, full }, Side::Sink) => Ruler::Engine(Cap::Range(*empty, *full)),
        // The fuller the buffer, the slower the input.
        (Limit::Range { empty, full }, Side::Source) => Ruler::Engine(Cap::Range(*full, *empty)),
    }
}

/// What tells the engine of this cap.
#[must_use]
pub(crate) fn command(side: Side, unit: Unit, cap: Option<Cap>) -> Directive {
    match (side, unit) {
        (Side::Sink, Unit::Records) => Directive::RateOfRecords(cap),
        (Side::Sink, Unit::Bytes) => Directive::RateOfBytes(cap),
        (Side::Source, Unit::Records) => Directive::InputRateOfRecords(cap),
        (Side::Source, Unit::Bytes) => Directive::InputRateOfBytes(cap),
    }
}

/// The limits in force, changed by those that are asked for: a cap takes the place of the one in
/// the same unit, and `off` that of all.
pub(super) fn replaced(
    option: &str,
    mut caps: Vec<TypedLimit>,
    asked: &[TypedLimit],
    framed: bool,
) -> Result<Vec<TypedLimit>, ConfigError> {
    for (nth, limit) in asked.iter().enumerate() {
        let unit = limit.unit(framed);
        if asked[..nth]
            .iter()
            .any(|earlier| earlier.unit(framed) == unit)
        {
            return Err(ConfigError(format!(
                "{option} {limit}: there is one already; one cap in bytes and one in records can be given"
            )));
        }
    }
    // First those that take away, whatever the order: `--rate 10/s --rate off` is no contradiction.
    let (off, some): (Vec<_>, Vec<_>) = asked.iter().partition(|limit| limit.is_off());
    for limit in off.into_iter().chain(some) {
        caps.retain(|cap| {
            let (unit, theirs) = (limit.unit(framed), cap.unit(framed));
            unit.is_some() && theirs.is_some() && theirs != unit
        });
        caps.push(limit.clone());
    }
    Ok(caps)
}

/// How timetables whose figures have no units are understood, a line for each.
pub(crate) fn guesses(options: &LiveOptions, framed: bool) -> Vec<String> {
    let given = [
        ("--rate", &options.rate),
        ("--input-rate", &options.input_rate),
    ];
    let all = given
        .iter()
        .flat_map(|(option, limits)| limits.iter().map(move |it| (option, it)));
    let said = all.filter_map(|(option, typed)| {
        let understood = typed.guessed(framed)?;
        let what = match framed {
            true => "a figure without a unit counts records",
            false => "a figure without a unit is bytes, not KiB as with rclone",
        };
        Some(format!(
            "{option} '{typed}' is taken as '{understood}': {what}"
        ))
    });
    said.collect()
}

/// What `--burst` comes to beside caps on these units.
pub(super) fn bursts(
    amount: Amount,
    caps: Vec<Unit>,
    capacity: usize,
) -> Result<Bursts, ConfigError> {
    let refuse = |what: &str| Err(ConfigError(format!("--burst {amount}: {what}")));
    if caps.is_empty() {
        return refuse("there is no cap that it could exceed; add one, such as --rate 10MB/s");
    }
    let mut bursts = Bursts::default();
    match amount {
        Amount::Time(time) => {
            (bursts.bytes, bursts.records) = (Burst::Worth(time), Burst::Worth(time));
        }
        Amount::Count(n) if caps.contains(&Unit::Records) => bursts.records = Burst::Units(n),
        Amount::Prefixed(n) if caps.contains(&Unit::Records) => {
            bursts.records = Burst::Units(n.bytes());
        }
        Amount::Bytes(_) if !caps.contains(&Unit::Bytes) => {
            return refuse("the cap is in records; give a count, such as --burst 10");
        }
        Amount::Count(n) => bursts.bytes = Burst::Units(n),
        Amount::Bytes(size) | Amount::Prefixed(size) => bursts.bytes = Burst::Units(size.bytes()),
    }
    match bursts.bytes {
        Burst::Units(n) if n > capacity as u64 => {
            let all = Size::new(capacity as u64);
            refuse(&format!(
                "more than the buffer of {all} can hold; try a larger --buffer"
            ))
        }
        _ => Ok(bursts),
    }
}
