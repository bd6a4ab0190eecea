//! The target's message `progress`: what has arrived, and what is to be sent again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::name::{Bytes, Guid, SnapshotName};

/// Target to source, rewritten as work goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Progress {
    /// Another number in each process that receives. When it changes, the source looks again whether all
    /// its parts are there: a target that was killed may have removed one without reporting it.
    pub run: u64,
    /// By the image's name, `DATASET@SNAPSHOT` on the source.
    pub images: BTreeMap<String, ImageProgress>,
    /// Why nothing moves at the moment, if so.
    #[serde(default)]
    pub waiting: Option<String>,
}

/// How far one image is on the target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ImageProgress {
    /// The snapshot that the image builds on, if it is not a full stream.
    #[serde(default)]
    pub from: Option<SnapshotName>,
    /// The attempt that this is about; 0 while the target could read no entry of the image.
    pub attempt: u32,
    /// Bytes fed to `zfs receive`.
    pub bytes: Bytes,
    /// The received snapshot's guid, once it is received.
    #[serde(default)]
    pub guid: Option<Guid>,
    /// Parts that arrived damaged, each with the number of complaints so far, so that a repeated
    /// complaint differs from an old one.
    #[serde(default)]
    pub again: BTreeMap<u32, u32>,
    /// The stream of this attempt is wrong in itself: a new attempt is wanted.
    #[serde(default)]
    pub restart: bool,
}
