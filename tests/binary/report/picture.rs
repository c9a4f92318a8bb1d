//! The picture in the README: a real pipeline in a real terminal, drawn as SVG. Made by
//! `.ci/picture`; not part of an ordinary test run.

use std::fmt::Write as _;
use std::fs;

use crate::harness::pty::Pty;

const COLUMNS: u16 = 100;
const ROWS: u16 = 8;
/// Pixels of a cell and of the frame around the screen.
const CELL: (f64, f64) = (8.4, 19.0);
const MARGIN: f64 = 14.0;

/// A pipeline in which one weir finds the program between the two slow, and the other one, which has gone on to the
/// disk, the last one; and a log whose consumer has fallen. What is shown is what is run; the programs are made up.
const SCRIPT: &str = r#"
cd "$(mktemp -d)"; PATH=$PWD:$PATH; weir() { "$WEIR" "$@"; }
cat >upload <<'END'
#!/usr/bin/perl
while (sysread(STDIN, $_, 65536)) { select(undef, undef, undef, 0.006) }
END
cat >server <<'END'
#!/usr/bin/perl
$| = 1; while (1) { print "request $n\n" x 20; select(undef, undef, undef, 0.05) }
END
printf '#!/bin/sh\nexit 1\n' >ship
chmod +x upload server ship
head -c 400000000 /dev/urandom >photos.tar
run() { printf '\033[1;34m$\033[0m %s\n' "$1"; eval "$1"; }
run 'weir -N read photos.tar | gzip | weir -N send -b 16MiB --spill 200MB | upload &'
run 'server | weir -l -N logs --restart on-failure --backoff 1s..1m -- ship'
rm photos.tar
"#;

#[test]
#[ignore = "makes the picture; run .ci/picture"]
fn picture() {
    let pty = Pty::run(SCRIPT, ROWS, COLUMNS, &[]);
    // A bar in the middle of its way, and a good part of a minute's worth of what came before it.
    pty.wait("a good part of the run", |rows| {
        let shows = |name: &str, what: &str| {
            let mut all = rows.iter();
            all.any(|row| row.starts_with(name) && row.contains(what))
        };
        shows("read", " 42% ")
            && shows("read", "gzip is slow")
            && shows("send", "upload is slow")
            && shows("logs", "retry in")
    });
    let svg = pty.with_screen(draw);
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/man/weir.svg");
    fs::write(file, svg).expect("written");
}

/// The screen as an SVG: one text for each run of cells that look alike.
fn draw(screen: &vt100::Screen) -> String {
    let (rows, columns) = screen.size();
    let used = (0..rows).rev().find(|row| {
        (0..columns).any(|column| screen.cell(*row, column).is_some_and(|c| c.has_contents()))
    });
    let rows = used.map_or(0, |row| row + 1);
    let width = f64::from(columns) * CELL.0 + 2.0 * MARGIN;
    let height = f64::from(rows) * CELL.1 + 2.0 * MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-label=\"weir in a terminal\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#16181d\"/>\n\
         <g font-family=\"ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace\" \
         font-size=\"14\" xml:space=\"preserve\">\n"
    );
    for row in 0..rows {
        for run in runs(screen, row, columns) {
            run.draw(&mut svg, row);
        }
    }
    svg + "</g>\n</svg>\n"
}

/// Cells beside each other that look alike.
struct Run {
    column: u16,
    cells: u16,
    text: String,
    look: Look,
}

#[derive(Clone, Copy, PartialEq)]
struct Look {
    ink: vt100::Color,
    paper: vt100::Color,
    bold: bool,
    dim: bool,
}

fn runs(screen: &vt100::Screen, row: u16, columns: u16) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for column in 0..columns {
        let Some(cell) = screen.cell(row, column) else {
            continue;
        };
        let look = Look {
            ink: cell.fgcolor(),
            paper: cell.bgcolor(),
            bold: cell.bold(),
            dim: cell.dim(),
        };
        let text = if cell.has_contents() {
            cell.contents()
        } else {
            " "
        };
        match runs.last_mut() {
            Some(run) if run.look == look => {
                run.text += text;
                run.cells += 1;
            }
            _ => runs.push(Run {
                column,
                cells: 1,
                text: text.to_owned(),
                look,
            }),
        }
    }
    runs
}

impl Run {
    fn draw(&self, svg: &mut String, row: u16) {
        let (x, y) = (
            MARGIN + f64::from(self.column) * CELL.0,
            MARGIN + f64::from(row) * CELL.1,
        );
        let width = f64::from(self.cells) * CELL.0;
        if self.look.paper != vt100::Color::Default {
            let fill = colour(self.look.paper);
            let _ = writeln!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{}\" fill=\"{fill}\"/>",
                CELL.1
            );
        }
        if self.text.trim().is_empty() {
            return;
        }
        let weight = if self.look.bold {
            " font-weight=\"bold\""
        } else {
            ""
        };
        let opacity = if self.look.dim {
            " opacity=\"0.55\""
        } else {
            ""
        };
        let text = self.text.replace('&', "&amp;").replace('<', "&lt;");
        let _ = writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"{:.1}\" textLength=\"{width:.1}\" \
             lengthAdjust=\"spacingAndGlyphs\" fill=\"{}\"{weight}{opacity}>{text}</text>",
            y + CELL.1 * 0.75,
            colour(self.look.ink),
        );
    }
}

fn colour(colour: vt100::Color) -> &'static str {
    match colour {
        vt100::Color::Idx(0) => "#16181d",
        vt100::Color::Idx(1) => "#e5534b",
        vt100::Color::Idx(2 | 28) => "#57ab5a",
        vt100::Color::Idx(4) => "#539bf5",
        vt100::Color::Idx(3 | 130) => "#d9a73a",
        vt100::Color::Idx(5) => "#c678dd",
        vt100::Color::Idx(6 | 31) => "#39a5b5",
        _ => "#d6d9de",
    }
}
