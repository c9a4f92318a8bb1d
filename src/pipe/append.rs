//! A file to which whole records are appended, beside others who may append to it too.
//!
//! Invariants: nothing is ever cut off the file, for what is at its end may be somebody else's; a
//! batch goes out in one call, which the system does not let others divide. Room for a batch is
//! taken beforehand where the file system can do that, so that a full disk is met before a record
//! is torn. One that is torn all the same is mended: its rest goes out before the next batch,
//! unless others have appended behind the first half, which can then only stay. A last record
//! that somebody has left without its end gets it before the first of ours.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{OFlags, fcntl_getfl, tell};

use super::error::PipeError;
use super::fd::Port;
use crate::engine::record::{Cursor, Framing};

/// The file.
#[derive(Debug)]
pub(crate) struct Appended {
    file: File,
    name: String,
    framing: Option<Framing>,
    torn: Option<Torn>,
    is_untouched: bool,
}

/// A record of which the file has a part.
#[derive(Debug)]
struct Torn {
    rest: Vec<u8>,
    /// The length of a file that ends with that part.
    behind: u64,
}

impl Appended {
    /// Opens the file, and makes it if need be. What is appended are records of this kind.
    ///
    /// # Errors
    /// When that cannot be done.
    pub(crate) fn open(path: &Path, framing: Option<Framing>) -> Result<Appended, PipeError> {
        let name = path.display().to_string();
        let file = open_to_append(path)?;
        let torn = torn_by_others(path, framing);
        Ok(Appended {
            file,
            name,
            framing,
            torn,
            is_untouched: true,
        })
    }

    /// Its name for messages.
    #[must_use]
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What ends a record, if one byte does.
    pub(crate) fn terminator(&self) -> Option<u8> {
        match self.framing {
            Some(Framing::Terminator(end)) => Some(end),
            _ => None,
        }
    }

    /// The length of the whole records at the beginning of these bytes.
    #[must_use]
    pub(crate) fn whole(&self, bytes: &[u8]) -> usize {
        let mut cursor = Cursor::new(self.framing);
        cursor.pass(bytes);
        bytes.len() - usize::try_from(cursor.depth()).unwrap_or(0)
    }

    /// Appends whole records. After an error some of the first of them may be there.
    ///
    /// # Errors
    /// When not all of them could be written.
    pub(crate) fn append(&mut self, records: &[u8]) -> Result<(), PipeError> {
        if records.is_empty() && (self.torn.is_none() || self.is_untouched) {
            return Ok(());
        }
        let written = self.append_by(records, |file, bytes| (&*file).write(bytes));
        written.map_err(|e| PipeError::new("write", &self.name, e))
    }

    /// Writes what is left of a torn record, and closes the file: some file systems tell of a full
    /// disk only then.
    ///
    /// # Errors
    /// What writing or close(2) tells.
    pub(crate) fn close(mut self) -> Result<(), PipeError> {
        let mended = self.append(&[]);
        let closed = nix::unistd::close(self.file);
        mended.and(closed.map_err(|e| PipeError::new("close", &self.name, e)))
    }

    fn append_by(
        &mut self,
        records: &[u8],
        mut write: impl FnMut(&File, &[u8]) -> io::Result<usize>,
    ) -> io::Result<()> {
        self.is_untouched = false;
        let torn = self.torn.take();
        let torn = torn.filter(|torn| self.len().is_some_and(|len| len == torn.behind));
        let rest = torn.as_ref().map_or(&[][..], |torn| &torn.rest);
        let all = [rest, records].concat();
        if let Err(e) = self.take_room(all.len()) {
            self.torn = torn;
            return Err(e);
        }
        let mut done = 0;
        while done < all.len() {
            match write(&self.file, &all[done..]) {
                Ok(n @ 1..) => done += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                failed => {
                    self.torn = self.torn_at(&all, rest.len(), done);
                    return Err(failed.err().unwrap_or(io::ErrorKind::WriteZero.into()));
                }
            }
        }
        Ok(())
    }

    /// The record that is torn if this much of `all` is written, of which the first bytes are the
    /// rest of one.
    fn torn_at(&self, all: &[u8], rest: usize, done: usize) -> Option<Torn> {
        let end = if done < rest {
            rest
        } else {
            let mut cursor = Cursor::new(self.framing);
            cursor.pass(&all[rest..done]);
            if !cursor.is_inside() {
                return None;
            }
            done + cursor.reach(&all[done..], 0)
        };
        Some(Torn {
            rest: all[done..end].to_vec(),
            behind: self.len()?,
        })
    }

    /// The length of a regular file.
    fn len(&self) -> Option<u64> {
        let data = self.file.metadata().ok()?;
        data.is_file().then_some(data.len())
    }

    /// Takes room on the disk for so many bytes more, without making the file longer.
    #[cfg(target_os = "linux")]
    fn take_room(&self, bytes: usize) -> io::Result<()> {
        use rustix::fs::{FallocateFlags, fallocate};
        use rustix::io::Errno;
        let Some(len) = self.len() else {
            return Ok(());
        };
        match fallocate(&self.file, FallocateFlags::KEEP_SIZE, len, bytes as u64) {
            Err(e @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => Err(e.into()),
            // Not every file system can.
            _ => Ok(()),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn take_room(&self, _bytes: usize) -> io::Result<()> {
        Ok(())
    }
}

/// Opens a file to append to it, and makes it if need be. A FIFO is waited for.
///
/// # Errors
/// When that cannot be done.
pub(crate) fn open_to_append(path: &Path) -> Result<File, PipeError> {
    let open = OpenOptions::new().append(true).create(true).open(path);
    open.map_err(|e| PipeError::to_write_to(path, e))
}

/// What the last record of a file lacks that ends without its terminator.
fn torn_by_others(path: &Path, framing: Option<Framing>) -> Option<Torn> {
    let Some(Framing::Terminator(end)) = framing else {
        return None;
    };
    // A FIFO would wait for somebody.
    let data = path.metadata().ok().filter(Metadata::is_file)?;
    let file = File::open(path).ok()?;
    let mut last = [0];
    file.read_exact_at(&mut last, data.len().checked_sub(1)?)
        .ok()?;
    (last != [end]).then(|| Torn {
        rest: vec![end],
        behind: data.len(),
    })
}

/// What comes next for this output begins a record. Where a weir that was killed has left a part of one at the end of the
/// file that it is, which can be read by this path, that gets an end of its own. One that cannot be read is taken as it
/// is. Of records of a fixed size nothing is touched: what is a part of one and what has been there all the time cannot be
/// told apart.
///
/// # Errors
/// When the file cannot be looked at or written to.
pub(crate) fn end_torn(
    output: &mut Port,
    path: &Path,
    framing: Option<Framing>,
) -> Result<(), PipeError> {
    let end = match framing {
        Some(Framing::Terminator(end)) if output.is_file() => end,
        _ => return Ok(()),
    };
    let ended = match last_byte(output, path) {
        Ok(Some(last)) if last != end => output.write_now(&[&[end]]).map(drop).map_err(Into::into),
        looked => looked.map(drop),
    };
    ended.map_err(|e| PipeError::new("write", output.name(), e))
}

/// The end of a file behind which what is written next comes.
#[derive(Debug)]
pub(crate) struct Tail {
    file: File,
    /// 0 where what is written next comes elsewhere.
    length: u64,
}

impl Tail {
    /// The end of the file that this output is, which can be read by this path; `None` where it cannot be looked at.
    pub(crate) fn of(output: &Port, path: &Path) -> Option<Tail> {
        if !output.is_file() {
            return None;
        }
        let file = File::open(path).ok()?;
        let length = file.metadata().ok()?.len();
        let appends = fcntl_getfl(output).ok()?.contains(OFlags::APPEND);
        let is_behind = appends || tell(output).ok()? == length;
        let length = if is_behind { length } else { 0 };
        Some(Tail { file, length })
    }

    /// Reads what begins so far before the end; whether all of it is there.
    pub(crate) fn read(&self, before: u64, into: &mut [u8]) -> bool {
        let at = self.length.checked_sub(before);
        at.is_some_and(|at| self.file.read_exact_at(into, at).is_ok())
    }
}

/// The last byte of a file, where what is written next comes behind it.
fn last_byte(output: &Port, path: &Path) -> io::Result<Option<u8>> {
    let file = match File::open(path) {
        Err(e) if matches!(e.kind(), ErrorKind::PermissionDenied | ErrorKind::NotFound) => {
            return Ok(None);
        }
        other => other?,
    };
    let length = file.metadata()?.len();
    let is_behind = fcntl_getfl(output)?.contains(OFlags::APPEND) || tell(output)? == length;
    if length == 0 || !is_behind {
        return Ok(None);
    }
    let mut last = [0];
    file.read_exact_at(&mut last, length - 1)?;
    Ok(Some(last[0]))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::num::NonZeroU64;

    use super::*;

    const LINES: Option<Framing> = Some(Framing::Terminator(b'\n'));

    /// What the file holds when the disk had room for this much of the first batch, then this
    /// happened, and then the disk had room again.
    fn after(
        framing: Option<Framing>,
        batches: [&str; 2],
        room: usize,
        between: impl FnOnce(&Path),
    ) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("shed");
        fs::write(&path, "before\n").expect("written");
        let mut file = Appended::open(&path, framing).expect("a file");
        let mut left = room;
        let full = file.append_by(batches[0].as_bytes(), |mut file, bytes| {
            let n = bytes.len().min(std::mem::take(&mut left));
            match n {
                0 => Err(io::ErrorKind::StorageFull.into()),
                n => file.write(&bytes[..n]),
            }
        });
        assert!(full.is_err(), "the disk was full");
        between(&path);
        file.append(batches[1].as_bytes()).expect("written");
        file.close().expect("closed");
        fs::read_to_string(&path).expect("text")
    }

    fn append_theirs(path: &Path) {
        let mut other = Appended::open(path, None).expect("a file");
        other.append(b"theirs\n").expect("written");
    }

    #[test]
    fn a_record_that_a_full_disk_has_torn_is_mended_when_there_is_room() {
        let fixed = NonZeroU64::new(4).map(Framing::Fixed);
        for (framing, batches, room, wanted) in [
            (
                LINES,
                ["one\ntwo\nthree\n", "four\n"],
                6,
                "one\ntwo\nfour\n",
            ),
            (LINES, ["one\ntwo\nthree\n", ""], 6, "one\ntwo\n"),
            (LINES, ["one\ntwo\n", "four\n"], 4, "one\nfour\n"),
            (LINES, ["one\ntwo\n", "four\n"], 0, "four\n"),
            (fixed, ["one.two.tre.", "for."], 5, "one.two.for."),
            (None, ["onetwo", "four"], 4, "onetfour"),
        ] {
            let text = after(framing, batches, room, |_| ());
            assert_eq!(text, format!("before\n{wanted}"), "{batches:?} {room}");
        }
    }

    #[test]
    fn a_record_that_somebody_has_left_without_its_end_gets_it_before_the_next() {
        for (before, records, wanted) in [
            ("a\nb", "c\n", "a\nb\nc\n"),
            ("a\nb\n", "c\n", "a\nb\nc\n"),
            ("", "c\n", "c\n"),
            ("a\nb", "", "a\nb"),
        ] {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("shed");
            fs::write(&path, before).expect("written");
            let mut file = Appended::open(&path, LINES).expect("a file");
            file.append(records.as_bytes()).expect("written");
            file.close().expect("closed");
            assert_eq!(fs::read_to_string(&path).expect("text"), wanted);
        }
    }

    #[test]
    fn what_others_have_appended_behind_half_a_record_stays_whole_and_gets_nothing_behind_it() {
        let text = after(LINES, ["one\ntwo\n", "four\n"], 6, append_theirs);
        assert_eq!(text, "before\none\ntwtheirs\nfour\n");
    }

    #[test]
    fn a_record_that_is_torn_twice_is_mended_all_the_same() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("shed");
        let mut file = Appended::open(&path, LINES).expect("a file");
        for (batch, mut left) in [("one\ntwo\n", 5), ("lost\n", 1), ("lost\n", 0)] {
            let full = file.append_by(batch.as_bytes(), |mut file, bytes| {
                match std::mem::take(&mut left).min(bytes.len()) {
                    0 => Err(io::ErrorKind::StorageFull.into()),
                    n => file.write(&bytes[..n]),
                }
            });
            assert!(full.is_err(), "the disk was full");
        }
        file.close().expect("closed");
        assert_eq!(fs::read_to_string(&path).expect("text"), "one\ntwo\n");
    }
}
