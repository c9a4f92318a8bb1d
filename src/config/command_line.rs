//! The process's command line read, and the texts that are made from the definitions of the
//! options.

use std::fmt;
use std::io::{self, Write};

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, CommandFactory, FromArgMatches};

use super::live_options::LiveOptions;
use super::manual;
use super::options::{Generate, Options};
use crate::units::printable;

impl Options {
    /// Parses the process's arguments.
    ///
    /// # Errors
    /// With the text to print and the status to end with: also for `--help` and `--version`.
    pub fn from_command_line() -> Result<Options, CommandLineError> {
        let mut command = Options::command();
        let matches = command.try_get_matches_from_mut(std::env::args_os())?;
        if matches.contains_id("remote")
            && let Some(fixed) = fixed(&command, &matches)
        {
            let what = format!("{fixed} cannot be changed while running");
            return Err(command.error(ErrorKind::ArgumentConflict, what).into());
        }
        Ok(Options::from_arg_matches(&matches)?)
    }
}

/// What was given beside `--remote`, if anything, that cannot be changed; defaults are not given.
fn fixed(command: &Command, matches: &ArgMatches) -> Option<String> {
    let live = LiveOptions::definitions();
    let mut given = command.get_arguments().filter(|arg| {
        matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine)
    });
    let fixed = given.find(|arg| {
        let id = arg.get_id();
        id != "remote" && !live.get_arguments().any(|arg| arg.get_id() == id)
    })?;
    Some(match fixed.get_long() {
        Some(long) => format!("--{long}"),
        None => "FILE".to_owned(),
    })
}

/// A command line that ends weir before it has begun.
#[derive(Debug)]
pub struct CommandLineError(clap::Error);

impl From<clap::Error> for CommandLineError {
    fn from(error: clap::Error) -> CommandLineError {
        CommandLineError(error)
    }
}

impl CommandLineError {
    /// Whether it is no fault, but a text that was asked for: `--help` or `--version`.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        !self.0.use_stderr()
    }

    /// Prints that text to standard output.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn print(&self) -> io::Result<()> {
        self.0.print()
    }
}

impl fmt::Display for CommandLineError {
    /// What is wrong, as one line with a hint.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.render().to_string();
        let wrong = text.split("\n\nUsage:").next().unwrap_or(&text);
        let wrong = wrong
            .split("\n\nFor more information")
            .next()
            .unwrap_or(wrong);
        let wrong = wrong.strip_prefix("error: ").unwrap_or(wrong);
        let lines = wrong.lines().map(str::trim).filter(|l| !l.is_empty());
        let mut all = String::new();
        for line in lines {
            all.push_str(match line {
                _ if all.is_empty() => "",
                tip if tip.starts_with("tip:") => "; ",
                _ => " ",
            });
            all.push_str(&printable(line));
        }
        write!(f, "{all} (see weir -h)")
    }
}

/// Writes the man page or a completion script.
///
/// # Errors
/// When it cannot be written.
pub fn generate(what: Generate, out: &mut dyn Write) -> io::Result<()> {
    use clap_complete::{Shell, generate as complete};
    let mut command = Options::command();
    let shell = match what {
        Generate::Man => return manual::write(command, out),
        Generate::Bash => Shell::Bash,
        Generate::Zsh => Shell::Zsh,
        Generate::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    complete(shell, &mut command, "weir", &mut script);
    out.write_all(&script)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_agree_with_each_other() {
        Options::command().debug_assert();
    }
}
