//! The password of a store: from the environment, or from a file that it names.
//!
//! Invariant: it is in no message, and no more is read than a password can be long.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::{env, io};

use super::error::{PASSWORD_FILE, StoreError};
use crate::units::share::PASSWORD;

/// A file that holds more than this holds no password.
const LONGEST_PASSWORD: u64 = 64 << 10;

pub(super) fn password() -> Result<Option<String>, StoreError> {
    if let Some(file) = env::var_os(PASSWORD_FILE) {
        let text = read_password(Path::new(&file))
            .map_err(|e| StoreError::Password(file.to_string_lossy().into_owned(), e))?;
        return Ok(Some(text.trim_end_matches(['\n', '\r']).to_owned()));
    }
    Ok(env::var(PASSWORD).ok().filter(|text| !text.is_empty()))
}

/// Reads no further than a password can be long: `/dev/zero` has no end.
pub(super) fn read_password(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    let mut file = File::open(file)?.take(LONGEST_PASSWORD + 1);
    let len = file.read_to_string(&mut text)?;
    if len as u64 > LONGEST_PASSWORD {
        return Err(io::Error::other("too long for a password"));
    }
    Ok(text)
}
