//! Tables as Markdown on standard output, and everything as JSON in a file.

use std::io;
use std::path::Path;

use serde_json::{Value, json};

use crate::lab::Lab;
use crate::peers;
use crate::stats::{figure, median, spread};
use crate::table::{Check, Row, Side, Table};

/// Which machine, which tools, how many runs.
pub(crate) fn print_head(lab: &Lab) {
    let system = rustix::system::uname();
    println!("# weir beside its peers\n");
    println!(
        "{} {}, {} processors, load {}; {} runs each{}.\n",
        system.sysname().to_string_lossy(),
        system.release().to_string_lossy(),
        processors(),
        load(),
        lab.options.runs(),
        if lab.options.quick { ", quick" } else { "" },
    );
    println!("| tool | version |\n|---|---|");
    for name in peers::names() {
        let found = lab.peers.iter().find(|peer| peer.name == name);
        println!(
            "| {name} | {} |",
            found.map_or("not installed", |peer| &peer.version)
        );
    }
    println!(
        "\nFigures are medians (smallest to largest). Ratios are medians of ratios of runs side by side."
    );
}

/// Others at work on the machine show here: the average of the last minute, before we started.
fn load() -> String {
    let averages = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    averages.split(' ').next().unwrap_or("unknown").to_owned()
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(0, usize::from)
}

/// One comparison; `judges`: whether what it came to is held against the goals.
pub(crate) fn print_table(table: &Table, judges: bool) {
    println!("\n## {}\n", table.title);
    if !table.how.is_empty() {
        println!("{}\n", table.how);
    }
    println!("| | {} |", table.columns.join(" | "));
    println!("|---{}|", "|---".repeat(table.columns.len()));
    for row in &table.rows {
        println!("| {} | {} |", row.label, cells(row, table.columns.len()));
    }
    if !(table.checks.is_empty() && table.notes.is_empty()) {
        println!();
    }
    for check in &table.checks {
        let head = if judges {
            verdict(check)
        } else {
            "not judged".to_owned()
        };
        println!("- {head}: {}", against(check));
    }
    for note in &table.notes {
        println!("- {note}");
    }
}

fn cells(row: &Row, columns: usize) -> String {
    match &row.runs {
        Ok(runs) => {
            let column = |at: usize| runs.iter().map(|figures| figures[at]).collect::<Vec<_>>();
            let cells: Vec<String> = (0..columns).map(|at| cell(&column(at))).collect();
            cells.join(" | ")
        }
        Err(skip) => format!("{skip}{}", " |".repeat(columns - 1)),
    }
}

fn cell(series: &[f64]) -> String {
    let (least, most) = spread(series);
    match median(series) {
        middle if middle.is_nan() => "-".to_owned(),
        middle if least == most => figure(middle),
        middle => format!("{} ({}..{})", figure(middle), figure(least), figure(most)),
    }
}

fn verdict(check: &Check) -> String {
    match check.met() {
        Some(true) => "**met**".to_owned(),
        Some(false) if check.goal == 0.0 => format!("**missed by {}**", figure(check.got)),
        Some(false) => {
            let off = (check.got / check.goal - 1.0).abs() * 100.0;
            format!("**missed by {}%**", figure(off))
        }
        None => "**no figure**".to_owned(),
    }
}

fn against(check: &Check) -> String {
    let sign = if check.side == Side::AtLeast {
        ">="
    } else {
        "<="
    };
    format!(
        "{}: {} (goal {sign} {})",
        check.what,
        precise(check.got),
        check.goal
    )
}

/// Goals are often close to 1: more digits than in a cell.
fn precise(value: f64) -> String {
    if (0.01..10.0).contains(&value.abs()) {
        format!("{value:.3}")
    } else {
        figure(value)
    }
}

/// How many goals were met, of all tables.
pub(crate) fn print_verdict(tables: &[(&str, Table)]) {
    let mut count = [0; 3];
    for check in tables.iter().flat_map(|(_, table)| &table.checks) {
        let place = match check.met() {
            Some(true) => 0,
            Some(false) => 1,
            None => 2,
        };
        count[place] += 1;
    }
    println!(
        "\n{} goals met, {} missed, {} without a figure.",
        count[0], count[1], count[2]
    );
}

/// Everything measured, run by run.
pub(crate) fn write_json(path: &Path, lab: &Lab, tables: &[(&str, Table)]) -> io::Result<()> {
    let system = rustix::system::uname();
    let versions: Value = lab
        .peers
        .iter()
        .map(|peer| (peer.name.to_owned(), json!(peer.version)))
        .collect();
    let all: Vec<Value> = tables
        .iter()
        .map(|(section, table)| table_json(section, table))
        .collect();
    let document = json!({
        "v": 1,
        "kernel": system.release().to_string_lossy(),
        "processors": processors(),
        "quick": lab.options.quick,
        "runs": lab.options.runs(),
        "tools": versions,
        "tables": all,
    });
    std::fs::write(path, format!("{document:#}\n"))
}

fn table_json(section: &str, table: &Table) -> Value {
    let rows: Vec<Value> = table.rows.iter().map(row_json).collect();
    let checks: Vec<Value> = table.checks.iter().map(check_json).collect();
    json!({
        "section": section, "title": table.title, "how": table.how, "columns": table.columns,
        "rows": rows, "checks": checks, "notes": table.notes,
    })
}

fn row_json(row: &Row) -> Value {
    match &row.runs {
        Ok(runs) => json!({"label": row.label, "runs": runs}),
        Err(skip) => json!({"label": row.label, "skipped": skip.to_string()}),
    }
}

fn check_json(check: &Check) -> Value {
    let side = if check.side == Side::AtLeast {
        "at least"
    } else {
        "at most"
    };
    json!({"what": check.what, "got": check.got, "goal": check.goal, "side": side, "met": check.met()})
}
