//! When a job did what, by its journal.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::phase::Phase;
use super::role::Role;

/// When the landmarks of a job were journaled, by this host's clock.
#[derive(Debug, Clone, Default)]
pub struct Times {
    /// First line.
    pub begun: Option<DateTime<Utc>>,
    /// The shutdown was about to begin: the outage's first instant.
    pub down: Option<DateTime<Utc>>,
    /// The source had the zone up again, or knew that it was up on the target.
    pub up: Option<DateTime<Utc>>,
    /// The handoff was journaled.
    pub handed_off: Option<DateTime<Utc>>,
    /// The verdict was journaled.
    pub verdict: Option<DateTime<Utc>>,
    /// The phase was entered.
    pub phase: Option<DateTime<Utc>>,
    /// How long each step took in all, by the step's word, in milliseconds.
    pub took: BTreeMap<String, u64>,
}

impl Times {
    /// A phase is left for another: accounts the time in it, and the landmarks.
    pub(super) fn mark(&mut self, at: DateTime<Utc>, role: Role, left: Phase, next: Phase) {
        if let Some(since) = self.phase {
            let spent = (at - since).num_milliseconds().max(0) as u64;
            // Delivered knows better what was send, copy and receive.
            if left != Phase::Send {
                *self.took.entry(left.next().word().to_owned()).or_default() += spent;
            }
        }
        self.phase = Some(at);
        if role == Role::Source && next.is_outage() && self.down.is_none() {
            self.down = Some(at);
        }
        if self.verdict.is_none() && next.verdict().is_some() {
            self.verdict = Some(at);
        }
    }
}
