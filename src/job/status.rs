//! `status.json`: what a job is doing, for people. Evidence, rewritten at most twice a second while something
//! changes; nothing depends on it, and it may be lost in a crash.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::name::{Bytes, HostName, JobId, ZoneName};

/// The version of the format.
pub const VERSION: u32 = 1;

/// The whole file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// [`VERSION`]
    pub v: u32,
    /// The job.
    pub job: JobId,
    /// `source`, `target` or `finish`.
    pub role: String,
    /// The zone.
    pub zone: ZoneName,
    /// The source's name.
    pub from: HostName,
    /// The target's name.
    pub to: HostName,
    /// The request's ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// The word of the step that is due.
    pub step: String,
    /// Since when it has been due.
    pub since: DateTime<Utc>,
    /// When the job began on this host.
    pub begun: DateTime<Utc>,
    /// When this was written.
    pub updated: DateTime<Utc>,
    /// What the step waits for, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<String>,
    /// Since when it waits for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_since: Option<DateTime<Utc>>,
    /// How the last try of the step failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Tries of this step that failed in a row.
    #[serde(default)]
    pub failures: u32,
    /// Needs an operator: what, and what can be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<String>,
    /// Source: the zone has been down since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down_since: Option<DateTime<Utc>>,
    /// `ok`, `failed`, `refused`, `cancelled`, once that is certain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// One for each image, in the order in which they travel.
    #[serde(default)]
    pub images: Vec<ImageStatus>,
}

/// One image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageStatus {
    /// The dataset on the source.
    pub dataset: String,
    /// Its size: an estimate until it has been sent whole.
    pub size: Bytes,
    /// Bytes out of `zfs send` (source).
    pub sent: Bytes,
    /// Bytes in the peer's dropbox (source).
    pub copied: Bytes,
    /// Bytes into `zfs receive`; on the source as the target reports it.
    pub received: Bytes,
    /// Received and verified.
    pub done: bool,
}
