//! Where segments come from: the system, as long as it has memory to spare.
//!
//! A buffer larger than the memory that is free is promised lazily and so costs nothing until it
//! fills. When it does fill, growing on would end in the kernel killing some process; instead the
//! supply refuses in time, and the gate treats that as the high-water mark.

mod cgroup;

use std::fs;
use std::io;

use std::sync::Arc;

use crate::engine::segment::Segment;

/// Bytes mapped between two looks at the system's memory.
const LOOK_EVERY: usize = 16 << 20;
/// Bytes that are left to everybody else.
const RESERVE: u64 = 64 << 20;
/// The part of a control group's limit that is left to the others in it, where that is less.
const GROUP_RESERVE: u64 = 16;

/// A source of segments that watches what is left.
#[derive(Debug, Default)]
pub(crate) struct BufferPool {
    unseen: usize,
}

impl BufferPool {
    /// Maps another segment, of so many bytes.
    ///
    /// # Errors
    /// When the system is out of memory, or soon would be.
    pub(crate) fn segment(&mut self, size: usize) -> io::Result<Arc<Segment>> {
        self.unseen += size;
        if self.unseen >= LOOK_EVERY {
            if spare().is_some_and(|spare| spare < LOOK_EVERY as u64) {
                return Err(io::ErrorKind::OutOfMemory.into());
            }
            self.unseen = 0;
        }
        Segment::map(size)
    }
}

/// Bytes that the system, and the control groups that we are in, could still give to us without
/// want to anybody, as far as they say.
fn spare() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let machine = field(&text, "MemAvailable:").map(|kib| kib * 1024);
    let machine = machine.map(|left| left.saturating_sub(RESERVE));
    let groups = groups().into_iter().map(|group| {
        let reserve = RESERVE.min(group.limit / GROUP_RESERVE);
        group.left.saturating_sub(reserve)
    });
    groups.chain(machine).min()
}

/// Bytes of memory that are ours to use: those of the machine, or of a control group that has less.
#[must_use]
pub(crate) fn ours() -> Option<u64> {
    let limits = groups().into_iter().map(|group| group.limit);
    limits.chain(physical()).min()
}

fn groups() -> Vec<cgroup::Group> {
    let read = |path: &str| fs::read_to_string(path).ok();
    cgroup::groups(&read("/proc/self/cgroup").unwrap_or_default(), read)
}

/// Bytes of memory in this machine, as far as it says.
#[must_use]
pub(crate) fn physical() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    field(&text, "MemTotal:").map(|kib| kib * 1024)
}

fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|l| l.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}
