//! The producer and the consumer: two threads that behave as planned until they are told to hurry.

use std::io::{self, Read, Write, pipe};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use crate::dice::Dice;
use crate::harness::{Beside, beside, program};
use crate::plan::{Consumer, Link, Producer};

/// Tells both sides to come to the end without any more dawdling.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hurry(Arc<AtomicBool>);

impl Hurry {
    pub(crate) fn up(&self) {
        self.0.store(true, Relaxed);
    }

    fn is_on(&self) -> bool {
        self.0.load(Relaxed)
    }

    /// Dawdles, or not.
    fn dawdle(&self, time: Duration) {
        let until = Instant::now() + time;
        while !self.is_on() && Instant::now() < until {
            let left = until.saturating_duration_since(Instant::now());
            thread::sleep(left.min(Duration::from_millis(5)));
        }
    }

    fn await_it(&self) {
        while !self.is_on() {
            thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Weir's end of a link, the test's end, and what stands between.
pub(crate) struct Linked {
    pub weirs: Stdio,
    /// The same, for who goes on when weir has ended.
    pub again: Option<OwnedFd>,
    pub ours: OwnedFd,
    pub cat: Option<Child>,
}

/// The link from the producer to weir, or with `out` from weir to the consumer.
pub(crate) fn link(how: Link, out: bool) -> Linked {
    let wire = || -> (OwnedFd, OwnedFd) {
        let (reading, writing) = pipe().expect("make a pipe");
        (reading.into(), writing.into())
    };
    let turn = |(reading, writing)| {
        if out {
            (writing, reading)
        } else {
            (reading, writing)
        }
    };
    if how == Link::Socket {
        let (weirs, ours) = UnixStream::pair().expect("make a socket pair");
        return Linked {
            again: weirs.try_clone().ok().map(OwnedFd::from).filter(|_| !out),
            weirs: OwnedFd::from(weirs).into(),
            ours: ours.into(),
            cat: None,
        };
    }
    let (weirs, far) = turn(wire());
    if how != Link::Cat {
        return Linked {
            again: weirs.try_clone().ok().filter(|_| !out),
            weirs: weirs.into(),
            ours: far,
            cat: None,
        };
    }
    let (near, ours) = turn(wire());
    let (stdin, stdout) = if out { (far, near) } else { (near, far) };
    let mut cat = silent(&mut program("cat"));
    let cat = cat.stdin(stdin).stdout(stdout).spawn().expect("start cat");
    Linked {
        again: weirs.try_clone().ok().filter(|_| !out),
        weirs: weirs.into(),
        ours,
        cat: Some(cat),
    }
}

fn silent(command: &mut Command) -> Command {
    let mut quiet = Command::new(command.get_program());
    quiet.stderr(Stdio::null());
    quiet
}

/// Starts the producer. It tells how much it got rid of.
pub(crate) fn produce(
    how: Producer,
    to: OwnedFd,
    bytes: Vec<u8>,
    seed: u64,
    hurry: Hurry,
) -> Beside<usize> {
    beside(move || {
        let mut sender = Sender {
            to: to.into(),
            sent: 0,
        };
        // A reader that has gone is weir's business.
        let _ = sender.send(how, &bytes, &mut Dice::new(seed), &hurry);
        sender.sent
    })
}

struct Sender {
    to: std::fs::File,
    sent: usize,
}

impl Sender {
    fn send(
        &mut self,
        how: Producer,
        bytes: &[u8],
        dice: &mut Dice,
        hurry: &Hurry,
    ) -> io::Result<()> {
        match how {
            Producer::Huge | Producer::Dies => self.put(bytes),
            // They have been written before.
            Producer::Files(_) => {
                self.sent = bytes.len();
                Ok(())
            }
            Producer::FallsSilent => {
                self.put(&bytes[..bytes.len() / 2])?;
                hurry.await_it();
                self.put(&bytes[bytes.len() / 2..])
            }
            Producer::Bursty => self.put_pieces(bytes, 64 << 10, dice, hurry),
            Producer::Swift => bytes.chunks(100).try_for_each(|some| self.put(some)),
            Producer::BytewiseThenRest => {
                let (first, rest) = bytes.split_at(bytes.len().min(700));
                self.put_pieces(first, 3, dice, hurry)?;
                self.put(rest)
            }
        }
    }

    fn put_pieces(
        &mut self,
        mut bytes: &[u8],
        most: u64,
        dice: &mut Dice,
        hurry: &Hurry,
    ) -> io::Result<()> {
        while !bytes.is_empty() {
            let n = (dice.spread(1, most) as usize).min(bytes.len());
            self.put(&bytes[..n])?;
            bytes = &bytes[n..];
            if dice.percent(20) {
                hurry.dawdle(dice.millis(0, 15));
            }
        }
        Ok(())
    }

    fn put(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let n = self.to.write(bytes)?;
            self.sent += n;
            bytes = &bytes[n..];
        }
        Ok(())
    }
}

/// Starts the consumer. It tells what it has got.
pub(crate) fn consume(how: Consumer, from: OwnedFd, seed: u64, hurry: Hurry) -> Beside<Vec<u8>> {
    beside(move || {
        let mut from = std::fs::File::from(from);
        let mut got = Vec::new();
        let _ = take(how, &mut from, &mut got, &mut Dice::new(seed), &hurry);
        got
    })
}

fn take(
    how: Consumer,
    from: &mut impl Read,
    got: &mut Vec<u8>,
    dice: &mut Dice,
    hurry: &Hurry,
) -> io::Result<()> {
    let mut bite = vec![0; 128 << 10];
    loop {
        let most = match how {
            Consumer::Stops(n) | Consumer::Leaves(n) => n.saturating_sub(got.len()),
            Consumer::Slow => dice.spread(1, 40_000) as usize,
            Consumer::Lumpy | Consumer::Eager => bite.len(),
        };
        let most = match how {
            Consumer::Leaves(_) if most == 0 => return Ok(()),
            Consumer::Stops(_) if most == 0 => {
                hurry.await_it();
                bite.len()
            }
            _ if hurry.is_on() && !matches!(how, Consumer::Leaves(_)) => bite.len(),
            _ => most.min(bite.len()),
        };
        match from.read(&mut bite[..most])? {
            0 => return Ok(()),
            n => got.extend_from_slice(&bite[..n]),
        }
        match how {
            Consumer::Slow => hurry.dawdle(dice.millis(0, 3)),
            Consumer::Lumpy => hurry.dawdle(dice.millis(0, 120)),
            _ => {}
        }
    }
}
