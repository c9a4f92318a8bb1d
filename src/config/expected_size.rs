//! SIZE as `--size` takes it: an amount, or that of a file or a tree.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rustix::fs::{Dev, FileType, Stat, major, minor, stat};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::error::ConfigError;
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
    /// With what lies in a file or a tree looked at: only who typed it knows which one is meant.
    pub(super) fn looked_at(self) -> Result<ExpectedSize, ConfigError> {
        match self {
            ExpectedSize::Of(path) => {
                let bytes = Size::new(tree(&path)?);
                Ok(ExpectedSize::Amount(Amount::Bytes(bytes)))
            }
            amount => Ok(amount),
        }
    }

    /// What it comes to.
    pub(super) fn expected(&self, framed: bool) -> Result<Expected, ConfigError> {
        match self {
            ExpectedSize::Amount(size) => expected("--size", *size, framed),
            ExpectedSize::Of(path) => tree(path).map(Expected::Bytes),
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
        Amount::Bytes(size) => Ok(Expected::Bytes(size.bytes())),
        Amount::Count(n) if framed => Ok(Expected::Records(n)),
        Amount::Count(n) => Ok(Expected::Bytes(n)),
        Amount::Time(_) => Err(ConfigError(format!(
            "{option} {size} is a time, not a size; try 4GiB"
        ))),
    }
}

/// The size of a file, or of all regular files below a directory; links are not followed.
fn tree(path: &Path) -> Result<u64, ConfigError> {
    let failed =
        |path: &Path, e: std::io::Error| ConfigError(format!("--size @{}: {e}", path.display()));
    let data = path.metadata().map_err(|e| failed(path, e))?;
    if !data.is_dir() {
        return size_of(path).ok_or_else(|| {
            ConfigError(format!(
                "--size @{}: only files, block devices and directories have a size",
                path.display()
            ))
        });
    }
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
