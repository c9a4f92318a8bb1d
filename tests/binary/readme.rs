//! The recipes of the README do what it says. Each one is taken from there as it stands and run by
//! bash in a directory of its own, between real programs; `ssh`, `zfs`, `curl` and the programs that
//! only an example has are stood in for by scripts.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::thread::JoinHandle;

use crate::harness::{self, WEIR, program, start};
use tempfile::TempDir;

/// What a recipe finds, and what must be so afterwards: scripts that fail when it is not.
struct Case {
    recipe: &'static str,
    before: &'static str,
    after: &'static str,
}

/// Makes photos, disk.img (300 kB) and srv.
const MATERIAL: &str = r"
mkdir photos srv
seq 20000 > photos/1.jpg; seq 7 > 'photos/two words.jpg'; cp photos/1.jpg srv/page
seq 50000 | head -c 300000 > disk.img
seq 60000 > dataset";

const STAND_INS: [(&str, &str); 3] = [
    // A host is not needed for a command that runs here.
    ("ssh", r#"shift; exec sh -c "$*""#),
    (
        "zfs",
        "case $1 in send) exec cat dataset ;; receive) exec cat > received ;; esac",
    ),
    (
        "curl",
        r#"for url; do :; done; echo "$(date +%s%N) $url" >> requests"#,
    ),
];

const CASES: [Case; 27] = [
    Case {
        recipe: "backup",
        before: "",
        after: "tar tf photos.tar | grep -x photos/1.jpg; tar df photos.tar",
    },
    Case {
        recipe: "prefill",
        before: "",
        after: "cmp dataset received",
    },
    Case {
        recipe: "spill",
        before: "",
        after: "tar df srv.tar",
    },
    Case {
        recipe: "spool",
        // The first connection is lost; later there is none at all while weir is killed.
        before: r#"printf '#!/bin/sh\nseq 100000\n' > service; chmod +x service
            printf '#!/bin/sh\necho >> tries; [ -e down ] && exit 255; shift; [ $(wc -l < tries) = 1 ] || exec sh -c "$*"
                while read -r n; do echo $n >> service.log; [ $n = 500 ] && exit 255; done\n' > bin/ssh"#,
        after: r#"seq 100000 | cmp - service.log; [ $(wc -l < tries) = 2 ]
            weir --query outbox/ | grep '"bytes":0,'
            touch down; seq 100001 200000 > more
            weir -l -N it --spool outbox --restart on-failure --backoff 1h..1h more -- ssh nas 'cat >> service.log' 2>said &
            until weir --query it 2>>said | grep '"in":{"bytes":[0-9]*,"records":100000,.*"circuit":"open"'; do sleep 0.05; done
            { kill -9 $!; wait $!; } 2>/dev/null && exit 1
            rm down; weir --query outbox/ | grep '"bytes":700000,'
            weir -l --spool outbox -- ssh nas 'cat >> service.log' </dev/null
            seq 200000 | cmp - service.log"#,
    },
    Case {
        recipe: "spooled-tee",
        // The first two connections are lost.
        before: r#"mkdir archive; printf '#!/bin/sh\nseq 100000\n' > service; chmod +x service
            printf '#!/bin/sh\necho >> tries; shift; [ $(wc -l < tries) = 3 ] && exec sh -c "$*"
                while read -r n; do echo $n >> service.log; [ $((n %% 500)) = 0 ] && exit 255; done\n' > bin/ssh"#,
        after: "seq 100000 | cmp - service.log; seq 100000 | cmp - archive/service.log
            [ $(wc -l < tries) = 3 ]; weir --query outbox/ | grep '\"bytes\":0,'",
    },
    Case {
        recipe: "cap",
        // A tenth of a second's worth at 30 Mbit/s is 375 kB.
        before: "for i in 1 2 3 4 5; do cat dataset dataset >> disk.img; done; date +%s%N > began",
        after: "ms=$((($(date +%s%N) - $(cat began)) / 1000000))
            [ $ms -ge $(($(stat -c %s disk.img) / 3750 - 10)) ]",
    },
    Case {
        recipe: "share",
        // Both together: at 30 Mbit/s 375 kB take a tenth of a second.
        before: "mkdir home; for i in 1 2 3; do cat disk.img; done | tee home/a > srv/b; date +%s%N > began",
        after: "ms=$((($(date +%s%N) - $(cat began)) / 1000000))
            tar df home.tar; tar df srv.tar
            [ $ms -ge $(($(cat home.tar srv.tar | wc -c) / 3750 - 20)) ]",
    },
    Case {
        recipe: "copies",
        before: "mkdir usb",
        after: "cmp usb/photos.tar photos.tar; tar df photos.tar",
    },
    Case {
        recipe: "command",
        before: "",
        after: "tar df photos.tar
            tar c photos | weir -- ssh nas 'cat > /dev/null; exit 9' && exit 1; [ $? = 9 ]",
    },
    Case {
        recipe: "restart",
        // Each connection is lost but for the last one, which has everything that is left.
        before: r#"printf '#!/bin/sh\nexec seq 100000\n' > server
            printf '#!/bin/sh\necho >> tries; [ $(wc -l < tries) = 3 ] && { cat >> server.log; exit; }
                while read -r n; do echo $n >> server.log; [ $((n %% 500)) = 0 ] && exit 255; done\n' > bin/ssh"#,
        after: "seq 100000 | cmp - server.log; [ $(wc -l < tries) = 3 ]",
    },
    Case {
        recipe: "batches",
        // Every other request is refused.
        before: r#"printf '#!/bin/sh\nexec seq 5000\n' > server
            printf '#!/bin/sh\necho $WEIR_TRY >> tries; [ $(($(wc -l < tries) %% 2)) = 0 ] || exit 22
                cat >> logs\n' > bin/curl"#,
        after: "seq 5000 | cmp - logs; [ $(wc -l < tries) -ge 10 ]",
    },
    Case {
        recipe: "refused",
        // Every other answer is that of an outage. What is refused: see below.
        before: r#"printf '#!/bin/sh\nexec seq 5000\n' > server
            printf '#!/bin/sh\necho $WEIR_TRY >> tries; [ $(($(wc -l < tries) %% 2)) = 0 ] || { cat > /dev/null; printf 503; exit; }
                cat >> logs; printf 200\n' > bin/curl"#,
        after: "seq 5000 | cmp - logs; [ $(wc -l < tries) -ge 10 ]; [ ! -s refused.log ]",
    },
    Case {
        recipe: "spooled-batches",
        // Every other request is refused, and the log has an end.
        before: r#"seq 5000 > app.log; printf '#!/bin/sh\nexec cat app.log\n' > bin/tail; chmod +x bin/tail
            printf '#!/bin/sh\necho $3 >> keys; [ $(($(wc -l < keys) %% 2)) = 0 ] || exit 22\ncat >> logs\n' > bin/curl"#,
        after: "seq 5000 | cmp - logs; [ $(wc -l < keys) = 20 ]; [ $(sort -u keys | wc -l) = 10 ]
            weir --query outbox/ | grep '\"bytes\":0,'",
    },
    Case {
        recipe: "kafka",
        // Every other time no broker is there.
        before: r#"printf '#!/bin/sh\nexec seq 5000\n' > server
            printf '#!/bin/sh\necho $WEIR_TRY >> tries; [ $(($(wc -l < tries) %% 2)) = 0 ] || exit 1
                cat >> logs\n' > bin/kcat; chmod +x bin/kcat"#,
        after: "seq 5000 | cmp - logs; [ $(grep -cx 2 tries) = 5 ]",
    },
    Case {
        recipe: "look",
        // Somebody looks once that can be, and the server goes on when he has seen something.
        before: "printf '#!/bin/sh\nseq 200000\n(until weir --look shipping; do sleep 0.05; done) > seen 2>/dev/null &
                until [ -s seen ]; do sleep 0.05; done\nseq 200001 200010
                until [ \"$(tail -n 1 seen)\" = 200010 ]; do sleep 0.05; done\n' > server
            printf '#!/bin/sh\nexec cat > shipped\n' > ship-logs",
        after: r#"seq 200010 | cmp - shipped
            cmp seen <(seq $(head -n 1 seen) 200010); [ $(wc -c < seen) -gt 1000000 ]"#,
    },
    Case {
        recipe: "tap",
        before: "printf '#!/bin/sh\nexec seq 100000\n' > server
            printf '#!/bin/sh\nexec cat > shipped\n' > ship-logs",
        after: "seq 100000 | cmp - shipped",
    },
    Case {
        recipe: "timetable",
        before: "",
        after: "tar xOzf srv.tar.gz srv/page | cmp - photos/1.jpg",
    },
    Case {
        recipe: "requests",
        before: "seq 12 > urls; date +%s%N > start",
        after: r#"[ "$(cut -d ' ' -f 2 requests)" = "$(seq 12)" ]
            last=$(tail -n 1 requests)
            # The twelfth leaves 1.1 s after the first.
            [ $((${last% *} - $(cat start))) -ge 1050000000 ]"#,
    },
    Case {
        recipe: "null",
        before: "",
        after: "gzip -t photos/1.jpg.gz 'photos/two words.jpg.gz'",
    },
    Case {
        recipe: "log",
        before: "printf '#!/bin/sh\nexec seq 1000000\n' > server
            printf '#!/bin/sh\nuntil [ -s overflow.log ]; do sleep 0.05; done\nexec cat > shipped.log\n' > ship-logs",
        after: r#"sort -nm shipped.log overflow.log | cmp - <(seq 1000000)
            sort -nc shipped.log; sort -nc overflow.log
            [ "$(tail -n 1 shipped.log)" = 1000000 ]; [ -s overflow.log ]"#,
    },
    Case {
        recipe: "fresh",
        before: "printf '#!/bin/sh\nseq 50000; sleep 3; touch late; echo last\n' > sensor
            printf '#!/bin/sh\nuntil [ -e late ]; do sleep 0.05; done\nexec cat > shown\n' > dashboard",
        // What the kernel's pipe held is as old as it is; all the rest is dropped.
        after: "[ \"$(tail -n 1 shown)\" = last ]; [ $(wc -l < shown) -lt 25000 ]",
    },
    Case {
        recipe: "fair",
        before: "printf '#!/bin/sh\nseq -f \"%%.0f quiet x\" 100; seq -f \"%%.0f noisy x\" 300000
            seq -f \"%%.0f noisy ERROR x\" 100; touch late\n' > services
            printf '#!/bin/sh\nuntil [ -e late ]; do sleep 0.05; done\nexec cat > shown\n' > ship-logs",
        after: "[ $(grep -c quiet shown) = 100 ]; [ $(grep -c ERROR shown) = 100 ]
            [ $(wc -l < shown) -lt 200000 ]",
    },
    Case {
        recipe: "patience",
        before: "printf '#!/bin/sh\nexec seq 2000000\n' > server",
        after: "gzip -dc server.log.gz | cmp - <(seq 2000000)",
    },
    Case {
        recipe: "stall",
        before: "tar c photos > photos.tar; mv photos before",
        after: "cmp photos/1.jpg before/1.jpg",
    },
    Case {
        recipe: "json",
        before: "",
        after: r#"gzip -dc disk.img.gz | cmp - disk.img
            grep -q '"name":"nightly".*"event":"summary".*"end":"eof"' flow.json"#,
    },
    Case {
        recipe: "metrics",
        before: "",
        after: "grep -q '^weir_written_bytes_total{name=\"backup\"' weir.prom",
    },
    Case {
        recipe: "remote",
        before: "cp dataset srv; seq 1000000 > srv/large",
        after: "tar xOzf srv.tar.gz srv/large | cmp - srv/large",
    },
];

/// Recipes by name: every block of commands that follows a comment `<!-- recipe: NAME -->`.
fn recipes() -> BTreeMap<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(path).expect("read the README");
    let mut recipes = BTreeMap::new();
    for part in readme.split("<!-- recipe: ").skip(1) {
        let (name, rest) = part.split_once(" -->\n```sh\n").expect("a block follows");
        let (commands, _) = rest.split_once("\n```").expect("the block ends");
        let twice = recipes.insert(name.to_owned(), commands.to_owned());
        assert!(twice.is_none(), "{name} is there twice");
    }
    recipes
}

/// A server of HTTP that gives these answers, one a request, and then ends: what it was sent, and where it is.
fn answering(codes: &'static [u16]) -> (JoinHandle<Vec<(u16, String)>>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let place = listener.local_addr().expect("its address").to_string();
    let serve = move || {
        let requests = codes.iter().map(|code| {
            let (connection, _) = listener.accept().expect("a request");
            let mut reader = BufReader::new(connection);
            let heads = reader.by_ref().lines().map(|line| line.expect("text"));
            let heads: Vec<String> = heads.take_while(|line| !line.is_empty()).collect();
            let length = heads
                .iter()
                .find_map(|line| line.strip_prefix("Content-Length: "));
            let length: usize = length.expect("a length").parse().expect("a number");
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("a body");
            let answer =
                format!("HTTP/1.1 {code} So\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno\n");
            let sent = reader.get_mut().write_all(answer.as_bytes());
            sent.expect("it is heard");
            (*code, String::from_utf8(body).expect("text"))
        });
        requests.collect()
    };
    (std::thread::spawn(serve), place)
}

/// By the real curl: an outage means the same batch again, a refusal the next one.
#[test]
fn the_recipe_for_refusals_takes_no_outage_for_one() {
    if !harness::has("curl") {
        return;
    }
    const CODES: &[u16] = &[503, 200, 400, 429, 500, 200, 422, 204];
    let (server, place) = answering(CODES);
    let dir = TempDir::new().expect("make a directory");
    let dir = dir.path();
    std::os::unix::fs::symlink(WEIR, dir.join("weir")).expect("link to weir");
    write_program(&dir.join("server"), "exec seq 5000");
    let recipe = &recipes()["refused"];
    let recipe = recipe.replace("https://logs.example/in", &format!("http://{place}/in"));
    let recipe = recipe.replace("--batch", "--backoff 10ms..20ms --batch");
    let script =
        format!("set +e; PATH=$PWD:$PATH; unset http_proxy; {recipe} 2>said; [ $? = 123 ]");
    bash(dir, "the recipe", &script);
    harness::eventually("it has answered all", || server.is_finished());
    let got = server.join().expect("it has answered all");
    let batch = |nth: u32| -> String {
        let numbers = nth * 1000 + 1..=(nth + 1) * 1000;
        numbers.map(|n| format!("{n}\n")).collect()
    };
    let wanted = [0, 0, 1, 2, 2, 2, 3, 4].map(batch);
    for ((code, body), (nth, wanted)) in got.iter().zip(wanted.iter().enumerate()) {
        assert!(
            body == wanted,
            "request {nth}, answered {code}: {} bytes",
            body.len()
        );
    }
    let refused = fs::read_to_string(dir.join("refused.log")).expect("a file");
    assert!(refused == batch(1) + &batch(3), "{} bytes", refused.len());
}

fn write_program(path: &Path, script: &str) {
    fs::write(path, format!("#!/bin/sh\n{script}\n")).expect("write a script");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("make it executable");
}

/// Runs a script in this directory; its first failing command is the end of it.
fn bash(dir: &Path, what: &str, script: &str) {
    let mut command = program("bash");
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let here = [dir.join("bin")];
    let paths = here.into_iter().chain(std::env::split_paths(&paths));
    command
        .args(["-euo", "pipefail", "-c", script])
        .current_dir(dir)
        .env("XDG_RUNTIME_DIR", dir)
        .env("PATH", std::env::join_paths(paths).expect("a path"));
    start(command, Stdio::null(), Stdio::null())
        .end()
        .assert_success(what);
}

fn try_out(case: &Case, commands: &str) {
    let name = case.recipe;
    let dir = TempDir::new().expect("make a directory");
    let dir = dir.path();
    fs::create_dir(dir.join("bin")).expect("make a directory");
    for (name, script) in STAND_INS {
        write_program(&dir.join("bin").join(name), script);
    }
    std::os::unix::fs::symlink(WEIR, dir.join("bin/weir")).expect("link to weir");
    let before = format!("{MATERIAL}\n{}\n", case.before);
    bash(dir, &format!("{name}: before"), &before);
    for own in ["server", "services", "ship-logs", "sensor", "dashboard"] {
        if dir.join(own).exists() {
            let executable = fs::Permissions::from_mode(0o755);
            fs::set_permissions(dir.join(own), executable).expect("make it executable");
        }
    }
    bash(dir, name, commands);
    bash(dir, &format!("{name}: after"), case.after);
}

#[test]
fn every_recipe_does_what_it_says() {
    let recipes = recipes();
    let cases: Vec<&str> = CASES.iter().map(|case| case.recipe).collect();
    for name in recipes.keys() {
        assert!(cases.contains(&name.as_str()), "nobody tries out {name}");
    }
    for case in &CASES {
        let commands = recipes.get(case.recipe);
        let commands = commands.unwrap_or_else(|| panic!("there is no recipe {}", case.recipe));
        try_out(case, commands);
    }
}
