//! A disk that fails: each thread has its own, so that tests go on beside each other.

use std::cell::RefCell;

use rustix::io::Errno;

use super::super::sys::Call;

/// What fails, and how.
#[derive(Debug, Clone)]
pub(crate) struct Faults {
    pub error: Errno,
    pub calls: Vec<Call>,
    /// So many of these calls work before that.
    pub after: u32,
    /// So many fail then.
    pub times: u32,
}

thread_local! {
    static FAULTS: RefCell<Option<Faults>> = const { RefCell::new(None) };
}

/// From now on calls fail like this, or none does.
pub(crate) fn set(faults: Option<Faults>) {
    FAULTS.set(faults);
}

/// For now none does. How they did.
pub(crate) fn pause() -> Option<Faults> {
    FAULTS.take()
}

/// Of these calls none fails any more.
pub(crate) fn spare(call: Call) {
    FAULTS.with_borrow_mut(|faults| {
        if let Some(faults) = faults {
            faults.calls.retain(|it| *it != call);
        }
    });
}

/// Whether calls may fail.
pub(crate) fn are_set() -> bool {
    FAULTS.with_borrow(Option::is_some)
}

/// What this call comes to before it is made.
pub(crate) fn meet(call: Call) -> Result<(), Errno> {
    FAULTS.with_borrow_mut(|faults| {
        let Some(faults) = faults.as_mut().filter(|it| it.calls.contains(&call)) else {
            return Ok(());
        };
        if faults.after > 0 {
            faults.after -= 1;
        } else if faults.times > 0 {
            faults.times -= 1;
            return Err(faults.error);
        }
        Ok(())
    })
}
