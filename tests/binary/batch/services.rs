//! Batches for something that fails and hangs: a program that is killed, a server that refuses, resets and is silent, and a
//! database that knows the number of a batch.

use std::fs;
use std::io::{Write, pipe};
use std::path::Path;
use std::process::Stdio;

use rustix::process::{Signal, kill_process};

use super::{run_lines, words};
use crate::harness::dir::{Dir, lines};
use crate::harness::process::child_of;
use crate::harness::{self, start, weir};

#[test]
fn a_command_that_is_killed_at_any_time_loses_nothing() {
    let dir = Dir::new();
    let wanted = harness::kills(80);
    // As a rule two batches for each.
    let count = wanted * 100;
    let (stdin, mut input) = pipe().expect("a pipe");
    let out = dir.at("out");
    // Whoever reads the result takes each batch once, by its number.
    let script = "cat > $0.part.$$ && mv $0.part.$$ $0.$WEIR_BATCH";
    let words = words(&["-l", "--batch", "50", "--summary", "json"], script, &out);
    let mut weir = start(weir(&words), stdin, Stdio::null());
    let writing = harness::beside(move || input.write_all(&lines(count)));
    let (mut kills, mut dice) = (0, 1u64);
    while weir.is_alive() && kills < wanted {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        std::thread::sleep(std::time::Duration::from_micros((dice >> 33) % 3000));
        if let Some(child) = child_of(weir.pid()) {
            kills += usize::from(kill_process(child, Signal::KILL).is_ok());
        }
    }
    eprintln!("killed {kills} times at random");
    writing.done().expect("all is read");
    let end = weir.end();
    assert!(end.status.success(), "{end:?}");
    let files = Path::new(&out)
        .parent()
        .expect("a folder")
        .read_dir()
        .expect("files");
    let names = files.map(|file| file.expect("a file").path());
    let whole = names.filter(|path| !path.to_string_lossy().contains(".part."));
    let all: String = whole
        .map(|path| fs::read_to_string(path).expect("a batch"))
        .collect();
    let mut numbers: Vec<&str> = all.lines().collect();
    numbers.sort_unstable();
    let wanted = String::from_utf8(lines(count)).expect("text");
    assert_eq!(numbers, wanted.lines().collect::<Vec<_>>(), "{kills} kills");
    assert!(kills > 0, "none was killed");
}

/// A small server: what it is asked `n`th it deals with as `answers` says, and with success from then on. What was
/// sent in a request that was answered well is what has arrived.
fn serve(answers: &'static [&'static str]) -> (u16, std::sync::mpsc::Receiver<(String, String)>) {
    use std::io::{BufRead, BufReader, Read};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (arrived, arrivals) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for (n, stream) in listener.incoming().enumerate() {
            let mut stream = stream.expect("a connection");
            let mut reader = BufReader::new(stream.try_clone().expect("a copy"));
            let (mut length, mut id) = (0, String::new());
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) <= 2 {
                    break;
                }
                if let Some((name, value)) = line.split_once(':') {
                    match name.to_ascii_lowercase().as_str() {
                        "content-length" => length = value.trim().parse().unwrap_or(0),
                        "idempotency-key" => id = value.trim().to_owned(),
                        _ => {}
                    }
                }
            }
            match answers.get(n).copied().unwrap_or("200 OK") {
                // It goes away with what it was sent unread.
                "reset" => continue,
                "hang" => {
                    kept.push(stream);
                    continue;
                }
                answer => {
                    let mut body = vec![0; length];
                    if reader.read_exact(&mut body).is_err() {
                        continue;
                    }
                    let head = format!(
                        "HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                    );
                    let is_sent = stream.write_all(head.as_bytes()).is_ok();
                    if is_sent && answer.starts_with("200") {
                        let text = String::from_utf8(body).expect("text");
                        if arrived.send((id, text)).is_err() {
                            return;
                        }
                    }
                }
            }
        }
    });
    (port, arrivals)
}

#[test]
fn a_log_is_shipped_over_http_through_refusals_resets_and_silence() {
    if !harness::has("curl") {
        return;
    }
    let (port, arrivals) = serve(&[
        "503 Service Unavailable",
        "reset",
        "200 OK",
        "hang",
        "503 Service Unavailable",
        "200 OK",
        "reset",
    ]);
    let dir = Dir::new();
    let script = format!(
        "exec curl -sf -H \"Idempotency-Key: $WEIR_BATCH\" --data-binary @- http://127.0.0.1:{port}/in"
    );
    let options = ["--batch", "100", "--sink-timeout", "3s"];
    let (end, books) = run_lines(&dir, &options, &script, 500);
    assert!(end.status.success(), "{end:?}");
    books.assert_are("records", [500, 500, 0, 0], "over HTTP");
    // One that was answered too late may have come twice, under the same number.
    let mut all: Vec<(String, String)> = arrivals.try_iter().collect();
    all.dedup();
    let text: String = all.iter().map(|(_, text)| text.as_str()).collect();
    harness::assert_same(text.as_bytes(), &lines(500), "over HTTP");
    assert!(books.n("command/batches/retried/batches") >= 5);
}

#[test]
fn a_database_that_knows_the_number_of_a_batch_has_no_row_twice_and_misses_none() {
    if !harness::has("sqlite3") {
        return;
    }
    let dir = Dir::new();
    let out = dir.at("out");
    let wanted = harness::kills(100);
    let count = wanted * 30;
    let make = "create table r(batch, n, primary key(batch, n))";
    let made = harness::program("sqlite3").args([&out, make]).status();
    assert!(made.expect("sqlite3").success());
    let script = "{ echo .timeout 10000; echo 'begin immediate;'; \
                  sed \"s/.*/insert or ignore into r values('$WEIR_BATCH', '&');/\"; echo 'commit;'; } \
                  | sqlite3 -bail $0";
    let (stdin, mut input) = pipe().expect("a pipe");
    let words = words(&["-l", "--batch", "50", "--summary", "json"], script, &out);
    let mut weir = start(weir(&words), stdin, Stdio::null());
    let writing = harness::beside(move || input.write_all(&lines(count)));
    let (mut kills, mut dice) = (0, 7u64);
    while weir.is_alive() && kills < wanted {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        std::thread::sleep(std::time::Duration::from_micros((dice >> 33) % 20_000));
        if let Some(child) = child_of(weir.pid()) {
            kills += usize::from(kill_process(child, Signal::KILL).is_ok());
        }
    }
    eprintln!("killed {kills} times at random");
    writing.done().expect("all is read");
    let end = weir.end();
    assert!(end.status.success(), "{end:?}");
    let ask = "select count(*), count(distinct n), min(n), max(n) from r";
    // One whose shell was killed may still have it.
    let busy = ["-cmd", ".timeout 10000"];
    let answer = harness::program("sqlite3")
        .args(busy)
        .args([&out, ask])
        .output();
    let answer = String::from_utf8(answer.expect("sqlite3").stdout).expect("text");
    assert_eq!(
        answer.trim(),
        format!("{count}|{count}|00000001|{count:08}"),
        "{kills} kills"
    );
    assert!(kills > 0, "none was killed");
}
