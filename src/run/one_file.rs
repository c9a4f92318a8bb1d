//! Files that are named twice, where that would loop, destroy something or make a mess: refused
//! before anything is opened for writing.
//!
//! Files are told apart by device and inode, so that links and redirections do not hide anything,
//! and one that is not there yet by its folder and name. Each use of a file is a row in [`roles`];
//! what two uses do to each other follows from what each of them does, in [`harm`].

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, OFlags, SeekFrom, Stat, fcntl_getfl, fstat, readlink, seek, stat};
use rustix::io::Errno;
use rustix::stdio::{stderr, stdin, stdout};

use crate::config::Config;
use crate::engine::side;
use crate::pipe::error::PipeError;

/// Links that are followed to a file that is not there yet, as the system does.
const LINKS: usize = 40;

/// Why a run must not begin.
#[derive(Debug)]
pub(super) struct Clash {
    /// What to say.
    pub failure: PipeError,
    /// The log is one of the two: it must not be told.
    pub is_of_log: bool,
}

/// What is done with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Read,
    /// Written to, and not to be mixed with anything.
    Write,
    /// The same, by what is read: whether it can be read again [`feeds_itself`] knows.
    Deliver,
    /// Lines of weir's own are written: at the end, or wherever the descriptor stands.
    Tell {
        at_end: bool,
    },
    /// Another file takes its place.
    Replace,
}

/// One use of a file.
#[derive(Debug)]
struct Role {
    /// What the user calls it.
    what: &'static str,
    file: String,
    does: Does,
    /// It was opened by whoever started weir, who may know why.
    is_given: bool,
    place: Place,
}

/// Which file it is.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    There(Id, FileType),
    /// It will be made in this folder, by this name.
    NotYet(Id, OsString),
}

type Id = (u64, u64);

/// The first two uses of one file that must not be, if any.
pub(super) fn clash(config: &Config, inputs: &[PathBuf]) -> Option<Clash> {
    // What a program makes of it does not come back.
    if config.command.is_none()
        && let Some(failure) = feeds_itself(inputs)
    {
        return Some(Clash {
            failure,
            is_of_log: false,
        });
    }
    let roles = roles(config, inputs);
    let pairs = roles
        .iter()
        .enumerate()
        .flat_map(|(i, b)| roles[..i].iter().map(move |a| (a, b)));
    pairs
        .filter_map(|(a, b)| Some((a, b, harm(a, b)?)))
        .map(|(a, b, harm)| {
            let file = if b.is_given { &a.file } else { &b.file };
            let why = format!("{} and {} are one file: {harm}", a.what, b.what);
            Clash {
                failure: PipeError::because("open", file, &why),
                is_of_log: [a, b].iter().any(|role| role.what == "--log"),
            }
        })
        .next()
}

/// Every use of a file.
fn roles(config: &Config, inputs: &[PathBuf]) -> Vec<Role> {
    let named = |what, path: &Path, does| {
        Some(Role {
            what,
            file: path.display().to_string(),
            does,
            is_given: false,
            place: place(path)?,
        })
    };
    let given = |what: &'static str, fd, does| {
        let stat = fstat(fd).ok()?;
        Some(Role {
            what,
            file: what.to_owned(),
            does,
            is_given: true,
            place: Place::There(id(&stat), kind(&stat)),
        })
    };
    let input = |file: &PathBuf| {
        if is_standard(file) {
            given("standard input", stdin(), Does::Read)
        } else {
            named("input", file, Does::Read)
        }
    };
    let option = |what, path: &Option<PathBuf>, does| named(what, path.as_deref()?, does);
    let at_end = fcntl_getfl(stderr()).is_ok_and(|flags| flags.contains(OFlags::APPEND));
    let logs = Does::Tell { at_end: true };
    // What a program writes there is its own business, and is not mixed with what weir says any worse than
    // it would be by a shell.
    let to_output = match config.command {
        Some(_) => Does::Tell {
            at_end: fcntl_getfl(stdout()).is_ok_and(|flags| flags.contains(OFlags::APPEND)),
        },
        None => Does::Deliver,
    };
    let report = &config.report;
    let others = [
        given("standard output", stdout(), to_output),
        given("standard error", stderr(), Does::Tell { at_end }),
        option("--log", &report.log, logs),
        option("--shed-to", &config.shed_to, Does::Write),
        option("--metrics", &report.metrics, Does::Replace),
        option("--chart", &report.chart, Does::Replace),
    ];
    let branches = config.outputs.iter().map(|(path, role)| {
        let what = match role {
            side::Role::Tee => "--tee",
            _ => "--tap",
        };
        named(what, path, Does::Write)
    });
    let inputs = inputs.iter().map(input);
    inputs.chain(others).chain(branches).flatten().collect()
}

/// What would come of both being done to one file, if they are one and it is any harm.
fn harm(a: &Role, b: &Role) -> Option<&'static str> {
    if a.place != b.place || a.is_given && b.is_given {
        return None;
    }
    let is_kept = match a.place {
        // Terminals, /dev/null and the like take from many and give back to none.
        Place::There(_, FileType::CharacterDevice | FileType::Socket) => return None,
        Place::There(_, FileType::Fifo) => false,
        _ => true,
    };
    let both = [a.does, b.does];
    let does = |what| both.contains(&what);
    let tells = |role: &Role| matches!(role.does, Does::Tell { .. });
    match () {
        () if both == [Does::Read; 2] || both == [Does::Read, Does::Deliver] => None,
        () if does(Does::Replace) => Some("it would be replaced; name another"),
        () if !is_kept && (tells(a) && a.is_given || tells(b) && b.is_given) => None,
        () if does(Does::Read) => Some("what is written would be read again; name another"),
        () if tells(a) && tells(b) => does(Does::Tell { at_end: false })
            .then_some("they would overwrite each other; append with 2>>"),
        () => Some("they would be mixed; name another"),
    }
}

/// An input that would be read again and again, since what is written is appended to it or lands
/// ahead of where it is read. What is read first, or never, does no harm.
fn feeds_itself(inputs: &[PathBuf]) -> Option<PipeError> {
    let output = fstat(stdout()).ok()?;
    let begin = match kind(&output) {
        FileType::RegularFile if fcntl_getfl(stdout()).ok()?.contains(OFlags::APPEND) => {
            u64::try_from(output.st_size).ok()?
        }
        FileType::RegularFile | FileType::BlockDevice => {
            seek(stdout(), SeekFrom::Current(0)).ok()?
        }
        _ => return None,
    };
    let is_again = |(i, file): &(usize, &PathBuf)| {
        let is_same = look(file).is_ok_and(|stat| id(&stat) == id(&output));
        is_same
            && (here(file) < begin
                || is_standard(file) && moves_with_output() && has_more()
                || inputs[..*i].iter().any(|earlier| brings(earlier, file)))
    };
    let (_, file) = inputs.iter().enumerate().find(is_again)?;
    let name = if is_standard(file) {
        "standard input".into()
    } else {
        file.display().to_string()
    };
    let why = "input file is output file; write to another file and rename it";
    Some(PipeError::because("read", &name, why))
}

/// Whether what is read from standard input moves the place at which standard output is written, as after `<>f 1>&0`.
fn moves_with_output() -> bool {
    let place = || seek(stdout(), SeekFrom::Current(0)).ok();
    let before = place();
    let Ok(moved) = seek(stdin(), SeekFrom::Current(1)) else {
        return false;
    };
    let after = place();
    // Nothing has been read yet, and nobody else is at work here.
    let _ = seek(stdin(), SeekFrom::Start(moved - 1));
    before != after
}

/// Whether anything is left to be read from standard input, which is a file.
fn has_more() -> bool {
    let mut byte = [0];
    rustix::io::pread(stdin(), &mut byte, here(Path::new("-"))) != Ok(0)
}

/// Whether something of this input will have been written when the turn comes to that one.
fn brings(earlier: &Path, than: &Path) -> bool {
    // Named again, standard input is where the first time has left it.
    if is_standard(earlier) && is_standard(than) {
        return false;
    }
    let is_file = look(earlier).is_ok_and(|stat| kind(&stat) == FileType::RegularFile);
    let ends_here = || {
        // A file's size is not to be believed: some of the system's claim to be empty.
        if is_standard(earlier) {
            return !has_more();
        }
        let mut byte = [0];
        let read = File::open(earlier).and_then(|file| file.read_at(&mut byte, 0));
        read.is_ok_and(|read| read == 0)
    };
    !(is_file && ends_here())
}

/// Where reading an input begins.
fn here(file: &Path) -> u64 {
    match is_standard(file) {
        true => seek(stdin(), SeekFrom::Current(0)).unwrap_or(0),
        false => 0,
    }
}

fn is_standard(file: &Path) -> bool {
    file == Path::new("-")
}

fn look(file: &Path) -> rustix::io::Result<Stat> {
    match is_standard(file) {
        true => fstat(stdin()),
        false => stat(file),
    }
}

/// Which file a name stands for. `None`: opening it will tell what is wrong.
fn place(path: &Path) -> Option<Place> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        let folder = match path.parent()? {
            none if none.as_os_str().is_empty() => Path::new("."),
            folder => folder,
        };
        match stat(&path) {
            Ok(stat) => return Some(Place::There(id(&stat), kind(&stat))),
            Err(Errno::NOENT) => {}
            Err(_) => return None,
        }
        match readlink(&path, Vec::new()) {
            Ok(target) => path = folder.join(OsStr::from_bytes(target.as_bytes())),
            Err(_) => {
                return Some(Place::NotYet(
                    id(&stat(folder).ok()?),
                    path.file_name()?.into(),
                ));
            }
        }
    }
    None
}

fn id(stat: &Stat) -> Id {
    // The types differ from system to system.
    #[allow(clippy::unnecessary_cast)]
    (stat.st_dev as u64, stat.st_ino as u64)
}

fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}
