//! What is changed in a running engine from outside, and what it tells those who listen.

use std::time::Instant;

use super::directive::Directive;
use super::event::{Event, Events, Place};
use super::limiter::SharedCap;
use super::state::Engine;
use crate::units::Unit;

impl Engine {
    /// A cap on the output is shared with others.
    pub(crate) fn share(&mut self, unit: Unit, with: Box<dyn SharedCap>, now: Instant) {
        match unit {
            Unit::Bytes => self.output.bytes.share(with),
            Unit::Records => self.output.records.share(with),
        }
        self.tune(now);
    }

    /// Changes how a running engine works; in force when this returns, but for what is on its way already.
    pub(crate) fn command(&mut self, now: Instant, command: Directive) {
        match command {
            Directive::RateOfBytes(cap) => self.output.bytes.set(cap),
            Directive::RateOfRecords(cap) => self.output.records.set(cap),
            Directive::InputRateOfBytes(cap) => self.input.bytes.set(cap),
            Directive::InputRateOfRecords(cap) => self.input.records.set(cap),
            Directive::Burst(burst) => {
                self.burst = burst;
            }
            Directive::Marks(marks) => self.gate.set(marks, self.used()),
            Directive::Shed(policy) => {
                self.shedder.policy = policy;
                self.put_lanes_in_force();
            }
            Directive::MaxAge(age) => {
                self.shedder.max_age = age;
                self.put_lanes_in_force();
            }
            Directive::Jobs(count) => self.set_jobs(count, now),
            Directive::Pause => self.paused = true,
            Directive::Resume => self.paused = false,
            Directive::HoldInput(held) => self.input_held = held,
            Directive::Finish => {
                self.ended = true;
                self.start_no_more();
                self.restart_no_more(now);
            }
            Directive::Drain => {
                // What nobody may deliver would keep it from ending.
                self.paused = false;
                self.ended = true;
            }
        }
        self.has_plain_rules = false;
        self.tune(now);
        self.update(now);
    }

    /// Nothing is read or written from now on, whatever is held. As [`Engine::ask_for_quiet`]: some while a
    /// call to the system is under way whose bytes are still to be counted.
    pub(crate) fn halt(&mut self, now: Instant) -> Option<u64> {
        // The file for what is shed is not closed before that: of a read that is under way some may be shed.
        self.halted = true;
        self.update(now);
        self.ask_for_quiet()
    }

    /// Whether all input was read, or as much as is to be. `has_ended`: its end was seen; what is seen when nobody wants any
    /// more may be no end of it.
    pub(crate) fn is_input_over(&self, has_ended: bool) -> bool {
        self.source.is_over || self.source.has_all() || has_ended && !self.ended
    }

    /// While somebody looks at the input from outside nothing is read. Says whether nothing is already; what is on its way
    /// yet may be [waited for](Engine::ask_for_quiet).
    pub(crate) fn hold_for_look(&mut self, is_looked_at: bool, now: Instant) -> bool {
        self.input_looked_at = is_looked_at;
        self.update(now);
        !self.source.is_reading
    }

    /// Whether something is being read that is not in the books yet.
    pub(crate) fn is_reading(&self) -> bool {
        self.source.is_reading
    }

    /// No more input: what is held is still delivered. `is_over`: all of it was read.
    pub(crate) fn on_input_end(&mut self, is_over: bool, now: Instant) {
        self.source.is_over |= is_over;
        if !self.halted {
            self.ended = true;
            self.source.is_waiting = false;
            self.update(now);
        }
    }

    /// Listens to these from now on.
    pub(crate) fn listen(&mut self, events: impl IntoIterator<Item = Event>) {
        self.events = Some(Box::new(Events::new(events)));
        self.has_plain_rules = false;
    }

    pub(super) fn look_for_events(&mut self, now: Instant) {
        let place = Place {
            used: self.occupancy(),
            high: self.gate.marks().high,
            low: self.gate.marks().low,
            capacity: self.capacity,
            sheds: self.shedder.is_shedding(now),
        };
        if let Some(events) = &mut self.events
            && events.look(place, now)
        {
            self.wakes.events.append(&mut events.happened);
            self.has_wakes = true;
        }
    }
}
