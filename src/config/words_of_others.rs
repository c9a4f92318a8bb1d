//! Options of other programs that people type from habit, and how weir spells the same.
//!
//! Only those that weir does not know itself are here: `-s` and `-i` mean to it what they mean to
//! `pv`.

/// What others call it, what it is here, and a value to show where none was typed. `{}` stands for
/// the value; what takes none has no example.
type Word = (&'static [&'static str], &'static str, &'static str);

const WORDS: &[Word] = &[
    // pv
    (&["-L", "--rate-limit"], "--rate {}", "10MB"),
    (&["-B", "--buffer-size"], "--buffer {}", "64MiB"),
    (&["-C"], "--no-splice", ""),
    (&["--line-mode"], "--lines", ""),
    (&["-n", "--numeric"], "--display json", ""),
    (&["-f", "--force"], "--display bar", ""),
    (&["-R"], "--remote {}", "PID"),
    (
        &["-c", "--cursor"],
        "not needed: bars do not disturb each other",
        "",
    ),
    (
        &[
            "-p",
            "-t",
            "-e",
            "-a",
            "-T",
            "--progress",
            "--timer",
            "--eta",
            "--bytes",
        ],
        "--display bar, which shows it",
        "",
    ),
    (
        &["-I", "-D", "-w", "-H", "-W", "-F"],
        "not needed: --display bar fits itself to the terminal",
        "",
    ),
    // mbuffer
    (&["-m"], "--buffer {}", "1GiB"),
    (&["-P"], "--prefill {}%", "80"),
    (&["-Q"], "--quiet", ""),
    // throttle
    (&["-M"], "--rate {}MiB/s", "1"),
    (&["-k", "-K"], "--rate {}KiB/s", "512"),
];

/// What to type in place of an unknown option, as the command line has it, if anybody else knows it.
pub(super) fn ours(option: &str, words: &[String]) -> Option<String> {
    let (_, ours, example) = WORDS.iter().find(|(theirs, ..)| theirs.contains(&option))?;
    let value = value(option, words).unwrap_or(example);
    Some(ours.replace("{}", value))
}

/// What was typed as its value: behind it, behind `=`, or as the next word.
fn value<'a>(option: &str, words: &'a [String]) -> Option<&'a str> {
    let at = words.iter().position(|word| word.starts_with(option))?;
    let rest = words[at][option.len()..].trim_start_matches('=');
    let next = words.get(at + 1).map(String::as_str);
    let value = if rest.is_empty() { next? } else { rest };
    let is_figure = value.starts_with(|c: char| c.is_ascii_digit());
    (is_figure).then(|| value.trim_end_matches('%'))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::config::options::Options;

    #[test]
    fn habits_get_the_spelling_of_the_same() {
        for (line, option, told) in [
            ("-L 10M", "-L", Some("--rate 10M")),
            ("-L10M", "-L", Some("--rate 10M")),
            ("--rate-limit=5M", "--rate-limit", Some("--rate 5M")),
            ("-L", "-L", Some("--rate 10MB")),
            ("-L -q", "-L", Some("--rate 10MB")),
            ("-m 1G", "-m", Some("--buffer 1G")),
            ("-P 80", "-P", Some("--prefill 80%")),
            ("-P 80%", "-P", Some("--prefill 80%")),
            ("-M 2", "-M", Some("--rate 2MiB/s")),
            ("-R 4711", "-R", Some("--remote 4711")),
            ("-z 3", "-z", None),
        ] {
            let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(ours(option, &words).as_deref(), told, "{line}");
        }
    }

    #[test]
    fn what_weir_has_itself_is_not_the_word_of_another_and_what_is_told_is_right() {
        let command = Options::command();
        let has = |word: &str| {
            command.get_arguments().any(|arg| {
                let short = arg.get_short().map(|short| format!("-{short}"));
                let long = arg.get_long().map(|long| format!("--{long}"));
                short.as_deref() == Some(word) || long.as_deref() == Some(word)
            })
        };
        for (theirs, ours, _) in WORDS {
            for word in *theirs {
                assert!(!has(word), "weir has {word}");
            }
            let named = ours.split([' ', ',']).next().unwrap_or_default();
            assert!(named == "not" || has(named), "{ours}");
        }
    }
}
