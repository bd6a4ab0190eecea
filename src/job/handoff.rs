//! What a handoff may change of what was offered: what a detach changes, and nothing else. Pure.
//!
//! A brand's detach sets `mountpoint`, `canmount` and `zoned` of boot environments. A mount option hides a dataset's
//! own value until the zone is down, so the offer lacks that property, and the handoff brings it. The source turns
//! back if anything else has changed since the offer; the target refuses a handoff that brings anything else.

use std::collections::BTreeMap;

use super::name::DatasetName;
use super::survey::{Dataset, Property};

/// The properties that have changed, by dataset.
pub type Changes = BTreeMap<DatasetName, BTreeMap<String, Property>>;

/// Set by a brand's detach, and inherited by the datasets below.
const BY_DETACH: [&str; 3] = ["canmount", "mountpoint", "zoned"];
/// Hidden by mount options while the zone runs (zfs(8), "Temporary Mount Point Properties").
const BY_UNMOUNT: [&str; 8] =
    ["atime", "devices", "exec", "nbmand", "readonly", "relatime", "setuid", "xattr"];

fn may_change(offered: &Dataset, property: &str) -> bool {
    let is_new = !offered.properties.contains_key(property);
    BY_DETACH.contains(&property) || (is_new && BY_UNMOUNT.contains(&property))
}

/// What has changed between the offer and now, on the source.
///
/// # Errors
/// Everything that has changed and must not.
pub fn changes(offered: &[Dataset], now: &[Dataset]) -> Result<Changes, Vec<String>> {
    let mut changes = Changes::new();
    let mut faults = Vec::new();
    if !offered.iter().map(|dataset| &dataset.name).eq(now.iter().map(|dataset| &dataset.name)) {
        return Err(vec!["the zone's datasets are no longer those that were offered".to_owned()]);
    }
    for (before, after) in offered.iter().zip(now) {
        let name = &before.name;
        if before.guid != after.guid || before.kind != after.kind {
            faults.push(format!("dataset '{name}' is no longer the one that was offered"));
        }
        for property in before.properties.keys().filter(|property| after.value(property).is_none()) {
            faults.push(format!("dataset '{name}' no longer has the property '{}'", property.escape_debug()));
        }
        for (property, set) in after.properties.iter() {
            if before.properties.get(property) == Some(set) {
                continue;
            }
            if may_change(before, property) {
                changes.entry(name.clone()).or_default().insert(property.clone(), set.clone());
            } else {
                faults.push(format!(
                    "property '{}' of dataset '{name}' is no longer as it was offered",
                    property.escape_debug()
                ));
            }
        }
    }
    if faults.is_empty() { Ok(changes) } else { Err(faults) }
}

/// The offered datasets with the changes of a handoff, on the target.
///
/// # Errors
/// Every change that a detach does not make.
pub fn applied(offered: &[Dataset], changes: &Changes) -> Result<Vec<Dataset>, Vec<String>> {
    let mut faults = Vec::new();
    let mut datasets = offered.to_vec();
    for (name, properties) in changes {
        let Some(dataset) = datasets.iter_mut().find(|dataset| dataset.name == *name) else {
            faults.push(format!("the handoff changes dataset '{name}', which was not offered"));
            continue;
        };
        for (property, set) in properties {
            if may_change(dataset, property) {
                std::sync::Arc::make_mut(&mut dataset.properties).insert(property.clone(), set.clone());
            } else {
                let property: String = property.chars().take(80).flat_map(char::escape_debug).collect();
                faults.push(format!(
                    "the handoff changes property '{property}' of dataset '{name}', which a detach does not change"
                ));
            }
        }
    }
    if faults.is_empty() { Ok(datasets) } else { Err(faults) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::name::{Bytes, Guid};
    use crate::job::survey::{Kind, Source};

    fn dataset(properties: &[(&str, &str)]) -> Dataset {
        let local = |value: &str| Property { value: value.to_owned(), source: Source::Local };
        let all: BTreeMap<_, _> = properties.iter().map(|(n, v)| ((*n).to_owned(), local(v))).collect();
        Dataset {
            name: DatasetName::new("d/z").unwrap(),
            guid: Guid(1),
            kind: Kind::Filesystem,
            version: Some(5),
            referenced: Bytes(1),
            logical: Bytes(1),
            properties: all.into(),
        }
    }

    #[test]
    fn a_handoff_brings_what_detach_and_unmount_change() {
        let offered = [dataset(&[("zoned", "on"), ("quota", "1")])];
        let now = [dataset(&[("zoned", "off"), ("mountpoint", "/z"), ("setuid", "off"), ("quota", "1")])];
        let changes = changes(&offered, &now).unwrap();
        assert_eq!(changes[&offered[0].name].len(), 3);
        assert_eq!(applied(&offered, &changes).unwrap(), now);
    }

    #[test]
    fn any_other_change_is_named_on_both_hosts() {
        let offered = [dataset(&[("setuid", "off")])];
        for (property, value) in [("sharenfs", "rw"), ("my:note", "x"), ("a=b", "c"), ("setuid", "on")] {
            let now = [dataset(&[("setuid", "off"), (property, value)])];
            let said = changes(&offered, &now).unwrap_err();
            assert!(said.len() == 1 && said[0].contains(property), "{said:?}");
            let set = now[0].properties[property].clone();
            let forged = BTreeMap::from([(now[0].name.clone(), [(property.to_owned(), set)].into())]);
            let said = applied(&offered, &forged).unwrap_err();
            assert!(said.len() == 1 && said[0].contains(property), "{said:?}");
        }
        assert!(changes(&offered, &[dataset(&[])]).unwrap_err()[0].contains("no longer has"));
        let volume = Dataset { kind: Kind::Volume, ..offered[0].clone() };
        assert!(changes(&offered, &[volume]).unwrap_err()[0].contains("is no longer the one"));
        let strange = BTreeMap::from([(DatasetName::new("d/x").unwrap(), BTreeMap::new())]);
        assert!(applied(&offered, &strange).unwrap_err()[0].contains("which was not offered"));
    }
}
