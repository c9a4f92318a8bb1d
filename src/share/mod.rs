//! One cap for several weirs: what `--rate` gives is the total of all that share a name.
//!
//! On one host the members [meet](meeting) in a mapped [`file`], the layout of which is [`table`]'s; who
//! passes when is the arithmetic of [`turn`]. There is no server, no lock and no waiting for anybody:
//! whatever a member was doing when it was stopped or killed, the others go on.
//!
//! Across hosts a store, Redis or Valkey, divides the cap: each member has a [`lease`] of a part of it,
//! which a thread of its own keeps ([`store`]), so that the flow never waits for the network.

#[cfg(any(target_os = "linux", target_os = "macos"))]
mod clock;
#[cfg(feature = "redis")]
mod connection;
#[cfg(any(target_os = "linux", target_os = "macos"))]
mod cost;
#[cfg(any(target_os = "linux", target_os = "macos"))]
mod fault;
#[cfg(any(target_os = "linux", target_os = "macos"))]
mod file;
#[cfg(feature = "redis")]
pub(crate) mod lease;
#[cfg(any(target_os = "linux", target_os = "macos"))]
mod meeting;
#[cfg(any(target_os = "linux", target_os = "macos"))]
mod process;
pub(crate) mod rules;
#[cfg(feature = "redis")]
mod store;
#[cfg(any(target_os = "linux", target_os = "macos"))]
mod table;
#[cfg(any(target_os = "linux", target_os = "macos"))]
mod turn;

use std::path::PathBuf;
#[cfg(any(target_os = "linux", target_os = "macos"))]
use std::sync::PoisonError;
use std::time::Instant;

use crate::engine::limiter::{Bursts, SharedCap};
use crate::engine::status;
use crate::pipe::error::PipeError;
use crate::units::{Rate, Share, Store, Unit};
#[cfg(any(target_os = "linux", target_os = "macos"))]
use meeting::{Meeting, WayOut};
use rules::Rules;

/// A cap that is shared, for the engine, and what it counts.
pub(crate) type Cap = (Unit, Box<dyn SharedCap>);

/// Tells of the memberships of a run, and ends them.
#[derive(Debug, Default)]
pub(crate) struct Membership(Vec<Box<dyn Member>>);

/// One membership.
trait Member: std::fmt::Debug {
    fn status(&self, now: Instant) -> status::Share;
    /// What it would still have had is for the others.
    fn leave(&self);
}

#[cfg(any(target_os = "linux", target_os = "macos"))]
impl Member for WayOut {
    fn status(&self, _now: Instant) -> status::Share {
        let mut way_out = self.lock().unwrap_or_else(PoisonError::into_inner);
        let (members, is_cut_off) = way_out.members();
        status::Share {
            members,
            is_cut_off,
        }
    }

    fn leave(&self) {
        let way_out = self.lock().unwrap_or_else(PoisonError::into_inner);
        way_out.leave();
    }
}

#[cfg(feature = "redis")]
impl Member for store::StoreWatch {
    fn status(&self, now: Instant) -> status::Share {
        let (members, is_cut_off) = self.members(now);
        status::Share {
            members,
            is_cut_off,
        }
    }

    fn leave(&self) {
        store::StoreWatch::leave(self);
    }
}

impl Membership {
    /// With whom a cap is shared; as many as there are for either of two.
    pub(crate) fn status(&self, now: Instant) -> Option<status::Share> {
        let all = self.0.iter().map(|member| member.status(now));
        all.reduce(|a, b| status::Share {
            members: a.members.max(b.members),
            is_cut_off: a.is_cut_off || b.is_cut_off,
        })
    }

    /// The run is over.
    pub(crate) fn leave(&self) {
        self.0.iter().for_each(|member| member.leave());
    }
}

/// Shares these caps with all who share that name. `say` is told, in one line, whenever the others
/// cannot be heard of any more; `directories` are those that only this user can enter, the best one
/// first.
///
/// # Errors
/// Where that cannot be.
pub(crate) fn join(
    share: &Share,
    rates: impl IntoIterator<Item = Rate>,
    bursts: Bursts,
    directories: fn() -> Vec<PathBuf>,
    say: impl Fn(&str) + Clone + Send + 'static,
) -> Result<(Vec<Cap>, Membership), PipeError> {
    let failed = |why: String| PipeError::because("share", &share.to_string(), &why);
    let mut caps: Vec<Cap> = Vec::new();
    let mut membership = Membership::default();
    for rate in rates {
        let burst = match rate.unit() {
            Unit::Bytes => bursts.bytes,
            Unit::Records => bursts.records,
        };
        let rules = Rules { rate, burst };
        let joined = match share {
            Share::Host(name) => join_host(name, rules, directories, say.clone()),
            Share::Store(store) => join_store(store, rules, say.clone()),
        };
        let (cap, member) = joined.map_err(failed)?;
        caps.push((rate.unit(), cap));
        membership.0.push(member);
    }
    Ok((caps, membership))
}

/// A cap, and what ends the membership.
type Joined = (Box<dyn SharedCap>, Box<dyn Member>);

#[cfg(any(target_os = "linux", target_os = "macos"))]
fn join_host(
    name: &str,
    rules: Rules,
    directories: fn() -> Vec<PathBuf>,
    say: impl Fn(&str) + Send + 'static,
) -> Result<Joined, String> {
    let joined = Meeting::join(name, rules.rate.unit(), directories);
    let (member, meeting) = joined.map_err(|e| e.to_string())?;
    let meeting = meeting.telling(say);
    let way_out = meeting.way_out();
    let cap = turn::HostCap::new(member, Box::new(meeting), rules, process::clock());
    Ok((Box::new(cap), Box::new(way_out)))
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn join_host(
    _: &str,
    _: Rules,
    _: fn() -> Vec<PathBuf>,
    _: impl Fn(&str),
) -> Result<Joined, String> {
    Err("not on this system; share it through a store, redis://HOST/NAME".to_owned())
}

#[cfg(feature = "redis")]
fn join_store(
    store: &Store,
    rules: Rules,
    say: impl Fn(&str) + Send + 'static,
) -> Result<Joined, String> {
    let cap = store::StoreCap::join(store, rules, say).map_err(|e| e.to_string())?;
    let watch = Box::new(cap.watch());
    Ok((Box::new(cap), watch))
}

#[cfg(not(feature = "redis"))]
fn join_store(_: &Store, _: Rules, _: impl Fn(&str)) -> Result<Joined, String> {
    Err("this weir was built without Redis; share a NAME on this host".to_owned())
}
