//! Inputs that end inside of a record, and are followed by others in the next run: what an opening of the stream makes of
//! that, so that no two records are one and none is empty.

use super::dice::Dice;
use crate::engine::disk::Owed;
use crate::engine::record::Framing;
use crate::engine::tests::sim::{Left, Outcome};

/// What the producers send, one after the other: where the ends of records were put in that they did not send.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    pub all: Vec<u8>,
    pub ended: Vec<usize>,
}

impl Inputs {
    /// How far the input reaches of a run that begins there, if it is not the last. Where no byte ends records what has begun
    /// goes on in the next.
    pub(super) fn reach(
        &self,
        from: usize,
        is_last: bool,
        framing: Option<Framing>,
        dice: &mut Dice,
    ) -> usize {
        let left = self.all.len() - from;
        let is_ended = matches!(framing, Some(Framing::Terminator(_)));
        match is_last || !is_ended || left == 0 || dice.one_in(2) {
            true => self.all.len(),
            false => from + dice.roll(left as u64) as usize,
        }
    }

    /// A run is over, and so was its input, maybe: then the record in which that ended gets its end, as when the stream
    /// is opened, and whoever has had it goes on behind that. Says whether the consumer is one of these.
    pub(super) fn go_on(
        &mut self,
        left: &mut Left,
        outcome: &Outcome,
        framing: Option<Framing>,
    ) -> bool {
        let Some(Framing::Terminator(byte)) = framing else {
            return false;
        };
        let inherited = &mut left.inherited;
        if !outcome.engine.is_input_over(false) || inherited.end_depth == 0 {
            return false;
        }
        let at = inherited.end;
        assert_eq!(at, left.bytes.len() as u64);
        left.bytes.push(byte);
        self.all.insert(at as usize, byte);
        self.ended.push(at as usize);
        let mut has_had = true;
        for (part, owed) in inherited.parts.iter_mut().filter(|(it, _)| it.to == at) {
            let stays = match owed {
                Owed::Batch(_, tries) => tries.all > 0,
                Owed::Overflow => true,
                Owed::Consumer | Owed::Tee(_) => false,
            };
            if !stays {
                (part.to, part.depths[1], part.is_open) = (at + 1, 0, false);
                part.records += 1;
                has_had &= matches!(owed, Owed::Tee(_));
            }
        }
        let (next, records, _) = inherited.next;
        if next == at {
            inherited.next = (at + 1, records + 1, 0);
        }
        (inherited.end, inherited.end_depth) = (at + 1, 0);
        has_had
    }

    /// The beginning of what begins there: not the end of a record that was put there for others.
    pub(super) fn assert_begins(&self, at: u64) {
        assert!(!self.ended.contains(&(at as usize)), "an empty record");
    }
}
