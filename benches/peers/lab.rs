//! What every section needs: the options, the tools that are there, and their names on a bench.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::options::Options;
use crate::peers::{self, Peer};
use crate::spec::{Contender, Middle, Spec};

/// Bytes in a KiB, a MiB and a GiB.
pub(crate) const KIB: u64 = 1 << 10;
/// See [`KIB`].
pub(crate) const MIB: u64 = 1 << 20;
/// See [`KIB`].
pub(crate) const GIB: u64 = 1 << 30;

/// The workplace.
pub(crate) struct Lab {
    /// As given on the command line.
    pub options: Options,
    /// The tools that are installed.
    pub peers: Vec<Peer>,
    helper: PathBuf,
}

impl Lab {
    /// Looks for the tools.
    pub(crate) fn new(options: Options) -> io::Result<Self> {
        let helper = std::env::current_exe()?;
        Ok(Self {
            options,
            peers: peers::find(),
            helper,
        })
    }

    /// `full` in a real run, `quick` with `--quick`.
    pub(crate) fn either<T>(&self, full: T, quick: T) -> T {
        if self.options.quick { quick } else { full }
    }

    /// Of those whose every run takes the same time, however fast they are, `quick` has weir alone.
    pub(crate) fn timed(&self, contenders: impl IntoIterator<Item = Contender>) -> Vec<Contender> {
        let contenders = contenders.into_iter();
        let quick = self.options.quick;
        contenders.filter(|it| it.is_weir || !quick).collect()
    }

    /// How long one run may take that moves `bytes`, at the slowest rate worth waiting for.
    pub(crate) fn limit(&self, bytes: u64) -> Duration {
        Duration::from_secs(20) + Duration::from_secs(bytes / (50 * MIB))
    }

    /// Is a tool installed?
    pub(crate) fn has(&self, name: &str) -> bool {
        self.peers.iter().any(|peer| peer.name == name)
    }

    /// One of the trivial programs, `words` its name and parameters.
    pub(crate) fn helper(&self, words: &str) -> Spec {
        Spec::new(&self.helper, words)
    }

    /// A trivial program in the middle.
    pub(crate) fn own(&self, label: &str, words: &str) -> Contender {
        Contender::other(label, Middle::Via(self.helper(words)))
    }

    /// weir with options; its label is what the user would type.
    pub(crate) fn weir(&self, words: &str) -> Contender {
        let label = format!("weir {words}").trim().to_owned();
        let middle = Middle::Via(Spec::new(&self.options.weir, words));
        Contender {
            label,
            middle,
            is_weir: true,
        }
    }

    /// Another tool with its options, `command` as the user would type it.
    pub(crate) fn peer(&self, command: &str) -> Contender {
        let (name, words) = command.split_once(' ').unwrap_or((command, ""));
        let middle = if self.has(name) {
            Middle::Via(Spec::new(name, words))
        } else {
            Middle::Missing(format!("{name} is not installed"))
        };
        Contender::other(command, middle)
    }

    /// The two-thread ring in C, compiled now.
    pub(crate) fn ring(&self) -> Contender {
        let middle = match self.compile_ring() {
            Ok(path) => Middle::Via(Spec::new(path, "")),
            Err(why) => Middle::Missing(why),
        };
        Contender::other("two-thread ring in C", middle)
    }

    fn compile_ring(&self) -> Result<PathBuf, String> {
        if !self.has("cc") {
            return Err("no C compiler (cc)".to_owned());
        }
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/ring.c");
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ring");
        let mut cc = Command::new("cc");
        cc.args(["-O2", "-pthread", "-o"]).arg(&program).arg(source);
        match cc.status() {
            Ok(status) if status.success() => Ok(program),
            Ok(status) => Err(format!("cc: {status}")),
            Err(error) => Err(format!("cc: {error}")),
        }
    }
}
