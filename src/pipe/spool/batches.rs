//! What is written down of batches: before a program is run with one, and when it has ended.
//!
//! Invariant: a batch that comes again has the name that it had, and one that is known to have been dealt with does not.

use super::SpoolStore;
use super::inherit::{UseBy, entry};
use crate::disk::error::DiskError;
use crate::disk::journal::{Entry, Journal};
use crate::engine::ticket::{Settled, Ticket, Untried};

impl SpoolStore {
    /// A program is about to be run with this batch. Says by which name it is known, and whether an earlier run of weir
    /// has had it.
    pub(in crate::pipe) fn begin_batch(
        &self,
        ticket: &Ticket,
        ahead: &[Untried],
    ) -> Result<(String, bool), DiskError> {
        let (identity, opening) = self.opening;
        let entry = |number, tries, stretch| entry(number, tries, stretch, opening);
        let ahead = ahead.iter().map(|it| entry(it.number, 0, &it.stretch));
        let ahead: Vec<Entry> = ahead.collect();
        let mut entry = entry(ticket.number, ticket.trial, &ticket.stretch);
        self.spool.change_journal(&self.consumer.name, |journal| {
            journal.close(&ahead);
            entry = journal.begin(entry);
        })?;
        let name = format!("{identity:016x}-{}-{}", entry.opening, entry.number);
        Ok((name, entry.opening != opening))
    }

    /// That is what has become of this batch.
    pub(in crate::pipe) fn end_try(&self, number: u64, how: Settled) -> Result<(), DiskError> {
        let UseBy::Batches { sheds_to_file } = self.use_by else {
            return Ok(());
        };
        self.spool
            .change_journal(&self.consumer.name, |journal| match how {
                Settled::Interrupted => journal.interrupt(number),
                Settled::GivenBack(tries) => journal.give_back(number, tries),
                Settled::Shed if sheds_to_file => journal.shed(number),
                Settled::Shed | Settled::Acknowledged => journal.remove(number),
            })
    }

    /// The file for what is shed has what lies between these offsets.
    pub(in crate::pipe) fn on_shed_written(&self, from: u64, to: u64) -> Result<(), DiskError> {
        let change = |journal: &mut Journal| journal.on_shed_written(from, to);
        self.spool.change_journal(&self.consumer.name, change)
    }
}
