//! The calls of Linux: splice(2), tee(2) and copy_file_range(2), and what each of their errors means.
//!
//! Invariant: what the system refuses is still in the input, and an error is told with the side that it came from.

use rustix::fs::{SeekFrom, copy_file_range, seek};
use rustix::io::{Errno, pread};
use rustix::pipe::{SpliceFlags, splice};

use super::fan::FanOut;
use crate::engine::action::{Permit, Taker};
use crate::engine::drive::Passage;
use crate::engine::scan::Run;
use crate::engine::stall::Side;
use crate::pipe::calls::again;
use crate::pipe::fd::Port;
use crate::pipe::peek::{Peek, duplicate};
use crate::pipe::shared::SidePipe;

/// Bytes asked of one call: more than any pipe holds, little enough for the counters to move
/// while a file is copied.
const STEP: usize = 1 << 20;

/// Whether bytes can be passed from `input` to `output` at all; `seen`: with a look at them.
#[must_use]
pub(crate) fn suits(input: &Port, output: &Port, seen: bool) -> bool {
    (input.is_pipe() || input.is_file() && !seen) && (output.is_pipe() || output.is_file())
}

/// Passes on what is there, fits and has leave, without waiting for a pipe.
pub(crate) fn pass(
    input: &Port,
    output: &Port,
    permit: Permit,
    peek: Option<&mut Peek>,
) -> Passage {
    let Some(peek) = peek else {
        return match splice_or_copy(input, output, permit.allowance.bytes) {
            // Some files of the system claim to be empty here and are not.
            Ok(Some(0)) if input.is_file() => Passage::Refused,
            Ok(Some(0)) => Passage::End,
            Ok(Some(bytes)) => Passage::Passed(Run {
                bytes,
                ..Run::at(permit.cursor)
            }),
            Ok(None) => Passage::Stuck,
            Err(e) => verdict(e, input, output),
        };
    };
    match peek.look(input) {
        Ok(Some(0)) => return Passage::End,
        Ok(Some(_)) => {}
        Ok(None) => return Passage::Stuck,
        Err(_) => return Passage::Refused,
    }
    match splice_or_copy(input, output, peek.reach(permit)) {
        Ok(Some(n @ 1..)) => Passage::Passed(peek.go_by(permit.cursor, n)),
        // What was there is gone: somebody else reads as well.
        Ok(Some(_)) => {
            peek.forget();
            Passage::Stuck
        }
        Ok(None) => Passage::Stuck,
        Err(e) => verdict(e, input, output),
    }
}

/// Passes on what is there and has leave to several pipes: as much as all that are waited for have room for. Where
/// all have had the same it is taken off the input. Also says who has no room.
pub(in crate::pipe) fn fan_out(
    FanOut {
        input,
        output,
        others,
        drain,
        is_owed,
    }: FanOut<'_>,
    permit: Permit,
    peek: Option<&mut Peek>,
    takers: &mut [Taker],
) -> (Passage, Option<Port>) {
    if takers.is_empty() && !is_owed {
        return (pass(input, output, permit, peek), None);
    }
    // What is read will be counted then.
    let mut peek = peek.filter(|_| !is_owed);
    let mut most = permit.allowance.bytes.min(STEP);
    if let Some(peek) = peek.as_deref_mut() {
        match peek.look(input) {
            Ok(Some(0)) => return (Passage::End, None),
            Ok(Some(_)) => most = most.min(peek.reach(permit)),
            Ok(None) => return (Passage::Stuck, None),
            Err(_) => return (Passage::Refused, None),
        }
    }
    match room_of_all(output, others, most) {
        Ok(room) => most = room,
        Err(full) => return (Passage::Stuck, Some(full)),
    }
    let n = match duplicate(input, output, most) {
        Ok(Some(0)) => return (Passage::End, None),
        Ok(Some(n)) => n,
        Ok(None) => return (Passage::Stuck, None),
        Err(e) => return (verdict(e, input, output), None),
    };
    let run = match peek {
        Some(peek) => peek.go_by(permit.cursor, n),
        None => Run {
            bytes: n,
            ..Run::at(permit.cursor)
        },
    };
    for taker in &mut *takers {
        let other = pipe_of(others, taker);
        // What is wrong with it its own thread will find, when it writes the rest.
        taker.had = other.map_or(0, |to| {
            duplicate(input, &to.port, n).ok().flatten().unwrap_or(0)
        });
    }
    let have_all = !is_owed && takers.iter().all(|taker| taker.had == n);
    let Some(drain) = drain.filter(|_| have_all) else {
        return (Passage::Uneven(n), None);
    };
    drain.take(input, n);
    (Passage::Passed(run), None)
}

/// The same where somebody is owed all that passes: it is duplicated before, to be read when it has left the input,
/// so that the producer does not wait for that.
pub(in crate::pipe) fn pass_aside(
    FanOut {
        input,
        output,
        others,
        ..
    }: FanOut<'_>,
    permit: Permit,
    peek: &mut Peek,
    takers: &mut [Taker],
) -> (Passage, Option<Port>) {
    match peek.look(input) {
        Ok(Some(0)) => return (Passage::End, None),
        Ok(Some(_)) => {}
        Ok(None) => return (Passage::Stuck, None),
        Err(_) => return (Passage::Refused, None),
    }
    let most = match room_of_all(output, others, peek.reach(permit)) {
        Ok(most) => most,
        Err(full) => return (Passage::Stuck, Some(full)),
    };
    let n = match splice_or_copy(input, output, most) {
        Ok(Some(n @ 1..)) => n,
        // What was there is gone: somebody else reads as well.
        Ok(Some(_)) => {
            peek.forget();
            return (Passage::Stuck, None);
        }
        Ok(None) => return (Passage::Stuck, None),
        Err(e) => return (verdict(e, input, output), None),
    };
    for taker in takers {
        let other = pipe_of(others, taker);
        taker.had = other.map_or(0, |to| peek.copy_to(&to.port, n));
    }
    (Passage::Uneven(n), None)
}

/// The pipe of one who was there when this set out. Another one who has come to the same FIFO since would get the
/// middle of something.
fn pipe_of<'a>(others: &'a [SidePipe], taker: &Taker) -> Option<&'a SidePipe> {
    let mut others = others.iter();
    others.find(|other| (other.i, other.visit) == (taker.i, taker.visit))
}

/// As much of so many bytes as all who are waited for have room for, or who has none.
fn room_of_all(output: &Port, others: &[SidePipe], mut most: usize) -> Result<usize, Port> {
    let tees = others.iter().filter(|other| other.is_waited_for);
    let tees: Vec<_> = tees.map(|tee| &tee.port).collect();
    // Where nobody else is waited for the output takes what it has room for.
    let last = (!tees.is_empty()).then_some(output);
    for pipe in tees.into_iter().chain(last) {
        // By bytes: where its slots are not full there is less, and some get less than others.
        let room = pipe.pipe_room();
        if room == 0 && pipe.has_no_reader() {
            // Whoever writes to it finds that out.
            continue;
        }
        if room == 0 {
            return Err(pipe.clone());
        }
        most = most.min(room);
    }
    Ok(most)
}

/// What an error means.
fn verdict(e: Errno, input: &Port, output: &Port) -> Passage {
    match e {
        Errno::INVAL | Errno::NOSYS | Errno::XDEV | Errno::OPNOTSUPP | Errno::PERM => {
            Passage::Refused
        }
        // Both are open in the right way: it is a file that is appended to.
        Errno::BADF => Passage::Refused,
        // It is told even where there is nothing left to write, which is no failure. Whoever
        // writes is told again.
        Errno::PIPE => Passage::Refused,
        // Copying takes less of it, and smaller numbers.
        Errno::NOMEM | Errno::OVERFLOW => Passage::Refused,
        e => Passage::Failed(culprit(e, input, output), e.into()),
    }
}

/// Which side an error comes from.
fn culprit(e: Errno, input: &Port, output: &Port) -> Side {
    match e {
        Errno::NOSPC | Errno::DQUOT | Errno::FBIG | Errno::ROFS | Errno::TXTBSY => Side::Sink,
        // Nothing else can happen to a pipe.
        _ if input.is_pipe() => Side::Sink,
        _ if output.is_pipe() => Side::Source,
        _ if is_readable_here(input) => Side::Sink,
        _ => Side::Source,
    }
}

/// Whether a file can be read where it stands, which does not move.
fn is_readable_here(file: &Port) -> bool {
    let mut bytes = [0; 4096];
    let here = seek(file, SeekFrom::Current(0));
    here.and_then(|here| pread(file, &mut bytes, here)).is_ok()
}

fn splice_or_copy(input: &Port, output: &Port, most: usize) -> rustix::io::Result<Option<usize>> {
    let most = most.min(STEP);
    again(|| {
        if input.is_pipe() || output.is_pipe() {
            let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
            splice(input, None, output, None, most, flags)
        } else {
            copy_file_range(input, None, output, None, most)
        }
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn what_has_set_out_for_one_reader_does_not_go_to_the_next() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let pipe = |i, visit| SidePipe {
            i,
            visit,
            port: Port::open(file.path()).expect("a file"),
            is_waited_for: false,
        };
        let others = [pipe(3, 1), pipe(2, 2)];
        let mut taker = Taker {
            i: 2,
            visit: 1,
            had: 0,
        };
        assert!(pipe_of(&others, &taker).is_none(), "its reader has gone");
        taker.visit = 2;
        assert!(pipe_of(&others, &taker).is_some());
    }

    #[test]
    fn an_error_is_the_side_s_that_it_comes_from_and_a_refusal_is_none() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let file = || Port::open(file.path()).expect("a file");
        // Reading it here gives EIO: nothing is mapped at the start of the address space.
        let broken = || Port::open(Path::new("/proc/self/mem")).expect("memory");
        let folder = tempfile::tempdir().expect("a folder");
        let fifo = folder.path().join("fifo");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, kind, mode, 0).expect("a FIFO");
        let flags = rustix::fs::OFlags::RDWR;
        let _both_ends = rustix::fs::open(&fifo, flags, mode).expect("a FIFO");
        let pipe = || Port::open(&fifo).expect("a FIFO");
        let (refused, source, sink) = (None, Some(Side::Source), Some(Side::Sink));
        for (e, input, output, wanted) in [
            (Errno::INVAL, file(), file(), refused),
            (Errno::NOSYS, file(), pipe(), refused),
            (Errno::XDEV, file(), file(), refused),
            (Errno::OPNOTSUPP, pipe(), file(), refused),
            (Errno::PERM, file(), file(), refused),
            (Errno::BADF, file(), file(), refused),
            (Errno::NOMEM, file(), file(), refused),
            (Errno::NOSPC, file(), file(), sink),
            (Errno::DQUOT, broken(), file(), sink),
            (Errno::FBIG, file(), file(), sink),
            (Errno::PIPE, pipe(), pipe(), refused),
            (Errno::IO, pipe(), file(), sink),
            (Errno::IO, file(), pipe(), source),
            (Errno::IO, file(), file(), sink),
            (Errno::IO, broken(), file(), source),
            (Errno::STALE, broken(), file(), source),
        ] {
            let got = match verdict(e, &input, &output) {
                Passage::Failed(side, told) => {
                    Some(side).filter(|_| told.raw_os_error() == Some(e.raw_os_error()))
                }
                _ => None,
            };
            assert_eq!(got, wanted, "{e} from {input:?} to {output:?}");
        }
    }
}
