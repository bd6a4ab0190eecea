//! Where each dataset goes: a pure function of the offer, so that both hosts come to the same names
//! without telling each other.

use std::collections::{BTreeMap, BTreeSet};

use super::name::{DatasetName, JobId, NameError};

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
    fn the_zone_of_2007_keeps_its_names() {
        let all: Vec<_> =
            ["data/z/db", "data/z/db/pkgsrc", "data/z/db/tank", "data/z/db/tank/mysql"].map(name).into();
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
    fn all_that_can_not_be_placed_is_said_at_once() {
        let all: Vec<_> = ["p/z", "q/x"].map(name).into();
        let faults = Layout::new(&all, &BTreeMap::new(), &job(), |_| None).unwrap_err();
        assert_eq!(faults.len(), 2);
    }
}
