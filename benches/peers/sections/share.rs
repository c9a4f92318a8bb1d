//! Do eight weirs keep to one cap, and is it shared out fairly, whoever is stopped or killed?

use std::thread::sleep;
use std::time::Duration;

use rustix::process::Signal;

use super::members::{CAP, Logs, MEMBERS, MS, Members};
use crate::helpers::now_ns;
use crate::lab::Lab;
use crate::spec::{Contender, Skip};
use crate::stats::{peak, sum_within};
use crate::table::{Figures, Table};

const WEIR: &str = "weir --share NAME -r 10MiB/s";
/// Until all have found each other.
const SETTLED: u64 = 500;
/// From the stop to the kill, and from there to the end.
const STOPPED: u64 = 1000;
const KILLED: u64 = 2000;
/// A share is back when the sum within so many milliseconds is the cap again,
const WINDOW: u64 = 200;
/// of which it may lack half of what one of seven has.
const ENOUGH: f64 = 1.0 - 0.5 / 7.0;

/// On one host, and through a store.
pub(super) fn tables(lab: &Lab) -> Vec<Table> {
    vec![local(lab), super::store::table(lab)]
}

fn local(lab: &Lab) -> Table {
    let name = format!("peers-{}", std::process::id());
    let mut weir = lab.weir(&format!("-q --share {name} -r 10MiB/s"));
    weir.label = WEIR.to_owned();
    let columns = [
        "100 ms / cap",
        "average error %",
        "Jain's index of all",
        "of those left",
        "ms until a dead one's share is back",
    ];
    let calm = lab.either(5000, 1000);
    let title = "Shared cap: eight on a host, 10 MiB/s";
    let runs = lab.options.runs().min(3);
    let mut table = Table::measure(title, &columns, &[weir], runs, |c| observe(lab, c, calm)).how(
        format!(
            "Eager producers; the arrivals of all consumers together. After {} s one is stopped, a second later \
             another one is killed. A share is back when what comes within {WINDOW} ms is the cap again.",
            (SETTLED + calm) as f64 / 1000.0
        ),
    );
    let figure = |column| table.median(WEIR, column);
    let figures = [0, 1, 2, 3, 4].map(figure);
    table.at_most("100 ms window", figures[0], 1.10);
    table.at_most("average off by, %", figures[1].abs(), 0.5);
    table.at_least("Jain's index of all", figures[2], 0.98);
    table.at_least("Jain's index of those left", figures[3], 0.98);
    table.at_most("ms until a dead one's share is back", figures[4], 100.0);
    table
}

fn observe(lab: &Lab, c: &Contender, calm: u64) -> Result<Figures, Skip> {
    let limit = Duration::from_millis(SETTLED + calm + STOPPED + KILLED + 20_000);
    let members = Members::start(lab, c, limit)?;
    let rest = |ms| {
        sleep(Duration::from_millis(ms));
        now_ns()
    };
    let begin = rest(SETTLED);
    let stop = rest(calm);
    members.signal(MEMBERS - 1, Signal::STOP)?;
    let kill = rest(STOPPED);
    members.signal(MEMBERS - 2, Signal::KILL)?;
    let end = rest(KILLED);
    let logs = members.end()?;
    let left = logs.jain(MEMBERS - 2, kill, end);
    Ok(vec![
        peak(&logs.all, 100 * MS) as f64 / (CAP as f64 / 10.0),
        logs.error(begin, end),
        logs.jain(MEMBERS, begin, stop),
        left,
        back_after(&logs, kill, end)?,
    ])
}

/// Milliseconds after which the sum was the cap again.
fn back_after(logs: &Logs, kill: u64, end: u64) -> Result<f64, Skip> {
    let whole = CAP as f64 * WINDOW as f64 / 1000.0;
    let starts = (kill..end - WINDOW * MS).step_by(1_000_000);
    let is_back = |at: &u64| sum_within(&logs.all, *at, *at + WINDOW * MS) as f64 >= ENOUGH * whole;
    let back = starts.into_iter().find(is_back);
    let back = back.ok_or_else(|| Skip::Failed("a dead one's share was not back".to_owned()))?;
    Ok((back - kill) as f64 / MS as f64)
}
