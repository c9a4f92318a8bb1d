//! What lies in a spool's directory, by names and lengths alone: no payload is read.

use super::directory::Directory;
use super::error::DiskError;
use super::format::{base_of, names};
use crate::units::printable;

/// A segment as the directory shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub base: u64,
    pub len: u64,
    /// Bytes of its index, 0 if there is none.
    pub index_len: u64,
}

impl Seen {
    pub(crate) fn end(&self) -> u64 {
        self.base.saturating_add(self.len)
    }
}

/// What lies in the directory.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// In order.
    pub segments: Vec<Seen>,
    /// Indexes without a segment.
    pub orphans: Vec<String>,
    /// Files that were being made when a weir was ended.
    pub unfinished: Vec<String>,
    /// Parts that were cut out.
    pub aside: Vec<String>,
    pub has_state: bool,
    /// Something of ours, but for the lock.
    pub ours: bool,
    /// Something that is not ours.
    pub foreign: Option<String>,
}

/// What a file system keeps at the top of a disk: a disk of its own is a good place for a spool.
const OF_THE_DISK: &str = "lost+found";

impl Survey {
    pub(crate) fn of(directory: &Directory) -> Result<Survey, DiskError> {
        let failed = |error| DiskError::new("list", directory.path(), error);
        let mut survey = Survey::default();
        let mut bases = Vec::new();
        let mut indexes = Vec::new();
        for name in directory.names().map_err(failed)? {
            match base_of(&name) {
                Some(Ok(base)) => bases.push(base),
                Some(Err(base)) => indexes.push(base),
                None if name == OF_THE_DISK => {}
                None => survey.sort_in(name),
            }
        }
        bases.sort_unstable();
        for base in indexes {
            if bases.binary_search(&base).is_err() {
                survey.orphans.push(names(base).1);
            }
        }
        for base in bases {
            let (stream, index) = names(base);
            // One that goes while we look has been given back by the weir that owns the spool.
            let Ok(len) = directory.stat(&stream).map(|stat| size(stat.st_size)) else {
                continue;
            };
            let index_len = directory.stat(&index).map_or(0, |s| size(s.st_size));
            survey.segments.push(Seen {
                base,
                len,
                index_len,
            });
        }
        survey.ours |= !survey.segments.is_empty();
        Ok(survey)
    }

    /// A directory in which other things lie is left alone.
    pub(crate) fn refuse_foreign(directory: &Directory) -> Result<(), DiskError> {
        if directory.stat("state").is_ok() {
            return Ok(());
        }
        let survey = Survey::of(directory)?;
        match (survey.ours, &survey.foreign) {
            (false, Some(name)) => {
                let reason = format!(
                    "it is not a spool, and holds {}; name a new or an empty directory",
                    printable(name)
                );
                Err(DiskError::because(
                    "open the spool",
                    directory.path(),
                    reason,
                ))
            }
            _ => Ok(()),
        }
    }

    fn sort_in(&mut self, name: String) {
        match name.as_str() {
            "lock" => {}
            "state" => (self.has_state, self.ours) = (true, true),
            _ if name.starts_with("damaged-") => {
                self.ours = true;
                self.aside.push(name);
            }
            "state.new" => self.unfinished.push(name),
            _ if name
                .strip_suffix(".new")
                .is_some_and(|name| base_of(name).is_some()) =>
            {
                self.unfinished.push(name);
            }
            _ => self.foreign = Some(name),
        }
    }
}

fn size(len: i64) -> u64 {
    u64::try_from(len).unwrap_or(0)
}
