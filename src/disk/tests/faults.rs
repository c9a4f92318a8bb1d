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

/// What somebody else does just before a call.
type Meanwhile = (Call, u32, Box<dyn FnOnce()>);

thread_local! {
    static FAULTS: RefCell<Option<Faults>> = const { RefCell::new(None) };
    static MEANWHILE: RefCell<Option<Meanwhile>> = const { RefCell::new(None) };
}

/// Before the call of this kind that comes after so many of them, this is done, as if by another thread.
pub(crate) fn before(call: Call, after: u32, what: impl FnOnce() + 'static) {
    MEANWHILE.set(Some((call, after, Box::new(what))));
}

/// Whether something is still to be done before a call.
pub(crate) fn is_to_come() -> bool {
    MEANWHILE.with_borrow(Option::is_some)
}

/// From now on calls fail like this, or none does.
pub(crate) fn set(faults: Option<Faults>) {
    FAULTS.set(faults);
}

/// From now on these calls fail so, after so many that work, and so often.
pub(crate) fn fail(error: Errno, calls: &[Call], after: u32, times: u32) {
    set(Some(Faults {
        error,
        calls: calls.to_vec(),
        after,
        times,
    }));
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
    let due = MEANWHILE.with_borrow_mut(|it| match it {
        Some((kind, 0, _)) if *kind == call => it.take(),
        Some((kind, after, _)) if *kind == call => {
            *after -= 1;
            None
        }
        _ => None,
    });
    if let Some((_, _, what)) = due {
        what();
    }
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
