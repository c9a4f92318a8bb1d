//! What others type, what they are told, and that what they are told is right.

use clap::CommandFactory;

use super::*;
use crate::config::options::Options;

#[test]
fn habits_get_the_spelling_of_the_same() {
    for (line, option, told) in [
        ("-L 10M", "-L", Some("--rate 10MiB")),
        ("-L10M", "-L", Some("--rate 10MiB")),
        ("--rate-limit=5M", "--rate-limit", Some("--rate 5MiB")),
        ("-L", "-L", Some("--rate 10MB")),
        ("-L -q", "-L", Some("--rate 10MB")),
        ("-m 1G", "-m", Some("--buffer 1GiB")),
        ("-L 512k", "-L", Some("--rate 512KiB")),
        ("-L 10MB", "-L", Some("--rate 10MB")),
        ("-P 80", "-P", Some("--prefill 80%")),
        ("-P 80%", "-P", Some("--prefill 80%")),
        ("-M 2", "-M", Some("--rate 2MiB/s")),
        ("-M", "-M", Some("--rate 1MiB/s")),
        ("-K 64", "-K", Some("--rate 64KiB/s")),
        ("-k 64", "-k", Some("--rate 64kbit/s (as in throttle)")),
        ("-k", "-k", Some(UNITS)),
        ("-8", "-8", Some(BITS)),
        ("-4", "-4", Some(NETWORK)),
        ("-u 20", "-u", Some("--rate LIMIT, which evens what leaves")),
        ("-u block", "-u", Some(FITS)),
        ("-A 20", "-A", Some(LOOK)),
        (
            "-m 1",
            "-m",
            Some("--rate 1Mbit/s (as in throttle) or --buffer 1 (as in mbuffer)"),
        ),
        ("-R 4711", "-R", Some("--remote 4711")),
        ("-R 10M", "-R", Some("--rate 10MiB")),
        ("-t 1000", "-t", Some("--rate 1000B/s")),
        ("-t", "-t", Some(SHOWN)),
        ("-ptebar", "-p", Some(SHOWN)),
        ("-T 5", "-T", Some("--interval 5s")),
        ("-T /var/tmp/x", "-T", Some(WITH_FILE[0].1)),
        ("-T file", "-T", Some(WITH_FILE[0].1)),
        ("-T/var/tmp/x", "-T", Some(WITH_FILE[0].1)),
        ("-T", "-T", Some(SHOWN)),
        ("-T -q", "-T", Some(SHOWN)),
        ("-Tq", "-T", Some(SHOWN)),
        ("-n 4096", "-n", Some("--stop-at 4096")),
        ("-n", "-n", Some("--display json")),
        ("-p 75", "-p", Some("--low 75%")),
        ("-W 60", "-W", Some("--timeout 60s")),
        ("-W", "-W", Some(DRAWS_LATE)),
        (
            "-P weir.pid",
            "-P",
            Some("--name backup, by which --remote finds it"),
        ),
        ("-S", "-S", Some("--stop-at 4GiB")),
        ("-P 4 -- gzip", "-P", Some("--jobs 4")),
        ("-P4 -n 100 -- gzip", "-n", Some("--lines --batch 100")),
        ("--block 1M -- wc", "--block", Some("--lines --batch 1MiB")),
        (
            "--retries 3 -- curl",
            "--retries",
            Some("--give-up 3; without it a batch is tried until it succeeds"),
        ),
        ("--retries 3", "--retries", None),
        ("-L 10M -- cat", "-L", Some("--rate 10MiB")),
        ("-L 1 -- cat", "-L", Some("--lines --batch 1")),
        ("--retries 0 -- cat", "--retries", None),
        (
            "--halt now,fail=1 -- cat",
            "--halt",
            Some("--reject STATUS, or --give-up N, for a batch that can never succeed"),
        ),
        ("-z 3", "-z", None),
        ("-K", "-K", Some(DIRECT)),
        ("-Z 4096", "-Z", Some(BAD_PLACES)),
        ("-Z 4k", "-Z", Some(BAD_PLACES)),
        ("-Q 4711", "-Q", Some("--query 4711")),
        ("-Q", "-Q", Some("--quiet")),
        ("-D 8G", "-D", Some("--stop-at 8GiB")),
        ("-D 3", "-D", Some(DRAWS_LATE)),
        ("--output x", "--output", Some(TO_FILE)),
        ("--tapeaware", "--tapeaware", Some(TAPES)),
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
    let all = WORDS.iter().map(|(theirs, ours, _)| (theirs, ours));
    let by_value = WITH_NUMBER.iter().chain(WITH_UNIT).chain(WITH_COMMAND);
    let by_value = by_value.chain(WITH_FILE);
    for (theirs, ours) in all.chain(by_value.map(|(theirs, ours)| (theirs, ours))) {
        for word in *theirs {
            assert!(!has(word), "weir has {word}");
        }
        let named = ours.split([' ', ',']).next().unwrap_or_default();
        assert!(named == "not" || has(named), "{ours}");
        let all = ours.split(' ').filter(|word| word.starts_with("--"));
        for word in all.map(|word| word.trim_end_matches([',', ';'])) {
            assert!(has(word), "{ours}");
        }
    }
}
