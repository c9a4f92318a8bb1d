//! The socket of a weir: where it may be, that it goes away, and that nobody at its other end can
//! disturb anybody.

use crate::harness;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use crate::harness::eventually;
use crate::harness::remote::{Home, Weir};
use rustix::process::Signal;

const STATUS: &str = r#"{"v":1,"ask":"status"}"#;

fn mode(path: &Path) -> u32 {
    let data = fs::symlink_metadata(path).expect("it is there");
    data.permissions().mode() & 0o7777
}

/// It still carries data and answers.
fn assert_well(home: &Home, weir: &mut Weir) {
    weir.give(b"well");
    assert_eq!(weir.take(4), b"well");
    home.tell(&weir.pid(), &["--rate", "off"]);
    home.status(weir);
}

#[test]
fn socket_and_directory_are_for_their_user_alone() {
    let home = Home::new();
    let weir = home.start(&[]);
    let path = home.sockets().join(format!("{}.sock", weir.pid()));
    assert_eq!(home.listing(), std::slice::from_ref(&path));
    assert!(fs::metadata(&path).expect("made").file_type().is_socket());
    assert_eq!((mode(&home.sockets()), mode(&path)), (0o700, 0o600));
}

#[test]
fn without_a_runtime_directory_the_temporary_one_serves() {
    let home = Home::new();
    fs::remove_dir(home.runtime()).expect("removed");
    let mut weir = home.start(&[]);
    assert_eq!(mode(&home.refuge()), 0o700);
    assert_well(&home, &mut weir);
}

#[test]
fn one_that_was_started_with_another_tmpdir_is_found() {
    let (home, others) = (Home::new(), tempfile::tempdir().expect("a directory"));
    // Nothing but a temporary directory serves.
    fs::remove_dir(home.runtime()).expect("removed");
    for elsewhere in [others.path(), Path::new("/nowhere")] {
        let mut command = home.command(&["-N", "another", "-r", "1MB/s"]);
        let weir = home.heard(harness::remote::spawn(command.env("TMPDIR", elsewhere)));
        home.tell("another", &["--rate", "2MB/s"]);
        assert_eq!(home.status(&weir)["cap"]["bytes_per_s"], 2e6);
    }
}

#[test]
fn where_no_other_directory_serves_the_one_that_tmpdir_names_does() {
    let home = Home::new();
    fs::remove_dir(home.runtime()).expect("removed");
    let start = |home: &Home| {
        let mut command = home.command(&[]);
        harness::remote::spawn(command.env("WEIR_TEST_TMP", "/nowhere"))
    };
    let weir = home.heard(start(&home));
    let mut query = home.command(&["--query", &weir.pid()]);
    let output = query.env("WEIR_TEST_TMP", "/nowhere").output();
    assert!(output.expect("it ran").status.success());
}

#[test]
fn a_directory_that_is_not_safe_is_not_used() {
    let elsewhere = tempfile::tempdir().expect("a directory");
    type Make = fn(&Path, &Path);
    let link: Make = |place, elsewhere| symlink(elsewhere, place).expect("linked");
    let open: Make = |place, _| {
        fs::create_dir(place).expect("made");
        fs::set_permissions(place, fs::Permissions::from_mode(0o710)).expect("set");
    };
    let file: Make = |place, _| fs::write(place, "").expect("written");
    for make in [link, open, file] {
        let home = Home::new();
        make(&home.sockets(), elsewhere.path());
        let mut weir = home.start(&[]);
        let path = home.refuge().join(format!("{}.sock", weir.pid()));
        assert_eq!(home.listing(), [path], "made where it is not safe");
        assert_well(&home, &mut weir);
        // Nowhere to go at all is no failure either.
        let home = Home::new();
        make(&home.sockets(), elsewhere.path());
        make(&home.refuge(), elsewhere.path());
        let mut weir = home.start_deaf(&[]);
        weir.give(b"well");
        assert_eq!(weir.take(4), b"well");
        weir.stdin = None;
        assert!(weir.end().success());
        assert_eq!(home.listing(), Vec::<PathBuf>::new());
    }
}

#[test]
fn dead_sockets_are_removed_and_living_ones_are_not() {
    let home = Home::new();
    let first = home.start(&[]);
    let mut dead = Command::new("true").spawn().expect("started");
    dead.wait().expect("ended");
    let path = home.sockets().join(format!("{}.sock", dead.id()));
    drop(UnixListener::bind(&path).expect("bound"));
    let second = home.start(&[]);
    eventually("the dead socket is gone", || !path.exists());
    assert_eq!(home.listing().len(), 2);
    // A killed weir leaves one; whoever looks next removes it.
    second.signal(Signal::KILL);
    drop(second);
    assert_eq!(home.listing().len(), 2);
    assert!(home.run(&["--query"]).status.success());
    assert_eq!(home.listing().len(), 1);
    drop(first);
}

#[test]
fn the_socket_is_gone_however_it_ends() {
    type End = fn(&mut Weir);
    let ends: [End; 5] = [
        |weir| weir.stdin = None,
        |weir| weir.stdout = None,
        |weir| weir.signal(Signal::INT),
        |weir| weir.signal(Signal::TERM),
        |weir| weir.signal(Signal::HUP),
    ];
    for end in ends {
        let home = Home::new();
        let mut weir = home.start(&[]);
        end(&mut weir);
        weir.end();
        assert_eq!(home.listing(), Vec::<PathBuf>::new());
    }
    let home = Home::new();
    // Which runs out only when more has come than anybody takes.
    let mut weir = home.start(&["--sink-timeout", "50ms"]);
    let mut input = weir.stdin.take().expect("its input");
    // It may end before it has got all of it.
    let _ = input.write_all(&vec![0; 4 << 20]);
    assert_eq!(weir.end().code(), Some(124));
    assert_eq!(home.listing(), Vec::<PathBuf>::new());
}

#[test]
fn fifty_clients_at_once_are_all_answered() {
    let home = Home::new();
    let mut weir = home.start(&[]);
    let here = Arc::new(Barrier::new(50));
    let clients: Vec<_> = (0..50)
        .map(|_| (home.connect(&weir), here.clone()))
        .map(|(mut line, here)| {
            thread::spawn(move || {
                here.wait();
                for _ in 0..20 {
                    assert!(line.ask(STATUS)["status"].is_object());
                }
            })
        })
        .collect();
    for client in clients {
        client.join().expect("answered");
    }
    assert_well(&home, &mut weir);
}

#[test]
fn ten_megabytes_of_garbage_are_cut_off() {
    let home = Home::new();
    let mut weir = home.start(&[]);
    for garbage in [
        b"x" as &[u8],
        b"\xff\n",
        b"{\"v\":1,",
        b"[[[[[[[[",
        b"\n\0\0\n",
    ] {
        let mut line = home.connect(&weir);
        let bytes = garbage.repeat(10_000_000 / garbage.len());
        line.socket.write_all(&bytes).expect_err("cut off");
        let answer = line.hear().expect("told why");
        assert!(answer["answer"]["malformed"].is_string(), "{answer}");
        assert_eq!(line.hear(), None);
    }
    assert_well(&home, &mut weir);
}

#[test]
fn a_silent_client_disturbs_nobody_and_has_to_leave() {
    let home = Home::new();
    let mut weir = home.start(&[]);
    let mut silent = home.connect(&weir);
    let mut slow = home.connect(&weir);
    slow.socket.write_all(b"{\"v\":1,\"as").expect("said");
    assert_well(&home, &mut weir);
    let mut nothing = Vec::new();
    silent.socket.read_to_end(&mut nothing).expect("cut off");
    assert!(nothing.is_empty());
    assert_eq!(slow.hear(), None);
}

#[test]
fn a_client_that_does_not_listen_is_cut_off() {
    let home = Home::new();
    let mut weir = home.start(&[]);
    let mut deaf = home.connect(&weir);
    let line = format!("{STATUS}\n");
    while deaf.socket.write_all(line.as_bytes()).is_ok() {}
    assert_well(&home, &mut weir);
}

#[test]
fn more_clients_than_there_is_room_for_push_out_the_silent_ones() {
    let home = Home::new();
    let mut weir = home.start(&[]);
    let crowd: Vec<_> = (0..300).map(|_| home.connect(&weir)).collect();
    assert_well(&home, &mut weir);
    drop(crowd);
    assert_well(&home, &mut weir);
}

#[test]
fn a_conversation_is_as_documented() {
    let home = Home::new();
    let weir = home.start(&["-N", "backup"]);
    let mut line = home.connect(&weir);
    assert_eq!(line.ask(r#"{"v":1,"ask":"name"}"#)["name"], "backup");
    assert_eq!(line.ask(STATUS)["status"]["name"], "backup");
    let change = r#"{"v":1,"ask":{"change":{"rate":["5MB/s"],"high":"75%","flow":"pause"}}}"#;
    assert_eq!(line.ask(change), "done");
    let status = line.ask(STATUS)["status"].take();
    assert_eq!(
        (&status["cap"]["bytes_per_s"], &status["state"]),
        (&5e6.into(), &"paused".into())
    );
    let refused = line.ask(r#"{"v":1,"ask":{"change":{"low":"90%"}}}"#);
    assert!(refused["refused"].is_string(), "{refused}");
    let malformed = line.ask(r#"{"v":2,"ask":"status"}"#);
    assert!(malformed["malformed"].is_string(), "{malformed}");
    assert_eq!(line.hear(), None);
}

/// Times that the threads of a process have gone to sleep.
#[cfg(target_os = "linux")]
fn sleeps(weir: &Weir) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{}/task", weir.pid())).expect("threads");
    let of = |task: PathBuf| {
        let status = fs::read_to_string(task.join("status")).expect("a status");
        let line = status.lines().find(|line| line.starts_with("voluntary"));
        let n = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        n.expect("a number")
    };
    tasks.map(|task| of(task.expect("a thread").path())).sum()
}

#[test]
#[cfg(target_os = "linux")]
fn an_idle_weir_that_listens_never_wakes() {
    let home = Home::new();
    let mut weir = home.start(&[]);
    assert_well(&home, &mut weir);
    let mut last = sleeps(&weir);
    // Nothing is waited for here: what must not happen is watched for.
    let mut watch = |time| {
        thread::sleep(time);
        let now = sleeps(&weir);
        std::mem::replace(&mut last, now) == now
    };
    eventually("it comes to rest", || watch(Duration::from_millis(200)));
    assert!(watch(Duration::from_secs(2)), "it woke up");
}

#[test]
fn a_umask_that_forbids_everything_does_not_lock_weir_out_of_its_own_directory() {
    let home = Home::new();
    for _ in 0..2 {
        let command = home.command(&[]);
        let mut shell = harness::weir_in_shell("umask 0777", &[], "");
        shell.envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))));
        let (stdin, input) = std::io::pipe().expect("make a pipe");
        let weir = harness::start(shell, stdin, std::process::Stdio::null());
        eventually("the weir listens", || home.listing().len() == 1);
        assert_eq!(mode(&home.sockets()), 0o700);
        drop(input);
        weir.end().assert_success("umask");
        // One that an older weir has left so serves, too.
        let closed = fs::Permissions::from_mode(0o000);
        fs::set_permissions(home.sockets(), closed).expect("set");
    }
}

/// The machine may be busy: that one of a few crowds is heard shows that nobody is sent away who is about to speak.
#[test]
fn all_of_a_crowd_that_comes_at_once_are_heard() {
    let home = Home::new();
    let weir = home.start(&[]);
    let all_are_heard = |_| {
        let mut crowd: Vec<_> = (0..200).map(|_| home.connect(&weir)).collect();
        // Time to let in more than can be there at once, and less than silence may last.
        thread::sleep(Duration::from_millis(100));
        let ask = format!("{STATUS}\n");
        let said = |line: &mut harness::remote::Line| line.socket.write_all(ask.as_bytes()).is_ok();
        crowd.iter_mut().all(said) && crowd.iter_mut().all(|line| line.hear().is_some())
    };
    assert!((0..5).any(all_are_heard), "some were sent away");
}
