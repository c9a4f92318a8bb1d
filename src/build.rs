//! Tells the program which commit it is made from: what the builder says by `WEIR_COMMIT`, else what
//! git says, else what cargo has put into the package. Where nobody knows, it says nothing.

use std::fs;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=WEIR_COMMIT");
    println!("cargo::rerun-if-changed=src/build.rs");
    // Tests need not be built anew after each commit.
    let is_release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    if !is_release || std::env::var_os("WEIR_COMMIT").is_some() {
        return;
    }
    let log = Path::new(".git/logs/HEAD");
    if log.exists() {
        println!("cargo::rerun-if-changed={}", log.display());
    }
    if let Some(commit) = from_git().or_else(from_package) {
        println!("cargo::rustc-env=WEIR_COMMIT={commit:.12}");
    }
}

/// Of our own repository only, not of one that we happen to be unpacked in.
fn from_git() -> Option<String> {
    Path::new(".git").exists().then_some(())?;
    let git = Command::new("git").args(["rev-parse", "HEAD"]).output();
    let said = git.ok().filter(|output| output.status.success())?.stdout;
    Some(String::from_utf8(said).ok()?.trim().into())
}

fn from_package() -> Option<String> {
    let info = fs::read_to_string(".cargo_vcs_info.json").ok()?;
    let (_, rest) = info.split_once("\"sha1\": \"")?;
    Some(rest.split_once('"')?.0.into())
}
