//! `--size @DIR`: the total of a directory, which nothing waits for.

use crate::harness;
use std::fs;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

use crate::harness::remote::Home;
use crate::harness::{Leash, WEIR, eventually};

/// A tree with 1,500 bytes in it.
fn tree() -> tempfile::TempDir {
    let tree = tempfile::tempdir().expect("a folder");
    fs::create_dir_all(tree.path().join("a/b")).expect("made");
    for (name, bytes) in [("one", 1000), ("a/two", 200), ("a/b/three", 300)] {
        fs::write(tree.path().join(name), vec![b'x'; bytes]).expect("written");
    }
    tree
}

#[test]
fn the_first_byte_passes_while_a_tree_is_still_being_measured() {
    if !harness::has("strace") {
        return;
    }
    let (home, tree) = (Home::new(), tree());
    // The system takes longer to read a directory than this test lasts.
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=getdents64"]);
    command.args(["-e", "inject=getdents64:delay_enter=600000000", WEIR]);
    command
        .args(["-N", "slow", "-s"])
        .arg(format!("@{}", tree.path().display()));
    command.envs(home.variables());
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let _leash = Leash::on(&child);
    child
        .stdin
        .as_mut()
        .expect("its input")
        .write_all(b"x")
        .expect("fed");
    let mut got = [0];
    child
        .stdout
        .as_mut()
        .expect("its output")
        .read_exact(&mut got)
        .expect("passed on");
    assert_eq!(got, *b"x");
    // strace itself waits for the delay to be over, and lets go of weir when it is killed.
    let id = child.id();
    let traced = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).expect("its child");
    child.kill().expect("it is ours");
    child.wait().expect("ended");
    for pid in traced.split_whitespace().filter_map(|pid| pid.parse().ok()) {
        let pid = rustix::process::Pid::from_raw(pid).expect("a process");
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

#[test]
fn the_total_of_a_tree_appears_when_it_is_known_at_the_start_and_by_remote() {
    let (home, tree) = (Home::new(), tree());
    let total = format!("@{}", tree.path().display());
    let weir = home.start(&["-s", &total]);
    eventually("the total is known", || home.status(&weir)["size"] == 1500);
    home.tell(&weir.pid(), &["--size", "5000"]);
    assert_eq!(home.status(&weir)["size"], 5000);
    home.tell(&weir.pid(), &["--size", &total]);
    eventually("it is the tree again", || {
        home.status(&weir)["size"] == 1500
    });
    // A path is that of who types it.
    let mut command = home.command(&["--remote", &weir.pid(), "--size", "@a"]);
    let status = command.current_dir(tree.path()).status().expect("it ran");
    assert!(status.success());
    eventually("it is a part of it", || home.status(&weir)["size"] == 500);
    let output = home.run(&["--remote", &weir.pid(), "--size", "@/none/such"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.starts_with("weir: --size @/none/such: No such file or directory (see"),
        "{said}"
    );
    assert_eq!(home.status(&weir)["size"], 500);
}
