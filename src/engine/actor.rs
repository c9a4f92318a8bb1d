//! Those who act for the state machine, and what they owe it: whatever is handed out comes back.

/// The number of the consumer among the outputs.
pub(crate) const CONSUMER: usize = 0;
/// That of the file for what is shed, if there is one.
pub(crate) const OVERFLOW: usize = 1;
/// That of the first of the tees and taps.
pub(super) const SIDES: usize = 2;

/// Who acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Actor {
    /// Takes from the producer.
    Source,
    /// Gives to the output of this number; 0 is the consumer.
    Output(usize),
    /// Runs programs with batches, or one that takes from the queue beside others: the one of this number.
    Job(usize),
}

/// Something was handed out and has to come back.
#[derive(Debug)]
pub(crate) struct Obligation(Actor);

impl Obligation {
    pub(super) fn new(actor: Actor) -> Obligation {
        Obligation(actor)
    }

    /// It has come back.
    pub(super) fn meet(self) -> Actor {
        let actor = self.0;
        std::mem::forget(self);
        actor
    }
}

impl Drop for Obligation {
    fn drop(&mut self) {
        if cfg!(debug_assertions) && !std::thread::panicking() {
            panic!("{:?} has lost what it was to give back", self.0);
        }
    }
}
