//! From what was asked to threads that run: everything is opened, and whatever cannot be is said before a byte has moved.

use std::path::{Path, PathBuf};

use crossbeam_channel::{Receiver, Sender};

use super::batches::Batches;
use super::consumer::Consumer;
use super::error::StartError;
use super::error::system;
use super::waiting::Waiting;
use super::{batches, consumer, descriptors, open};
use crate::config::Config;
use crate::control::directory;
use crate::control::server::Control;
use crate::control::signals::{self, Listener, Received};
use crate::engine::Rules;
use crate::engine::side::Role;
use crate::pipe::append;
use crate::pipe::consumer_port::ConsumerPort;
use crate::pipe::error::PipeError;
use crate::pipe::fan_out::Branch;
use crate::pipe::overflow::OverflowFile;
use crate::pipe::reopen::Reopener;
use crate::pipe::spill::Store;
use crate::pipe::{self, Beside, Started};
use crate::share::{self, Membership};

/// What runs, and those who are to be listened to.
pub(super) struct Running {
    pub(super) started: Started,
    /// What opens the files of the outputs anew.
    pub(super) reopeners: Vec<Reopener>,
    pub(super) signals: Receiver<Received>,
    pub(super) consumer_port: ConsumerPort,
    pub(super) consumer: Option<Consumer>,
    pub(super) batches: Option<Batches>,
    /// With whom the caps are shared.
    pub(super) membership: Membership,
    /// By whom this was asked before it began.
    pub(super) control: Option<Control>,
}

/// Joins those with whom the caps on the output are shared.
fn share(
    config: &Config,
    notices: Sender<String>,
) -> Result<(Vec<share::Cap>, Membership), PipeError> {
    let Some(share) = &config.share else {
        return Ok(Default::default());
    };
    let say = move |what: &str| drop(notices.send(what.to_owned()));
    let rates = config.live.output.rates();
    share::join(share, rates, config.live.burst, directory::for_all, say)
}

/// Opens everything, and starts the consumer, where it is a program, and the threads.
pub(super) fn start(
    config: &Config,
    inputs: &[PathBuf],
    rules: Rules,
    listener: Listener,
    notices: Sender<String>,
    mut waiting: Waiting<'_>,
) -> Result<Running, StartError> {
    let (mut inputs, mut output) = open::open(config, inputs)?;
    let spare = descriptors::look(config)?;
    let overflow = config.shed_to.as_deref();
    let overflow = overflow.map(|path| OverflowFile::open(path, rules.framing));
    let overflow = overflow.transpose()?;
    let sizes = config.pipe_sizes();
    let branches = config.outputs.iter();
    // What an earlier run has given to a tee is there.
    let appends = |role: &Role| config.append || config.spool.is_some() && *role == Role::Tee;
    let branches =
        branches.map(|(path, role)| Branch::open(path, *role, appends(role), sizes.to_consumer));
    let mut branches = branches.collect::<Result<Vec<_>, _>>()?;
    let reopeners = branches.iter().filter_map(Branch::reopener);
    let reopeners = reopeners.chain(overflow.as_ref().map(OverflowFile::reopener));
    let reopeners = reopeners.collect();
    let tees = branches.iter().enumerate();
    let tees = tees.filter_map(|(nth, branch)| branch.in_spool(nth));
    let say = |what| drop(notices.send(what));
    let store = open::store(
        config,
        output.as_ref(),
        tees.collect(),
        say,
        &mut waiting,
        spare,
    )?;
    if let Some(Store::Spool(spool)) = &store {
        if let Some(end) = spool.due_end() {
            inputs.insert(0, pipe::Input::of_byte(end)?);
        }
        let again = branches.iter_mut().enumerate();
        let again = again.filter(|(nth, _)| spool.begins_record(*nth));
        again
            .map(|(_, branch)| branch)
            .try_for_each(|branch| branch.end_torn(rules.framing))?;
        if let Some(output) = output
            .as_mut()
            .filter(|_| spool.begins_record_to_consumer())
        {
            append::end_torn(output, Path::new("/dev/fd/1"), rules.framing)?;
        }
    }
    let (caps, membership) = share(config, notices)?;
    // All is open: what happens to a signal from here on is decided here.
    let mask = listener.before;
    let signals = listener.heed();
    let (consumer_port, mut consumer) = match (output, &config.command) {
        (None, Some(line)) if rules.batch.is_some() || rules.workers.is_some() => {
            batches::look_for(line, rules.batch.as_ref())?;
            (ConsumerPort::absent(), None)
        }
        (None, Some(line)) => {
            let (consumer_port, consumer) = consumer::start(line, config, mask)?;
            (consumer_port, Some(consumer))
        }
        (Some(output), _) => (ConsumerPort::lasting(output), None),
        (None, None) => unreachable!("standard output is opened where no program is run"),
    };
    let mut beside = Beside {
        overflow,
        branches,
        store,
        sorter: config.sorter.clone(),
    };
    // Nothing that a user knows of can keep it from running any more.
    let emptied = beside.branches.iter_mut().try_for_each(Branch::begin);
    let started = emptied.map_err(StartError::from).and_then(|()| {
        let started = pipe::start(rules, caps, inputs, &consumer_port, sizes, beside);
        started.map_err(|e| system(e).into())
    });
    let started = started.inspect_err(|_| {
        consumer_port.close();
        if let Some(consumer) = &mut consumer {
            let is_end = |signal: Received| signals::is_end(signal.number);
            consumer.put_down(signals::SIGTERM, &signals, is_end);
        }
    });
    let started = started?;
    let batches = batches::start(config, rules.batch, mask, &started.shared)?;
    Ok(Running {
        started,
        reopeners,
        signals,
        consumer_port,
        consumer,
        batches,
        membership,
        control: waiting.into_control(),
    })
}
