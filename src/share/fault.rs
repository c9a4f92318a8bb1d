//! A mapped file that somebody else cuts short, or for which the disk has no room, must not end weir: the system answers
//! whoever touches what is not there with SIGBUS.
//!
//! What is guarded is then put into memory of this process's own, all of it at once and empty, and what touched it goes
//! on there; who has mapped it finds that it is lost. Any other SIGBUS ends the process, as it would without this.
//!
//! Invariant: a guard lives no longer than its mapping, so that nothing else is ever replaced.

use std::io;
use std::mem::MaybeUninit;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use nix::libc;

/// Mappings that there may be at once: one for each unit, while members meet anew another one, and those that are looked
/// at.
const MOST: usize = 32;

/// A guarded mapping; of size 0 where there is none.
#[derive(Debug)]
struct Place {
    begin: AtomicUsize,
    size: AtomicUsize,
    is_lost: AtomicBool,
}

static PLACES: [Place; MOST] = [const {
    Place {
        begin: AtomicUsize::new(0),
        size: AtomicUsize::new(0),
        is_lost: AtomicBool::new(false),
    }
}; MOST];

/// Guards a mapping until it is dropped.
#[derive(Debug)]
pub(super) struct Guard(&'static Place);

impl Guard {
    /// Guards what is mapped here: whole pages.
    ///
    /// # Errors
    /// Where so many are guarded already, or the system refuses.
    pub(super) fn new(begin: usize, size: usize) -> io::Result<Guard> {
        static INSTALLED: Once = Once::new();
        let mut installed = Ok(());
        INSTALLED.call_once(|| installed = install());
        installed?;
        let is_free = |place: &&Place| place.size.compare_exchange(0, size, SeqCst, SeqCst).is_ok();
        let place = PLACES.iter().find(is_free);
        let place = place.ok_or_else(|| io::Error::other("too many files are mapped"))?;
        place.is_lost.store(false, SeqCst);
        place.begin.store(begin, SeqCst);
        Ok(Guard(place))
    }

    /// Whether what was mapped is not there any more.
    pub(super) fn is_lost(&self) -> bool {
        self.0.is_lost.load(SeqCst)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.begin.store(0, SeqCst);
        self.0.size.store(0, SeqCst);
    }
}

#[allow(unsafe_code)]
fn install() -> io::Result<()> {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: zeroes are a valid `sigaction`: no handler, no flags, nothing blocked.
    let action = unsafe { action.assume_init_mut() };
    action.sa_sigaction = on_fault as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: the handler has the signature that SA_SIGINFO asks for, lives as long as the process, and does nothing that
    // may not be done in the middle of anything else: it reads and writes atomics and makes system calls.
    match unsafe { libc::sigaction(libc::SIGBUS, action, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[allow(unsafe_code)]
extern "C" fn on_fault(signal: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the system hands over what it knows of the signal, for as long as the handler runs.
    let (code, at) = unsafe { ((*info).si_code, (*info).si_addr() as usize) };
    // Only what the system itself has found has an address.
    let here = PLACES.iter().filter(|_| code > 0).find(|place| {
        let begin = place.begin.load(SeqCst);
        begin > 0 && at.wrapping_sub(begin) < place.size.load(SeqCst)
    });
    if let Some(place) = here
        && replace(place.begin.load(SeqCst), place.size.load(SeqCst))
    {
        place.is_lost.store(true, SeqCst);
        return;
    }
    // SAFETY: what is not ours has the effect that it has by default, when the handler returns.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
}

/// Puts empty memory in the place of a mapping.
#[allow(unsafe_code)]
fn replace(begin: usize, size: usize) -> bool {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    let place = begin as *mut libc::c_void;
    // SAFETY: a guard says that just these pages are a mapping of ours, which holds nothing but atomic words: any
    // contents are valid, and whoever looks at them expects them to change at any moment.
    let mapped = unsafe { libc::mmap(place, size, access, kind, -1, 0) };
    mapped == place
}
