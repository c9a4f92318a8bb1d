//! The display options resolved against each other and against the terminal.

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{SeekFrom, fstat, seek, stat};

use super::check;
use super::check_command;
use super::error::ConfigError;
use super::expected_size::{expected, size};
use super::live::LiveConfig;
use super::options::Options;
use super::values::{Display, Summary};
use crate::engine::StopAt;
use crate::report::snapshot::OutputKind;
use crate::report::theme::Theme;
use crate::report::{Closing, Expected, Plan, Records, Show, terminal};
use crate::units::printable;

/// Time between frames of the bar.
const BAR_INTERVAL: Duration = Duration::from_millis(200);
/// Time between reports of any other kind.
const INTERVAL: Duration = Duration::from_secs(1);

/// What of the world the display depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct World {
    /// Standard error is a terminal.
    pub terminal: bool,
    /// It cannot move its cursor.
    pub dumb: bool,
    /// What it can show.
    pub theme: Theme,
}

impl World {
    /// The world as it is.
    pub(super) fn look() -> World {
        let variable = |name: &str| env::var_os(name).map(|v| v.to_string_lossy().into_owned());
        World {
            terminal: terminal::is_terminal(),
            dumb: terminal::is_dumb(),
            theme: Theme::of(variable),
        }
    }
}

/// What is to be reported.
pub(super) fn plan(
    options: &Options,
    live: &LiveConfig,
    world: &World,
) -> Result<Plan, ConfigError> {
    check::quiet(options)?;
    let show = show(options, world);
    let interval = live.interval;
    Ok(Plan {
        name: live.name.clone(),
        inputs: options.files.clone(),
        command: check_command::command(&options.command)?.map(|it| it.name()),
        share: options.share.as_ref().map(ToString::to_string),
        records: if options.lines {
            Records::Lines
        } else {
            Records::Records
        },
        expected: match (live.expected, options.stop_at) {
            _ if live.tree.is_some() => None,
            (Some(expected), _) => Some(expected),
            (None, None) => known(&options.files).map(Expected::Bytes),
            (None, Some(stop)) => {
                let stop = expected("--stop-at", stop, is_framed(options))?;
                Some(earlier(stop, known(&options.files).map(Expected::Bytes)))
            }
        },
        show,
        interval: interval.unwrap_or(match show {
            Show::Bar(_) => BAR_INTERVAL,
            _ => INTERVAL,
        }),
        closing: closing(options, world),
        closing_is_asked: options.summary != Summary::Auto,
        log: options.log.clone(),
        format: options.format.clone(),
        chart: options.chart.clone(),
        outputs: outputs(options),
        beside: beside(options),
        metrics: options.metrics.clone(),
        metrics_interval: interval.unwrap_or(INTERVAL),
    })
}

/// What tees and taps are called, in the engine's order.
fn outputs(options: &Options) -> Vec<(OutputKind, String)> {
    let named = |kind, paths: &[PathBuf]| {
        let names = paths.iter().map(|path| printable(&path.to_string_lossy()));
        names.map(|name| (kind, name)).collect::<Vec<_>>()
    };
    let mut all = named(OutputKind::Tee, &options.tee);
    all.extend(named(OutputKind::Tap, &options.tap));
    all
}

/// All files that data is written to.
fn beside(options: &Options) -> Vec<PathBuf> {
    let all = options.tee.iter().chain(&options.tap);
    all.chain(&options.shed_to).cloned().collect()
}

/// Whether there are records.
fn is_framed(options: &Options) -> bool {
    options.lines || options.null || options.record_size.is_some()
}

fn show(options: &Options, world: &World) -> Show {
    let logged = options.log.is_some();
    let bar = if world.terminal && !world.dumb && !logged {
        Show::Bar(world.theme)
    } else {
        Show::Plain
    };
    match options.display {
        _ if options.quiet => Show::Off,
        Display::Off => Show::Off,
        Display::Json => Show::Json,
        Display::Plain => Show::Plain,
        Display::Bar => bar,
        Display::Auto if world.terminal || logged => bar,
        Display::Auto => Show::Off,
    }
}

fn closing(options: &Options, world: &World) -> Closing {
    let logged = options.log.is_some();
    match options.summary {
        _ if options.quiet => Closing::Off,
        Summary::Off => Closing::Off,
        Summary::Text => Closing::Text,
        Summary::Json => Closing::Json,
        // A log is of one kind.
        Summary::Auto if logged && options.display == Display::Json => Closing::Json,
        Summary::Auto if world.terminal || logged => Closing::Text,
        Summary::Auto => Closing::Off,
    }
}

/// The first of two ends, as far as they can be compared.
fn earlier(stop: Expected, end: Option<Expected>) -> Expected {
    match (stop, end) {
        (Expected::Bytes(stop), Some(Expected::Bytes(end))) => Expected::Bytes(stop.min(end)),
        _ => stop,
    }
}

/// Where reading ends before the input does.
pub(super) fn stop_at(options: &Options) -> Result<Option<StopAt>, ConfigError> {
    let stop = options
        .stop_at
        .map(|size| expected("--stop-at", size, is_framed(options)));
    Ok(stop.transpose()?.map(|stop| match stop {
        Expected::Bytes(n) => StopAt::Bytes(n),
        Expected::Records(n) => StopAt::Records(n),
    }))
}

/// What there is to read, if all input is regular files and block devices.
fn known(files: &[PathBuf]) -> Option<u64> {
    let standard = [PathBuf::from("-")];
    let files = if files.is_empty() { &standard } else { files };
    files
        .iter()
        .try_fold(0u64, |sum, file| sum.checked_add(left(file)?))
        // Some files of the system claim to be empty and are not.
        .filter(|all| *all > 0)
}

fn left(file: &Path) -> Option<u64> {
    let input = (file == Path::new("-")).then(rustix::stdio::stdin);
    let size = size(&input.map_or_else(|| stat(file), fstat).ok()?)?;
    let here = input.map_or(Ok(0), |input| seek(input, SeekFrom::Current(0)));
    Some(size.saturating_sub(here.ok()?))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::report::theme::Colours;

    const PIPE: World = World {
        terminal: false,
        dumb: false,
        theme: Theme {
            unicode: true,
            colours: Colours::Few,
        },
    };
    const TERMINAL: World = World {
        terminal: true,
        ..PIPE
    };
    const DUMB: World = World {
        dumb: true,
        ..TERMINAL
    };

    fn of(line: &str, world: World) -> Result<Plan, ConfigError> {
        let words = ["weir"].into_iter().chain(line.split_whitespace());
        let options = Options::try_parse_from(words).expect("a command line");
        let framing = check::framing(&options)?;
        let live = LiveConfig::check(
            options.live.clone(),
            1 << 20,
            framing,
            crate::config::live::Fixed::default(),
        )?;
        plan(&options, &live, &world)
    }

    #[test]
    fn what_is_shown_depends_on_where_it_goes() {
        let bar = Show::Bar(PIPE.theme);
        for (line, world, show, closing) in [
            ("", PIPE, Show::Off, Closing::Off),
            ("", TERMINAL, bar, Closing::Text),
            ("", DUMB, Show::Plain, Closing::Text),
            ("-q", TERMINAL, Show::Off, Closing::Off),
            ("-q --display off", TERMINAL, Show::Off, Closing::Off),
            ("--display bar", PIPE, Show::Plain, Closing::Off),
            ("--display plain", TERMINAL, Show::Plain, Closing::Text),
            ("--display json", PIPE, Show::Json, Closing::Off),
            ("--display off", TERMINAL, Show::Off, Closing::Text),
            ("--summary json", PIPE, Show::Off, Closing::Json),
            ("--summary off", TERMINAL, bar, Closing::Off),
            ("--log x", PIPE, Show::Plain, Closing::Text),
            ("--log x", TERMINAL, Show::Plain, Closing::Text),
            ("--log x --display json", PIPE, Show::Json, Closing::Json),
            ("--log x -q", PIPE, Show::Off, Closing::Off),
        ] {
            let plan = of(line, world).expect("a plan");
            assert_eq!(
                (plan.show, plan.closing),
                (show, closing),
                "{line} {world:?}"
            );
        }
    }

    #[test]
    fn a_bar_is_livelier_than_lines() {
        for (line, world, ms) in [
            ("", TERMINAL, 200),
            ("--display plain", TERMINAL, 1000),
            ("--interval 2s", TERMINAL, 2000),
            ("--display json -i 50ms", PIPE, 50),
        ] {
            let plan = of(line, world).expect("a plan");
            assert_eq!(plan.interval, Duration::from_millis(ms), "{line}");
        }
    }

    #[test]
    fn a_size_is_an_amount_of_data() {
        for (line, size) in [("-s 4KiB", 4096), ("--size 1000", 1000)] {
            let plan = of(line, PIPE).expect("a plan");
            assert_eq!(plan.expected, Some(Expected::Bytes(size)));
        }
        for framing in ["-l", "-0", "--record-size 80"] {
            let plan = of(&format!("{framing} --size 5"), PIPE).expect("a plan");
            assert_eq!(plan.expected, Some(Expected::Records(5)), "{framing}");
        }
        let plan = of("-l --size 5KB", PIPE).expect("a plan");
        assert_eq!(plan.expected, Some(Expected::Bytes(5000)));
    }

    #[test]
    fn the_size_of_files_is_known() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("written");
            path
        };
        let (one, two) = (file("one", "12345"), file("two", "678"));
        assert_eq!(known(&[one.clone(), two]), Some(8));
        assert_eq!(known(&[one.clone(), "/dev/null".into()]), None);
        assert_eq!(known(&[one, folder.path().join("none")]), None);
    }

    #[test]
    fn what_makes_no_sense_is_turned_away() {
        for (line, said) in [
            ("--interval 0s", "--interval 0s is no time"),
            ("-i 9ms", "--interval 9ms is too short"),
            ("-q --display bar", "--quiet and --display bar"),
            ("-q --display json", "--quiet and --display json"),
            ("-q --summary text", "--quiet and --summary text"),
            ("--size 5s", "--size 5s is a time"),
            (
                "--name a/b",
                "--name \"a/b\": a name with a / means a spool",
            ),
            ("--name \u{7}x", "--name \"\\u{7}x\" must be one line"),
        ] {
            let refused = of(line, PIPE).expect_err(line).to_string();
            assert!(refused.starts_with(said), "{refused}");
        }
    }
}
