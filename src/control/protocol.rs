//! What is said over the socket: one JSON object per line each way, a request and its answer, as
//! many pairs as the client likes.
//!
//! ```text
//! {"v":1,"ask":"status"}
//! {"v":1,"answer":{"status":{"v":1,"name":"backup","pid":4711,...}}}
//! {"v":1,"ask":{"change":{"rate":["5MB/s"],"high":"75%","flow":"resume"}}}
//! {"v":1,"answer":"done","changed":["high 90% → 75%","rate off → 5MB/s"]}
//! {"v":1,"ask":{"change":{"low":"90%"}}}
//! {"v":1,"answer":{"refused":"--low 90% must be below --high 75%; try --low 50% --high 90%"}}
//! {"v":1,"ask":"look"}
//! {"v":1,"answer":{"shown":{"bytes":6,"missed":0,"missed_records":null}}}
//! hello
//! ```
//!
//! Values are texts as the command line has them. What is not understood is never skipped: a
//! request with an unknown key is answered by `malformed`, and then the connection ends.

use serde::{Deserialize, Serialize};

use crate::config::live_options::LiveOptions;
use crate::report::snapshot::Snapshot;

/// The protocol's version.
pub(crate) const VERSION: u32 = 1;
/// The longest line either way, its end included, in bytes.
pub(crate) const LINE_MAX: usize = 16 * 1024;

/// A request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// The protocol's version.
    pub v: u32,
    /// What is wanted.
    pub ask: Ask,
}

/// What a client may want.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Ask {
    /// The label that the user gave it, if any.
    Name,
    /// The status object. Its rates are those since the connection's last one; in a connection's
    /// first, since the last time that any connection asked for its first; else since the start.
    Status,
    /// That all of this is changed, or nothing. The answer comes when it is in force.
    Change(Box<LiveOptions>),
    /// To see what passes, from now on or from what is kept of it on. From here on this connection is for that:
    /// each answer says how many bytes come right behind it.
    Look,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reply {
    /// The protocol's version.
    pub v: u32,
    /// What is answered; see [`Reply::into_answer`].
    answer: Answer,
    /// What is other than it was, where it is done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    changed: Vec<String>,
}

impl Reply {
    /// What was answered.
    pub(super) fn into_answer(self) -> Answer {
        match self.answer {
            Answer::Done if !self.changed.is_empty() => Answer::Changed(self.changed),
            answer => answer,
        }
    }
}

/// What a weir may answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Answer {
    /// It is in force.
    Done,
    /// The same, and this is other than it was: an option each, with its values before and after.
    #[serde(skip)]
    Changed(Vec<String>),
    /// The label.
    Name(Option<String>),
    /// The status object.
    Status(Box<Snapshot>),
    /// So many bytes of what passes follow.
    Shown(Shown),
    /// It cannot be, and nothing was changed: what is wrong and what would be right.
    Refused(String),
    /// Some of it is not in force yet, and will be: what that waits for.
    Pending(String),
    /// This was not a request: what is wrong with it.
    Malformed(String),
}

/// A piece of what passes: whole records, but for the last of all, which may have no end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shown {
    /// Its length in bytes.
    pub bytes: usize,
    /// Bytes that were not shown so far, for whoever looks has been too slow.
    pub missed: u64,
    /// Records of that; `None` without a framing option.
    pub missed_records: Option<u64>,
}

/// Reads a reply.
#[must_use]
pub(super) fn reply(line: &[u8]) -> Option<Answer> {
    let reply: Option<Reply> = serde_json::from_slice(line).ok();
    reply.map(Reply::into_answer)
}

/// Reads a request.
///
/// # Errors
/// The answer to a line that is none.
pub(crate) fn request(line: &[u8]) -> Result<Ask, Answer> {
    #[derive(Deserialize)]
    struct Versioned {
        v: u32,
    }
    let malformed = |e: serde_json::Error| Answer::Malformed(e.to_string());
    let Versioned { v } = serde_json::from_slice(line).map_err(malformed)?;
    if v != VERSION {
        let what = format!("version {v} of the protocol; this weir speaks version {VERSION}");
        return Err(Answer::Malformed(what));
    }
    let request: Request = serde_json::from_slice(line).map_err(malformed)?;
    Ok(request.ask)
}

/// One line with its end.
#[must_use]
pub(crate) fn line(message: &impl Serialize) -> Vec<u8> {
    // Plain numbers, words and texts: nothing that JSON has no form for.
    let mut line = serde_json::to_vec(message).unwrap_or_default();
    line.push(b'\n');
    line
}

impl From<Ask> for Request {
    fn from(ask: Ask) -> Request {
        Request { v: VERSION, ask }
    }
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Reply {
        // Who knows nothing of changes hears that it is done.
        let (answer, changed) = match answer {
            Answer::Changed(changed) => (Answer::Done, changed),
            answer => (answer, Vec::new()),
        };
        Reply {
            v: VERSION,
            answer,
            changed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::live_options::Flow;

    #[test]
    fn a_change_survives_the_way() {
        let change = LiveOptions {
            rate: ["10MB/s", "100/s", "08:00,512KiB/s Sat-00:00,off", "off"]
                .map(|text| text.parse().expect(text))
                .into(),
            burst: Some("1MiB".parse().expect("an amount")),
            low: Some("12.5%".parse().expect("a mark")),
            interval: Some("1m 30s".parse().expect("a span")),
            flow: Some(Flow::Resume),
            ..LiveOptions::default()
        };
        let ask = Ask::Change(Box::new(change));
        let sent = line(&Request::from(ask.clone()));
        assert_eq!(request(&sent), Ok(ask));
        assert_eq!(sent.iter().filter(|b| **b == b'\n').count(), 1);
    }

    #[test]
    fn the_lines_are_those_of_the_documentation() {
        for text in [
            r#"{"v":1,"ask":"status"}"#,
            r#"{"v":1,"ask":{"change":{"rate":["5MB/s"],"high":"75%","flow":"resume"}}}"#,
        ] {
            let ask = request(text.as_bytes()).expect(text);
            assert_eq!(line(&Request::from(ask)), format!("{text}\n").as_bytes());
        }
        let done = line(&Reply::from(Answer::Done));
        assert_eq!(done, b"{\"v\":1,\"answer\":\"done\"}\n");
        let changed = Answer::Changed(vec!["rate off → 5MB/s".to_owned()]);
        let sent = line(&Reply::from(changed.clone()));
        let text = r#"{"v":1,"answer":"done","changed":["rate off → 5MB/s"]}"#;
        assert_eq!(sent, format!("{text}\n").as_bytes());
        assert_eq!(reply(&sent), Some(changed));
    }

    #[test]
    fn what_is_not_understood_is_not_skipped() {
        for (text, said) in [
            ("", "EOF while parsing"),
            ("GET / HTTP/1.1", "expected value"),
            (r#"{"ask":"status"}"#, "missing field `v`"),
            (r#"{"v":2,"ask":"dance"}"#, "version 2 of the protocol"),
            (r#"{"v":1,"ask":"dance"}"#, "unknown variant `dance`"),
            (r#"{"v":1,"ask":"status","x":1}"#, "unknown field `x`"),
            (
                r#"{"v":1,"ask":{"change":{"buffer":"1MiB"}}}"#,
                "unknown field `buffer`",
            ),
            (r#"{"v":1,"ask":{"change":{"high":"tall"}}}"#, "not a size"),
        ] {
            let Err(Answer::Malformed(what)) = request(text.as_bytes()) else {
                panic!("{text} was understood");
            };
            assert!(what.starts_with(said), "{text}: {what}");
        }
    }
}
