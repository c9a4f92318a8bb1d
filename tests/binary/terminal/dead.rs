//! What a weir that was killed has left on the terminal, and who takes it away.

use rustix::process::{Pid, Signal, kill_process};

use super::{assert_clean, bars, home};
use crate::harness::pty::Pty;

/// Runs this script until there are these bars, and kills the one whose number is in the file `pid`.
fn killed(script: &str, names: &[&str]) -> Vec<String> {
    let home = home();
    let path = home.path().to_str().expect("a path");
    let pty = Pty::run(script, 12, 100, &[("XDG_RUNTIME_DIR", path)]);
    pty.wait("bars", |rows| bars(rows, names).is_some());
    let pid = std::fs::read_to_string(home.path().join("pid")).expect("its number");
    let pid = Pid::from_raw(pid.trim().parse().expect("a number")).expect("a process");
    kill_process(pid, Signal::KILL).expect("it runs");
    pty.wait_for(&["after"])
}

#[test]
fn the_last_picture_that_one_draws_is_without_whom_its_own_end_comes_from() {
    for _ in 0..3 {
        let rows = killed(
            r#"
            yes | "$WEIR" -N a --summary off -i 20ms |
                sh -c 'echo $$ >"$XDG_RUNTIME_DIR/pid"; exec "$WEIR" -N b -r 1MB/s -i 20ms' >/dev/null
            echo after"#,
            &["a", "b"],
        );
        assert_clean(&rows);
    }
}

#[test]
fn words_without_a_bar_bring_back_none_of_one_that_is_dead() {
    let rows = killed(
        r#"
        yes | sh -c 'echo $$ >"$XDG_RUNTIME_DIR/pid"; exec "$WEIR" -N dead -r 1MB/s -i 20ms' >/dev/null
        printf '\033[H\033[2J'; echo data | "$WEIR" -N alive; echo after"#,
        &["dead"],
    );
    assert_clean(&rows);
    assert_eq!(rows[0], "data", "{rows:#?}");
    assert!(rows[1].starts_with("weir alive: 5B in"), "{rows:#?}");
}
