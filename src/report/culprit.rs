//! Who is at the other end of weir's own input and outputs, by name: what a hold-up is put down to.
//!
//! Invariant: whoever asks never waits for longer than he said. The system is looked through by a
//! thread of its own, only while somebody wants a name, and a name that was found is merely
//! confirmed (two links and a word are read) until it is stale.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::finder::{Ask, FRESH, Finder, base};
use super::pipeline;
use super::snapshot::Holdup;
use super::writer::Writer;

/// What a cap is called in the place of a name.
pub(crate) const CAP: &str = "cap";

/// One end of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Where it reads.
    Input,
    /// Where it writes.
    Output,
    /// Where it writes too: the output of this number beside the consumer.
    Beside(usize),
}

impl End {
    /// Its place among all of them.
    fn place(self) -> usize {
        match self {
            End::Input => 0,
            End::Output => 1,
            End::Beside(i) => 2 + i,
        }
    }
}

/// The names as far as they are known, and the way to the thread that finds them.
pub(crate) struct Culprits {
    names: Arc<Mutex<Vec<Option<String>>>>,
    thread: Writer<(End, Sender<()>)>,
    asked: Vec<Option<Instant>>,
    /// The outputs beside the consumer that are pipes without a name of their own, as `>(gzip)` is.
    nameless: Vec<bool>,
    /// The file that is read, where that is not standard input.
    file: Option<String>,
    /// The program that weir runs as its consumer.
    command: Option<String>,
}

impl Culprits {
    /// Nobody is known yet. `inputs` are the files of the command line, `beside` the paths of the outputs beside the
    /// consumer, none of which has been opened yet, and `command` is what weir runs. `ask` asks another weir how it is.
    pub(crate) fn new(
        inputs: &[impl AsRef<Path>],
        beside: impl Iterator<Item = impl AsRef<Path>>,
        command: Option<String>,
        ask: Ask,
    ) -> Culprits {
        // Later its descriptor is closed, and the path is nothing any more.
        let pipes = beside.map(|path| pipeline::pipe_of(&fs::read_link(path).ok()?));
        let pipes: Vec<Option<u64>> = pipes.collect();
        let nameless = pipes.iter().map(Option::is_some).collect();
        let ends = [Finder::new(0, ask), Finder::new(1, ask)].into_iter();
        let beside = pipes.into_iter().map(|pipe| Finder::beside(pipe, ask));
        let mut finders: Vec<Finder> = ends.chain(beside).collect();
        let names = Arc::new(Mutex::new(vec![None; finders.len()]));
        let (asked, found) = (vec![None; finders.len()], names.clone());
        Culprits {
            names,
            thread: Writer::new("culprit", move |(end, done): (End, Sender<()>)| {
                let name = finders[end.place()].look(Instant::now());
                // Who has just gone is still the one to be named in the summary.
                if name.is_some() {
                    found.lock().unwrap_or_else(PoisonError::into_inner)[end.place()] = name;
                }
                drop(done);
            }),
            asked,
            nameless,
            file: named(inputs),
            command,
        }
    }

    /// The name of what holds the flow up, as far as it is known; a look at it is begun where that
    /// is due. `wait` is how long the first look may be waited for.
    pub(crate) fn name(
        &mut self,
        holdup: Option<Holdup>,
        now: Instant,
        wait: Duration,
    ) -> Option<String> {
        let end = match holdup? {
            Holdup::Cap => return Some(CAP.to_owned()),
            Holdup::Source if self.file.is_some() => return self.file.clone(),
            Holdup::Source => End::Input,
            Holdup::Sink if self.command.is_some() => return self.command.clone(),
            Holdup::Sink => End::Output,
        };
        self.at(end, now, wait)
    }

    /// Who reads this output beside the consumer, likewise; nobody, where its path says what it is.
    pub(crate) fn reader(&mut self, i: usize, now: Instant, wait: Duration) -> Option<String> {
        let is_nameless = self.nameless.get(i).copied().unwrap_or(false);
        is_nameless.then(|| self.at(End::Beside(i), now, wait))?
    }

    /// Who reads it, as far as that has been found already.
    pub(crate) fn known_reader(&self, i: usize) -> Option<String> {
        let is_nameless = self.nameless.get(i).copied().unwrap_or(false);
        is_nameless.then(|| self.known(End::Beside(i)))?
    }

    fn at(&mut self, end: End, now: Instant, wait: Duration) -> Option<String> {
        if let Some(look) = self.ask(end, now)
            && self.known(end).is_none()
        {
            // Its end is the answer: nothing is ever sent.
            let _ = look.recv_deadline(now + wait);
        }
        self.known(end)
    }

    fn ask(&mut self, end: End, now: Instant) -> Option<Receiver<()>> {
        let asked = &mut self.asked[end.place()];
        if asked.is_some_and(|asked| now.saturating_duration_since(asked) < FRESH) {
            return None;
        }
        *asked = Some(now);
        let (done, look) = bounded(0);
        self.thread.offer((end, done));
        Some(look)
    }

    fn known(&self, end: End) -> Option<String> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)[end.place()].clone()
    }
}

/// The one file that is read instead of standard input; of several it is not known which.
fn named(inputs: &[impl AsRef<Path>]) -> Option<String> {
    let [file] = inputs else {
        return (!inputs.is_empty()).then(|| "a file".to_owned());
    };
    let file = file.as_ref();
    (file != Path::new("-")).then(|| base(file))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn culprits(files: &[&str]) -> Culprits {
        let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
        let beside = ["/dev/null"].into_iter();
        Culprits::new(&files, beside, Some("gzip".into()), |_| None)
    }

    #[test]
    fn a_cap_and_a_file_have_names_of_their_own() {
        let now = Instant::now();
        for (files, holdup, name) in [
            (&["photos/big.iso"][..], Holdup::Source, Some("big.iso")),
            (&["a", "b"], Holdup::Source, Some("a file")),
            (&["a\tb"], Holdup::Source, Some("a?b")),
            (&[], Holdup::Cap, Some(CAP)),
            (&[], Holdup::Sink, Some("gzip")),
        ] {
            let found = culprits(files).name(Some(holdup), now, Duration::ZERO);
            assert_eq!(found.as_deref(), name, "{files:?}");
        }
        assert_eq!(culprits(&[]).name(None, now, Duration::ZERO), None);
        assert_eq!(culprits(&[]).reader(0, now, Duration::ZERO), None);
    }
}
