//! Order statistics, how a figure is printed, and the peak rate of an arrival log.

/// The middle of `values` (mean of the middle two); NaN when there are none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

/// The value that `percent` of `values` do not exceed (nearest rank); NaN when there are none.
pub(crate) fn percentile(values: &[f64], percent: f64) -> f64 {
    let sorted = sorted(values);
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or(f64::NAN)
}

/// Smallest and largest of `values`.
pub(crate) fn spread(values: &[f64]) -> (f64, f64) {
    let sorted = sorted(values);
    let end = |value: Option<&f64>| value.copied().unwrap_or(f64::NAN);
    (end(sorted.first()), end(sorted.last()))
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// About three significant digits; a dash for what was not measured.
pub(crate) fn figure(value: f64) -> String {
    match value.abs() {
        v if v.is_nan() => "-".to_owned(),
        v if v >= 100.0 || v == 0.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// One read of the metering consumer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// CLOCK_MONOTONIC, nanoseconds.
    pub at: u64,
    /// How much came.
    pub bytes: u64,
    /// Did it lie in the kernel's pipe during a stop of the consumer?
    pub held: bool,
}

/// Reads the log that `__meter` prints.
pub(crate) fn arrivals(log: &str) -> Vec<Arrival> {
    let line = |line: &str| {
        let mut fields = line.split(' ').map(|field| field.parse::<u64>().ok());
        let mut next = || fields.next().flatten();
        Some(Arrival {
            at: next()?,
            bytes: next()?,
            held: next()? == 1,
        })
    };
    log.lines().filter_map(line).collect()
}

/// The most that came within any window of `window_ns`, in bytes.
pub(crate) fn peak(log: &[Arrival], window_ns: u64) -> u64 {
    let (mut first, mut sum, mut most) = (0, 0, 0);
    for last in log {
        sum += last.bytes;
        while log[first].at + window_ns <= last.at {
            sum -= log[first].bytes;
            first += 1;
        }
        most = most.max(sum);
    }
    most
}

/// Bytes per second while data was flowing: pauses longer than `pause_ns` are cut out, and what
/// came at the first instant of each piece is left out, since nobody knows since when it was due.
pub(crate) fn average(log: &[Arrival], pause_ns: u64) -> f64 {
    let (mut bytes, mut time) = (0, 0);
    for pair in log.windows(2) {
        let gap = pair[1].at - pair[0].at;
        if gap < pause_ns {
            bytes += pair[1].bytes;
            time += gap;
        }
    }
    bytes as f64 / (time as f64 / 1e9)
}

/// The sum of what came from `from` on and before `to`, in bytes.
pub(crate) fn sum_within(log: &[Arrival], from: u64, to: u64) -> u64 {
    let within = log.iter().filter(|it| (from..to).contains(&it.at));
    within.map(|it| it.bytes).sum()
}

/// How evenly `shares` are shared out: 1 when all are equal, one in their number when one has all (Jain, Chiu and
/// Hawe 1984).
pub(crate) fn jain(shares: &[f64]) -> f64 {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    sum * sum / (shares.len() as f64 * squares)
}
