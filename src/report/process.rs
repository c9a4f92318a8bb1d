//! What the system tells of one process, by its number.
//!
//! Where it does not tell, nothing is known, and a process that can be signalled lives.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use crate::disk::process;

/// A chain of parents that is longer is a circle, seen while it changed.
const ANCESTORS: usize = 64;

/// The columns of `/proc/PID/stat` that are needed; see proc_pid_stat(5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    state: char,
    parent: u32,
    group: u32,
    session: u32,
    terminal: u32,
    flags: u32,
    born: u64,
}

/// The flag of a process that is about to end: PF_EXITING of Linux. Whoever hears of that by what it lets go may look
/// before it has ended.
const EXITING: u32 = 4;

impl Stat {
    fn of(pid: u32) -> Option<Stat> {
        Stat::parse(&process::stat_of(pid)?)
    }

    /// From these on.
    fn parse(fields: &str) -> Option<Stat> {
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let number = |nth: usize| fields.get(nth)?.parse().ok();
        Some(Stat {
            state: fields.first()?.chars().next()?,
            parent: number(1)?,
            group: number(2)?,
            session: number(3)?,
            terminal: number(4)?,
            flags: number(6)?,
            born: fields.get(19)?.parse().ok()?,
        })
    }

    fn is_over(&self) -> bool {
        matches!(self.state, 'Z' | 'X') || self.flags & EXITING != 0
    }
}

/// When it began, in ticks since the machine did.
pub(crate) fn born(pid: u32) -> Option<u64> {
    Stat::of(pid).map(|it| it.born)
}

/// Whether it still is the process that began then, and does not end: one that is about to, or whose parent has not
/// asked yet how it ended, is dead all the same.
pub(crate) fn is_alive(pid: u32, born: Option<u64>) -> bool {
    match Stat::of(pid) {
        Some(it) => !it.is_over() && born.is_none_or(|born| born == it.born),
        None => {
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
            born.is_none() && pid.is_some_and(|pid| test_kill_process(pid) != Err(Errno::SRCH))
        }
    }
}

/// Whether it is stopped: it will answer nobody until somebody lets it go on.
pub(crate) fn is_stopped(pid: u32) -> bool {
    Stat::of(pid).is_some_and(|it| matches!(it.state, 'T' | 't'))
}

/// The words that it was started with.
pub(crate) fn words(pid: u32) -> Vec<OsString> {
    let all = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let all = all.strip_suffix(&[0]).unwrap_or(&all);
    let words = all.split(|byte| *byte == 0);
    words
        .map(|word| OsString::from_vec(word.to_vec()))
        .collect()
}

/// The number of the terminal that controls it.
pub(crate) fn terminal(pid: u32) -> Option<rustix::fs::Dev> {
    let number = Stat::of(pid)?.terminal;
    let (major, minor) = (number >> 8 & 0xfff, number & 0xff | number >> 12 & 0xf_ff00);
    (number != 0).then(|| rustix::fs::makedev(major, minor))
}

/// Whether nobody could let it go on if it was stopped: no ancestor in its session is in another
/// group, as a shell with job control is.
pub(crate) fn is_orphaned(pid: u32) -> bool {
    let Some(own) = Stat::of(pid) else {
        return false;
    };
    let mut parent = own.parent;
    for _ in 0..ANCESTORS {
        match Stat::of(parent) {
            Some(it) if it.session != own.session => return true,
            Some(it) if it.group != own.group => return false,
            Some(it) => parent = it.parent,
            None => return true,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_column_is_where_the_system_has_it() {
        let fields = "S 1 2 3 34817 5 0 0 0 0 0 0 0 0 0 20 0 1 0 4711 8";
        let it = Stat::parse(fields).expect("all of them");
        assert_eq!((it.state, it.parent, it.group), ('S', 1, 2));
        assert_eq!((it.session, it.terminal, it.born), (3, 34817, 4711));
        for text in ["", "S", "S 1"] {
            assert_eq!(Stat::parse(text), None, "{text}");
        }
        let flags = "S 1 2 3 34817 5 4194560 0 0 0 0 0 0 0 0 20 0 1 0 4711 8";
        let end = flags.replace("4194560", "4194564");
        let is_over = [fields, flags, &end, &fields.replace('S', "Z")]
            .map(|text| Stat::parse(text).is_some_and(|it| it.is_over()));
        assert_eq!(is_over, [false, false, true, true]);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_lives_until_it_has_ended_whoever_asks_how() {
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("started");
        let (pid, began) = (child.id(), born(child.id()));
        assert!(began.is_some() && is_alive(pid, began));
        assert!(
            !is_alive(pid, began.map(|ticks| ticks + 1)),
            "it is another one"
        );
        drop(child.stdin.take());
        while is_alive(pid, began) {
            std::thread::yield_now();
        }
        // It is still there for its parent to ask.
        assert!(Stat::of(pid).is_some_and(|it| it.state == 'Z'));
        child.wait().expect("ended");
        assert!(!is_alive(pid, began) && born(pid).is_none());
    }
}
