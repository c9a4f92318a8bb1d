//! Which options go with `--remote`: all the others are for a weir that is yet to start.

use clap::parser::ValueSource;
use clap::{ArgMatches, Command};

/// What may be given beside `--remote`, and itself.
const CHANGEABLE: [&str; 14] = [
    "remote",
    "rate",
    "input_rate",
    "burst",
    "high",
    "low",
    "prefill",
    "shed",
    "patience",
    "max_age",
    "interval",
    "pause",
    "resume",
    "drain",
];

/// What of the command line, if anything, cannot be changed; defaults are not given.
pub fn fixed(command: &Command, matches: &ArgMatches) -> Option<String> {
    let given = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let mut given = command
        .get_arguments()
        .filter(|arg| given(arg.get_id().as_str()));
    let fixed = given.find(|arg| !CHANGEABLE.contains(&arg.get_id().as_str()))?;
    Some(match fixed.get_long() {
        Some(long) => format!("--{long}"),
        None => "FILE".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Arguments;

    #[test]
    fn what_can_be_changed_are_options() {
        let command = Arguments::command();
        for id in CHANGEABLE {
            let known = command.get_arguments().any(|arg| arg.get_id() == id);
            assert!(known, "{id}");
        }
    }
}
