//! What lies in a spool, for whoever asks: read-only, whether or not a weir is using it, without
//! reading any payload. Beside a weir that is using it, the figures are those of an instant ago.

use std::path::Path;

use super::directory::Directory;
use super::error::DiskError;
use super::format::{Framing, Read, names};
use super::index::{Found, Index};
use super::journal::Entry;
use super::lock::Lock;
use super::state::{CONSUMER, Place, State, UNCOUNTED};
use super::state_file;
use super::survey::{Seen, Survey};

/// What lies in a spool.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct SpoolStatus {
    /// The PID of the weir that is using it; 0 where that is not known.
    pub owner: Option<u32>,
    /// Bytes that some output is still owed.
    pub bytes: u64,
    /// Records that some output is still owed.
    pub records: u64,
    /// Whether it is divided into records.
    pub is_framed: bool,
    /// Whether it is known how many lie there: what came last is not counted before it is entered.
    pub is_counted: bool,
    /// Each output by its name, with the bytes and records that it is owed; the consumer's name is `-`.
    pub outputs: Vec<Owed>,
    /// Batches that have been begun, and not been acknowledged.
    pub batches: u64,
    /// When the oldest of them came: nanoseconds since 1970.
    pub oldest: Option<u64>,
    /// Bytes of disk that segments and indexes have.
    pub disk: u64,
    /// Bytes and records lost to damage so far.
    pub lost_bytes: u64,
    /// `None` where nobody knows how many.
    pub lost_records: Option<u64>,
    /// Files with parts that were cut out.
    pub aside: Vec<String>,
    /// What can be seen to be wrong, one line each.
    pub problems: Vec<String>,
}

/// What an output is owed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Owed {
    pub name: String,
    pub bytes: u64,
    pub records: u64,
}

impl Owed {
    /// All from this place on.
    fn behind(name: &str, place: Place, end: Place) -> Owed {
        let bytes = end.at.saturating_sub(place.at);
        let records = end.record.saturating_sub(place.record);
        Owed {
            name: name.to_owned(),
            bytes,
            records: if bytes > 0 { records } else { 0 },
        }
    }
}

/// Looks at a spool.
///
/// # Errors
/// When there is none, a later weir wrote it, or the system refuses.
pub(crate) fn query(path: &Path) -> Result<SpoolStatus, DiskError> {
    let directory = Directory::open(path)?;
    look(&directory, path, || {})
}

/// `between` is called when the directory has been listed.
fn look(
    directory: &Directory,
    path: &Path,
    between: impl FnOnce(),
) -> Result<SpoolStatus, DiskError> {
    // What lies between where the stream ended before the list was made, and how far all outputs had come when it
    // had been made, was there all the time: whoever uses the spool gives back what lies before, and adds behind.
    let (before, _) = read_state(directory)?;
    let survey = Survey::of(directory)?;
    between();
    let (state, mut status) = read_state(directory)?;
    if !survey.ours {
        let reason = "there is no spool in it";
        return Err(DiskError::because("query", path, reason));
    }
    status.owner = Lock::owner(directory);
    status.disk = survey.segments.iter().map(|s| s.len + s.index_len).sum();
    status.aside = survey.aside.clone();
    let state_path = directory.path_of("state");
    let (mut end, is_entered) = end(directory, &survey, state.as_ref())?;
    let ended = state.as_ref().and_then(|state| state.ended);
    let is_over = |at: u64| ended.is_some_and(|ended| ended.get() == at);
    if is_over(end.at) {
        // Its last record is whole, and gets its end when the spool is opened next.
        end = end.between_records();
    }
    status.is_counted = is_entered;
    let first = survey.segments.first().map_or(end.at, |first| first.base);
    let mut oldest = Place {
        at: first,
        ..Place::default()
    };
    let places = state.iter().flat_map(|state| state.places.values());
    if let Some(least) = places.min_by_key(|place| place.at) {
        oldest = *least;
    }
    let owed = Owed::behind("", oldest, end);
    (status.bytes, status.records) = (owed.bytes, owed.records);
    let outputs = state.iter().flat_map(|state| &state.places);
    let outputs = outputs.map(|(name, place)| Owed::behind(name, *place, end));
    status.outputs = outputs.collect();
    if let Some(journal) = state.as_ref().and_then(|state| state.journal.as_ref()) {
        // What lies between batches may have been acknowledged.
        let open = |of: fn(&Entry) -> u64| journal.open.iter().map(of).sum::<u64>();
        let rest = Owed::behind("", journal.next, end);
        // What was never tried is no batch yet.
        let batches = journal.open.iter().filter(|it| it.number > 0);
        status.batches = batches.count() as u64;
        let its = status.outputs.iter_mut();
        for it in its.filter(|it| it.name == CONSUMER) {
            it.bytes = open(|it| it.end - it.place.at) + rest.bytes;
            let last = journal
                .open
                .iter()
                .filter(|it| it.is_ended || is_over(it.end));
            it.records = open(|it| it.records) + last.count() as u64 + rest.records;
        }
        let most = status.outputs.iter().max_by_key(|it| it.bytes);
        (status.bytes, status.records) = most.map_or((0, 0), |it| (it.bytes, it.records));
    }
    let through = match before {
        Some(state) if status.owner.is_some() => state.end.at,
        _ => end.at,
    };
    status.problems.extend(gaps(&survey, oldest.at, through));
    if status.bytes > 0 {
        status.oldest = arrival(directory, &survey, oldest.at)?;
    }
    if state.is_none() {
        let name = state_path.display();
        let line = format!("{name} is missing or damaged: places of outputs are not known");
        status.problems.push(line);
    }
    Ok(status)
}

fn read_state(directory: &Directory) -> Result<(Option<State>, SpoolStatus), DiskError> {
    let path = directory.path_of("state");
    let mut status = SpoolStatus::default();
    let Ok(file) = directory.read_file("state") else {
        return Ok((None, status));
    };
    match state_file::read(&file).map_err(|error| DiskError::new("read", &path, error))? {
        (Read::Good(state), _) => {
            status.lost_bytes = state.lost_bytes;
            status.lost_records = Some(state.lost_records).filter(|n| *n != UNCOUNTED);
            status.is_framed = state.framing != Framing::Bytes;
            Ok((Some(state), status))
        }
        (Read::Damaged, _) => Ok((None, status)),
        (Read::Unknown(version), _) => Err(DiskError::unknown_version(version, &path)),
    }
}

fn index_of(directory: &Directory, base: u64) -> Option<Index> {
    let file = directory.read_file(&names(base).1).ok()?;
    Index::open(file).ok()
}

/// Where the stream ends, and whether the number of the record there is known, too.
fn end(
    directory: &Directory,
    survey: &Survey,
    state: Option<&State>,
) -> Result<(Place, bool), DiskError> {
    let mut end = state.map_or(Place::default(), |state| state.end);
    let Some(last) = survey.segments.last() else {
        return Ok((end, true));
    };
    if let Some(mut index) = index_of(directory, last.base) {
        let path = directory.path_of(&names(last.base).1);
        let entry = index.last().map_err(|e| DiskError::new("read", &path, e))?;
        if let Some((_, entry)) = entry {
            end.at = end.at.max(entry.end());
            end.record = end
                .record
                .max(entry.first_record + u64::from(entry.records));
        }
    }
    let is_entered = last.end() <= end.at;
    end.at = end.at.max(last.end());
    Ok((end, is_entered))
}

/// Bytes that should be there and are not.
fn gaps(survey: &Survey, from: u64, end: u64) -> Vec<String> {
    let mut lines = Vec::new();
    let mut at = from;
    let behind = Seen {
        base: end,
        len: 0,
        index_len: 0,
    };
    for seen in survey.segments.iter().chain([&behind]) {
        let to = seen.base.min(end);
        if to > at {
            lines.push(format!("{} bytes at {at} are missing", to - at));
        }
        at = at.max(seen.end());
    }
    lines
}

/// When the byte at that offset came.
fn arrival(directory: &Directory, survey: &Survey, at: u64) -> Result<Option<u64>, DiskError> {
    let behind = survey.segments.partition_point(|seen| seen.end() <= at);
    let Some(seen) = survey.segments.get(behind) else {
        return Ok(None);
    };
    let Some(mut index) = index_of(directory, seen.base) else {
        return Ok(None);
    };
    let path = directory.path_of(&names(seen.base).1);
    let found = index.find(at.max(seen.base), seen.base, seen.end());
    match found.map_err(|error| DiskError::new("read", &path, error))? {
        Found::Entry(_, entry) => Ok(Some(entry.arrival)),
        // So new that it is not entered yet, or its entry is damaged: as of the last change.
        Found::Hole { .. } => Ok(directory
            .stat(&names(seen.base).0)
            .ok()
            .and_then(|stat| u64::try_from(stat.st_mtime).ok())
            .map(|seconds| seconds.saturating_mul(1_000_000_000))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::segments::Appended;
    use crate::disk::tests::{NOW, append, lines, open, read_from, small};

    #[test]
    fn a_busy_spool_has_no_gaps_whatever_its_owner_does_while_it_is_looked_at() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("q");
        let spool = open(&path, &small()).spool;
        let pass_on = || {
            append(&spool, &b"a line\n".repeat(40_000));
            spool.set_place("-", spool.end()).expect("saved");
            assert!(spool.release(u64::MAX).expect("released"));
            append(&spool, &b"a line\n".repeat(40_000));
        };
        let directory = Directory::open(&path).expect("it is there");
        for _ in 0..3 {
            pass_on();
            let status = look(&directory, &path, pass_on).expect("a status");
            assert_eq!(status.owner, Some(std::process::id()));
            assert_eq!(status.problems, Vec::<String>::new());
        }
        spool.set_place("-", Place::default()).expect("saved");
        let status = look(&directory, &path, || {}).expect("a status");
        assert_eq!(status.problems.len(), 1, "what is missing is said");
    }

    #[test]
    fn a_clock_that_was_set_back_between_two_runs_changes_neither_order_nor_who_is_the_oldest() {
        const HOUR: u64 = 3_600_000_000_000;
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("q");
        let text = lines(0, 4000);
        let (first, second) = text.split_at(text.len() / 2);
        let spool = open(&path, &small()).spool;
        append(&spool, first);
        spool.close(true, u64::MAX).expect("closed");
        drop(spool);
        let opened = open(&path, &small());
        assert!(opened.damages.is_empty(), "{:?}", opened.damages);
        let spool = opened.spool;
        let mut rest = second;
        while let Appended::Bytes(n @ 1..) = spool.append_some(rest, NOW - HOUR).expect("taken") {
            rest = &rest[n..];
        }
        assert!(rest.is_empty(), "all of it");
        assert_eq!(read_from(&spool, 0).bytes(), text);
        let at = |at: u64| Place {
            at,
            ..Place::default()
        };
        let directory = Directory::open(&path).expect("it is there");
        for (place, arrival) in [(0, NOW), (first.len() as u64, NOW - HOUR)] {
            spool.set_place("-", at(place)).expect("saved");
            let status = look(&directory, &path, || {}).expect("a status");
            assert_eq!(status.oldest, Some(arrival), "at {place}");
            assert_eq!(status.problems, Vec::<String>::new());
        }
    }
}
