//! The file in which the members of a share on one host meet, mapped into each of them: how it is made, what may be in it,
//! and how it is made good.
//!
//! Invariant: what lies under the name is complete, for it is written elsewhere and linked into place;
//! and it is only used if it is an ordinary file of this user's, of this layout, and of this boot of the
//! machine, since the clock in it starts anew with each. What is damaged, or of an earlier boot, is
//! replaced; what was cut short is filled up, for others may have it mapped; a layout of another version may be in use by
//! others, and is refused.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::AtomicU64;

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::geteuid;
use vm_memory::mmap::{MmapRegion, MmapRegionError};
use vm_memory::{FileOffset, VolatileMemory};

use super::fault::Guard;
use super::table::{HEADER, WORDS, Words};
use crate::units::Unit;

pub(super) const SIZE: usize = WORDS * size_of::<u64>();
/// The file begins with these and the version.
pub(super) const MAGIC: [u8; 4] = *b"weir";
/// Counts the layouts that there have been.
pub(super) const VERSION: u32 = 1;
/// For this user alone, whatever the umask.
const MODE: u32 = 0o600;

/// A mapped file of words.
#[derive(Debug)]
pub(crate) struct Mapped {
    /// Goes before what it guards.
    pub(super) guard: Guard,
    region: MmapRegion,
}

impl Words for Mapped {
    fn word(&self, index: usize) -> &AtomicU64 {
        // The region is a whole page at least, and its words are counted from its beginning.
        self.region
            .get_atomic_ref(index * size_of::<u64>())
            .expect("an aligned word inside the mapping")
    }
}

impl Mapped {
    pub(super) fn file(&self) -> Option<&File> {
        self.region.file_offset().map(FileOffset::file)
    }

    /// Whether others find this file under some name, and its size.
    pub(super) fn is_found(&self) -> (bool, u64) {
        let data = self.file().and_then(|file| file.metadata().ok());
        data.map_or((true, SIZE as u64), |data| (data.nlink() > 0, data.len()))
    }
}

/// What a file of this layout, unit and boot begins with.
pub(super) fn header(unit: Unit) -> [u64; HEADER] {
    let [a, b, c, d] = MAGIC;
    let [e, f, g, h] = VERSION.to_le_bytes();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits = boot.chars().filter_map(|c| c.to_digit(16)).take(32);
    let boot = digits.fold(0u128, |sum, digit| sum << 4 | u128::from(digit));
    let unit = match unit {
        Unit::Bytes => 1,
        Unit::Records => 2,
    };
    [
        u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        unit,
        boot as u64,
        (boot >> 64) as u64,
    ]
}

/// What lies under the name.
pub(super) enum Found {
    Ours,
    /// Damaged, or of an earlier boot.
    Useless,
    /// What is left of it is right.
    Short,
    Version(u32),
    NotOurs,
}

pub(super) fn open(path: &Path) -> io::Result<File> {
    // A FIFO there must not make us wait.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut options = OpenOptions::new();
    let options = options
        .read(true)
        .write(true)
        .custom_flags(flags.bits() as i32);
    match options.open(path) {
        // One that is ours is ours to open, whatever mode it was left in.
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied && is_own_file(path) => {
            fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
            options.open(path)
        }
        other => other,
    }
}

fn is_own_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|data| data.is_file() && data.uid() == geteuid().as_raw())
}

pub(super) fn look(file: &File, header: [u64; HEADER]) -> io::Result<Found> {
    let data = file.metadata()?;
    if !data.is_file() || data.uid() != geteuid().as_raw() {
        return Ok(Found::NotOurs);
    }
    let wanted = header.map(u64::to_le_bytes);
    let wanted = wanted.as_flattened();
    let mut bytes = [0; HEADER * size_of::<u64>()];
    let there = file.read_at(&mut bytes, 0)?;
    let bytes = &bytes[..there];
    Ok(match *bytes {
        [a, b, c, d, e, f, g, h, ..]
            if [a, b, c, d] == MAGIC && [e, f, g, h] != VERSION.to_le_bytes() =>
        {
            Found::Version(u32::from_le_bytes([e, f, g, h]))
        }
        _ if !wanted.starts_with(bytes) => Found::Useless,
        _ if data.len() < SIZE as u64 => Found::Short,
        _ if data.len() == SIZE as u64 => Found::Ours,
        _ => Found::Useless,
    })
}

/// What was cut short is whole again; nothing is written but what all would write.
pub(super) fn fill_up(file: &File, header: [u64; HEADER]) -> io::Result<()> {
    file.set_permissions(fs::Permissions::from_mode(MODE))?;
    // Where the system can, there is room for all of it before it is mapped; nothing else is changed.
    let flags = rustix::fs::FallocateFlags::empty();
    match rustix::fs::fallocate(file, flags, 0, SIZE as u64) {
        Ok(()) => {}
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
            let len = file.metadata()?.len();
            let rest = SIZE.saturating_sub(usize::try_from(len).unwrap_or(SIZE));
            file.write_all_at(&vec![0; rest], len)?;
        }
        Err(e) => return Err(e.into()),
    }
    file.write_all_at(header.map(u64::to_le_bytes).as_flattened(), 0)
}

/// Puts a new file at `path`: in the place of one that is useless, or only if there is none. That
/// somebody else is quicker is as good.
pub(super) fn make(path: &Path, header: [u64; HEADER], replace: bool) -> io::Result<()> {
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let _ = fs::remove_file(&beside);
    let mut options = OpenOptions::new();
    let options = options.write(true).create_new(true).mode(MODE);
    let mut file = options.open(&beside)?;
    let mut bytes = header.map(u64::to_le_bytes).as_flattened().to_vec();
    // Written, not left out: there must be room for all of it before it is mapped.
    bytes.resize(SIZE, 0);
    let open_to_us = file.set_permissions(fs::Permissions::from_mode(MODE));
    let made = open_to_us.and_then(|()| file.write_all(&bytes));
    let made = made.and_then(|()| {
        if replace {
            return fs::rename(&beside, path);
        }
        match fs::hard_link(&beside, path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        }
    });
    let _ = fs::remove_file(&beside);
    made
}

pub(super) fn map(file: File) -> io::Result<Mapped> {
    let region = MmapRegion::from_file(FileOffset::new(file, 0), SIZE);
    let region = region.map_err(|e| match e {
        MmapRegionError::Mmap(e) => e,
        other => io::Error::other(other),
    })?;
    let guard = Guard::new(region.as_ptr() as usize, SIZE)?;
    Ok(Mapped { guard, region })
}

/// Whether this is the file that the path names.
pub(super) fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(here), Ok(there)) = (file.metadata(), fs::symlink_metadata(path)) else {
        return false;
    };
    (here.dev(), here.ino()) == (there.dev(), there.ino())
}
