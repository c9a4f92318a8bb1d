//! One run in data mode, from the options to its end.

mod batches;
mod beside;
mod consumer;
mod deadline;
mod descriptors;
mod end;
mod error;
mod heeding;
mod hooks;
mod last;
mod measure;
mod one_file;
mod open;
mod questions;
mod reopening;
mod start;
mod supervise;
mod tees;
mod timetable;
mod waiting;
mod with_jobs;
mod with_workers;

use std::io::{self, Write};
use std::num::NonZeroU32;
use std::time::Instant;

use crossbeam_channel::{never, unbounded};
use jiff::Zoned;

use crate::command::adopted;
use crate::config::Config;
use crate::config::hook::Occasion;
use crate::control::server::Control;
use crate::control::signals::{self, Received};
use crate::control::{client, directory};
use crate::engine::Rules;
use crate::engine::directive::Directive;
use crate::pipe::Started;
use crate::pipe::error::PipeError;
use crate::pipe::fd::Port;
use crate::report::{Ending, Others, Reporter};
use deadline::Deadline;
pub(crate) use end::End;
use end::{tees_behind, undelivered};
pub(crate) use error::StartError;
use error::system;
use hooks::Hooks;
use start::start;
use supervise::{HALT, Run};
use timetable::Schedules;
use waiting::Waiting;

/// Where the other weirs of this user are.
const OTHERS: Others = Others {
    directory: directory::for_new,
    ask: client::glance,
};

/// Runs until the end.
///
/// # Errors
/// When an end of the pipeline cannot be used, a program not be run or a thread not be had: nothing was read then.
pub(crate) fn run(config: &Config) -> Result<End, StartError> {
    // Before there is anything by which others can tell that weir runs, and signal it.
    let listener = signals::listen(config.command.is_some()).map_err(system)?;
    adopted::wait_for_adopted();
    let inputs = open::inputs(config);
    let clash = one_file::clash(config, &inputs);
    let clash = match clash {
        Some(clash) if clash.is_of_log => return Err(clash.failure.into()),
        clash => clash.map_or(Ok(()), |clash| Err(clash.failure.into())),
    };
    let mut reporter = Reporter::new(&config.report, OTHERS, Instant::now())?;
    let timetables = config.live.timetables();
    let timetables = timetables.map(|(side, table)| (side, table.clone()));
    let mut schedules = Schedules::new(timetables, Instant::now());
    let rules = in_force(config.rules, schedules.poll(Instant::now(), Zoned::now));
    let (notices, noticed) = unbounded();
    let started = clash.and_then(|()| {
        let waiting = Waiting::new(config, rules, &mut reporter);
        start(config, &inputs, rules, listener, notices, waiting)
    });
    let running = started.inspect_err(|error| reporter.give_up(&error.failure))?;
    let Started {
        shared,
        events,
        happenings,
        overflow_thread,
        branches,
        sink,
        sinks,
        packets,
        parting,
    } = running.started;
    let hooks = Hooks::new(&config.hooks, config.report.name.as_deref());
    if !config.hooks.is_empty() {
        shared.update_and_wake(|engine, _| engine.listen(hooks.events()));
    }
    let mut reopeners = running.reopeners;
    reopeners.extend(reporter.take_log_reopener());
    let mut consumer = running.consumer;
    match &mut consumer {
        Some(consumer) if consumer.restarts.is_some() => {
            if let Some(restarts) = &mut consumer.restarts {
                restarts.threads = sink.map(|sink| (sinks, sink));
            }
        }
        Some(consumer) => consumer.thread = sink,
        None => {}
    }
    let mut run = Run {
        schedules,
        shared,
        events,
        happenings,
        hooks,
        signals: running.signals,
        noticed,
        membership: running.membership,
        reopeners,
        reopening: None,
        measured: config
            .live
            .tree
            .as_deref()
            .map_or_else(never, measure::begin),
        reporter,
        consumer_port: running.consumer_port,
        news: running
            .batches
            .as_ref()
            .map_or_else(never, |it| it.jobs.news.clone()),
        batches: running.batches,
        exits: consumer.as_ref().map_or_else(never, |it| it.exits.clone()),
        consumer,
        spare_threads: None,
        unread: None,
        failure: None,
        overflow_failed: false,
        output_failed: false,
        disk_failure: None,
        branches,
        parting,
        has_parted: false,
        drained: false,
        signal: None,
        signal_grace: config.grace,
        deliver_until: None,
        awaits: None,
        grace: None,
        deadline: Deadline::default(),
        control: running
            .control
            .unwrap_or_else(|| Control::new(config.control, Instant::now())),
        live: config.live.clone(),
    };
    for note in &config.notes {
        run.reporter.complain(note);
    }
    let mut end = run.supervise();
    run.begin_end(&end);
    run.let_go_of_reopening();
    run.control.close();
    run.shared.halt(HALT);
    // What was just being read may have been the last of it.
    run.look_whether_input_ended_with(&end);
    run.part_from_lookers();
    run.hear_notices();
    run.hear_last();
    if let Some(port) = packets {
        run.say_what_is_left_of_a_packet(&port);
    }
    // Whatever else has ended it, that the input could not be read on is news.
    let unread = run.failure.take();
    if let Some(failure) = &unread {
        run.reporter.complain(&failure.to_string());
    }
    if config.rules.keeps_given {
        // What it reads up to its end was delivered, and nothing else.
        run.put_down_consumer(&end);
        run.take_back_last();
    }
    if config.rules.workers.is_some() {
        run.put_down_jobs(&end);
        run.take_back_last_of_workers();
    }
    let status = run.status();
    let is_all_out = run
        .shared
        .update_and_wake(|engine, _| engine.is_finished() && engine.half_left() == 0);
    if run.has_given_up()
        && let End::Command(exit, Ending::ConsumerGone) = end
        && exit.is_success()
    {
        // Its own status would say that all is well.
        let times = config.restart.and_then(|it| it.give_up);
        end = End::TookNothing(times.map_or(0, NonZeroU32::get), 0);
    }
    end = end.with_left(undelivered(&status), is_all_out);
    run.put_down_consumer(&end);
    run.put_down_jobs(&end);
    run.note_put_down();
    run.membership.leave();
    if let Some(overflow_thread) = overflow_thread {
        let (deadline, grace) = (&mut run.deadline, run.signal_grace);
        let is_end = |signal: Received| deadline.heeds(signal, grace);
        let finished = overflow_thread.finish(&run.signals, is_end);
        run.on_overflow_end(finished);
    }
    // Only now is it known of all that lies there whether it is to stay.
    let is_all = end.is_end_of_input() && is_all_out;
    let (kept, ended) = run.close_disk(is_all, end);
    end = ended;
    run.hear_last();
    run.reporter.note_forgone(kept.forgone);
    let sides = run
        .shared
        .update_and_wake(|engine, now| engine.side_status(now));
    let behind = tees_behind(config, &sides);
    let is_short = run.overflow_failed
        || run.output_failed
        || unread.is_some()
        || !(kept.is_in_order || run.deadline.told_last.is_some())
        || behind.is_some();
    let lost = config.spool.as_ref().map(|_| kept.forgone);
    let mut complaint = match (&end, run.has_given_up_on_stall()) {
        (End::Command(exit, _), Some(time)) if !exit.is_success() => {
            let times = config.restart.and_then(|it| it.give_up);
            let times = times.map_or(0, NonZeroU32::get);
            let left = undelivered(&status).bytes;
            Some(End::of_stalled_command(
                times,
                time,
                left,
                behind.as_deref(),
                lost,
            ))
        }
        _ => end.complaint(behind.as_deref(), lost),
    };
    if is_short && (end.is_good() || matches!(end, End::GivenUp { .. })) {
        if let Some(why) = &complaint {
            run.reporter.complain(why);
        }
        complaint = behind;
        end = End::Unkept;
    }
    let word = end.ending().word();
    if let End::Stalled(..) = end {
        run.hooks.run_last(Occasion::Stall, &status, &word);
    }
    if run.has_given_up() {
        run.hooks.run_last(Occasion::GiveUp, &status, &word);
    }
    run.hooks.run_last(Occasion::Done, &status, &word);
    let left = undelivered(&status);
    run.reporter
        .finish(&status, end.ending(), left, complaint.as_deref());
    Ok(end)
}

/// The rules with the caps that timetables have in force, before the first byte can pass.
fn in_force(mut rules: Rules, commands: impl IntoIterator<Item = Directive>) -> Rules {
    for command in commands {
        match command {
            Directive::RateOfBytes(cap) => rules.output.bytes = cap,
            Directive::RateOfRecords(cap) => rules.output.records = cap,
            Directive::InputRateOfBytes(cap) => rules.input.bytes = cap,
            Directive::InputRateOfRecords(cap) => rules.input.records = cap,
            _ => {}
        }
    }
    rules
}

/// Prints a text of weir's own to standard output, with the same ends as a run.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn print(text: impl FnOnce() -> io::Result<()>) -> Result<End, PipeError> {
    // Rust's own handle takes a closed output for one that swallows everything.
    let output = Port::standard_output()?;
    match text().and_then(|()| io::stdout().flush()) {
        Ok(()) => output.close().map(|()| End::Delivered),
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => {
            match End::consumer_gone(Some(&output)) {
                End::BrokenPipe(failure) => Err(failure),
                end => Ok(end),
            }
        }
        Err(e) => Err(PipeError::new("write", output.name(), e)),
    }
}
