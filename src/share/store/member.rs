//! The member's side of the store: what it says there, and what it makes of the answers.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::time::{Duration, Instant};

use redis::{ErrorKind, RedisError, Script, ScriptInvocation};

use super::common::{Shared, wait};
use super::error::{StoreError, not_accepted, reason, where_from};
use crate::share::connection::Connection;
use crate::share::lease::{Answer, INTERVAL, Question, Reply, burst_to_text};
use crate::share::rules::until_then;
use crate::units::{Share, Store, Unit};

const SCRIPT: &str = include_str!("../lease.lua");
/// How long one that starts waits for the store.
const FIRST_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the end of weir is held up to give back what was leased.
pub(super) const FAREWELL: Duration = Duration::from_millis(100);
/// A store that fails is asked again after 2^3 intervals at the latest.
const BACKOFF_MOST: u32 = 3;

/// The side of the store.
pub(super) struct Member {
    store: Store,
    password: Option<String>,
    connection: Option<Connection>,
    script: Script,
    pub(super) keys: [String; 3],
    me: String,
    unit: Unit,
    name: String,
    timeout: Duration,
    /// When the store was last asked for something.
    asked: Instant,
}

impl Member {
    pub(super) fn new(
        store: &Store,
        password: Option<String>,
        unit: Unit,
    ) -> Result<Member, StoreError> {
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
            asked: Instant::now(),
        })
    }

    /// Asks again and again, until this member leaves.
    pub(super) fn run(&mut self, shared: &Shared, say: impl Fn(&str)) {
        let mut pause = INTERVAL;
        let mut failures = 0;
        let mut said = false;
        loop {
            let mut state = shared.lock();
            // Woken from a long sleep it asks at once, but not sooner than the store may be asked.
            if state.idle {
                state = wait(shared, state, self.asked + pause, |s| s.idle && !s.leaves);
                pause = INTERVAL;
            }
            let mut state = wait(shared, state, self.asked + pause, |s| !s.leaves);
            self.timeout = state.cap.timeout();
            if state.leaves {
                let question = state.cap.question(Instant::now());
                drop(state);
                self.leave(&question);
                shared.lock().has_left = true;
                return shared.wake.notify_all();
            }
            drop(state);
            let answer = self.ask(shared);
            let mut state = shared.lock();
            match answer {
                Ok((question, answer)) => {
                    pause = answer.interval.max(question.interval);
                    state.idle = question.is_idle;
                    (failures, said) = (0, false);
                }
                Err(e) => {
                    state.idle = false;
                    state.cap.on_failure();
                    if e.is_timeout() {
                        state.cap.on_silence(self.asked, Instant::now());
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

    /// Puts the question that there is once the store has been reached: a lease is counted from then.
    pub(super) fn ask(&mut self, shared: &Shared) -> Result<(Question, Answer), RedisError> {
        self.asked = Instant::now();
        if let Some(trip) = self.reach()? {
            shared.lock().cap.on_trip(trip);
        }
        self.asked = Instant::now();
        let question = shared.lock().cap.question(self.asked);
        let answer = self.put(&question)?;
        let cap = &mut shared.lock().cap;
        cap.on_answer(&question, answer, self.asked, Instant::now());
        Ok((question, answer))
    }

    /// Connects, if that is to be done. Returns how long an answer was on its way then.
    pub(super) fn reach(&mut self) -> Result<Option<Duration>, RedisError> {
        if self.connection.is_some() {
            return Ok(None);
        }
        let (connection, trip) = self.connect()?;
        self.connection = Some(connection);
        Ok(Some(trip))
    }

    /// Puts this question to the store that was reached.
    pub(super) fn put(&mut self, question: &Question) -> Result<Answer, RedisError> {
        let connection = self.connection.take();
        let mut connection =
            connection.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))?;
        connection.wait_for(self.timeout);
        let answer = self.invoke(&mut connection, question, i8::from(question.says))?;
        self.connection = Some(connection);
        Ok(answer)
    }

    /// A connection to a store that has the script, and how long an answer is on its way.
    fn connect(&self) -> Result<(Connection, Duration), RedisError> {
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
        let asked = Instant::now();
        // Who has not given the password is only told so where the question is a short one.
        redis::cmd("PING").query::<()>(&mut connection)?;
        let trip = asked.elapsed();
        match self.script.prepare_invoke().load(&mut connection) {
            Err(e) if e.code().is_none() => Err(e),
            // Where it is refused, it may be there all the same.
            _ => Ok((connection, trip)),
        }
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
    pub(super) fn leave(&mut self, question: &Question) {
        if let Some(mut connection) = self.connection.take() {
            connection.wait_for(FAREWELL);
            let _ = self.invoke(&mut connection, question, -1);
        }
    }

    pub(super) fn error(&self, e: RedisError) -> StoreError {
        StoreError::Store(reason(&e))
    }
}
