//! Statuses for the tests of this folder, and of the live view.

use std::time::Duration;

use super::moving_average::MovingAverage;
use super::snapshot::{
    Amount, Batched, Batches, Circuit, Command, Ending, Expected, Identity, Output, OutputKind,
    Snapshot,
};
use crate::engine::status::{Ages, Buffer, Caps, Count, Shed, State, Status, Waits};

const MIB: u64 = 1 << 20;

/// A weir that has just begun.
pub(crate) fn origin() -> Status {
    Status {
        elapsed: Duration::ZERO,
        state: State::Flowing,
        buffer: Buffer {
            capacity: 64 << 20,
            used: 0,
            peak: 0,
            low: 48 << 20,
            high: 64 << 20,
            places: None,
        },
        read: Count::default(),
        written: Count::default(),
        spliced: 0,
        shed: Shed::default(),
        caps: Caps::default(),
        share: None,
        waits: Waits::default(),
        slow_tee: None,
        ages: None,
    }
}

/// A weir that has run for a while, at a moment, with these bytes held.
pub(crate) fn status(seconds: u64, in_mib: u64, out_mib: u64) -> Status {
    let held = in_mib - out_mib;
    let mut it = origin();
    it.elapsed = Duration::from_secs(seconds);
    it.read.bytes = in_mib * MIB;
    it.written.bytes = out_mib * MIB;
    it.buffer.used = (held * MIB) as usize;
    it.buffer.peak = it.buffer.used + MIB as usize;
    it
}

/// A tee or a tap that has had nothing yet.
pub(crate) fn output(kind: OutputKind, path: &str) -> Output {
    Output {
        path: path.into(),
        kind,
        used: 0,
        written: Amount::default(),
        shed: Amount::default(),
        lag: 0.0,
        failed: false,
        inherited: Amount::default(),
        vacant: false,
        reader: None,
    }
}

/// A program that is the consumer.
pub(crate) fn command(
    retry_in_s: Option<f64>,
    failures: u32,
    restarts: u64,
    repeated: u64,
) -> Command {
    Command {
        name: "curl".into(),
        circuit: match (retry_in_s, failures) {
            (Some(_), _) => Circuit::Open,
            (None, 0) => Circuit::Closed,
            (None, _) => Circuit::HalfOpen,
        },
        retry_in_s,
        failures,
        restarts,
        running: usize::from(retry_in_s.is_none()),
        taken_back: Amount {
            bytes: 2 * repeated,
            records: None,
        },
        repeated: Amount {
            bytes: repeated,
            records: None,
        },
        batches: None,
        waits_for: None,
    }
}

/// Batches of which so many were tried again.
pub(crate) fn batches(retried: u64) -> Batches {
    let batched = |batches| Batched {
        batches,
        bytes: 80,
        records: None,
    };
    Batches {
        running: 1,
        acknowledged: 12,
        retried: batched(retried),
        shed: batched(2),
    }
}

/// Someone with a name and an expectation.
pub(crate) fn backup() -> Identity {
    Identity {
        name: Some("backup".into()),
        pid: 4711,
        expected: Some(Expected::Bytes(3072 * MIB)),
        ..Identity::default()
    }
}

/// Nothing has happened yet.
pub(crate) fn fresh() -> Snapshot {
    let who = Identity {
        pid: 1,
        ..Identity::default()
    };
    Snapshot::status(&who, None, &origin(), &MovingAverage::default())
}

/// A weir nearly full, held up by its consumer.
pub(crate) fn busy() -> Snapshot {
    let before = status(82, 1220, 1162);
    let mut now = status(83, 1232, 1172);
    now.state = State::Blocked;
    now.waits.sink = Duration::from_millis(900);
    now.waits.source = Duration::from_millis(80);
    let mut pace = MovingAverage::default();
    pace.on(Duration::from_secs(1), 10 * MIB);
    let it = Snapshot::status(&backup(), Some(&before), &now, &pace);
    let mut it = blamed(it, "gzip");
    for second in 0..=83u64 {
        let used = (second * second * second * it.buffer.used) / (83 * 83 * 83);
        let time = Duration::from_secs(second);
        it.trail.on(time, used, it.buffer.capacity);
    }
    it.finish = Some("14:32".into());
    it
}

fn blamed(mut it: Snapshot, culprit: &str) -> Snapshot {
    it.culprit = Some(culprit.into());
    it
}

/// A busy weir that is full.
pub(crate) fn full() -> Snapshot {
    let mut it = busy();
    it.buffer.used = it.buffer.capacity;
    it.buffer.peak = it.buffer.capacity;
    it
}

/// A weir with room to spare, held up by a cap of its own.
pub(crate) fn capped() -> Snapshot {
    let before = status(9, 100, 90);
    let mut now = status(10, 110, 92);
    now.state = State::Capped;
    now.caps.bytes = Some(2.0 * MIB as f64);
    now.waits.cap = Duration::from_millis(990);
    let it = Snapshot::status(&backup(), Some(&before), &now, &MovingAverage::default());
    blamed(it, "cap")
}

/// A weir that counts records and sheds them.
pub(crate) fn shedding() -> Snapshot {
    let before = status(4, 64, 1);
    let mut now = status(5, 71, 2);
    now.state = State::Shedding;
    now.buffer.used = 64 << 20;
    now.read.records = Some(727_040);
    now.written.records = Some(20_480);
    now.caps.records = Some(10_000.0);
    now.shed = Shed {
        total: Count {
            bytes: 5 * MIB,
            records: Some(51_200),
        },
        oversized: 2,
        expired: 7,
    };
    now.waits.sink = Duration::from_secs(1);
    now.ages = Some(Ages {
        now: Duration::from_millis(1500),
        p50: Duration::from_millis(900),
        p99: Duration::from_millis(1900),
        max: Duration::from_secs(2),
    });
    let who = Identity {
        pid: 9,
        ..Identity::default()
    };
    Snapshot::status(&who, Some(&before), &now, &MovingAverage::default())
}

/// The end of a run.
pub(crate) fn summary(end: Ending, undelivered: u64) -> Snapshot {
    let mut now = status(83, 1232, 1172);
    now.state = State::Done;
    now.waits.sink = Duration::from_millis(49_800);
    now.waits.source = Duration::from_millis(12_450);
    let left = Count {
        bytes: undelivered,
        records: None,
    };
    blamed(Snapshot::summary(&backup(), &now, end, left), "ssh")
}
