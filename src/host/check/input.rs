//! What an offer is judged by.

use std::collections::BTreeMap;

use super::scratch::ScratchRoom;
use super::world::World;
use crate::config::Accept;
use crate::job::layout::Layout;
use crate::job::message::Offer;
use crate::job::name::{Bytes, DatasetName, JobId, ZoneName};

/// Everything that an offer is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Check<'a> {
    /// The job's id, as the offer's envelope has it.
    pub job: &'a JobId,
    /// The offer.
    pub offer: &'a Offer,
    /// What its sender may bring here.
    pub accept: &'a Accept,
    /// Where everything would go, or why it can't.
    pub layout: Result<&'a Layout, &'a [String]>,
    /// This host.
    pub world: &'a World,
    /// What **other** accepted jobs hold, of all peers.
    pub reserved: &'a [Reserved],
    /// Room for parts.
    pub scratch: &'a ScratchRoom,
}

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
