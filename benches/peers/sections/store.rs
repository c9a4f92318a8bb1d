//! The same through a Redis, which is killed and comes back.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::members::{CAP, MEMBERS, MS, Members};
use crate::helpers::now_ns;
use crate::lab::Lab;
use crate::spec::{Contender, Skip};
use crate::stats::{peak, sum_within};
use crate::table::{Figures, Table};

const WEIR: &str = "weir --share redis://HOST/NAME -r 10MiB/s";
/// Milliseconds until all have their part, with the store, and until all have noticed that it has gone.
const SETTLED: u64 = 1500;
const NOTICED: u64 = 1000;
const TIMEOUT: Duration = Duration::from_secs(5);

/// Eight members, and a store of our own.
pub(super) fn table(lab: &Lab) -> Table {
    let mut weir = lab.weir("");
    weir.label = WEIR.to_owned();
    let columns = [
        "average error %",
        "calls per second and member",
        "100 ms / cap",
        "Jain's index",
        "store gone: most of one / an eighth",
        "back: average error %",
        "back: Jain's index",
    ];
    let calm = lab.either(5000, 1000);
    let title = "Shared cap: eight through Redis, 10 MiB/s";
    let runs = lab.either(lab.options.runs().min(3), 1);
    let mut table = Table::measure(title, &columns, &[weir], runs, |_| observe(lab, calm)).how(
        format!(
            "Eager producers; the arrivals of all consumers together, {} s with the store, as long without, and \
             with it again. Calls: scripts that the store has run, as it counts them itself, the first of each \
             member in that time left out.",
            calm as f64 / 1000.0
        ),
    );
    let figure = |column| table.median(WEIR, column);
    let figures = [0, 1, 2, 3, 4, 5, 6].map(figure);
    table.at_most("average off by, %", figures[0].abs(), 1.0);
    table.at_most("calls per second and member", figures[1], 10.0);
    table.at_least("Jain's index", figures[3], 0.98);
    table.at_most("store gone: most of one over an eighth", figures[4], 1.01);
    table.at_most("store back: average off by, %", figures[5].abs(), 1.0);
    table.at_least("store back: Jain's index", figures[6], 0.98);
    table
}

fn observe(lab: &Lab, calm: u64) -> Result<Figures, Skip> {
    if !lab.has("redis-server") {
        return Err(Skip::Absent("redis-server is not installed".to_owned()));
    }
    let port = free_port()?;
    let store = Store::start(port)?;
    let name = format!("redis://127.0.0.1:{port}/peers-{}", std::process::id());
    let weir: Contender = lab.weir(&format!("-q --share {name} -r 10MiB/s"));
    let limit = Duration::from_millis(3 * (calm + SETTLED) + 30_000);
    let members = Members::start(lab, &weir, limit)?;
    let rest = |ms| {
        sleep(Duration::from_millis(ms));
        now_ns()
    };
    let begin = rest(SETTLED);
    let before = store.calls()?;
    let end = rest(calm);
    let calls = (store.calls()? - before) as f64;
    drop(store);
    let alone = rest(NOTICED);
    let alone_end = rest(calm);
    let _store = Store::start(port)?;
    let again = rest(SETTLED);
    let again_end = rest(calm);
    let logs = members.end()?;
    let seconds = (end - begin) as f64 / 1e9;
    let eighth = CAP as f64 / MEMBERS as f64 * (alone_end - alone) as f64 / 1e9;
    let had = logs
        .each
        .iter()
        .map(|log| sum_within(log, alone, alone_end));
    Ok(vec![
        logs.error(begin, end),
        (calls / MEMBERS as f64 - 1.0) / seconds,
        peak(&logs.all, 100 * MS) as f64 / (CAP as f64 / 10.0),
        logs.jain(MEMBERS, begin, end),
        had.max().unwrap_or(0) as f64 / eighth,
        logs.error(again, again_end),
        logs.jain(MEMBERS, again, again_end),
    ])
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A `redis-server` that keeps nothing, killed with its owner.
struct Store(Child, u16);

impl Store {
    fn start(port: u16) -> Result<Self, Skip> {
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--port"]);
        command.arg(port.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let store = Self(command.stderr(Stdio::null()).spawn()?, port);
        let until = Instant::now() + TIMEOUT;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if Instant::now() > until {
                return Err(Skip::Failed("redis-server does not listen".to_owned()));
            }
            sleep(Duration::from_millis(10));
        }
        Ok(store)
    }

    /// How many scripts it has run.
    fn calls(&self) -> Result<u64, Skip> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.1))?;
        stream.write_all(b"INFO commandstats\r\n")?;
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        stream.read_line(&mut head)?;
        let length = head.trim().strip_prefix('$').and_then(|it| it.parse().ok());
        let length = length.ok_or_else(|| Skip::Failed(format!("redis-server: {head}")))?;
        let mut said = String::new();
        stream.take(length).read_to_string(&mut said)?;
        Ok(said.lines().filter_map(script_calls).sum())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// From `cmdstat_evalsha:calls=12,usec=…`.
fn script_calls(line: &str) -> Option<u64> {
    let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
    let calls = rest.split(',').next()?.parse().ok();
    calls.filter(|_| matches!(name, "eval" | "evalsha" | "fcall"))
}
