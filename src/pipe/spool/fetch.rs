//! What is read back for an output, and what it passes of what is lost.

use std::io;

use crossbeam_channel::Sender;

use super::super::event::Event;
use super::super::read_back::{Lost, Part};
use super::{SpoolStore, UseBy, lock, report};
use crate::engine::on_disk::Load;

impl SpoolStore {
    /// Reads back what the output of this number asks for, or the first part of it. What is damaged is said.
    pub(in crate::pipe) fn fetch(
        &self,
        who: usize,
        load: &mut Load,
        events: &Sender<Event>,
    ) -> io::Result<()> {
        let mut reader = lock(&self.reader);
        let part = reader.read(&self.spool, who, load);
        report(&reader.take_said(), None, events);
        drop(reader);
        match part.map_err(io::Error::other)? {
            Part::Bytes(range) => load.read(range),
            Part::Lost(lost) => {
                let is_first = load.offset == lost.range.start;
                let known = if is_first { lost.records } else { 0 };
                let records = self.skip(who, &lost)?.unwrap_or(known);
                load.lose(lost.range.end - load.offset, records);
            }
            // The log has let go of it, too.
            Part::Gone => {}
            Part::End => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
        Ok(())
    }

    /// What is lost is nothing that this output still waits for. The records that are lost to it, if it is about to pass
    /// them.
    fn skip(&self, who: usize, lost: &Lost) -> io::Result<Option<u64>> {
        let Some(holder) = self.holder(who) else {
            return Ok(None);
        };
        if self.use_by == UseBy::Workers && holder.nth.is_none() {
            let mut dealt = lock(&self.dealt);
            let Lost { range, records, .. } = lost;
            dealt.lose(range.start, range.end, *records, lost.next);
            self.save_dealt(dealt).map_err(io::Error::other)?;
            return Ok(None);
        }
        let Some((place, records)) = holder.skip(lost) else {
            return Ok(None);
        };
        let saved = self.spool.set_place(&holder.name, place);
        saved.map_err(io::Error::other)?;
        Ok(Some(records))
    }
}
