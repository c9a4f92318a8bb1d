//! A signal to weir and COMMAND of which weir hears late, since it has no processor meanwhile.

use std::fs;
use std::io::{Write, pipe};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Pid, Signal, setpriority_process};
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::harness::dir::Dir;
use crate::harness::{Running, eventually, start, weir};

/// The thread of this weir that hears signals is the last to have a processor, for as long as this is there.
struct HardOfHearing(Arc<AtomicBool>);

impl HardOfHearing {
    fn new(weir: &Running) -> HardOfHearing {
        let mut first = CpuSet::new();
        first.set(0);
        let tasks = format!("/proc/{}/task", weir.pid().as_raw_nonzero());
        let tasks = fs::read_dir(tasks).expect("threads").flatten();
        let is_it =
            |path: &Path| fs::read_to_string(path.join("comm")).is_ok_and(|it| it == "signals\n");
        let listener = tasks.map(|it| it.path()).find(|it| is_it(it));
        let listener = listener.and_then(|it| it.file_name()?.to_str()?.parse().ok());
        let listener = listener.and_then(Pid::from_raw).expect("its number");
        setpriority_process(Some(listener), 19).expect("nice");
        // Where the first one is not for us, it is only late.
        let _ = sched_setaffinity(Some(listener), &first);
        let is_over = Arc::new(AtomicBool::new(false));
        let theirs = is_over.clone();
        std::thread::spawn(move || {
            let _ = sched_setaffinity(None, &first);
            while !theirs.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        HardOfHearing(is_over)
    }
}

impl Drop for HardOfHearing {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn what_a_signal_to_both_has_ended_is_not_run_again_however_late_weir_hears_of_it() {
    for (options, count) in [(&[][..], 1), (&["-j", "2"], 2)] {
        for signal in [Signal::INT, Signal::TERM] {
            for _ in 0..3 {
                let dir = Dir::new();
                let words = ["-q", "-l", "--restart", "always", "--backoff", "1ms..1ms"];
                let out = dir.at("out");
                let script = "echo run >> $0; exec cat > /dev/null";
                let words = [&words, options, &["--", "sh", "-c", script, &out]].concat();
                let mut command = weir(&words);
                command.process_group(0);
                let (stdin, mut input) = pipe().expect("a pipe");
                let weir = start(command, stdin, Stdio::null());
                input.write_all(&[b'\n'; 1000]).expect("it is read");
                eventually("COMMAND runs", || dir.lines("out").len() == count);
                weir.settle();
                let late = HardOfHearing::new(&weir);
                weir.signal_group(signal);
                let end = weir.end();
                drop(late);
                let by = end.status.signal();
                assert_eq!(by, Some(signal.as_raw()), "{options:?}: {end:?}");
                assert_eq!(dir.lines("out").len(), count, "{options:?}, {signal:?}");
            }
        }
    }
}
