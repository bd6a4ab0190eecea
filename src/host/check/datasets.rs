//! The datasets themselves: kinds, versions and lengths of names that this host's ZFS accepts.

use super::input::Check;
use super::judgement::Judgement;
use super::text::shown;
use crate::host::features;
use crate::job::code::Code;
use crate::job::layout::Layout;
use crate::job::survey::{Dataset, Kind};

/// The longest name of a snapshot with its dataset's (illumos `sys/fs/zfs.h`:
/// ZFS_MAX_DATASET_NAME_LEN is 256).
const LONGEST: usize = 255;

/// Judges the datasets.
pub(super) fn judge(check: &Check<'_>, judgement: &mut Judgement) {
    kinds(check, judgement);
    match check.layout {
        Ok(layout) => lengths(check, layout, judgement),
        Err(faults) => faults.iter().for_each(|why| judgement.refuse(Code::Place, why)),
    }
}

fn kinds(check: &Check<'_>, judgement: &mut Judgement) {
    let newest = check.world.zpl_version;
    let taken = features::taken(&check.world.os.version, newest);
    let mut highest = 0;
    for dataset in &check.offer.survey.datasets {
        let name = &dataset.name;
        if dataset.kind == Kind::Volume {
            judgement.refuse(
                Code::Dataset,
                format!("dataset '{name}' is a volume; volumes are not carried in this version"),
            );
            continue;
        }
        let version = dataset.version.unwrap_or_default();
        if version > newest {
            judgement.refuse(
                Code::Dataset,
                format!(
                    "dataset '{name}' has filesystem version {version}, the target's ZFS accepts up to {newest}"
                ),
            );
        } else if !taken.contains(features::sent(dataset)) {
            judgement.refuse(Code::Dataset, format!(
                "dataset '{name}' makes streams with the feature {}, which the target's ZFS is not known to accept",
                features::sent(dataset).without(taken)
            ));
        }
        if let Some(why) = encrypted(dataset) {
            judgement.refuse(Code::Dataset, why);
        }
        highest = highest.max(version);
    }
    judgement.note(format!(
        "the target's ZFS accepts filesystem version {newest}, the zone's datasets have {highest} at most"
    ));
}

/// Why an encrypted dataset must not be sent: a plain `zfs send` decrypts it.
pub fn encrypted(dataset: &Dataset) -> Option<String> {
    let (name, cipher) = (&dataset.name, shown(dataset.cipher()?));
    Some(format!(
        "dataset '{name}' is encrypted ({cipher}); encrypted datasets are not carried in this version"
    ))
}

fn lengths(check: &Check<'_>, layout: &Layout, judgement: &mut Judgement) {
    let snapshot = &check.offer.snapshot;
    for placed in &layout.datasets {
        for name in [&placed.target, &placed.quarantine] {
            let length = name.at(snapshot).len();
            if length > LONGEST {
                judgement.refuse(Code::Dataset, format!(
                    "snapshot '{}' would have a name of {length} bytes on the target, ZFS accepts {LONGEST}; \
                     see [target.datasets] and snapshot",
                    name.at(snapshot)
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::check::fixture::{Case, case, local};
    use crate::job::name::SnapshotName;

    fn refused(why: &str, spoil: impl Fn(&mut Case)) {
        let mut case = case();
        spoil(&mut case);
        let said = case.refusals();
        assert!(said.contains(why), "{why}: {said}");
    }

    #[test]
    fn what_this_version_or_this_host_does_not_take_is_refused() {
        refused("is a volume", |c| c.offer.survey.datasets[1].kind = Kind::Volume);
        refused("has filesystem version 6, the target's ZFS accepts up to 5", |c| {
            c.offer.survey.datasets[1].version = Some(6);
        });
        refused("makes streams with the feature LARGE_DNODE", |c| {
            local(&mut c.offer.survey.datasets[1], "dnodesize", "auto");
            for os in [&mut c.offer.survey.os, &mut c.world.os] {
                os.version = "11.4.42.111.0".to_owned();
            }
        });
        refused("is encrypted (aes-256-gcm)", |c| {
            local(&mut c.offer.survey.datasets[1], "encryption", "aes-256-gcm");
        });
    }

    #[test]
    fn a_snapshots_whole_name_has_255_bytes_at_every_place() {
        let longest = |place: &str| LONGEST - place.len() - 1;
        let quarantine = case().layout().unwrap().datasets[3].quarantine.clone();
        let mut case = case();
        case.offer.snapshot = SnapshotName::new("s".repeat(longest(quarantine.as_str()))).unwrap();
        assert_eq!(case.refusals(), "");
        case.offer.snapshot = SnapshotName::new("s".repeat(longest(quarantine.as_str()) + 1)).unwrap();
        assert!(case.refusals().contains("would have a name of 256 bytes"), "{}", case.refusals());
    }
}
