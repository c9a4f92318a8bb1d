//! Measured figures in rows and columns, and what they say about the goals.

use crate::lab::Lab;
use crate::spec::{Contender, Skip};
use crate::stats::median;

/// The figures of one run of one contender, one per column; NaN where there is none.
pub(crate) type Figures = Vec<f64>;

/// One contender's figures.
pub(crate) struct Row {
    /// Name of the contender.
    pub label: String,
    /// Per run, in order; or why there are none.
    pub runs: Result<Vec<Figures>, Skip>,
}

/// One comparison.
pub(crate) struct Table {
    /// What is compared.
    pub title: String,
    /// How it was measured.
    pub how: String,
    /// Name and unit of each column.
    pub columns: Vec<&'static str>,
    /// The contenders.
    pub rows: Vec<Row>,
    /// The goals.
    pub checks: Vec<Check>,
    /// Whatever else was seen.
    pub notes: Vec<String>,
}

/// Which side of the goal is good.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Side {
    /// The figure must not be lower.
    AtLeast,
    /// The figure must not be higher.
    AtMost,
}

/// One goal and how it stands.
pub(crate) struct Check {
    /// What was asked for.
    pub what: String,
    /// What was measured; NaN if nothing.
    pub got: f64,
    /// Where the goal lies.
    pub goal: f64,
    /// And on which side of it is good.
    pub side: Side,
}

impl Check {
    /// Is the goal reached? `None` without a figure.
    pub(crate) fn met(&self) -> Option<bool> {
        match self.side {
            _ if self.got.is_nan() => None,
            Side::AtLeast => Some(self.got >= self.goal),
            Side::AtMost => Some(self.got <= self.goal),
        }
    }
}

impl Table {
    /// Lets `contenders` run in turn, `runs` times each, and keeps what `measure` says. One that cannot run
    /// is asked once.
    pub(crate) fn measure(
        title: impl Into<String>,
        columns: &[&'static str],
        contenders: &[Contender],
        runs: u64,
        mut measure: impl FnMut(&Contender) -> Result<Figures, Skip>,
    ) -> Self {
        let title = title.into();
        let empty = |c: &Contender| Row {
            label: c.label.clone(),
            runs: Ok(Vec::new()),
        };
        let mut rows: Vec<Row> = contenders.iter().map(empty).collect();
        for run in 1..=runs {
            for (row, contender) in rows.iter_mut().zip(contenders) {
                let Ok(sofar) = &mut row.runs else { continue };
                eprintln!("  {title}: run {run}/{runs}: {}", row.label);
                match measure(contender) {
                    Ok(figures) => sofar.push(figures),
                    Err(skip) => row.runs = Err(skip),
                }
            }
        }
        let (how, columns) = (String::new(), columns.to_vec());
        Self {
            title,
            how,
            columns,
            rows,
            checks: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Says how it was measured.
    pub(crate) fn how(mut self, how: impl Into<String>) -> Self {
        self.how = how.into();
        self
    }

    /// All figures of one row in one column; empty if there are none.
    pub(crate) fn series(&self, label: &str, column: usize) -> Vec<f64> {
        let row = self.rows.iter().find(|row| row.label == label);
        let runs = row.and_then(|row| row.runs.as_ref().ok());
        runs.map_or_else(Vec::new, |runs| {
            runs.iter().map(|figures| figures[column]).collect()
        })
    }

    /// The median of one row in one column.
    pub(crate) fn median(&self, label: &str, column: usize) -> f64 {
        median(&self.series(label, column))
    }

    /// `label` over `other`: the median of the ratios of runs that stood side by side.
    pub(crate) fn ratio(&self, label: &str, other: &str, column: usize) -> f64 {
        let (ours, theirs) = (self.series(label, column), self.series(other, column));
        let ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(a, b)| a / b).collect();
        median(&ratios)
    }

    /// The ratio to the best of `others` that was measured: the one for which it is least (`AtLeast`) or most.
    pub(crate) fn ratio_to_best(
        &self,
        label: &str,
        others: &[&str],
        column: usize,
        side: Side,
    ) -> f64 {
        let ratios = others.iter().map(|other| self.ratio(label, other, column));
        ratios
            .filter(|ratio| !ratio.is_nan())
            .fold(f64::NAN, |best, ratio| match side {
                Side::AtLeast => best.min(ratio),
                Side::AtMost => best.max(ratio),
            })
    }

    /// Enters a goal that the figure must not stay under.
    pub(crate) fn at_least(&mut self, what: impl Into<String>, got: f64, goal: f64) {
        self.checks.push(Check {
            what: what.into(),
            got,
            goal,
            side: Side::AtLeast,
        });
    }

    /// Enters a goal that the figure must not go over.
    pub(crate) fn at_most(&mut self, what: impl Into<String>, got: f64, goal: f64) {
        self.checks.push(Check {
            what: what.into(),
            got,
            goal,
            side: Side::AtMost,
        });
    }
}

/// One run through `gen | X | sink`: wall seconds and the CPU seconds of the one in the middle
/// (NaN for a bare pipe). Every byte must arrive.
pub(crate) fn pass(
    lab: &Lab,
    contender: &Contender,
    bytes: u64,
    gen_words: &str,
) -> Result<(f64, f64), Skip> {
    let producer = lab.helper(&format!("__gen bytes={bytes} {gen_words}"));
    let specs = contender.between(producer, lab.helper("__sink"))?;
    let has_middle = specs.len() == 3;
    let outcome = crate::pipeline::Pipeline::start(&specs, lab.limit(bytes))?.finish()?;
    if has_middle {
        outcome.check(1, contender.is_weir, false)?;
    }
    let arrived = outcome.output.trim();
    if arrived != bytes.to_string() {
        return Err(Skip::Failed(format!("{arrived} bytes of {bytes} arrived")));
    }
    let cpu = if has_middle {
        outcome.done[1].cpu.as_secs_f64()
    } else {
        f64::NAN
    };
    Ok((outcome.wall.as_secs_f64(), cpu))
}
