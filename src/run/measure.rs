//! The expected total where it is that of a directory: measured beside the flow, however long that takes, and told
//! when it is known.

use std::path::{Path, PathBuf};
use std::thread;

use crossbeam_channel::{Receiver, bounded};

use crate::config::expected_size::measured;

/// What comes of it.
pub(super) type Measured = Result<u64, String>;

/// Begins to measure a directory. Nobody waits for the thread: the end of the process ends it, too.
pub(super) fn begin(tree: &Path) -> Receiver<Measured> {
    let (say, said) = bounded(1);
    let tree: PathBuf = tree.to_owned();
    let thread = thread::Builder::new().name("size".into());
    let started = thread.spawn({
        let say = say.clone();
        move || {
            let measured = measured(&tree).map_err(|error| error.to_string());
            say.send(measured).unwrap_or_default();
        }
    });
    if started.is_err() {
        let what = "--size: the total stays unknown: there is no thread left to measure it";
        let _ = say.send(Err(what.into()));
    }
    said
}
