//! Changes and queries that are refused, in one line, and then nothing has changed.

use super::{number, said};
use crate::harness::eventually;
use crate::harness::remote::{Home, Weir};

#[test]
fn who_is_draining_cannot_be_paused() {
    let home = Home::new();
    let mut weir = home.start(&["-r", "1B/s"]);
    weir.give(b"held for a long time");
    eventually("it is held", || {
        number(&home.status(&weir)["in"]["bytes"]) == 20
    });
    home.tell(&weir.pid(), &["--drain"]);
    let refused = home.run(&["--remote", &weir.pid(), "--pause"]);
    assert_eq!(refused.status.code(), Some(2));
    let said = said(&refused);
    assert!(said.contains("--pause: it reads no more"), "{said}");
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let home = Home::new();
    let weir = home.start(&["-N", "one", "-b", "1MiB"]);
    let twins = [home.start(&["-N", "twin"]), home.start(&["-N", "twin"])];
    let before = home.status(&weir)["buffer"].clone();
    let pids = twins.each_ref().map(Weir::pid);
    for (args, status, line) in [
        (
            &["--remote", "nobody", "--pause"][..],
            1,
            "no weir of yours has the PID or the name nobody",
        ),
        (
            &["--remote", "1", "--pause"],
            1,
            "no weir of yours has the PID or the name 1",
        ),
        (
            &["--query", "nobody"],
            1,
            "no weir of yours has the PID or the name nobody",
        ),
        (
            &["--remote", "twin", "--pause"],
            1,
            "2 weirs have the name twin; give the PID of one of them: ",
        ),
        (
            &["--remote", "one", "--high", "50%", "--buffer", "2MiB"],
            2,
            "--buffer cannot be changed while running",
        ),
        (
            &["--remote", "one", "--high", "50%", "--shed-to", "x"],
            2,
            "--shed-to cannot be changed while running",
        ),
        (
            &["--remote", "one", "--high", "50%", "file"],
            2,
            "FILE cannot be changed while running",
        ),
        (
            &["--remote", "one", "--high", "50%", "--low", "60%"],
            2,
            "--low 60% must be below --high 50%",
        ),
        (
            &["--remote", "one", "--high", "50%", "--patience", "5s"],
            2,
            "--patience: nothing would be shed",
        ),
        (
            &["--remote", "one", "--high", "50%", "-i", "0s"],
            2,
            "--interval 0s is no time at all",
        ),
        (
            &["--remote", "one", "--rate", "fast"],
            2,
            "invalid value 'fast'",
        ),
        (
            &["--remote", "one", "--pause", "--drain"],
            2,
            "the argument '--pause' cannot be used with '--drain'",
        ),
        (
            &["--remote", "one"],
            2,
            "--remote: there is nothing to change",
        ),
        (
            &["--pause"],
            2,
            "the following required arguments were not provided: --remote",
        ),
        (
            &["--query", "one", "--pause"],
            2,
            "the argument '--query [<TARGET>]' cannot be used with",
        ),
    ] {
        let output = home.run(args);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(status), "{args:?}: {said}");
        assert!(
            said.starts_with(&format!("weir: {line}")),
            "{args:?}: {said}"
        );
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(output.stdout.is_empty());
    }
    let ambiguous = said(&home.run(&["--remote", "twin", "--pause"]));
    assert!(
        pids.iter().all(|pid| ambiguous.contains(pid)),
        "{ambiguous}"
    );
    assert_eq!(home.status(&weir)["buffer"], before);
    for one in twins.iter().chain([&weir]) {
        assert_ne!(home.status(one)["state"], "paused");
    }
}
