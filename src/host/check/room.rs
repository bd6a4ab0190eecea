//! Room on scratch, on either host, and how much of it images need.

use crate::host::StepError;
use crate::job::code::Code;
use crate::job::name::Bytes;
use crate::job::survey::Dataset;

/// Room for parts on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScratchRoom {
    /// The directory.
    pub dir: String,
    /// Free on its file system; the parts of the jobs in `reserved` already use some of the rest.
    pub free_on_disk: Bytes,
    /// The configured share of all jobs together.
    pub share: Bytes,
}

impl ScratchRoom {
    /// Of this host, as it is now. A directory that can't be asked has no room.
    pub fn of(scratch: &crate::config::Scratch) -> Self {
        let free = nix::sys::statvfs::statvfs(scratch.dir.as_path())
            .map_or(0, |stat| stat.blocks_available() * stat.fragment_size());
        Self { dir: scratch.dir.display().to_string(), free_on_disk: Bytes(free), share: scratch.max }
    }
}

/// Parts leave scratch when their image is complete: the largest image, the part that arrives and
/// the next one.
pub(super) fn scratch_need(datasets: &[Dataset], part: Bytes) -> Bytes {
    let largest = datasets.iter().map(Dataset::estimate).max().unwrap_or_default();
    Bytes(largest.0.saturating_add(part.0.saturating_mul(2)))
}

/// Source: whether these images can be staged. One that is held back by a full scratch is never
/// received, so that its parts never leave it.
///
/// # Errors
/// Permanent beyond the share, transient beyond what is free now.
pub fn staged(room: &ScratchRoom, datasets: &[Dataset], part: Bytes) -> Result<(), StepError> {
    let need = scratch_need(datasets, part);
    let text = |what: &str, free: Bytes| {
        let dir = &room.dir;
        format!("{dir} here has {free} {what}, the largest image of the zone and two parts need {need}")
    };
    if need > room.share {
        let text = text("for a job that sends ([scratch] max, by [jobs] parallel)", room.share);
        return Err(StepError::permanent(text).coded(Code::Space));
    }
    if need > room.free_on_disk {
        return Err(StepError::transient(text("free", room.free_on_disk)).coded(Code::Space));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::check::fixture::{GIB, case};

    #[test]
    fn an_image_that_the_source_can_not_stage_is_known_before_the_zone_is_stopped() {
        let case = case();
        let datasets = &case.offer.survey.datasets;
        let need = scratch_need(datasets, Bytes(GIB)).0;
        let room = |share, free_on_disk| ScratchRoom {
            dir: "/export/scratch".to_owned(),
            free_on_disk: Bytes(free_on_disk),
            share: Bytes(share),
        };
        assert!(staged(&room(need, need), datasets, Bytes(GIB)).is_ok());
        let beyond = staged(&room(need - 1, need), datasets, Bytes(GIB)).unwrap_err();
        assert_eq!(beyond.kind, crate::job::retry::ErrorKind::Permanent, "{beyond}");
        let full = staged(&room(need, need - 1), datasets, Bytes(GIB)).unwrap_err();
        assert_eq!(full.kind, crate::job::retry::ErrorKind::Transient, "{full}");
    }
}
