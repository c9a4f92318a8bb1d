//! The words and figures of a frame, each in every length that it can have.

use std::time::Duration;

use console::{Alignment, measure_text_width, pad_str, truncate_str};

use super::parts::{self, ORDER, Part, Texts};
use crate::engine::status::State;
use crate::report::figures::{self, BYTES_WIDTH, COUNT_WIDTH, RATE_WIDTH, Scale};
use crate::report::outputs;
use crate::report::plain;
use crate::report::snapshot::{Command, Holdup, Snapshot};
use crate::report::theme::{Ink, Theme};

/// Columns of a name, when room is short and when it is not.
const NAMES: [usize; 3] = [8, 16, 32];
/// Columns of a culprit's name likewise; the system cuts names at fifteen.
const CULPRITS: [usize; 3] = [9, 9, 15];
/// Columns of a clock that shows a few minutes.
const CLOCK_WIDTH: usize = 4;

pub(super) fn all(s: &Snapshot, names: usize, theme: Theme) -> Texts {
    let scale = s.scale();
    ORDER.map(|part| match part {
        Part::Name => name(s, names, theme),
        Part::Percent => percent(s),
        Part::Left => left(s, scale),
        Part::Total => total(s, scale),
        Part::Elapsed => vec![theme.paint(Ink::Faint, &figures::clock(s.elapsed_s))],
        Part::Rates => rates(s, scale, theme),
        Part::Cap => cap(s, scale, theme),
        Part::Full => full(s, theme),
        Part::Held => held(s, scale),
        Part::Shed => shed(s, scale, theme),
        Part::Outputs => outputs(s, theme),
        Part::Culprit => culprit(s, theme),
        Part::Progress | Part::Gauge | Part::Spark => Vec::new(),
    })
}

fn name(s: &Snapshot, names: usize, theme: Theme) -> Vec<String> {
    let name = s.name.as_deref().unwrap_or_default();
    let room = names.max(measure_text_width(name));
    if room == 0 {
        return Vec::new();
    }
    let cut = theme.glyphs().cut;
    NAMES
        .map(|most| {
            let name = truncate_str(name, most, cut);
            let name = pad_str(&name, room.min(most), Alignment::Left, None);
            theme.paint(Ink::Strong, &name)
        })
        .to_vec()
}

fn percent(s: &Snapshot) -> Vec<String> {
    let percent = s.percent.map(|percent| format!("{percent:>3}%"));
    percent.into_iter().collect()
}

fn left(s: &Snapshot, scale: Scale) -> Vec<String> {
    if s.state == State::Draining {
        let held = scale.bytes(s.awaited());
        let eta = s.eta_s.map_or_else(|| "-:--".to_owned(), figures::clock);
        let short = format!("draining {held:>BYTES_WIDTH$} {eta:>CLOCK_WIDTH$}");
        return vec![short.clone(), short + " left"];
    }
    if s.percent.is_none() {
        return Vec::new();
    }
    let eta = s.eta_s.map_or_else(|| "-:--".to_owned(), figures::clock);
    let short = format!("{eta:>CLOCK_WIDTH$} left");
    let long = s.finish.as_ref().map(|at| format!("{short}, at {at}"));
    [Some(short), long].into_iter().flatten().collect()
}

/// In records first where there are any: they are what was asked for.
fn total(s: &Snapshot, scale: Scale) -> Vec<String> {
    let bytes = format!("{:>BYTES_WIDTH$}", scale.bytes(s.out.bytes));
    match (s.out.records, s.size) {
        (Some(n), _) => {
            let records = format!("{:>COUNT_WIDTH$} {}", figures::count(n), s.records_word());
            vec![records.clone(), format!("{records}, {bytes}")]
        }
        (None, Some(size)) => vec![bytes.clone(), format!("{bytes} of {}", scale.bytes(size))],
        (None, None) => vec![bytes.clone(), format!("{bytes} total")],
    }
}

/// In records where there are any. The short form tells what leaves, the long one what comes too.
fn rates(s: &Snapshot, scale: Scale, theme: Theme) -> Vec<String> {
    let arrow = theme.glyphs().arrow;
    let (out, pair) = match s.out.records {
        Some(_) => (
            figures::rate_of_records(s.out.records_rate),
            figures::pair_of_records(s.input.records_rate, arrow, s.out.records_rate),
        ),
        None => (
            scale.rate(s.out.rate),
            scale.pair(s.input.rate, arrow, s.out.rate),
        ),
    };
    vec![format!("{out:>RATE_WIDTH$}"), pair]
}

fn cap(s: &Snapshot, scale: Scale, theme: Theme) -> Vec<String> {
    if s.cap.bytes_per_s.or(s.cap.records_per_s).is_none() {
        return Vec::new();
    }
    let text = format!("(cap {})", plain::cap(s, scale));
    let ink = match s.holdup {
        Some(Holdup::Cap) => Ink::Cap,
        _ => Ink::Faint,
    };
    vec![theme.paint(ink, &text)]
}

fn full(s: &Snapshot, theme: Theme) -> Vec<String> {
    let full = format!("{:>4}", plain::full(s));
    let ink = parts::ink(s);
    vec![theme.paint(ink, &full), theme.paint(ink, &full) + " full"]
}

fn held(s: &Snapshot, scale: Scale) -> Vec<String> {
    let used = scale.bytes(s.buffer.used);
    let capacity = scale.typed(s.buffer.capacity as f64);
    vec![format!("{used:>BYTES_WIDTH$}/{capacity}")]
}

fn shed(s: &Snapshot, scale: Scale, theme: Theme) -> Vec<String> {
    if s.shed.bytes == 0 {
        return Vec::new();
    }
    let bytes = scale.bytes(s.shed.bytes);
    let forms = match s.shed.records {
        Some(n) => {
            let short = format!("shed {:>COUNT_WIDTH$}", figures::count(n));
            let long = format!("{short} {} ({bytes})", s.records_word());
            vec![short, long]
        }
        None => vec![format!("shed {bytes:>BYTES_WIDTH$}")],
    };
    let paint = |form: String| theme.paint(Ink::Loss, &form);
    forms.into_iter().map(paint).collect()
}

/// A tee or a tap that has failed, or has lost something.
fn outputs(s: &Snapshot, theme: Theme) -> Vec<String> {
    let shown = |path: &str| truncate_str(path, CULPRITS[1], theme.glyphs().cut).into_owned();
    let forms = outputs::losses(s, shown);
    let paint = |form: String| theme.paint(Ink::Loss, &form);
    forms.into_iter().flatten().map(paint).collect()
}

/// What is going on: who holds the flow up, if anybody does.
fn culprit(s: &Snapshot, theme: Theme) -> Vec<String> {
    if let Some(retry) = s.command.as_ref().and_then(retry) {
        return retry.map(|text| theme.paint(Ink::Cap, &text)).to_vec();
    }
    if s.state == State::Waiting {
        let who = s.outputs.iter().find(|it| it.vacant).map(|it| &*it.path);
        let name = truncate_str(who.unwrap_or("its reader"), CULPRITS[2], theme.glyphs().cut);
        let long = "waiting for FIFO";
        let forms = [
            "waiting".to_owned(),
            long.to_owned(),
            format!("{long} {name}"),
        ];
        return forms.map(|form| theme.paint(Ink::Cap, &form)).to_vec();
    }
    let word = match (s.state, s.holdup) {
        (State::Paused, _) => "paused",
        (State::DiskFull, _) => "disk full",
        (State::Filling, _) => "filling",
        (State::Done, _) => "done",
        (_, Some(holdup)) => return blame(s, holdup, theme),
        (_, None) => "flowing",
    };
    let ink = match s.state {
        State::Paused | State::DiskFull => Ink::Cap,
        _ => Ink::Faint,
    };
    // As wide as a name would be, so that the rest stays where it is when there is one.
    let blame = measure_text_width(theme.glyphs().blame);
    [1, 2, 3]
        .map(|form| {
            let room = blame + 1 + CULPRITS[form - 1] + if form > 1 { SLOW.len() } else { 0 };
            theme.paint(ink, &format!("{word:<room$}"))
        })
        .to_vec()
}

/// What is waited for before the program is run: another process, or that it is time to run it again.
fn retry(it: &Command) -> Option<[String; 3]> {
    if let Some(pid) = it.waits_for {
        let long = format!("waiting for process {pid}");
        return Some([format!("awaits {pid}"), long.clone(), long]);
    }
    let left = Duration::from_secs(it.retry_in_s?.ceil() as u64);
    let time = humantime::format_duration(left);
    let many = if it.failures == 1 { "" } else { "s" };
    let short = format!("retry in {time}");
    let long = format!("{short}, {} failure{many}", it.failures);
    Some([short, long.clone(), long])
}

const SLOW: &str = " is slow";

fn blame(s: &Snapshot, holdup: Holdup, theme: Theme) -> Vec<String> {
    let glyphs = theme.glyphs();
    let name = s.culprit.as_deref().unwrap_or(holdup.word());
    let (ink, slow) = match holdup {
        Holdup::Cap => (Ink::Cap, ""),
        _ => (Ink::Strong, SLOW),
    };
    [1, 2, 3]
        .map(|form| {
            let most = CULPRITS[form - 1];
            let who = truncate_str(name, most, glyphs.cut).into_owned();
            let (who, room) = match form {
                1 => (who, most),
                _ => (who + slow, most + SLOW.len()),
            };
            let who = pad_str(&who, room, Alignment::Left, None).into_owned();
            theme.paint(ink, &format!("{} {who}", glyphs.blame))
        })
        .to_vec()
}
