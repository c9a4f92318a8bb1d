//! Who stands beside weir, and what is done to them.

use crate::dice::Dice;
use crate::options;
use crate::store::StoreAct;
use crate::stream::Framing;

use super::{Action, Consumer, Link, Producer};

pub(super) fn consumer(dice: &mut Dice, total: usize) -> Consumer {
    let some = dice.between(0, total as u64) as usize;
    dice.pick(&[
        Consumer::Eager,
        Consumer::Slow,
        Consumer::Slow,
        Consumer::Lumpy,
        Consumer::Stops(some),
        Consumer::Leaves(some),
    ])
}

pub(super) fn links(dice: &mut Dice, producer: Producer, consumer: Consumer) -> (Link, Link) {
    let all = [Link::Pipe, Link::Pipe, Link::Pipe, Link::Socket, Link::Cat];
    let (before, behind) = (dice.pick(&all), dice.pick(&all));
    let behind = if dice.percent(20) {
        Link::Command
    } else {
        behind
    };
    let before = match producer {
        // Which is not read.
        Producer::Files(_) => Link::Pipe,
        _ => before,
    };
    // A socket that is left with data in it says something else than "gone".
    match (behind, consumer) {
        (Link::Socket, Consumer::Leaves(_)) => (before, Link::Pipe),
        _ => (before, behind),
    }
}

pub(super) fn actions(
    dice: &mut Dice,
    control: bool,
    options: &mut options::Options,
    framing: Framing,
    total: usize,
) -> Vec<Action> {
    let mut actions = Vec::new();
    for _ in 0..dice.spread(0, 6) + dice.between(0, 3) {
        actions.push(Action::Wait(dice.millis(0, 60)));
        if options.store && dice.percent(35) {
            // A lease lasts for a while.
            let wait = dice.millis(0, 800);
            actions.extend([Action::Store(StoreAct::draw(dice)), Action::Wait(wait)]);
            continue;
        }
        match dice.between(0, 29) {
            25 | 26 => actions.push(Action::StopCommand(dice.millis(0, 150))),
            27 if control => actions.push(Action::Query),
            0..=3 => actions.push(Action::Freeze(dice.millis(0, 120))),
            4..=11 if control => {
                actions.push(Action::Remote(options::change(
                    dice, options, framing, total,
                )));
            }
            12 | 13 => actions.push(Action::Signal("USR1")),
            14 => actions.push(Action::Signal("TERM")),
            15 => actions.push(Action::Signal("HUP")),
            16 if dice.percent(50) => actions.push(Action::Signal("INT")),
            17 => actions.push(Action::KillBefore),
            18 => actions.push(Action::KillBehind),
            19..=21 if control => actions.push(Action::Look),
            22 => actions.push(Action::KillLook),
            _ => actions.push(Action::Wait(dice.millis(0, 100))),
        }
    }
    actions
}
