//! How long somebody is waited for who may never come.
//!
//! Invariant: only time in which this process runs is counted. While it is stopped, the machine sleeps, or others have the
//! processors, those who are waited for get nothing done either: that is not held against them.

use std::time::Duration;

/// What one look takes: a longer one was somebody else's doing.
const LOOK: Duration = Duration::from_millis(10);

/// So many looks in vain, and no more.
#[derive(Debug)]
pub(crate) struct Timeout(u128);

impl Timeout {
    /// For this time, where nothing comes in between.
    pub(crate) fn of(time: Duration) -> Timeout {
        Timeout(time.as_nanos().div_ceil(LOOK.as_nanos()))
    }

    /// How long the next look may take; `None`: there is none left.
    pub(crate) fn look(&self) -> Option<Duration> {
        (self.0 > 0).then_some(LOOK)
    }

    /// A look was in vain: how long the next one may take, if there is one.
    pub(crate) fn spend(&mut self) -> Option<Duration> {
        self.0 = self.0.saturating_sub(1);
        self.look()
    }

    /// Looks, for as long as it is told each time, until it has come, or the time is over: what came, if anything. What
    /// has come already is seen without any time, too.
    pub(crate) fn wait<T>(&mut self, mut look: impl FnMut(Duration) -> Option<T>) -> Option<T> {
        loop {
            let time = self.look();
            let come = look(time.unwrap_or_default());
            if come.is_some() || time.is_none() {
                return come;
            }
            self.spend();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread::sleep;

    use super::*;

    #[test]
    fn time_in_which_the_process_does_not_run_does_not_count() {
        let mut timeout = Timeout::of(5 * LOOK);
        let mut looks = 0;
        // Each takes as long as all of them may: what a stop of the process does to one.
        let come = timeout.wait(|time| {
            assert_eq!(time, LOOK);
            sleep(5 * LOOK);
            looks += 1;
            (looks == 5).then_some("it")
        });
        assert_eq!(come, Some("it"));
    }

    #[test]
    fn it_has_an_end_and_what_is_there_needs_none() {
        let mut timeout = Timeout::of(5 * LOOK);
        let mut looks = 0;
        let never = timeout.wait(|_| {
            looks += 1;
            None::<()>
        });
        assert_eq!((never, looks), (None, 6));
        assert_eq!(timeout.wait(Some), Some(Duration::ZERO));
    }
}
