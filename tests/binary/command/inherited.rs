//! What COMMAND inherits: descriptors, the environment and dispositions of signals, and nothing that is weir's own.

use std::fs;
use std::io::pipe;
use std::process::Stdio;

use super::{number, run, weir_sh};
use crate::harness::dir::Dir;
use crate::harness::sides::Before;
use crate::harness::{collect, eventually, start, weir_in_shell};

/// The open descriptors of `sh` that weir has started, and of one that nothing has.
fn descriptors(redirections: &str) -> [String; 2] {
    let script = "cd /proc/$$/fd && echo *";
    let words = ["--", "sh", "-c", script];
    let with = weir_in_shell("", &words, redirections);
    let mut without = std::process::Command::new("sh");
    without.args(["-c", &format!("exec \"$0\" \"$@\" {redirections}"), "sh"]);
    without.args(&words[2..]);
    [with, without].map(|command| {
        let (end, got) = run(command, b"");
        assert!(end.status.success(), "{end:?}");
        String::from_utf8(got).expect("numbers")
    })
}

#[test]
fn command_has_no_descriptor_of_weir_s_and_all_of_its_own() {
    for redirections in ["", "5</dev/null", "2>&-", "6>&1 2>&-"] {
        let [with, without] = descriptors(redirections);
        assert_eq!(with, without, "{redirections}");
    }
}

#[test]
fn no_program_gets_what_weir_is_controlled_by() {
    let home = tempfile::tempdir().expect("a directory");
    // The second one is started when weir can be asked.
    let script = "cd /proc/$$/fd && echo *; until test -e $XDG_RUNTIME_DIR/weir/$PPID.sock; do sleep 0.01; done";
    let words = ["-l", "--batch", "1", "--", "sh", "-c", script];
    let mut command = weir_in_shell("", &words, "");
    command.env("XDG_RUNTIME_DIR", home.path());
    let (end, got) = run(command, b"a\nb\n");
    assert!(end.status.success(), "{end:?}");
    let [_, without] = descriptors("");
    let got = String::from_utf8(got).expect("numbers");
    assert_eq!(got, without.repeat(2));
}

#[test]
fn the_password_of_a_share_is_not_passed_on() {
    let told = Dir::new();
    let (out, hook) = (told.at("out"), told.at("hook"));
    let on = format!("done=env >>{hook}; echo over >>{hook}");
    for options in [&[][..], &["-l", "--batch", "1"], &["-l", "-j", "2"]] {
        let mut weir = weir_sh(&[options, &["--on", &on]].concat(), "env >>\"$OUT\"; cat");
        weir.env("WEIR_SHARE_PASSWORD", "secret")
            .env("WEIR_SHARE_PASSWORD_FILE", "known")
            .env("OUT", &out);
        run(weir, b"line\n").0.assert_success("env");
    }
    // One that runs while the run goes on: it is not over before that has been told.
    let on = format!("restart=env >>{hook}; echo again >>{hook}");
    let script = "env >>\"$OUT\"; mkdir \"$OUT.tried\" 2>/dev/null && exit 3; until grep -q ^again \"$HOOK\"; do sleep 0.01; done; cat";
    let options = ["--restart", "on-failure", "--backoff", "1ms..2ms"];
    let mut weir = weir_sh(&[&options, &["--on", &on][..]].concat(), script);
    weir.env("WEIR_SHARE_PASSWORD", "secret")
        .env("OUT", &out)
        .env("HOOK", &hook);
    let (end, _) = run(weir, b"line\n");
    assert!(end.status.success(), "{end:?}");
    eventually("the hooks have run", || {
        told.lines("hook")
            .iter()
            .filter(|line| *line == "over")
            .count()
            == 3
    });
    for name in ["out", "hook"] {
        let lines = told.lines(name);
        let has = |line: &str| lines.iter().any(|it| it == line);
        assert!(has("WEIR_SHARE_PASSWORD_FILE=known"), "{lines:?}");
        assert!(!has("WEIR_SHARE_PASSWORD=secret"), "{lines:?}");
    }
}

#[test]
fn a_closed_standard_output_is_closed_for_command_too() {
    let script = "test -e /proc/$$/fd/1 && exit 9; cat >&2";
    let mut command = weir_in_shell("", &["--", "sh", "-c", script], ">&-");
    command.env("LC_ALL", "C");
    let end = start(command, Before::Pipe.open(b"text"), Stdio::null()).end();
    assert_eq!((end.status.code(), &*end.stderr), (Some(0), "text"));
}

#[test]
fn signals_are_to_command_what_they_are_to_weir() {
    let field = |pid: &str, name: &str| {
        let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("a status");
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.expect(name).trim().to_owned()
    };
    for (before, ignored) in [("", 0), ("trap '' PIPE INT", 1 << 12 | 1 << 1)] {
        let (output, stdout) = pipe().expect("a pipe");
        let (stdin, input) = pipe().expect("a pipe");
        let command = weir_in_shell(before, &["--", "sh", "-c", "echo $$; exec cat"], "");
        let weir = start(command, stdin, stdout);
        let mut output = output;
        let pid = number(&mut output);
        eventually("it is cat", || {
            let name = fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_nonzero()));
            name.is_ok_and(|name| name == "cat\n")
        });
        let pid = pid.as_raw_nonzero().to_string();
        assert_eq!(field(&pid, "SigBlk:"), "0000000000000000");
        let got = u64::from_str_radix(&field(&pid, "SigIgn:"), 16).expect("a set");
        // The C library keeps two of the others for itself.
        assert_eq!(got & 0x7fff_ffff, ignored, "{before}");
        drop(input);
        assert_eq!(collect(output).done(), b"");
        weir.end().assert_success(before);
    }
}
