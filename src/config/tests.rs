//! What options come to, and what is refused: named cases.

use std::time::Duration;

use clap::Parser;

use super::*;
use crate::engine::gate::Marks;
use crate::pipe::capacity::Wanted;

/// What this line comes to; values have no blanks in them.
pub(crate) fn resolve(line: &str) -> Result<Config, ConfigError> {
    let words = ["weir"].into_iter().chain(line.split_whitespace());
    Config::resolve(Options::try_parse_from(words).expect("a command line"))
}

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

#[test]
fn marks_come_out_in_bytes() {
    for (name, args, capacity, high, low, prefill) in [
        ("nothing given", "", 64 * MIB, 64 * MIB, 63 * MIB, 0),
        (
            "small: an eighth",
            "-b 4MiB",
            4 * MIB,
            4 * MIB,
            7 * MIB / 2,
            0,
        ),
        (
            "large: 1 MiB",
            "-b 1GiB",
            1024 * MIB,
            1024 * MIB,
            1023 * MIB,
            0,
        ),
        ("the smallest", "-b 4KiB", 4096, 4096, 3584, 0),
        ("decimal", "-b 1MB", 1_000_000, 1_000_000, 875_000, 0),
        (
            "percent",
            "-b 1000KiB --high 50% --low 10%",
            1000 * KIB,
            500 * KIB,
            100 * KIB,
            0,
        ),
        (
            "low follows high",
            "-b 1MiB --high 8000",
            MIB,
            8000,
            7000,
            0,
        ),
        (
            "prefill of high",
            "-b 1MiB --high 50% --prefill 50%",
            MIB,
            MIB / 2,
            7 * MIB / 16,
            MIB / 2,
        ),
        ("low 0", "--low 0", 64 * MIB, 64 * MIB, 0, 0),
        ("high 1", "--high 1", 64 * MIB, 1, 0, 0),
        ("high 7", "--high 7", 64 * MIB, 7, 6, 0),
        (
            "next to each other",
            "--high 1000 --low 999",
            64 * MIB,
            1000,
            999,
            0,
        ),
    ] {
        let rules = resolve(args).expect(name).rules;
        assert_eq!(rules.capacity, capacity, "{name}");
        assert_eq!(rules.marks, Marks { high, low, prefill }, "{name}");
    }
}

#[test]
fn contradictions_are_refused_by_naming_both_values() {
    for (args, says) in [
        ("--low 50% --high 50%", ["--low 50%", "--high 50%"]),
        ("--low 2MiB --high 1MiB", ["--low 2MiB", "--high 1MiB"]),
        ("--low 100%", ["--low 100%", "--high 64MiB (the default)"]),
        (
            "--prefill 3MiB --high 2MiB",
            ["--prefill 3MiB", "--high 2MiB"],
        ),
        (
            "--prefill 99MiB",
            ["--prefill 99MiB", "--high 64MiB (the default)"],
        ),
        ("--high 0", ["--high 0", "64MiB"]),
        ("-b 1MiB --high 1048577", ["--high 1048577", "1MiB"]),
        ("-b 4095", ["--buffer 4095", "4KiB"]),
        ("--timeout 0s", ["--timeout 0s", "30s"]),
        ("--sink-timeout 0s", ["--sink-timeout 0s", "30s"]),
        ("-b 15EiB", ["--buffer 15EiB", "the memory of this machine"]),
        (
            "-b 64KiB --record-size 1MiB --shed newest",
            ["--record-size 1MiB", "buffer of 64KiB"],
        ),
    ] {
        let error = resolve(args).expect_err(args).to_string();
        assert!(!error.contains('\n'), "{error}");
        for part in says {
            assert!(
                error.contains(part),
                "{args}: {error:?} does not say {part:?}"
            );
        }
    }
}

#[test]
fn time_limits_of_one_side_come_before_those_of_both() {
    let s = |n| Some(Duration::from_secs(n));
    for (args, source, sink) in [
        ("", None, None),
        ("--timeout 5s", s(5), s(5)),
        ("--source-timeout 1m", s(60), None),
        ("--sink-timeout 1m", None, s(60)),
        ("--timeout 5s --sink-timeout 7s", s(5), s(7)),
        ("--timeout 5s --source-timeout 7s", s(7), s(5)),
    ] {
        let timeouts = resolve(args).expect(args).rules.timeouts;
        assert_eq!((timeouts.source, timeouts.sink), (source, sink), "{args}");
    }
}

#[test]
fn pipe_sizes_and_paths_come_through() {
    for (args, wanted) in [
        ("", PipeSize::Auto),
        ("--pipe-size auto", PipeSize::Auto),
        ("--pipe-size keep", PipeSize::Keep),
        ("--pipe-size 1MiB", PipeSize::Bytes(MIB)),
        ("--pipe-size 1", PipeSize::Bytes(1)),
    ] {
        assert_eq!(resolve(args).expect(args).pipe_size, wanted, "{args}");
    }
    assert!(resolve("").expect("nothing").rules.may_bypass);
    assert!(!resolve("--no-splice").expect("one").rules.may_bypass);
    let files = resolve("one - two").expect("three").files;
    assert_eq!(files, ["one", "-", "two"].map(PathBuf::from));
}

/// What lies in a pipe has left: little is to, where it is to be fresh, or few in a second.
#[test]
fn the_pipes_to_the_consumer_and_to_tees_are_large_only_where_nothing_is_promised_of_what_lies_there()
 {
    for (args, size) in [
        ("", MIB),
        ("-b 300000", MIB / 4),
        ("-b 600000", MIB / 2),
        ("-r 1GB/s", MIB / 4),
        ("-l --shed oldest --tee copy", MIB / 4),
        ("--max-age 1s", MIB / 4),
    ] {
        let sizes = resolve(args).expect(args).pipe_sizes();
        assert_eq!(sizes.to_consumer, Some(Wanted::AtLeast(size)), "{args}");
    }
}

#[test]
fn a_bare_figure_caps_records_where_there_are_any() {
    for (line, bytes, records) in [
        ("-r 50", true, false),
        ("-r 200k/s", true, false),
        ("-l -r 50", false, true),
        ("-l -r 200k/s", false, true),
        ("-0 --input-rate 5/s -r 1kB/s", true, false),
        ("-l -r 50 -r 1kB/s", true, true),
        ("-l -r 00:00,50", false, false),
    ] {
        let output = resolve(line).expect(line).rules.output;
        let are = (output.bytes.is_some(), output.records.is_some());
        assert_eq!(are, (bytes, records), "{line}");
    }
    let error = resolve("-l -r 50 -r 60/s").expect_err("two of a kind");
    assert!(
        error
            .to_string()
            .contains("--rate 60/s: there is one already"),
        "{error}"
    );
}
