//! The file by which the weirs of a host share a cap: damaged, cut short, not theirs, or on a full disk.

use std::fs::{self, File};
use std::io::{PipeReader, pipe};
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use rustix::process::Signal;

use super::{catch_up, member, silent, status, take};
use crate::harness::remote::Home;
use crate::harness::small_disk::SmallDisk;
use crate::harness::{self, eventually, start};

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
        let since = catch_up(&outputs);
        take(&outputs, 1_000_000, cap, since);
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
fn where_the_disk_is_full_the_file_is_named_and_another_time_it_is_made() {
    let home = Home::new();
    let Some(_small) = SmallDisk::mount(home.sockets(), "64k") else {
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
