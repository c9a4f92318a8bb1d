//! A change of a running weir: the difference between what is in force and what is asked for.
//!
//! Invariants: a change is checked as a whole, by the same checks as a command line, before any of
//! it is told to anybody. What does not differ is not in it, so that an option has no other effect
//! than its own: a closed gate stays closed, a debt is kept, a timetable goes on.

use std::path::PathBuf;
use std::time::Duration;

use super::ConfigError;
use super::caps::{Ruler, SideCaps, command, replaced};
use super::check;
use super::live::{LiveConfig, burst};
use super::live_options::{Flow, LiveOptions};
use crate::engine::directive::Directive;
use crate::engine::stall::Side;
use crate::report::Expected;
use crate::units::Timetable;

/// Only what differs.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Patch {
    /// What the engine is to be told, in this order; what timetables say goes before it.
    pub commands: Vec<Directive>,
    /// All the timetables that there are now, if they are not those that there were.
    pub timetables: Option<Vec<(Side, Timetable)>>,
    /// Time between reports.
    pub interval: Option<Duration>,
    /// The label.
    pub name: Option<String>,
    /// The expected total.
    pub expected: Option<Expected>,
    /// The directory whose size is that total from now on.
    pub tree: Option<PathBuf>,
}

impl LiveConfig {
    /// What is in force after this change, and the difference.
    ///
    /// # Errors
    /// When the options would contradict each other then.
    pub(crate) fn patched(&self, asked: &LiveOptions) -> Result<(LiveConfig, Patch), ConfigError> {
        let ours = &self.options;
        let framed = self.framing.is_some();
        let rate = replaced("--rate", ours.rate.clone(), &asked.rate, framed)?;
        let input_rate = replaced(
            "--input-rate",
            ours.input_rate.clone(),
            &asked.input_rate,
            framed,
        )?;
        let options = asked.clone().over(ours, [rate, input_rate]);
        let next = match burst(&options, framed, self.capacity) {
            // A burst that was given for a cap that is gone waits for the next one.
            Err(_) if asked.burst.is_none() => {
                let without = LiveOptions {
                    burst: None,
                    ..options.clone()
                };
                let next = LiveConfig::check(without, self.capacity, self.framing, self.fixed)?;
                LiveConfig { options, ..next }
            }
            _ => LiveConfig::check(options, self.capacity, self.framing, self.fixed)?,
        };
        if self.fixed.is_shared {
            check::still_shared(&self.output, &next.output)?;
        }
        let mut patch = Patch::between(self, &next);
        if self.fixed.is_shared && patch.commands.is_empty() {
            // Somebody else may have changed it for all since it was said here.
            let said = asked.rate.iter().filter_map(|limit| limit.unit(framed));
            let again = said.filter_map(|unit| next.output.command(unit));
            patch.commands.extend(again);
        }
        patch
            .commands
            .extend(asked.flow.and_then(|flow| match flow {
                Flow::Pause => Some(Directive::Pause),
                Flow::Resume => Some(Directive::Resume),
                Flow::Drain => Some(Directive::Drain),
                // That is nothing for the engine.
                Flow::Retry => None,
            }));
        Ok((next, patch))
    }
}

impl Patch {
    /// What leads from one to the other.
    fn between(old: &LiveConfig, new: &LiveConfig) -> Patch {
        let mut commands = Vec::new();
        let mut tell = |differs: bool, command: Directive| {
            if differs {
                commands.push(command);
            }
        };
        tell(old.marks != new.marks, Directive::Marks(new.marks));
        tell(old.burst != new.burst, Directive::Burst(new.burst));
        tell(old.shed != new.shed, Directive::Shed(new.shed));
        tell(old.max_age != new.max_age, Directive::MaxAge(new.max_age));
        let jobs = new.jobs.filter(|_| old.jobs != new.jobs);
        commands.extend(jobs.map(Directive::Jobs));
        commands.extend(caps(Side::Sink, &old.output, &new.output));
        commands.extend(caps(Side::Source, &old.input, &new.input));
        let is_same = old.timetables().eq(new.timetables());
        let timetables = new.timetables().map(|(side, table)| (side, table.clone()));
        Patch {
            commands,
            timetables: (!is_same).then(|| timetables.collect()),
            interval: new.interval.filter(|_| old.interval != new.interval),
            name: new.name.clone().filter(|_| old.name != new.name),
            expected: new.expected.filter(|_| old.expected != new.expected),
            tree: new.tree.clone().filter(|_| old.tree != new.tree),
        }
    }
}

/// The caps of one side that differ; what a timetable says of one is said when it is looked at, so
/// that no cap is lifted for a moment.
fn caps(side: Side, old: &SideCaps, new: &SideCaps) -> Vec<Directive> {
    let pairs = old.each().into_iter().zip(new.each());
    let told = pairs.filter(|((_, old), (_, new))| old != new);
    told.filter_map(|(_, (unit, ruler))| match ruler {
        Ruler::Nothing => Some(command(side, unit, None)),
        Ruler::Engine(cap) => Some(command(side, unit, Some(*cap))),
        Ruler::Clock(_) => None,
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use std::mem::discriminant;

    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::config::options::Options;
    use crate::config::tests::resolve;
    use crate::engine::limiter::Bursts;

    fn live(line: &str) -> LiveConfig {
        resolve(line).expect(line).live
    }

    /// What these words ask for.
    fn asked(words: &str) -> LiveOptions {
        let words = words.split_whitespace();
        let words = ["weir", "--remote", "it"].into_iter().chain(words);
        Options::try_parse_from(words).expect("options").live
    }

    fn patch(line: &str, told: &str) -> Result<(LiveConfig, Patch), ConfigError> {
        live(line).patched(&asked(told))
    }

    /// A weir in which every option has a value.
    const ALL: &str = "-l -b 1MiB --high 90% --low 10% --prefill 5% -r 1MB/s..2MB/s -r 5/s \
        --input-rate 00:00,1MB/s --burst 10ms --shed oldest --patience 1s --max-age 1m -i 1s -N one -s 1GiB -j 1..4 -- cat";

    /// Each live option with another value than above, and what of the engine, and what else, is
    /// told of it.
    const EACH: &[(&str, &str, &[&str])] = &[
        ("high", "80%", &["Marks"]),
        ("low", "20%", &["Marks"]),
        ("prefill", "6%", &["Marks"]),
        ("rate", "7/s", &["RateOfRecords"]),
        ("rate", "3MB/s", &["RateOfBytes"]),
        ("rate", "00:00,1MB/s", &["timetables"]),
        ("rate", "off", &["RateOfBytes", "RateOfRecords"]),
        ("input-rate", "2MB/s", &["InputRateOfBytes", "timetables"]),
        ("input-rate", "7/s", &["InputRateOfRecords"]),
        ("input-rate", "00:00,2MB/s", &["timetables"]),
        ("burst", "20ms", &["Burst"]),
        ("shed", "newest", &["Shed"]),
        ("patience", "2s", &["Shed"]),
        ("max-age", "2m", &["MaxAge"]),
        ("jobs", "2", &["Jobs"]),
        ("interval", "2s", &["interval"]),
        ("name", "another", &["name"]),
        ("size", "7MiB", &["size"]),
        ("size", "7", &["size"]),
        ("pause", "", &["Pause"]),
        ("resume", "", &["Resume"]),
        ("drain", "", &["Drain"]),
        ("retry", "", &[]),
        // Of this only who writes is told.
        ("reopen", "", &[]),
    ];

    #[test]
    fn each_option_alone_changes_only_its_own_field() {
        let all = LiveOptions::definitions();
        for arg in all.get_arguments() {
            let long = arg.get_long().expect("an option");
            let is_told = EACH.iter().any(|(option, ..)| *option == long);
            assert!(is_told, "--{long} is missing in the table");
        }
        for (option, value, told) in EACH {
            let change = format!("--{option} {value}");
            let (next, patch) = patch(ALL, &change).expect("a change");
            let mut found: Vec<String> = patch
                .commands
                .iter()
                .map(|command| format!("{command:?}"))
                .map(|text| text.split('(').next().unwrap_or_default().to_owned())
                .collect();
            found.extend(patch.timetables.map(|_| "timetables".to_owned()));
            found.extend(patch.interval.map(|_| "interval".to_owned()));
            found.extend(patch.name.map(|_| "name".to_owned()));
            found.extend(patch.expected.map(|_| "size".to_owned()));
            assert_eq!(found, *told, "{change}");
            // What is in force already is no change, but for what the flow is told.
            let (_, again) = next.patched(&asked(&change)).expect("the same");
            let is_flow = ["pause", "resume", "drain"].contains(option);
            assert_eq!(again == Patch::default(), !is_flow, "{change}: {again:?}");
        }
    }

    #[test]
    fn every_live_option_is_an_option_of_the_command_line() {
        let all = Options::command();
        for arg in LiveOptions::definitions().get_arguments() {
            let known = all.get_arguments().any(|a| a.get_id() == arg.get_id());
            assert!(known, "{arg}");
        }
    }

    #[test]
    fn a_cap_takes_the_place_of_the_one_in_its_unit() {
        for (line, told, left) in [
            ("", "-r 1MB/s", "1MB/s"),
            ("-r 2MB/s", "-r 1MB/s", "1MB/s"),
            ("-l -r 2MB/s -r 5/s", "-r 1MB/s", "5/s 1MB/s"),
            ("-l -r 2MB/s -r 5/s", "-r 7/s", "2MB/s 7/s"),
            ("-l -r 2MB/s -r 5/s", "-r off", "off"),
            ("-l -r 2MB/s -r 5/s", "-r 7/s -r off", "7/s"),
            ("-r off", "-r 1MB/s", "1MB/s"),
            ("-r 2MB/s", "-r 08:00,off", "08:00,off"),
            ("-r 2MB/s", "-r 1MB/s -r 08:00,off", "1MB/s"),
        ] {
            let (live, _) = patch(line, told).expect(told);
            let caps: Vec<_> = live.options.rate.iter().map(ToString::to_string).collect();
            assert_eq!(caps.join(" "), left, "{line}: {told}");
        }
    }

    #[test]
    fn what_contradicts_what_is_in_force_is_refused() {
        for (line, told, said) in [
            (
                "--high 50%",
                "--low 75%",
                "--low 75% must be below --high 50%",
            ),
            (
                "--low 50%",
                "--high 25%",
                "--low 50% must be below --high 25%",
            ),
            (
                "",
                "--high 65MiB",
                "--high 65MiB must be above 0 and within",
            ),
            ("-l", "-r 5/s -r 6/s", "--rate 6/s: there is one already"),
            ("", "--burst 1MiB", "--burst 1MiB: there is no cap"),
            (
                "-b 64KiB --record-size 1MiB",
                "--shed oldest",
                "--shed oldest would shed every record",
            ),
            (
                "-l -j 2..4 -- cat",
                "-j 8",
                "--jobs 8: there are places for 4",
            ),
            (
                "--batch 1MiB -- cat",
                "-j 1..2",
                "--jobs 1..2: there is a place for 1",
            ),
            ("-l -- cat", "-j 2", "--jobs 2: this weir runs one COMMAND"),
            ("-l", "-j 2", "--jobs 2: this weir runs one COMMAND"),
            (
                "-r 1MB/s",
                "-r off --burst 1MiB",
                "--burst 1MiB: there is no cap",
            ),
        ] {
            let error = patch(line, told).expect_err(told).to_string();
            assert!(error.starts_with(said), "{told}: {error}");
        }
    }

    #[test]
    fn a_default_follows_what_it_derives_from() {
        let (live, first) = patch("-b 64MiB", "--high 8MiB").expect("a change");
        assert_eq!(live.marks.low, 7 << 20);
        assert_eq!(first.commands, [Directive::Marks(live.marks)]);
        let (live, _) = live.patched(&asked("--prefill 1MiB")).expect("a change");
        let (live, _) = live.patched(&asked("--high 4MiB")).expect("a change");
        assert_eq!(live.marks.low, 7 << 19);
    }

    #[test]
    fn a_burst_outlives_its_cap() {
        let with = live("-r 1MB/s --burst 1MiB");
        let (without, _) = with.patched(&asked("-r off")).expect("a change");
        assert_eq!(without.burst, Bursts::default());
        let (again, _) = without.patched(&asked("-r 2MB/s")).expect("a change");
        assert_eq!(again.burst, with.burst);
    }

    #[test]
    fn a_timetable_that_is_always_off_leaves_the_cap_beside_it() {
        for line in ["-r 1KB/s -r 08:00,off", "-r 08:00,off -r 1KB/s"] {
            let both = live(line);
            assert_eq!(both.output, live("-r 1KB/s").output, "{line}");
            assert_eq!(both.timetables().count(), 0, "{line}");
        }
    }

    #[test]
    fn a_timetable_lifts_no_cap_on_its_way_and_is_not_begun_anew_beside_another_change() {
        let rate = discriminant(&Directive::RateOfBytes(None));
        for told in ["-r 00:00,1MB/s", "-r 00:00,1MB/s --burst 1MiB"] {
            let (_, patch) = patch("-r 2MB/s", told).expect(told);
            assert!(patch.timetables.is_some());
            let lifted = patch.commands.iter().any(|c| discriminant(c) == rate);
            assert!(!lifted, "{told}: {patch:?}");
        }
        let (_, patch) = patch("-l -r 00:00,1MB/s", "-r 5/s --high 50%").expect("a change");
        assert_eq!(patch.timetables, None);
        assert_eq!(patch.commands.len(), 2, "{patch:?}");
    }
}
