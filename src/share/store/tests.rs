//! Members at a real `redis-server`, on a port of its own, that is killed, stopped, filled, locked and
//! talked over.

mod server;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use redis::RedisError;
use rustix::process::Signal;

use super::super::lease::{ALL, Answer, Question, twin};
use super::*;
use crate::units::Unit;
use server::{Hungry, Server, eventually, rules, store};

fn answer_to(member: &mut Member, question: &Question) -> Result<Answer, RedisError> {
    member.reach()?;
    member.put(question)
}

#[test]
fn members_share_evenly_and_what_one_leaves_the_others_get() {
    let server = Server::start(&[]);
    let eight = Hungry::start(&server.store(), 6);
    let two = Hungry::start(&server.store(), 2);
    eventually("an eighth for each", || {
        eight.are_even(8) && two.are_even(8)
    });
    let sum: u64 = eight.parts().iter().chain(&two.parts()).sum();
    assert!(sum <= ALL + 8, "{sum}");
    drop(two);
    eventually("a sixth for each", || eight.are_even(6));
    // One that asks once and is never heard of again.
    let mut dead = Member::new(&server.store(), None, Unit::Bytes).expect("a member");
    let mut cap = LeasedCap::new(rules("8MB/s"), Instant::now());
    let question = Question {
        interval: Duration::from_secs(2),
        ..cap.question(Instant::now())
    };
    answer_to(&mut dead, &question).expect("an answer");
    eventually("a seventh for each", || eight.are_even(7));
    eventually("a sixth for each again", || eight.are_even(6));
    assert_eq!(eight.lines.load(SeqCst), 0);
}

/// No lease ends meanwhile, and the store is not new to anybody: time has no part in it.
#[test]
fn the_script_answers_as_its_twin_does() {
    let server = Server::start(&[]);
    let mut twin = twin::Store::new(0);
    let mut members: Vec<_> = (0..7)
        .map(|_| Member::new(&server.store(), None, Unit::Bytes).expect("a member"))
        .collect();
    let question = LeasedCap::new(rules("8MB/s"), Instant::now()).question(Instant::now());
    let mut has = [0; 7];
    let mut dice = 4711u64;
    let mut throw = |most: u64| {
        dice = dice.wrapping_mul(6364136223846793005).wrapping_add(1);
        (dice >> 33) % most
    };
    for turn in 0..3000 {
        let who = throw(7) as usize;
        let question = Question {
            wants: [None, Some(0), Some(ALL / (1 + throw(50)))][throw(3) as usize],
            has: has[who],
            left: Duration::from_secs(400),
            interval: Duration::from_secs(60),
            ..question
        };
        if throw(20) == 0 {
            members[who].leave(&question);
            twin.forget(who);
            has[who] = 0;
            continue;
        }
        let answer = answer_to(&mut members[who], &question).expect("an answer");
        let wanted = twin.ask(who, &question, 2000);
        let of = |answer: &Answer| (answer.parts, answer.members, answer.interval);
        assert_eq!(of(&answer), of(&wanted), "turn {turn}: {question:?}");
        // Some answers do not arrive.
        if throw(4) > 0 {
            has[who] = answer.parts;
        }
    }
}

/// Who has a lease, or knows of others, and finds nobody there, has found a store that was stopped, or whose clock was put
/// forward; where the last one has asked in the future, it was put back.
#[test]
fn a_store_that_does_not_know_who_is_out_there_gives_nobody_more_than_what_they_have_said() {
    let server = Server::start(&[]);
    let member = || Member::new(&server.store(), None, Unit::Bytes).expect("a member");
    let question = LeasedCap::new(rules("8MB/s"), Instant::now()).question(Instant::now());
    let question = Question {
        interval: Duration::from_secs(60),
        ..question
    };
    let key = &member().keys[0];
    let is_old = || server.tell(&format!("HSET {key} born 0"));
    let (mut first, mut second) = (member(), member());
    answer_to(&mut first, &question).expect("an answer");
    first.leave(&question);
    is_old();
    let knows = Question {
        members: 4,
        ..question
    };
    assert_eq!(
        answer_to(&mut second, &knows).expect("an answer").parts,
        ALL / 4
    );
    second.leave(&question);
    is_old();
    server.tell(&format!("HSET {key} floor 5"));
    let has = Question {
        has: ALL / 2,
        left: Duration::from_secs(1),
        members: 3,
        ..question
    };
    assert_eq!(
        answer_to(&mut first, &has).expect("an answer").parts,
        ALL / 3
    );
    is_old();
    server.tell(&format!("HSET {key} asked 99999999999999"));
    let answer = answer_to(&mut second, &question).expect("an answer");
    assert_eq!((answer.members, answer.parts), (1, ALL));
}

#[test]
fn a_member_asks_ten_times_a_second_at_most_and_seldom_while_idle() {
    let server = Server::start(&[]);
    let start = Instant::now();
    let hungry = Hungry::start(&server.store(), 2);
    eventually("twenty questions", || server.calls("evalsha") >= 20);
    let calls = server.calls("evalsha");
    let most = 2 * (start.elapsed().as_millis() as u64 / 100 + 2);
    assert!(calls <= most, "{calls} calls, at most {most}");
    drop(hungry);
    let idle = StoreCap::with(&server.store(), None, rules("1MB/s"), |_| ()).expect("joined");
    eventually("it sleeps", || idle.shared.lock().idle);
    let (start, before) = (Instant::now(), server.calls("evalsha"));
    eventually("a question", || server.calls("evalsha") > before + 1);
    assert!(start.elapsed() > Duration::from_millis(900));
    let mut idle = idle;
    eventually("woken, it has all there is", || {
        idle.prepare(Instant::now());
        let _ = idle.peek(Instant::now());
        idle.shared.lock().cap.pace() == Some(ALL)
    });
}

#[test]
fn a_store_that_is_killed_leaves_each_an_nth_and_one_that_is_back_all() {
    let server = Server::start(&[]);
    let port = server.port;
    let hungry = Hungry::start(&server.store(), 4);
    eventually("a fourth for each", || hungry.are_even(4));
    // Two at a half each would be too much without a store: four were seen.
    drop(server);
    eventually("said by each", || hungry.lines.load(SeqCst) == 4);
    assert!(hungry.parts().iter().all(|parts| *parts == ALL / 4));
    let refused = StoreCap::with(&store(port), None, rules("8MB/s"), |_| ());
    let line = refused.expect_err("no store").to_string();
    assert!(line.contains("refused") && !line.contains('\n'), "{line}");
    let server = Server::at(port, &[]);
    eventually("all are back", || server.calls("evalsha") > 40);
    eventually("a fourth for each again", || hungry.are_even(4));
    assert_eq!(hungry.lines.load(SeqCst), 4, "said once each");
}

#[test]
fn a_store_that_hangs_costs_the_lease_and_nothing_else() {
    let server = Server::start(&[]);
    let hungry = Hungry::start(&server.store(), 2);
    eventually("a half for each", || hungry.are_even(2));
    let cut_off = || {
        let now = Instant::now();
        let all = hungry
            .shared
            .iter()
            .all(|shared| shared.lock().cap.is_cut_off(now));
        all && hungry.lines.load(SeqCst) == 2
    };
    server.signal(Signal::STOP);
    eventually("cut off, and said", cut_off);
    assert!(hungry.are_even(2));
    server.signal(Signal::CONT);
    eventually("back", || !cut_off() && hungry.are_even(2));
}

#[test]
fn a_store_that_is_full_emptied_or_has_lost_a_key_goes_on() {
    let server = Server::start(&[]);
    let hungry = Hungry::start(&server.store(), 3);
    eventually("a third for each", || hungry.are_even(3));
    for change in [
        "CONFIG SET maxmemory 1",
        "FLUSHALL",
        "DEL weir:{test:bytes}:members",
        "DEL weir:{test:bytes}:ends",
        "DEL weir:{test:bytes}:share",
        "SCRIPT FLUSH",
    ] {
        server.tell(change);
        let before = server.calls("evalsha");
        eventually("five questions of each", || {
            server.calls("evalsha") > before + 15
        });
        eventually(change, || hungry.are_even(3));
    }
    assert_eq!(hungry.lines.load(SeqCst), 0);
}

#[test]
fn the_first_unit_is_for_one_who_comes_when_none_is_owed() {
    let server = Server::start(&[]);
    let come = |rate: &str| {
        let mut member = Member::new(&server.store(), None, Unit::Records).expect("a member");
        let question = LeasedCap::new(rules(rate), Instant::now()).question(Instant::now());
        let begins = answer_to(&mut member, &question).expect("an answer").begins;
        (member, question, begins)
    };
    let (mut first, question, begins) = come("1/h");
    assert!(begins, "nobody was there");
    assert!(!come("1/h").2, "there is another one");
    first.leave(&question);
    server.tell("DEL weir:{test:records}:ends weir:{test:records}:members");
    assert!(
        !come("1/h").2,
        "what the first has passed is owed for an hour"
    );
    eventually("it was paid", || {
        let (mut member, question, begins) = come("1000/s");
        member.leave(&question);
        begins
    });
}

#[test]
fn the_newest_rules_are_for_all_members() {
    let server = Server::start(&[]);
    let mut first = StoreCap::with(&server.store(), None, rules("1MB/s"), |_| ()).expect("joined");
    let second = StoreCap::with(&server.store(), None, rules("2MB/s"), |_| ()).expect("joined");
    eventually("the second's rules", || first.rate() == rules("2MB/s").rate);
    let Rules { rate, burst } = rules("3MB/s");
    first.set(rate, burst, Instant::now());
    eventually("the first's rules", || second.rate() == rate);
    assert_eq!(second.watch().members(Instant::now()), (2, false));
    let records = StoreCap::with(&server.store(), None, rules("5/s"), |_| ()).expect("joined");
    assert_eq!(
        records.watch().members(Instant::now()),
        (1, false),
        "records are counted by themselves"
    );
}

#[test]
fn a_store_that_cannot_be_used_is_refused_in_one_line() {
    let refused = |store: &Store, password: Option<&str>| {
        let password = password.map(str::to_owned);
        let error = StoreCap::with(store, password, rules("1MB/s"), |_| ()).expect_err("no use");
        let line = error.to_string();
        assert!(!line.contains('\n') && !line.contains("hunter2"), "{line}");
        line
    };
    let server = Server::start(&["--requirepass", "secret"]);
    for password in [None, Some("hunter2")] {
        let line = refused(&server.store(), password);
        assert!(line.contains("WEIR_SHARE_PASSWORD"), "{line}");
    }
    let right = Some("secret".to_owned());
    StoreCap::with(&server.store(), right, rules("1MB/s"), |_| ()).expect("joined");

    let server = Server::start(&[]);
    server.tell("SET weir:{test:bytes}:share nonsense");
    let line = refused(&server.store(), None);
    assert!(
        line.contains("the key weir:{test:bytes}:share holds a string"),
        "{line}"
    );
    let as_nobody = Store {
        user: Some("nobody".to_owned()),
        ..server.store()
    };
    let line = refused(&as_nobody, None);
    assert!(
        line.starts_with("user nobody: it wants a password: give it in $WEIR_SHARE_PASSWORD"),
        "{line}"
    );
    let line = refused(&as_nobody, Some("hunter2"));
    assert!(line.contains("does not accept the password"), "{line}");

    // Nobody listens at its primary's address: it does not need to, to be a replica.
    let replica = Server::start(&["--replicaof", "127.0.0.1", "1"]);
    let line = refused(&replica.store(), None);
    assert_eq!(
        line,
        "it is a read-only replica: give the address of the primary"
    );
}

/// Something else than a store: it answers whatever it is asked with the first of these, and goes on with the second.
fn listen(first: &'static [u8], then: Vec<u8>, pause: Duration) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 1000]);
            let _ = stream.write_all(first);
            while !then.is_empty() && stream.write_all(&then).is_ok() {
                count.fetch_add(then.len(), SeqCst);
                thread::sleep(pause);
            }
        }
    });
    (port, sent)
}

#[test]
fn something_else_that_answers_there_costs_neither_memory_nor_time() {
    for (first, then, says) in [
        (
            &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
            vec![],
            "is not Redis",
        ),
        (b"$9999999999999\r\n", vec![b'x'; 65_536], "is not Redis"),
        (b"-", vec![b'E'; 65_536], "is not Redis"),
        (
            b"*9999999999999\r\n",
            b":1\r\n".repeat(9999),
            "is not Redis",
        ),
    ] {
        let (port, sent) = listen(first, then, Duration::ZERO);
        let refused = StoreCap::with(&store(port), None, rules("1MB/s"), |_| ());
        let line = refused.expect_err("no store").to_string();
        assert!(line.contains(says) && !line.contains('\n'), "{line}");
        // What the system holds on the way is a part of it.
        let sent = sent.load(SeqCst);
        assert!(sent < 32 << 20, "{sent} bytes were taken");
    }
    // It always has one more byte to say.
    let (port, _) = listen(b"$60000\r\n", vec![b'x'], Duration::from_millis(10));
    let mut member = Member::new(&store(port), None, Unit::Bytes).expect("a member");
    let question = LeasedCap::new(rules("1MB/s"), Instant::now()).question(Instant::now());
    let e = answer_to(&mut member, &question).expect_err("no store");
    assert!(e.is_timeout(), "{e}");
}
