//! SIZE and `--buffer`: named cases, and every value printed and parsed again.

use proptest::prelude::*;

use super::*;

#[test]
fn sizes_are_understood() {
    for (text, bytes) in [
        ("0", 0),
        ("0B", 0),
        ("0MB", 0),
        ("4096", 4096),
        ("64MiB", 64 << 20),
        ("64mib", 64 << 20),
        ("64 MiB", 64 << 20),
        (" 64MiB ", 64 << 20),
        ("64MB", 64_000_000),
        ("64M", 64_000_000),
        ("64Mi", 64 << 20),
        ("1k", 1000),
        ("1.5MiB", 3 << 19),
        (".5KiB", 512),
        ("1.001KB", 1001),
        ("0.1KiB", 102),
        ("9007199254740993B", 9_007_199_254_740_993),
        ("18446744073709551615", u64::MAX),
        ("15.999EiB", 18_445_591_152_204_944_769),
    ] {
        assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
    }
}

#[test]
fn nonsense_sizes_are_turned_away_with_right_ones() {
    for (text, wrong) in [
        ("", "empty"),
        ("  ", "empty"),
        ("-1", "below zero"),
        ("-1MB", "below zero"),
        ("+1", "not a size"),
        ("x", "not a size"),
        ("MB", "not a size"),
        ("10MB/s", "not a size"),
        ("10Mbit", "not a size"),
        ("1,5MB", "not a size"),
        ("1 000 B", "not a size"),
        ("1.2.3MB", "not a size"),
        ("1e3", "not a size"),
        ("NaN", "not a size"),
        ("inf", "not a size"),
        ("1.5", "a fraction of a byte"),
        ("0.1B", "less than one byte"),
        ("16EiB", "too large"),
        ("18446744073709551616", "too large"),
        ("18446744073709551616B", "too large"),
        ("99999999999EB", "too large"),
        ("0.00000000000000000001EB", "more digits"),
    ] {
        let reject = text.parse::<Size>().expect_err(text);
        assert!(reject.to_string().starts_with(wrong), "{text}: {reject}");
        assert!(reject.examples().count() > 0, "{text}");
        for example in reject.examples() {
            assert!(example.parse::<Size>().is_ok(), "{text}: {example}");
        }
    }
    let reject = "big".parse::<Size>().expect_err("big");
    assert_eq!(
        reject.to_string(),
        "not a size: try 64MiB, 64MB or 4096 (bytes)"
    );
}

#[test]
fn sizes_print_short_and_exact() {
    for (bytes, text) in [
        (0, "0B"),
        (1, "1B"),
        (999, "999B"),
        (1000, "1kB"),
        (1024, "1KiB"),
        (1500, "1500B"),
        (1536, "1536B"),
        (64 << 20, "64MiB"),
        (64_000_000, "64MB"),
        (3 << 19, "1.5MiB"),
        (3_750_000, "3750kB"),
        (1 << 60, "1EiB"),
        (u64::MAX, "18446744073709551615B"),
    ] {
        assert_eq!(Size(bytes).to_string(), text);
    }
    assert_eq!(format!("{:>8}", Size(1024)), "    1KiB");
}

#[test]
fn sizes_for_people_have_one_decimal() {
    for (bytes, text) in [
        (0, "0B"),
        (1023, "1023B"),
        (1024, "1.0KiB"),
        (12_897_484, "12.3MiB"),
        (64 << 20, "64.0MiB"),
    ] {
        assert_eq!(Size(bytes).human(), text);
    }
}

#[test]
fn buffers_are_bytes_or_a_part_of_memory() {
    let resolve = |text: &str| {
        text.parse::<BufferSize>()
            .map(|b| b.resolve(8 << 30).bytes())
    };
    assert_eq!(resolve("64MiB"), Ok(64 << 20));
    assert_eq!(resolve("10%"), Ok(858_993_459));
    assert_eq!(resolve("100%"), Ok(8 << 30));
    assert_eq!(
        "0.0001%".parse::<BufferSize>().map(|b| b.resolve(5)),
        Ok(Size(1))
    );
    for text in [
        "0",
        "0MiB",
        "0%",
        "101%",
        "-5%",
        "%",
        "ten%",
        "",
        "18446744073709551616",
    ] {
        let reject = text.parse::<BufferSize>().expect_err(text);
        for example in reject.examples() {
            assert!(example.parse::<BufferSize>().is_ok(), "{text}: {example}");
        }
    }
}

/// Sizes as people give them and as they come.
pub(crate) fn any_size() -> impl Strategy<Value = Size> {
    let round = (1..=2000u64, 0..PRINTED.len())
        .prop_map(|(n, unit)| Size(n.saturating_mul(PRINTED[unit].1)));
    prop_oneof![
        round,
        (0..10_000u64).prop_map(Size),
        any::<u64>().prop_map(Size)
    ]
}

proptest! {
    #[test]
    fn size_survives_print_and_parse(size in any_size()) {
        prop_assert_eq!(size.to_string().parse(), Ok(size));
    }

    #[test]
    fn buffer_survives_print_and_parse(
        size in any_size().prop_filter("not nothing", |s| s.bytes() > 0),
        millionths in 1..=1_000_000u32,
    ) {
        let bytes = BufferSize::Bytes(size);
        prop_assert_eq!(bytes.to_string().parse(), Ok(bytes));
        let part = BufferSize::OfMemory(Percent(millionths));
        prop_assert_eq!(part.to_string().parse(), Ok(part));
    }

    #[test]
    fn agrees_with_bytesize_on_whole_numbers(n in 0..1_000_000u64, unit in 0..PRINTED.len()) {
        let text = format!("{n}{}", PRINTED[unit].0);
        let theirs: Result<ByteSize, _> = text.parse();
        // Theirs saturates; ours is an error from 16EiB on.
        match text.parse::<Size>() {
            Ok(ours) => prop_assert_eq!(theirs, Ok(ByteSize(ours.0))),
            Err(_) => prop_assert_eq!(theirs, Ok(ByteSize(u64::MAX))),
        }
    }

    #[test]
    fn never_panics(text in "\\PC{0,24}") {
        let _ = text.parse::<Size>();
        let _ = text.parse::<BufferSize>();
    }
}
