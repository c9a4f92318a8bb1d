//! What is said of a store that does not do as it should: a line that a user can act on.

use std::io;

use redis::{ErrorKind, RedisError};

use crate::units::share::PASSWORD;

pub(super) const PASSWORD_FILE: &str = "WEIR_SHARE_PASSWORD_FILE";

/// Why a cap cannot be shared through a store.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The store did not do as it should.
    #[error("{0}")]
    Store(String),
    /// The file with the password cannot be read.
    #[error("${PASSWORD_FILE}: {0}: {1}")]
    Password(String, #[source] io::Error),
    /// The system has no thread left.
    #[error("{0}")]
    Thread(#[source] io::Error),
}

/// What is wrong with the store, in one line.
pub(super) fn reason(e: &RedisError) -> String {
    let kind = e.kind();
    let is_asked = e.code() == Some("NOAUTH");
    let text = if kind == ErrorKind::AuthenticationFailed || is_asked {
        let what = if is_asked {
            "it wants a password"
        } else {
            "it does not accept the password, or has none set"
        };
        format!("{what}: {}", where_from())
    } else if e.is_timeout() {
        "the store does not answer".to_owned()
    } else if kind == ErrorKind::Parse {
        "what answers there is not Redis; give the host and port of a Redis or Valkey server"
            .to_owned()
    } else if kind == ErrorKind::UnexpectedReturnType {
        "its answer makes no sense".to_owned()
    } else {
        in_words(&e.to_string())
    };
    crate::units::printable(text.replace(['\n', '\r'], " ").trim_end())
}

/// The store's client says what it has found; this says what it means.
pub(super) fn in_words(text: &str) -> String {
    if text.contains("read only replica") {
        return "it is a read-only replica: give the address of the primary".to_owned();
    }
    if text.contains("unexpected end of file") {
        return "it has closed the connection without an answer: it has just ended, or is no Redis or Valkey server".to_owned();
    }
    // Which script it was, and where in it, is nothing that a user could change.
    let text = text.split_once(" script: ").map_or(text, |(text, _)| text);
    // So the library calls it.
    let text = text.strip_prefix("ResponseError: ").unwrap_or(text);
    crate::units::without_numbers(text)
}

/// Where a password is looked for.
pub(super) fn where_from() -> String {
    format!("give it in ${PASSWORD}, or in the file that ${PASSWORD_FILE} names")
}

/// A store that turns a login away, whatever words it has for that.
pub(super) fn not_accepted(e: RedisError) -> RedisError {
    let text = e.to_string().to_ascii_lowercase();
    match !e.is_io_error() && (text.contains("auth") || text.contains("pass")) {
        true => (ErrorKind::AuthenticationFailed, "not accepted").into(),
        false => e,
    }
}
