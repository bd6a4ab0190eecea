//! Receiving: a dataset with a quota for the peer's dropbox. It bounds what the peer can write on this host.

use std::fs;
use std::io;
use std::path::Path;

use super::file::at;
use super::piece::{Here, Look, Piece, Seen, Why};
use super::shown::{How, Shown};
use super::side::Side;
use crate::cmd::zfs::{self, Zfs};
use crate::job::name::{Bytes, DatasetName};
use crate::job::units;
use crate::process::{Argv, Programs};

/// The dropbox's own dataset.
pub struct Dataset {
    /// The dataset in which the scratch lies, where it is known.
    pub parent: Option<DatasetName>,
    /// The quota.
    pub quota: Bytes,
}

/// A mounted dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    /// Its name.
    pub name: DatasetName,
    /// Its mountpoint.
    pub at: String,
}

/// The mounted dataset in which a directory lies, or would lie. `None` if ZFS cannot tell, or it lies in no dataset.
pub fn lies_in(programs: &Programs, path: &Path) -> Option<Mounted> {
    let existing = path.ancestors().find(|path| path.exists()).unwrap_or(path);
    let path = existing.canonicalize().ok()?;
    let rows = Zfs::new(programs).all_datasets(&["mounted", "mountpoint"]).ok()?;
    nearest(rows, &path)
}

fn nearest(rows: Vec<(DatasetName, Vec<String>)>, path: &Path) -> Option<Mounted> {
    let mounted = rows.into_iter().filter_map(|(name, columns)| match &columns[..] {
        [mounted, at] if mounted == "yes" && path.starts_with(at) => Some(Mounted { name, at: at.clone() }),
        _ => None,
    });
    mounted.max_by_key(|found| found.at.len())
}

impl Dataset {
    fn name(side: &Side, parent: &str) -> String {
        format!("{parent}/dropbox-{}", side.peer)
    }

    /// The dataset's properties. Nothing in it is ever run.
    fn properties(&self, side: &Side) -> Vec<(&'static str, String)> {
        vec![
            ("mountpoint", side.dropbox().display().to_string()),
            ("quota", units::size_text(self.quota)),
            ("exec", "off".to_owned()),
            ("setuid", "off".to_owned()),
            ("devices", "off".to_owned()),
        ]
    }

    /// The command that makes it, once the parent is known.
    fn create(&self, side: &Side) -> Option<Argv> {
        let properties = self.properties(side);
        let properties: Vec<_> = properties.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let name = DatasetName::new(Self::name(side, self.parent.as_ref()?.as_str())).ok()?;
        Some(zfs::argv::create(&name, &properties))
    }

    /// The same command for a person, who has to put a name for DATASET.
    fn template(&self, side: &Side) -> Argv {
        let properties = self.properties(side);
        let options =
            properties.iter().flat_map(|(name, value)| ["-o".to_owned(), format!("{name}={value}")]);
        Argv::new("zfs").arg("create").args(options).arg(Self::name(side, "DATASET"))
    }

    fn quota_of(here: &Here<'_>, found: &Mounted, wanted: Bytes) -> Seen {
        let name = &found.name;
        let lines = Zfs::new(here.programs).properties(&["quota", "refquota"], &[name]).unwrap_or_default();
        match lines.into_iter().find(|line| !["0", "none", "-"].contains(&&*line.value)) {
            Some(limit) => Seen::ok(format!("dataset {name}, {} {} bytes", limit.property, limit.value)),
            None => Seen::warn(
                format!("the dropbox's dataset {name} has no quota, so {} can fill the pool", here.side.peer),
                format!("zfs set quota={} {name}", units::size_text(wanted)),
            ),
        }
    }
}

impl Piece for Dataset {
    fn shown(&self, side: &Side) -> Shown {
        let peer = &side.peer;
        let mut how = vec![How::run(&self.create(side).unwrap_or_else(|| self.template(side)))];
        if self.parent.is_none() {
            how.push(How::Note(format!(
                "DATASET stands for the dataset on {} in which {} lies",
                side.host,
                side.scratch.display()
            )));
        }
        Shown {
            what: format!("a dataset for {peer}'s dropbox: its quota bounds what {peer} can write here"),
            how,
        }
    }

    fn look(&self, here: &Here<'_>) -> Look {
        let dropbox = here.side.dropbox();
        let remedy =
            format!("zmigrate peer {} --role receive shows the command that makes it", here.side.peer);
        let is_own = |found: &Mounted| dropbox.canonicalize().is_ok_and(|path| path == Path::new(&found.at));
        match lies_in(here.programs, &dropbox) {
            Some(found) if is_own(&found) => Self::quota_of(here, &found, self.quota).into(),
            Some(found) => {
                let says = format!(
                    "the dropbox lies in dataset {}: it has no dataset and quota of its own",
                    found.name
                );
                Look::missing(Seen::warn(says, remedy))
            }
            None => {
                Look::missing(Seen::warn("the dropbox lies in no ZFS dataset, so no quota bounds it", remedy))
            }
        }
    }

    fn put(&self, here: &Here<'_>) -> Result<Option<String>, Why> {
        let dropbox = here.side.dropbox();
        let Some(create) = self.create(here.side) else { return Ok(None) };
        if !is_empty(&dropbox)? {
            return Err(format!(
                "{} has files in it and no dataset of its own; stop zmigrated, move the files away, and run this \
                 again",
                dropbox.display()
            ));
        }
        // ZFS mounts a dataset on an empty directory only.
        for side in ["in", "out"] {
            remove(&dropbox.join(side))?;
        }
        here.programs.ok(&create).map_err(|error| error.to_string())?;
        let name = create.arguments().last().map_or("", String::as_str);
        Ok(Some(format!("dataset {name}, quota {}", self.quota)))
    }
}

fn remove(dir: &Path) -> Result<(), Why> {
    match fs::remove_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(dir, &error)),
        _ => Ok(()),
    }
}

/// Whether a dropbox holds at most its two directories, and those are empty.
fn is_empty(dropbox: &Path) -> Result<bool, Why> {
    let entries = match fs::read_dir(dropbox) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        entries => entries.map_err(|error| at(dropbox, &error))?,
    };
    for entry in entries {
        let entry = entry.map_err(|error| at(dropbox, &error))?;
        let is_side = ["in", "out"].iter().any(|side| entry.file_name() == *side);
        let path = entry.path();
        if !is_side || fs::read_dir(&path).map_err(|error| at(&path, &error))?.next().is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_mounted_dataset_holds_a_directory() {
        let row = |name: &str, mounted: &str, at: &str| {
            (DatasetName::new(name).unwrap(), vec![mounted.to_owned(), at.to_owned()])
        };
        let rows = || {
            vec![
                row("rpool/ROOT/be", "yes", "/"),
                row("rpool/export", "yes", "/export"),
                row("data/scratch", "yes", "/export/scratch"),
                row("data/scratch/old", "no", "/export/scratch/zmigrate"),
                row("data/scr", "yes", "/export/scr"),
            ]
        };
        for (path, name) in [
            ("/export/scratch/zmigrate/dropbox", "data/scratch"),
            ("/export/scratch2", "rpool/export"),
            ("/var", "rpool/ROOT/be"),
        ] {
            assert_eq!(nearest(rows(), Path::new(path)).unwrap().name.as_str(), name, "{path}");
        }
        assert_eq!(nearest(Vec::new(), Path::new("/")), None);
    }

    #[test]
    fn a_dropbox_with_files_is_not_empty() {
        let tmp = tempfile::tempdir().unwrap();
        let dropbox = tmp.path().join("zhost1");
        assert!(is_empty(&dropbox).unwrap());
        fs::create_dir_all(dropbox.join("in")).unwrap();
        assert!(is_empty(&dropbox).unwrap());
        fs::create_dir(dropbox.join("in/job")).unwrap();
        assert!(!is_empty(&dropbox).unwrap());
    }
}
