//! Where each dataset goes and what its files are called: a pure function of the offer, so that both hosts
//! come to the same names without telling each other.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use super::name::{DatasetName, JobId, NameError, SnapshotName};
use super::survey::Dataset;

/// A file name is at most this long before snapshot, number and suffix are added.
const MAX_STEM: usize = 100;

/// One dataset's way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Its name on the source.
    pub source: DatasetName,
    /// Its name on the target, in the end.
    pub target: DatasetName,
    /// Its name while in quarantine.
    pub quarantine: DatasetName,
    /// Is it renamed by itself (`true`), or along with a parent?
    pub root: bool,
}

/// All datasets of a migration, parents before children.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// In the survey's order.
    pub datasets: Vec<Placed>,
    /// The datasets made to hold this job's quarantine, one for each pool: `<quarantine>/<job>`.
    pub holders: Vec<DatasetName>,
}

/// Maps a name by the longest prefix of `[target.datasets]`.
///
/// # Errors
/// When the mapped name is not legal (too long).
pub fn map(name: &DatasetName, by: &BTreeMap<DatasetName, DatasetName>) -> Result<DatasetName, NameError> {
    let longest =
        by.iter().filter(|(from, _)| name.is_within(from)).max_by_key(|(from, _)| from.as_str().len());
    match longest {
        Some((from, to)) => to.join(name.below(from).unwrap_or_default()),
        None => Ok(name.clone()),
    }
}

impl Layout {
    /// Places `datasets` (parents first). `quarantine` gives, for a pool's name, the dataset below which
    /// quarantines of that pool lie; `None` where the peer may not put anything into that pool.
    ///
    /// # Errors
    /// One text for each dataset that can't be placed: a name too long, a pool without quarantine, two
    /// datasets with one name on the target.
    pub fn new(
        datasets: &[DatasetName],
        by: &BTreeMap<DatasetName, DatasetName>,
        job: &JobId,
        quarantine: impl Fn(&str) -> Option<DatasetName>,
    ) -> Result<Layout, Vec<String>> {
        let mut placed: Vec<Placed> = Vec::with_capacity(datasets.len());
        let mut index: BTreeMap<DatasetName, usize> = BTreeMap::new();
        let mut taken: BTreeSet<DatasetName> = BTreeSet::new();
        let mut holders: Vec<DatasetName> = Vec::new();
        let mut roots = 0usize;
        let mut faults = Vec::new();
        for source in datasets {
            let target = match map(source, by) {
                Ok(target) => target,
                Err(why) => {
                    faults.push(format!("dataset '{source}' can't be placed: {why}"));
                    continue;
                }
            };
            if !taken.insert(target.clone()) {
                faults.push(format!(
                    "two datasets would be called '{target}' on the target; see [target.datasets]"
                ));
                continue;
            }
            // Along with its parent, if the parent goes to the place right above.
            let parent = source.parent().and_then(|p| index.get(&p)).map(|&i| &placed[i]);
            let along = parent
                .filter(|p| target.parent().as_ref() == Some(&p.target) && target.leaf() == source.leaf());
            let home = match along {
                Some(parent) => parent.quarantine.join(source.leaf()),
                None => {
                    let Some(top) = quarantine(target.pool()) else {
                        let pool = target.pool();
                        faults.push(format!(
                            "dataset '{source}' would land in pool '{pool}', where nothing is accepted"
                        ));
                        continue;
                    };
                    let holder = match top.join(job.as_str()) {
                        Ok(holder) => holder,
                        Err(why) => {
                            faults.push(format!("no quarantine for dataset '{source}': {why}"));
                            continue;
                        }
                    };
                    let home = holder.join(&roots.to_string());
                    if !holders.contains(&holder) {
                        holders.push(holder);
                    }
                    home
                }
            };
            match home {
                Ok(home) => {
                    let root = along.is_none();
                    roots += usize::from(root);
                    index.insert(source.clone(), placed.len());
                    placed.push(Placed { source: source.clone(), target, quarantine: home, root });
                }
                Err(why) => faults.push(format!("no name in quarantine for dataset '{source}': {why}")),
            }
        }
        if faults.is_empty() { Ok(Layout { datasets: placed, holders }) } else { Err(faults) }
    }

    /// Those that are renamed by themselves.
    pub fn roots(&self) -> impl Iterator<Item = &Placed> {
        self.datasets.iter().filter(|d| d.root)
    }
}

/// The names of the images' files without number, as in 2007: `dbbackup-tank-mysql@migrate`. Where two
/// datasets flatten to one name, or a name gets too long, an index is put in.
pub fn stems(datasets: &[DatasetName], snapshot: &SnapshotName) -> Vec<String> {
    let known: BTreeSet<&DatasetName> = datasets.iter().collect();
    let mut used = BTreeSet::new();
    let mut stems = Vec::with_capacity(datasets.len());
    for (number, dataset) in datasets.iter().enumerate() {
        let mut top = dataset.clone();
        while let Some(parent) = top.parent().filter(|p| known.contains(p)) {
            top = parent;
        }
        let below = dataset.below(&top).unwrap_or_default();
        let mut flat = top.leaf().to_owned();
        if !below.is_empty() {
            flat = format!("{flat}-{}", below.replace('/', "-"));
        }
        if flat.len() > MAX_STEM || !used.insert(flat.clone()) {
            flat.truncate(MAX_STEM);
            flat = format!("{flat}~{number}");
            used.insert(flat.clone());
        }
        stems.push(format!("{flat}@{snapshot}"));
    }
    stems
}

/// The order in which images travel: parents before children, and of what may go next always the largest, so
/// that the copy's and the receive's tail is short. Gives indexes into `datasets`.
pub fn travel_order(datasets: &[Dataset]) -> Vec<usize> {
    let index: BTreeMap<&DatasetName, usize> =
        datasets.iter().enumerate().map(|(i, d)| (&d.name, i)).collect();
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); datasets.len()];
    let mut ready = BinaryHeap::new();
    let key = |i: usize| (datasets[i].referenced, Reverse(i));
    for (i, dataset) in datasets.iter().enumerate() {
        match dataset.name.parent().and_then(|parent| index.get(&parent).copied()) {
            Some(parent) => children[parent].push(i),
            None => ready.push(key(i)),
        }
    }
    let mut order = Vec::with_capacity(datasets.len());
    while let Some((_, Reverse(i))) = ready.pop() {
        order.push(i);
        ready.extend(children[i].iter().map(|&child| key(child)));
    }
    order
}

/// A part's file name: `dbbackup-tank-mysql@migrate.000042`.
pub fn part_name(stem: &str, number: u32) -> String {
    format!("{stem}.{number:06}")
}

/// The name of a part's entry.
pub fn entry_name(stem: &str, number: u32) -> String {
    format!("{stem}.{number:06}.entry")
}

/// Is this the name of a part or of an entry, whole or half-put: with a dot before it and, where it is put by a path, `.new` behind?
pub fn is_image_file(name: &str) -> bool {
    let whole = name.strip_prefix('.').and_then(|half| half.strip_suffix(".new")).unwrap_or(name);
    let part = whole.strip_suffix(".entry").unwrap_or(whole);
    let number = part.rsplit_once('.').map_or("", |(_, number)| number);
    number.len() == 6 && number.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DatasetName {
        DatasetName::new(text).unwrap()
    }

    fn job() -> JobId {
        JobId::new("z-20070518T033600Z-7f3a").unwrap()
    }

    #[test]
    fn parts_and_entries_are_told_from_messages() {
        let (part, entry) = (part_name("db@m", 1), entry_name("db@m", 999_999));
        for name in [format!(".{part}"), format!(".{entry}"), format!(".{entry}.new"), part, entry] {
            assert!(is_image_file(&name), "{name}");
        }
        for name in
            ["offer", ".offer", "withdraw", "db@m.12345", "db@m.entry", "db@m.00000x", ".offer.new", ""]
        {
            assert!(!is_image_file(name), "{name}");
        }
    }

    #[test]
    fn the_zone_of_2007_keeps_its_names_and_its_files_are_called_as_then() {
        let all: Vec<_> =
            ["data/z/db", "data/z/db/pkgsrc", "data/z/db/tank", "data/z/db/tank/mysql"].map(name).into();
        let stems = stems(&all, &SnapshotName::new("migrate").unwrap());
        assert_eq!(stems, ["db@migrate", "db-pkgsrc@migrate", "db-tank@migrate", "db-tank-mysql@migrate"]);
        let layout = Layout::new(&all, &BTreeMap::new(), &job(), |_| Some(name("data/z/q"))).unwrap();
        assert_eq!(layout.roots().count(), 1);
        assert_eq!(layout.datasets[3].quarantine, name("data/z/q/z-20070518T033600Z-7f3a/0/tank/mysql"));
        assert_eq!(layout.datasets[3].target, all[3]);
    }

    #[test]
    fn a_mapping_that_splits_a_tree_makes_a_root_of_its_own() {
        let all: Vec<_> = ["data/z/db", "data/z/db/tank", "data/z/db/tank/a"].map(name).into();
        let by = BTreeMap::from([(name("data/z/db/tank"), name("fast/t")), (name("data"), name("slow"))]);
        let layout = Layout::new(&all, &by, &job(), |pool| Some(name(pool).join("q").unwrap())).unwrap();
        let roots: Vec<_> = layout.roots().map(|d| d.target.as_str()).collect();
        assert_eq!(roots, ["slow/z/db", "fast/t"]);
        assert_eq!(layout.datasets[2].target, name("fast/t/a"));
        assert_eq!(layout.holders.len(), 2);
    }

    #[test]
    fn datasets_that_flatten_to_one_file_name_get_an_index() {
        let all: Vec<_> = ["p/z", "p/z/a-b", "p/z/a", "p/z/a/b"].map(name).into();
        let stems = stems(&all, &SnapshotName::new("s").unwrap());
        assert_eq!(stems, ["z@s", "z-a-b@s", "z-a@s", "z-a-b~3@s"]);
    }

    #[test]
    fn all_that_can_not_be_placed_is_said_at_once() {
        let all: Vec<_> = ["p/z", "q/x"].map(name).into();
        let faults = Layout::new(&all, &BTreeMap::new(), &job(), |_| None).unwrap_err();
        assert_eq!(faults.len(), 2);
    }
}
