//! What single options promise: where the input ends, what a cap lets pass, what the pages, the picture and a line at the
//! end say, and what a program has that hears no more.

use crate::books::{Books, Checked, ensure};
use crate::plan::Action;

impl Books<'_> {
    /// The course of the run is drawn, however it ended.
    pub(crate) fn chart(&self) -> Checked {
        let is_there = self.outcome.chart.ends_with("</svg>\n");
        ensure!(is_there == self.plan.charts, "a chart: {is_there}");
        Ok(())
    }

    /// The last page of metrics says what the summary says.
    pub(crate) fn metrics(&self) -> Checked {
        let page = &self.outcome.metrics;
        ensure!(page.is_empty() != self.plan.metrics, "a page: {page:?}");
        for (metric, wanted) in [("read", self.read), ("written", self.written)] {
            let name = format!("weir_{metric}_bytes_total{{");
            let line = page.lines().find(|line| line.starts_with(&name));
            let number = line.and_then(|line| line.rsplit_once(' ')?.1.parse().ok());
            // What was taken back is counted again there.
            let is_more = metric == "written" && self.plan.falls() && number >= Some(wanted);
            ensure!(
                number == self.plan.metrics.then_some(wanted) || is_more,
                "{metric}: {number:?} in metrics"
            );
        }
        Ok(())
    }

    /// Nothing is taken from a pipe beyond the mark, and what is expected is what comes before that.
    pub(crate) fn stop(&self) -> Checked {
        if let Some(rest) = &self.outcome.rest
            && self.is_graceful()
        {
            ensure!(
                self.plan.input[self.read..] == rest[..],
                "{} bytes of {} are there for the next",
                rest.len(),
                self.plan.input.len() - self.read
            );
        }
        let is_changed = self.plan.actions.iter().any(|action| match action {
            Action::Remote(told) => told.iter().any(|it| it == "--size"),
            _ => false,
        });
        let given = ["--size", "--stop-at"].map(|option| self.plan.told(option).next());
        let given = given.into_iter().flatten().next();
        let number = given.and_then(|it| it.trim_end_matches('B').parse::<u64>().ok());
        if let Some(number) = number.filter(|_| !is_changed) {
            let size = self.summary["size"].as_u64();
            let is_files = given.is_some_and(|it| it.ends_with('B')) && self.plan.is_of_files();
            let wanted = if is_files {
                self.plan.whole() as u64
            } else {
                number
            };
            ensure!(size == Some(wanted), "{size:?} is expected, not {wanted}");
        }
        Ok(())
    }

    /// A program that hears no more had what it took, and weir waited for its end.
    pub(crate) fn deaf(&self) -> Checked {
        let Some((much, _)) = self.plan.deaf() else {
            return Ok(());
        };
        let got = self.outcome.got.len();
        ensure!(got <= much, "{got} bytes arrived, {much} are taken");
        let is_its_end = matches!(self.outcome.status.code(), Some(0 | 7));
        let is_all = got == much || got == self.written && self.left == 0;
        ensure!(!is_its_end || is_all, "{got} bytes arrived of {much}");
        Ok(())
    }

    /// A cap is a cap, where nobody has changed it: no more has passed than in all the time.
    pub(crate) fn cap(&self) -> Checked {
        let mut caps = self.plan.told("--rate");
        let cap = caps
            .next()
            .and_then(|it| it.strip_suffix("B/s")?.parse::<f64>().ok());
        let is_changed = self
            .plan
            .actions
            .iter()
            .any(|it| matches!(it, Action::Remote(_)));
        let Some(cap) = cap.filter(|_| !is_changed && caps.next().is_none()) else {
            return Ok(());
        };
        // A batch is handed out as one, and what is taken back is handed out again.
        if self.plan.batches() || self.plan.falls() {
            return Ok(());
        }
        let time = self.summary["elapsed_s"].as_f64().unwrap_or_default() + 0.001;
        let burst = self.plan.told("--burst").next().unwrap_or("0B");
        let number = |end: &str| burst.strip_suffix(end)?.parse::<f64>().ok();
        let burst = number("ms").map(|ms| cap * ms / 1000.0).or(number("B"));
        // A store that is lost and comes back, too, lets no more pass than a step.
        let steps = if self.plan.store { 10.0 } else { 1.0 };
        let step = (cap * 0.005).max(1.0) * steps;
        let most = cap * time + burst.unwrap_or(f64::INFINITY) + step;
        let most = most.ceil() as usize;
        ensure!(self.written <= most, "{most} may pass");
        Ok(())
    }

    /// What is run at the end is run once, and told how it was.
    pub(crate) fn line(&self) -> Checked {
        let line = &self.outcome.line;
        let wanted = format!("{} {}\n", self.end, self.read);
        let is_right = !self.plan.leaves_line() || *line == wanted;
        ensure!(is_right, "at the end was told {line:?}, not {wanted:?}");
        Ok(())
    }
}
