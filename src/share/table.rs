//! What the members of a share have in common: a table of words that each changes by itself.
//!
//! Who is a member, the rules that are in force, and whose turn it is. Every word is changed at once,
//! by one store or by compare-and-swap, and nobody ever waits for another one to finish something: a
//! member may be stopped or killed between any two instructions.
//!
//! Invariant: the cell that [`CURRENT`] points to is never written. A member writes rules only into
//! the two cells of its own slot, into the one that is not current, and points to it afterwards; each
//! pointing has a number of its own, so that a reader who finds the same pointer before and after has
//! read rules that belong together.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::rules::Rules;
use crate::engine::limiter::Burst;
use crate::units::{Rate, Unit};

/// Words of the whole table.
pub(crate) const WORDS: usize = 8192;
/// The first words say what the table is; see [`file`](super::file).
pub(super) const HEADER: usize = 4;
/// Points to the rules in force.
const CURRENT: usize = 8;
/// When the next turn begins; see [`turn`](super::turn). It has a cache line of its own.
pub(super) const TURN: usize = 16;
pub(super) const FIRST_SLOT: usize = 24;
pub(super) const SLOT_WORDS: usize = 8;
/// Members that there is room for.
pub(crate) const SLOTS: usize = (WORDS - FIRST_SLOT) / SLOT_WORDS;
/// Words of one set of rules.
const CELL_WORDS: usize = 3;
/// Set in the word of a burst that is a duration in nanoseconds, not a number of units.
const IS_TIME: u64 = 1 << 63;

/// Words that several processes change.
pub(crate) trait Words {
    /// The word with this number, below [`WORDS`].
    fn word(&self, index: usize) -> &AtomicU64;
}

impl<W: Words> Words for Arc<W> {
    fn word(&self, index: usize) -> &AtomicU64 {
        W::word(self, index)
    }
}

/// How many members there are, without those who have gone without leaving.
pub(crate) fn members(words: &impl Words, is_gone: impl Fn(Who) -> bool) -> usize {
    let ids = (0..SLOTS).map(|slot| words.word(id_of(slot)).load(SeqCst));
    ids.filter_map(NonZeroU64::new)
        .filter(|id| !is_gone(Who(*id)))
        .count()
}

impl Rules {
    fn to_words(self) -> [u64; CELL_WORDS] {
        let burst = match self.burst {
            Burst::Units(n) => n.min(IS_TIME - 1),
            Burst::Worth(time) => {
                let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
                IS_TIME | nanos.min(IS_TIME - 1)
            }
        };
        [self.rate.amount().get(), self.rate.per_nanos().get(), burst]
    }

    /// `None` where no rules are, or something else has written there.
    fn from_words([amount, per, burst]: [u64; CELL_WORDS], unit: Unit) -> Option<Rules> {
        let rate = Rate::new(NonZeroU64::new(amount)?, NonZeroU64::new(per)?, unit);
        let burst = if burst & IS_TIME == 0 {
            Burst::Units(burst)
        } else {
            Burst::Worth(Duration::from_nanos(burst & !IS_TIME))
        };
        Some(Rules { rate, burst })
    }
}

/// Which rules are in force: a number that only grows, a slot, and one of its two cells. Zero: none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Current(u64);

impl Current {
    /// The rules of nobody.
    pub(crate) const NONE: Current = Current(0);

    /// How many rules there have been, as far as the turns' word has room for it.
    pub(super) fn tag(self) -> u8 {
        (self.0 >> 16) as u8
    }

    /// Whether an earlier one's tag can still be told from this one's.
    pub(super) fn is_soon_after(self, earlier: Current) -> bool {
        let between = (self.0 >> 16).wrapping_sub(earlier.0 >> 16);
        earlier != Current::NONE && between <= u64::from(u8::MAX)
    }

    fn slot(self) -> usize {
        usize::from(self.0 as u16 >> 1)
    }

    fn cell(self) -> usize {
        usize::from(self.0 as u16 & 1)
    }

    fn next(self, slot: usize, cell: usize) -> Current {
        Current(((self.0 >> 16).wrapping_add(1).max(1) << 16) | (slot as u64) << 1 | cell as u64)
    }
}

/// A process: its PID, and when it started, for numbers are used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Who(NonZeroU64);

impl Who {
    /// This process, started at that time in whatever unit the system counts it.
    pub(crate) fn new(pid: u32, started: u32) -> Option<Who> {
        NonZeroU64::new(u64::from(pid) << 32 | u64::from(started)).map(Who)
    }

    /// Its PID.
    pub(crate) fn pid(self) -> u32 {
        (self.0.get() >> 32) as u32
    }

    /// When it started.
    pub(crate) fn started(self) -> u32 {
        self.0.get() as u32
    }
}

/// The turn's word before and after a member has reserved a turn that it has not used.
type Reserved = Arc<Mutex<Option<(u64, u64)>>>;

/// One member's hold on the table.
#[derive(Debug)]
pub(crate) struct Member<W: Words> {
    words: W,
    unit: Unit,
    slot: usize,
    who: Who,
    reserved: Reserved,
}

/// What it takes to leave, whoever holds the member.
#[derive(Debug)]
pub(crate) struct Leave<W: Words> {
    words: W,
    slot: usize,
    who: Who,
    reserved: Reserved,
}

impl<W: Words> Leave<W> {
    /// Ends the membership, unless somebody has taken the member for dead and its place. A turn that was not used is for
    /// whoever comes next, unless somebody has reserved one behind it.
    pub(crate) fn leave(&self) {
        let word = self.words.word(id_of(self.slot));
        let left = word.compare_exchange(self.who.0.get(), 0, SeqCst, SeqCst);
        let reserved = self.reserved.lock();
        let reserved = reserved.unwrap_or_else(PoisonError::into_inner).take();
        if let Some((before, after)) = reserved.filter(|_| left.is_ok()) {
            let turn = self.words.word(TURN);
            let _ = turn.compare_exchange(after, before, SeqCst, SeqCst);
        }
    }

    /// The table.
    pub(crate) fn words(&self) -> &W {
        &self.words
    }
}

impl<W: Words> Member<W> {
    /// Takes a slot that is free, or that of somebody who `is_gone`. `None`: there is none.
    pub(crate) fn join(
        words: W,
        unit: Unit,
        who: Who,
        is_gone: impl Fn(Who) -> bool,
    ) -> Option<Member<W>> {
        let take = |slot: usize, may: &dyn Fn(u64) -> bool| {
            let word = words.word(id_of(slot));
            let old = word.load(SeqCst);
            may(old)
                && word
                    .compare_exchange(old, who.0.get(), SeqCst, SeqCst)
                    .is_ok()
        };
        let gone = |id: u64| NonZeroU64::new(id).is_some_and(|id| is_gone(Who(id)));
        let slot = (0..SLOTS)
            .find(|slot| take(*slot, &|id| id == 0))
            .or_else(|| (0..SLOTS).find(|slot| take(*slot, &gone)))?;
        Some(Member {
            words,
            unit,
            slot,
            who,
            reserved: Reserved::default(),
        })
    }

    /// How to leave while somebody else holds the member.
    pub(crate) fn leave(&self) -> Leave<W>
    where
        W: Clone,
    {
        Leave {
            words: self.words.clone(),
            slot: self.slot,
            who: self.who,
            reserved: Arc::clone(&self.reserved),
        }
    }

    /// An earlier membership of this process may still be listed here: it is over.
    pub(super) fn end_earlier(&self, earlier: &Member<W>)
    where
        W: Clone,
    {
        if earlier.slot != self.slot {
            let (slot, who) = (earlier.slot, earlier.who);
            let words = self.words.clone();
            let reserved = Reserved::default();
            let leave = Leave {
                words,
                slot,
                who,
                reserved,
            };
            leave.leave();
        }
    }

    /// The table.
    pub(super) fn words(&self) -> &W {
        &self.words
    }

    /// Whether the table still says that this slot is this member's.
    pub(super) fn is_listed(&self) -> bool {
        self.words.word(id_of(self.slot)).load(SeqCst) == self.who.0.get()
    }

    /// The word that says when the next turn begins.
    pub(super) fn turn(&self) -> &AtomicU64 {
        self.words.word(TURN)
    }

    /// What the turn's word was before and after this member has reserved a turn; nothing, when it has used that.
    pub(super) fn note_reserved(&self, reserved: Option<(u64, u64)>) {
        let note = self.reserved.lock();
        *note.unwrap_or_else(PoisonError::into_inner) = reserved;
    }

    /// Which rules are in force.
    pub(crate) fn current(&self) -> Current {
        Current(self.words.word(CURRENT).load(SeqCst))
    }

    /// The rules in force, and which those are; none where nobody has said any, or what is there makes
    /// no sense.
    pub(crate) fn rules(&self) -> (Current, Option<Rules>) {
        loop {
            let current = self.current();
            let rules = self.read(current);
            if self.current() == current {
                return (current, rules);
            }
        }
    }

    fn read(&self, current: Current) -> Option<Rules> {
        if current == Current::NONE || current.slot() >= SLOTS {
            return None;
        }
        let first = cell_of(current.slot(), current.cell());
        let word = |n: usize| self.words.word(first + n).load(SeqCst);
        Rules::from_words([word(0), word(1), word(2)], self.unit)
    }

    /// Puts these rules in force for all, unless they are already. Says which they have replaced.
    pub(crate) fn publish(&mut self, rules: Rules) -> Option<(Current, Rules)> {
        loop {
            let (current, old) = self.rules();
            if old == Some(rules) {
                return None;
            }
            let taken = current.slot() == self.slot && current.cell() == 0;
            let cell = usize::from(taken);
            for (n, value) in rules.to_words().into_iter().enumerate() {
                let word = self.words.word(cell_of(self.slot, cell) + n);
                word.store(value, SeqCst);
            }
            let next = current.next(self.slot, cell);
            let word = self.words.word(CURRENT);
            let swapped = word.compare_exchange(current.0, next.0, SeqCst, SeqCst);
            if swapped.is_ok() {
                return old.map(|old| (current, old));
            }
        }
    }
}

fn id_of(slot: usize) -> usize {
    FIRST_SLOT + slot * SLOT_WORDS
}

fn cell_of(slot: usize, cell: usize) -> usize {
    id_of(slot) + 1 + cell * CELL_WORDS
}
