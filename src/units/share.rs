//! `--share NAME`: with whom a cap is shared; on this host, or through a store.
//!
//! A name is letters, digits and `.`, `_`, `-`, and begins with a letter or digit, since it becomes the
//! name of a file or of keys.

use std::fmt;
use std::str::FromStr;

use super::error::UnitError;

const NAMES: &[&str] = &["nightly", "redis://HOST/nightly"];
const STORES: &[&str] = &["redis://HOST/NAME", "redis://HOST:6379/NAME"];
const SCHEME: &str = "redis://";
const PORT: u16 = 6379;
/// The variable with the password of a store, which is nobody's but weir's.
pub(crate) const PASSWORD: &str = "WEIR_SHARE_PASSWORD";
/// Longer names are no better, and files' names are limited.
const LONGEST: usize = 64;

/// With whom a cap is shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Share {
    /// With this user's weirs on this host that give the same name.
    Host(String),
    /// With all that give the same name at the same store.
    Store(Store),
}

/// A share in a Redis or Valkey server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Store {
    /// As whom to log in, if not as the default user.
    pub user: Option<String>,
    /// A name or an address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The share's name.
    pub name: String,
}

impl FromStr for Share {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Share, UnitError> {
        let Some(rest) = text.strip_prefix(SCHEME) else {
            let wrong = text.contains("://");
            return match wrong {
                true => Err(UnitError::new("not a store", STORES)),
                false => Ok(Share::Host(name(text)?)),
            };
        };
        let (place, share) = rest
            .split_once('/')
            .ok_or_else(|| UnitError::new("a store without the share's name", STORES))?;
        let (user, place) = match place.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, place),
        };
        if user.is_some_and(|user| user.contains(':')) {
            // Everybody on the machine could read it.
            const WHERE: &[&str] = &["$WEIR_SHARE_PASSWORD", "$WEIR_SHARE_PASSWORD_FILE"];
            return Err(UnitError::new("a password on the command line", WHERE));
        }
        let (host, port) = host_and_port(place)?;
        Ok(Share::Store(Store {
            user: user.filter(|user| !user.is_empty()).map(str::to_owned),
            host,
            port,
            name: name(share)?,
        }))
    }
}

fn name(text: &str) -> Result<String, UnitError> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if text.is_empty() {
        return Err(UnitError::new("no name", NAMES));
    }
    if text.len() > LONGEST {
        return Err(UnitError::new("too long a name", NAMES));
    }
    if !text.chars().all(good) || !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err(UnitError::new(
            "not a name of letters, digits, '.', '_' and '-'",
            NAMES,
        ));
    }
    Ok(text.to_owned())
}

fn host_and_port(text: &str) -> Result<(String, u16), UnitError> {
    // An IPv6 address has colons of its own, and brackets around it.
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let end = rest.split_once(']');
            let (host, rest) = end.ok_or_else(|| UnitError::new("not a host", STORES))?;
            let port = match rest {
                "" => None,
                rest => Some(rest.strip_prefix(':').unwrap_or("not a port")),
            };
            (host, port)
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(UnitError::new("a store without its host", STORES));
    }
    let port = match port.map(str::parse) {
        None => PORT,
        Some(Ok(port)) if port > 0 => port,
        _ => return Err(UnitError::new("a store with a port that is none", STORES)),
    };
    Ok((host.to_owned(), port))
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let store = match self {
            Share::Host(name) => return f.write_str(name),
            Share::Store(store) => store,
        };
        f.write_str(SCHEME)?;
        if let Some(user) = &store.user {
            write!(f, "{user}@")?;
        }
        match store.host.contains(':') {
            true => write!(f, "[{}]", store.host)?,
            false => f.write_str(&store.host)?,
        }
        if store.port != PORT {
            write!(f, ":{}", store.port)?;
        }
        write!(f, "/{}", store.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_print_as_they_are_typed() {
        for text in [
            "nightly",
            "0.a_b-c",
            "redis://10.1.2.3/nightly",
            "redis://store:6380/x",
            "redis://ann@store/x",
            "redis://[::1]/x",
            "redis://[fe80::1]:7000/x",
        ] {
            let share: Share = text.parse().expect(text);
            assert_eq!(share.to_string(), text);
        }
        let share: Share = "redis://store:6379/x".parse().expect("a store");
        assert_eq!(share.to_string(), "redis://store/x");
    }

    #[test]
    fn what_is_no_share_is_refused_in_one_line() {
        for (text, wanted) in [
            ("", "no name: try nightly"),
            ("../x", "not a name of letters"),
            (".x", "not a name of letters"),
            ("a b", "not a name of letters"),
            ("é", "not a name of letters"),
            (&"x".repeat(65), "too long"),
            ("redis://store", "without the share's name"),
            ("redis://store/", "no name"),
            ("redis:///x", "without its host"),
            ("redis://:80/x", "without its host"),
            ("redis://store:/x", "a port that is none"),
            ("redis://store:0/x", "a port that is none"),
            ("redis://store:99999/x", "a port that is none"),
            ("redis://[::1/x", "not a host"),
            ("redis://[::1]x/x", "a port that is none"),
            (
                "redis://u:secret@store/x",
                "a password on the command line: try $WEIR_SHARE",
            ),
            ("http://store/x", "not a store"),
        ] {
            let line = text.parse::<Share>().expect_err(text).to_string();
            assert!(
                line.contains(wanted) && !line.contains('\n'),
                "{text}: {line}"
            );
        }
    }
}
