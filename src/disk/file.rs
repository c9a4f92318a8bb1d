//! Whole reads and writes at an offset, however many calls they take.

use std::fs::File;
use std::os::unix::fs::FileExt;

use rustix::io::Errno;

use super::sys::{self, Call};

/// Reads until `buffer` is full or the file ends; how many bytes came.
pub(crate) fn read_at(file: &File, buffer: &mut [u8], at: u64) -> std::io::Result<usize> {
    sys::meet(Call::Read)?;
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Writes all of it.
pub(crate) fn write_all(file: &File, mut bytes: &[u8], mut at: u64) -> Result<(), Errno> {
    while !bytes.is_empty() {
        sys::meet(Call::Write)?;
        let n = sys::again(|| rustix::io::pwrite(file, bytes, at))?;
        if n == 0 {
            return Err(Errno::IO);
        }
        bytes = &bytes[n..];
        at += n as u64;
    }
    Ok(())
}
