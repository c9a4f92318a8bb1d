//! Who is accused of standing still, and who is not, when time passes between two calls.

use super::*;

#[test]
fn a_pause_accuses_no_consumer() {
    let mut b = Bench::new(Rules {
        timeouts: Timeouts {
            source: None,
            sink: Some(seconds(2)),
        },
        ..rules(KIB * KIB)
    });
    b.read(&[b'x'; 1000]);
    b.begin_write();
    b.command(Directive::Pause);
    b.end_write_full();
    assert!(b.is_asleep());
    b.pass_quietly(seconds(10));
    b.command(Directive::Resume);
    assert!(b.is_sink_woken());
    b.begin_write();
    b.end_write_full();
    b.pass_quietly(seconds(2));
    let watch = b.engine.look_for_stall(b.now);
    assert!(
        matches!(watch, StallLook::Stalled(Side::Sink, _)),
        "{watch:?}"
    );
}

#[test]
fn a_drain_accuses_no_producer() {
    for asleep in [false, true] {
        let mut b = Bench::new(Rules {
            timeouts: Timeouts {
                source: Some(seconds(2)),
                sink: None,
            },
            ..rules(KIB * KIB)
        });
        b.read(&[b'x'; 1000]);
        if asleep {
            b.wait_for_input();
            b.command(Directive::Drain);
        } else {
            b.begin_read();
            b.command(Directive::Drain);
            b.end_read_in_vain(ReadOutcome::Empty);
        }
        b.pass_quietly(seconds(10));
        let action = b.engine.poll(Actor::Source, b.now);
        assert!(matches!(&action, Action::End(Reason::Over)), "{action:?}");
    }
}

#[test]
fn time_that_weir_itself_stood_still_accuses_nobody() {
    let mut b = Bench::new(Rules {
        timeouts: Timeouts {
            source: Some(seconds(4)),
            sink: None,
        },
        ..rules(KIB * KIB)
    });
    b.wait_for_input();
    let quiet = |b: &mut Bench| match b.engine.look_for_stall(b.now) {
        StallLook::Quiet(Some(due)) => due,
        watch => panic!("{watch:?}"),
    };
    b.now = quiet(&mut b);
    b.now = quiet(&mut b);
    // Stopped, for much longer than that.
    b.pass_time(seconds(60));
    let again = b.now;
    while b.now < again + Duration::from_millis(3900) {
        b.now = quiet(&mut b);
    }
    assert_eq!(
        b.engine.look_for_stall(b.now),
        StallLook::Stalled(Side::Source, seconds(4))
    );
}

#[test]
fn a_sleeper_for_the_slow_end_of_a_range_is_woken_when_the_buffer_fills() {
    let range = Cap::Range(rate("1B/min"), rate("1MB/s"));
    let mut b = Bench::new(Rules {
        marks: Marks {
            high: 100_000,
            low: 1000,
            prefill: 0,
        },
        output: Limits {
            bytes: Some(range),
            records: None,
        },
        ..rules(100_000)
    });
    b.read(&[b'x'; 100]);
    assert_eq!(b.write().len(), 1);
    assert!(b.is_asleep());
    b.engine.take_wakes();
    b.pass_time(seconds(1));
    for _ in 0..9 {
        b.read(&[b'x'; 10_000]);
    }
    assert!(b.is_sink_woken(), "it would sleep for a minute");
    b.pass_time(seconds(1));
    assert!(b.write().len() > 1000);
}

#[test]
fn a_cap_is_not_to_blame_for_a_silent_producer() {
    let mut b = Bench::new(Rules {
        input: Limits {
            bytes: Some(Cap::Fixed(rate("1kB/s"))),
            records: None,
        },
        ..rules(100_000)
    });
    b.read(b"x");
    while b.try_to_read().is_none() {
        b.end_read(b"x");
    }
    assert_eq!(b.books().state, State::Capped);
    b.pass_time(seconds(1));
    b.wait_for_input();
    b.write_all();
    b.pass_time(seconds(10));
    let books = b.books();
    assert_eq!((books.state, books.waits.cap), (State::Starved, seconds(1)));
}
