//! Options by chance that go together, for the command line and for `--remote`.

use crate::dice::Dice;
use crate::stream::Framing;

/// A command line, and what of it the checks must know.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub list: Vec<String>,
    /// Something may be shed, now or after a change.
    pub sheds: bool,
    /// `--shed-to` is given, with the file's name to be put after it.
    pub spills: bool,
    /// A watchdog may run out.
    pub stalls: bool,
    /// The cap is shared through a store.
    pub store: bool,
    /// What is held may not all be delivered after a signal.
    pub hurries: bool,
    /// There has always been a cap, so that a burst is no mistake.
    capped: bool,
}

impl Options {
    fn give(&mut self, option: &str, value: impl ToString) {
        self.list.extend([option.to_owned(), value.to_string()]);
    }

    /// Where the input is to end; so much of it is read then, at most.
    pub(crate) fn stop(
        &mut self,
        dice: &mut Dice,
        framing: Framing,
        input: &[u8],
    ) -> Option<usize> {
        // It is the expected total then.
        if self.list.iter().any(|it| it == "--size") || !dice.percent(20) {
            return None;
        }
        let records = framing.split(input);
        let is_of_records = framing != Framing::None && dice.percent(60);
        let (text, mark) = if is_of_records {
            let most = records.len() as u64;
            let n = dice.between(0, most + most / 5) as usize;
            let bytes = records.iter().take(n).map(|record| record.len());
            (n.to_string(), bytes.sum())
        } else {
            let most = input.len() as u64;
            let n = dice.between(0, most + most / 5) as usize;
            (format!("{n}B"), n.min(input.len()))
        };
        self.give("--stop-at", text);
        Some(mark)
    }

    /// Beside a spool.
    pub(crate) fn sync(&mut self, dice: &mut Dice) {
        if dice.percent(50) {
            self.give("--sync", dice.pick(&["1ms", "20ms", "always", "off"]));
        }
    }

    /// Whether lanes are told apart, now or later.
    pub(crate) fn sheds_fair(&self) -> bool {
        self.list.iter().any(|it| it == "fair")
    }

    /// Whether records are told apart by what they say.
    pub(crate) fn has_lanes(&self) -> bool {
        self.list.iter().any(|it| it == "--key" || it == "--keep")
    }
}

/// What plain lines begin with.
pub(crate) const PLAIN: &str = "now:";
/// What weirs are called.
const NAMES: [&str; 3] = ["chaos", "two words", "ü: {"];
/// What is run at the end, and leaves a line in a file.
pub(crate) const DONE: &str = "done=echo $WEIR_END $WEIR_IN_BYTES >>$XDG_RUNTIME_DIR/done";

/// Options to start with; `total` bytes will come.
pub(crate) fn draw(dice: &mut Dice, framing: Framing, total: usize) -> Options {
    let mut options = Options::default();
    let o = &mut options;
    let buffers = ["4KiB", "9999", "64KiB", "300001", "1MiB", "8MiB"];
    o.give("--buffer", dice.pick(&buffers));
    match framing {
        Framing::None => {}
        Framing::Lines => o.list.push("--lines".into()),
        Framing::Null => o.list.push("--null".into()),
        Framing::Fixed(size) => o.give("--record-size", size),
    }
    marks(dice, o);
    o.give(
        "--pipe-size",
        dice.pick(&["auto", "auto", "keep", "4KiB", "64KiB", "1MiB"]),
    );
    if dice.percent(30) {
        o.list.push("--no-splice".into());
    }
    if dice.percent(40) {
        caps(dice, o, framing, total);
    }
    if dice.percent(40) {
        shedding(dice, o);
        if framing != Framing::None {
            lanes(dice, o);
        }
    }
    if dice.percent(10) {
        o.list.push("--no-control".into());
    }
    match dice.between(0, 9) {
        0 => o.give("--timeout", "1h"),
        1 => {
            let sides = ["--timeout", "--source-timeout", "--sink-timeout"];
            o.give(dice.pick(&sides), format!("{}ms", dice.between(20, 400)));
            o.stalls = true;
        }
        _ => {}
    }
    match dice.between(0, 19) {
        // Measured beside the flow, and often for longer than that lasts.
        0 => o.give("--size", "@/usr/share"),
        1 | 2 => o.give("--size", dice.spread(1, 1 << 22)),
        _ => {}
    }
    match dice.between(0, 9) {
        0..=5 => {
            o.give("--display", "json");
            o.give("--interval", format!("{}ms", dice.between(10, 300)));
        }
        6 => {
            o.give("--display", "plain");
            o.give("--format", PLAIN.to_owned() + " {used%} {{}} {culprit}");
            o.give("--interval", format!("{}ms", dice.between(10, 300)));
        }
        // With a log, auto is plain.
        _ => o.give("--display", "off"),
    }
    if dice.percent(20) {
        o.give("--name", dice.pick(&NAMES));
    }
    o.give("--summary", "json");
    if !o.has_lanes() && dice.percent(30) {
        o.give("--spill", dice.pick(&["1MiB", "1MiB", "3MB", "64MiB"]));
    }
    beside_the_flow(dice, o);
    options
}

/// What changes nothing of what passes.
fn beside_the_flow(dice: &mut Dice, o: &mut Options) {
    if dice.percent(15) {
        let hooks = [
            "full=true",
            "50%=exit 1",
            "shed=true",
            "stall=true",
            "restart=true",
        ];
        o.give("--on", dice.pick(&hooks));
    }
    if dice.percent(15) {
        o.give("--on", DONE);
    }
    match dice.between(0, 9) {
        0 => o.give("--grace", "1h"),
        1 => {
            o.give("--grace", format!("{}ms", dice.spread(1, 200)));
            o.hurries = true;
        }
        _ => {}
    }
    // Alone in its share it has the whole cap; a range cannot be shared.
    let is_plain = |cap: &String| !cap.contains("..") && !cap.contains(',');
    let given = o.list.windows(2).filter(|it| it[0] == "--rate");
    let caps: Vec<String> = given.map(|it| it[1].clone()).collect();
    if !caps.is_empty() && caps.iter().all(is_plain) && dice.percent(50) {
        o.store = dice.percent(50);
        if !o.store {
            o.give("--share", "chaos");
        }
    }
}

fn marks(dice: &mut Dice, o: &mut Options) {
    let high = dice.between(30, 100);
    if dice.percent(30) {
        o.give("--high", format!("{high}%"));
    }
    if dice.percent(20) {
        o.give("--low", format!("{}%", dice.between(0, 25)));
    }
    if dice.percent(20) {
        o.give("--prefill", format!("{}%", dice.between(0, 30)));
    }
}

fn caps(dice: &mut Dice, o: &mut Options, framing: Framing, total: usize) {
    let both = dice.percent(20);
    if both || dice.percent(60) {
        let rate = limit(dice, framing, total);
        // One of each.
        if framing != Framing::None && !rate.contains('B') && dice.percent(40) {
            let bytes = (total as u64 + 1000) * dice.between(100, 200) / 100;
            o.give("--rate", format!("{bytes}B/s"));
        }
        o.give("--rate", rate);
        o.capped = true;
    }
    if both || !o.capped {
        o.give("--input-rate", limit(dice, framing, total));
        o.capped = true;
    }
    if dice.percent(40) {
        let is_of_bytes = o.list.iter().any(|it| it.ends_with("B/s"));
        match dice.between(0, 2) {
            // No more than the smallest buffer holds.
            0 if is_of_bytes => o.give("--burst", format!("{}B", dice.spread(0, 4096))),
            0 => o.give("--burst", dice.spread(0, 100)),
            _ => o.give("--burst", format!("{}ms", dice.between(1, 200))),
        }
    }
}

/// A cap that lets everything pass in half a second to a second.
fn limit(dice: &mut Dice, framing: Framing, total: usize) -> String {
    let rate = (total as u64 + 1000) * dice.between(100, 200) / 100;
    match dice.between(0, 5) {
        0 => format!("{rate}/s..{}/s", rate * 3).replace("/s", "B/s"),
        1 => format!("00:00,{rate}B/s"),
        2 | 3 if framing != Framing::None => format!("{}/s", records(framing, rate)),
        _ => format!("{rate}B/s"),
    }
}

/// So many records for so many bytes, at least: no record is shorter.
fn records(framing: Framing, bytes: u64) -> u64 {
    match framing {
        Framing::Fixed(size) => bytes / size as u64 + 1,
        _ => bytes / 9 + 1,
    }
}

fn shedding(dice: &mut Dice, o: &mut Options) {
    let (shed, age) = dice.pick(&[(true, false), (true, false), (true, true), (false, true)]);
    if shed {
        o.give("--shed", dice.pick(&["oldest", "newest", "fair"]));
        if dice.percent(40) {
            o.give("--patience", format!("{}ms", dice.spread(0, 200)));
        }
    }
    if age {
        o.give("--max-age", format!("{}ms", dice.between(1, 300)));
    }
    o.sheds = true;
    o.spills = dice.percent(60);
}

/// What tells records apart: a digit of their number, or what fills them up. Lanes may come into force only later.
fn lanes(dice: &mut Dice, o: &mut Options) {
    let which = o.list.iter().position(|it| it == "--shed");
    let which = which.map(|at| &mut o.list[at + 1]);
    let is_fair = which.is_some_and(|which| {
        if dice.percent(20) {
            *which = "off".to_owned();
        }
        which == "fair" || which == "off"
    });
    if is_fair && dice.percent(70) {
        o.give("--key", dice.pick(&["^.{7}(.)", "^.{6}(..)", "[a-m]", "1"]));
    }
    if dice.percent(30) {
        o.give("--keep", dice.pick(&["^.{7}3", "[xyz]"]));
    }
}

/// Something to change while it runs, which may turn out to be refused.
pub(crate) fn change(
    dice: &mut Dice,
    o: &mut Options,
    framing: Framing,
    total: usize,
) -> Vec<String> {
    let mut told = Options::default();
    match dice.between(0, 15) {
        15 => told.give("--name", dice.pick(&NAMES)),
        14 => told.give("--jobs", dice.pick(&["1", "2", "1..2", "2..3"])),
        13 => told.list.push("--reopen".into()),
        0 | 1 => told.list.push("--pause".into()),
        2 | 3 => told.list.push("--resume".into()),
        4 => told.list.push("--drain".into()),
        5 => told.give("--rate", limit(dice, framing, total)),
        6 => told.give("--input-rate", limit(dice, framing, total)),
        7 => told.give("--rate", "off"),
        8 => marks(dice, &mut told),
        9 => told.give("--burst", dice.spread(0, 4096)),
        10 if dice.percent(30) => told.give("--size", dice.pick(&["@/usr/share", "1MiB"])),
        10 => told.give("--interval", format!("{}ms", dice.between(5, 500))),
        11 => told.give(dice.pick(&["--shed", "--max-age"]), "off"),
        _ => {
            shedding(dice, &mut told);
            o.sheds = true;
        }
    }
    if told.list.is_empty() {
        told.list.push("--resume".into());
    }
    told.list
}

/// Lets a weir go on without a cap; says whether that could be told. A cap that is shared cannot be taken off by one of
/// those who share it: it is made a large one.
pub(crate) fn set_free(mut remote: impl FnMut(&[String]) -> bool) -> bool {
    let mut tell = |change: &[&str]| {
        let change: Vec<String> = change.iter().copied().map(String::from).collect();
        remote(&change)
    };
    let mut all = |rates: &[&str]| rates.iter().filter(|rate| tell(&["--rate", rate])).count() > 0;
    let is_free = all(&["off"]) || all(&["1GB/s", "1000000000/s"]);
    is_free && tell(&["--resume", "--input-rate", "off"])
}
