//! Which of the other tools are installed, and in which version.

use std::process::{Command, Stdio};

/// One tool that was found.
pub(crate) struct Peer {
    /// The name it is called by.
    pub name: &'static str,
    /// What it says about its version.
    pub version: String,
}

/// The tools looked for and how each is asked for its version.
const KNOWN: &[(&str, &str)] = &[
    ("cat", "--version"),
    ("tee", "--version"),
    ("pee", "--version"),
    ("pv", "--version"),
    ("mbuffer", "--version"),
    ("cstream", "-V"),
    ("buffer", "-?"),
    ("dd", "--version"),
    ("xargs", "--version"),
    ("wc", "--version"),
    ("parallel", "--version"),
    ("redis-server", "--version"),
    ("strace", "--version"),
    ("cc", "--version"),
];

/// Asks every known tool.
pub(crate) fn find() -> Vec<Peer> {
    KNOWN
        .iter()
        .filter_map(|&(name, flag)| ask(name, flag))
        .collect()
}

/// The names of those that were looked for.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().map(|&(name, _)| name)
}

fn ask(name: &'static str, flag: &str) -> Option<Peer> {
    let answer = Command::new(name)
        .arg(flag)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let said = [answer.stdout, answer.stderr].concat();
    let text = String::from_utf8_lossy(&said);
    let numbered = |line: &&str| line.contains(|c: char| c.is_ascii_digit());
    let line = text
        .lines()
        .find(numbered)
        .filter(|_| answer.status.success());
    let version = line.unwrap_or("installed, tells no version");
    Some(Peer {
        name,
        version: version.trim().to_owned(),
    })
}
