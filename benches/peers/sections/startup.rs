//! How long does it take to start, find nothing to do, and end?

use std::time::Duration;

use crate::lab::Lab;
use crate::pipeline::Pipeline;
use crate::spec::{Contender, Middle, Skip};
use crate::table::{Figures, Table};

/// Empty input, the whole process.
pub(super) fn tables(lab: &Lab) -> Vec<Table> {
    let runs = lab.either(50, 15);
    let contenders = [
        lab.peer("cat"),
        lab.peer("pv -q"),
        lab.peer("mbuffer -q"),
        lab.weir(""),
    ];
    let mut table = Table::measure("Start-up and exit", &["ms"], &contenders, runs, once).how(
        format!("An empty pipe as input, {runs} runs, from before fork to after wait."),
    );
    let over = table.median("weir", 0) - table.median("cat", 0);
    table.at_most("ms over cat", over, 1.5);
    vec![table]
}

fn once(contender: &Contender) -> Result<Figures, Skip> {
    let spec = match &contender.middle {
        Middle::Via(spec) => spec.clone(),
        Middle::Missing(why) => return Err(Skip::Absent(why.clone())),
        Middle::Bare => return Err(Skip::Absent("nothing to start".to_owned())),
    };
    let outcome = Pipeline::start(&[spec], Duration::from_secs(10))?.finish()?;
    outcome.check(0, contender.is_weir, false)?;
    Ok(vec![outcome.wall.as_secs_f64() * 1000.0])
}
