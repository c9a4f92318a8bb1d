//! Root sees and changes the weirs of all users, and nobody else does. Only root can show that: others say that they skip
//! it.

use crate::harness;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::harness::remote::Home;
use crate::harness::{Leash, WEIR, eventually};
use serde_json::Value;

/// Users that no machine has.
const ANN: u32 = 61_234;
const BOB: u32 = 61_235;
const CID: u32 = 61_236;
const DAN: u32 = 61_237;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The same where a test hangs on it.
#[track_caller]
fn can_be_anybody() -> bool {
    if !is_root() {
        harness::skip("only root can be other users");
    }
    is_root()
}

/// A temporary directory that all users may use, as /tmp is.
fn open_to_all(home: &Home) {
    let temporary = home.temporary();
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    set(&temporary, 0o1777).expect("it is ours");
    set(temporary.parent().expect("a home"), 0o755).expect("it is ours");
}

/// A runtime directory as a login makes it, gone with the test.
struct Runtime(PathBuf);

impl Runtime {
    fn of(user: u32) -> Runtime {
        let path = PathBuf::from(format!("/run/user/{user}"));
        fs::create_dir_all(&path).expect("root may");
        chown(&path, Some(user), Some(user)).expect("root may");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("root may");
        Runtime(path)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
        // Only if it was not there before.
        let _ = fs::remove_dir("/run/user");
    }
}

/// A weir of this user that waits for its input.
struct Weir {
    child: Child,
    _leash: Leash,
}

impl Weir {
    fn of(user: u32, home: &Home, name: &str) -> Weir {
        let mut command = as_user(user, home, &["-N", name, "-r", "5MB/s"]);
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        let child = command.spawn().expect("started");
        Weir {
            _leash: Leash::on(&child),
            child,
        }
    }

    fn pid(&self) -> u64 {
        self.child.id().into()
    }
}

impl Drop for Weir {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `weir` with these arguments as this user runs it, whose shell sets no directories.
fn as_user(user: u32, home: &Home, args: &[&str]) -> Command {
    let mut command = Command::new(WEIR);
    command.args(args).uid(user).gid(user).current_dir("/");
    command
        .env_remove("XDG_RUNTIME_DIR")
        .env("WEIR_TEST_TMP", home.temporary());
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Those that a query tells of, each with its user.
fn found(output: &Output) -> Vec<(u64, String)> {
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let objects = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("an object"));
    let known = objects.map(|it| {
        let user = it["user"].as_str().unwrap_or_default().to_owned();
        (it["pid"].as_u64().expect("a process"), user)
    });
    known.collect()
}

#[test]
fn root_sees_and_changes_the_weirs_of_all_users_wherever_their_sockets_are() {
    if !can_be_anybody() {
        return;
    }
    let (home, _runtime) = (Home::new(), Runtime::of(BOB));
    open_to_all(&home);
    // One who is not logged in has the temporary directory, and one who is his own.
    let (ann, bob) = (Weir::of(ANN, &home, "anns"), Weir::of(BOB, &home, "bobs"));
    let own = home.start(&["-N", "roots"]);
    let wanted = [
        (ann.pid(), ANN.to_string()),
        (bob.pid(), BOB.to_string()),
        (own.pid().parse().expect("a number"), "root".to_owned()),
    ];
    eventually("all three are found", || {
        let all = found(&home.run(&["--query", "--all-users"]));
        wanted.iter().all(|one| all.contains(one))
    });
    assert!(home.temporary().join(format!("weir-{ANN}")).is_dir());
    assert!(Path::new(&format!("/run/user/{BOB}/weir")).is_dir());
    // Without it root sees his own, and a name of another user is none of his.
    let alone = found(&home.run(&["--query"]));
    assert_eq!(alone, [(wanted[2].0, String::new())]);
    assert_eq!(home.run(&["--query", "anns"]).status.code(), Some(1));
    let output = home.run(&["--query", "anns", "--all-users"]);
    assert_eq!(found(&output), wanted[..1], "{}", said(&output));
    // What the live view does can be typed.
    let told = home.run(&["--remote", "bobs", "--all-users", "--rate", "1MB/s"]);
    assert!(told.status.success(), "{}", said(&told));
    let output = home.run(&["--query", "bobs", "--all-users"]);
    let status: Value = serde_json::from_slice(&output.stdout).expect("an object");
    assert_eq!(status["cap"]["bytes_per_s"], 1e6);
}

#[test]
fn who_came_by_su_with_the_directory_of_another_is_found_by_a_session_of_his_own() {
    if !can_be_anybody() {
        return;
    }
    let (home, runtime) = (Home::new(), Runtime::of(DAN));
    open_to_all(&home);
    let mut command = Command::new(WEIR);
    command.args(["-N", "after-su"]).stdin(Stdio::piped());
    command
        .stdout(Stdio::null())
        .env("WEIR_TEST_TMP", home.temporary());
    let child = command.env("XDG_RUNTIME_DIR", &runtime.0).spawn();
    let child = child.expect("started");
    let _weir = Weir {
        _leash: Leash::on(&child),
        child,
    };
    let root = rustix::process::geteuid().as_raw();
    eventually("it is found", || {
        let mut query = as_user(root, &home, &["--query", "after-su"]);
        query.output().is_ok_and(|output| output.status.success())
    });
    assert!(!runtime.0.join("weir").exists(), "it is not root's");
}

#[test]
fn a_directory_that_is_not_its_users_own_is_not_looked_into() {
    if !can_be_anybody() {
        return;
    }
    let home = Home::new();
    open_to_all(&home);
    let ann = Weir::of(ANN, &home, "anns");
    let is_found = || {
        let all = found(&home.run(&["--query", "--all-users"]));
        all.contains(&(ann.pid(), ANN.to_string()))
    };
    eventually("it is found", is_found);
    let hers = home.temporary().join(format!("weir-{ANN}"));
    // Somebody else has it, or others can enter it, or it is a link to one that is right.
    chown(&hers, Some(BOB), Some(BOB)).expect("root may");
    assert!(!is_found());
    chown(&hers, Some(ANN), Some(ANN)).expect("root may");
    fs::set_permissions(&hers, fs::Permissions::from_mode(0o755)).expect("root may");
    assert!(!is_found());
    fs::set_permissions(&hers, fs::Permissions::from_mode(0o700)).expect("root may");
    assert!(is_found());
    let elsewhere = home.temporary().join("elsewhere");
    fs::rename(&hers, &elsewhere).expect("root may");
    std::os::unix::fs::symlink(&elsewhere, &hers).expect("root may");
    assert!(!is_found());
}

#[test]
fn somebody_else_in_the_place_of_a_weir_is_not_asked() {
    if !can_be_anybody() {
        return;
    }
    let home = Home::new();
    open_to_all(&home);
    // Her directory, and in it a socket at which another user's process listens.
    let hers = home.temporary().join(format!("weir-{ANN}"));
    let bob = Weir::of(CID, &home, "cids");
    let his = home.temporary().join(format!("weir-{CID}"));
    let socket = format!("{}.sock", bob.pid());
    eventually("he listens", || his.join(&socket).exists());
    fs::rename(&his, &hers).expect("root may");
    chown(&hers, Some(ANN), Some(ANN)).expect("root may");
    let all = found(&home.run(&["--query", "--all-users"]));
    assert!(!all.iter().any(|(pid, _)| *pid == bob.pid()), "{all:?}");
    assert!(hers.join(&socket).exists(), "nothing of others is removed");
}

#[test]
fn who_is_not_root_is_told_so_in_a_line() {
    let home = Home::new();
    let run = |args: &[&str]| match is_root() {
        true => {
            open_to_all(&home);
            as_user(ANN, &home, args).output().expect("it ran")
        }
        false => home.run(args),
    };
    for args in [
        &["--query", "--all-users"][..],
        &["--all-users", "--query", "x"],
        &["--remote", "x", "--all-users", "--pause"],
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let said = said(&output);
        assert!(
            said.starts_with("weir: --all-users: only root can see") && said.lines().count() == 1,
            "{said}"
        );
    }
}
