//! A tee that fails while the others go on: it has no room, or its reader leaves.

use std::path::Path;
use std::process::{Child, Stdio};

use crate::harness::program;
use crate::harness::sides::make_fifo;
use crate::plan::Plan;

/// A tee that fails before it has got everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dying {
    /// It has no room.
    Full,
    /// A FIFO, of which the reader takes so much, and leaves.
    Leaves(usize),
}

impl Dying {
    /// What is said of it, by its name.
    pub(crate) fn said(self) -> &'static str {
        match self {
            Dying::Full => "write: /dev/full: No space left on device",
            Dying::Leaves(_) => "/dying: Broken pipe",
        }
    }
}

/// A tee has failed.
pub(crate) fn is_of_dying(plan: &Plan, line: &str) -> bool {
    let is_it = |dying: Dying| line.starts_with("weir") && line.ends_with(dying.said());
    plan.dying.is_some_and(is_it)
}

/// Those who go on beside a spool do not name it again, and say so where it was owed something.
pub(crate) fn is_of_forgotten(plan: &Plan, line: &str) -> bool {
    let name = match plan.dying {
        Some(Dying::Full) => "/dev/full is not named again: ",
        Some(Dying::Leaves(_)) => "/dying is not named again: ",
        None => return false,
    };
    line.starts_with("weir: --spool ")
        && line.contains(name)
        && line.ends_with(" are not kept for it")
}

/// A program that reads some of a tee, and leaves.
pub(crate) fn take_and_leave(plan: &Plan, dir: &Path) -> Option<Child> {
    let Some(Dying::Leaves(much)) = plan.dying else {
        return None;
    };
    let fifo = dir.join("dying");
    make_fifo(&fifo);
    let mut head = program("head");
    let head = head.args(["-c", &much.to_string()]).arg(fifo);
    let head = head.stdin(Stdio::null()).stdout(Stdio::null());
    Some(head.stderr(Stdio::null()).spawn().expect("start head"))
}
