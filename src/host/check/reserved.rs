//! What an accepted job will use on the target until it has ended.

use std::collections::BTreeMap;

use crate::job::message::Offer;
use crate::job::name::{Bytes, DatasetName, JobId, ZoneName};

/// What an accepted job holds until it has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserved {
    /// The job.
    pub job: JobId,
    /// The zone's name.
    pub zone: ZoneName,
    /// Its zonepath on the target.
    pub zonepath: String,
    /// Its datasets' names on the target, in the end.
    pub datasets: Vec<DatasetName>,
    /// Its holders in quarantine.
    pub holders: Vec<DatasetName>,
    /// Room that its datasets will use, by pool.
    pub pools: BTreeMap<String, Bytes>,
    /// Room that its parts will use on scratch.
    pub scratch: Bytes,
}

/// Where the zone would live on the target.
pub fn zonepath(offer: &Offer) -> &str {
    offer.request.target.zonepath.as_deref().unwrap_or(&offer.survey.zone.zonepath)
}
