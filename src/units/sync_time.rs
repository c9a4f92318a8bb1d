//! How soon something is forced to the disk: `500ms`, `always`, `off`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::duration::Span;
use super::error::UnitError;

/// See the module's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SyncTime {
    /// Within this time, which is some.
    Within(Span),
    /// Before it is passed on.
    Always,
    /// When the system likes.
    Off,
}

impl Default for SyncTime {
    fn default() -> SyncTime {
        SyncTime::Within(Span::from_nanos(
            Duration::from_millis(500).as_nanos() as u64
        ))
    }
}

impl FromStr for SyncTime {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<SyncTime, UnitError> {
        match text {
            "always" => Ok(SyncTime::Always),
            "off" => Ok(SyncTime::Off),
            text => text.parse().map(|span| match span {
                Span::ZERO => SyncTime::Always,
                span => SyncTime::Within(span),
            }),
        }
    }
}

impl fmt::Display for SyncTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SyncTime::Within(span) => span.fmt(f),
            SyncTime::Always => f.write_str("always"),
            SyncTime::Off => f.write_str("off"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_always_or_off() {
        for (text, printed) in [
            ("500ms", "500ms"),
            ("1m 30s", "1m 30s"),
            ("always", "always"),
            ("0s", "always"),
            ("off", "off"),
        ] {
            let time: SyncTime = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(time.to_string(), printed);
            assert_eq!(printed.parse(), Ok(time), "{text}");
        }
        for text in ["", "never", "on", "5", "-1s"] {
            assert!(text.parse::<SyncTime>().is_err(), "{text}");
        }
        assert_eq!(SyncTime::default().to_string(), "500ms");
    }
}
