//! The rules between options, and between an option and this machine: each refusal is one line
//! that says what is wrong and what would be right.

use std::num::NonZeroU64;
use std::time::Duration;

use clap::ValueEnum;

use super::caps::{Ruler, SideCaps};
use super::error::ConfigError;
use super::live_options::LiveOptions;
use super::options::Options;
use super::values::{Display, Summary};
use crate::disk::journal::BATCHES_MOST;
use crate::engine::gate::Marks;
use crate::engine::policy::{Policy, Which};
use crate::engine::record::Framing;
use crate::engine::sorter::Sorter;
use crate::pipe::memory;
use crate::units::{BufferSize, Limit, Mark, OrOff, Share, Size, Span, TypedLimit, Unit};

/// The smallest buffer: a page.
pub(super) const BUFFER_MIN: u64 = 4096;
/// The shortest time between reports.
const INTERVAL_MIN: Duration = Duration::from_millis(10);
/// How far below the high mark reading starts again, at most.
const LOW_GAP: usize = 1 << 20;

pub(super) fn capacity(buffer: BufferSize) -> Result<usize, ConfigError> {
    let physical = memory::physical();
    let size = match (buffer, memory::ours()) {
        (BufferSize::Bytes(size), _) => size,
        (_, Some(ours)) => buffer.resolve(ours),
        (_, None) => {
            return Err(ConfigError(format!(
                "--buffer {buffer}: this system does not tell how much memory it has; give a size, such as 64MiB"
            )));
        }
    };
    if size.bytes() < BUFFER_MIN {
        return Err(ConfigError(format!(
            "--buffer {buffer} is too small: the smallest is 4KiB"
        )));
    }
    if physical.is_some_and(|all| size.bytes() > all) {
        let all = Size::new(physical.unwrap_or_default()).human();
        return Err(ConfigError(format!(
            "--buffer {buffer} is more than the memory of this machine ({all}); try 50%"
        )));
    }
    usize::try_from(size.bytes()).map_err(|_| {
        ConfigError(format!(
            "--buffer {buffer} is more than this system can address"
        ))
    })
}

/// The least that a disk is used for.
const SPILL_MIN: u64 = 1 << 20;

/// Memory and disk together.
pub(super) fn with_spill(memory: usize, spill: Option<Size>) -> Result<usize, ConfigError> {
    let Some(size) = spill else {
        return Ok(memory);
    };
    if size.bytes() < SPILL_MIN {
        return Err(ConfigError(format!(
            "--spill {size} is too small: the smallest is 1MiB"
        )));
    }
    let all = usize::try_from(size.bytes()).ok();
    all.and_then(|size| size.checked_add(memory))
        .ok_or_else(|| {
            ConfigError(format!(
                "--spill {size} is more than this system can address"
            ))
        })
}

/// The size of a spool where nobody says.
const SPOOL: u64 = 1 << 30;

fn refuse_with_spool(refused: &[(&str, bool)]) -> Result<(), ConfigError> {
    match refused.iter().find(|(_, is_there)| *is_there) {
        Some((what, _)) => Err(ConfigError(format!(
            "{what} cannot go together with --spool, which keeps all that it takes in; shed in a weir of its own before it: weir {what} ... | weir --spool DIR ..."
        ))),
        None => Ok(()),
    }
}

/// What can be changed and does not go together with a spool.
pub(super) fn spooled(live: &LiveOptions) -> Result<(), ConfigError> {
    let is_on = |it: Option<bool>| it.unwrap_or(false);
    refuse_with_spool(&[
        ("--shed", is_on(live.shed.map(|it| it.0.is_some()))),
        ("--max-age", is_on(live.max_age.map(|it| it.0.is_some()))),
    ])
}

/// The size of the spool, if there is one. What cannot work together with it is refused.
pub(super) fn spool(options: &Options) -> Result<Option<usize>, ConfigError> {
    let Some(_) = &options.spool else {
        return match options.sync {
            Some(_) => Err(ConfigError(
                "--sync: there is no spool to force to the disk; add --spool DIR".into(),
            )),
            None => Ok(None),
        };
    };
    if let Some(jobs) = options.live.jobs.filter(|it| it.most() > BATCHES_MOST) {
        return Err(ConfigError(format!(
            "--jobs {jobs}: a spool keeps the books of {BATCHES_MOST} COMMANDs at a time; give at most that many"
        )));
    }
    let size = options.spill.unwrap_or(Size::new(SPOOL));
    with_spill(0, Some(size)).map(Some)
}

pub(super) fn framing(options: &Options) -> Result<Option<Framing>, ConfigError> {
    let Some(size) = options.record_size else {
        let end = if options.lines { b'\n' } else { 0 };
        return Ok((options.lines || options.null).then_some(Framing::Terminator(end)));
    };
    match NonZeroU64::new(size.bytes()) {
        Some(size) => Ok(Some(Framing::Fixed(size))),
        None => Err(ConfigError(
            "--record-size 0: a record has at least one byte; try --record-size 512".into(),
        )),
    }
}

/// A label that fits into a line.
pub(super) fn name(name: Option<&String>) -> Result<Option<String>, ConfigError> {
    match name {
        Some(name) if name.is_empty() || name.contains(char::is_control) => Err(ConfigError(
            format!("--name {name:?} must be one line of visible text; try --name backup"),
        )),
        Some(name) if name.contains('/') || name.trim().is_empty() => Err(ConfigError(format!(
            "--name {name:?}: a name with a / means a spool to --query, and one of blanks alone nothing; try --name backup"
        ))),
        name => Ok(name.cloned()),
    }
}

/// What is shared is a cap.
pub(super) fn share(share: Option<&Share>, live: &LiveOptions) -> Result<(), ConfigError> {
    match share {
        Some(share) if live.rate.iter().all(TypedLimit::is_off) => Err(ConfigError(format!(
            "--share {share}: there is no cap to share; add one, such as --rate 10MB/s"
        ))),
        _ => Ok(()),
    }
}

/// A shared cap is one for all: it does not depend on the buffer of one, or on its clock.
pub(super) fn shared_rates(rates: &[TypedLimit]) -> Result<(), ConfigError> {
    let refuse = |limit: &TypedLimit, what: &str| {
        Err(ConfigError(format!(
            "--rate {limit} cannot be shared: {what}; give one figure, such as 10MB/s"
        )))
    };
    for limit in rates {
        match limit.limit(false) {
            Limit::Range { .. } => return refuse(limit, "it follows the buffer of one weir"),
            Limit::Timetable(_) => return refuse(limit, "each weir has its own clock"),
            Limit::Off | Limit::Fixed(_) => {}
        }
    }
    Ok(())
}

/// Caps that are shared stay so, and no others come beside them: one weir alone can neither lift a cap of all nor be under
/// one that the others know nothing of.
pub(super) fn still_shared(before: &SideCaps, after: &SideCaps) -> Result<(), ConfigError> {
    let pairs = before.each().into_iter().zip(after.each());
    for ((unit, before), (_, after)) in pairs {
        let (was, is) = (*before != Ruler::Nothing, *after != Ruler::Nothing);
        let unit = match unit {
            Unit::Bytes => "bytes",
            Unit::Records => "records",
        };
        let why = match (was, is) {
            (true, false) => {
                "off: the cap is shared, and cannot be lifted for one; give a higher one, such as \
                              --rate 1GB/s, which is then for all, or end this weir"
                    .to_owned()
            }
            (false, true) => format!(
                "in {unit}: it would not be shared, since this weir has begun without one; change the one that is, \
                 or start it anew with both"
            ),
            _ => continue,
        };
        return Err(ConfigError(format!("--rate {why}")));
    }
    Ok(())
}

/// The watermarks in bytes; what was not given follows from what was.
pub(super) fn marks(options: &LiveOptions, capacity: usize) -> Result<Marks, ConfigError> {
    let of = |mark: &Mark| usize::try_from(mark.of(capacity as u64)).unwrap_or(usize::MAX);
    let high = options.high.as_ref().map_or(capacity, of);
    let low = options
        .low
        .as_ref()
        .map_or(high.saturating_sub((high / 8).clamp(1, LOW_GAP)), of);
    let prefill = options.prefill.as_ref().map_or(0, of);
    let name = |mark: &Option<Mark>, bytes: usize| match mark {
        Some(mark) => mark.to_string(),
        None => format!("{} (the default)", Size::new(bytes as u64)),
    };
    let (h, l, p) = (
        name(&options.high, high),
        name(&options.low, low),
        name(&options.prefill, prefill),
    );
    if high == 0 || high > capacity {
        let all = Size::new(capacity as u64);
        return Err(ConfigError(format!(
            "--high {h} must be above 0 and within the buffer of {all}; try 100%, or more --buffer (--spill, where there is one)"
        )));
    }
    if low >= high {
        return Err(ConfigError(format!(
            "--low {l} must be below --high {h}; try --low 50% --high 90%"
        )));
    }
    if prefill > high {
        return Err(ConfigError(format!(
            "--prefill {p} must not be above --high {h}; try --prefill 50%"
        )));
    }
    Ok(Marks { high, low, prefill })
}

/// What to drop when the buffer is full.
pub(super) fn shed(
    which: Option<OrOff<Which>>,
    patience: Option<Span>,
) -> Result<Option<Policy>, ConfigError> {
    if which.is_none() && patience.is_some() {
        let what = "--patience: nothing would be shed after it; add --shed oldest, newest or fair";
        return Err(ConfigError(what.into()));
    }
    Ok(which.and_then(|which| which.0).map(|which| Policy {
        which,
        patience: patience.map_or(Duration::ZERO, Into::into),
    }))
}

/// A record that can never be held whole would always be shed.
pub(super) fn records_fit(
    shed: Option<Policy>,
    framing: Option<Framing>,
    capacity: usize,
) -> Result<(), ConfigError> {
    let (Some(Policy { which, .. }), Some(Framing::Fixed(size))) = (shed, framing) else {
        return Ok(());
    };
    if size.get() <= capacity as u64 {
        return Ok(());
    }
    let (size, all) = (Size::new(size.get()), Size::new(capacity as u64));
    Err(ConfigError(format!(
        "--shed {which} would shed every record: --record-size {size} is more than the buffer of {all}; try --buffer {size} or more"
    )))
}

pub(super) fn max_age(age: Option<OrOff<Span>>) -> Result<Option<Duration>, ConfigError> {
    let age = age.and_then(|age| age.0);
    if age == Some(Span::ZERO) {
        return Err(ConfigError(
            "--max-age 0s would shed everything; try 5s".into(),
        ));
    }
    Ok(age.map(Into::into))
}

/// Who wants nothing reported does not say how.
pub(super) fn quiet(options: &Options) -> Result<(), ConfigError> {
    let display = match options.display {
        Display::Auto | Display::Off => None,
        how => Some(("--display", how.to_possible_value())),
    };
    let summary = match options.summary {
        Summary::Auto | Summary::Off => None,
        how => Some(("--summary", how.to_possible_value())),
    };
    match display.or(summary) {
        Some((option, Some(how))) if options.quiet => Err(ConfigError(format!(
            "--quiet and {option} {}: one wants nothing reported, the other says how; leave one out",
            how.get_name()
        ))),
        _ => Ok(()),
    }
}

/// Time between reports.
pub(super) fn interval(interval: Option<Span>) -> Result<Option<Duration>, ConfigError> {
    match interval {
        Some(Span::ZERO) => Err(ConfigError(
            "--interval 0s is no time at all; try 200ms, or --display off".into(),
        )),
        Some(interval) if interval.duration() < INTERVAL_MIN => Err(ConfigError(format!(
            "--interval {interval} is too short for anybody to follow; the shortest is 10ms"
        ))),
        interval => Ok(interval.map(Span::duration)),
    }
}

pub(super) fn timeout(option: &str, limit: Option<Span>) -> Result<Option<Duration>, ConfigError> {
    if limit == Some(Span::ZERO) {
        let what = format!("{option} 0s would end at once; try 30s, or leave it out");
        return Err(ConfigError(what));
    }
    Ok(limit.map(Into::into))
}

/// What tells lanes apart, and what is to be kept.
pub(super) fn sorter(
    options: &Options,
    framing: Option<Framing>,
) -> Result<Option<Sorter>, ConfigError> {
    let (key, keep) = (&options.key, &options.keep);
    let live = &options.live;
    let Some(option) = key
        .as_ref()
        .map(|_| "--key")
        .or(keep.as_ref().map(|_| "--keep"))
    else {
        return Ok(None);
    };
    // Who says `off` may mean to switch it on later.
    let may_be_fair = live
        .shed
        .is_some_and(|it| it.0.is_none_or(|which| which == Which::Fair));
    let may_shed = live.shed.is_some() || live.max_age.is_some();
    let what = if key.is_some() && !may_be_fair {
        "--key: nothing is shed by lanes; add --shed fair".to_owned()
    } else if !may_shed {
        "--keep: nothing would be shed; add --shed oldest, newest or fair".to_owned()
    } else if framing.is_none() {
        format!("{option}: there are no records; add --lines, --null or --record-size")
    } else if !options.batch.is_empty() {
        format!(
            "{option} and --batch: there are no lanes of batches; shed in a weir of its own before this one"
        )
    } else if options.spill.is_some() {
        format!("{option} and --spill: what lies on the disk cannot be picked from; leave one out")
    } else {
        return Ok(Some(Sorter {
            key: key.clone(),
            keep: keep.clone(),
        }));
    };
    Err(ConfigError(what))
}
