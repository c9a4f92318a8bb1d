//! Measures weir beside its peers, and beside the limit of what can be done.
//!
//!     cargo bench --bench peers -- [FILTER]... [--quick] [--runs N] [--json FILE] [--weir PATH]
//!
//! Every section runs its contenders in turn, A B C A B C, and compares ratios of neighbouring
//! runs: machines are noisy, and the noise of one minute hits all alike. The binary is driven
//! from outside, as a user would; nothing here knows its insides.

mod helpers;
mod lab;
mod options;
mod peers;
mod pipeline;
mod report;
mod sections;
mod spec;
mod stats;
mod table;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(status) = helpers::dispatch(&words) {
        return status;
    }
    match run(options::Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: options::Options) -> std::io::Result<()> {
    let chosen = sections::chosen(&options.filters)?;
    let lab = lab::Lab::new(options)?;
    report::print_head(&lab);
    let mut tables = Vec::new();
    for (name, section) in chosen {
        eprintln!("# {name}");
        let started = Instant::now();
        for table in section(&lab) {
            report::print_table(&table, !lab.options.quick);
            tables.push((name, table));
        }
        eprintln!("# {name}: {:.1} s", started.elapsed().as_secs_f64());
    }
    if !lab.options.quick {
        report::print_verdict(&tables);
    }
    let path = &lab.options.json;
    report::write_json(path, &lab, &tables)?;
    println!("\nEach run: {}", path.display());
    Ok(())
}
