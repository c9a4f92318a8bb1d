//! The two I/O threads and the kernel: reads, writes and waits around the engine.
//!
//! The lock around the engine is held for arithmetic only, never across a system call. Each thread
//! sleeps on its own waker, by which whoever changed the engine wakes it when the engine says so.

pub(crate) mod append;
mod calls;
pub(crate) mod capacity;
pub(crate) mod consumer_port;
pub(crate) mod error;
mod event;
pub(crate) mod fan_out;
pub(crate) mod fd;
pub(crate) mod holder;
pub(crate) mod inherited;
mod kept;
mod last_input;
pub(crate) mod look;
pub(crate) mod memory;
mod no_wait;
mod notifier;
pub(crate) mod overflow;
mod packets;
pub(crate) mod parting;
pub(crate) mod peek;
mod read_back;
mod readiness;
pub(crate) mod reopen;
mod shared;
mod sink;
mod source;
pub(crate) mod spill;
pub(crate) mod splice;
pub(crate) mod spool;
mod waker;

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, unbounded};

use crate::engine::Rules;
use crate::engine::limiter::SharedCap;
use crate::engine::sorter::Sorter;
use crate::units::Unit;
use capacity::PipeSizes;
use consumer_port::ConsumerPort;
use fan_out::{Branch, Branches};
use fd::Port;
use overflow::{OverflowFile, OverflowThread};
use parting::Parting;
pub(crate) use shared::{Event, Shared};
pub(crate) use sink::Sinks;
pub(crate) use source::Input;
use spill::{Disk, Store};

/// What runs.
#[derive(Debug)]
pub(crate) struct Started {
    /// The engine.
    pub shared: Arc<Shared>,
    /// What its threads have to say.
    pub events: Receiver<Event>,
    /// What happens to the flow, of what is listened to.
    pub happenings: Receiver<crate::engine::event::Event>,
    /// Who writes down what is shed.
    pub overflow_thread: Option<OverflowThread>,
    /// The tees and taps.
    pub branches: Branches,
    /// Who writes to the consumer, where it is not given files, and how to have another one.
    pub sink: Option<JoinHandle<()>>,
    /// See there.
    pub sinks: Sinks,
    /// The input that keeps packets apart, if one does.
    pub packets: Option<Port>,
    /// How to have the consumer see the end before that of the run, where that may take a moment.
    pub parting: Option<Parting>,
}

/// What there is beside the way from the input to the output.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    /// Where what is shed goes.
    pub overflow: Option<OverflowFile>,
    /// The tees and taps.
    pub branches: Vec<Branch>,
    /// The disk behind memory.
    pub store: Option<Store>,
    /// What tells the lanes of records apart.
    pub sorter: Option<Sorter>,
}

/// Starts the threads; `caps` on the output are shared with others. What they have to say comes through the receiver.
///
/// # Errors
/// When the system refuses a thread.
pub(crate) fn start(
    rules: Rules,
    caps: Vec<(Unit, Box<dyn SharedCap>)>,
    inputs: Vec<Input>,
    consumer_port: &ConsumerPort,
    pipe_sizes: PipeSizes,
    beside: Beside,
) -> io::Result<Started> {
    let Beside {
        overflow,
        branches,
        store,
        sorter,
    } = beside;
    let (events, listener) = unbounded();
    let disk = store.map(|store| Disk::new(store, events.clone()));
    let (disk, floors) = disk.unzip();
    let sides = branches
        .iter()
        .map(|branch| (branch.role, branch.is_vacant()));
    let (happened, happenings) = unbounded();
    let shared = Arc::new(Shared::new(rules, sides, caps, happened, disk)?);
    if let Some(sorter) = sorter {
        // Whoever chooses the keys must not foresee which of them share a lane.
        let seed = RandomState::new().hash_one(0);
        shared.update_and_wake(|engine, now| engine.sort_by(sorter, seed, now));
    }
    if let (Some(floors), Some(disk)) = (floors, &shared.disk) {
        disk.start()?;
        let shared = shared.clone();
        let give_back = move || {
            let on_room = || shared.update_and_wake(|engine, now| engine.on_disk_room(now));
            if let Some(disk) = &shared.disk {
                disk.give_back_all(&floors, on_room);
            }
        };
        thread::Builder::new()
            .name("disk".into())
            .spawn(give_back)?;
    }
    let may_part = !branches.is_empty();
    let parting = consumer_port.watched();
    let parting = parting.map(|port| parting::watch(port, events.clone(), may_part));
    let parting = parting.transpose()?.flatten();
    let overflow_thread = overflow
        .map(|file| file.start(&shared, events.clone()))
        .transpose()?;
    let branches = shared.sides().into_iter().zip(branches).collect();
    let branches = fan_out::start(branches, &shared, &events)?;
    let sinks = Sinks {
        shared: shared.clone(),
        consumer_port: consumer_port.clone(),
        events: events.clone(),
        pipe_size: pipe_sizes.to_consumer,
    };
    let sink = match (rules.batch, rules.workers) {
        (None, None) => Some(sinks.start(!rules.is_fresh())?),
        _ => None,
    };
    let packets = inputs.iter().find_map(Input::packets);
    let source = source::Source::new(
        shared.clone(),
        inputs,
        consumer_port,
        events,
        rules.framing,
        pipe_sizes.from_producer,
    );
    thread::Builder::new()
        .name("source".into())
        .spawn(move || source.run())?;
    Ok(Started {
        shared,
        events: listener,
        happenings,
        overflow_thread,
        branches,
        sinks,
        sink,
        packets,
        parting,
    })
}
