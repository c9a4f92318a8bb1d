//! What is wrong with a spool: said in one line, counted, and set aside as a file where it can be.

use std::fmt;

use rustix::io::Errno;

use super::directory::Directory;
use super::file::{read_at, write_all};
use super::sys;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Bytes are not what was written.
    Checksum,
    /// The system cannot read them.
    Unreadable,
    /// They are not there any more.
    Missing,
    /// They had not been forced to the disk when the system stopped.
    PowerCut,
    /// They had been delivered and given back, or were not on the disk yet, when the system stopped.
    Uncertain,
    /// Forcing them to the disk failed, and they could not be read back.
    SyncFailed,
    /// They are good, but a part of the record that they belong to is lost.
    Torn,
    /// They are delivered, but nothing is left to check them by.
    Index,
    /// The newest of its places are not to be read: what was delivered since may be repeated.
    OldState,
    /// It is not of this spool, whatever it says, and is kept under another name.
    Foreign,
    /// Where the outputs were is not known any more: they begin again with what is there.
    State,
}

/// A part of a spool that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Damage {
    pub cause: Cause,
    /// The file.
    pub file: String,
    /// Offset in the stream.
    pub at: u64,
    /// Bytes that will not be delivered (with [`Cause::Index`]: that are delivered unchecked).
    pub bytes: u64,
    /// Records that end in them, as far as is known.
    pub records: u64,
    /// Whether that is all of them.
    pub is_counted: bool,
    /// The file in which the bytes are kept.
    pub aside: Option<String>,
    /// It has been found, and said, before.
    pub known: bool,
}

impl Damage {
    pub(crate) fn new(cause: Cause, file: &str, at: u64, bytes: u64, records: u64) -> Damage {
        Damage {
            cause,
            file: file.to_owned(),
            at,
            bytes,
            records,
            is_counted: true,
            aside: None,
            known: false,
        }
    }

    /// So many records end in it; `None`: that is not known.
    pub(super) fn count(&mut self, records: Option<u64>) {
        self.is_counted = records.is_some();
        self.records = records.unwrap_or(0);
    }

    /// Whether it is the same part of the same file.
    pub(crate) fn is_same(&self, other: &Damage) -> bool {
        let what = |it: &Damage| (it.cause, it.at, it.bytes);
        what(self) == what(other) && self.file == other.file
    }

    /// Whether all the same every byte is delivered once, as it came, as far as is known.
    pub(crate) fn is_harmless(&self) -> bool {
        matches!(self.cause, Cause::Uncertain | Cause::Foreign)
    }

    /// Whether bytes of the stream are lost by it.
    pub(crate) fn is_loss(&self) -> bool {
        !matches!(
            self.cause,
            Cause::Uncertain | Cause::Index | Cause::Foreign | Cause::State | Cause::OldState
        )
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Damage {
            file, at, bytes, ..
        } = self;
        match self.cause {
            Cause::State => {
                return write!(
                    f,
                    "{file} is damaged: all that the spool holds is delivered again"
                );
            }
            Cause::OldState => {
                return write!(
                    f,
                    "{file} is damaged: what was delivered last may be delivered again"
                );
            }
            Cause::Foreign => {
                let aside = self.aside.as_deref().unwrap_or("it");
                return write!(
                    f,
                    "{file} is not of this spool, and is not used: {aside} is kept"
                );
            }
            Cause::Index => {
                return write!(
                    f,
                    "{file} is damaged: {bytes} bytes at {at} are delivered unchecked"
                );
            }
            _ => {}
        }
        if self.cause == Cause::Uncertain {
            return write!(
                f,
                "{file}: {bytes} bytes at {at} were delivered already or are lost: the system stopped \
                 before that was on the disk"
            );
        }
        write!(f, "{file}: {bytes} bytes at {at} are lost: ")?;
        f.write_str(match self.cause {
            Cause::Checksum => "they are not what was written",
            Cause::Unreadable => "the disk cannot read them",
            Cause::PowerCut => "they were not on the disk yet when the system stopped",
            Cause::SyncFailed => "the disk did not take them",
            Cause::Torn => "they belong to records of which a part is lost",
            _ => "they are not there any more",
        })?;
        match &self.aside {
            Some(aside) => write!(f, "; what is left of them is in {aside}"),
            None => Ok(()),
        }
    }
}

/// Keeps bytes that are cut out at that offset as a file; its name, if that could be done.
pub(crate) fn set_aside(directory: &Directory, at: u64, bytes: &[u8]) -> Option<String> {
    set_aside_with_room(directory, at, bytes).ok()?
}

/// The same, where a full disk is waited for.
///
/// # Errors
/// When the disk is full.
pub(crate) fn set_aside_with_room(
    directory: &Directory,
    at: u64,
    bytes: &[u8],
) -> Result<Option<String>, Errno> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let name = format!("damaged-{at:020}");
    // One that is there was cut out at the same place before; nothing is written over.
    let made = directory.create(&name).and_then(|file| {
        write_all(&file, bytes, 0).inspect_err(|_| {
            let _ = directory.remove(&name);
        })
    });
    match made {
        Ok(()) => Ok(Some(name)),
        // By a try for which the disk was too full after that.
        Err(Errno::EXIST) if is_kept(directory, &name, bytes) => Ok(Some(name)),
        Err(error) if sys::is_full(error) => Err(error),
        Err(_) => Ok(None),
    }
}

/// Whether these bytes, and no others, are kept under this name.
fn is_kept(directory: &Directory, name: &str, bytes: &[u8]) -> bool {
    let mut kept = vec![0; bytes.len() + 1];
    let file = directory.read_file(name).ok();
    let read = file.and_then(|file| read_at(&file, &mut kept, 0).ok());
    read.is_some_and(|n| kept[..n] == *bytes)
}

/// What is found by each try is there once.
pub(super) fn each_once(found: &mut Vec<Damage>) {
    for damage in std::mem::take(found) {
        if !found.iter().any(|it| it.is_same(&damage)) {
            found.push(damage);
        }
    }
}
