//! Starts a program as a shell would: `PATH` is searched, a script without a first line that names its interpreter
//! is given to `/bin/sh`, and signals, group and terminal are what weir itself was started with.

use std::env;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawnp};
use nix::sys::signal::{SigSet, Signal};

use super::adopted;
use super::child::Child;
use super::line::CommandLine;
use crate::pipe::error::PipeError;
use crate::pipe::inherited;
use crate::units::share::PASSWORD;

/// The exit status for a program that is not there, as of `env`, `timeout` and every shell.
const NOT_FOUND: u8 = 127;
/// The same for one that cannot be run.
const NOT_RUN: u8 = 126;
/// What runs a script that does not say what runs it.
const SHELL: &str = "/bin/sh";
/// Bytes of a script that the system looks at for that.
const FIRST_MOST: u64 = 256;

/// A program could not be started.
#[derive(Debug, thiserror::Error)]
#[error("{failure}")]
pub(crate) struct SpawnError {
    /// The line to say.
    pub failure: PipeError,
    /// The exit status for it.
    pub status: u8,
}

/// Looks for it where it will be looked for: what is not there need not be met when the first batch is complete.
///
/// # Errors
/// When it is not there.
pub(crate) fn look_for(line: &CommandLine) -> Result<(), SpawnError> {
    let is_known = env::var_os("PATH").is_none() || found(&line.program).is_some();
    if is_known && (!has_folder(&line.program) || Path::new(&line.program).exists()) {
        return Ok(());
    }
    Err(refused(line, Errno::ENOENT))
}

fn has_folder(program: &OsStr) -> bool {
    program.as_bytes().contains(&b'/')
}

/// Starts it with this standard input, with the signals blocked that `mask` says, and with these variables beside
/// those of weir itself; without those that have no value.
///
/// # Errors
/// When it cannot be run; the program has not begun then.
pub(crate) fn spawn(
    line: &CommandLine,
    input: BorrowedFd<'_>,
    mask: &SigSet,
    variables: &[(&str, Option<String>)],
) -> Result<Child, SpawnError> {
    let words = [&line.program].into_iter().chain(&line.arguments);
    let mut words: Vec<OsString> = words.cloned().collect();
    let environment = environment(variables);
    let started = match start(&words, input, mask, &environment) {
        Err(Errno::ENOEXEC) => {
            let script = found(&line.program).unwrap_or_else(|| (&line.program).into());
            words[0] = script.into();
            words.insert(0, SHELL.into());
            start(&words, input, mask, &environment)
        }
        other => other,
    };
    let pid = started.map_err(|e| refused(line, e))?;
    Ok(Child::new(pid))
}

fn start(
    words: &[OsString],
    input: BorrowedFd<'_>,
    mask: &SigSet,
    environment: &[CString],
) -> nix::Result<nix::unistd::Pid> {
    let words: Vec<CString> = words.iter().map(text).collect::<nix::Result<_>>()?;
    let mut files = PosixSpawnFileActions::init()?;
    files.add_dup2(input.as_raw_fd(), 0)?;
    // What was closed when weir was started is only a stand-in now.
    for (fd, was_closed) in [
        (1, inherited::stdout_was_closed()),
        (2, inherited::stderr_was_closed()),
    ] {
        if was_closed {
            files.add_close(fd)?;
        }
    }
    let mut attributes = PosixSpawnAttr::init()?;
    let mut flags = PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK;
    attributes.set_sigmask(mask)?;
    // Rust's runtime ignores it in every program, and programs inherit that.
    if !inherited::was_ignored(Signal::SIGPIPE as i32) {
        flags |= PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF;
        attributes.set_sigdefault(&SigSet::from(Signal::SIGPIPE))?;
    }
    attributes.set_flags(flags)?;
    adopted::start(
        || posix_spawnp(&words[0], &files, &attributes, &words, environment),
        |pid| pid.as_raw().unsigned_abs(),
    )
}

fn text(word: impl AsRef<OsStr>) -> nix::Result<CString> {
    // No command line can hold such a byte.
    CString::new(word.as_ref().as_bytes()).map_err(|_| Errno::EINVAL)
}

/// The variables of weir itself, but for what is weir's alone and those of these names, and these.
fn environment(variables: &[(&str, Option<String>)]) -> Vec<CString> {
    let is_ours =
        |name: &OsStr| name == PASSWORD || variables.iter().any(|(ours, _)| name == *ours);
    let theirs = env::vars_os().filter(|(name, _)| !is_ours(name));
    let ours = variables.iter();
    let ours = ours.filter_map(|(name, value)| Some((name.into(), value.as_ref()?.into())));
    let pairs = theirs.chain(ours).map(|(name, value): (OsString, _)| {
        let mut pair = name.into_vec();
        pair.push(b'=');
        pair.extend(value.into_vec());
        pair
    });
    pairs.filter_map(|pair| CString::new(pair).ok()).collect()
}

/// The first file of this name that `PATH` leads to and that can be run.
fn found(program: &OsStr) -> Option<PathBuf> {
    use rustix::fs::{Access, access};
    if has_folder(program) {
        return Some(program.into());
    }
    let path = env::var_os("PATH")?;
    let mut files = env::split_paths(&path).map(|folder| folder.join(program));
    files.find(|file| access(file, Access::EXEC_OK).is_ok() && file.is_file())
}

/// What to say of a program that the system refuses to run.
fn refused(line: &CommandLine, e: Errno) -> SpawnError {
    let name = line.program.to_string_lossy();
    let path = Path::new(&line.program);
    let status = if e == Errno::ENOENT {
        NOT_FOUND
    } else {
        NOT_RUN
    };
    let failure = match path.metadata() {
        Ok(it) if it.is_dir() => PipeError::because("run", &name, "Is a directory"),
        // A file whose name begins with a dash was read, where it is named as a program now.
        Ok(it) if it.is_file() && can_be_read(path) => {
            let reason = PipeError::reason(io::Error::from(e));
            let inside = if path.is_absolute() || path.starts_with(".") {
                ""
            } else {
                "./"
            };
            let way = format!("{reason}; to read that file: weir {inside}{name}");
            PipeError::because("run", &name, &way)
        }
        _ => match missing_runner(line, e) {
            Some(runner) => {
                let why = format!("{runner}, which its first line names, is not there");
                PipeError::because("run", &name, &why)
            }
            None => PipeError::new("run", &name, io::Error::from(e)),
        },
    };
    SpawnError { failure, status }
}

/// What this program, a script that is there, says that it is to be run by, if that is why the system finds nothing.
fn missing_runner(line: &CommandLine, e: Errno) -> Option<String> {
    let is_script = |it: &PathBuf| e == Errno::ENOENT && it.is_file();
    let file = File::open(found(&line.program).filter(is_script)?).ok()?;
    let mut first = Vec::new();
    file.take(FIRST_MOST).read_to_end(&mut first).ok()?;
    let named = first.strip_prefix(b"#!")?.trim_ascii_start();
    let runner = named.split(u8::is_ascii_whitespace).next()?;
    let runner = Path::new(OsStr::from_bytes(runner));
    (!runner.exists()).then(|| runner.display().to_string())
}

fn can_be_read(path: &Path) -> bool {
    use rustix::fs::{Access, access};
    access(path, Access::READ_OK).is_ok() && access(path, Access::EXEC_OK).is_err()
}
