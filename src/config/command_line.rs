//! The process's command line read, and the texts that are made from the definitions of the
//! options.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, CommandFactory, FromArgMatches};

use super::live_options::LiveOptions;
use super::options::Options;
use super::values::Generate;
use super::{completions, manual, words_of_others};
use crate::units::printable;

impl Options {
    /// Parses the process's arguments.
    ///
    /// # Errors
    /// With the text to print and the status to end with: also for `--help` and `--version`.
    pub(crate) fn from_command_line() -> Result<Options, CommandLineError> {
        let words: Vec<_> = std::env::args_os().collect();
        Options::from_words(&words)
    }

    /// The label that a weir with these words was given, as far as they are understood.
    pub(crate) fn name_in(words: &[OsString]) -> Option<String> {
        Options::from_words(words).ok()?.live.name
    }

    /// Parses these words, the first of which is the program's own name.
    fn from_words(words: &[OsString]) -> Result<Options, CommandLineError> {
        let mut command = Options::command();
        let matches = command
            .try_get_matches_from_mut(words)
            .map_err(|error| CommandLineError::about(error, words))?;
        if matches.contains_id("remote")
            && let Some(fixed) = fixed(&command, &matches)
        {
            let what = format!("{fixed} cannot be changed while running");
            return Err(command.error(ErrorKind::ArgumentConflict, what).into());
        }
        if let Some(what) = misplaced(&command, &matches, words) {
            return Err(CommandLineError {
                error: command.error(ErrorKind::ArgumentConflict, &what),
                better: Some(what),
            });
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
        id != "remote" && id != "all_users" && !live.get_arguments().any(|arg| arg.get_id() == id)
    })?;
    Some(match fixed.get_long() {
        Some(long) => format!("--{long}"),
        None if fixed.get_id() == "command" => "COMMAND".to_owned(),
        None => "FILE".to_owned(),
    })
}

/// What is wrong where `--query` or `--top` was given beside anything but `--all-users`, or that where it means nothing.
fn misplaced(command: &Command, matches: &ArgMatches, words: &[OsString]) -> Option<String> {
    let is_given = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let asks = ["query", "top"].into_iter().find(|id| is_given(id));
    let Some(asks) = asks else {
        let what = "--all-users goes with --query, --top or --remote";
        return (is_given("all_users") && !is_given("remote")).then(|| what.to_owned());
    };
    let mut others = command.get_arguments().map(|arg| arg.get_id().as_str());
    others.find(|id| ![asks, "all_users"].contains(id) && is_given(id))?;
    let words: Vec<_> = words
        .iter()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    not_alone(&words)
}

/// What is wrong where `--query` or `--top` was given beside something else.
fn not_alone(words: &[String]) -> Option<String> {
    let mut askers = ["--query [<TARGET>]", "--top"].into_iter();
    askers.find_map(|asks| {
        let other = beside(asks, words)?;
        let is_target = !other.starts_with('-') && asks.contains(' ') && is_followed(words);
        if is_target {
            return Some(format!(
                "'{other}' does not stand behind --query; try --query {other} --all-users"
            ));
        }
        Some(format!(
            "the argument '{asks}' cannot be used with '{other}'"
        ))
    })
}

/// Whether what stands behind `--query` is `--all-users`, and no TARGET.
fn is_followed(words: &[String]) -> bool {
    let mut both = words.windows(2);
    both.any(|two| two[0] == "--query" && two[1] == "--all-users")
}

/// What was typed beside an option, such as `--query [<TARGET>]`, that goes with no other.
fn beside<'a>(argument: &str, words: &'a [String]) -> Option<&'a str> {
    let (option, takes) = match argument.split_once(' ') {
        Some((option, _)) => (option, 2),
        None => (argument, 1),
    };
    let exclusive = ["--query", "--look", "--top", "--generate"];
    let at = words
        .iter()
        .position(|word| exclusive.contains(&option) && word.split('=').next() == Some(option))?;
    // The next word is its value only if it is none of the options.
    let next = words.get(at + 1).map_or("", String::as_str);
    let has_own = words[at].contains('=') || next.starts_with('-');
    let own = if has_own { 1 } else { takes };
    let mut others = words.iter().enumerate();
    let goes_with_all = ["--query", "--top"].contains(&option);
    let other = others.find(|(nth, word)| {
        let is_fitting = *word == "--" || *word == "--all-users" && goes_with_all;
        !(at..at + own).contains(nth) && !is_fitting
    });
    other.map(|(_, word)| word.as_str())
}

/// What is wrong with a figure below zero, which looks like an option.
fn below_zero(argument: &str, words: &[String]) -> Option<String> {
    let is_figure = argument
        .strip_prefix('-')?
        .starts_with(|c: char| c.is_ascii_digit());
    let at = words.iter().position(|word| word.starts_with(argument))?;
    let option = words.get(at.checked_sub(1)?)?;
    let what = format!("{option} {}: it cannot be below zero", words[at]);
    (is_figure && option.starts_with('-')).then_some(what)
}

/// A command line that ends weir before it has begun.
#[derive(Debug)]
pub(crate) struct CommandLineError {
    error: clap::Error,
    /// What is better said of it than the parser does.
    better: Option<String>,
}

impl From<clap::Error> for CommandLineError {
    fn from(error: clap::Error) -> CommandLineError {
        CommandLineError {
            error,
            better: None,
        }
    }
}

impl CommandLineError {
    /// What is wrong with these words.
    fn about(error: clap::Error, words: &[OsString]) -> CommandLineError {
        let words = words.iter().skip(1);
        let words: Vec<_> = words.map(|w| w.to_string_lossy().into_owned()).collect();
        let argument = match error.get(ContextKind::InvalidArg) {
            Some(ContextValue::String(argument)) => argument.as_str(),
            _ => "",
        };
        let better = match error.kind() {
            ErrorKind::UnknownArgument => words_of_others::ours(argument, &words)
                .map(|ours| match ours.strip_prefix("not there; ") {
                    Some(others) => format!(
                        "{argument} is not an option of weir, which has nothing for that; {others}"
                    ),
                    None => format!("{argument} is not an option of weir; here it is {ours}"),
                })
                .or_else(|| below_zero(argument, &words)),
            ErrorKind::ArgumentConflict => beside(argument, &words)
                .map(|other| format!("the argument '{argument}' cannot be used with '{other}'")),
            // It would ask for `--remote` in the place of what is there.
            ErrorKind::MissingRequiredArgument => not_alone(&words),
            _ => None,
        };
        CommandLineError { error, better }
    }

    /// Whether it is no fault, but a text that was asked for: `--help` or `--version`.
    #[must_use]
    pub(crate) fn is_answer(&self) -> bool {
        !self.error.use_stderr()
    }

    /// Prints that text to standard output.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn print(&self) -> io::Result<()> {
        self.error.print()
    }
}

impl fmt::Display for CommandLineError {
    /// What is wrong, as one line with a hint.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(better) = &self.better {
            return write!(f, "{} (see weir -h)", printable(better));
        }
        let text = self.error.render().to_string();
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
            // Behind two dashes there is a COMMAND here.
            match line.strip_prefix("tip: to pass '") {
                Some(rest) => {
                    let argument = rest.split('\'').next().unwrap_or_default();
                    all.push_str(&printable(&format!(
                        "a file of that name is './{argument}'"
                    )));
                }
                None => all.push_str(&printable(line)),
            }
        }
        write!(f, "{all} (see weir -h)")
    }
}

/// Writes the man page or a completion script.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn generate(what: Generate, out: &mut dyn Write) -> io::Result<()> {
    use clap_complete::Shell;
    let shell = match what {
        Generate::Man => return manual::write(Options::command(), out),
        Generate::Bash => Shell::Bash,
        Generate::Zsh => Shell::Zsh,
        Generate::Fish => Shell::Fish,
    };
    out.write_all(completions::script(shell)?.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named_with_what_is_right() {
        for (line, said) in [
            (
                "-L 10M",
                "-L is not an option of weir; here it is --rate 10M",
            ),
            (
                "-cN a",
                "-c is not an option of weir; here it is not needed: bars",
            ),
            (
                "-m 1G -P 80",
                "-m is not an option of weir; here it is --buffer 1G",
            ),
            (
                "--bufer 1M",
                "unexpected argument '--bufer' found; tip: a similar",
            ),
            (
                "-z",
                "unexpected argument '-z' found; a file of that name is './-z'",
            ),
            (
                "-8",
                "-8 is not an option of weir, which has nothing for that; what passes",
            ),
            ("--top x", "the argument '--top' cannot be used with 'x'"),
            ("-q --top", "the argument '--top' cannot be used with '-q'"),
            (
                "--query a b",
                "the argument '--query [<TARGET>]' cannot be used with 'b'",
            ),
            (
                "--query --rate 5",
                "the argument '--query [<TARGET>]' cannot be used with '--rate'",
            ),
            (
                "--query=a b",
                "the argument '--query [<TARGET>]' cannot be used with 'b'",
            ),
            ("--spill -5M", "--spill -5M: it cannot be below zero"),
            ("-j -1 -- cat", "-j -1: it cannot be below zero"),
            (
                "--key -1 -l",
                "invalid value '-1' for '--key <REGEX|N>': no field: they are counted from 1",
            ),
            (
                "--on -5%=x",
                "invalid value '-5%=x' for '--on <EVENT=COMMAND>': \"-5%\" is nothing that can happen",
            ),
            (
                "--md5",
                "--md5 is not an option of weir, which has nothing for that; a sum is made by",
            ),
            ("--all-users", "--all-users goes with --query, --top or"),
            ("--all-users -l", "--all-users goes with --query, --top or"),
            (
                "--all-users --top -l",
                "the argument '--top' cannot be used with '-l'",
            ),
            (
                "--query --all-users x",
                "'x' does not stand behind --query; try --query x --all-users",
            ),
            (
                "--all-users --look x",
                "the argument '--look <TARGET>' cannot be used with '--all-users'",
            ),
            (
                "--look x --all-users",
                "the argument '--look <TARGET>' cannot be used with '--all-users'",
            ),
            (
                "-l -0",
                "the argument '--lines' cannot be used with '--null'",
            ),
            (
                "-b -5M",
                "invalid value '-5M' for '--buffer <SIZE>': below zero, so not a size",
            ),
            (
                "-r -5M",
                "invalid value '-5M' for '--rate <LIMIT>': below zero, so not a rate",
            ),
            (
                "--high -5%",
                "invalid value '-5%' for '--high <MARK>': below zero",
            ),
            (
                "-s abc",
                "invalid value 'abc' for '--size <AMOUNT>': not an amount: try 4GiB, ",
            ),
            (
                "-r 10Mbps",
                "invalid value '10Mbps' for '--rate <LIMIT>': either bits or bytes",
            ),
        ] {
            let words = ["weir"].into_iter().chain(line.split(' '));
            let words: Vec<OsString> = words.map(Into::into).collect();
            let error = Options::from_words(&words).expect_err(line).to_string();
            assert!(error.starts_with(said), "{line}: {error}");
            assert!(
                error.ends_with(" (see weir -h)") && !error.contains('\n'),
                "{error}"
            );
        }
        for (words, what) in [
            (&["weir", ""][..], "[FILE]..."),
            (&["weir", "--look", ""], "--look <TARGET>"),
            (&["weir", "--query", ""], "--query [<TARGET>]"),
            (&["weir", "--remote", "", "--pause"], "--remote <TARGET>"),
        ] {
            let words: Vec<_> = words.iter().map(Into::into).collect();
            let error = Options::from_words(&words).expect_err("no name");
            let said = format!("invalid value '' for '{what}': an empty name");
            assert!(error.to_string().starts_with(&said), "{error}");
        }
    }

    #[test]
    fn the_definitions_agree_with_each_other() {
        Options::command().debug_assert();
    }
}
