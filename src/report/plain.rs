//! A snapshot as one line of `key=value` words, for logs and `grep`. Figures are rounded for
//! people; who needs them exact wants JSON.
//!
//! Invariant: the same keys in the same order whatever is known; `-` is what is not.

use super::figures::{self, Scale, UNKNOWN};
use super::snapshot::{Holdup, Snapshot};

/// One line, no line break.
#[must_use]
pub(crate) fn line(s: &Snapshot) -> String {
    let scale = s.scale();
    let command = s.command.as_ref();
    let retry = command.and_then(|it| it.retry_in_s);
    let words = [
        ("name", s.name.as_deref().map_or(UNKNOWN.into(), quoted)),
        ("pid", s.pid.to_string()),
        ("elapsed", format!("{:.1}s", s.elapsed_s)),
        ("state", state(s)),
        ("held", scale.bytes(s.buffer.used)),
        ("capacity", scale.bytes(s.buffer.capacity)),
        ("full", full(s)),
        ("in", scale.bytes(s.input.bytes)),
        ("out", scale.bytes(s.out.bytes)),
        ("in_rate", scale.rate(s.input.rate)),
        ("out_rate", scale.rate(s.out.rate)),
        ("in_records", known(s.input.records)),
        ("out_records", known(s.out.records)),
        ("shed", scale.bytes(s.shed.bytes)),
        ("shed_records", known(s.shed.records)),
        ("cap", cap(s, scale)),
        ("holdup", s.holdup.map_or(UNKNOWN, Holdup::word).into()),
        ("progress", known(s.percent.map(|p| format!("{p}%")))),
        ("eta", known(s.eta_s.map(|eta| format!("{eta:.0}s")))),
        (
            "culprit",
            s.culprit.as_deref().map_or(UNKNOWN.into(), quoted),
        ),
        ("time", known(s.time.as_deref())),
        (
            "retry_in",
            known(retry.map(|seconds| format!("{seconds:.1}s"))),
        ),
        ("failures", known(command.map(|it| it.failures))),
        ("restarts", known(command.map(|it| it.restarts))),
        ("running", known(command.map(|it| it.running))),
        ("waits_for", known(command.and_then(|it| it.waits_for))),
        ("disk", known(s.buffer.disk.map(|it| scale.bytes(it.used)))),
    ];
    let mut line = String::from("weir");
    for (key, value) in words {
        line.extend([" ", key, "=", &value]);
    }
    line
}

/// Occupancy in percent.
pub(crate) fn full(s: &Snapshot) -> String {
    format!("{}%", figures::percent(s.buffer.used, s.buffer.capacity))
}

/// The caps in force, or `-`.
pub(crate) fn cap(s: &Snapshot, scale: Scale) -> String {
    let bytes = s.cap.bytes_per_s.map(|cap| scale.typed(cap) + "/s");
    let records = s.cap.records_per_s.map(figures::typed_count);
    let records = records.map(|cap| cap + "/s");
    match (bytes, records) {
        (Some(bytes), Some(records)) => format!("{bytes},{records}"),
        (cap, None) | (None, cap) => cap.unwrap_or_else(|| UNKNOWN.to_owned()),
    }
}

/// The state's word, as the schema has it.
pub(crate) fn state(s: &Snapshot) -> String {
    word(&s.state)
}

/// The schema's word for this.
pub(crate) fn word(of: &impl serde::Serialize) -> String {
    let word = serde_json::to_value(of).unwrap_or_default();
    word.as_str().unwrap_or(UNKNOWN).to_owned()
}

/// A name that is one word stays as it is.
fn quoted(name: &str) -> String {
    if name.contains(|c: char| c.is_whitespace() || c == '"' || c == '=') {
        format!("{name:?}")
    } else {
        name.to_owned()
    }
}

fn known(value: Option<impl ToString>) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), |v| v.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_busy_weir_in_one_line() {
        assert_eq!(
            line(&sample::busy()),
            "weir name=backup pid=4711 elapsed=83.0s state=blocked held=60.0MiB capacity=64.0MiB \
             full=94% in=1.20GiB out=1.14GiB in_rate=12.0MiB/s out_rate=10.0MiB/s in_records=- \
             out_records=- shed=0B shed_records=- cap=- holdup=sink progress=38% eta=190s culprit=gzip time=- retry_in=- failures=- restarts=- running=- waits_for=- disk=-"
        );
    }

    #[test]
    fn the_keys_are_always_the_same() {
        let keys = |line: String| -> Vec<String> {
            let words = line.split(' ').skip(1);
            words
                .map(|w| w.split('=').next().unwrap_or(w).into())
                .collect()
        };
        assert_eq!(keys(line(&sample::busy())), keys(line(&sample::shedding())));
        assert_eq!(keys(line(&sample::busy())), keys(line(&sample::fresh())));
    }

    #[test]
    fn a_name_of_several_words_is_one_value() {
        let mut s = sample::fresh();
        s.name = Some("nightly \"b\"".into());
        assert!(line(&s).contains(r#" name="nightly \"b\"" pid="#));
    }
}
