//! `--key REGEX|N` and `--keep REGEX`: which lane a record belongs to, and whether it is to be kept.
//!
//! Patterns are of the `regex` crate and match bytes: text need not be UTF-8, `.` and `\S` are any
//! byte that they say, and `\w`, `\d`, `\s` are ASCII's. A terminator is not part of the record here.
//!
//! Never a pattern that does not compile, nor one so large that it would take much memory.

use std::fmt;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::str::FromStr;

use regex::bytes::{Regex, RegexBuilder};

use super::bits;
use super::error::UnitError;
use super::printable::printable;
use super::size::Size;

const KEYS: &[&str] = &[
    "2 (the second field)",
    r"'user=(\w+)' (what the group says)",
];
const PATTERNS: &[&str] = &["' (ERROR|FATAL) '"];
/// In place of one that repeats too much.
const SMALLER: &[&str] = &["a+ (without a count)", "a{1,100} (a smaller one)"];

/// A pattern, as it was typed and compiled.
#[derive(Debug, Clone)]
pub(crate) struct Pattern(Regex);

impl Pattern {
    /// Whether it is found in a record.
    #[must_use]
    #[inline(never)]
    pub(crate) fn is_match(&self, record: &[u8]) -> bool {
        self.0.is_match(record)
    }

    /// What its first group says, or if it has none, all that it matches.
    #[inline(never)]
    fn find<'a>(&self, record: &'a [u8]) -> Option<&'a [u8]> {
        if self.0.captures_len() == 1 {
            return self.0.find(record).map(|found| found.as_bytes());
        }
        let group = self.0.captures(record)?.get(1)?;
        Some(group.as_bytes())
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl FromStr for Pattern {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Pattern, UnitError> {
        if text.is_empty() {
            return Err(UnitError::new(
                "no pattern: it would match everything",
                PATTERNS,
            ));
        }
        let compiled = RegexBuilder::new(text).unicode(false).build();
        compiled.map(Pattern).map_err(|error| fault(text, &error))
    }
}

/// What is wrong with a pattern, and where.
fn fault(text: &str, error: &regex::Error) -> UnitError {
    let parsed = regex_syntax::ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        .build()
        .parse(text);
    let (what, at) = match parsed {
        Err(regex_syntax::Error::Parse(error)) => (error.kind().to_string(), error.span().start),
        Err(regex_syntax::Error::Translate(error)) => {
            (error.kind().to_string(), error.span().start)
        }
        // Right, but too large.
        _ => return UnitError::new(too_large(error), SMALLER),
    };
    let place = match text.get(at.offset..).filter(|rest| !rest.is_empty()) {
        Some(rest) => {
            let before = text[..at.offset].chars().count();
            format!("at character {}: {}", before + 1, printable(rest))
        }
        None => "at its end".to_owned(),
    };
    UnitError::new(format!("not a pattern: {what}, {place}"), &[])
}

fn too_large(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(most) => {
            let most = Size::new(*most as u64);
            format!("too large a pattern: it would take more than {most} of memory")
        }
        other => other.to_string().replace('\n', " "),
    }
}

/// What tells the lane of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    /// The field with this number, of those that blanks separate.
    Field(NonZeroUsize),
    /// What the first group of a pattern says, or all that it matches.
    Pattern(Pattern),
}

impl Key {
    /// The key of a record, its terminator left out; none where there is no such field, or nothing
    /// matches.
    #[cfg(test)]
    pub(crate) fn of<'a>(&self, record: &'a [u8]) -> Option<&'a [u8]> {
        self.within(record, 0..record.len())
    }

    /// The same of the record that lies here in a text: what lies behind it is looked at, too, where that is faster.
    #[must_use]
    #[inline(always)]
    pub(crate) fn within<'a>(&self, text: &'a [u8], record: Range<usize>) -> Option<&'a [u8]> {
        match self {
            Key::Field(number) => field(text, record, *number),
            Key::Pattern(pattern) => pattern.find(&text[record]),
        }
    }
}

/// Runs of spaces and tabs separate fields, as in `awk`; none come before the first.
#[inline(always)]
fn field(text: &[u8], record: Range<usize>, number: NonZeroUsize) -> Option<&[u8]> {
    let mut left = number.get();
    // A blank stands before the first word, so to speak.
    let mut before = 1;
    let mut at = record.start;
    while at < record.end {
        let blanks = bits::blanks(text, at, record.end - at);
        let mut begins = !blanks & (blanks << 1 | before);
        before = blanks >> (u32::BITS - 1);
        while begins != 0 {
            left -= 1;
            if left == 0 {
                let first = begins.trailing_zeros();
                let end = match blanks & u32::MAX << first {
                    0 => end_of_field(text, at + PIECE, record.end),
                    behind => at + behind.trailing_zeros() as usize,
                };
                return text.get(at + first as usize..end);
            }
            begins &= begins - 1;
        }
        at += PIECE;
    }
    None
}

/// Where a field ends that goes on here.
#[inline(never)]
fn end_of_field(text: &[u8], mut at: usize, end: usize) -> usize {
    while at < end {
        let blanks = bits::blanks(text, at, end - at);
        if blanks != 0 {
            return at + blanks.trailing_zeros() as usize;
        }
        at += PIECE;
    }
    end
}

/// Bytes that are looked at at a time.
const PIECE: usize = u32::BITS as usize;

impl FromStr for Key {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Key, UnitError> {
        let figure = text.strip_prefix('-').unwrap_or(text);
        let is_number = !figure.is_empty() && figure.bytes().all(|byte| byte.is_ascii_digit());
        if is_number && figure != text {
            return Err(UnitError::new("no field: they are counted from 1", KEYS));
        }
        if is_number {
            let number: usize = text
                .parse()
                .map_err(|_| UnitError::new("too large a number for a field", KEYS))?;
            let number = NonZeroUsize::new(number)
                .ok_or_else(|| UnitError::new("no field: they are counted from 1", KEYS))?;
            return Ok(Key::Field(number));
        }
        let pattern = text.parse::<Pattern>();
        let pattern = pattern.map_err(|reject| match text {
            "" => UnitError::new("no key", KEYS),
            _ => reject,
        })?;
        Ok(Key::Pattern(pattern))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Field(number) => number.fmt(f),
            Key::Pattern(pattern) => pattern.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key, a record, and what its key is.
    type Row = (&'static str, &'static [u8], Option<&'static [u8]>);

    #[test]
    fn a_key_is_a_field_or_what_a_pattern_says() {
        let rows: &[Row] = &[
            ("1", b"one two", Some(b"one")),
            ("1", b"  one two", Some(b"one")),
            ("2", b"one \t two\tthree", Some(b"two")),
            ("3", b"one two ", None),
            ("3", b"one two three", Some(b"three")),
            ("1", b"", None),
            ("1", b"   ", None),
            ("2", b"caf\xe9 \xff\xfe x", Some(b"\xff\xfe")),
            (r"user=(\w+)", b"at=1 user=ann x", Some(b"ann")),
            (r"user=(\w+)", b"at=1", None),
            (r"^\S+", b"J\xe9r\xf4me says", Some(b"J\xe9r\xf4me")),
            (r"^[^|]*", b"|x", Some(b"")),
            (r"a(b)?", b"ac", None),
            ("é+", "xéé".as_bytes(), Some("éé".as_bytes())),
            (r"(?:a|b)\d", b"xb7", Some(b"b7")),
        ];
        for (key, record, wanted) in rows {
            let key: Key = key.parse().expect(key);
            assert_eq!(
                key.of(record),
                *wanted,
                "{key} of {}",
                record.escape_ascii()
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn a_field_is_what_lies_between_blanks(
            text in r"([a-z!\x00\x08\x0a\x1f\x21\x7f-\xff]{0,20}[ \t]{0,3}){0,5}",
            number in 1..6usize,
        ) {
            let blanks = |byte: &u8| matches!(byte, b' ' | b'\t');
            let mut fields = text.as_bytes().split(blanks).filter(|field| !field.is_empty());
            let key = Key::Field(NonZeroUsize::new(number).expect("not zero"));
            let wanted = fields.nth(number - 1);
            proptest::prop_assert_eq!(key.of(text.as_bytes()), wanted);
            // What stands around it does not count.
            let more = format!("b c{text}\n d e f g h");
            let found = key.within(more.as_bytes(), 3..3 + text.len());
            proptest::prop_assert_eq!(found, wanted);
        }
    }

    #[test]
    fn what_is_no_key_is_refused_with_the_place_of_the_fault() {
        for (text, wanted) in [
            ("", "no key: try 2"),
            ("0", "counted from 1"),
            ("-1", "counted from 1"),
            ("99999999999999999999999", "too large a number"),
            ("user=(", "unclosed group, at character 6: ("),
            ("é[", "unclosed character class, at character 2: ["),
            ("a{3", "unclosed counted repetition, at character 2: {3"),
            (
                "*",
                "repetition operator missing expression, at character 1: *",
            ),
            (r"\p{Greek}", "at character 1"),
            ("a\nb(\n", r"unclosed group, at character 4: (\n"),
            (
                "(?:a{1000}){1000}",
                "too large a pattern: it would take more than 10MiB of memory: try a+ (without a count) or",
            ),
        ] {
            let line = text.parse::<Key>().expect_err(text).to_string();
            assert!(
                line.contains(wanted) && !line.contains('\n'),
                "{text}: {line}"
            );
        }
        assert!("".parse::<Pattern>().is_err());
    }

    #[test]
    fn prints_as_it_was_typed() {
        for text in ["1", "17", r"user=(\w+)", "é|ü", "(?i)x "] {
            let key: Key = text.parse().expect(text);
            assert_eq!(key.to_string(), text);
            assert_eq!(text.parse(), Ok(key));
        }
    }
}
