//! What an offer is judged by.

use super::reserved::Reserved;
use super::room::ScratchRoom;
use super::world::World;
use crate::config::Accept;
use crate::job::layout::Layout;
use crate::job::message::Offer;
use crate::job::name::JobId;

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
