//! Target: what datasets inherit from above the place where they land.

use std::collections::{BTreeMap, BTreeSet};

use super::StepError;
use crate::cmd::zfs::Zfs;
use crate::cmd::zfs::property::is_inherited;
use crate::job::layout::Layout;
use crate::job::name::DatasetName;
use crate::process::Programs;

/// The effective properties of the datasets directly above those that arrive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Landing {
    /// What a dataset below inherits, by the dataset above.
    pub above: BTreeMap<DatasetName, BTreeMap<String, String>>,
    /// The names of the native properties that this host's ZFS has for a filesystem; `None`: not known.
    pub known: Option<BTreeSet<String>>,
}

/// The datasets of this host directly above those that arrive.
pub fn parents(layout: &Layout) -> BTreeSet<DatasetName> {
    let ours: BTreeSet<_> = layout.datasets.iter().map(|placed| &placed.target).collect();
    layout.roots().filter_map(|root| root.target.parent()).filter(|parent| !ours.contains(parent)).collect()
}

impl Landing {
    /// Reads the properties of these datasets, a process for each: a zone has one or two.
    ///
    /// # Errors
    /// When `zfs` fails, also because one of them does not exist.
    pub fn read<'d>(
        programs: &Programs,
        above: impl IntoIterator<Item = &'d DatasetName>,
    ) -> Result<Self, StepError> {
        let mut landing = Self::default();
        for dataset in above {
            let mut given = BTreeMap::new();
            for line in Zfs::new(programs).settings(dataset)? {
                if !line.property.contains(':') {
                    landing.known.get_or_insert_default().insert(line.property.clone());
                }
                if is_inherited(&line.property) {
                    given.insert(line.property, line.value);
                }
            }
            landing.above.insert(dataset.clone(), given);
        }
        Ok(landing)
    }

    /// Whether this host's ZFS knows a property. It accepts any user property.
    pub fn knows(&self, property: &str) -> bool {
        property.contains(':') || self.known.as_ref().is_none_or(|known| known.contains(property))
    }
}
