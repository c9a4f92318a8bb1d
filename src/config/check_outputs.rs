//! The rules of what is written beside the consumer: tees, taps, what is kept for lookers, pages, and the file for what is
//! shed.

use std::path::{Path, PathBuf};

use super::check::BUFFER_MIN;
use super::error::ConfigError;
use super::options::Options;
use crate::engine::side::Role;
use crate::units::Size;

/// How far a tap may be behind where nobody says.
const TAP_BUFFER: u64 = 16 << 20;

pub(super) fn shed_to(
    file: Option<PathBuf>,
    may_shed: bool,
    in_batches: bool,
) -> Result<Option<PathBuf>, ConfigError> {
    if file.is_some() && !may_shed {
        let ways = match in_batches {
            true => "--give-up 3 or --reject 22 for batches that fail, or --shed oldest",
            false => "--shed oldest, --shed newest or --max-age 5s",
        };
        let what = format!("--shed-to: nothing would be shed; add {ways}");
        return Err(ConfigError(what));
    }
    Ok(file)
}

/// How much of what has passed is kept.
pub(super) fn recall(recall: Option<Size>) -> Result<Option<u64>, ConfigError> {
    match recall {
        Some(size) if size.bytes() < BUFFER_MIN => Err(ConfigError(format!(
            "--recall {size} is too small: the smallest is 4KiB, 4096 bytes, and that is {}",
            size.bytes()
        ))),
        size => Ok(size.map(Size::bytes)),
    }
}

/// Who gets the stream beside the consumer.
pub(super) fn outputs(options: &Options) -> Result<Vec<(PathBuf, Role)>, ConfigError> {
    let share = options.tap_buffer.map_or(TAP_BUFFER, Size::bytes);
    let what = match options.tap_buffer {
        Some(_) if options.tap.is_empty() => {
            Some("--tap-buffer: there is no tap to be behind; add --tap PATH".to_owned())
        }
        Some(size) if share < BUFFER_MIN => Some(format!(
            "--tap-buffer {size} is too small: the smallest is 4KiB, 4096 bytes, and that is {}",
            size.bytes()
        )),
        _ if options.append && options.tee.is_empty() && options.tap.is_empty() => {
            Some("--append: there is no file to add to; add --tee FILE".to_owned())
        }
        _ => None,
    };
    let dash = |option, paths: &[PathBuf]| {
        let is_dash = paths.iter().any(|path| path == Path::new("-"));
        is_dash.then(|| {
            format!(
                "{option} -: standard output is the consumer's; for a file of that name say ./-"
            )
        })
    };
    let page = |option, path: &Option<PathBuf>| {
        let is_dash = path.as_deref() == Some(Path::new("-"));
        is_dash.then(|| format!("{option} - means nothing; for a file of that name say ./-"))
    };
    let what = what.or_else(|| page("--chart", &options.chart));
    let what = what.or_else(|| other_picture(options.chart.as_deref()?));
    let what = what.or_else(|| page("--metrics", &options.metrics));
    let what = what.or_else(|| page("--log", &options.log));
    let what = what.or_else(|| dash("--tee", &options.tee));
    if let Some(what) = what.or_else(|| dash("--tap", &options.tap)) {
        return Err(ConfigError(what));
    }
    let tees = options.tee.iter().map(|path| (path.clone(), Role::Tee));
    let taps = options.tap.iter();
    Ok(tees
        .chain(taps.map(|path| (path.clone(), Role::Tap(share))))
        .collect())
}

/// Who opens a file goes by its name, and would find something else in it.
fn other_picture(chart: &Path) -> Option<String> {
    let kind = chart.extension()?.to_str()?;
    let others = ["png", "jpg", "jpeg", "gif", "pdf"];
    let is_other = others.iter().any(|it| kind.eq_ignore_ascii_case(it));
    is_other.then(|| {
        let (chart, right) = (chart.display(), chart.with_extension("svg"));
        format!(
            "--chart {chart}: the picture is an SVG; try {}",
            right.display()
        )
    })
}
