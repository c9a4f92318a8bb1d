//! The text of a report as the user wants it: a template with fields of the status object.
//!
//! Invariant: a template that was read names only fields that there are; what is not known of a run
//! is `-`, never left out.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use super::figures::{self, UNKNOWN};
use super::snapshot::{Holdup, Snapshot};
use super::{fields, plain};
use crate::units::{UnitError, printable};

/// What a field is called, and what it says.
type Field = (&'static str, fn(&Snapshot) -> Option<String>);

const FIELDS: [Field; 26] = [
    ("name", |s| s.name.clone()),
    ("pid", |s| Some(s.pid.to_string())),
    ("time", |s| s.time.clone()),
    ("elapsed", |s| Some(figures::clock(s.elapsed_s))),
    ("state", |s| Some(plain::state(s))),
    ("used", |s| Some(s.scale().bytes(s.buffer.used))),
    ("used%", |s| Some(plain::full(s))),
    ("capacity", |s| {
        Some(s.scale().typed(s.buffer.capacity as f64))
    }),
    ("peak", |s| Some(s.scale().bytes(s.buffer.peak))),
    ("disk", |s| s.buffer.disk.map(|it| s.scale().bytes(it.used))),
    ("in", |s| Some(s.scale().bytes(s.input.bytes))),
    ("in.rate", |s| Some(s.scale().rate(s.input.rate))),
    ("in.records", |s| s.input.records.map(figures::count)),
    ("out", |s| Some(s.scale().bytes(s.out.bytes))),
    ("out.rate", |s| Some(s.scale().rate(s.out.rate))),
    ("out.records", |s| s.out.records.map(figures::count)),
    ("shed", |s| Some(s.scale().bytes(s.shed.bytes))),
    ("shed.records", |s| s.shed.records.map(figures::count)),
    ("cap", |s| Some(plain::cap(s, s.scale()))),
    ("holdup", |s| {
        s.holdup.map(|side: Holdup| side.word().to_owned())
    }),
    ("culprit", |s| s.culprit.clone()),
    ("age", |s| s.age_s.now.map(figures::time)),
    ("size", |s| {
        s.size.map(|size| match s.is_size_in_records {
            true => figures::count(size),
            false => s.scale().bytes(size),
        })
    }),
    ("done%", |s| s.percent.map(|percent| format!("{percent}%"))),
    ("eta", |s| s.eta_s.map(figures::clock)),
    ("finish", |s| s.finish.clone()),
];

/// A template, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Format {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// Its place in [`FIELDS`].
    Field(usize),
    /// The path of any other field, which is told as the object has it.
    Path(String),
}

impl Format {
    /// The report of this. One line, whatever a name may hold.
    #[must_use]
    pub(crate) fn line(&self, s: &Snapshot) -> String {
        let is_path = |piece: &Piece| matches!(piece, Piece::Path(_));
        let object = self.pieces.iter().any(is_path);
        let object = object.then(|| serde_json::to_value(s).unwrap_or_default());
        let unknown = || UNKNOWN.to_owned();
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Field(nth) => (FIELDS[*nth].1)(s).unwrap_or_else(unknown),
            Piece::Path(path) => {
                let value = object.as_ref().and_then(|it| fields::value(it, path));
                value.and_then(told).unwrap_or_else(unknown)
            }
        };
        self.pieces.iter().map(piece).collect()
    }
}

/// As JSON has it, but for a text, which has no quotes.
fn told(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(printable(text)),
        other => Some(other.to_string()),
    }
}

impl FromStr for Format {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Format, UnitError> {
        const EXAMPLE: &[&str] = &["{name} {in.rate} {used%} {eta}"];
        if text.is_empty() || text.contains(char::is_control) {
            return Err(UnitError::new("not a line of text", EXAMPLE));
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find(['{', '}']) {
            let (before, after) = rest.split_at(start);
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            // A brace of its own is written twice.
            if let Some(brace) = ["{{", "}}"].into_iter().find(|two| after.starts_with(two)) {
                pieces.push(Piece::Text(brace[1..].to_owned()));
                rest = &after[2..];
                continue;
            }
            let inside = after
                .strip_prefix('{')
                .and_then(|after| after.split_once('}'));
            let Some((name, behind)) = inside else {
                return Err(UnitError::new("a brace without its other one", EXAMPLE));
            };
            pieces.push(match FIELDS.iter().position(|field| field.0 == name) {
                Some(nth) => Piece::Field(nth),
                None if fields::is_field(name) => Piece::Path(name.to_owned()),
                None => {
                    let all: Vec<&str> = FIELDS.iter().map(|field| field.0).collect();
                    let what = format!(
                        "no field is called {{{name}}}; there are {}, and those of the status object by their paths, \
                         as buffer.high",
                        all.join(", ")
                    );
                    return Err(UnitError::new(what, EXAMPLE));
                }
            });
            rest = behind;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Format { pieces })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => write!(f, "{}", text.replace('{', "{{").replace('}', "}}")),
            Piece::Field(nth) => write!(f, "{{{}}}", FIELDS[*nth].0),
            Piece::Path(path) => write!(f, "{{{path}}}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_template_is_filled_in() {
        for (template, busy, fresh) in [
            (
                "{name} {in.rate} {used%} {eta}",
                "backup 12.0MiB/s 94% 3:10",
                "- - 0% -",
            ),
            ("{{{done%}}} {culprit}", "{38%} gzip", "{-} -"),
            ("fertig: {finish}", "fertig: 14:32", "fertig: -"),
            ("nothing", "nothing", "nothing"),
            (
                "{buffer.used} of {buffer.capacity}, {holdup} {v}",
                "62914560 of 67108864, sink 1",
                "0 of 67108864, - 1",
            ),
            ("{event} {end} {outputs.7.used}", "status - -", "status - -"),
        ] {
            let format: Format = template.parse().expect(template);
            assert_eq!(format.line(&sample::busy()), busy, "{template}");
            assert_eq!(format.line(&sample::fresh()), fresh, "{template}");
            assert_eq!(format.to_string(), template);
        }
    }

    #[test]
    fn a_size_that_was_given_in_records_is_a_count() {
        let format: Format = "{size}".parse().expect("a field");
        for (is_size_in_records, text) in [(true, "100k"), (false, "97.7KiB")] {
            let s = Snapshot {
                size: Some(100_000),
                is_size_in_records,
                ..sample::fresh()
            };
            assert_eq!(format.line(&s), text);
        }
    }

    #[test]
    fn what_is_no_template_is_turned_away() {
        for (template, said) in [
            ("", "not a line"),
            ("a\nb", "not a line"),
            ("{rate}", "no field is called {rate}; there are name, pid,"),
            ("{name", "a brace without"),
            ("name}", "a brace without"),
        ] {
            let error = template.parse::<Format>().expect_err(template).to_string();
            assert!(error.starts_with(said), "{template}: {error}");
        }
    }
}
