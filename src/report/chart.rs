//! The course of a run as a picture: an SVG of occupancy, rates, and who held the flow up.
//!
//! Invariant: its size does not depend on the length of the run, for the course is bounded.

use std::error::Error;
use std::ops::Range;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::course::Point;
use super::figures::{self, Scale};
use super::snapshot::Snapshot;
use super::summary;

/// Pixels.
const SIZE: (u32, u32) = (900, 560);
const OCCUPANCY: u32 = 260;
const RATES: u32 = 240;
/// Columns of pixels for the figures on the left.
const FIGURES: u32 = 80;

const IN: RGBColor = RGBColor(0x2f, 0x6f, 0xb7);
const OUT: RGBColor = RGBColor(0x2e, 0x8b, 0x57);
const AMBER: RGBColor = RGBColor(0xd9, 0x8e, 0x04);
const LOSS: RGBColor = RGBColor(0xb0, 0x2a, 0x8f);
const MARK: RGBColor = RGBColor(0x88, 0x88, 0x88);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn Error>>;

/// The picture of a run that stands, or ended, so.
///
/// # Errors
/// When the library refuses to draw.
pub(crate) fn svg(s: &Snapshot, points: &[Point]) -> Result<String, Box<dyn Error>> {
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let (upper, rest) = root.split_vertically(OCCUPANCY);
        let (middle, lower) = rest.split_vertically(RATES);
        let end = s.elapsed_s.max(0.001);
        occupancy(&upper, s, points, end)?;
        rates(&middle, s.scale(), points, end)?;
        holdups(&lower, points, end)?;
        root.present()?;
    }
    Ok(text)
}

fn occupancy(area: &Area<'_>, s: &Snapshot, points: &[Point], end: f64) -> Drawn {
    let scale = s.scale();
    let title = summary::text(s)
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned();
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 15))
        .margin(8)
        .y_label_area_size(FIGURES)
        .build_cartesian_2d(0.0..end, 0.0..s.buffer.capacity as f64)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .max_light_lines(0)
        .y_labels(5)
        .y_label_formatter(&|bytes| scale.bytes(*bytes as u64))
        .y_desc("held")
        .draw()?;
    let used = points.iter().map(|point| (point.time, point.used));
    chart.draw_series(AreaSeries::new(used, 0.0, IN.mix(0.25)).border_style(IN))?;
    for mark in [s.buffer.low, s.buffer.high] {
        let line = [(0.0, mark as f64), (end, mark as f64)];
        chart.draw_series(LineSeries::new(line, MARK))?;
    }
    Ok(())
}

fn rates(area: &Area<'_>, scale: Scale, points: &[Point], end: f64) -> Drawn {
    let rate = |of: fn(&Point) -> f64| -> Vec<(f64, f64)> {
        let steps = points.windows(2).filter(|two| two[1].time > two[0].time);
        steps
            .map(|two| {
                let span = two[1].time - two[0].time;
                (two[1].time, (of(&two[1]) - of(&two[0])) / span)
            })
            .collect()
    };
    let (read, written, shed) = (rate(|p| p.read), rate(|p| p.written), rate(|p| p.shed));
    let caps = points.iter().filter(|point| point.cap > 0.0);
    let caps: Vec<(f64, f64)> = caps.map(|point| (point.time, point.cap)).collect();
    let all = read.iter().chain(&written).chain(&shed);
    let most = all.map(|(_, rate)| *rate).fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .x_label_area_size(24)
        .y_label_area_size(FIGURES)
        .build_cartesian_2d(0.0..end, 0.0..most * 1.1)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .max_light_lines(0)
        .y_labels(5)
        .y_label_formatter(&|rate| scale.rate(Some(*rate)))
        .x_labels(whole_seconds(end))
        .x_label_formatter(&|seconds| figures::clock(*seconds))
        .draw()?;
    for (line, colour, name) in [
        (read, IN, "in"),
        (written, OUT, "out"),
        (caps, AMBER, "cap"),
        (shed, LOSS, "shed"),
    ] {
        if line.iter().any(|(_, rate)| *rate > 0.0) {
            let series = chart.draw_series(LineSeries::new(line, colour))?;
            series
                .label(name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour));
        }
    }
    chart
        .configure_series_labels()
        .background_style(WHITE.mix(0.8))
        .border_style(MARK)
        .draw()?;
    Ok(())
}

/// How many labels of times there may be, for none to be said twice: a clock tells whole seconds.
fn whole_seconds(end: f64) -> usize {
    (end as usize + 1).clamp(2, 10)
}

/// A strip of time: in each stretch the colour of whoever was waited for most of it.
fn holdups(area: &Area<'_>, points: &[Point], end: f64) -> Drawn {
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .y_label_area_size(FIGURES)
        .build_cartesian_2d(0.0..end, 0.0..1.0)?;
    let stretch = |time: Range<f64>, colour: RGBColor| {
        Rectangle::new([(time.start, 0.0), (time.end, 0.6)], colour.filled())
    };
    for two in points.windows(2) {
        let waited: Vec<f64> = (0..3)
            .map(|side| two[1].waits[side] - two[0].waits[side])
            .collect();
        let span = two[1].time - two[0].time;
        for (side, colour) in [(0, IN), (1, OUT), (2, AMBER)] {
            if waited[side] > span / 2.0 {
                chart.draw_series([stretch(two[0].time..two[1].time, colour)])?;
            }
        }
    }
    let word = "held up by: blue the source, green the sink, amber the cap";
    area.draw(&Text::new(
        word,
        (FIGURES as i32 + 10, 4),
        ("sans-serif", 12),
    ))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::course::Course;
    use crate::report::sample;
    use crate::report::snapshot::Ending;

    #[test]
    fn a_picture_is_small_whatever_the_length_of_the_run() {
        for seconds in [0u64, 1, 83, 200_000] {
            let mut course = Course::default();
            for second in 0..=seconds {
                let mut status = sample::status(second, second + second % 60, second);
                status.waits.sink = status.elapsed / 3 * 2;
                status.caps.bytes = Some(1e6);
                course.on(&status);
            }
            let mut s = sample::summary(Ending::Eof, 0);
            s.elapsed_s = seconds as f64;
            let svg = svg(&s, course.points()).expect("a picture");
            assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
            assert!(svg.contains("weir backup: 1.14GiB"), "{svg}");
            assert!(svg.len() < 100_000, "{seconds}: {}", svg.len());
        }
    }
}
