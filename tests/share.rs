//! One cap for several weirs, by the real binary: on one host, and through a real `redis-server`.
//!
//! A test can only be late, and what it is late for has passed earlier: so it takes the time before
//! a window begins and after something has arrived, and no slowness of the machine can make what
//! arrived too much.

mod harness;

use std::fs::{self, File};
use std::io::{PipeReader, Read, pipe};
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use harness::line::Line;
use harness::remote::Home;
use harness::{eventually, start};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;

/// A weir whose producer never ends; it shares its cap.
fn member(home: &Home, args: &[&str]) -> (harness::Running, PipeReader) {
    let (consumer, stdout) = pipe().expect("make a pipe");
    let zero = File::open("/dev/zero").expect("zeros");
    (start(home.command(args), zero, stdout), consumer)
}

/// Takes so much from all of them together; never is there more than the cap allows since `since`,
/// with a step for each that there is or was.
#[track_caller]
fn take(outputs: &[&PipeReader], much: usize, cap: f64, since: Instant) {
    let mut buffer = vec![0; 65_536];
    let (mut got, until) = (0, Instant::now() + harness::DEADLINE);
    while got < much {
        assert!(Instant::now() < until, "only {got} of {much} came");
        for output in outputs {
            let mut output: &PipeReader = output;
            let now = Timespec::default();
            if poll(&mut [PollFd::new(output, PollFlags::IN)], Some(&now)) == Ok(1) {
                got += output.read(&mut buffer).expect("read");
            }
        }
        let most = cap * since.elapsed().as_secs_f64() + 0.005 * cap * 5.0;
        assert!(got as f64 <= most, "{got} > {most}");
    }
}

/// Takes what is there already.
fn catch_up(outputs: &[&PipeReader]) {
    for output in outputs {
        let mut output: &PipeReader = output;
        let now = Timespec::default();
        while poll(&mut [PollFd::new(output, PollFlags::IN)], Some(&now)) == Ok(1) {
            assert!(output.read(&mut [0; 65_536]).expect("read") > 0);
        }
    }
}

/// What `--query` says of a process.
fn status(home: &Home, pid: &str) -> serde_json::Value {
    let output = home.run(&["--query", pid]);
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

/// Options of one of those that share 4 MB/s, who says nothing but errors and warnings.
fn silent(share: &str) -> [&str; 8] {
    [
        "--share",
        share,
        "-r",
        "4MB/s",
        "--display",
        "off",
        "--summary",
        "off",
    ]
}

#[test]
fn weirs_that_share_a_name_pass_no_more_than_one_cap_whoever_is_stopped_or_killed() {
    let home = Home::new();
    let cap = 4_000_000.0;
    let begin = Instant::now();
    let args = ["--share", "it", "-r", "4MB/s", "-q"];
    let members: Vec<_> = (0..4).map(|_| member(&home, &args)).collect();
    let outputs: Vec<&PipeReader> = members.iter().map(|(_, output)| output).collect();
    take(&outputs, 1_500_000, cap, begin);
    members[0].0.signal(Signal::STOP);
    members[1].0.signal(Signal::KILL);
    let left = &outputs[2..];
    catch_up(left);
    // It is the sum that is capped, and the others have all of it.
    take(left, 1_500_000, cap, Instant::now());
    eventually("the one that was killed is not counted", || {
        status(&home, &members[2].0.pid().to_string())["share"]["members"] == 3
    });
    members[0].0.signal(Signal::CONT);
    let three = [outputs[0], outputs[2], outputs[3]];
    catch_up(&three);
    take(&three, 1_500_000, cap, Instant::now());
}

#[test]
fn records_are_shared_and_bytes_beside_them() {
    let home = Home::new();
    let yes = || {
        let (consumer, stdout) = pipe().expect("make a pipe");
        let (lines, producer) = pipe().expect("make a pipe");
        let args = ["-l", "--share", "it", "-r", "2000/s", "-r", "1MB/s", "-q"];
        harness::feed(producer, b"four\n".repeat(100_000));
        (start(home.command(&args), lines, stdout), consumer)
    };
    let begin = Instant::now();
    let members = [yes(), yes(), yes()];
    let outputs: Vec<&PipeReader> = members.iter().map(|(_, output)| output).collect();
    // Five bytes each: the records' cap is the tighter one.
    take(&outputs, 5_000, 10_000.0, begin);
    let names: Vec<_> = fs::read_dir(home.sockets())
        .expect("a directory")
        .flatten()
        .collect();
    let shares = names
        .iter()
        .filter(|entry| entry.path().extension().is_some_and(|e| e == "share"));
    assert_eq!(shares.count(), 2);
}

#[test]
fn the_newest_rules_are_for_all_and_a_change_of_one_too() {
    let home = Home::new();
    let rate = |pid: &str| {
        status(&home, pid)["cap"]["bytes_per_s"]
            .as_f64()
            .unwrap_or(0.0)
    };
    let first = home.start(&["--share", "it", "-r", "1MB/s", "-N", "first"]);
    assert_eq!(rate(&first.pid()), 1e6);
    let second = home.start(&["--share", "it", "-r", "2MB/s", "-N", "second"]);
    for pid in [first.pid(), second.pid()] {
        eventually("the second's rate", || rate(&pid) == 2e6);
    }
    // What was said once and is no longer so can be said again.
    home.tell("first", &["--rate", "1MB/s"]);
    assert_eq!(rate(&first.pid()), 1e6);
    assert_eq!(rate(&second.pid()), 1e6);
    home.tell("second", &["--burst", "1MiB"]);
    assert_eq!(rate(&first.pid()), 1e6, "a burst changes no rate");
    let share = &status(&home, &first.pid())["share"];
    assert_eq!(
        share,
        &serde_json::json!({"name": "it", "members": 2, "cut_off": false})
    );
}

#[test]
fn what_cannot_be_shared_is_refused_in_one_line() {
    for (args, says) in [
        (
            "--share it",
            "--share it: there is no cap to share; add one",
        ),
        ("--share it -r off", "--share it: there is no cap to share"),
        (
            "--share it -r 1MB/s..2MB/s",
            "--rate 1MB/s..2MB/s cannot be shared",
        ),
        (
            "--share it -r 08:00,1MB/s",
            "cannot be shared: each weir has its own clock",
        ),
        ("--share ../it -r 1MB/s", "not a name of letters"),
        (
            "--share redis://u:p@h/it -r 1MB/s",
            "a password on the command line",
        ),
        (
            "--share http://h/it -r 1MB/s",
            "not a store: try redis://HOST/NAME",
        ),
    ] {
        let args: Vec<&str> = args.split(' ').collect();
        let mut line = Line::new(&args);
        line.ends_untouched();
        line.finish(0).assert_complains(2, &[says]);
    }
    let home = Home::new();
    let weir = home.start(&["-l", "--share", "it", "-r", "1MB/s", "-N", "it"]);
    for (change, says) in [
        (
            &["--rate", "1MB/s..2MB/s"][..],
            "cannot be shared: it follows the buffer of one",
        ),
        (
            &["--rate", "08:00,1MB/s"],
            "cannot be shared: each weir has its own clock",
        ),
        (
            &["--rate", "off"],
            "--rate off: the cap is shared, and cannot be lifted for one",
        ),
        (
            &["--rate", "100/s"],
            "--rate in records: it would not be shared",
        ),
        (
            &["--rate", "100/s", "--rate", "off"],
            "--rate off: the cap is shared",
        ),
    ] {
        let output = home.run(&[&["--remote", "it"], change].concat());
        assert_eq!(output.status.code(), Some(2), "{change:?}");
        let line = String::from_utf8_lossy(&output.stderr);
        assert!(
            line.contains(says) && line.lines().count() == 1,
            "{change:?}: {line}"
        );
    }
    assert_eq!(
        home.status(&weir)["cap"]["bytes_per_s"],
        1e6,
        "nothing has changed"
    );
}

#[test]
fn a_file_that_somebody_cuts_short_costs_no_member_its_life_and_the_cap_stays_one() {
    let home = Home::new();
    let cap = 4_000_000.0;
    let members: Vec<_> = (0..3).map(|_| member(&home, &silent("it"))).collect();
    let outputs: Vec<&PipeReader> = members.iter().map(|(_, output)| output).collect();
    let file = home.sockets().join("it.bytes.share");
    eventually("all are there", || {
        catch_up(&outputs);
        status(&home, &members[0].0.pid().to_string())["share"]["members"] == 3
    });
    for left in [0, 100, 4096] {
        let open = fs::OpenOptions::new()
            .write(true)
            .open(&file)
            .expect("there");
        open.set_len(left).expect("cut short");
        catch_up(&outputs);
        take(&outputs, 1_000_000, cap, Instant::now());
        eventually("they have met again", || {
            catch_up(&outputs);
            let all = |(weir, _): &(harness::Running, PipeReader)| {
                status(&home, &weir.pid().to_string())["share"]["members"] == 3
            };
            members.iter().all(all) && fs::metadata(&file).is_ok_and(|data| data.len() == 65_536)
        });
    }
    // One that takes nothing meanwhile is met again, too, and told of.
    let open = fs::OpenOptions::new()
        .write(true)
        .open(&file)
        .expect("there");
    open.set_len(0).expect("cut short");
    for (running, output) in members {
        status(&home, &running.pid().to_string());
        running.signal(Signal::INT);
        drop(output);
        let ended = running.end();
        let lines: Vec<_> = ended.stderr.lines().collect();
        assert!((2..=4).contains(&lines.len()), "{ended:?}");
        let says =
            |line: &&str| line.contains("it.bytes.share: cut short or overwritten by somebody");
        assert!(lines.iter().all(says), "{ended:?}");
    }
}

#[test]
fn what_is_damaged_is_replaced_and_what_is_not_ours_is_refused() {
    let home = Home::new();
    fs::create_dir(home.sockets()).expect("made");
    fs::set_permissions(home.sockets(), fs::Permissions::from_mode(0o700)).expect("set");
    let file = home.sockets().join("it.bytes.share");
    fs::write(&file, "nonsense").expect("written");
    let begin = Instant::now();
    let (_weir, output) = member(&home, &["--share", "it", "-r", "1MB/s", "-q"]);
    take(&[&output], 100_000, 1e6, begin);

    let refuse = |says: &str| {
        let (running, _output) = member(&home, &["--share", "other", "-r", "1MB/s"]);
        running.end().assert_complains(1, &["share: other: ", says]);
    };
    let file = home.sockets().join("other.bytes.share");
    std::os::unix::fs::symlink(home.temporary(), &file).expect("linked");
    refuse("not a file of this user's");
    fs::remove_file(&file).expect("removed");
}

#[test]
fn a_umask_that_forbids_everything_does_not_lock_members_out_of_their_file() {
    let home = Home::new();
    let share = ["--share", "it", "-r", "1MB/s", "-q"];
    let mode = || {
        let file = fs::metadata(home.sockets().join("it.bytes.share")).expect("it is there");
        file.permissions().mode() & 0o777
    };
    for _ in 0..2 {
        let command = home.command(&[]);
        let mut shell = harness::weir_in_shell("umask 0777", &share, "");
        shell.envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))));
        let (stdin, input) = pipe().expect("make a pipe");
        drop(input);
        let weir = start(shell, stdin, std::process::Stdio::null());
        weir.end().assert_success("umask");
        assert_eq!(mode(), 0o600);
    }
    // One that an older weir has left so serves, too; root needs no mode to open it.
    let file = home.sockets().join("it.bytes.share");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).expect("set");
    let weir = start(
        home.command(&share),
        File::open("/dev/null").expect("it"),
        std::process::Stdio::null(),
    );
    weir.end().assert_success("closed");
}

#[test]
fn a_file_without_end_is_no_password() {
    let home = Home::new();
    let mut command = home.command(&["--share", "redis://127.0.0.1:1/it", "-r", "1MB/s"]);
    command.env("WEIR_SHARE_PASSWORD_FILE", "/dev/zero");
    let weir = start(
        command,
        File::open("/dev/null").expect("it"),
        std::process::Stdio::null(),
    );
    let says = "$WEIR_SHARE_PASSWORD_FILE: /dev/zero: too long for a password";
    weir.end().assert_complains(1, &[says]);
}

/// A file system of this size in place of a directory, which only root can have.
struct Small(std::path::PathBuf);

impl Small {
    fn mount(at: std::path::PathBuf, size: &str) -> Option<Small> {
        let mut mount = std::process::Command::new("mount");
        mount.args([
            "-t",
            "tmpfs",
            "-o",
            &format!("size={size},mode=0700"),
            "weir-test",
        ]);
        let done = mount.arg(&at).stderr(std::process::Stdio::null()).status();
        done.is_ok_and(|done| done.success()).then_some(Small(at))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let mut umount = std::process::Command::new("umount");
        let _ = umount.arg("-l").arg(&self.0).status();
    }
}

#[test]
fn where_the_disk_is_full_the_file_is_named_and_another_time_it_is_made() {
    let home = Home::new();
    fs::create_dir(home.sockets()).expect("made");
    let Some(_small) = Small::mount(home.sockets(), "64k") else {
        harness::skip("no file system may be mounted here, so no disk is full");
        return;
    };
    let others = home.sockets().join("others");
    assert!(
        fs::write(&others, vec![1; 128 << 10]).is_err(),
        "it is full"
    );
    let (running, _output) = member(&home, &["--share", "it", "-r", "1MB/s"]);
    let file = home.sockets().join("it.bytes.share");
    let says = format!("share: it: {}: No space left on device", file.display());
    running.end().assert_complains(1, &[&says]);
    assert!(!file.exists());
    fs::remove_file(&others).expect("removed");
    let begin = Instant::now();
    let (_weir, output) = member(&home, &["--share", "it", "-r", "1MB/s", "-q"]);
    take(&[&output], 100_000, 1e6, begin);
}

#[test]
fn weirs_without_a_session_share_whatever_their_temporary_directories_are() {
    let (home, other) = (Home::new(), Home::new());
    fs::remove_dir(home.runtime()).expect("no session");
    let weirs = [&home, &other].map(|its| {
        let mut command = home.command(&["--share", "it", "-r", "1MB/s", "-q"]);
        let weir = harness::remote::spawn(command.env("TMPDIR", its.temporary()));
        home.heard(weir)
    });
    for weir in &weirs {
        assert_eq!(home.status(weir)["share"]["members"], 2);
    }
}

#[cfg(feature = "redis")]
mod through_a_store {
    use std::net::{TcpListener, TcpStream};
    use std::process::{Child, Stdio};

    use super::*;

    /// A `redis-server` of the test's own.
    struct Server(Child, u16);

    impl Server {
        fn start() -> Server {
            let free = TcpListener::bind("127.0.0.1:0").expect("a port");
            let port = free.local_addr().expect("an address").port();
            drop(free);
            let mut command = harness::program("redis-server");
            command.args([
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--port",
                &port.to_string(),
            ]);
            let child = command.stdout(Stdio::null()).spawn().expect("started");
            eventually("the server listens", || {
                TcpStream::connect(("127.0.0.1", port)).is_ok()
            });
            Server(child, port)
        }
    }

    impl Drop for Server {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn weirs_share_through_a_store_and_go_on_with_a_part_when_it_dies() {
        let server = Server::start();
        let share = format!("redis://127.0.0.1:{}/it", server.1);
        let home = Home::new();
        let args = silent(&share);
        let members = [member(&home, &args), member(&home, &args)];
        let outputs = [&members[0].1, &members[1].1];
        let is = |key: &str, wanted: serde_json::Value| {
            eventually(key, || {
                catch_up(&outputs);
                members
                    .iter()
                    .all(|m| status(&home, &m.0.pid().to_string())["share"][key] == wanted)
            });
        };
        is("members", 2.into());
        // Until each has learnt of the other there may be more.
        catch_up(&outputs);
        take(&outputs, 1_000_000, 4e6, Instant::now());
        drop(server);
        is("cut_off", true.into());
        catch_up(&outputs);
        take(&outputs, 1_000_000, 4e6, Instant::now());
        catch_up(&outputs);
        take(&outputs[..1], 500_000, 2e6, Instant::now());
        for (running, output) in members {
            running.signal(Signal::INT);
            drop(output);
            let ended = running.end();
            assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
            assert!(
                ended.stderr.contains("passing half of the cap"),
                "{ended:?}"
            );
        }
    }

    #[test]
    fn an_empty_password_is_none() {
        let server = Server::start();
        let share = format!("redis://127.0.0.1:{}/it", server.1);
        let mut command = Home::new().command(&["--share", &share, "-r", "1MB/s", "-q"]);
        command.env("WEIR_SHARE_PASSWORD", "");
        let nothing = || File::open("/dev/null").expect("nothing");
        let running = start(command, nothing(), Stdio::null());
        running.end().assert_success("no password is wanted");
        let share = format!("redis://nobody@127.0.0.1:{}/it", server.1);
        let mut command = Home::new().command(&["--share", &share, "-r", "1MB/s", "-q"]);
        command.env("WEIR_SHARE_PASSWORD", "");
        let running = start(command, nothing(), Stdio::null());
        let ended = running.end();
        ended.assert_complains(
            1,
            &["user nobody: it wants a password", "$WEIR_SHARE_PASSWORD"],
        );
    }

    #[test]
    fn one_that_starts_without_its_store_is_refused() {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let share = format!("redis://127.0.0.1:{port}/it");
        let mut line = Line::new(&["--share", &share, "-r", "1MB/s"]);
        line.ends_untouched();
        line.finish(0)
            .assert_complains(1, &["share: redis://127.0.0.1:", "Connection refused"]);
    }
}
