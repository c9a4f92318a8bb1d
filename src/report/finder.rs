//! Finds who is beyond one end of this process, by looking through the system's processes and their pipes.
//!
//! Invariant: a name that was found is confirmed whenever it is asked for, and a weir that stands there is believed
//! rather than what it looks like from outside.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::pipeline;
use super::snapshot::{Holdup, Snapshot};
use crate::engine::status::State;

/// How old a name may be before it is confirmed.
pub(super) const FRESH: Duration = Duration::from_secs(1);
/// How old it may be before all processes are looked through again: a shell that stays may start
/// one program after another.
const STALE: Duration = Duration::from_secs(5);
/// The longest time between two searches that find nobody, as behind another user's pipe.
const RARELY: Duration = Duration::from_secs(40);

/// How another weir is, by its process; not for long if it does not say.
pub(crate) type Ask = fn(u32) -> Option<Snapshot>;

/// Finds who is beyond one end of ours.
#[derive(Debug)]
pub(super) struct Finder {
    ask: Ask,
    /// Our descriptor: 0 or 1; or like which of them it is.
    ours: u32,
    /// The pipe of an output beside the consumer, which has no descriptor that stays.
    beside: Option<u64>,
    /// The stages of the pipeline on that side, the nearest first.
    found: Vec<Stage>,
    searched: Option<Instant>,
    /// Whom a weir among them has put it down to, if anybody, when it was asked last: one that is ending does not answer.
    told: Option<Option<String>>,
    /// How long nobody is searched for again.
    pause: Duration,
}

/// A process, and the pipe by which it is joined to the one before.
#[derive(Debug)]
struct Stage {
    pid: u32,
    pipe: u64,
    name: String,
}

impl Finder {
    pub(super) fn new(ours: u32, ask: Ask) -> Finder {
        Finder {
            ask,
            ours,
            beside: None,
            found: Vec::new(),
            searched: None,
            told: None,
            pause: FRESH,
        }
    }

    /// For an output beside the consumer.
    pub(super) fn beside(pipe: Option<u64>, ask: Ask) -> Finder {
        Finder {
            beside: pipe,
            ..Finder::new(1, ask)
        }
    }

    pub(super) fn look(&mut self, now: Instant) -> Option<String> {
        let pipe = match self.beside {
            Some(pipe) => pipe,
            None => {
                let own = fs::read_link(format!("/proc/self/fd/{}", self.ours)).ok()?;
                let Some(pipe) = pipeline::pipe_of(&own) else {
                    return other_than_a_pipe(&own);
                };
                pipe
            }
        };
        let theirs = self.theirs();
        let is_there = self
            .found
            .first_mut()
            .map(|nearest| nearest.is_at(pipe, theirs));
        let keeps = match is_there {
            Some(true) => STALE,
            Some(false) => Duration::ZERO,
            None => self.pause,
        };
        let since = self.searched.map(|at| now.saturating_duration_since(at));
        if since.is_none_or(|since| since >= keeps) {
            let found = self.search(pipe);
            let pids = |stages: &[Stage]| stages.iter().map(|it| it.pid).collect::<Vec<_>>();
            if pids(&found) != pids(&self.found) {
                self.told = None;
            }
            self.found = found;
            self.searched = Some(now);
            self.pause = match self.found.is_empty() {
                false => FRESH,
                true => (self.pause * 2).min(RARELY),
            };
        }
        self.slowest()
    }

    /// The nearest stage that is not itself held up by the next one. A weir knows better than
    /// anybody who looks at it from outside, so it is asked.
    fn slowest(&mut self) -> Option<String> {
        let (theirs, ours) = (self.theirs(), self.ours);
        let own = pipeline::name_of(std::process::id());
        let mut slowest: Option<String> = None;
        let mut before = None;
        for stage in &mut self.found {
            let waits = before.is_none_or(|before| is_held_up(before, ours));
            if !waits || !stage.is_at(stage.pipe, theirs) {
                break;
            }
            if own.as_ref() == Some(&stage.name) {
                if let Some(weir) = (self.ask)(stage.pid) {
                    self.told = Some(beyond(&weir, ours).or(slowest));
                }
                return self
                    .told
                    .clone()
                    .unwrap_or_else(|| Some(stage.name.clone()));
            }
            slowest = Some(stage.name.clone());
            before = Some(stage.pid);
        }
        slowest
    }

    /// The other side's descriptor: who feeds our input has the pipe as its output.
    fn theirs(&self) -> u32 {
        1 - self.ours
    }

    fn search(&self, pipe: u64) -> Vec<Stage> {
        let all = pipeline::processes();
        let own = std::process::id();
        let mut found: Vec<Stage> = Vec::new();
        let mut joined = Some(pipe);
        while let Some(pipe) = joined {
            let here = found.last().map_or(own, |stage| stage.pid);
            let next = match self.ours {
                0 => pipeline::neighbour(&all, here, pipe, |process| process.stdout),
                _ => pipeline::neighbour(&all, here, pipe, |process| process.stdin),
            };
            let is_known = |pid| pid == own || found.iter().any(|stage| stage.pid == pid);
            let Some(next) = next.filter(|next| !is_known(next.pid)) else {
                break;
            };
            found.push(Stage {
                pid: next.pid,
                pipe,
                name: next.name.clone(),
            });
            joined = match self.ours {
                0 => next.stdin,
                _ => next.stdout,
            };
        }
        found
    }
}

impl Stage {
    /// Whether it still stands there; a program that has become another one has its name.
    fn is_at(&mut self, pipe: u64, end: u32) -> bool {
        let stays = self.pipe == pipe && pipe_at(self.pid, end) == Some(pipe);
        match stays.then(|| pipeline::name_of(self.pid)).flatten() {
            Some(name) => {
                self.name = name;
                true
            }
            None => false,
        }
    }
}

/// Whom a weir on that side of us puts it down to, that it holds us up; itself, where it is by its
/// cap or a pause; nobody where it does not.
fn beyond(weir: &Snapshot, side: u32) -> Option<String> {
    let label = || pipeline::label(weir);
    match (weir.state, weir.holdup, side) {
        (State::Paused | State::Filling, _, 1) | (_, Some(Holdup::Cap), _) => Some(label()),
        (_, Some(Holdup::Sink), 1) | (_, Some(Holdup::Source), 0) => {
            Some(weir.culprit.clone().unwrap_or_else(label))
        }
        _ => None,
    }
}

/// Whether a process waits for the pipe on its far side at this moment, where the system tells.
fn is_held_up(pid: u32, side: u32) -> bool {
    let wait = if side == 0 { "pipe_read" } else { "pipe_write" };
    let place = fs::read_to_string(format!("/proc/{pid}/wchan"));
    place.is_ok_and(|place| place.contains(wait))
}

fn pipe_at(pid: u32, descriptor: u32) -> Option<u64> {
    let link = fs::read_link(format!("/proc/{pid}/fd/{descriptor}")).ok()?;
    pipeline::pipe_of(&link)
}

/// A file has a name of its own; a socket's other end may be anywhere.
fn other_than_a_pipe(link: &Path) -> Option<String> {
    if !link.is_absolute() {
        return None;
    }
    let is_terminal = link.starts_with("/dev/pts") || link.starts_with("/dev/tty");
    Some(if is_terminal {
        "the terminal".to_owned()
    } else {
        base(link)
    })
}

pub(super) fn base(file: &Path) -> String {
    let name = file.file_name().unwrap_or(file.as_os_str());
    visible(&name.to_string_lossy())
}

/// Names come from others: a control character in one must not reach the terminal.
fn visible(name: &str) -> String {
    name.trim_end().replace(char::is_control, "?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_pipe_is_called_by_its_path() {
        for (link, name) in [
            ("/srv/out.img", Some("out.img")),
            ("/dev/pts/3", Some("the terminal")),
            ("/dev/null", Some("null")),
            ("socket:[4711]", None),
        ] {
            assert_eq!(other_than_a_pipe(Path::new(link)).as_deref(), name);
        }
    }

    #[test]
    fn a_weir_beyond_is_believed() {
        use crate::report::sample;
        let mut paused = sample::fresh();
        paused.state = State::Paused;
        for (weir, side, name) in [
            (sample::busy(), 1, Some("gzip")),
            (sample::busy(), 0, None),
            (sample::capped(), 1, Some("backup")),
            (sample::capped(), 0, Some("backup")),
            (paused, 1, Some("1")),
            (sample::fresh(), 1, None),
        ] {
            assert_eq!(beyond(&weir, side).as_deref(), name, "{side}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_process_at_the_other_end_is_found_confirmed_and_missed() {
        use std::os::fd::AsRawFd;
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let link = format!("/proc/self/fd/{}", reader.as_raw_fd());
        let pipe = pipeline::pipe_of(&fs::read_link(link).expect("a link")).expect("a pipe");
        let mut child = std::process::Command::new("sleep")
            .arg("1000")
            .stdout(writer)
            .spawn()
            .expect("started");
        let finder = Finder::new(0, |_| None);
        let mut stages = finder.search(pipe);
        assert_eq!(stages.len(), 1);
        let found = &mut stages[0];
        assert_eq!((found.pid, found.name.as_str()), (child.id(), "sleep"));
        assert!(found.is_at(pipe, 1) && !found.is_at(pipe + 1, 1));
        child.kill().expect("killed");
        child.wait().expect("ended");
        assert!(!found.is_at(pipe, 1));
        assert!(finder.search(pipe).is_empty());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_weir_that_answers_no_more_is_not_taken_for_what_it_has_said() {
        use crate::report::sample;
        use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
        static ANSWERS: AtomicBool = AtomicBool::new(true);
        fn ask(_: u32) -> Option<Snapshot> {
            let mut weir = sample::busy();
            weir.holdup = Some(Holdup::Source);
            ANSWERS.load(Relaxed).then_some(weir)
        }
        // A program of our own name is a weir to us.
        let folder = tempfile::tempdir().expect("a folder");
        let own = pipeline::name_of(std::process::id()).expect("a name");
        let program = folder.path().join(&own);
        std::os::unix::fs::symlink("/bin/sleep", &program).expect("linked");
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let mut weir = std::process::Command::new(program);
        let mut weir = weir.arg("1000").stdout(writer).spawn().expect("started");
        let link = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader));
        let pipe = pipeline::pipe_of(&fs::read_link(link).expect("a link"));
        let mut finder = Finder {
            beside: pipe,
            ..Finder::new(0, ask)
        };
        let now = Instant::now();
        ANSWERS.store(false, Relaxed);
        assert_eq!(finder.look(now), Some(own), "all that is known of it");
        for answers in [true, false] {
            ANSWERS.store(answers, Relaxed);
            assert_eq!(finder.look(now).as_deref(), Some("gzip"), "{answers}");
        }
        weir.kill().expect("killed");
        weir.wait().expect("ended");
    }
}
