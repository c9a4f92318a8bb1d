//! Files that are named twice: refused in one line, with nothing changed, where that would loop,
//! destroy something or make a mess; and let pass where it does no harm.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Stdio;

use crate::harness::sides::make_fifo;
use crate::harness::{Ended, start, weir_in_shell};
use tempfile::TempDir;

/// A directory with an input of two lines under three names, an empty file, and links to nothing.
struct Folder(TempDir);

const INPUT: &str = "one\ntwo\n";

impl Folder {
    fn new() -> Folder {
        let dir = TempDir::new().expect("make a directory");
        let at = |name: &str| dir.path().join(name);
        fs::write(at("doc"), INPUT).expect("fill a file");
        fs::write(at("end"), "end\n").expect("fill a file");
        fs::write(at("empty"), "").expect("fill a file");
        fs::hard_link(at("doc"), at("hard")).expect("link a file");
        symlink("doc", at("soft")).expect("link a file");
        symlink("new", at("dangling")).expect("link a file");
        make_fifo(&at("fifo"));
        Folder(dir)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// What a shell in this directory makes of `weir WORDS`, redirections included.
    fn run(&self, words: &str) -> Ended {
        let mut command = weir_in_shell("", &[], words);
        command.current_dir(self.0.path());
        let null = || File::open("/dev/null").expect("open /dev/null");
        start(command, null(), Stdio::null()).end()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).expect("read a file")
    }
}

#[test]
fn what_would_loop_or_destroy_is_refused_in_one_line_and_nothing_is_touched() {
    let says = |what: &'static str, why: &'static str| [what, why];
    let replaced = "it would be replaced";
    let again = "what is written would be read again";
    let mixed = "they would be mixed";
    let over = "they would overwrite each other; append with 2>>";
    for (words, says) in [
        ("--metrics doc doc", says("input and --metrics", replaced)),
        ("--metrics soft doc", says("input and --metrics", replaced)),
        ("--metrics doc hard", says("input and --metrics", replaced)),
        (
            "--metrics doc <doc",
            says("standard input and --metrics", replaced),
        ),
        (
            "--metrics doc empty doc",
            says("input and --metrics", replaced),
        ),
        ("--log doc doc", says("input and --log", again)),
        (
            "--log hard - <soft",
            says("standard input and --log", again),
        ),
        ("--log fifo fifo", says("input and --log", again)),
        (
            "--max-age 5s --shed-to ./doc doc",
            says("input and --shed-to", again),
        ),
        (
            "--max-age 5s --shed-to soft hard",
            says("input and --shed-to", again),
        ),
        ("doc 2>>doc", says("input and standard error", again)),
        ("--log end >>end", says("standard output and --log", mixed)),
        (
            "--log fifo 1<>fifo",
            says("standard output and --log", mixed),
        ),
        (
            "--max-age 5s --shed-to end >>end",
            says("standard output and --shed-to", mixed),
        ),
        (
            "--metrics end >>end",
            says("standard output and --metrics", replaced),
        ),
        (
            "--metrics end --log end",
            says("--log and --metrics", replaced),
        ),
        (
            "--max-age 5s --log end --shed-to end",
            says("--log and --shed-to", mixed),
        ),
        (
            "--max-age 5s --log new --shed-to ./new",
            says("--log and --shed-to", mixed),
        ),
        (
            "--max-age 5s --log new --shed-to dangling",
            says("--log and --shed-to", mixed),
        ),
        (
            "--max-age 5s --metrics new --shed-to new",
            says("--shed-to and --metrics", replaced),
        ),
        (
            "--max-age 5s --shed-to end 2>>end",
            says("standard error and --shed-to", mixed),
        ),
        ("--log end 2<>end", says("standard error and --log", over)),
        (
            "--metrics end 2>>end",
            says("standard error and --metrics", replaced),
        ),
    ] {
        let folder = Folder::new();
        let ended = folder.run(words);
        // Where standard error is one of the files, the line is in it.
        let to_file = ["2>>doc", "2>>end", "2<>end"];
        let to_file = to_file.iter().find(|to| words.ends_with(**to));
        let mut said = ended.stderr.clone();
        if let Some(to) = to_file {
            let text = folder.read(to.trim_start_matches(['2', '>', '<']));
            let at = text.find("weir: ").unwrap_or_default();
            said = text[at..].to_owned();
        }
        let line = said.strip_prefix("weir: open: ").unwrap_or_default();
        let says = says.join(" are one file: ");
        assert!(line.contains(&says), "{words}: {said:?} {ended:?}");
        assert_eq!(line.lines().count(), 1, "{words}: {said:?}");
        assert_eq!(ended.status.code(), Some(1), "{words}: {ended:?}");
        if to_file.is_none() {
            assert_eq!(folder.read("doc"), INPUT, "{words}");
            assert_eq!(folder.read("end"), "end\n", "{words}");
        }
        assert!(!folder.at("new").exists(), "{words}");
        let made = fs::read_dir(folder.0.path()).expect("a listing").count();
        assert_eq!(made, 7, "{words}: something was made");
    }
}

#[test]
fn what_does_no_harm_is_let_pass() {
    for words in [
        "--log /dev/null --max-age 5s --shed-to /dev/null /dev/null",
        "--log new 2>>new doc",
        "--log new doc doc",
        "--display json doc >new 2>&1",
        "--log new --metrics other doc",
        "--metrics dangling --log other doc",
        "doc <&- >new 2>&-",
    ] {
        let folder = Folder::new();
        let ended = folder.run(words);
        assert!(ended.status.success(), "{words}: {ended:?}");
        assert_eq!(folder.read("doc"), INPUT, "{words}");
    }
}

/// `weir WORDS` in a folder, and what is in this file then.
fn after(words: &str, file: &str) -> (Ended, String) {
    let folder = Folder::new();
    let ended = folder.run(words);
    (ended, folder.read(file))
}

#[test]
fn an_input_that_is_the_output_is_refused_where_it_would_be_read_again() {
    for (words, left) in [
        ("doc >>doc", INPUT),
        ("hard >>soft", INPUT),
        ("<doc >>doc", INPUT),
        ("- doc </dev/zero >>doc", INPUT),
        // It is empty now, and will not be when its turn comes.
        ("end doc >doc", ""),
        ("/proc/cpuinfo doc >doc", ""),
        ("empty empty end doc >doc", ""),
        // In its place the first time, behind itself the second.
        ("doc doc 1<>doc", INPUT),
        // What is read moves the place where it is written.
        ("<>doc 1>&0", INPUT),
    ] {
        let (ended, text) = after(words, "doc");
        ended.assert_complains(1, &["read: ", "input file is output file"]);
        assert_eq!(text, left, "{words}");
    }
}

#[test]
fn an_input_that_is_the_output_passes_where_it_cannot_be_read_again() {
    for way in ["", "--no-splice "] {
        for (words, left) in [
            // As the coreutils' own tests have it.
            ("doc end >doc", "end\n"),
            ("empty doc end >doc", "end\n"),
            // Each byte lands where it came from.
            ("doc 1<>doc", INPUT),
            ("doc end 1<>doc", "one\ntwo\nend\n"),
        ] {
            let (ended, text) = after(&format!("{way}{words}"), "doc");
            ended.assert_success(&format!("{way}{words}"));
            assert_eq!(text, left, "{way}{words}");
        }
        let (ended, text) = with_its_input_at_its_end(way);
        ended.assert_success("at its end");
        assert_eq!(text, "one\ntwo\nend\n");
    }
}

/// `weir - end`, with standard input at the end of the file that is appended to.
fn with_its_input_at_its_end(way: &str) -> (Ended, String) {
    let folder = Folder::new();
    let doc = folder.at("doc");
    let mut input = File::open(&doc).expect("open a file");
    input.seek(SeekFrom::End(0)).expect("seek");
    let output = OpenOptions::new().append(true).open(&doc);
    let mut command = weir_in_shell("", &[], &format!("{way}- end"));
    command.current_dir(folder.0.path());
    let ended = start(command, input, output.expect("open a file")).end();
    (ended, folder.read("doc"))
}
