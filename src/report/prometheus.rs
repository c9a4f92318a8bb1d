//! A snapshot as Prometheus text exposition (version 0.0.4), for node_exporter's textfile
//! collector.
//!
//! Invariants: base units (seconds, bytes); counters, and nothing else, end in `_total`; every
//! sample carries `name` and `pid`; what is unknown is left out.

use std::fmt::Write;

use super::plain;
use super::snapshot::{Batches, Circuit, Output, Place, Snapshot};

/// The text of the file.
#[must_use]
pub(crate) fn text(s: &Snapshot) -> String {
    let mut page = Page::new(s);
    flow(&mut page, s);
    lost(&mut page, s);
    buffer(&mut page, s);
    time(&mut page, s);
    outputs(&mut page, s);
    command(&mut page, s);
    rest(&mut page, s);
    end(&mut page, s);
    page.text
}

fn flow(page: &mut Page, s: &Snapshot) {
    let mut count = |name: &str, help: &str, n: Option<u64>| {
        page.counter(name, help, n.map(|n| n as f64));
    };
    let (read, out) = (s.input, s.out);
    count("read_bytes", "Bytes from the producer.", Some(read.bytes));
    count("read_records", "Records from the producer.", read.records);
    // What was taken back is given again: a counter never goes back.
    let back = s.command.as_ref().map(|it| it.taken_back);
    let (bytes, records) = back.map_or((0, 0), |it| (it.bytes, it.records.unwrap_or(0)));
    let written = Some(out.bytes + bytes);
    count("written_bytes", "Bytes to the consumer.", written);
    let written = out.records.map(|n| n + records);
    count("written_records", "Records to the consumer.", written);
    let spliced = Some(s.path.spliced);
    count("spliced_bytes", "Bytes that bypassed the buffer.", spliced);
}

fn lost(page: &mut Page, s: &Snapshot) {
    let shed = s.shed;
    let mut count = |name: &str, help: &str, n: Option<u64>| {
        page.counter(name, help, n.map(|n| n as f64));
    };
    count(
        "shed_bytes",
        "Bytes dropped for any reason.",
        Some(shed.bytes),
    );
    count(
        "shed_records",
        "Records dropped for any reason.",
        shed.records,
    );
    let oversized = shed.records.map(|_| shed.oversized);
    let help = "Records dropped as larger than the buffer.";
    count("shed_oversized_records", help, oversized);
    let help = "Records (else bytes) dropped as too old.";
    count("shed_expired", help, Some(shed.expired));
    let help = "Bytes that were read and will not be delivered; known at the end.";
    let left = s.undelivered.bytes.map(|n| n as f64);
    page.gauge("undelivered_bytes", help, left);
}

fn buffer(page: &mut Page, s: &Snapshot) {
    for (name, help, bytes) in [
        (
            "buffer_capacity_bytes",
            "What the buffer can hold.",
            s.buffer.capacity,
        ),
        ("buffer_used_bytes", "What the buffer holds.", s.buffer.used),
        (
            "buffer_peak_bytes",
            "The most the buffer has held.",
            s.buffer.peak,
        ),
        (
            "buffer_low_bytes",
            "Occupancy at which reading starts again.",
            s.buffer.low,
        ),
        (
            "buffer_high_bytes",
            "Occupancy at which reading stops.",
            s.buffer.high,
        ),
    ] {
        page.gauge(name, help, Some(bytes as f64));
    }
    places(page, s);
}

/// Memory and disk, where the buffer has both.
fn places(page: &mut Page, s: &Snapshot) {
    let parts = [("memory", s.buffer.memory), ("disk", s.buffer.disk)];
    let parts = parts.map(|(name, part)| part.map(|part| (name, part)));
    for (name, help, figure) in [
        (
            "buffer_part_used_bytes",
            "What a part of the buffer holds.",
            (|it| it.used) as fn(Place) -> u64,
        ),
        (
            "buffer_part_peak_bytes",
            "The most that a part of the buffer has held.",
            |it| it.peak,
        ),
    ] {
        for (i, (part, place)) in parts.iter().flatten().enumerate() {
            if i == 0 {
                page.family(name, "gauge", help);
            }
            page.sample(name, &[("part", part)], figure(*place) as f64);
        }
    }
}

fn time(page: &mut Page, s: &Snapshot) {
    page.gauge(
        "elapsed_seconds",
        "Time since the start.",
        Some(s.elapsed_s),
    );
    page.family(
        "wait_seconds_total",
        "counter",
        "Time spent waiting for each.",
    );
    for (side, seconds) in [
        ("source", s.wait_s.source),
        ("sink", s.wait_s.sink),
        ("cap", s.wait_s.cap),
    ] {
        page.sample("wait_seconds_total", &[("for", side)], seconds);
    }
    let ages = [
        ("now", s.age_s.now),
        ("p50", s.age_s.p50),
        ("p99", s.age_s.p99),
        ("max", s.age_s.max),
    ];
    if ages.iter().any(|(_, age)| age.is_some()) {
        page.family("age_seconds", "gauge", "How long data waits in the buffer.");
        for (of, age) in ages {
            if let Some(age) = age {
                page.sample("age_seconds", &[("of", of)], age);
            }
        }
    }
    page.gauge("eta_seconds", "Time until the expected end.", s.eta_s);
}

/// Each tee and tap, by its path.
fn outputs(page: &mut Page, s: &Snapshot) {
    type Value = fn(&Output) -> f64;
    let families: [(&str, &str, &str, Value); 5] = [
        (
            "output_written_bytes_total",
            "counter",
            "Bytes to a tee or a tap.",
            |it| it.written.bytes as f64,
        ),
        (
            "output_shed_bytes_total",
            "counter",
            "Bytes dropped for a tee or a tap alone.",
            |it| it.shed.bytes as f64,
        ),
        (
            "output_used_bytes",
            "gauge",
            "What a tee or a tap is owed.",
            |it| it.used as f64,
        ),
        (
            "output_lag_seconds",
            "gauge",
            "How long the oldest of that has waited.",
            |it| it.lag,
        ),
        (
            "output_failed",
            "gauge",
            "1 where a tee or a tap has failed.",
            |it| f64::from(u8::from(it.failed)),
        ),
    ];
    for (name, kind, help, value) in families.into_iter().filter(|_| !s.outputs.is_empty()) {
        page.family(name, kind, help);
        for (it, label) in s.outputs.iter().zip(labels(&s.outputs)) {
            page.sample(
                name,
                &[("output", &label), ("kind", it.kind.word())],
                value(it),
            );
        }
    }
}

/// Each one's path; where another one of its kind has the same, with a number: no two series are equal.
fn labels(all: &[Output]) -> Vec<String> {
    let mut labels: Vec<(&str, String)> = Vec::new();
    for it in all {
        let numbered = (2..).map(|n| format!("{}#{n}", it.path));
        let candidates = std::iter::once(it.path.clone()).chain(numbered);
        let mut candidates = candidates.map(|label| (it.kind.word(), label));
        labels.extend(candidates.find(|label| !labels.contains(label)));
    }
    labels.into_iter().map(|(_, label)| label).collect()
}

/// The program that is the consumer, if one is.
fn command(page: &mut Page, s: &Snapshot) {
    let Some(it) = &s.command else { return };
    let help = "How often the consumer's program was run again.";
    page.counter("command_restarts", help, Some(it.restarts as f64));
    let help = "How many of it run now.";
    page.gauge("command_running", help, Some(it.running as f64));
    let help = "Failures of it in a row.";
    page.gauge("command_failures", help, Some(f64::from(it.failures)));
    let open = if it.circuit == Circuit::Open {
        1.0
    } else {
        0.0
    };
    let help = "1 while it has failed and is not running.";
    page.gauge("command_circuit_open", help, Some(open));
    let help = "Bytes that it had left in its pipe, or begun, when it ended.";
    let back = it.taken_back.bytes as f64;
    page.counter("command_taken_back_bytes", help, Some(back));
    let help = "Bytes that were given twice, because a record had been begun.";
    let repeated = it.repeated.bytes as f64;
    page.counter("command_repeated_bytes", help, Some(repeated));
    if let Some(it) = &it.batches {
        batches(page, it);
    }
}

/// The batches that it is run with.
fn batches(page: &mut Page, it: &Batches) {
    let help = "Batches that are being dealt with.";
    page.gauge("batches_running", help, Some(it.running as f64));
    let help = "Batches that were acknowledged.";
    page.counter("batches_acknowledged", help, Some(it.acknowledged as f64));
    let help = "Batches that were tried again, once for each time.";
    page.counter("batches_retried", help, Some(it.retried.batches as f64));
    let help = "Batches that were given up or rejected.";
    page.counter("batches_shed", help, Some(it.shed.batches as f64));
}

/// When the page was written, and how the run ended if it has.
fn end(page: &mut Page, s: &Snapshot) {
    let time = s.time.as_ref();
    let time = time.and_then(|time| time.parse::<jiff::Timestamp>().ok());
    let written = "When this was written, in seconds since 1970.";
    let seconds = time.map(|time| time.as_millisecond() as f64 / 1000.0);
    page.gauge("written_timestamp_seconds", written, seconds);
    if let Some(end) = s.end {
        page.family(
            "end",
            "gauge",
            "1 for how the run ended; none while it goes on.",
        );
        page.sample("end", &[("end", &plain::word(&end))], 1.0);
    }
}

fn rest(page: &mut Page, s: &Snapshot) {
    let bytes = "The cap on what leaves, in bytes.";
    page.gauge("cap_bytes_per_second", bytes, s.cap.bytes_per_s);
    let records = "The cap on what leaves, in records.";
    page.gauge("cap_records_per_second", records, s.cap.records_per_s);
    page.family("state", "gauge", "1 for what is going on.");
    page.sample("state", &[("state", &plain::state(s))], 1.0);
    if let Some(holdup) = s.holdup {
        page.family(
            "holdup",
            "gauge",
            "1 for what keeps the flow from going faster.",
        );
        page.sample("holdup", &[("by", holdup.word())], 1.0);
    }
}

/// The text as it grows.
struct Page {
    labels: String,
    text: String,
}

impl Page {
    fn new(s: &Snapshot) -> Page {
        let name = escape(s.name.as_deref().unwrap_or_default());
        Page {
            labels: format!("name=\"{name}\""),
            text: String::new(),
        }
    }

    fn counter(&mut self, name: &str, help: &str, value: Option<f64>) {
        self.single(&format!("{name}_total"), "counter", help, value);
    }

    fn gauge(&mut self, name: &str, help: &str, value: Option<f64>) {
        self.single(name, "gauge", help, value);
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: Option<f64>) {
        if let Some(value) = value {
            self.family(name, kind, help);
            self.sample(name, &[], value);
        }
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.text.push_str(&format!(
            "# HELP weir_{name} {help}\n# TYPE weir_{name} {kind}\n"
        ));
    }

    fn sample(&mut self, name: &str, more: &[(&str, &str)], value: f64) {
        // Writing to a string cannot fail.
        let _ = write!(self.text, "weir_{name}{{{}", self.labels);
        for (label, text) in more {
            let _ = write!(self.text, ",{label}=\"{}\"", escape(text));
        }
        let _ = writeln!(self.text, "}} {value}");
    }
}

/// As label values are written.
fn escape(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    text.replace('\n', "\\n")
}

#[cfg(test)]
mod tests;
