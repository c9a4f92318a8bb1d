//! SIZE as `--size` takes it: an amount, or that of a file or a tree.
//!
//! Invariant: nobody waits for a tree to be measured but who calls [`measured`]: what is looked at on the way to a run
//! or a change is one file.

use std::fmt;
use std::path::{self, Path, PathBuf};
use std::str::FromStr;
use std::{fs, io};

use rustix::fs::{Dev, FileType, Stat, major, minor, stat};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::error::ConfigError;
use crate::pipe::error::PipeError;
use crate::report::Expected;
use crate::units::{Amount, Size, UnitError};

/// An expected total.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ExpectedSize {
    /// This much.
    Amount(Amount),
    /// As much as this file, or all files in this directory.
    Of(PathBuf),
}

impl ExpectedSize {
    /// With a file looked at, and a directory by its full name: only who typed it knows which one is meant.
    pub(super) fn looked_at(self) -> Result<ExpectedSize, ConfigError> {
        let ExpectedSize::Of(path) = self else {
            return Ok(self);
        };
        let data = path.metadata().map_err(|e| failed(&path, e))?;
        if !data.is_dir() {
            let bytes = size_of(&path).ok_or_else(|| {
                let what = "only files, block devices and directories have a size";
                ConfigError(format!("--size @{}: {what}", path.display()))
            })?;
            return Ok(ExpectedSize::Amount(Amount::Bytes(Size::new(bytes))));
        }
        path.read_dir().map_err(|e| failed(&path, e))?;
        let whole = path::absolute(&path).map_err(|e| failed(&path, e))?;
        Ok(ExpectedSize::Of(whole))
    }

    /// What it comes to, where that is known without a long look.
    pub(super) fn expected(&self, framed: bool) -> Result<Option<Expected>, ConfigError> {
        match self {
            ExpectedSize::Amount(size) => expected("--size", *size, framed).map(Some),
            ExpectedSize::Of(_) => Ok(None),
        }
    }

    /// What has to be measured for it.
    pub(super) fn tree(&self) -> Option<&Path> {
        match self {
            ExpectedSize::Amount(_) => None,
            ExpectedSize::Of(path) => Some(path),
        }
    }
}

impl FromStr for ExpectedSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<ExpectedSize, UnitError> {
        if let Some(path) = text.strip_prefix('@').filter(|path| !path.is_empty()) {
            return Ok(ExpectedSize::Of(path.into()));
        }
        let amount = text.parse::<Amount>().map(ExpectedSize::Amount);
        amount.map_err(|error| error.instead(&["4GiB", "1000 (records, or bytes)", "@photos"]))
    }
}

impl fmt::Display for ExpectedSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExpectedSize::Amount(amount) => amount.fmt(f),
            ExpectedSize::Of(path) => write!(f, "@{}", path.display()),
        }
    }
}

impl Serialize for ExpectedSize {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ExpectedSize {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?
            .parse()
            .map_err(de::Error::custom)
    }
}

/// An amount that counts records where there are any, and else bytes.
pub(super) fn expected(option: &str, size: Amount, framed: bool) -> Result<Expected, ConfigError> {
    match size {
        Amount::Prefixed(size) if framed => Ok(Expected::Records(size.bytes())),
        Amount::Bytes(size) | Amount::Prefixed(size) => Ok(Expected::Bytes(size.bytes())),
        Amount::Count(n) if framed => Ok(Expected::Records(n)),
        Amount::Count(n) => Ok(Expected::Bytes(n)),
        Amount::Time(_) => Err(ConfigError(format!(
            "{option} {size} is a time, not a size; try 4GiB"
        ))),
    }
}

fn failed(path: &Path, error: io::Error) -> ConfigError {
    let why = PipeError::reason(error);
    ConfigError(format!("--size @{}: {why}", path.display()))
}

/// The size of all regular files below a directory, however long that takes; links are not followed.
///
/// # Errors
/// When there is none, or it cannot be read.
pub(crate) fn measured(path: &Path) -> Result<u64, ConfigError> {
    let mut sum = 0u64;
    let mut open = vec![path.to_owned()];
    while let Some(directory) = open.pop() {
        // What cannot be looked at, or goes away meanwhile, will as a rule not be read either.
        let entries = match directory.read_dir() {
            Err(e) if directory == path => return Err(failed(&directory, e)),
            entries => entries.into_iter().flatten().flatten(),
        };
        for entry in entries {
            let Ok(data) = entry.metadata() else { continue };
            if data.is_dir() {
                open.push(entry.path());
            } else if data.is_file() {
                sum = sum.saturating_add(data.len());
            }
        }
    }
    Ok(sum)
}

/// That of a regular file or a block device.
fn size_of(file: &Path) -> Option<u64> {
    size(&stat(file).ok()?)
}

/// The same for one that was looked at.
pub(super) fn size(stat: &Stat) -> Option<u64> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => u64::try_from(stat.st_size).ok(),
        FileType::BlockDevice => device_size(stat.st_rdev),
        _ => None,
    }
}

/// Bytes of a block device, as the kernel tells without its being opened, in sectors of 512.
fn device_size(device: Dev) -> Option<u64> {
    let (major, minor) = (major(device), minor(device));
    let text = fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/size")).ok()?;
    text.trim().parse::<u64>().ok()?.checked_mul(512)
}
