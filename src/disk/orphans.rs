//! Indexes whose segments are gone: what they tell of those, and whose they are.
//!
//! Invariant: one that another spool has made is neither believed nor removed.

use super::damage::{Cause, Damage};
use super::directory::Directory;
use super::error::DiskError;
use super::format::{Framing, IndexHeader, Read, base_of};
use super::index::Index;
use super::place::Place;
use super::records::Records;
use super::survey::Survey;

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Orphans {
    /// How far the stream had come, as they tell it. One whose segment was given back ends before what was saved; behind
    /// that it is missing, and whoever is owed it is told.
    pub end: Option<Place>,
    /// Those of this spool, or of which nothing but a name is there.
    pub ours: Vec<String>,
    foreign: Vec<String>,
}

impl Orphans {
    /// Looks at all of them, for the spool of this identity.
    pub(super) fn look(
        directory: &Directory,
        framing: Framing,
        survey: &Survey,
        spool: u64,
    ) -> Result<Orphans, DiskError> {
        let mut all = Orphans::default();
        for name in &survey.orphans {
            let Some(file) = directory.read_if_there(name)? else {
                all.ours.push(name.clone());
                continue;
            };
            let path = directory.path_of(name);
            let failed = |error| DiskError::new("read", &path, error);
            let mut index = Index::open(file).map_err(failed)?;
            let last = index.last().map_err(failed)?;
            match index.header().map_err(failed)? {
                Read::Unknown(version) => {
                    return Err(DiskError::unknown_version(version, &path));
                }
                Read::Good(header) if is_ours(&header, name, spool) => all.ours.push(name.clone()),
                // What a weir had just begun when it was ended.
                Read::Damaged if last.is_none() => {
                    all.ours.push(name.clone());
                    continue;
                }
                _ => {
                    all.foreign.push(name.clone());
                    continue;
                }
            }
            let Some((_, entry)) = last else {
                continue;
            };
            // Where nobody says so a record is taken to begin behind it.
            let behind = Records::behind(framing, &entry, Vec::new);
            let place = Place {
                at: entry.end(),
                record: behind.next(),
                begun: behind.begun(),
            };
            all.end = all.end.filter(|it| it.at > place.at).or(Some(place));
        }
        Ok(all)
    }

    /// Those that are not of this spool get another name, where none has that, and are said.
    pub(super) fn set_aside(&self, directory: &Directory) -> Vec<Damage> {
        let damage = |name: &String| {
            let path = directory.path_of(name).display().to_string();
            let mut damage = Damage::new(Cause::Foreign, &path, 0, 0, 0);
            let mut names = (1..100).map(|n| match n {
                1 => format!("damaged-{name}"),
                n => format!("damaged-{name}-{n}"),
            });
            let aside = names.find(|aside| !directory.has(aside));
            damage.aside = aside.filter(|aside| directory.rename(name, aside).is_ok());
            damage
        };
        self.foreign.iter().map(damage).collect()
    }
}

/// Whether this spool has made it, for the segment whose name it has. One that was made anew for a segment whose index was
/// damaged does not say by whom.
fn is_ours(header: &IndexHeader, name: &str, spool: u64) -> bool {
    let is_its = base_of(name) == Some(Err(header.base));
    is_its && (header.spool == spool || header.spool == 0)
}
