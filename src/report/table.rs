//! Snapshots as a table for people: `--query` on a terminal. Below a weir stand its tees and taps, a line for each.
//!
//! Invariant: no line is wider than it was asked to be; columns that do not fit are left out, the
//! last first.

use console::{Alignment, measure_text_width, pad_str, truncate_str};

use super::figures::UNKNOWN;
use super::snapshot::{Holdup, Snapshot};
use super::{outputs, plain};

/// Columns of a name at most.
const NAME_MOST: usize = 24;

const HEADS: [&str; 10] = [
    "USER", "PID", "NAME", "STATE", "FULL", "IN", "OUT", "HOLDUP", "CAP", "TOTAL",
];
/// Columns of words; the others are figures, which go to the right.
const WORDS: [&str; 4] = ["USER", "NAME", "STATE", "HOLDUP"];

/// The table, a line break after each line; nothing if there is nothing to tell.
#[must_use]
pub(crate) fn text(snapshots: &[Snapshot], columns: u16) -> String {
    if snapshots.is_empty() {
        return String::new();
    }
    let mut rows = vec![HEADS.map(ToOwned::to_owned)];
    rows.extend(snapshots.iter().map(cells));
    let widths: Vec<usize> = (0..HEADS.len())
        .map(|nth| rows.iter().map(|row| measure_text_width(&row[nth])).max())
        .map(Option::unwrap_or_default)
        .collect();
    let is_told = snapshots.iter().any(|s| s.user.is_some());
    // Where all are one user's there is nothing to tell.
    let widths = &widths[usize::from(!is_told)..];
    let columns = usize::from(columns);
    let below = |s: &Snapshot| -> String {
        let texts = s
            .outputs
            .iter()
            .map(|it| format!("  {}", outputs::text(s, it)));
        texts
            .map(|text| truncate_str(&text, columns, "~").into_owned() + "\n")
            .collect()
    };
    let heads = line(&rows[0], widths, columns) + "\n";
    let weirs = rows[1..].iter().zip(snapshots);
    let lines = weirs.map(|(row, s)| line(row, widths, columns) + "\n" + &below(s));
    [heads].into_iter().chain(lines).collect()
}

fn line(row: &[String; HEADS.len()], widths: &[usize], columns: usize) -> String {
    let mut line = String::new();
    let mut taken = 0;
    let cells = row.iter().zip(HEADS).skip(HEADS.len() - widths.len());
    for ((cell, head), width) in cells.zip(widths) {
        let gap = if taken == 0 { 0 } else { 2 };
        if taken + gap + width > columns {
            break;
        }
        taken += gap + width;
        let side = if WORDS.contains(&head) {
            Alignment::Left
        } else {
            Alignment::Right
        };
        line += &" ".repeat(gap);
        line += &pad_str(cell, *width, side, None);
    }
    line.trim_end().to_owned()
}

fn cells(s: &Snapshot) -> [String; HEADS.len()] {
    let name = s.name.as_deref().unwrap_or(UNKNOWN);
    let scale = s.scale();
    [
        s.user.clone().unwrap_or_default(),
        s.pid.to_string(),
        truncate_str(name, NAME_MOST, "~").into_owned(),
        plain::state(s),
        plain::full(s),
        scale.rate(s.input.rate),
        scale.rate(s.out.rate),
        s.holdup.map_or(UNKNOWN, Holdup::word).to_owned(),
        plain::cap(s, scale),
        scale.bytes(s.out.bytes),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use crate::report::snapshot::OutputKind;

    #[test]
    fn a_line_for_each_under_its_heads() {
        let table = text(&[sample::busy(), sample::fresh()], 100);
        let expected = "
 PID  NAME    STATE    FULL         IN        OUT  HOLDUP  CAP    TOTAL
4711  backup  blocked   94%  12.0MiB/s  10.0MiB/s  sink      -  1.14GiB
   1  -       flowing    0%          -          -  -         -       0B
";
        assert_eq!(table, expected[1..]);
    }

    #[test]
    fn tees_and_taps_stand_below_their_weir_with_what_they_lack() {
        let mut s = sample::fresh();
        let mut copy = sample::output(OutputKind::Tee, "copy");
        (copy.used, copy.lag, copy.failed) = (1 << 20, 3.25, true);
        let mut look = sample::output(OutputKind::Tap, "look");
        (look.shed.bytes, look.vacant) = (5 << 20, true);
        s.outputs = vec![copy, look];
        let table = text(&[s.clone(), sample::fresh()], 100);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[2], "  tee copy: 0B, 1.00MiB behind, by 3.25s, failed");
        assert_eq!(lines[3], "  tap look: 0B, 5.00MiB dropped, read by nobody");
        assert_eq!(lines[1], lines[4]);
        let narrow = text(&[s], 20);
        assert_eq!(narrow.lines().nth(2), Some("  tee copy: 0B, 1.0~"));
    }

    #[test]
    fn whose_each_of_them_is_is_told_where_there_are_those_of_several_users() {
        let mut one = sample::fresh();
        one.user = Some("ann".into());
        let table = text(&[one], 100);
        let expected = "
USER  PID  NAME  STATE    FULL  IN  OUT  HOLDUP  CAP  TOTAL
ann     1  -     flowing    0%   -    -  -         -     0B
";
        assert_eq!(table, expected[1..]);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for columns in 0..=200 {
            for line in text(&[sample::busy(), sample::shedding()], columns).lines() {
                assert!(measure_text_width(line) <= usize::from(columns), "{line}");
            }
        }
        assert_eq!(text(&[], 80), "");
    }
}
