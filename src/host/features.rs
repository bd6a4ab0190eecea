//! Which stream features this host's `zfs receive` accepts, and which ones a dataset's stream will
//! have: compared before the zone is stopped, and demanded of each stream as it arrives.
//!
//! No command shows which features a receiver accepts. The set is chosen from the newest filesystem
//! version that the host's ZFS has, and from whether the host is an illumos. Where neither is known
//! to accept more, only what every ZFS of that filesystem version accepts is allowed: a stream that
//! is refused here costs a job, a stream that the kernel misreads may cost the host.

use super::{StepError, os};
use crate::cmd::zfs::{Wire, Zfs};
use crate::cmd::{CmdError, uname};
use crate::job::record::Job;
use crate::job::survey::{Dataset, Kind};
use crate::process::Programs;
use crate::stream::FeatureSet;

/// The filesystem version from which on streams have system attributes, and receivers know them.
const SYSTEM_ATTRIBUTES: u64 = 5;

/// Asks this host. Five processes.
///
/// # Errors
/// When `uname` or `zfs upgrade -v` fails, or says what is not understood.
pub fn ask(programs: &Programs) -> Result<FeatureSet, StepError> {
    let newest = Zfs::new(programs).newest_version()?;
    Ok(taken(&uname::uname(programs)?.version, newest))
}

/// What a host accepts whose `uname -v` is `version` and whose newest filesystem version is
/// `newest`.
///
/// Deduplicated streams never: `zfs send` makes none without -D, and not every receiver bounds what
/// they refer to.
pub fn taken(version: &str, newest: u64) -> FeatureSet {
    let mask = match newest {
        ..SYSTEM_ATTRIBUTES => FeatureSet::ON_2009,
        _ if os::is_illumos(version) => FeatureSet::ILLUMOS,
        // Solaris 11 accepts more, whose meaning is not public; other systems may accept no more.
        _ => FeatureSet::ON_2010,
    };
    mask.without(FeatureSet::DEDUP.with(FeatureSet::DEDUPPROPS))
}

/// How this job's images are sent from here. Chosen by the system first: the same letter means
/// another thing elsewhere; then by what this `zfs` says to it. Where `zfs` gives no answer (the
/// pool is busy, say), the first choice stays: the send will show.
///
/// # Errors
/// When `zfs` can't be run.
pub fn wire(programs: &Programs, job: &Job) -> Result<Wire, StepError> {
    let wanted = wanted_wire(job);
    if wanted == Wire::Usual {
        return Ok(wanted);
    }
    match Zfs::new(programs).takes_option("send", 's') {
        Ok(true) | Err(CmdError::Unreadable { .. }) => Ok(wanted),
        Ok(false) => Ok(Wire::Usual),
        Err(error) => Err(error.into()),
    }
}

/// The same by the source's own level alone: Solaris 11.4 leaves out what nobody else could verify.
pub fn wanted_wire(job: &Job) -> Wire {
    let version = job.survey.as_ref().map_or("", |survey| survey.os.version.as_str());
    if os::has_per_block_checksums(version) { Wire::NoCheck } else { Wire::Usual }
}

/// What `zfs send` without options puts into a dataset's stream (illumos `dmu_send.c`): system
/// attributes by the filesystem's version; large dnodes as soon as the dataset has one, which it
/// may have where `dnodesize` says so.
pub fn sent(dataset: &Dataset) -> FeatureSet {
    let is_filesystem = dataset.kind == Kind::Filesystem;
    let attributes = is_filesystem && dataset.version.is_some_and(|version| version >= SYSTEM_ATTRIBUTES);
    let large = dataset.value("dnodesize").is_some_and(|size| !matches!(size, "legacy" | "512" | "-"));
    let when = |is: bool, feature| if is { feature } else { FeatureSet::NONE };
    when(attributes, FeatureSet::SA_SPILL).with(when(large, FeatureSet::LARGE_DNODE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_takes_what_its_zfs_is_known_to_take() {
        let illumos = FeatureSet::ILLUMOS.without(FeatureSet::DEDUP.with(FeatureSet::DEDUPPROPS));
        for (version, newest, wanted) in [
            ("omnios-r151046-5d4a8f2c31", 5, illumos),
            ("joyent_20230601T001234Z", 5, illumos),
            ("illumos-2fdb4a1c35", 5, illumos),
            ("tribblix-m34", 5, illumos),
            // The same name over a ZFS that is not of illumos: zfs-fuse, or an older pool.
            ("omnios-r151046-5d4a8f2c31", 4, FeatureSet::NONE),
            ("Generic_147147-26", 4, FeatureSet::NONE),
            ("Generic_147147-26", 5, FeatureSet::SA_SPILL),
            ("11.4.42.111.0", 6, FeatureSet::SA_SPILL),
            ("whatever", 5, FeatureSet::SA_SPILL),
        ] {
            assert_eq!(taken(version, newest), wanted, "{version} {newest}");
        }
    }
}
