//! The watermarks: reading stops at the high one and starts again at the low one; a prefill holds
//! the output. Nothing is lost over either.

use crate::harness::line::Line;
use crate::harness::start;

const KIB: usize = 1024;

/// Both paths, with pipes of a known size.
const WAYS: [&[&str]; 2] = [
    &["--pipe-size", "64KiB"],
    &["--pipe-size", "64KiB", "--no-splice"],
];

fn line(way: &[&str], args: &str) -> Line {
    let args: Vec<&str> = way.iter().copied().chain(args.split(' ')).collect();
    Line::new(&args)
}

/// A line whose consumer takes nothing, so that weir holds all that it may. The pipe behind weir is
/// filled first: what it takes up later would leave the buffer below the mark that stopped it.
fn full(way: &[&str], args: &str) -> Line {
    let mut line = line(way, args);
    line.send(64 * KIB);
    line.weir.settle();
    assert_eq!(line.behind(), 64 * KIB, "{args} {way:?}");
    line.stuff();
    line
}

#[test]
fn reading_stops_exactly_at_the_high_mark() {
    for (args, high) in [
        ("-b 1MiB", KIB * KIB),
        ("-b 1MiB --high 300001", 300_001),
        ("-b 1MiB --high 50%", 512 * KIB),
        ("-b 4KiB", 4 * KIB),
        ("-b 16KiB --high 8KiB --low 0", 8 * KIB),
        ("-b 65537 --high 65537 --low 0", 65_537),
    ] {
        for way in WAYS {
            let mut line = full(way, args);
            assert_eq!(line.held(), high, "{args} {way:?}");
            line.close_input();
            let sent = line.sent();
            line.finish(sent).assert_success(args);
        }
    }
}

#[test]
fn the_smallest_marks_pass_everything() {
    for marks in ["-b 4KiB --high 1", "-b 4KiB --high 3 --low 2 --prefill 3"] {
        for way in WAYS {
            let mut line = line(way, marks);
            line.send(2_000);
            line.close_input();
            line.finish(2_000).assert_success(marks);
        }
    }
}

#[test]
fn reading_starts_again_at_the_low_mark_and_not_before() {
    for way in WAYS {
        let mut line = full(way, "-b 1MiB --high 512KiB --low 128KiB");
        let before = line.before();
        // What the consumer takes comes out of the pipe behind weir, which is filled up again.
        line.take(380 * KIB);
        line.weir.settle();
        assert_eq!(line.before(), before, "{way:?}: read above the low mark");
        assert!(line.held() > 128 * KIB, "{way:?}: {}", line.held());
        line.take(16 * KIB);
        line.weir.settle();
        assert!(line.before() < before, "{way:?}: not read at the low mark");
        line.stuff();
        assert!(line.held() > 128 * KIB, "{way:?}: {}", line.held());
        line.close_input();
        let sent = line.sent();
        line.finish(sent).assert_success("a restart");
    }
}

#[test]
fn the_default_low_mark_is_an_eighth_below_the_high_one() {
    let mut line = full(WAYS[1], "-b 1MiB");
    let before = line.before();
    line.take(120 * KIB);
    line.weir.settle();
    assert_eq!(line.before(), before, "read above the low mark");
    line.take(16 * KIB);
    line.weir.settle();
    assert!(line.before() < before, "not read at the low mark");
}

#[test]
fn stopping_and_starting_many_times_loses_nothing() {
    for way in WAYS {
        let mut line = line(way, "-b 64KiB --high 60000 --low 7");
        for round in 0..12 {
            line.stuff();
            let held = line.held();
            assert!((8..=60_000).contains(&held), "{way:?}: {held}");
            // All but 7 bytes, so that reading starts again; and some of what comes then.
            let all = held + line.behind();
            line.take(all - 7 + 919 * round);
        }
        line.close_input();
        let sent = line.sent();
        line.finish(sent).assert_success("many rounds");
    }
}

#[test]
fn a_prefill_holds_the_output_until_it_is_reached() {
    for way in WAYS {
        let mut line = line(way, "-b 256KiB --prefill 64KiB");
        line.send(64 * KIB - 1);
        line.weir.settle();
        assert_eq!((line.behind(), line.held()), (0, 64 * KIB - 1), "{way:?}");
        line.send(1);
        line.take(64 * KIB);
    }
}

#[test]
fn a_prefill_holds_again_each_time_the_buffer_has_run_empty() {
    let mut line = line(WAYS[0], "-b 256KiB --prefill 50%");
    for _ in 0..3 {
        line.send(128 * KIB);
        line.take(128 * KIB);
        line.weir.settle();
        line.send(1000);
        line.weir.settle();
        assert_eq!((line.behind(), line.held()), (0, 1000));
        line.send(127 * KIB + 24);
        line.take(128 * KIB);
        // Until weir knows that it has run empty, the output is not held again.
        line.weir.settle();
    }
}

#[test]
fn the_end_of_input_lets_a_prefill_go_that_was_never_reached() {
    let mut line = line(WAYS[0], "-b 256KiB --prefill 100%");
    line.send(5000);
    line.weir.settle();
    assert_eq!(line.behind(), 0);
    line.close_input();
    line.finish(5000).assert_success("a prefill at the end");
}

#[test]
fn a_prefill_of_the_whole_high_mark_can_be_reached() {
    let mut line = line(WAYS[0], "-b 64KiB --high 40000 --prefill 40000 --low 0");
    line.send(40_000);
    line.take(40_000);
}

#[test]
fn the_end_of_input_drains_what_is_held() {
    for way in WAYS {
        let mut line = line(way, "-b 2MiB");
        line.stuff();
        line.close_input();
        line.weir.settle();
        assert!(line.weir.is_alive());
        let sent = line.sent();
        line.finish(sent).assert_success("a full buffer at the end");
    }
}

#[test]
fn a_stop_in_the_middle_loses_nothing() {
    use crate::harness::{assert_same, collect, data, feed, weir};
    use rustix::process::Signal;
    let bytes = data(24 << 20, 3);
    for way in WAYS {
        let (stdin, input) = std::io::pipe().expect("make a pipe");
        let (output, stdout) = std::io::pipe().expect("make a pipe");
        let weir = start(weir(way), stdin, stdout);
        let (fed, caught) = (feed(input, bytes.clone()), collect(output));
        for _ in 0..20 {
            weir.signal(Signal::STOP);
            weir.signal(Signal::CONT);
        }
        fed.done().expect("feed");
        assert_same(&caught.done(), &bytes, "stopped and continued");
        weir.end().assert_success("stopped and continued");
    }
}
