//! Which dataset a directory lies in.

use std::path::Path;

use crate::cmd::zfs::Zfs;
use crate::job::name::DatasetName;
use crate::process::Programs;

/// A mounted dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    /// Its name.
    pub name: DatasetName,
    /// Where.
    pub at: String,
}

/// The mounted dataset in which a directory lies. `None` where ZFS can't say, or it lies in none.
pub fn of(programs: &Programs, path: &Path) -> Option<Mounted> {
    let path = existing(path).canonicalize().ok()?;
    let rows = Zfs::new(programs).all_datasets(&["mounted", "mountpoint"]).ok()?;
    nearest(rows, &path)
}

/// The directory, or the nearest one above it that is there.
fn existing(path: &Path) -> &Path {
    path.ancestors().find(|path| path.exists()).unwrap_or(path)
}

fn nearest(rows: Vec<(DatasetName, Vec<String>)>, path: &Path) -> Option<Mounted> {
    let mounted = rows.into_iter().filter_map(|(name, columns)| match &columns[..] {
        [mounted, at] if mounted == "yes" && path.starts_with(at) => Some(Mounted { name, at: at.clone() }),
        _ => None,
    });
    mounted.max_by_key(|found| found.at.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dataset_of_a_directory_is_the_one_mounted_nearest_above_it() {
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
}
