//! EVENT=COMMAND: what `--on` takes.

use std::fmt;
use std::str::FromStr;

use crate::engine::event::Event;
use crate::units::UnitError;

const EXAMPLES: &[&str] = &[
    "full='logger weir is full'",
    "90%=...",
    "shed=...",
    "stall=...",
    "restart=...",
    "done=...",
];

/// When a command is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// Something has happened to the flow.
    Flow(Event),
    /// A timeout has run out.
    Stall,
    /// The program that is the consumer was run again.
    Restart,
    /// It has failed too often, and is not.
    GiveUp,
    /// The run is over.
    Done,
}

impl fmt::Display for Occasion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Occasion::Flow(Event::Full) => f.write_str("full"),
            Occasion::Flow(Event::Above(percent)) => write!(f, "{percent}%"),
            Occasion::Flow(Event::Shed) => f.write_str("shed"),
            Occasion::Stall => f.write_str("stall"),
            Occasion::Restart => f.write_str("restart"),
            Occasion::GiveUp => f.write_str("give-up"),
            Occasion::Done => f.write_str("done"),
        }
    }
}

impl FromStr for Occasion {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Occasion, UnitError> {
        match text {
            "full" => return Ok(Occasion::Flow(Event::Full)),
            "shed" => return Ok(Occasion::Flow(Event::Shed)),
            "stall" => return Ok(Occasion::Stall),
            "restart" => return Ok(Occasion::Restart),
            "give-up" => return Ok(Occasion::GiveUp),
            "done" => return Ok(Occasion::Done),
            _ => {}
        }
        let percent = text.strip_suffix('%').and_then(|n| n.parse().ok());
        let percent = percent.filter(|n| (1..=100).contains(n));
        let above = percent.map(|percent| Occasion::Flow(Event::Above(percent)));
        above.ok_or_else(|| UnitError::new("nothing that can happen", EXAMPLES).about(text))
    }
}

/// A command, and when it is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hook {
    /// When.
    pub on: Occasion,
    /// What a shell is given.
    pub command: String,
}

impl FromStr for Hook {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Hook, UnitError> {
        let Some((on, command)) = text.split_once('=') else {
            return Err(UnitError::new("not EVENT=COMMAND", EXAMPLES));
        };
        if command.trim().is_empty() {
            return Err(UnitError::new("no command", EXAMPLES));
        }
        Ok(Hook {
            on: on.parse()?,
            command: command.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_are_an_event_and_a_command() {
        for (text, on) in [
            ("full=echo a=b", "full"),
            ("90%=x", "90%"),
            ("1%=x", "1%"),
            ("100%=x", "100%"),
            ("shed=x", "shed"),
            ("stall=x", "stall"),
            ("done=x", "done"),
        ] {
            let hook: Hook = text.parse().expect(text);
            assert_eq!(hook.on.to_string(), on);
            assert_eq!(
                Some(hook.command.as_str()),
                text.split_once('=').map(|it| it.1)
            );
        }
        for (text, wrong) in [
            ("full", "not EVENT=COMMAND"),
            ("full= ", "no command"),
            ("0%=x", "nothing that can happen"),
            ("101%=x", "nothing that can happen"),
            ("ful=x", "nothing that can happen"),
            ("=x", "nothing that can happen"),
        ] {
            let error = text.parse::<Hook>().expect_err(text).to_string();
            assert!(error.contains(wrong), "{text}: {error}");
        }
    }
}
