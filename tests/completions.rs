//! The completion scripts in the shells that they are for: loaded, and asked.

mod harness;

use std::path::Path;
use std::process::Command;

use harness::remote::Home;

/// What a shell prints that has `weir` in its path, if it is installed.
fn asked(home: &Home, shell: &str, args: &[&str]) -> Option<String> {
    let bin = Path::new(harness::WEIR).parent().expect("a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new(shell)
        .args(args)
        .env("PATH", format!("{}:{path}", bin.display()))
        .env("XDG_RUNTIME_DIR", home.runtime())
        .env("TMPDIR", home.temporary())
        .env("HOME", home.temporary())
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/completions"))
        .output()
        .ok()?;
    assert!(output.status.success(), "{output:?}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What bash would offer for the last of these words.
fn bash(home: &Home, words: &str) -> Vec<String> {
    let script = format!(
        "source ./weir.bash; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
         _weir weir \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"; \
         printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    let all = asked(home, "bash", &["--norc", "-c", &script]).expect("bash");
    all.lines().map(ToOwned::to_owned).collect()
}

#[test]
fn bash_offers_files_running_weirs_and_values() {
    let home = Home::new();
    let _weir = home.start(&["-N", "nightly"]);
    let nameless = home.start(&[]);
    let pid = nameless.pid();
    for (words, offers, not) in [
        ("weir ''", "weir.bash", "--rate"),
        ("weir weir.f", "weir.fish", "weir.bash"),
        ("weir --ra", "--rate", "weir.bash"),
        ("weir --remote ''", "nightly", "weir.bash"),
        ("weir --remote ''", pid.as_str(), "weir.bash"),
        ("weir --query ni", "nightly", pid.as_str()),
        ("weir --shed ''", "oldest", "weir.bash"),
        ("weir --display pl", "plain", "json"),
    ] {
        let all = bash(&home, words);
        assert!(all.iter().any(|offer| offer == offers), "{words}: {all:?}");
        assert!(!all.iter().any(|offer| offer == not), "{words}: {all:?}");
    }
}

#[test]
fn fish_offers_files_running_weirs_and_values() {
    let home = Home::new();
    let _weir = home.start(&["-N", "nightly"]);
    for (line, offers) in [
        ("weir weir.", "weir.bash"),
        ("weir --remote ", "nightly"),
        ("weir --query ni", "nightly"),
        ("weir --shed ", "oldest"),
    ] {
        let script = format!("source ./weir.fish; complete -C '{line}'");
        let Some(all) = asked(&home, "fish", &["--no-config", "-c", &script]) else {
            return;
        };
        let offered = |offer: &str| offer.split('\t').next() == Some(offers);
        assert!(all.lines().any(offered), "{line}: {all}");
    }
}

#[test]
fn zsh_understands_its_script_and_finds_running_weirs() {
    let home = Home::new();
    let _weir = home.start(&["-N", "nightly"]);
    // What it would offer goes through its own completion system; here it is only shown.
    let script = "compadd() { print -l $all }; autoload -U is-at-least; compdef() { : }; \
                  _arguments() { : }; source ./_weir 2>/dev/null; _weir_running";
    let Some(all) = asked(&home, "zsh", &["-f", "-c", script]) else {
        return;
    };
    assert!(all.lines().any(|offer| offer == "nightly"), "{all}");
    asked(&home, "zsh", &["-n", "./_weir"]);
}
