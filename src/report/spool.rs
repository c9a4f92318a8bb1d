//! What lies in a spool, for people and for programs: `--query DIR/`.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::stdio::stdout;
use rustix::termios::isatty;
use serde::Serialize;

use super::figures;
use crate::disk::query::{self, SpoolStatus};
use crate::disk::state::CONSUMER;
use crate::units::printable;

/// One object, as JSON has it. Fields are added, never changed; what is not known is `null`.
#[derive(Debug, Serialize)]
struct Lying<'a> {
    v: u32,
    spool: String,
    /// The weir that has it.
    pid: Option<u32>,
    bytes: u64,
    records: Option<u64>,
    /// Batches that have been begun, and not been acknowledged.
    batches: u64,
    /// The tees whose places are kept, and what each is owed.
    tees: Vec<Owed<'a>>,
    /// How long the oldest byte has been there, in seconds.
    age_s: Option<f64>,
    /// Bytes of the disk that it takes.
    disk: u64,
    lost: Lost,
    /// Files in which what is left of damaged parts is kept.
    aside: &'a [String],
    problems: &'a [String],
}

#[derive(Debug, Serialize)]
struct Owed<'a> {
    path: &'a str,
    bytes: u64,
    records: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Lost {
    bytes: u64,
    records: Option<u64>,
}

/// What is printed: lines for people on a terminal, else JSON.
#[must_use]
pub(crate) fn answer(path: &Path, status: &SpoolStatus, now: SystemTime) -> String {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
    match isatty(stdout()) {
        true => text(path, status, now),
        false => json(path, status, now),
    }
}

/// One line of JSON; `now`: nanoseconds since 1970.
#[must_use]
fn json(path: &Path, status: &SpoolStatus, now: u64) -> String {
    let lost = status.lost_records.filter(|_| status.is_framed);
    let records = |n: u64| (status.is_framed && status.is_counted).then_some(n);
    let lying = Lying {
        v: 1,
        spool: path.display().to_string(),
        pid: status.owner.filter(|pid| *pid > 0),
        bytes: status.bytes,
        records: records(status.records),
        batches: status.batches,
        tees: tees(status)
            .map(|it| Owed {
                path: &it.name,
                bytes: it.bytes,
                records: records(it.records),
            })
            .collect(),
        age_s: age(status, now).map(|age| (age * 1e3).round() / 1e3),
        disk: status.disk,
        lost: Lost {
            bytes: status.lost_bytes,
            records: lost,
        },
        aside: &status.aside,
        problems: &status.problems,
    };
    serde_json::to_string(&lying).unwrap_or_default() + "\n"
}

/// Lines for people.
#[must_use]
fn text(path: &Path, status: &SpoolStatus, now: u64) -> String {
    let mut line = format!("{}: ", printable(&path.display().to_string()));
    line += &match status.bytes {
        0 => "empty".to_owned(),
        bytes => figures::bytes(bytes),
    };
    if status.is_framed && status.is_counted && status.bytes > 0 {
        line += &format!(" in {} records", figures::count(status.records));
    }
    if let Some(age) = age(status, now) {
        line += &format!(", the oldest {} old", figures::roughly(age));
    }
    line += &match status.batches {
        0 => String::new(),
        1 => ", of which 1 batch has been begun".to_owned(),
        n => format!(", of which {} batches have been begun", figures::count(n)),
    };
    line += &match status.owner {
        Some(0) => ", in use".to_owned(),
        Some(pid) => format!(", in use by weir {pid}"),
        None => ", not in use".to_owned(),
    };
    line.push('\n');
    for tee in tees(status) {
        line += &format!("  {} is owed ", printable(&tee.name));
        line += &match tee.bytes {
            0 => "nothing".to_owned(),
            bytes => figures::bytes(bytes),
        };
        line.push('\n');
    }
    if status.lost_bytes > 0 {
        let lost = figures::bytes(status.lost_bytes);
        line += &format!("  {lost} lost to damage so far\n");
    }
    for aside in &status.aside {
        line += &format!("  damaged part set aside: {}\n", printable(aside));
    }
    for problem in &status.problems {
        line += &format!("  {}\n", printable(problem));
    }
    line
}

/// The outputs beside the consumer.
fn tees(status: &SpoolStatus) -> impl Iterator<Item = &query::Owed> {
    let is_tee = |it: &&query::Owed| it.name != CONSUMER;
    status.outputs.iter().filter(is_tee)
}

/// Seconds that the oldest byte has been there.
fn age(status: &SpoolStatus, now: u64) -> Option<f64> {
    let since = status.oldest?;
    Some(now.saturating_sub(since) as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owed(name: &str, bytes: u64) -> query::Owed {
        query::Owed {
            name: name.into(),
            bytes,
            records: bytes / 1000,
        }
    }

    fn status() -> SpoolStatus {
        SpoolStatus {
            owner: Some(4711),
            bytes: 3 << 20,
            records: 1200,
            is_framed: true,
            is_counted: true,
            batches: 2,
            outputs: vec![owed("-", 3 << 20), owed("/a/b", 1 << 20), owed("/c", 0)],
            oldest: Some(1_000_000_000),
            disk: 4 << 20,
            lost_bytes: 2048,
            lost_records: Some(3),
            aside: vec!["damaged-00000000000000000512".into()],
            ..SpoolStatus::default()
        }
    }

    #[test]
    fn it_says_what_lies_there() {
        let now = 91_000_000_000;
        let path = Path::new("/var/spool/x");
        let told = text(path, &status(), now);
        let expected = "/var/spool/x: 3.00MiB in 1.20k records, the oldest 90 seconds old, of which 2 batches have been \
             begun, in use by weir 4711\n  /a/b is owed 1.00MiB\n  /c is owed nothing\n  \
             2.00KiB lost to damage so far\n  damaged part set aside: damaged-00000000000000000512\n";
        assert_eq!(told, expected);
        let empty = text(path, &SpoolStatus::default(), now);
        assert_eq!(empty, "/var/spool/x: empty, not in use\n");
    }

    #[test]
    fn what_came_by_a_clock_that_has_been_set_back_since_is_new() {
        let path = Path::new("d");
        let before = 1_000_000_000 - 1;
        assert!(text(path, &status(), before).contains(", the oldest 0 seconds old,"));
        assert!(json(path, &status(), before).contains(r#""age_s":0.0,"#));
    }

    #[test]
    fn programs_get_one_object() {
        let line = json(Path::new("d/"), &status(), 2_500_000_000);
        let expected = r#"{"v":1,"spool":"d/","pid":4711,"bytes":3145728,"records":1200,"batches":2,"tees":[{"path":"/a/b","bytes":1048576,"records":1048},{"path":"/c","bytes":0,"records":0}],"age_s":1.5,"disk":4194304,"lost":{"bytes":2048,"records":3},"aside":["damaged-00000000000000000512"],"problems":[]}"#;
        assert_eq!(line.trim_end(), expected);
    }
}
