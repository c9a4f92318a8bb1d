//! `--reopen`: files that were moved away to keep them are written anew under their old names, and no record is
//! lost, doubled or divided between two of them. Whoever has the answer may do with the old ones what he likes.

mod in_force;

use crate::harness;
use std::fs;
use std::path::Path;
use std::process::Output;

use crate::harness::eventually;
use crate::harness::remote::{Home, Weir};
use crate::harness::sides::make_fifo;

fn name(path: &Path) -> &str {
    path.to_str().expect("a name in UTF-8")
}

/// Passes these bytes.
fn pass(weir: &mut Weir, bytes: &[u8]) {
    weir.give(bytes);
    weir.take(bytes.len());
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Tells it that files were moved away; what is said of it.
fn reopen(home: &Home, target: &str) -> (Output, String) {
    let mut told = None;
    // A busy machine may let the time of whoever asks pass.
    eventually("it answers", || {
        let output = home.run(&["--remote", target, "--reopen"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let is_answer = !said.contains("does not answer");
        told = Some((output, said));
        is_answer
    });
    told.expect("it ran")
}

#[test]
fn a_copy_that_was_moved_away_ends_with_a_whole_line_and_goes_on_under_its_old_name() {
    let home = Home::new();
    let folder = tempfile::tempdir().expect("a folder");
    let (copy, old) = (folder.path().join("copy"), folder.path().join("copy.1"));
    let mut weir = home.start(&["-l", "-N", "w", "--tee", name(&copy)]);
    pass(&mut weir, b"one\nha");
    eventually("it is copied", || text(&copy) == "one\nha");
    fs::rename(&copy, &old).expect("moved");
    let (output, said) = reopen(&home, "w");
    let wanted = format!(
        "weir: --reopen: {}: not yet: it will be reopened behind the record in progress, which still goes to the old file\n",
        copy.display()
    );
    assert_eq!((output.status.code(), said), (Some(1), wanted));
    assert_eq!(text(&copy), "", "it is there at once");
    assert!(copy.exists());
    pass(&mut weir, b"lf\ntwo\n");
    eventually("it goes on", || text(&copy) == "two\n");
    assert_eq!(text(&old), "one\nhalf\n");
    // One that was not moved away is gone on with.
    home.tell("w", &["--reopen"]);
    pass(&mut weir, b"three\n");
    drop(weir.stdin.take());
    assert!(weir.end().success());
    assert_eq!(text(&copy), "two\nthree\n");
}

#[test]
fn the_log_and_what_is_shed_go_on_in_new_files_too() {
    let home = Home::new();
    let folder = tempfile::tempdir().expect("a folder");
    let (log, shed) = (folder.path().join("log"), folder.path().join("shed"));
    let args = [
        "-l",
        "-N",
        "w",
        "-b",
        "4KiB",
        "--shed",
        "oldest",
        "--display",
        "json",
        "-i",
        "20ms",
    ];
    let files = ["--log", name(&log), "--shed-to", name(&shed)];
    let mut weir = home.start(&[&args[..], &files].concat());
    let moved = |path: &Path| path.with_extension("1");
    let mut given = 0;
    let mut shed_some = |weir: &mut Weir| {
        let before = text(&shed);
        eventually("some is shed, and reported", || {
            let lines: String = (given..given + 100)
                .map(|n| format!("line {n}\n"))
                .collect();
            weir.give(lines.as_bytes());
            given += 100;
            text(&shed) != before && text(&log).contains("\"event\":\"status\"")
        });
    };
    shed_some(&mut weir);
    for path in [&log, &shed] {
        fs::rename(path, moved(path)).expect("moved");
    }
    home.tell("w", &["--reopen"]);
    shed_some(&mut weir);
    let kept = weir.stdout.take().expect("not taken yet");
    let kept = harness::collect(kept);
    drop(weir.stdin.take());
    assert!(weir.end().success());
    // Every line is in one place, whole.
    let kept = String::from_utf8(kept.done()).expect("text");
    let all = [kept, text(&moved(&shed)), text(&shed)].concat();
    let mut lines: Vec<&str> = all.split_inclusive('\n').collect();
    lines.sort_by_key(|line| {
        line["line ".len()..]
            .trim_end()
            .parse::<usize>()
            .expect("a number")
    });
    let wanted: String = (0..given).map(|n| format!("line {n}\n")).collect();
    assert_eq!(lines.concat(), wanted);
    for path in [log.clone(), moved(&log)] {
        for line in text(&path).lines() {
            serde_json::from_str::<serde_json::Value>(line).expect("a whole object");
        }
    }
}

#[test]
fn either_all_files_are_opened_anew_or_none() {
    let home = Home::new();
    let folder = tempfile::tempdir().expect("a folder");
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).expect("a folder");
    let (one, two) = (folder.path().join("one"), inner.join("two"));
    let mut weir = home.start(&["-l", "-N", "w", "--tee", name(&one), "--tee", name(&two)]);
    let old = folder.path().join("one.1");
    fs::rename(&one, &old).expect("moved");
    fs::rename(&inner, folder.path().join("elsewhere")).expect("moved");
    let output = home.run(&["--remote", "w", "--reopen"]);
    let said = String::from_utf8_lossy(&output.stderr);
    let wanted = format!(
        "weir: --reopen: open --tee: {}: No such file or directory",
        two.display()
    );
    assert!(
        !output.status.success() && said.starts_with(&wanted),
        "{said}"
    );
    assert!(!one.exists(), "what was made for it in vain goes again");
    pass(&mut weir, b"one\n");
    drop(weir.stdin.take());
    assert!(weir.end().success());
    assert_eq!(text(&old), "one\n");
    // Where there is none that is said.
    let plain = home.start(&["-N", "plain"]);
    let output = home.run(&["--remote", &plain.pid(), "--reopen"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.starts_with("weir: --reopen: it writes to no file"),
        "{said}"
    );
}

#[test]
fn what_cannot_be_gone_on_with_is_refused_at_once() {
    let home = Home::new();
    let folder = tempfile::tempdir().expect("a folder");
    let [a, b] = ["a", "b"].map(|it| folder.path().join(it));
    let mut weir = home.start(&["-l", "-N", "w", "--tee", name(&a), "--tap", name(&b)]);
    pass(&mut weir, b"one\n");
    let refused = |wanted: String| {
        let output = home.run(&["--remote", "w", "--reopen"]);
        let said = String::from_utf8_lossy(&output.stderr);
        let begins = said.starts_with(&format!("weir: --reopen: {wanted}"));
        assert!(!output.status.success() && begins, "{said}");
    };
    // It would be waited for, by the thread that answers.
    fs::remove_file(&a).expect("removed");
    make_fifo(&a);
    refused(format!("open --tee: {}: it is a FIFO now", a.display()));
    // What two write would be mixed.
    fs::remove_file(&a).expect("removed");
    fs::hard_link(&b, &a).expect("linked");
    refused(format!("{} and {} are one file", a.display(), b.display()));
    pass(&mut weir, b"two\n");
    drop(weir.stdin.take());
    assert!(weir.end().success());
    eventually("it went on", || text(&b) == "one\ntwo\n");
}

#[test]
fn an_output_that_has_failed_does_not_keep_the_others_from_new_files() {
    let home = Home::new();
    let folder = tempfile::tempdir().expect("a folder");
    let [full, copy, old] = ["full", "copy", "old"].map(|it| folder.path().join(it));
    // As large as a file may become there.
    let file = fs::File::create(&full).expect("a file");
    file.set_len(64 * 512).expect("room");
    let args = ["--append", "--tee", name(&full), "--tee", name(&copy)];
    let before = "trap '' XFSZ\nulimit -f 64";
    let mut weir = home.start_behind(before, &[&["-l", "-N", "w"][..], &args].concat());
    pass(&mut weir, b"one\n");
    eventually("it has failed", || {
        home.status(&weir)["outputs"][0]["failed"] == true
    });
    eventually("it is copied", || text(&copy) == "one\n");
    for path in [&full, &copy] {
        fs::rename(path, old.with_extension(path.file_name().expect("a name"))).expect("moved");
    }
    home.tell("w", &["--reopen"]);
    assert!(!full.exists(), "nobody writes to it");
    pass(&mut weir, b"two\n");
    eventually("it goes on", || text(&copy) == "two\n");
    drop(weir.stdin.take());
    assert_eq!(weir.end().code(), Some(1));
}
