//! The man page and the completions that are checked in are those that the program makes, and the
//! texts that it prints about itself.

use crate::harness;
use std::fs;
use std::io::pipe;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::{collect, start, weir};

/// The sections of the man page, in the order that man-pages(7) asks for as far as it goes.
const SECTIONS: [&str; 20] = [
    "NAME",
    "SYNOPSIS",
    "DESCRIPTION",
    "OPTIONS",
    "UNITS",
    "REPORTS",
    "THE CONSUMER AS A COMMAND",
    "TEES AT THE END",
    "TEES AND A SPOOL",
    "A SPOOL THAT IS FULL",
    "SHEDDING BEFORE A SPOOL",
    "SHARED CAPS",
    "SIGNALS",
    "EXIT STATUS",
    "ENVIRONMENT",
    "FILES",
    "EXAMPLES",
    "COMPARISON",
    "NOTES",
    "SEE ALSO",
];

/// Options that few ever need, and that are not among those of `-h`.
const RARE: [&str; 21] = [
    "--all-users",
    "--append",
    "--backoff",
    "--burst",
    "--chart",
    "--format",
    "--generate",
    "--grace",
    "--high",
    "--low",
    "--metrics",
    "--no-control",
    "--no-splice",
    "--pipe-size",
    "--reject",
    "--reopen",
    "--retry",
    "--sink-timeout",
    "--source-timeout",
    "--sync",
    "--tap-buffer",
];

const FILES: [(&str, &str); 4] = [
    ("man", "man/weir.1"),
    ("bash", "completions/weir.bash"),
    ("zsh", "completions/_weir"),
    ("fish", "completions/weir.fish"),
];

/// What `weir ARGS` prints, successfully and without a word beside it, where lines may be long.
fn printed(args: &[&str]) -> String {
    printed_at(200, args)
}

/// The same where they may have so many columns.
fn printed_at(columns: usize, args: &[&str]) -> String {
    let (output, stdout) = pipe().expect("make a pipe");
    let text = collect(output);
    let mut weir = weir(args);
    weir.env("COLUMNS", columns.to_string());
    start(weir, Stdio::null(), stdout)
        .end()
        .assert_success("print");
    String::from_utf8(text.done()).expect("text")
}

#[test]
fn the_generated_files_are_fresh() {
    let refresh = std::env::var_os("REFRESH").is_some();
    for (what, file) in FILES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let fresh = printed(&["--generate", what]);
        if refresh {
            fs::create_dir_all(path.parent().expect("a folder")).expect("make a folder");
            fs::write(&path, &fresh).expect("refresh a file");
        }
        assert!(
            fs::read_to_string(&path).is_ok_and(|kept| kept == fresh),
            "{file} is not what weir --generate {what} prints; \
             refresh all of them with: REFRESH=1 cargo test --test binary generated"
        );
    }
}

#[test]
fn every_option_is_in_the_help_the_man_page_and_the_completions() {
    let texts = FILES.map(|(what, _)| printed(&["--generate", what]));
    let (short, full) = (printed(&["-h"]), printed(&["--help"]));
    let definitions = full.lines().filter(|line| line.trim().starts_with('-'));
    let found: Vec<&str> = definitions
        .filter_map(|line| options(line).next())
        .collect();
    assert!(found.len() > 35, "{found:?}");
    for long in found {
        let option = &long[2..];
        assert_eq!(short.contains(long), !RARE.contains(&long), "-h: {long}");
        // roff escapes the hyphens, and fish names an option without them.
        let [man, bash, zsh, fish] = &texts;
        assert!(man.replace('\\', "").contains(long), "man: {long}");
        assert!(bash.contains(long), "bash: {long}");
        assert!(zsh.contains(long), "zsh: {long}");
        assert!(fish.contains(&format!("-l {option}")), "fish: {long}");
    }
}

#[test]
fn the_man_page_has_every_section_once() {
    let man = printed(&["--generate", "man"]);
    let sections: Vec<&str> = man
        .lines()
        .filter_map(|line| line.strip_prefix(".SH "))
        .map(|title| title.trim_matches('"'))
        .collect();
    assert_eq!(sections, SECTIONS);
}

#[test]
fn every_option_that_the_man_page_names_is_one() {
    let man = printed(&["--generate", "man"]);
    let man = ["\\fB", "\\fI", "\\fR", "\\"]
        .iter()
        .fold(man, |text, escape| text.replace(escape, ""));
    let help = printed(&["--help"]);
    let known: Vec<&str> = options(&help).collect();
    // What others are told is theirs.
    let ours = man.lines().map(|line| match line.split_once("weir ") {
        Some((_, ours)) if line.starts_with("parallel ") => ours,
        _ => line,
    });
    for option in ours.flat_map(options) {
        assert!(known.contains(&option), "there is no {option}");
    }
}

/// Everything in a text that looks like a long option.
fn options(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !c.is_ascii_lowercase() && c != '-');
    words.filter(|word| word.len() > 3 && word.starts_with("--"))
}

#[test]
fn a_strict_reader_of_man_pages_finds_no_fault_with_ours() {
    if !harness::has("mandoc") {
        return;
    }
    let page = tempfile::NamedTempFile::new().expect("make a file");
    fs::write(page.path(), printed(&["--generate", "man"])).expect("fill a file");
    let lint = Command::new("mandoc")
        .args(["-Tlint", "-Wwarning"])
        .arg(page.path())
        .output()
        .expect("it ran");
    let said = String::from_utf8_lossy(&lint.stdout);
    assert!(lint.status.success() && said.is_empty(), "{said}");
}

/// Rows and columns of a window that many have, without the one for the prompt.
const SCREEN: (usize, usize) = (48, 80);

#[test]
fn the_short_help_fits_on_two_screens_and_the_full_one_has_examples() {
    let (rows, columns) = SCREEN;
    let (short, full) = (printed_at(columns, &["-h"]), printed(&["--help"]));
    let (lines, widest) = (short.lines().count(), short.lines().map(str::len).max());
    assert!(lines <= 2 * rows, "{lines} lines:\n{short}");
    assert!(widest <= Some(columns), "{widest:?} columns:\n{short}");
    assert!(short.starts_with("A bounded buffer for pipelines"));
    assert!(short.contains("Usage: weir [OPTIONS] [FILE]..."));
    assert!(!short.contains("Examples:"));
    assert!(full.contains("Examples:") && full.contains("Exit status:"));
    assert!(full.lines().count() > short.lines().count());
}

#[test]
fn the_version_is_the_one_of_the_package_and_at_length_names_the_target() {
    let version = concat!("weir ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(printed(&["-V"]), version);
    let long = printed(&["--version"]);
    let rest = long.strip_prefix(version).expect("the version comes first");
    let target = format!("target {}-linux", std::env::consts::ARCH);
    assert!(
        rest.lines()
            .last()
            .is_some_and(|line| line.starts_with(&target)),
        "{long:?}"
    );
}
