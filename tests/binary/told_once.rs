//! Errors that the system tells only once, or only at the end: none is swallowed.
//!
//! `strace` makes such errors; where it is missing, or may not trace, these tests say so and pass.

use std::fs::{self, File};
use std::io::{Read, Write, pipe};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::harness::{self, Ended, WEIR, assert_same, beside, collect, data, start};
use tempfile::TempDir;

/// `weir` under `strace`, which makes calls fail: those that touch this file, if one is given.
fn failing(what: &str, file: Option<&Path>) -> Option<Command> {
    traced(what, file, Path::new("/dev/null"))
}

/// The same, with what it did in a file.
fn traced(what: &str, file: Option<&Path>, log: &Path) -> Option<Command> {
    let mut command = harness::strace()?;
    let call = what.split(':').next().unwrap_or_default();
    command.args(["-f", "-qq", "-o"]).arg(log);
    command.args(["-e", &format!("trace={call}")]);
    command.args(["-e", &format!("inject={what}")]);
    if let Some(file) = file {
        command.arg("-P").arg(file);
    }
    command.arg(WEIR);
    Some(command)
}

fn input(dir: &TempDir) -> File {
    let path = dir.path().join("in");
    fs::write(&path, data(5_000_000, 1)).expect("fill a file");
    File::open(path).expect("open a file")
}

/// `weir` from a file to a file, with these calls failing, of which there are some.
fn file_to_file(what: &str) -> Option<(Ended, Vec<u8>)> {
    let dir = TempDir::new().expect("make a directory");
    let [out, log] = ["out", "log"].map(|name| dir.path().join(name));
    let command = traced(what, None, &log)?;
    let output = File::create(&out).expect("make a file");
    let ended = start(command, input(&dir), output).end();
    let traced = fs::read_to_string(&log).expect("what was traced");
    assert!(traced.contains("(INJECTED)"), "{what}: it never came");
    Some((ended, fs::read(out).expect("read a file")))
}

/// The system says 0 where somebody else has read what was there a moment before, as at the end.
#[test]
fn nothing_to_duplicate_is_no_end_of_the_input() {
    let dir = TempDir::new().expect("make a directory");
    let (fifo, log) = (dir.path().join("tap"), dir.path().join("log"));
    harness::sides::make_fifo(&fifo);
    let tap = File::options().read(true).write(true).open(&fifo);
    let _held = tap.expect("a FIFO of both ends");
    let fifo = fifo.to_str().expect("text");
    for way in [&["-l"][..], &["--tap", fifo], &["-l", "--tap", fifo]] {
        let Some(mut command) = traced("tee:retval=0:when=2", None, &log) else {
            return;
        };
        let (stdin, mut input) = pipe().expect("a pipe");
        let (mut output, stdout) = pipe().expect("a pipe");
        command.args(way);
        let running = start(command, stdin, stdout);
        let lines = b"a line of the input\n".repeat(8);
        for i in 0..50 {
            input.write_all(&lines).expect("it is read");
            // One by one, so that each is duplicated.
            let mut got = vec![0; lines.len()];
            let done = output.read_exact(&mut got);
            assert!(done.is_ok(), "{way:?}: it has ended at {i}: {done:?}");
            assert_same(&got, &lines, &format!("{way:?}, {i}"));
        }
        drop(input);
        running.end().assert_success("it is over");
        let traced = fs::read_to_string(&log).expect("what was traced");
        assert!(traced.contains("(INJECTED)"), "{way:?}: it never came");
    }
}

#[test]
fn an_error_of_the_zero_copy_path_is_an_end_and_names_its_side() {
    for (error, says) in [
        ("ENOSPC", "write: standard output: No space left on device"),
        ("EDQUOT", "write: standard output: Disk quota exceeded"),
        ("EIO", "write: standard output: Input/output error"),
    ] {
        let what = format!("copy_file_range:error={error}:when=2");
        let Some((ended, _)) = file_to_file(&what) else {
            return;
        };
        ended.assert_complains(1, &[says]);
    }
    // From a file into a pipe it is the file that fails, into a file from a pipe the other.
    let dir = TempDir::new().expect("make a directory");
    let what = "splice:error=EIO:when=1";
    let Some(command) = failing(what, None) else {
        return;
    };
    let (output, stdout) = std::io::pipe().expect("make a pipe");
    let weir = start(command, input(&dir), stdout);
    drop(harness::collect(output).done());
    let says = ["read: standard input: Input/output error"];
    weir.end().assert_complains(1, &says);
    let Some(command) = failing(what, None) else {
        return;
    };
    let stdin = harness::sides::Before::Pipe.open(&data(1_000_000, 1));
    let out = File::create(dir.path().join("out")).expect("make a file");
    let says = ["write: standard output: Input/output error"];
    start(command, stdin, out).end().assert_complains(1, &says);
}

#[test]
fn a_refusal_of_the_zero_copy_path_costs_nothing_but_time() {
    for error in ["EINVAL", "ENOSYS", "EXDEV", "EOPNOTSUPP", "EPERM"] {
        let what = format!("copy_file_range:error={error}:when=2+");
        let Some((ended, copied)) = file_to_file(&what) else {
            return;
        };
        ended.assert_success(error);
        harness::assert_same(&copied, &data(5_000_000, 1), error);
    }
}

#[test]
fn what_only_closing_the_output_tells_is_told() {
    let dir = TempDir::new().expect("make a directory");
    let out = dir.path().join("out");
    for args in [
        &[][..],
        &["--no-splice"],
        &["--help"],
        &["--generate", "man"],
    ] {
        let output = File::create(&out).expect("make a file");
        let Some(mut command) = failing("close:error=EDQUOT", Some(&out)) else {
            return;
        };
        command.args(args);
        let ended = start(command, input(&dir), output).end();
        ended.assert_complains(1, &["close: standard output: Disk quota exceeded"]);
    }
}

#[test]
fn what_only_closing_another_file_tells_is_told() {
    let dir = TempDir::new().expect("make a directory");
    let file = dir.path().join("file");
    let name = file.to_str().expect("a plain path");
    for (args, status) in [
        (&["--max-age", "5s", "--shed-to", name][..], 1),
        // As when it cannot be written to: the data has arrived.
        (&["--log", name], 0),
    ] {
        let Some(mut command) = failing("close:error=EDQUOT", Some(&file)) else {
            return;
        };
        command.args(args);
        let ended = start(command, Stdio::null(), Stdio::null()).end();
        let says = format!("close: {name}: Disk quota exceeded");
        ended.assert_complains(status, &[&says]);
    }
}

#[test]
fn a_page_of_metrics_that_did_not_arrive_does_not_replace_one_that_did() {
    let dir = TempDir::new().expect("make a directory");
    let page = dir.path().join("weir.prom");
    fs::write(&page, "old\n").expect("fill a file");
    // The page is written beside it, under a name that ends in the process's number.
    let Some(_) = failing("close:error=EDQUOT", None) else {
        return;
    };
    let script = "exec strace -D -f -qq -o /dev/null -P \"$1.$$.tmp\" \
                  -e trace=close -e inject=close:error=EDQUOT \"$0\" --metrics \"$1\"";
    let mut command = harness::program("sh");
    command.args(["-c", script, WEIR]).arg(&page);
    let ended = start(command, Stdio::null(), Stdio::null()).end();
    let says = format!("write: {}: Disk quota exceeded", page.display());
    ended.assert_complains(0, &[&says]);
    assert_eq!(fs::read_to_string(&page).expect("read a file"), "old\n");
    // Nothing is left beside it.
    assert_eq!(fs::read_dir(dir.path()).expect("a listing").count(), 1);
}

#[test]
fn what_others_append_beside_what_is_shed_is_never_lost() {
    let dir = TempDir::new().expect("make a directory");
    let file = dir.path().join("shed");
    fs::write(&file, "before\n").expect("fill a file");
    // Whoever cuts something off the file does so a while after having looked at its end. No write
    // succeeds: the file may not grow for weir.
    let Some(strace) = failing("ftruncate:delay_enter=20000", None) else {
        return;
    };
    let mut command = harness::program("sh");
    let script = "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\"";
    command.args(["-c", script]).arg(strace.get_program());
    command.args(strace.get_args()).arg("--shed-to").arg(&file);
    command.args(["-l", "-b", "4KiB", "--shed", "newest"]);
    let (stdin, mut input) = pipe().expect("make a pipe");
    let (output, stdout) = pipe().expect("make a pipe");
    let weir = start(command, stdin, stdout);
    let sending = beside(move || {
        for _ in 0..100 {
            input.write_all(&[b'x'; 10_000]).expect("sent");
            input.write_all(b"\n").expect("sent");
        }
    });
    let mut other = File::options().append(true).open(&file).expect("open");
    let mut wanted = "before\n".to_owned();
    let sent = std::sync::Arc::new(AtomicBool::new(false));
    let done = beside({
        let sent = sent.clone();
        move || {
            sending.done();
            sent.store(true, Relaxed);
        }
    });
    for n in 0.. {
        let line = format!("theirs {n}\n");
        other.write_all(line.as_bytes()).expect("appended");
        wanted += &line;
        if sent.load(Relaxed) {
            break;
        }
    }
    done.done();
    drop(collect(output).done());
    let ended = weir.end();
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let text = fs::read_to_string(&file).expect("text");
    assert!(text == wanted, "{} bytes of {}", text.len(), wanted.len());
}
