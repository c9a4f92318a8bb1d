//! The memory that the books of records in lanes take, beside the records, and when it is too much.

use super::output::Output;
use super::state::Engine;

/// The books may take so many bytes beside what is held, however small the buffer is.
const BOOKS_LEAST: u64 = if cfg!(test) { 32 << 10 } else { 1 << 20 };
/// So much of what records left behind that were dropped, and is about to be used again, may come on top.
const GAPS_MOST: u64 = BOOKS_LEAST;
/// What falls free at once when gaps are closed: so manieth a part of the buffer, about. Kept, it is a third of the page faults;
/// where gaps are closed all the time the peak of memory is the same as with nothing, else it is higher by as much at most.
const GAPS_CLOSED: u64 = 8;

impl Engine {
    /// Whether what is held takes with its books all the memory that the buffer may use: of records that are short, or
    /// of which some were dropped here and there, it holds less than that. Gaps that are about to be closed are no part of it.
    #[inline]
    pub(super) fn has_full_books(&self) -> bool {
        self.has_lanes() && self.occupancy() > 0 && self.are_books_full()
    }

    fn are_books_full(&self) -> bool {
        let over = self.over_books();
        // Gaps are closed while more is read. Not to wait for that would drop record after record, and free nothing.
        let most = GAPS_MOST.min(self.capacity as u64 / 4);
        over > 0 && over > self.gaps().min(most)
    }

    /// Bytes by which memory, books included, is more than it may be.
    pub(super) fn over_books(&self) -> u64 {
        self.with_books()
            .saturating_sub(self.capacity as u64 + BOOKS_LEAST)
    }

    /// Bytes of memory that what is held takes, books included.
    fn with_books(&self) -> u64 {
        let held = self.log.in_memory().saturating_sub(self.apart());
        held + self.all_books()
    }

    /// Bytes of free memory that are more than what is held leaves with its books, and than is worth keeping: they were
    /// used before there was so much in the books. What falls free when gaps are closed is used until they are again:
    /// given up, it would only be mapped anew.
    pub(super) fn over_memory(&self) -> u64 {
        let most = self.capacity as u64 + BOOKS_LEAST + self.capacity as u64 / GAPS_CLOSED;
        let most = most.saturating_sub(self.with_books());
        self.log.free_memory().saturating_sub(most)
    }

    /// Bytes that the books of all take who hold the flow up.
    pub(super) fn all_books(&self) -> u64 {
        self.holders().map(|(_, output)| output.books()).sum()
    }
}

impl Output {
    /// Bytes that the books of its records take, about.
    pub(super) fn books(&self) -> u64 {
        self.lanes
            .as_ref()
            .map_or(0, |books| books.lanes.books() as u64 + self.queue.books())
    }

    /// Whether what it is owed takes with its books more memory than `most` bytes.
    pub(super) fn outgrows(&self, most: u64) -> bool {
        let books = self.books();
        books > 0 && self.queue.owed() + books > most + BOOKS_LEAST
    }
}
