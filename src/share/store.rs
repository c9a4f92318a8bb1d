//! A cap that hosts share, through Redis or Valkey: the thread that keeps this member's lease.
//!
//! Invariant: the flow never waits for the network. The thread puts one question at a time, ten a
//! second at most, and what it learns changes the part that passes; a store that is slow, gone, full,
//! has been started anew, or talks nonsense costs the lease and nothing else, and is asked again until
//! it makes sense. That the lease was lost is said once each time.

mod error;
mod password;

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use redis::{ErrorKind, RedisError, Script, ScriptInvocation};

use super::connection::Connection;
use super::lease::{Answer, INTERVAL, LeasedCap, Question, Reply, burst_to_text};
use super::rules::{Rules, until_then};
use crate::engine::limiter::{Burst, SharedCap};
use crate::units::{Rate, Share, Store, Unit};
pub(crate) use error::StoreError;
use error::{not_accepted, reason, where_from};
use password::password;

const SCRIPT: &str = include_str!("lease.lua");
/// How long one that starts waits for the store.
const FIRST_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the end of weir is held up to give back what was leased.
const FAREWELL: Duration = Duration::from_millis(100);
/// A store that fails is asked again after 2^3 intervals at the latest.
const BACKOFF_MOST: u32 = 3;

/// What the limiter and the thread have in common.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug)]
struct State {
    cap: LeasedCap,
    /// The thread sleeps for longer, since nothing was wanted.
    idle: bool,
    leaves: bool,
    has_left: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One member's side of a cap that is shared through a store.
#[derive(Debug)]
pub(crate) struct StoreCap {
    shared: Arc<Shared>,
}

impl StoreCap {
    /// Joins those who share a cap. `say` is told, in one line, whenever the store is lost.
    ///
    /// # Errors
    /// Where the store cannot be reached or used.
    pub(crate) fn join(
        store: &Store,
        rules: Rules,
        say: impl Fn(&str) + Send + 'static,
    ) -> Result<StoreCap, StoreError> {
        StoreCap::with(store, password()?, rules, say)
    }

    fn with(
        store: &Store,
        password: Option<String>,
        rules: Rules,
        say: impl Fn(&str) + Send + 'static,
    ) -> Result<StoreCap, StoreError> {
        let mut member = Member::new(store, password, rules.rate.unit())?;
        let mut cap = LeasedCap::new(rules, Instant::now());
        let asked = Instant::now();
        let question = cap.question(asked);
        let answer = member.ask(&question).map_err(|e| member.error(e))?;
        cap.on_answer(&question, answer, asked, Instant::now());
        let state = State {
            cap,
            idle: false,
            leaves: false,
            has_left: false,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            wake: Condvar::new(),
        });
        let ours = Arc::clone(&shared);
        thread::Builder::new()
            .name("share".to_owned())
            .spawn(move || member.run(&ours, asked, say))
            .map_err(StoreError::Thread)?;
        Ok(StoreCap { shared })
    }

    /// What may pass; `lets_pass`: that may be on its way from now on.
    fn ask(&self, lets_pass: bool, now: Instant) -> Result<u64, Instant> {
        let mut state = self.shared.lock();
        let answer = state.cap.peek(now);
        match answer {
            Ok(_) if lets_pass => state.cap.let_pass(now),
            Err(_) if state.idle => {
                state.idle = false;
                self.shared.wake.notify_one();
            }
            _ => {}
        }
        answer
    }

    /// What tells of it, and ends it, while somebody else holds the cap.
    pub(crate) fn watch(&self) -> StoreWatch {
        StoreWatch {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl SharedCap for StoreCap {
    fn set(&mut self, rate: Rate, burst: Burst, _now: Instant) {
        let mut state = self.shared.lock();
        state.cap.set(Rules { rate, burst });
        state.idle = false;
        self.shared.wake.notify_one();
    }

    fn prepare(&mut self, now: Instant) {
        self.shared.lock().cap.prepare(now);
    }

    fn peek(&self, now: Instant) -> Result<u64, Instant> {
        self.ask(false, now)
    }

    fn may_pass(&mut self, now: Instant) -> Result<u64, Instant> {
        self.ask(true, now)
    }

    fn keep(&self) {
        self.shared.lock().cap.keep();
    }

    fn on_passed(&mut self, units: u64, now: Instant) {
        self.shared.lock().cap.on_passed(units, now);
    }

    fn rate(&self) -> Rate {
        self.shared.lock().cap.rules().rate
    }
}

/// What tells of a membership, and ends it.
#[derive(Debug)]
pub(crate) struct StoreWatch {
    shared: Arc<Shared>,
}

impl StoreWatch {
    /// How many share the cap, and whether this one is cut off from the others.
    pub(crate) fn members(&self, now: Instant) -> (u64, bool) {
        let state = self.shared.lock();
        (state.cap.members(), state.cap.is_cut_off(now))
    }

    /// Gives back what was leased. A store that is slow does not hold up the end: the lease runs out
    /// by itself.
    pub(crate) fn leave(&self) {
        let mut state = self.shared.lock();
        state.leaves = true;
        self.shared.wake.notify_all();
        let until = Instant::now() + FAREWELL;
        drop(wait(&self.shared, state, until, |state| !state.has_left));
    }
}

/// The side of the store.
struct Member {
    store: Store,
    password: Option<String>,
    connection: Option<Connection>,
    script: Script,
    keys: [String; 3],
    me: String,
    unit: Unit,
    name: String,
    timeout: Duration,
}

impl Member {
    fn new(store: &Store, password: Option<String>, unit: Unit) -> Result<Member, StoreError> {
        let name = format!("share {}", Share::Store(store.clone()));
        if let Some(user) = store.user.as_ref().filter(|_| password.is_none()) {
            let line = format!("user {user}: it wants a password: {}", where_from());
            return Err(StoreError::Store(line));
        }
        let what = match unit {
            Unit::Bytes => "bytes",
            Unit::Records => "records",
        };
        // The braces keep the keys together in a cluster.
        let keys =
            ["share", "ends", "members"].map(|key| format!("weir:{{{}:{what}}}:{key}", store.name));
        Ok(Member {
            store: store.clone(),
            password,
            connection: None,
            script: Script::new(SCRIPT),
            keys,
            me: format!("{:016x}", RandomState::new().hash_one(std::process::id())),
            unit,
            name,
            timeout: FIRST_TIMEOUT,
        })
    }

    /// Asks again and again, until this member leaves.
    fn run(&mut self, shared: &Shared, mut asked: Instant, say: impl Fn(&str)) {
        let mut pause = INTERVAL;
        let mut failures = 0;
        let mut said = false;
        loop {
            let mut state = shared.lock();
            // Woken from a long sleep it asks at once, but not sooner than the store may be asked.
            if state.idle {
                state = wait(shared, state, asked + pause, |s| s.idle && !s.leaves);
                pause = INTERVAL;
            }
            let mut state = wait(shared, state, asked + pause, |s| !s.leaves);
            asked = Instant::now();
            let question = state.cap.question(asked);
            let leaves = state.leaves;
            self.timeout = state.cap.timeout();
            drop(state);
            if leaves {
                self.leave(&question);
                shared.lock().has_left = true;
                return shared.wake.notify_all();
            }
            let answer = self.ask(&question);
            let mut state = shared.lock();
            match answer {
                Ok(answer) => {
                    state
                        .cap
                        .on_answer(&question, answer, asked, Instant::now());
                    pause = answer.interval.max(question.interval);
                    state.idle = question.is_idle;
                    (failures, said) = (0, false);
                }
                Err(e) => {
                    state.idle = false;
                    if e.is_timeout() {
                        state.cap.on_silence(asked, Instant::now());
                    }
                    failures += 1;
                    pause = INTERVAL * 2u32.pow(failures.min(BACKOFF_MOST));
                    if !said && state.cap.is_cut_off(Instant::now()) {
                        said = true;
                        let then = until_then(state.cap.most_members());
                        drop(state);
                        say(&format!("{}: {}: {then}", self.name, reason(&e)));
                    }
                }
            }
        }
    }

    fn ask(&mut self, question: &Question) -> Result<Answer, RedisError> {
        let says = i8::from(question.says);
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        connection.wait_for(self.timeout);
        let answer = self.invoke(&mut connection, question, says)?;
        self.connection = Some(connection);
        Ok(answer)
    }

    fn connect(&self) -> Result<Connection, RedisError> {
        let (host, port) = (&self.store.host, self.store.port);
        let mut connection = Connection::open(host, port, self.timeout)?;
        if let Some(password) = &self.password {
            let mut login = redis::cmd("AUTH");
            if let Some(user) = &self.store.user {
                login.arg(user);
            }
            let entered = login.arg(password).query::<()>(&mut connection);
            entered.map_err(not_accepted)?;
        }
        // Who has not given the password is only told so where the question is a short one.
        redis::cmd("PING").query::<()>(&mut connection)?;
        Ok(connection)
    }

    fn invoke(
        &self,
        connection: &mut Connection,
        question: &Question,
        says: i8,
    ) -> Result<Answer, RedisError> {
        let invocation = self.invocation(question, says);
        let reply = invocation.invoke(connection);
        let reply: Reply = reply.map_err(|e| self.with_its_key(connection, e))?;
        let nonsense = (ErrorKind::UnexpectedReturnType, "its answer makes no sense");
        Answer::from_reply(&reply, self.unit).ok_or_else(|| nonsense.into())
    }

    /// Where a key holds something else than weir puts there, the error names it.
    fn with_its_key(&self, connection: &mut Connection, e: RedisError) -> RedisError {
        if !e.to_string().contains("WRONGTYPE") {
            return e;
        }
        for (key, wanted) in self.keys.iter().zip(["hash", "zset", "hash"]) {
            let found = redis::cmd("TYPE").arg(key).query::<String>(connection);
            if let Ok(found) = found
                && found != wanted
                && found != "none"
            {
                let line = format!(
                    "the key {key} holds a {found} that is not weir's: remove it, or use another NAME"
                );
                return io::Error::other(line).into();
            }
        }
        e
    }

    fn invocation(&self, question: &Question, says: i8) -> ScriptInvocation<'_> {
        let mut invocation = self.script.prepare_invoke();
        for key in &self.keys {
            invocation.key(key);
        }
        let wants = question.wants.map_or(-1, |parts| parts as i64);
        // Not less than here: by what is left over the lease would end there before it ends here.
        let millis = |time: Duration| time.as_nanos().div_ceil(1_000_000) as u64;
        let rate = question.rules.rate;
        invocation
            .arg(&self.me)
            .arg(wants)
            .arg(question.members)
            .arg(millis(question.interval));
        invocation
            .arg(rate.amount().get())
            .arg(rate.per_nanos().get());
        invocation
            .arg(burst_to_text(question.rules.burst))
            .arg(says);
        invocation.arg(question.has).arg(millis(question.left));
        invocation
    }

    /// Gives back what was leased, if the store is there.
    fn leave(&mut self, question: &Question) {
        if let Some(mut connection) = self.connection.take() {
            connection.wait_for(FAREWELL);
            let _ = self.invoke(&mut connection, question, -1);
        }
    }

    fn error(&self, e: RedisError) -> StoreError {
        StoreError::Store(reason(&e))
    }
}

fn wait<'a>(
    shared: &'a Shared,
    state: MutexGuard<'a, State>,
    until: Instant,
    while_: impl FnMut(&mut State) -> bool,
) -> MutexGuard<'a, State> {
    let time = until.saturating_duration_since(Instant::now());
    let waited = shared.wake.wait_timeout_while(state, time, while_);
    waited.unwrap_or_else(PoisonError::into_inner).0
}

#[cfg(test)]
mod tests;
