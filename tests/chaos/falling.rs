//! A program that weir runs again and again, since it ends after some bytes: what each run has taken, and what of that the
//! next one was given again.
//!
//! Invariant: each run but the last takes so much. Of that only the record comes again that it had not read to its end, and
//! that whole.

use crate::books::{are_of, ensure};
use crate::plan::Plan;
use crate::stream::Framing;

/// So much is taken by each run.
pub(crate) const TAKES: usize = 50_001;

/// What was delivered in all, without what was repeated.
pub(crate) fn net(plan: &Plan, got: Vec<u8>) -> Result<Vec<u8>, String> {
    if !plan.falls() {
        return Ok(got);
    }
    // The next weir gives a last record the end that it lacks.
    let input = plan.framing.ended(&plan.input);
    let mut net = Vec::with_capacity(got.len());
    let mut runs = got.chunks(TAKES).enumerate().peekable();
    while let Some((n, run)) = runs.next() {
        are_of(plan.framing, &input, run).map_err(|what| format!("run {n}: {what}"))?;
        let begun = match runs.peek() {
            Some(_) => plan.framing.begun(run),
            None => 0,
        };
        net.extend_from_slice(&run[..run.len() - begun]);
    }
    ensure!(net.len() <= input.len(), "more than was sent");
    Ok(net)
}

#[test]
fn a_record_that_is_torn_between_two_runs_is_seen() {
    let draw = |seed| Plan::draw(seed);
    let is_it = |plan: &Plan| {
        let is_long = plan.input.len() > 3 * TAKES;
        plan.falls() && plan.framing == Framing::Lines && is_long
    };
    let plan = (0..9999).map(draw).find(is_it).expect("a seed");
    let input = &plan.input;
    let whole = TAKES - plan.framing.begun(&input[..TAKES]);
    let runs = |second: usize| [&input[..TAKES], &input[second..]].concat();
    let is_right = |got: Vec<u8>| {
        let net = net(&plan, got).ok();
        net.is_some_and(|net| input.starts_with(&net))
    };
    assert!(whole < TAKES && is_right(input[..TAKES].to_vec()));
    let again = &runs(whole)[..2 * TAKES];
    assert!(is_right(again.to_vec()), "the record again, and whole");
    assert!(!is_right(runs(TAKES)), "in two halves");
    assert!(!is_right(runs(whole + 1)), "a byte too late");
    assert!(!is_right(runs(0)), "all of it again");
}
