//! One picture of all weirs, as text for a terminal of a given size.
//!
//! Invariant: no line is wider than the terminal, there are no more of them than it has rows, and
//! the row of the chosen weir is among them.

use console::{measure_text_width, truncate_str};

use super::columns::Table;
use super::view::{Page, Question, View};
use super::watch::{Group, Health, Seen};
use crate::report::snapshot::Snapshot;
use crate::report::terminal::Size;
use crate::report::theme::{Ink, Theme};
use crate::report::{outputs, pipeline};

/// Columns before a row, for the mark of the chosen one.
const MARGIN: usize = 2;

const HELP: &[&str] = &[
    "up, down, j, k    choose a weir; page up, page down, home and end go further",
    "                  where all is known of one: scroll; left and right choose",
    "p, space          pause it, or let it go on       weir --remote NAME --pause, --resume",
    "r                 set its cap                     weir --remote NAME --rate LIMIT",
    "s                 set what it sheds               weir --remote NAME --shed WHICH",
    "d                 drain it: read no more, and end weir --remote NAME --drain",
    "enter             all that is known of it         weir --query NAME",
    "q                 leave; here: back",
];

/// The picture, from the top left corner of the screen on.
#[must_use]
pub(super) fn text(
    groups: &[Group<'_>],
    strangers: &[u32],
    view: &View,
    size: Size,
    theme: Theme,
) -> String {
    let (columns, rows) = (usize::from(size.columns), usize::from(size.rows));
    let mut body = match view.page {
        Page::Table => table(groups, strangers, view, columns, theme),
        Page::Details => details(groups, view),
        Page::Help => HELP.iter().map(|line| (None, (*line).to_owned())).collect(),
    };
    let foot = foot(view);
    let room = rows.saturating_sub(1 + usize::from(foot.is_some()));
    let mut lines = vec![head(groups, columns, theme)];
    if view.page == Page::Table && !body.is_empty() && !groups.is_empty() {
        // The heads of the columns stay, whatever is scrolled.
        lines.push(body.remove(0).1);
    }
    let room = (room + 1).saturating_sub(lines.len());
    let first = match view.page {
        Page::Table => first(&body, view.chosen, room),
        Page::Details | Page::Help => view.first,
    };
    lines.extend(window(body, first, room, theme));
    if let Some(foot) = foot {
        lines.resize(rows.saturating_sub(1).max(1), String::new());
        lines.push(theme.paint(Ink::Strong, &foot));
    }
    lines.truncate(rows);
    let cut = theme.glyphs().cut;
    let lines = lines.iter().map(|line| truncate_str(line, columns, cut));
    let lines: Vec<String> = lines.map(|line| format!("{line}\x1b[K")).collect();
    // The last line has no break, lest the screen scrolls.
    format!("\x1b[H{}\x1b[J", lines.join("\r\n"))
}

fn head(groups: &[Group<'_>], columns: usize, theme: Theme) -> String {
    let all = groups.iter().flat_map(|group| &group.weirs);
    let running = all.filter(|weir| weir.health != Health::Ended);
    let running = match running.count() {
        0 => "no weir is running".to_owned(),
        1 => "1 weir".to_owned(),
        n => format!("{n} weirs"),
    };
    let keys = if columns < 40 {
        "q quits"
    } else {
        "q quits  ? keys"
    };
    let gap = columns.saturating_sub(1 + measure_text_width(&running) + keys.len());
    let running = theme.paint(Ink::Strong, &running);
    running + &" ".repeat(gap.max(1)) + &theme.paint(Ink::Faint, keys)
}

/// A line, and whose it is.
type Line = (Option<u32>, String);

fn table(
    groups: &[Group<'_>],
    strangers: &[u32],
    view: &View,
    columns: usize,
    theme: Theme,
) -> Vec<Line> {
    let all: Vec<&Seen> = groups
        .iter()
        .flat_map(|group| group.weirs.clone())
        .collect();
    let room = columns.saturating_sub(MARGIN + 1);
    let table = Table::new(&all, room, theme);
    let mut lines = Vec::new();
    if !all.is_empty() {
        lines.push((None, " ".repeat(MARGIN) + &table.head(theme)));
    }
    for group in groups {
        lines.push((None, pipeline_line(group, columns, theme)));
        for weir in &group.weirs {
            let pid = weir.last.pid;
            let mark = if view.chosen == Some(pid) { "> " } else { "  " };
            let mark = theme.paint(Ink::Strong, mark);
            lines.push((Some(pid), mark + &table.row(weir, theme)));
        }
    }
    for pid in strangers {
        let text = format!("{pid} does not answer; is it stopped?");
        lines.push((None, theme.paint(Ink::Faint, &text)));
    }
    lines
}

/// The stages of a pipeline, and who holds it up; of the stages as many as there is room for.
fn pipeline_line(group: &Group<'_>, columns: usize, theme: Theme) -> String {
    let blame = match &group.culprit {
        Some(who) => format!("{} {who}", theme.glyphs().blame),
        None => String::new(),
    };
    let room = columns.saturating_sub(measure_text_width(&blame) + 3);
    let stages = group.stages.join(" | ");
    let stages = truncate_str(&stages, room, theme.glyphs().cut);
    let gap = if stages.is_empty() { "" } else { "  " };
    theme.paint(Ink::Faint, &stages) + gap + &theme.paint(Ink::Strong, &blame)
}

/// All that is known of the chosen weir: its status object, a line for each of its fields.
fn details(groups: &[Group<'_>], view: &View) -> Vec<Line> {
    let mut all = groups.iter().flat_map(|group| &group.weirs);
    let Some(weir) = all.find(|weir| Some(weir.last.pid) == view.chosen) else {
        return Vec::new();
    };
    let mut object = serde_json::to_value(&weir.last).unwrap_or_default();
    // They are told in words, one by one.
    let outputs = weir.last.outputs.iter();
    let outputs: Vec<String> = outputs.map(|it| outputs::text(&weir.last, it)).collect();
    if let Some(object) = object.as_object_mut().filter(|_| !outputs.is_empty()) {
        let texts = outputs.into_iter().map(serde_json::Value::String);
        let numbered = (1..).map(|n: usize| n.to_string()).zip(texts);
        object.insert(
            "outputs".into(),
            serde_json::Value::Object(numbered.collect()),
        );
    }
    let mut lines = vec![(None, format!("weir {}", pipeline::label(&weir.last)))];
    let mut say = |name: &str, value: &serde_json::Value| {
        let value = match value {
            serde_json::Value::Null => "-".to_owned(),
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        lines.push((None, format!("  {name:<22}{value}")));
    };
    for (name, value) in object.as_object().into_iter().flatten() {
        match value.as_object() {
            Some(parts) => parts
                .iter()
                .for_each(|(part, value)| say(&format!("{name}.{part}"), value)),
            None => say(name, value),
        }
    }
    lines
}

fn foot(view: &View) -> Option<String> {
    let chosen = view.chosen.unwrap_or_default();
    match &view.question {
        Some(Question::Value(option, text)) => {
            Some(format!("weir --remote {chosen} {option} {text}_"))
        }
        Some(Question::Drain) => Some(format!(
            "weir --remote {chosen} --drain: it reads no more, and ends; y does it"
        )),
        None => view.message.clone(),
    }
}

/// How many lines of the page do not fit on a screen of this size.
pub(super) fn hidden(groups: &[Group<'_>], view: &View, size: Size) -> usize {
    let all = match view.page {
        Page::Table => 0,
        Page::Details => details(groups, view).len(),
        Page::Help => HELP.len(),
    };
    let taken = 1 + usize::from(foot(view).is_some());
    let room = usize::from(size.rows).saturating_sub(taken);
    if all <= room { 0 } else { all - shown(room) }
}

/// Of so many rows the last one tells how many lines there are more.
fn shown(room: usize) -> usize {
    room.saturating_sub(1)
}

/// The first line to be shown, so that the chosen weir is in sight.
fn first(lines: &[Line], chosen: Option<u32>, room: usize) -> usize {
    let chosen = lines
        .iter()
        .position(|(pid, _)| pid.is_some() && *pid == chosen);
    chosen.map_or(0, |at| (at + 2).saturating_sub(shown(room)))
}

/// The part of these lines that is shown, from this one on, and a word on what is not.
fn window(lines: Vec<Line>, first: usize, room: usize, theme: Theme) -> Vec<String> {
    let all = lines.len();
    let texts = lines.iter().map(|(_, text)| text.clone());
    if all <= room {
        return texts.collect();
    }
    let shown = shown(room);
    let first = first.min(all - shown);
    let mut part: Vec<String> = texts.skip(first).take(shown).collect();
    if room > 0 {
        let more = |n: usize| {
            if n == 1 {
                "1 more line".to_owned()
            } else {
                format!("{n} more lines")
            }
        };
        let more = match (first, all - shown - first) {
            (0, below) => format!("{} below", more(below)),
            (above, 0) => format!("{} above", more(above)),
            (above, below) => format!("{} above, {below} below", more(above)),
        };
        part.push(theme.paint(Ink::Faint, &more));
    }
    part
}

/// The weirs from top to bottom, as the keys go through them.
pub(super) fn weirs<'a>(groups: &[Group<'a>]) -> Vec<&'a Snapshot> {
    let all = groups.iter().flat_map(|group| group.weirs.clone());
    all.map(|weir| &weir.last).collect()
}

#[cfg(test)]
mod tests;
