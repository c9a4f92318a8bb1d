//! The world, the state machine and the drivers of a run, at its first instant.

use super::world::is_pipe;
use super::*;

pub(super) fn start(left: Left, s: Scenario, adversity: Adversity) -> Sim {
    let start = Instant::now();
    let mut events: Vec<_> = s
        .offers
        .iter()
        .map(|&(t, n)| (start + t, Event::Offer(n)))
        .collect();
    events.extend(s.takes.iter().map(|&(t, n)| (start + t, Event::Take(n))));
    events.extend(s.stops.iter().map(|&(t, d)| (start + t, Event::Stop(d))));
    events.extend(s.commands.iter().map(|&(t, c)| (start + t, Event::Tell(c))));
    for (falls, rises) in adversity.falls.into_iter().flatten() {
        events.extend(
            adversity
                .deaf
                .map(|before| (start + falls.saturating_sub(before), Event::Deafen)),
        );
        events.push((start + falls, Event::Fall));
        events.push((start + rises, Event::Rise));
    }
    events.extend(adversity.over.map(|t| (start + t, Event::Over)));
    events.extend(adversity.halts.map(|t| (start + t, Event::Halt)));
    let ends = [
        adversity.short.map(|s| s.1),
        adversity.dies,
        adversity.slow_file,
        adversity.disk.full.map(|full| full.1),
    ];
    events.extend(
        ends.into_iter()
            .flatten()
            .map(|t| (start + t, Event::Nothing)),
    );
    let recall = adversity.recall.map(|share| SidePlan {
        role: Role::Recall(share),
        comes: None,
        stalls: None,
        dies: None,
    });
    let sides = adversity.sides.into_iter().chain([recall]).flatten();
    let sides: Vec<SidePlan> = sides.collect();
    for looker in adversity.lookers.into_iter().flatten() {
        let comes = looker.comes.map(|t| (start + t, Event::Look(looker)));
        events.extend(comes);
        let ends = looker.stalls.map(|s| s.1).into_iter();
        let ends = ends.chain(looker.dies.map(|dies| dies.0));
        events.extend(ends.map(|t| (start + t, Event::Nothing)));
    }
    for (i, side) in sides.iter().enumerate() {
        let is_tap = matches!(side.role, Role::Tap(_));
        let back = side.dies.filter(|_| is_tap).map(|dies| dies.1);
        let comes = side.comes.into_iter().chain(back);
        events.extend(comes.map(|t| (start + t, Event::Come(SIDES + i))));
        let dies = side.dies.map(|dies| dies.0);
        let ends = side.stalls.map(|s| s.1).into_iter().chain(dies);
        events.extend(ends.map(|t| (start + t, Event::Nothing)));
    }
    events.sort_by_key(|e| e.0);
    let out = Outcome {
        passed: Vec::new(),
        took: Vec::new(),
        output: Vec::new(),
        engine: Engine::new(s.rules, start),
        over: 0,
        end: Duration::ZERO,
        finished: false,
        turns: Vec::new(),
        spilled: Vec::new(),
        told: Vec::new(),
        taken: 0,
        accused: false,
        span: false,
        tries: Vec::new(),
        starts: Vec::new(),
        closed: Vec::new(),
        someone_left: false,
        workers: Vec::new(),
        sides: vec![Vec::new(); sides.len()],
        fanned: 0,
        kept: 0,
        is_over: false,
        tee_bases: Vec::new(),
        left: Left::default(),
    };
    let mut engine = Engine::new(s.rules, start);
    engine.open_overflow();
    if s.rules.memory.is_some() {
        engine.give_reserve(Segment::map(engine.segment_size()).expect("memory"));
    }
    let mut drivers = [Actor::Source, Actor::Output(0), Actor::Output(OVERFLOW)].to_vec();
    let mut doing = vec![Doing::Something; 3];
    for side in &sides {
        let is_vacant = side.comes.is_some();
        let is_read = !matches!(side.role, Role::Recall(_)) && !is_vacant;
        let i = engine.add_side(side.role, is_vacant);
        if is_read && is_pipe(s.seed, i) {
            engine.let_side_pass(i, start);
        }
        drivers.push(Actor::Output(i));
        doing.push(if is_read {
            Doing::Something
        } else {
            Doing::Nothing
        });
    }
    // As it is outside, where all outputs are there by then: they inherit the rule.
    if let Some((key, keep)) = adversity.lanes {
        let key = key.map(|text| text.parse().expect("a key"));
        let keep = keep.map(|text| text.parse().expect("a pattern"));
        engine.sort_by(Sorter { key, keep }, s.seed, start);
    }
    if s.rules.outlives {
        engine.inherit(&left.inherited, start);
    }
    let workers = s.rules.workers.map_or(0, |workers| workers.count.most);
    let jobs = s.rules.batch.map_or(workers, |batch| batch.jobs.most);
    if jobs > 0 {
        doing[SINK] = Doing::Nothing;
    }
    engine.on_input_begin(Path {
        direct: s.direct,
        fans_out: s.direct,
        waits_first: !s.seed.is_multiple_of(3),
        ..Path::default()
    });
    if adversity.sizes {
        engine.on_output_begin(false, Some((s.pipe, true)), start);
    }
    let longest = match s.rules.framing {
        None => 1,
        framing => {
            let all = records(framing, &s.input.0);
            let longest = all.iter().map(|it| it.len()).max().unwrap_or(0);
            // The first of them may go on with one that came before.
            longest + left.inherited.end_depth as usize
        }
    };
    let held = inherited::most_owed(&left.inherited, sides.len());
    let tees = inherited::tees_of(&left.inherited, sides.len());
    let remembered = inherited::first_of(&left.inherited);
    Sim {
        core: Core {
            engine: RefCell::new(engine),
            now: Cell::new(start),
        },
        drivers: drivers.into_iter().map(Driver::new).collect(),
        doing,
        jobs: (0..jobs).map(|j| Driver::new(Actor::Job(j))).collect(),
        jobs_doing: vec![Doing::Something; jobs],

        world: World {
            start,
            now: start,
            offered: 0,
            entered: 0,
            taken: 0,
            offers_left: s.offers.len(),
            appetite: 0,
            lying: 0,
            pipe: s.pipe,
            is_deaf: false,
            events: events.into(),
            out,
            rng: s.seed | 1,
            adversity,
            doing: Doing::Something,
            versions: vec![0; SIDES + sides.len()],
            away: vec![true; sides.len()],
            sides,
            files: vec![(0, Vec::new()); jobs],
            running: vec![None; jobs],
            workers: std::iter::repeat_with(Default::default)
                .take(workers)
                .collect(),
            reads: 0,
            deaf: None,
            untold: Vec::new(),
            ordered: BTreeMap::new(),
            left: false,
            job_versions: vec![0; jobs],
            base: remembered.0,
            remembered,
            undelivered: dealt::owed(&left.inherited),
            emptied: None,
            forgone: 0,
            tee_bases: tees.clone(),
            failed: vec![false; tees.len()],
            tees,
            came_before: inherited::of_consumer(&left.inherited),
            disk: left.bytes,
            promises: Default::default(),
            ate_at: start,
            stood_at: [start; 2],
            // What nobody is owed is given back by whoever finds the spool full.
            floor: left.floor.max(inherited::lowest(&left.inherited)),
            told_floor: inherited::lowest(&left.inherited),
            inherited: left.inherited,
            begun: BTreeMap::new(),
            s,
        },
        closed_at: None,
        held,
        idle_steps: 0,
        longest,
        unread: 0,
        moved_at: start,
        quiet: false,
        failed: false,
        fallen: false,
        any_job_left: false,
        steps_to_end: 0,
        end_told: None,
        is_looked_at: false,
        opened: (None, Vec::new()),
    }
}
