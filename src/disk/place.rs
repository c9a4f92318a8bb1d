//! A place in a spool's stream.

/// How far an output has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Place {
    /// Offset in the stream of the next byte that it is owed.
    pub at: u64,
    /// Number of the record that this byte belongs to.
    pub record: u64,
    /// Bytes of that record before it.
    pub begun: u64,
}

impl Place {
    /// Where the record begins that it is inside of.
    pub(crate) fn begun_anew(self) -> Place {
        Place {
            at: self.at.saturating_sub(self.begun),
            begun: 0,
            ..self
        }
    }

    /// What comes next begins a record, whether or not the last one has an end.
    pub(crate) fn between_records(self) -> Place {
        Place {
            record: self.record + u64::from(self.begun > 0),
            begun: 0,
            ..self
        }
    }
}
