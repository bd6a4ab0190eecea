//! What this host's operating system is and at which level, and what follows from another host's
//! `uname -v`.

use std::collections::BTreeMap;

use super::StepError;
use crate::cmd::{pkg, pkginfo, showrev, uname};
use crate::job::survey::OsLevel;
use crate::process::Programs;

/// This host's level. Four or five processes.
///
/// # Errors
/// When `uname` or `pkg` fails, or says what is not understood.
pub fn level(programs: &Programs) -> Result<OsLevel, StepError> {
    let uname = uname::uname(programs)?;
    let entire = if programs.has("pkg") { pkg::entire(programs)? } else { None };
    let shape = Shape::of(&uname.version);
    let brands = match shape {
        Shape::Tribblix(_) if programs.has("pkginfo") => pkginfo::version(programs, pkginfo::TRIBBLIX_ZONES)?,
        _ => None,
    };
    let patches = match shape {
        Shape::Solaris10 { .. } if programs.has("showrev") => showrev::patches(programs)?,
        _ => BTreeMap::new(),
    };
    Ok(OsLevel {
        system: uname.system,
        release: uname.release,
        version: uname.version,
        processor: uname.processor,
        entire: entire.map(|version| version.to_string()),
        brands,
        patches,
    })
}

/// What `uname -v` says, by its shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    /// `Generic_147147-26`: the kernel patch and its revision.
    Solaris10 { patch: u32, revision: u32 },
    /// `11.4.42.111.0`, `11.3`
    Solaris11(Vec<u32>),
    /// `omnios-r151046-<hash>`: the release, if it is one.
    OmniOs(Option<u32>),
    /// `joyent_20230601T001234Z`: the platform image's time, which sorts as text.
    SmartOs(String),
    /// `illumos-<hash>`, OpenIndiana's and others'.
    Illumos,
    /// `tribblix-m34`, `tribblix-m23.2`: the release; empty if it is none.
    Tribblix(Vec<u32>),
    /// None of these.
    Other,
}

impl Shape {
    pub(super) fn of(version: &str) -> Self {
        Self::known(version).unwrap_or(Shape::Other)
    }

    fn known(version: &str) -> Option<Self> {
        if let Some(patch) = version.strip_prefix("Generic_") {
            let (patch, revision) = patch.split_once('-')?;
            return Some(Shape::Solaris10 { patch: patch.parse().ok()?, revision: revision.parse().ok()? });
        }
        if let Some(rest) = version.strip_prefix("omnios-") {
            let release = rest.strip_prefix('r').and_then(|rest| rest.split('-').next()?.parse().ok());
            return Some(Shape::OmniOs(release));
        }
        if let Some(image) = version.strip_prefix("joyent_") {
            return Some(Shape::SmartOs(image.to_owned()));
        }
        if version.starts_with("illumos-") {
            return Some(Shape::Illumos);
        }
        let dotted = |text: &str| text.split('.').map(|part| part.parse().ok()).collect::<Option<Vec<u32>>>();
        if let Some(release) = version.strip_prefix("tribblix-") {
            return Some(Shape::Tribblix(release.strip_prefix('m').and_then(dotted).unwrap_or_default()));
        }
        let numbers = dotted(version)?;
        (numbers.len() > 1 && numbers[0] == 11).then_some(Shape::Solaris11(numbers))
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Shape::Solaris10 { .. } => "Solaris 10",
            Shape::Solaris11(_) => "Solaris 11",
            Shape::OmniOs(_) => "OmniOS",
            Shape::SmartOs(_) => "SmartOS",
            Shape::Illumos => "illumos",
            Shape::Tribblix(_) => "Tribblix",
            Shape::Other => "another system",
        }
    }

    /// What brings a host of this system to a newer level.
    fn updated_by(&self) -> &'static str {
        match self {
            Shape::Solaris10 { .. } => "patchadd or Live Upgrade",
            Shape::Solaris11(_) | Shape::OmniOs(_) | Shape::Illumos => "pkg update",
            Shape::SmartOs(_) => "a newer platform image",
            Shape::Tribblix(_) => "zap upgrade",
            Shape::Other => "its own means",
        }
    }
}

/// Is a host whose `uname -v` is `version` known to be an Oracle Solaris 11?
pub fn is_solaris11(version: &str) -> bool {
    matches!(Shape::of(version), Shape::Solaris11(_))
}

/// Is a host whose `uname -v` is `version` known to be an illumos?
pub fn is_illumos(version: &str) -> bool {
    matches!(Shape::of(version), Shape::OmniOs(_) | Shape::SmartOs(_) | Shape::Illumos | Shape::Tribblix(_))
}

/// By what a host whose `uname -v` is `version` gets to a newer level.
pub fn updated_by(version: &str) -> &'static str {
    Shape::of(version).updated_by()
}

/// Does the `zfs send` of a host whose `uname -v` is `version` write per-block checksums by
/// default? Solaris 11.4 and later ("What's New in ZFS").
pub fn has_per_block_checksums(version: &str) -> bool {
    matches!(Shape::of(version), Shape::Solaris11(numbers) if numbers.as_slice() >= [11, 4].as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::sample::sample;

    #[test]
    fn every_releases_version_is_known_for_what_it_is() {
        let named: Vec<_> =
            sample!("uname/v.txt").lines().map(|line| (line, Shape::of(line).name())).collect();
        let names: Vec<_> = named.iter().map(|(_, name)| *name).collect();
        let wanted = [
            "Solaris 10",
            "Solaris 10",
            "Solaris 11",
            "OmniOS",
            "SmartOS",
            "illumos",
            "Tribblix",
            "Tribblix",
        ];
        assert_eq!(names, wanted, "{named:?}");
        assert_eq!(Shape::of("tribblix-m23.2"), Shape::Tribblix(vec![23, 2]));
        assert_eq!(updated_by("tribblix-m23.2"), "zap upgrade");
    }
}
