//! What an earlier run has left on the disk, and who is owed which part of it: the consumer, batches, the file for what
//! is shed, and each tee, which may stand at different places.
//!
//! It joins the log in extents that are cut wherever one of these parts begins or ends, for an extent that is not here
//! is cut at its ends only.

use std::collections::BTreeMap;
use std::time::Instant;

use super::action::{CONSUMER, OVERFLOW, SIDES};
use super::disk::{Inherited, Owed};
use super::record::Cursor;
use super::side::Role;
use super::state::Engine;
use super::stats::Total;
use super::ticket::Stretch;

impl Engine {
    /// What an earlier run has left is delivered first. All outputs are there already.
    pub(crate) fn inherit(&mut self, left: &Inherited, now: Instant) {
        let pieces = pieces(&left.parts);
        let behind = left.parts.iter().map(|(it, _)| it.before + it.records);
        let records = behind.fold(left.next.1, u64::max);
        let behind = (left.end_depth, records);
        self.log.inherit(pieces.into_iter(), left.end, behind);
        let mut owed = Total::default();
        let mut depth = left.end_depth;
        let all_behind = Cursor::at(self.framing, left.end_depth);
        for output in &mut self.outputs[SIDES..] {
            let inside = all_behind.is_inside();
            match &mut output.side {
                Some(side) if side.role == Role::Tee => output.cursor = all_behind,
                // It gets what comes, from the beginning of a record on.
                Some(side) => side.is_skipping = inside,
                None => {}
            }
        }
        for (part, owner) in &left.parts {
            let places = part.from..part.to;
            let counts_last =
                matches!(owner, Owed::Batch(..)) && part.is_open && !goes_on(left, part);
            let total = Total {
                bytes: part.to - part.from,
                records: part.records + u64::from(counts_last),
            };
            self.log.pin(&places);
            if matches!(owner, Owed::Batch(..) | Owed::Overflow) {
                // What comes behind it is another one's.
                self.log.freeze(&places);
            }
            match owner {
                Owed::Overflow => {
                    self.outputs[OVERFLOW].queue.push(places);
                    continue;
                }
                Owed::Tee(i) => {
                    let output = &mut self.outputs[*i];
                    if output.queue.owed() == 0 {
                        output.cursor = Cursor::at(self.framing, part.depths[0]);
                    }
                    output.queue.push(places.clone());
                    if let Some(side) = &mut output.side {
                        side.inherited.add_all(total);
                        side.timeline.push(&places, now);
                    }
                    continue;
                }
                Owed::Batch(number, tries) => {
                    self.inherit_batch((*number, *tries), *part, counts_last);
                }
                Owed::Consumer => {
                    if self.outputs[CONSUMER].queue.owed() == 0 {
                        depth = part.depths[0];
                    }
                    self.outputs[CONSUMER].queue.push(places.clone());
                }
            }
            self.timeline.push(&places, now);
            owed.add_all(total);
        }
        self.begin_batches_at(left.last_batch, left.next);
        self.outputs[CONSUMER].cursor = Cursor::at(self.framing, depth);
        self.source.cursor = all_behind;
        self.stats.on_inherited(owed, self.occupancy());
        self.note_places();
        self.form_batch();
        self.update(now);
    }
}

/// Whether the record in which this part ends goes on behind it, or may still do so: whoever gets it was given its end with
/// others, if there is one.
fn goes_on(left: &Inherited, part: &Stretch) -> bool {
    let is_tee = |owed: &Owed| matches!(owed, Owed::Tee(_));
    let mut others = left.parts.iter().filter(|(_, owed)| !is_tee(owed));
    left.next.0 == part.to || others.any(|(it, _)| it.from == part.to)
}

/// What lies in these parts, cut where any of them begins or ends.
fn pieces(parts: &[(Stretch, Owed)]) -> Vec<Stretch> {
    // Records before each such place, and how far inside of one it is.
    let mut cuts = BTreeMap::new();
    for (part, _) in parts {
        cuts.entry(part.from)
            .or_insert((part.before, part.depths[0]));
        let behind = (part.before + part.records, part.depths[1]);
        cuts.entry(part.to).or_insert(behind);
    }
    let cuts: Vec<_> = cuts.into_iter().collect();
    let pairs = cuts.windows(2).filter_map(|pair| {
        let [(from, (before, begun)), (to, (behind, goes_on))] = pair else {
            return None;
        };
        let is_owed = |part: &Stretch| part.from <= *from && to <= &part.to;
        parts
            .iter()
            .any(|(part, _)| is_owed(part))
            .then(|| Stretch {
                from: *from,
                to: *to,
                depths: [*begun, *goes_on],
                before: *before,
                records: behind.saturating_sub(*before),
                is_open: false,
            })
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::super::ticket::Tries;
    use super::*;

    fn part(from: u64, to: u64) -> Stretch {
        Stretch {
            from,
            to,
            depths: [from % 10, to % 10],
            before: from / 10,
            records: to / 10 - from / 10,
            is_open: false,
        }
    }

    #[test]
    fn it_is_cut_where_somebody_begins_or_ends_and_what_nobody_is_owed_is_left_out() {
        let parts = [
            (part(40, 60), Owed::Batch(1, Tries::default())),
            (part(75, 100), Owed::Consumer),
            (part(10, 20), Owed::Tee(2)),
            (part(52, 100), Owed::Tee(3)),
        ];
        let wanted = [(10, 20), (40, 52), (52, 60), (60, 75), (75, 100)];
        assert_eq!(pieces(&parts), wanted.map(|(from, to)| part(from, to)));
        assert_eq!(pieces(&[]), []);
    }
}
