//! The frames of the live view: what stands where, at every width, and that the chosen weir is always in sight.

use super::*;
use crate::report::sample;
use crate::report::theme::Colours;

const THEME: Theme = Theme {
    unicode: true,
    colours: Colours::None,
};

fn seen(last: Snapshot, pid: u32, health: Health) -> Seen {
    Seen::new(Snapshot { pid, ..last }, health)
}

fn many() -> Vec<Seen> {
    let mut all = vec![
        seen(sample::busy(), 11, Health::Running),
        seen(sample::capped(), 13, Health::Silent),
        seen(sample::shedding(), 20, Health::Ended),
    ];
    all.extend((30..50).map(|pid| seen(sample::fresh(), pid, Health::Running)));
    all
}

fn groups(all: &[Seen]) -> Vec<Group<'_>> {
    let group = |weirs: Vec<&'_ Seen>, stages: &[&str], culprit: Option<&str>| Group {
        stages: stages.iter().map(|stage| (*stage).to_owned()).collect(),
        culprit: culprit.map(Into::into),
        weirs: weirs
            .into_iter()
            .map(|weir| {
                all.iter()
                    .find(|w| w.last.pid == weir.last.pid)
                    .expect("it")
            })
            .collect(),
    };
    let mut groups = vec![group(
        all[..2].iter().collect(),
        &["tar", "backup", "gzip", "lower", "ssh"],
        Some("ssh"),
    )];
    groups.extend(
        all[2..]
            .iter()
            .map(|weir| group(vec![weir], &["cat", "weir"], None)),
    );
    groups
}

fn picture(view: &View, columns: u16, rows: u16, theme: Theme) -> Vec<String> {
    let all = many();
    let text = text(&groups(&all), &[4711], view, Size { rows, columns }, theme);
    let text = text.strip_prefix("\x1b[H").expect("the corner");
    let text = text.strip_suffix("\x1b[J").expect("the rest is cleared");
    text.split("\r\n")
        .map(|line| line.strip_suffix("\x1b[K").expect("cleared").to_owned())
        .collect()
}

fn choosing(pid: u32) -> View {
    View {
        chosen: Some(pid),
        ..View::default()
    }
}

#[test]
fn weirs_are_a_table_below_their_pipelines() {
    let lines = picture(&choosing(13), 110, 60, THEME);
    let expected = "\
22 weirs                                                                                      q quits  ? keys
  NAME    PID  STATE     TIME         IN        OUT     CAP    TOTAL  DONE  LEFT   SHED  FULL  LAST MINUTE
tar | backup | gzip | lower | ssh  ◀ ssh
  backup   11  blocked   1:23  12.0MiB/s  10.0MiB/s       -  1.14GiB   38%  3:10      -   94%  ·▁▁▁▂▂▃▄▆▇
> backup   13  stopped?  0:10  10.0MiB/s  2.00MiB/s  2MiB/s  92.0MiB    3%     -      -   28%  ··········
cat | weir
  20       20  ended     0:05          -          -   10k/s    20.5k     -     -  51.2k  100%  ··········
cat | weir
  30       30  flowing   0:00          -          -       -       0B     -     -      -    0%  ··········";
    let told: Vec<&str> = lines[..9].iter().map(|line| line.trim_end()).collect();
    assert_eq!(told.join("\n"), expected, "\n{}", told.join("\n"));
    assert_eq!(
        lines.last().map(String::as_str),
        Some("4711 does not answer; is it stopped?")
    );
}

#[test]
fn columns_stand_below_each_other_and_names_are_never_left_out() {
    for columns in (20..=200).step_by(9) {
        let lines = picture(&choosing(11), columns, 60, THEME);
        let rows = |name: &str| {
            lines
                .iter()
                .find(|line| line[2..].starts_with(name))
                .cloned()
        };
        let (head, one, two) = (rows("NAME"), rows("backup"), rows("30"));
        let (head, one, two) = (
            head.expect("heads"),
            one.expect("a name"),
            two.expect("a name"),
        );
        if columns >= 40 {
            let end = |line: &str, word: &str| {
                line.find(word)
                    .map(|at| line[..at].chars().count() + word.len())
            };
            assert_eq!(
                end(&head, "FULL"),
                end(&one, " 94%").or(None),
                "{columns}\n{head}\n{one}"
            );
            assert_eq!(
                end(&head, "FULL"),
                end(&two, " 0%"),
                "{columns}\n{head}\n{two}"
            );
        }
    }
}

#[test]
fn no_terminal_is_too_small() {
    let question = |question| View {
        question: Some(question),
        ..choosing(40)
    };
    let views = [
        choosing(40),
        question(Question::Value("--rate", "10MB/s".into())),
        question(Question::Drain),
        View {
            page: Page::Details,
            ..choosing(11)
        },
        View {
            page: Page::Help,
            ..choosing(11)
        },
    ];
    for view in &views {
        for columns in [1, 2, 5, 10, 20, 24, 39, 40, 60, 80, 133, 200] {
            for rows in [1, 2, 4, 24] {
                let lines = picture(view, columns, rows, THEME);
                assert!(lines.len() <= usize::from(rows));
                for line in lines {
                    assert!(
                        measure_text_width(&line) <= columns.into(),
                        "{columns}: {line}"
                    );
                }
            }
        }
    }
}

#[test]
fn the_chosen_one_is_always_in_sight() {
    for rows in [6, 10, 24] {
        for weir in many() {
            let lines = picture(&choosing(weir.last.pid), 100, rows, THEME);
            let chosen = lines.iter().filter(|line| line.starts_with("> "));
            assert_eq!(chosen.count(), 1, "{rows}: {lines:#?}");
            assert!(
                lines.last().expect("a line").contains("more line"),
                "{lines:#?}"
            );
        }
    }
}

#[test]
fn details_are_the_status_object() {
    let view = View {
        page: Page::Details,
        ..choosing(11)
    };
    let lines = picture(&view, 100, 60, THEME).join("\n");
    for line in [
        "weir backup",
        "  buffer.capacity       67108864",
        "  culprit               gzip",
        "  age_s.p99             -",
    ] {
        assert!(lines.contains(line), "{line}\n{lines}");
    }
}

#[test]
fn what_is_asked_and_what_came_of_it_stands_at_the_foot() {
    let view = View {
        question: Some(Question::Value("--rate", "10M".into())),
        ..choosing(11)
    };
    let lines = picture(&view, 100, 24, THEME);
    assert_eq!(lines.len(), 24);
    assert_eq!(lines[23], "weir --remote 11 --rate 10M_");
}
