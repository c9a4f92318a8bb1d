//! What `--version` says.

use std::env::consts::{ARCH, OS};
use std::sync::LazyLock;

/// From the build script, `src/build.rs`, or from whoever builds a package.
const COMMIT: Option<&str> = option_env!("WEIR_COMMIT");

const ENVIRONMENT: &str = if cfg!(target_env = "musl") {
    "-musl"
} else if cfg!(target_env = "gnu") {
    "-gnu"
} else {
    ""
};

/// The version, the commit if it is known, and what it was built for, a line each.
pub(super) static LONG: LazyLock<String> = LazyLock::new(|| {
    let commit = COMMIT.map_or(String::new(), |commit| format!("commit {commit}\n"));
    let version = env!("CARGO_PKG_VERSION");
    format!("{version}\n{commit}target {ARCH}-{OS}{ENVIRONMENT}")
});
