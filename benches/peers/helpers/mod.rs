//! The trivial programs at both ends of every measured pipeline.
//!
//! They are this same benchmark executed again under a name such as `__gen`, so that no other
//! tool is needed, and each does one thing with plain `read` and `write`: none of them must be
//! the bottleneck before the pipe is. They never change the size of a pipe, those that are a limit
//! excepted. Parameters are `key=value` words.

mod again;
mod deal;
mod fan;
mod flow;
mod lines;
mod paced;
mod ping;
mod raw;
mod splice;
mod tee;
mod waits;

pub(crate) use lines::torn_lines;
pub(crate) use raw::now_ns;

use std::collections::HashMap;
use std::process::ExitCode;

use rustix::process::{Signal, set_parent_process_death_signal};

/// Parameters of one helper, by name.
pub(crate) struct Params(HashMap<String, String>);

impl Params {
    fn parse(words: &[String]) -> Self {
        let pair = |word: &String| {
            let (key, value) = word.split_once('=')?;
            Some((key.to_owned(), value.to_owned()))
        };
        Self(words.iter().filter_map(pair).collect())
    }

    /// The value given for `key`, else `default`.
    fn get(&self, key: &str, default: u64) -> u64 {
        let value = self.0.get(key).and_then(|value| value.parse().ok());
        value.unwrap_or(default)
    }

    /// The text given for `key`, or none.
    fn text(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }

    /// The same as an amount of memory, at least one byte.
    fn size(&self, key: &str, default: usize) -> usize {
        let value = self.get(key, default as u64);
        usize::try_from(value).unwrap_or(usize::MAX).max(1)
    }
}

/// Runs the helper that `words` name and returns its exit status; `None` for an ordinary call.
pub(crate) fn dispatch(words: &[String]) -> Option<ExitCode> {
    let run: fn(&Params) -> std::io::Result<()> = match words.first()?.as_str() {
        "__gen" => flow::produce,
        "__sink" => flow::discard,
        "__meter" => flow::meter,
        "__splice" => splice::run,
        "__tee" => tee::run,
        "__fan" => fan::run,
        "__deal" => deal::run,
        "__lines" => lines::produce,
        "__judge" => lines::judge,
        "__leaky" => lines::leak,
        "__tide" => paced::produce,
        "__mill" => paced::consume,
        "__again" => again::fail,
        "__pingsend" => ping::send,
        "__pingrecv" => ping::receive,
        _ => return None,
    };
    // A benchmark that is killed takes its helpers, and so its whole pipelines, with it.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    match run(&Params::parse(&words[1..])) {
        Ok(()) => Some(ExitCode::SUCCESS),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Some(ExitCode::SUCCESS),
        Err(error) => {
            eprintln!("{}: {error}", words[0]);
            Some(ExitCode::FAILURE)
        }
    }
}
