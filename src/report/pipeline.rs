//! Who stands where in a pipeline: the processes around each weir, found by the pipes that join
//! them, and which of them holds the others up.
//!
//! Where the system does not tell who has which pipe, every weir stands alone.

use std::fs;
use std::path::Path;

use super::snapshot::{Holdup, OutputKind, Snapshot};
use crate::engine::status::State;

/// A pipeline of more stages than this is taken for a circle.
const STAGES: usize = 64;

/// A process, and the pipes that are its standard input and output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Process {
    /// Its ID.
    pub pid: u32,
    /// What it runs.
    pub name: String,
    /// The pipe that it reads.
    pub stdin: Option<u64>,
    /// The pipe that it writes.
    pub stdout: Option<u64>,
}

/// All processes that we may look at and that read or write a pipe.
#[must_use]
pub(crate) fn processes() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let look = |path: &Path, pid| {
        let process = Process {
            pid,
            stdin: pipe(&path.join("fd/0")),
            stdout: pipe(&path.join("fd/1")),
            ..Process::default()
        };
        process.stdin.or(process.stdout)?;
        let name = name_of(pid)?;
        Some(Process { name, ..process })
    };
    entries
        .filter_map(|entry| look(&entry.path(), entry.file_name().to_str()?.parse().ok()?))
        .collect()
}

fn pipe(link: &Path) -> Option<u64> {
    pipe_of(&fs::read_link(link).ok()?)
}

/// The pipe that a descriptor's link stands for.
pub(crate) fn pipe_of(target: &Path) -> Option<u64> {
    let inode = target.to_str()?.strip_prefix("pipe:[")?.strip_suffix(']')?;
    inode.parse().ok()
}

/// What a process runs. Its name is its own choice: control characters must not reach a terminal.
pub(crate) fn name_of(pid: u32) -> Option<String> {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(name.trim_end().replace(char::is_control, "?"))
}

/// The pipelines that these weirs are in, each from its head to its tail as far as it can be
/// followed; a weir that nothing is known of is one alone.
#[must_use]
pub(crate) fn chains(all: &[Process], weirs: &[u32]) -> Vec<Vec<Process>> {
    let mut chains: Vec<Vec<Process>> = Vec::new();
    for pid in weirs {
        if chains.iter().flatten().any(|process| process.pid == *pid) {
            continue;
        }
        let known = all.iter().find(|process| process.pid == *pid).cloned();
        let own = known.unwrap_or_else(|| Process {
            pid: *pid,
            ..Process::default()
        });
        let mut chain = walk(&own, |at| neighbour(all, at.pid, at.stdin?, |p| p.stdout));
        chain.reverse();
        chain.pop();
        chain.extend(walk(&own, |at| {
            neighbour(all, at.pid, at.stdout?, |p| p.stdin)
        }));
        chains.push(chain);
    }
    chains
}

/// From one process on, as far as it goes.
fn walk<'a>(from: &Process, next: impl Fn(&Process) -> Option<&'a Process>) -> Vec<Process> {
    let mut way = vec![from.clone()];
    while let Some(process) = way.last().and_then(&next) {
        if way.len() >= STAGES || way.contains(process) {
            break;
        }
        way.push(process.clone());
    }
    way
}

/// Who else has its end at this pipe. A shell and its child may share it: the child works.
pub(crate) fn neighbour(
    all: &[Process],
    of: u32,
    pipe: u64,
    end: impl Fn(&Process) -> Option<u64>,
) -> Option<&Process> {
    let others = all.iter().filter(|other| other.pid != of);
    others
        .filter(|other| end(other) == Some(pipe))
        .max_by_key(|other| other.pid)
}

/// Which stage of a pipeline holds the others up, in words; `None` where nobody does. A stage is
/// between two weirs, or before or behind all of them; a weir is one where its cap or a pause
/// holds the flow.
#[must_use]
pub(crate) fn culprit(chain: &[Process], statuses: &[Snapshot]) -> Option<String> {
    let status = |process: &Process| statuses.iter().find(|s| s.pid == process.pid);
    let weirs: Vec<(usize, &Snapshot)> = chain
        .iter()
        .enumerate()
        .filter_map(|(place, process)| Some((place, status(process)?)))
        .collect();
    // What is furthest downstream and pushes back is the reason for all that is pushed upstream.
    let last = weirs.iter().rposition(|(_, s)| {
        s.state == State::Paused || matches!(s.holdup, Some(Holdup::Sink | Holdup::Cap))
    });
    let Some(last) = last else {
        let (first, s) = weirs.first()?;
        let source = s.holdup == Some(Holdup::Source);
        return source.then(|| stages(&chain[..*first], "what it reads"));
    };
    let (place, s) = weirs[last];
    Some(match (s.state, s.holdup) {
        (State::Paused, _) => format!("{} (paused)", label(s)),
        (_, Some(Holdup::Cap)) => format!("the cap of {}", label(s)),
        _ => slow_tee(s).unwrap_or_else(|| {
            let next = weirs.get(last + 1).map_or(chain.len(), |weir| weir.0);
            stages(&chain[place + 1..next], "what it writes to")
        }),
    })
}

/// The tee that a weir puts it down to, which stands beside the pipeline: only the weir itself can tell.
fn slow_tee(s: &Snapshot) -> Option<String> {
    let name = s.culprit.as_ref()?;
    let mut tees = s.outputs.iter().filter(|it| it.kind == OutputKind::Tee);
    tees.any(|it| it.called() == name).then(|| name.clone())
}

fn stages(between: &[Process], unknown: &str) -> String {
    if between.is_empty() {
        return unknown.to_owned();
    }
    let names: Vec<_> = between.iter().map(|p| p.name.as_str()).collect();
    names.join(" | ")
}

/// What a weir is called: by its name, or else by its PID; where there are those of several users, also by its user's.
#[must_use]
pub(crate) fn label(s: &Snapshot) -> String {
    let name = s.name.clone().unwrap_or_else(|| s.pid.to_string());
    match &s.user {
        Some(user) => format!("{user}:{name}"),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn process(pid: u32, name: &str, stdin: u64, stdout: u64) -> Process {
        let pipe = |n| (n > 0).then_some(n);
        Process {
            pid,
            name: name.into(),
            stdin: pipe(stdin),
            stdout: pipe(stdout),
        }
    }

    /// `tar | weir 11 | gzip | weir 13 | ssh`, and a shell that has not closed its end.
    fn backup() -> Vec<Process> {
        vec![
            process(14, "ssh", 4, 0),
            process(9, "sh", 0, 1),
            process(10, "tar", 0, 1),
            process(13, "weir", 3, 4),
            process(12, "gzip", 2, 3),
            process(11, "weir", 1, 2),
            process(20, "weir", 8, 9),
        ]
    }

    fn pids(chain: &[Process]) -> Vec<u32> {
        chain.iter().map(|p| p.pid).collect()
    }

    fn weir(pid: u32, holdup: Option<Holdup>) -> Snapshot {
        Snapshot {
            pid,
            name: None,
            holdup,
            ..sample::fresh()
        }
    }

    #[test]
    fn pipes_join_processes_in_their_order() {
        let chains = chains(&backup(), &[11, 13, 20, 99]);
        let all: Vec<_> = chains.iter().map(|chain| pids(chain)).collect();
        assert_eq!(all, [vec![10, 11, 12, 13, 14], vec![20], vec![99]]);
    }

    #[test]
    fn a_circle_of_pipes_is_walked_once() {
        let circle = [process(1, "a", 1, 2), process(2, "weir", 2, 1)];
        assert!(chains(&circle, &[2])[0].len() <= 4);
    }

    #[test]
    fn the_stage_that_holds_the_others_up_is_named() {
        use Holdup::{Cap, Sink, Source};
        let chain = &chains(&backup(), &[11])[0];
        for (first, second, named) in [
            (Some(Source), Some(Source), Some("tar")),
            (Some(Sink), Some(Source), Some("gzip")),
            (Some(Sink), Some(Sink), Some("ssh")),
            (Some(Sink), Some(Cap), Some("the cap of 13")),
            (Some(Cap), Some(Source), Some("the cap of 11")),
            (None, Some(Sink), Some("ssh")),
            (None, None, None),
            (None, Some(Source), None),
        ] {
            let statuses = [weir(11, first), weir(13, second)];
            let found = culprit(chain, &statuses);
            assert_eq!(found.as_deref(), named, "{first:?} {second:?}");
        }
    }

    #[test]
    fn a_tee_that_holds_the_flow_up_is_named_instead_of_who_only_waits() {
        let chain = &chains(&backup(), &[11])[0];
        let slow = |kind, culprit: &str| {
            let mut weir = weir(11, Some(Holdup::Sink));
            weir.culprit = Some(culprit.into());
            weir.outputs = vec![sample::output(kind, "copy.tar")];
            super::culprit(chain, &[weir])
        };
        let others = Some("gzip | weir | ssh");
        let tee = slow(OutputKind::Tee, "copy.tar");
        assert_eq!(tee.as_deref(), Some("copy.tar"));
        assert_eq!(slow(OutputKind::Tee, "gzip").as_deref(), others);
        let mut nameless = weir(11, Some(Holdup::Sink));
        nameless.culprit = Some("xz".into());
        nameless.outputs = vec![sample::output(OutputKind::Tee, "/dev/fd/63")];
        nameless.outputs[0].reader = Some("xz".into());
        assert_eq!(super::culprit(chain, &[nameless]).as_deref(), Some("xz"));
        assert_eq!(slow(OutputKind::Tap, "copy.tar").as_deref(), others);
    }

    #[test]
    fn a_weir_alone_names_its_side() {
        let chain = &chains(&[], &[11])[0];
        let named = |side| culprit(chain, &[weir(11, Some(side))]);
        assert_eq!(named(Holdup::Source).as_deref(), Some("what it reads"));
        assert_eq!(named(Holdup::Sink).as_deref(), Some("what it writes to"));
    }
}
