//! The images of a job: one `zfs send` stream each, and the one place that lists them.
//!
//! An [`Image`] carries one dataset *from* a snapshot, or from nothing, *to* a snapshot. Its identity is
//! the dataset and the `to` snapshot, never the dataset alone: a warm migration sends several images of
//! each dataset, one in each pass, and each starts where the image before it ended. [`images`] lists
//! them in the order in which they travel and are received, which is the order of every chain as well.
//!
//! Both hosts compute the same list from the same offer. The source knows the guids; the target learns
//! them from the entries of the parts.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use super::name::{DatasetName, Guid, SnapshotName};
use super::record::Job;
use super::survey::Dataset;

/// A file name is at most this long before snapshot, number and suffix are added.
const MAX_STEM: usize = 100;

/// One `zfs send` stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The dataset's index in the survey.
    pub index: usize,
    /// The dataset's name on the source.
    pub dataset: DatasetName,
    /// The snapshot that the stream builds on; `None` for a full stream.
    pub from: Option<SnapshotName>,
    /// The snapshot that the stream ends at.
    pub to: SnapshotName,
    /// The guid of `to` on the source, once this host knows it.
    pub guid: Option<Guid>,
    /// The name of its files without their number: `dbbackup-tank-mysql@migrate`.
    pub stem: String,
}

impl Image {
    /// The name by which both hosts know this image: the snapshot that it ends at.
    pub fn name(&self) -> String {
        self.dataset.at(&self.to)
    }
}

/// The images of a job in the order in which they travel.
pub fn images(job: &Job) -> Vec<Image> {
    let datasets = job.survey.as_ref().map(|survey| survey.datasets.as_slice()).unwrap_or_default();
    let names: Vec<&DatasetName> = datasets.iter().map(|dataset| &dataset.name).collect();
    let mut stems = stems(&names, &job.snapshot);
    let image = |index: usize| Image {
        index,
        dataset: names[index].clone(),
        from: None,
        to: job.snapshot.clone(),
        guid: job.guids.get(names[index]).copied(),
        stem: std::mem::take(&mut stems[index]),
    };
    travel_order(datasets).into_iter().map(image).collect()
}

/// The names of the images' files without number, as in 2007. Where two datasets flatten to one name, or
/// a name gets too long, an index is put in.
fn stems(datasets: &[&DatasetName], snapshot: &SnapshotName) -> Vec<String> {
    let known: BTreeSet<&DatasetName> = datasets.iter().copied().collect();
    let mut used = BTreeSet::new();
    let mut stems = Vec::with_capacity(datasets.len());
    for (number, dataset) in datasets.iter().enumerate() {
        let mut top = (*dataset).clone();
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

/// The order in which datasets travel, as indexes: parents before children, and of the datasets that may
/// go next always the largest, so that the last ones to be copied and received are short.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn stems_of(names: &[&str], snapshot: &str) -> Vec<String> {
        let names: Vec<_> = names.iter().map(|name| DatasetName::new(*name).unwrap()).collect();
        stems(&names.iter().collect::<Vec<_>>(), &SnapshotName::new(snapshot).unwrap())
    }

    #[test]
    fn files_of_the_zone_of_2007_keep_their_names() {
        let names = ["data/z/db", "data/z/db/pkgsrc", "data/z/db/tank", "data/z/db/tank/mysql"];
        let expected = ["db@migrate", "db-pkgsrc@migrate", "db-tank@migrate", "db-tank-mysql@migrate"];
        assert_eq!(stems_of(&names, "migrate"), expected);
    }

    #[test]
    fn datasets_that_flatten_to_one_name_get_an_index() {
        let stems = stems_of(&["p/z", "p/z/a-b", "p/z/a", "p/z/a/b"], "s");
        assert_eq!(stems, ["z@s", "z-a-b@s", "z-a@s", "z-a-b~3@s"]);
    }
}
