//! Faults in the offer itself: what no zmigrate that surveyed a real zone would write.
//!
//! Looked for first and on their own. The other judgements rely on what is established here: the
//! number of datasets, their order, sizes that can be added up, paths of a good form.

use std::collections::BTreeSet;

use super::text::shown;
use crate::job::message::Offer;
use crate::job::name::{Bytes, JobId};
use crate::job::path;
use crate::job::survey::{Dataset, Kind};

/// More datasets than any zone has; 500 are tested.
const MOST_DATASETS: usize = 4096;
/// A pool holds less; small enough that the sum over all datasets has room.
const LARGEST: Bytes = Bytes(1 << 50);
/// A part is whole MiB within these, as the configuration's is.
const PARTS: std::ops::RangeInclusive<u64> = 1 << 20..=4 << 30;
/// zonecfg commands of one request; no person writes more.
const MOST_EDITS: usize = 1000;
/// The longest configuration, in bytes: some thousand resources.
const LONGEST_CONFIG: usize = 256 << 10;

/// Patches of one host; Solaris 10 has had some thousands.
const MOST_PATCHES: usize = 10_000;

/// What can't be true about an offer. To be asked before anything is derived from it, the layout
/// included: it bounds the work that a peer can make.
pub fn faults(job: &JobId, offer: &Offer) -> Vec<String> {
    let zone = &offer.request.zone;
    let survey = &offer.survey;
    let mut faults = Vec::new();
    let mut wrong = |why: String| faults.push(format!("the offer contradicts itself: {why}"));
    // ZONE-TIME-HEX; the zone's name may have '-' in it.
    if job.as_str().rsplitn(3, '-').nth(2) != Some(zone.as_str()) {
        wrong(format!("job {job} is not one for zone '{zone}'"));
    }
    if survey.zone.name != *zone {
        wrong(format!("it asks for zone '{zone}' and describes zone '{}'", survey.zone.name));
    }
    if !PARTS.contains(&offer.part.0) || !offer.part.0.is_multiple_of(1 << 20) {
        wrong(format!("parts of {} bytes; whole MiB from 1 MiB to 4 GiB are possible", offer.part.0));
    }
    if let Err(why) = path::zonepath(&survey.zone.zonepath) {
        wrong(format!("zonepath {}", shown(&why)));
    }
    let target = &offer.request.target;
    if target.zonecfg.len() > MOST_EDITS {
        wrong(format!("{} zonecfg commands; up to {MOST_EDITS} are accepted", target.zonecfg.len()));
    }
    if survey.zone.config.len() > LONGEST_CONFIG {
        wrong(format!("a zone's configuration of {} bytes", survey.zone.config.len()));
    }
    if survey.os.patches.len() > MOST_PATCHES {
        wrong(format!("{} patches of one host; up to {MOST_PATCHES} are accepted", survey.os.patches.len()));
    }
    for (what, entries) in
        [("[target.datasets]", target.datasets.len()), ("[target.properties]", target.properties.len())]
    {
        if entries > MOST_DATASETS {
            wrong(format!("{entries} entries in {what}; a zone has up to {MOST_DATASETS} datasets"));
        }
    }
    if survey.datasets.is_empty() || survey.datasets.len() > MOST_DATASETS {
        let number = survey.datasets.len();
        wrong(format!("{number} datasets; a zone has 1 to {MOST_DATASETS}"));
        return faults;
    }
    let all: BTreeSet<_> = survey.datasets.iter().map(|dataset| &dataset.name).collect();
    let mut seen = BTreeSet::new();
    for dataset in &survey.datasets {
        let name = &dataset.name;
        if !seen.insert(name) {
            wrong(format!("dataset '{name}' is there twice"));
        }
        if name.parent().is_some_and(|parent| all.contains(&parent) && !seen.contains(&parent)) {
            wrong(format!("dataset '{name}' comes before the one above it"));
        }
        let size = dataset.referenced.max(dataset.logical);
        if size > LARGEST {
            wrong(format!("dataset '{name}' refers to {size}, which no pool holds"));
        }
    }
    let at_zonepath = |dataset: &&Dataset| {
        // A delegated dataset's mountpoint is a path inside the zone.
        dataset.kind == Kind::Filesystem
            && dataset.value("zoned") != Some("on")
            && dataset.value("mountpoint") == Some(&survey.zone.zonepath)
    };
    if survey.datasets.iter().filter(at_zonepath).count() != 1 {
        let zonepath = shown(&survey.zone.zonepath);
        wrong(format!(
            "not exactly one of its datasets has the mountpoint {zonepath}, which is the zonepath"
        ));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::check::fixture::{Case, case, local, name};
    use crate::job::name::ZoneName;

    #[test]
    fn what_can_not_be_true_is_refused() {
        type Spoil = fn(&mut Case);
        let spoil: [(&str, Spoil); 17] = [
            ("is not one for zone", |c| c.job = JobId::new("web-20070518T033600Z-7f3a").unwrap()),
            ("describes zone 'web'", |c| c.offer.survey.zone.name = ZoneName::new("web").unwrap()),
            ("parts of 0 bytes", |c| c.offer.part = Bytes(0)),
            ("parts of 1048577", |c| c.offer.part = Bytes((1 << 20) + 1)),
            ("parts of 8589934592", |c| c.offer.part = Bytes(8 << 30)),
            ("zonepath", |c| c.offer.survey.zone.zonepath = "/export/../etc".to_owned()),
            ("0 datasets", |c| c.offer.survey.datasets.clear()),
            ("4097 datasets", |c| c.offer.survey.datasets = vec![c.offer.survey.datasets[0].clone(); 4097]),
            ("1001 zonecfg", |c| c.offer.request.target.zonecfg = vec!["clear pool".to_owned(); 1001]),
            ("of 262145 bytes", |c| c.offer.survey.zone.config = "x".repeat((256 << 10) + 1)),
            ("4097 entries in [target.datasets]", |c| {
                let many = (0..4097).map(|n| (name(&format!("data/{n}")), name("data")));
                c.offer.request.target.datasets = many.collect();
            }),
            ("10001 patches", |c| c.offer.survey.os.patches = (0..10_001).map(|n| (n, 1)).collect()),
            ("is there twice", |c| c.offer.survey.datasets.push(c.offer.survey.datasets[1].clone())),
            ("comes before", |c| c.offer.survey.datasets.reverse()),
            ("which no pool holds", |c| c.offer.survey.datasets[0].referenced = Bytes(u64::MAX)),
            ("which no pool holds", |c| c.offer.survey.datasets[0].logical = Bytes(u64::MAX)),
            ("which is the zonepath", |c| drop(c.offer.survey.datasets.remove(0))),
        ];
        for (why, spoil) in spoil {
            let mut case = case();
            spoil(&mut case);
            let said = case.refusals();
            assert!(said.contains("contradicts itself") && said.contains(why), "{why}: {said}");
        }
    }

    #[test]
    fn two_datasets_at_the_zonepath_are_one_too_many() {
        let mut case = case();
        local(&mut case.offer.survey.datasets[1], "mountpoint", "/export/zones/dbbackup");
        assert!(case.refusals().contains("not exactly one"));
    }
}
