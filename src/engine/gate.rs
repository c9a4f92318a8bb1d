//! May the source be read, may the sink be fed: the watermarks.
//!
//! Invariant: reading stops when occupancy reaches the high mark and starts again at the low mark,
//! never in between, unless what is held is less than a record that nobody takes in parts. A prefill holds the output
//! until occupancy has reached it, and again each time
//! the buffer has run empty; it gives way when it can no longer be reached.

/// The marks, in bytes of occupancy: `low < high`, `prefill <= high`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marks {
    /// Occupancy at which reading stops.
    pub high: usize,
    /// Occupancy at which reading starts again.
    pub low: usize,
    /// Occupancy at which a held output is let go; 0 never holds it.
    pub prefill: usize,
}

/// The gate before the log and the one behind it.
#[derive(Debug)]
pub(crate) struct Gate {
    marks: Marks,
    /// Reading has stopped; it starts again at this occupancy.
    reopens_at: Option<usize>,
    /// The output is held until the prefill is reached.
    filling: bool,
}

impl Gate {
    /// A gate that is open to the source, and to the sink unless there is a prefill.
    #[must_use]
    pub(crate) fn new(marks: Marks) -> Gate {
        Gate {
            marks,
            reopens_at: None,
            filling: marks.prefill > 0,
        }
    }

    /// The marks in force.
    #[must_use]
    pub(crate) fn marks(&self) -> Marks {
        self.marks
    }

    /// Moves the marks under a running weir that holds `used` bytes. A closed gate stays closed down to the
    /// new low mark; an output that was let go stays let go until the next time.
    pub(crate) fn set(&mut self, marks: Marks, used: usize) {
        self.marks = marks;
        self.reopens_at = self.reopens_at.map(|_| marks.low);
        self.filling = self.filling && used < marks.prefill;
    }

    /// Tells the gate after each change what the consumer is owed, and the occupancy, which is what the output
    /// that is furthest behind is owed. `more` says whether more input may still come: without any, a
    /// prefill holds nothing back.
    pub(crate) fn on_occupancy(&mut self, used: usize, occupancy: usize, more: bool) {
        if occupancy >= self.marks.high {
            self.reopens_at = Some(self.marks.low);
        } else if self.reopens_at.is_some_and(|at| occupancy <= at) {
            self.reopens_at = None;
        }
        if used == 0 {
            self.filling = self.marks.prefill > 0;
        }
        if used >= self.marks.prefill || self.reopens_at.is_some() || !more {
            self.filling = false;
        }
    }

    /// Something was shed to make room: reading goes on at once.
    pub(crate) fn on_shed(&mut self, used: usize) {
        if used < self.marks.high {
            self.reopens_at = None;
        }
    }

    /// What is held waits for more to come, and cannot become less without: that is as low as it gets.
    pub(crate) fn reopen(&mut self) {
        self.reopens_at = None;
    }

    /// Closes the gate before the high mark is reached, for want of memory, until occupancy has
    /// halved (or fallen to the low mark).
    pub(crate) fn on_memory_short(&mut self, used: usize) {
        self.reopens_at = Some(self.marks.low.min(used / 2));
        self.filling = false;
    }

    /// Bytes that may be read now; 0 while the gate is closed.
    #[must_use]
    pub(crate) fn may_take(&self, used: usize) -> usize {
        match self.reopens_at {
            Some(_) => 0,
            None => self.marks.high.saturating_sub(used),
        }
    }

    /// Whether the high mark has stopped the source.
    #[must_use]
    pub(crate) fn is_closed(&self) -> bool {
        self.reopens_at.is_some()
    }

    /// Whether a prefill holds the output.
    #[must_use]
    pub(crate) fn is_filling(&self) -> bool {
        self.filling
    }
}
