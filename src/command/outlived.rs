//! A program that was started by an earlier run of weir, which was killed, and that still deals with its batch: nobody
//! else may be given that batch meanwhile.
//!
//! It is known by the name of the batch in its environment, which it has from its first instruction on, and which
//! those have, too, that it has started. Before its first instruction it holds the lock of the spool, as weir's own
//! fork: whoever looks has that lock. So none is missed, whenever weir was killed.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, PidfdFlags};

/// How long a process is waited for that has neither an environment nor arguments yet.
const EXEC_MOST: Duration = Duration::from_secs(1);

/// A process that still deals with a batch.
#[derive(Debug)]
pub(crate) struct Outlived {
    /// Its number.
    pub pid: i32,
    process: OwnedFd,
}

/// One who deals with the batch of this name, if somebody does.
pub(crate) fn find(batch: &str) -> Option<Outlived> {
    let mark = format!("WEIR_BATCH={batch}");
    let own = std::process::id() as i32;
    let entries = std::fs::read_dir("/proc").ok()?.flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| *pid != own).find_map(|pid| {
        // It is held before it is looked at: another one may get its number.
        let process = rustix::process::pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
        is_marked(pid, mark.as_bytes()).then_some(Outlived { pid, process })
    })
}

fn is_marked(pid: i32, mark: &[u8]) -> bool {
    let path = Path::new("/proc").join(pid.to_string());
    let read = |name| std::fs::read(path.join(name)).unwrap_or_default();
    let mut environ = read("environ");
    // Between two programs, for an instant (longer where the machine is busy), a process has neither an environment
    // nor arguments yet, but is no zombie and none of the kernel's threads either: those run no file.
    let begun = Instant::now();
    while environ.is_empty()
        && read("cmdline").is_empty()
        && std::fs::read_link(path.join("exe")).is_ok()
        && begun.elapsed() < EXEC_MOST
    {
        std::thread::sleep(Duration::from_millis(1));
        environ = read("environ");
    }
    environ.split(|byte| *byte == 0).any(|it| it == mark)
}

/// What a wait has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waited {
    /// It has ended.
    Ended,
    /// Nothing is to be started any more.
    Closed,
    /// It has been waited for long enough.
    Hurried,
}

impl Outlived {
    /// Waits until it has ended, or until there is something on one of these.
    ///
    /// # Errors
    /// When the system cannot wait.
    pub(crate) fn wait(&self, closed: impl AsFd, hurry: impl AsFd) -> io::Result<Waited> {
        loop {
            let mut fds = [
                PollFd::new(&self.process, PollFlags::IN),
                PollFd::new(&closed, PollFlags::IN),
                PollFd::new(&hurry, PollFlags::IN),
            ];
            match rustix::event::poll(&mut fds, None) {
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
                Ok(_) if !fds[1].revents().is_empty() => return Ok(Waited::Closed),
                Ok(_) if !fds[0].revents().is_empty() => return Ok(Waited::Ended),
                Ok(_) => return Ok(Waited::Hurried),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn one_that_has_the_name_in_its_environment_is_found_and_waited_for() {
        let name = format!("test-{}", std::process::id());
        assert!(find(&name).is_none());
        let mut child = Command::new("sleep");
        let mut child = child
            .arg("1000")
            .env("WEIR_BATCH", &name)
            .spawn()
            .expect("it runs");
        let found = find(&name).expect("it is there");
        assert_eq!(found.pid, child.id() as i32);
        let (never, keep) = io::pipe().expect("a pipe");
        let (now, gone) = io::pipe().expect("a pipe");
        drop(gone);
        let wait = |closed, hurry| found.wait(closed, hurry).expect("waited");
        assert_eq!(wait(&now, &never), Waited::Closed);
        assert_eq!(wait(&never, &now), Waited::Hurried);
        child.kill().expect("killed");
        assert_eq!(wait(&never, &never), Waited::Ended);
        drop(keep);
        child.wait().expect("its status");
        assert!(find(&name).is_none());
    }
}
