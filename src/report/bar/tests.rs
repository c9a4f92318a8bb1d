//! The bar at every width, in every state: exactly as wide as asked, with what matters most, and calm until something is lost.

use std::time::Duration;

use console::{measure_text_width, strip_ansi_codes};

use super::*;
use crate::engine::status::State;
use crate::report::sample;
use crate::report::snapshot::OutputKind;
use crate::report::theme::Colours;

const PLAIN: Theme = Theme {
    unicode: true,
    colours: Colours::None,
};

fn themes() -> Vec<Theme> {
    let colours = [Colours::None, Colours::Few, Colours::Many];
    let both = |unicode| colours.map(|colours| Theme { unicode, colours });
    [false, true].into_iter().flat_map(both).collect()
}

fn table() -> Vec<(&'static str, Snapshot)> {
    let mut wide = sample::busy();
    wide.name = Some("ein sehr langer Name 東京 für eine Röhre im Keller".into());
    vec![
        ("fresh", sample::fresh()),
        ("busy", sample::busy()),
        ("full", sample::full()),
        ("capped", sample::capped()),
        ("shedding", sample::shedding()),
        ("wide name", wide),
    ]
}

#[test]
fn a_frame_is_exactly_as_wide_as_asked() {
    for (what, status) in table() {
        for theme in themes() {
            for width in 0..=250 {
                let frame = frame(&status, 0, width, theme);
                assert_eq!(
                    measure_text_width(&frame),
                    width,
                    "{what} {width}: {frame:?}"
                );
                assert!(!frame.contains(['\n', '\r', '\t']), "{what}: {frame:?}");
            }
        }
    }
}

#[test]
fn a_consumer_that_is_waited_for_is_told_of_in_the_place_of_a_culprit() {
    for (retry_in, failures, said) in [
        (Some(2.4), 5, "retry in 3s, 5 failures"),
        (Some(75.0), 1, "retry in 1m 15s, 1 failure"),
        (None, 5, "gzip"),
    ] {
        let mut waits = sample::busy();
        waits.command = Some(sample::command(retry_in, failures, 7, 0));
        for width in 0..=250 {
            let frame = frame(&waits, 0, width, PLAIN);
            assert_eq!(measure_text_width(&frame), width, "{frame:?}");
            assert!(frame.contains(said) || width < 120, "{width}: {frame:?}");
        }
    }
}

#[test]
fn frames_at_every_width() {
    let mut seen = String::new();
    for (what, status) in table() {
        for width in [24, 40, 60, 80, 120, 200] {
            let frame = frame(&status, 0, width, PLAIN);
            seen += &format!("{what} {width}\n{}|\n", frame);
        }
    }
    assert_eq!(seen, include_str!("frames.txt"), "\n{seen}");
}

#[test]
fn the_culprit_is_named_at_every_width() {
    for width in 24..=250 {
        for (status, name) in [(sample::busy(), "◀ gzip"), (sample::capped(), "◀ cap")] {
            let frame = frame(&status, 0, width, PLAIN);
            assert!(frame.contains(name), "{width}: {frame}");
        }
    }
}

#[test]
fn eighty_columns_tell_what_matters() {
    let frame = frame(&sample::busy(), 0, 79, PLAIN);
    for part in [
        "backup ",
        "━",
        " 38% ",
        " 3:10 left ",
        "10.0MiB/s",
        " 94% ",
        "◀ gzip is slow",
    ] {
        assert!(frame.contains(part), "{part}: {frame}");
    }
}

#[test]
fn a_drain_tells_what_is_left_of_it_and_when_it_ends_at_the_latest() {
    for (percent, until, left) in [
        (Some(38), None, " draining 60.0MiB 0:06 "),
        (None, None, " draining 60.0MiB 0:06 "),
        (None, Some(85), " draining 60.0MiB 0:02 "),
    ] {
        let mut s = sample::busy();
        s.state = State::Draining;
        (s.eta_s, s.percent) = (None, percent);
        s.drain(until.map(Duration::from_secs));
        for width in 79..=250 {
            let frame = frame(&s, 0, width, PLAIN);
            assert!(frame.contains(left), "{width}: {frame}");
        }
    }
}

#[test]
fn a_drain_that_waits_for_a_tee_tells_what_that_lacks_and_no_time_that_nobody_knows() {
    let mut s = sample::busy();
    s.state = State::Draining;
    s.outputs = vec![
        sample::output(OutputKind::Tee, "copy.tar"),
        sample::output(OutputKind::Tap, "look"),
    ];
    (s.outputs[0].used, s.outputs[1].used) = (100 << 20, 200 << 20);
    s.drain(None);
    let bar = frame(&s, 0, 100, PLAIN);
    assert!(bar.contains(" draining  100MiB -:-- "), "{bar}");
    assert_eq!(s.eta_s, None);
}

#[test]
fn names_below_each_other_get_the_same_room() {
    let short = frame(&sample::busy(), 0, 100, PLAIN);
    let long = frame(&sample::busy(), 9, 100, PLAIN);
    assert!(
        short.starts_with("backup  ━") && long.starts_with("backup     ━"),
        "{long}"
    );
    assert!(frame(&sample::fresh(), 9, 100, PLAIN).starts_with("           "));
}

#[test]
fn colour_changes_nothing_but_colour() {
    for (what, status) in table() {
        for width in [24, 60, 120] {
            let colour = Theme {
                colours: Colours::Few,
                ..PLAIN
            };
            let coloured = frame(&status, 0, width, colour);
            let plain = frame(&status, 0, width, PLAIN);
            assert_eq!(strip_ansi_codes(&coloured), plain, "{what}");
            assert!(coloured.contains('\x1b') && !plain.contains('\x1b'));
        }
    }
}

#[test]
fn colour_is_calm_until_something_is_lost() {
    let colour = Theme {
        colours: Colours::Few,
        ..PLAIN
    };
    let (calm, amber, loud) = ("\x1b[32m", "\x1b[33m", "\x1b[35m");
    for (status, ink) in [
        (sample::fresh(), calm),
        (sample::busy(), calm),
        (sample::full(), calm),
        (sample::capped(), amber),
        (sample::shedding(), loud),
    ] {
        let frame = frame(&status, 0, 80, colour);
        for other in [calm, amber, loud] {
            assert_eq!(frame.contains(other), other == ink, "{frame:?}");
        }
    }
}

#[test]
fn ascii_is_ascii() {
    let ascii = Theme {
        unicode: false,
        colours: Colours::Few,
    };
    for status in [sample::busy(), sample::capped(), sample::shedding()] {
        for width in [24, 80, 200] {
            assert!(frame(&status, 0, width, ascii).is_ascii());
        }
    }
}

#[test]
fn a_frame_keeps_its_shape_while_figures_change() {
    // Where the parts begin in a frame at 100 columns must not depend on the figures.
    let place = |used: u64, rate: f64| {
        let mut s = sample::busy();
        s.buffer.used = used;
        s.input.rate = Some(rate);
        s.out.rate = Some(rate * 3.7);
        let frame = frame(&s, 0, 110, PLAIN);
        frame.chars().position(|c| c == '◀')
    };
    let first = place(0, 0.0);
    for (used, rate) in [(1, 1.0), (1 << 20, 2e4), (33 << 20, 3e6), (64 << 20, 9.9e9)] {
        assert_eq!(place(used, rate), first, "{used} {rate}");
    }
}

#[test]
fn a_tee_that_has_failed_and_one_that_loses_are_told_of_also_while_the_consumer_loses() {
    let mut s = sample::shedding();
    s.outputs = vec![
        sample::output(OutputKind::Tee, "copy"),
        sample::output(OutputKind::Tap, "look"),
    ];
    let told = |s: &Snapshot| frame(s, 0, 220, PLAIN);
    assert!(!told(&s).contains("tee") && !told(&s).contains("tap"));
    s.outputs[1].shed.bytes = 5 << 20;
    assert!(told(&s).contains("tap look lost"), "{}", told(&s));
    s.outputs[0].shed.bytes = 6 << 20;
    assert!(told(&s).contains("tee copy lost"), "{}", told(&s));
    s.outputs[0].failed = true;
    assert!(told(&s).contains("tee copy failed"), "{}", told(&s));
    assert!(told(&s).contains("shed "), "{}", told(&s));
    s.outputs[1].failed = true;
    assert!(told(&s).contains("2 outputs failed"), "{}", told(&s));
}

#[test]
fn whom_a_tee_waits_for_is_told() {
    let mut s = sample::fresh();
    s.state = State::Waiting;
    s.outputs = vec![sample::output(OutputKind::Tee, "copy")];
    s.outputs[0].vacant = true;
    for (width, said) in [
        (40, "waiting"),
        (90, "waiting for FIFO"),
        (160, "waiting for FIFO copy"),
    ] {
        let frame = frame(&s, 0, width, PLAIN);
        assert_eq!(measure_text_width(&frame), width, "{frame:?}");
        assert!(frame.contains(said), "{width}: {frame:?}");
    }
}

#[test]
fn the_process_of_an_earlier_weir_that_is_waited_for_is_told_of() {
    let mut s = sample::fresh();
    let mut command = sample::command(None, 0, 0, 0);
    command.waits_for = Some(4711);
    s.command = Some(command);
    for (width, said) in [(40, "awaits 4711"), (120, "waiting for process 4711")] {
        let frame = frame(&s, 0, width, PLAIN);
        assert!(frame.contains(said), "{width}: {frame:?}");
    }
}
