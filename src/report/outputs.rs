//! What tees and taps have come to, in words for people.

use super::figures;
use super::snapshot::{Amount, Event, Output, Snapshot};

/// What became of a tee or a tap, or how it fares.
#[must_use]
pub(crate) fn text(s: &Snapshot, it: &Output) -> String {
    let amount = |of: Amount| s.amount(of.bytes, of.records);
    let reader = it.reader.as_ref();
    let reader = reader.map_or_else(String::new, |reader| format!(" ({reader})"));
    let (kind, path) = (it.kind.word(), &it.path);
    let mut text = format!("{kind} {path}{reader}: {}", amount(it.written));
    if it.shed.bytes > 0 {
        text.push_str(&format!(", {} dropped", amount(it.shed)));
    }
    if it.used > 0 {
        let left = s.scale().bytes(it.used);
        text.push_str(&match s.event {
            Event::Summary => format!(", {left} undelivered"),
            Event::Status => format!(", {left} behind, by {}", figures::time(it.lag)),
        });
    }
    if it.failed {
        text.push_str(", failed");
    }
    if it.vacant {
        text.push_str(", read by nobody");
    }
    text
}

/// What there is to say of them in a few columns: that one has failed, or else who has lost most; in a short form and a
/// long one.
#[must_use]
pub(crate) fn losses(s: &Snapshot, shown: impl Fn(&str) -> String) -> Option<[String; 2]> {
    let failed: Vec<&Output> = s.outputs.iter().filter(|it| it.failed).collect();
    match failed[..] {
        [] => {}
        [one] => {
            let kind = one.kind.word();
            let long = format!("{kind} {} failed", shown(one.called()));
            return Some([format!("{kind} failed"), long]);
        }
        _ => {
            let text = format!("{} outputs failed", failed.len());
            return Some([text.clone(), text]);
        }
    }
    let lossy = s.outputs.iter().filter(|it| it.shed.bytes > 0);
    let most = lossy.max_by_key(|it| it.shed.bytes)?;
    let bytes = s.scale().bytes(most.shed.bytes);
    let (kind, width) = (most.kind.word(), figures::BYTES_WIDTH);
    Some([
        format!("{kind} lost {bytes:>width$}"),
        format!("{kind} {} lost {bytes:>width$}", shown(most.called())),
    ])
}
