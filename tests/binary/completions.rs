//! The completion scripts in the shells that they are for: loaded, and asked.

use crate::harness;
use crate::harness::pty;
use std::path::Path;
use std::process::Command;

use crate::harness::remote::Home;

/// What a shell prints that has `weir` in its path, if it is there.
fn asked(home: &Home, shell: &str, args: &[&str]) -> Option<String> {
    if !harness::has(shell) {
        return None;
    }
    let bin = Path::new(harness::WEIR).parent().expect("a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new(shell)
        .args(args)
        .env("PATH", format!("{}:{path}", bin.display()))
        .envs(home.variables())
        .env("HOME", home.temporary())
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/completions"))
        .output()
        .expect("it ran");
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
        ("weir --rate ''", "off", "weir.bash"),
        ("weir -r ''", "off", "weir.bash"),
    ] {
        let all = bash(&home, words);
        assert!(all.iter().any(|offer| offer == offers), "{words}: {all:?}");
        assert!(!all.iter().any(|offer| offer == not), "{words}: {all:?}");
    }
}

#[test]
fn a_file_whose_name_is_a_pattern_is_offered_in_bash_as_it_is_called() {
    let home = Home::new();
    let place = home.temporary();
    for name in ["x[ab]", "xa", "x*y", "xzy"] {
        std::fs::write(place.join(name), "").expect("written");
    }
    let begun = place.join("x").display().to_string();
    let mut offers = bash(&home, &format!("weir {begun}"));
    offers.sort();
    let wanted = ["x*y", "x[ab]", "xa", "xzy"].map(|name| place.join(name).display().to_string());
    assert_eq!(offers, wanted);
}

#[test]
fn what_a_weir_or_a_file_is_called_is_offered_in_bash_as_one_word_and_never_run() {
    let home = Home::new();
    let names = ["n$(touch PWNED)", "n`touch PWNED`", "a  b", "we$ird;n"];
    let _weirs = names.map(|name| home.start(&["-N", name]));
    let file = home.temporary().join("two words");
    std::fs::write(&file, "").expect("written");
    let offers = bash(&home, "weir --remote ''");
    for quoted in [
        r"n\$\(touch\ PWNED\)",
        r"n\`touch\ PWNED\`",
        r"a\ \ b",
        r"we\$ird\;n",
    ] {
        let count = offers.iter().filter(|offer| *offer == quoted).count();
        assert_eq!(count, 1, "{quoted}: {offers:?}");
    }
    assert_eq!(offers.len(), names.len(), "{offers:?}");
    let typed = r"weir --remote 'we\$i'";
    assert_eq!(bash(&home, typed), [r"we\$ird\;n"]);
    let folder = home.temporary().display().to_string();
    let words = [
        format!("weir {folder}/tw"),
        format!("weir --log {folder}/tw"),
        format!("weir -- cat {folder}/tw"),
    ];
    for words in words {
        assert_eq!(bash(&home, &words), [format!("{folder}/two words")]);
    }
    let pwned = concat!(env!("CARGO_MANIFEST_DIR"), "/completions/PWNED");
    assert!(!Path::new(pwned).exists(), "it was run");
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

/// Words that are typed behind `weir` up to a TAB, and what stands there then, whichever shell it is.
const TABBED: &[(&str, &str)] = &[
    ("onl", "only-file"),
    ("--remote nig", "--remote nightly"),
    ("--query nig", "--query nightly"),
    ("--look nig", "--look nightly"),
    ("--shed old", "--shed oldest"),
    ("--display pl", "--display plain"),
    ("--summary js", "--summary json"),
    ("--restart alw", "--restart always"),
    ("--generate fi", "--generate fish"),
    ("--pipe-size ke", "--pipe-size keep"),
    ("--sync alw", "--sync always"),
    ("--log onl", "--log only-file"),
    ("--source-time", "--source-timeout"),
];

/// Loads the script into a shell as a user has it, in a terminal, and presses TAB.
#[track_caller]
fn is_completed(shell: &str, start: &str, load: &str) {
    if !harness::has(shell) {
        return;
    }
    let home = Home::new();
    let _weir = home.start(&["-N", "nightly"]);
    let here = home.temporary().join("here");
    std::fs::create_dir(&here).expect("made");
    std::fs::write(here.join("only-file"), "").expect("written");
    let bin = Path::new(harness::WEIR).parent().expect("a folder");
    let path = format!(
        "{}:{}",
        bin.display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let [runtime, temporary, here] = [home.runtime(), home.temporary(), here]
        .map(|path| path.to_str().expect("a name").to_owned());
    let environment = [
        ("PATH", path.as_str()),
        ("XDG_RUNTIME_DIR", &runtime),
        ("TMPDIR", &temporary),
        ("WEIR_TEST_TMP", &temporary),
        ("HOME", &temporary),
        (
            "SCRIPTS",
            concat!(env!("CARGO_MANIFEST_DIR"), "/completions"),
        ),
    ];
    let mut pty = pty::Pty::run(
        &format!("cd '{here}' && exec {start}"),
        24,
        100,
        &environment,
    );
    pty.type_in(&format!("{load}\n"));
    pty.type_in("echo load''ed\n");
    pty.wait_for(&["loaded"]);
    for (nth, (typed, stands)) in TABBED.iter().enumerate() {
        // What is typed behind it tells a completion from a proposal; as a comment it is never run.
        pty.type_in(&format!("true weir; weir {typed}\tX{nth}Y"));
        // zsh may put an equals sign between an option and its value.
        pty.wait_for(&[&format!("weir {stands}"), &format!("X{nth}Y")]);
        // Ctrl-U and a clear screen.
        pty.type_in("\x15clear\n");
        pty.wait("a clear screen", |rows| {
            !rows.concat().contains(&format!("X{nth}Y"))
        });
    }
}

#[test]
fn bash_completes_at_a_tab() {
    is_completed(
        "bash",
        "bash --norc --noprofile -i",
        ". \"$SCRIPTS/weir.bash\"",
    );
}

#[test]
fn zsh_completes_at_a_tab() {
    let load = "fpath=(\"$SCRIPTS\" $fpath); autoload -U compinit; compinit -u -D";
    is_completed("zsh", "zsh -f -i", load);
}

#[test]
fn fish_completes_at_a_tab() {
    is_completed(
        "fish",
        "fish --no-config -i",
        "source \"$SCRIPTS/weir.fish\"",
    );
}
