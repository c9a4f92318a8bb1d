//! The completion scripts: made from the options, and taught what the maker does not know: that a
//! word without a dash is a file, and which weirs are running.
//!
//! Invariant: a change of the maker that these lessons do not fit is an error, not a lesson lost.

use std::io;

use clap_complete::{Shell, generate};

use super::options::Options;
use clap::CommandFactory;

/// Prints the names of all running weirs, in any shell, and the process IDs of those that have none.
const RUNNING: &str = r#"weir --query 2>/dev/null | sed -n -e 's/^{"v":1,"name":"\([^"\\]*\)".*/\1/p' -e 's/.*"pid":\([0-9]*\),.*/\1/p'"#;

/// How the maker's script for bash offers files: names with blanks are torn.
const BASH_FILES: &str = r#"COMPREPLY=($(compgen -f "${cur}"))"#;

const BASH_OWN_FILES: &str = r#"_weir_files "${cur}""#;

/// What bash offers of the running weirs for a word. A name may hold anything: it is offered as it is, never expanded, and
/// quoted for the command line.
const BASH_RUNNING: &str = r#"_weir_running() {
    local name quoted
    COMPREPLY=()
    while IFS= read -r name; do
        printf -v quoted %q "${name}"
        [[ ${name} == "$1"* || ${quoted} == "$1"* ]] && COMPREPLY+=("${quoted}")
    done < <(RUNNING)
}

# Files, whose names are one word each, never expanded, and quoted where that is needed.
_weir_files() {
    local name
    COMPREPLY=()
    compopt -o filenames 2>/dev/null
    while IFS= read -r name; do
        COMPREPLY+=("${name}")
    done < <(compgen -f -- "$1")
}

_weir() {"#;

/// Words that an option takes beside values of its own, behind each of its names.
const WORDS: [(&str, &str); 7] = [
    ("--pipe-size", "auto keep"),
    ("--sync", "always off"),
    ("--max-age", "off"),
    ("--rate", "off"),
    ("-r", "off"),
    ("--input-rate", "off"),
    ("--on", "full= 90%= shed= stall= restart= give-up= done="),
];

/// The script for this shell.
///
/// # Errors
/// When the maker's script is not what it used to be.
pub(super) fn script(shell: Shell) -> io::Result<String> {
    let mut bytes = Vec::new();
    generate(shell, &mut Options::command(), "weir", &mut bytes);
    let mut script = String::from_utf8_lossy(&bytes).into_owned();
    for (from, to) in lessons(shell) {
        if !script.contains(&from) {
            let what = format!("completions: there is no {from:?} in the script for {shell}");
            return Err(io::Error::other(what));
        }
        script = script.replace(&from, &to);
    }
    for (option, words) in WORDS {
        script = with_words(shell, &script, option, words).ok_or_else(|| {
            let what = format!("completions: there is no {option} in the script for {shell}");
            io::Error::other(what)
        })?;
    }
    Ok(script)
}

/// The script with these words behind this option.
fn with_words(shell: Shell, script: &str, option: &str, words: &str) -> Option<String> {
    let (from, to) = match shell {
        Shell::Bash => {
            let case = format!("                {option})\n                    ");
            let offer = format!("{case}COMPREPLY=($(compgen -W \"{words}\" -- \"${{cur}}\"))");
            (format!("{case}{BASH_OWN_FILES}"), offer)
        }
        Shell::Zsh => {
            // What may be given several times begins with an asterisk.
            let named = match option.starts_with("--") {
                true => format!("{option}=["),
                false => format!("{option}+["),
            };
            let starts = [format!("'{named}"), format!("'*{named}")];
            let is_it = |line: &&str| starts.iter().any(|start| line.starts_with(start));
            let line = script.lines().find(is_it)?;
            let offer = line.replace(":_default'", &format!(":({words})'"));
            (line.to_owned(), offer)
        }
        _ => {
            // Its short name stands in the same line.
            let Some(long) = option.strip_prefix("--") else {
                return Some(script.to_owned());
            };
            let start = format!(" -l {long} ");
            let line = script.lines().find(|line| line.contains(&start))?;
            let offer = line.replacen(&start, &format!("{start}-f -a '{words}' "), 1);
            (line.to_owned(), offer)
        }
    };
    script.contains(&from).then(|| script.replace(&from, &to))
}

/// What is replaced by what.
fn lessons(shell: Shell) -> Vec<(String, String)> {
    let own = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    match shell {
        Shell::Bash => {
            let target = |option: &str| {
                let case = format!("                {option})\n                    ");
                (
                    format!("{case}{BASH_FILES}"),
                    format!("{case}_weir_running \"${{cur}}\""),
                )
            };
            vec![
                target("--remote"),
                target("--query"),
                target("--look"),
                own(
                    "if [[ ${cur} == -* || ${COMP_CWORD} -eq 1 ]] ; then",
                    "if [[ ${cur} == -* ]] ; then",
                ),
                own(
                    "            esac\n            COMPREPLY=( $(compgen -W \"${opts}\" -- \"${cur}\") )",
                    &format!("            esac\n            {BASH_OWN_FILES}"),
                ),
                own(BASH_FILES, BASH_OWN_FILES),
                (
                    "_weir() {".to_owned(),
                    BASH_RUNNING.replace("RUNNING", RUNNING),
                ),
            ]
        }
        Shell::Zsh => vec![
            own(":TARGET:_default", ":TARGET:_weir_running"),
            (
                "\n_weir() {".to_owned(),
                format!(
                    "\n_weir_running() {{\n    local -a all\n    all=(${{(f)\"$({RUNNING})\"}})\n    compadd -a all\n}}\n\n_weir() {{"
                ),
            ),
        ],
        _ => {
            let target = |option: &str| {
                let line = format!("complete -c weir -l {option} ");
                (line.clone(), format!("{line}-x -a '(__weir_running)' "))
            };
            vec![
                target("remote"),
                target("query"),
                target("look"),
                (
                    "complete -c weir -s b ".to_owned(),
                    format!(
                        "function __weir_running\n    {RUNNING}\nend\n\ncomplete -c weir -s b "
                    ),
                ),
            ]
        }
    }
}
