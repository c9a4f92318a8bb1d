//! Every piece that is shown is whole records, so that whatever ends a look, and whenever, it has shown no half of one.

use std::io::{BufRead, BufReader, Read, Write};

use super::lines;
use crate::harness::remote::{Home, Line};
use crate::harness::{assert_same, beside, collect};

/// The pieces that this connection shows, until so many bytes are shown or missed.
fn pieces(line: &Line, all: usize) -> (Vec<Vec<u8>>, usize) {
    let mut stream = BufReader::new(line.socket.try_clone().expect("a descriptor"));
    let (mut pieces, mut shown, mut missed) = (Vec::new(), 0, 0);
    while shown + missed < all {
        let mut head = String::new();
        stream.read_line(&mut head).expect("what is shown");
        let head: serde_json::Value = serde_json::from_str(&head).expect("an answer");
        let said = &head["answer"]["shown"];
        let number = |name: &str| said[name].as_u64().expect("a number") as usize;
        missed = number("missed");
        let mut piece = vec![0; number("bytes")];
        stream.read_exact(&mut piece).expect("what was promised");
        shown += piece.len();
        pieces.push(piece);
    }
    (pieces, missed)
}

#[test]
fn whatever_whoever_looks_is_behind_by_comes_in_pieces_of_whole_records() {
    let folder = tempfile::tempdir().expect("a folder");
    let [spool, another] = ["spool", "another"].map(|it| folder.path().join(it));
    let [spool, another] = [&spool, &another].map(|it| it.to_str().expect("text"));
    let short = lines(0, 120_000);
    let by_zero = short
        .iter()
        .map(|byte| if *byte == b'\n' { 0 } else { *byte });
    let by_zero: Vec<u8> = by_zero.collect();
    let fixed: String = (0..60_000).map(|n| format!("{n:099}\n")).collect();
    let fixed = fixed.into_bytes();
    let long = |k: usize| format!("{k}{}\n", "x".repeat(400_000 + k));
    let long = (0..15).map(long).collect::<String>().into_bytes();
    for (way, bytes, end) in [
        (&["-l", "--shed", "oldest"][..], &short, b'\n'),
        (&["-l", "--spool", spool], &short, b'\n'),
        (&["-l", "--spill", "64MiB"], &short, b'\n'),
        (&["-0", "--shed", "oldest"], &by_zero, 0),
        (&["--record-size", "100", "--shed", "newest"], &fixed, b'\n'),
        (&["-l", "--shed", "oldest"], &long, b'\n'),
        (&["-l", "--spool", another], &long, b'\n'),
    ] {
        let home = Home::new();
        let mut weir = home.start(&[way, &["-b", "100KiB", "-N", "w"]].concat());
        let mut line = home.connect(&weir);
        let welcome = line.ask(r#"{"v":1,"ask":"look"}"#);
        assert_eq!(welcome["shown"]["bytes"], 0);
        let got = collect(weir.stdout.take().expect("not taken yet"));
        let mut stdin = weir.stdin.take().expect("not fed yet");
        let all = bytes.clone();
        // Whoever looks takes nothing before all has passed.
        let fed = beside(move || {
            let pieces = all.chunks(3000);
            pieces.for_each(|piece| stdin.write_all(piece).expect("all is taken"));
            stdin
        });
        let stdin = fed.done();
        let case = format!("{way:?}");
        let (pieces, missed) = pieces(&line, bytes.len());
        for piece in &pieces {
            let tail = &piece[piece.len().saturating_sub(40)..];
            let is_whole = piece.last().is_none_or(|last| *last == end);
            assert!(is_whole, "{case}: {}", tail.escape_ascii());
        }
        if missed == 0 {
            assert_same(&pieces.concat(), bytes, &case);
        }
        drop(stdin);
        drop(got.done());
        assert!(weir.end().success(), "{case}");
    }
}
