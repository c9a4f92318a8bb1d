//! What lies on a disk or comes from a store: somebody may have changed it, or speak another language.

use crate::disk::format::{Entry, IndexHeader, ROW, Read, VERSION, checksum};
use crate::disk::state::{MAGIC, SLOT, State};

/// A file of a spool: as it is, and with checksums that fit, so that what lies behind them is reached. What is
/// understood is written as something that is understood the same.
pub fn spool_file(bytes: &[u8]) {
    state(bytes);
    state(&sealed_state(bytes));
    let Some(row) = bytes.first_chunk::<ROW>() else {
        return;
    };
    entry(row);
    header(row);
    let mut sealed = *row;
    let checksum = checksum(0, &row[..ROW - 4]);
    sealed[ROW - 4..].copy_from_slice(&checksum.to_le_bytes());
    entry(&sealed);
    header(&sealed);
}

fn state(slot: &[u8]) {
    let Read::Good(state) = State::decode(slot) else {
        return;
    };
    if let Some(again) = state.encode() {
        assert!(again.len() <= SLOT, "{state:?}");
        assert!(
            matches!(State::decode(&again), Read::Good(again) if again == state),
            "{state:?}"
        );
    }
}

/// The same with its beginning, its length and its checksum as they must be.
fn sealed_state(bytes: &[u8]) -> Vec<u8> {
    let mut slot = Vec::new();
    slot.extend_from_slice(&MAGIC);
    slot.extend_from_slice(&VERSION.to_le_bytes());
    slot.extend_from_slice(&[0; 4]);
    slot.extend_from_slice(bytes);
    let len = u32::try_from(slot.len() + 4).unwrap_or(u32::MAX);
    slot[12..16].copy_from_slice(&len.to_le_bytes());
    let sum = checksum(0, &slot);
    slot.extend_from_slice(&sum.to_le_bytes());
    slot
}

fn entry(row: &[u8; ROW]) {
    if let Some(entry) = Entry::decode(row) {
        assert!(entry.end() > entry.at, "{entry:?}");
        assert_eq!(Entry::decode(&entry.encode()), Some(entry));
    }
}

fn header(row: &[u8; ROW]) {
    if let Read::Good(header) = IndexHeader::decode(row) {
        let again = IndexHeader::decode(&header.encode());
        assert!(
            matches!(again, Read::Good(again) if again == header),
            "{header:?}"
        );
    }
}

/// What a store sends, in its protocol or not: it is a lease or is turned away, and without a store an n-th
/// passes in the end, whatever it had said.
#[cfg(feature = "redis")]
pub fn store_answer(bytes: &[u8]) {
    use std::time::{Duration, Instant};

    use redis::{FromRedisValue, parse_redis_value};

    use crate::engine::limiter::Burst;
    use crate::share::lease::{Answer, LeasedCap, Reply};
    use crate::share::rules::Rules;
    use crate::units::Unit;

    let reply = parse_redis_value(bytes).ok();
    let reply = reply.and_then(|value| Reply::from_redis_value(value).ok());
    let Some(answer) = reply.and_then(|reply| Answer::from_reply(&reply, Unit::Bytes)) else {
        return;
    };
    let rules = Rules {
        rate: "1MB/s".parse().expect("a rate"),
        burst: Burst::Worth(Duration::from_millis(50)),
    };
    let asked = Instant::now();
    let mut cap = LeasedCap::new(rules, asked);
    let question = cap.question(asked);
    cap.on_answer(&question, answer, asked, asked);
    // Nobody answers any more. At the latest after five of the longest pauses the lease has ended.
    let mut now = asked + Duration::from_secs(3600);
    cap.prepare(now);
    assert!(cap.is_cut_off(now), "{answer:?}");
    if let Ok(units) = cap.peek(now) {
        cap.on_passed(units, now);
    }
    // A rate of its own may be one unit in a century; what weir was started with passes.
    if answer.rules.is_none_or(|said| said == rules) {
        now += Duration::from_secs(10);
        cap.prepare(now);
        assert!(matches!(cap.peek(now), Ok(1..)), "{answer:?}");
    }
}
