//! A spool that has been put right, and all that it is made of: its state, its segments, and who writes to them.
//!
//! Nothing is found or mended here. What may not have reached the disk is handed to whoever forces it there; where there
//! are more of such segments than may be held open, the oldest are forced at once.

use std::sync::Arc;

use super::damage::Damage;
use super::directory::Directory;
use super::error::DiskError;
use super::format::{IndexHeader, names};
use super::lock::Lock;
use super::room::{Room, pages};
use super::schedule::Policy;
use super::segments::{Held, Segment, Segments};
use super::spool::{Spool, SpoolOptions};
use super::state::Place;
use super::state_file::StateFile;
use super::survey::Seen;
use super::sys;
use super::writer::{Unsynced, Writer};

/// A spool that has been opened.
#[derive(Debug)]
pub(crate) struct Opened {
    pub spool: Spool,
    /// What was found not to be as it was. What no reader has come to may still be damaged.
    pub damages: Vec<Damage>,
    /// Where the oldest byte is that is still there; the end of the stream if there is none.
    pub oldest: Place,
}

/// All that a spool is made of.
pub(super) struct Ready {
    state: StateFile,
    segments: Segments,
    room: Room,
    header: IndexHeader,
    unsynced: Vec<Unsynced>,
    end: Place,
    trusted: u64,
    oldest: Place,
    /// There was no room for the end of the last record.
    pub(super) end_is_due: bool,
}

impl Ready {
    /// Of segments that are as they should be; what may not have been forced to the disk will be, or is now. `places`: where
    /// the stream ends, up to where it is believed without a look, and where it begins.
    pub(super) fn new(
        directory: &Directory,
        options: &SpoolOptions,
        state: StateFile,
        seen: &[Seen],
        header: IndexHeader,
        (end, trusted, oldest): (Place, u64, Place),
    ) -> Result<Ready, DiskError> {
        let segments = Segments::default();
        let room = Room::new(options.bound);
        let mut unsynced = Vec::new();
        // Each takes two descriptors, and after a run that forced nothing there may be many.
        let held = seen.len().saturating_sub(options.held_most);
        for (nth, seen) in seen.iter().enumerate() {
            let (stream, index) = names(seen.base);
            let path = directory.path_of(&stream);
            let segment = Arc::new(Segment::named(seen.base, seen.len, path, None));
            segment.charge(pages(seen.index_len));
            room.count(segment.charged());
            // The same as when it is looked at after another start.
            if seen.end() >= state.state.synced && options.policy != Policy::Off {
                if nth < held && force(directory, &stream, &index) {
                    segments.insert(segment);
                    continue;
                }
                let failed = |name: &str, e| DiskError::new("open", &directory.path_of(name), e);
                let stream_file = directory.open_file(&stream);
                let stream_file = stream_file.map_err(|error| failed(&stream, error))?;
                // One that is gone costs nothing but what it knew.
                let index_file = directory.open_or_create(&index);
                let index_file = index_file.map_err(|error| failed(&index, error))?;
                let files = Held {
                    stream: Arc::new(stream_file),
                    index: Arc::new(index_file),
                };
                unsynced.push(Unsynced::new(Arc::clone(&segment), files));
            }
            segments.insert(segment);
        }
        Ok(Ready {
            state,
            segments,
            room,
            header,
            unsynced,
            end,
            trusted,
            oldest,
            end_is_due: false,
        })
    }

    pub(super) fn assemble(
        self,
        directory: Directory,
        lock: Lock,
        options: &SpoolOptions,
        damages: Vec<Damage>,
    ) -> Opened {
        let mut writer = Writer::new(
            self.header,
            options.framing,
            self.end,
            options.policy,
            options.held_most,
        );
        let dirty = !self.unsynced.is_empty();
        writer.unsynced = self.unsynced;
        writer.end_is_due = self.end_is_due;
        let (room, segments, state) = (self.room, self.segments, self.state);
        let spool = Spool::assemble(directory, lock, room, segments, writer, state, self.trusted);
        if dirty {
            spool.wakeup.note_due();
        }
        for damage in &damages {
            spool.count_loss(damage);
        }
        Opened {
            spool,
            damages,
            oldest: self.oldest,
        }
    }
}

/// Forces a segment to the disk now; whether that has worked.
fn force(directory: &Directory, stream: &str, index: &str) -> bool {
    [stream, index].into_iter().all(|name| {
        let file = directory.open_file(name);
        file.and_then(|file| sys::force(&file)).is_ok()
    })
}
