//! What can stand before and behind weir: every kind of descriptor, each with the test's end of it.

use std::fs::{File, OpenOptions};
use std::io::{PipeReader, Read, Seek, Write, pipe};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use tempfile::TempDir;

use super::{Beside, beside, collect, feed};

/// What weir reads from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    Pipe,
    Fifo,
    RegularFile,
    UnixSocket,
    TcpSocket,
    Terminal,
    DevNull,
}

/// What weir writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behind {
    Pipe,
    Fifo,
    RegularFile,
    AppendedFile,
    UnixSocket,
    TcpSocket,
    Terminal,
    DevNull,
}

/// All of them.
pub(crate) const BEHIND: [Behind; 8] = [
    Behind::Pipe,
    Behind::Fifo,
    Behind::RegularFile,
    Behind::AppendedFile,
    Behind::UnixSocket,
    Behind::TcpSocket,
    Behind::Terminal,
    Behind::DevNull,
];

impl Before {
    /// Weir's end, with these bytes coming through it.
    pub(crate) fn open(self, bytes: &[u8]) -> Stdio {
        let bytes = bytes.to_vec();
        match self {
            Before::Pipe => {
                let (theirs, ours) = pipe().expect("make a pipe");
                feed(ours, bytes);
                theirs.into()
            }
            Before::Fifo => {
                let (theirs, ours) = fifo();
                feed(ours, bytes);
                theirs.into()
            }
            Before::RegularFile => {
                let mut file = tempfile::tempfile().expect("make a file");
                file.write_all(&bytes).expect("fill a file");
                file.rewind().expect("rewind a file");
                file.into()
            }
            Before::UnixSocket => {
                let (theirs, ours) = UnixStream::pair().expect("make a socket pair");
                feed(ours, bytes);
                OwnedFd::from(theirs).into()
            }
            Before::TcpSocket => {
                let (theirs, ours) = tcp();
                feed(ours, bytes);
                OwnedFd::from(theirs).into()
            }
            Before::Terminal => typed(bytes),
            Before::DevNull => Stdio::null(),
        }
    }

    /// What this side can carry, made of `bytes`: a terminal takes lines of text.
    pub(crate) fn suit(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Before::Terminal => text(&bytes[..bytes.len().min(24_000)]),
            Before::DevNull => Vec::new(),
            _ => bytes.to_vec(),
        }
    }
}

/// Lines of hexadecimal digits.
fn text(bytes: &[u8]) -> Vec<u8> {
    let line = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>() + "\n";
    bytes.chunks(36).map(line).collect::<String>().into_bytes()
}

/// A terminal at which somebody types these lines and then Ctrl-D.
fn typed(mut lines: Vec<u8>) -> Stdio {
    let (ours, theirs) = terminal();
    let mut settings = tcgetattr(&theirs).expect("read a terminal's settings");
    settings.local_modes -= rustix::termios::LocalModes::ECHO;
    tcsetattr(&theirs, OptionalActions::Now, &settings).expect("set up a terminal");
    lines.push(4);
    // Kept open until weir has closed the terminal, or what was typed would be forgotten.
    beside(move || {
        let mut ours = ours;
        let _ = ours.write_all(&lines);
        let _ = ours.read(&mut [0]);
    });
    theirs.into()
}

/// Both ends of a new terminal: ours, and the one for a program.
pub(crate) fn terminal() -> (File, File) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let ours = openpt(flags).expect("make a terminal");
    grantpt(&ours).expect("grant a terminal");
    unlockpt(&ours).expect("unlock a terminal");
    let name = ptsname(&ours, Vec::new()).expect("name a terminal");
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let theirs = rustix::fs::open(&name, flags, Mode::empty()).expect("open a terminal");
    (ours.into(), theirs.into())
}

/// Makes a terminal pass bytes on as they are.
pub(crate) fn make_raw(terminal: &File) {
    let mut settings = tcgetattr(terminal).expect("read a terminal's settings");
    settings.make_raw();
    tcsetattr(terminal, OptionalActions::Now, &settings).expect("set up a terminal");
}

/// Makes a FIFO at this place.
pub(crate) fn make_fifo(path: &Path) {
    let mode = Mode::RUSR | Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, path, FileType::Fifo, mode, 0).expect("make a FIFO");
}

/// The reading and the writing end of a FIFO.
pub(crate) fn fifo() -> (File, File) {
    let dir = TempDir::new().expect("make a directory");
    let path = dir.path().join("fifo");
    make_fifo(&path);
    let writing = beside({
        let path = path.clone();
        move || OpenOptions::new().write(true).open(path)
    });
    let reading = File::open(&path).expect("open a FIFO");
    (reading, writing.done().expect("open a FIFO"))
}

/// Both ends of a connection on the loopback interface.
pub(crate) fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let ours = TcpStream::connect(listener.local_addr().expect("address")).expect("connect");
    (listener.accept().expect("accept").0, ours)
}

/// What comes out behind weir.
pub(crate) enum Catch {
    Read(Beside<Vec<u8>>),
    /// A file, and what was in it before.
    File(File, &'static [u8]),
    Nothing,
}

impl Behind {
    /// Weir's end, and what will be caught behind it.
    pub(crate) fn open(self) -> (Stdio, Catch) {
        match self {
            Behind::Pipe => {
                let (ours, theirs): (PipeReader, _) = pipe().expect("make a pipe");
                (theirs.into(), Catch::Read(collect(ours)))
            }
            Behind::Fifo => {
                let (ours, theirs) = fifo();
                (theirs.into(), Catch::Read(collect(ours)))
            }
            Behind::RegularFile => file(false),
            Behind::AppendedFile => file(true),
            Behind::UnixSocket => {
                let (ours, theirs) = UnixStream::pair().expect("make a socket pair");
                (OwnedFd::from(theirs).into(), Catch::Read(collect(ours)))
            }
            Behind::TcpSocket => {
                let (theirs, ours) = tcp();
                (OwnedFd::from(theirs).into(), Catch::Read(collect(ours)))
            }
            Behind::Terminal => {
                let (ours, theirs) = terminal();
                make_raw(&theirs);
                (theirs.into(), Catch::Read(collect(ours)))
            }
            Behind::DevNull => (Stdio::null(), Catch::Nothing),
        }
    }
}

fn file(append: bool) -> (Stdio, Catch) {
    const LEAD: &[u8] = b"what was there before\n";
    let file = tempfile::NamedTempFile::new().expect("make a file");
    let lead = if append { LEAD } else { b"" };
    file.as_file().write_all(lead).expect("fill a file");
    let theirs = OpenOptions::new()
        .write(true)
        .append(append)
        .open(file.path())
        .expect("open a file");
    (theirs.into(), Catch::File(file.into_file(), lead))
}

impl Catch {
    /// All of it, once weir has ended; `None` where it cannot be known.
    pub(crate) fn all(self) -> Option<Vec<u8>> {
        match self {
            Catch::Read(bytes) => Some(bytes.done()),
            Catch::File(mut file, lead) => {
                let mut bytes = Vec::new();
                file.rewind().expect("rewind a file");
                file.read_to_end(&mut bytes).expect("read a file");
                Some(bytes.strip_prefix(lead).expect("overwritten").to_vec())
            }
            Catch::Nothing => None,
        }
    }
}
