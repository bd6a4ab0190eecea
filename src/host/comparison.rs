//! The levels of two hosts' operating systems, compared.
//!
//! What can be compared is in the fact sheet of the zones, section 8: system, release and
//! processor; then
//!
//! | system | by |
//! | --- | --- |
//! | OmniOS, Solaris 11 | the package `entire` where both hosts have it, else the release in `uname -v` |
//! | OpenIndiana, others | `entire`, which often is not installed; the hash in `uname -v` has no order |
//! | Tribblix | the release in `uname -v`; the version of the package of its zone brands is shown |
//! | SmartOS | the platform image's time |
//! | Solaris 10 | the kernel patch; of two different ones, whose `showrev -p` has the other's |
//!
//! Everything finer is left to `zoneadm attach`, and [`Comparison::Unknown`] says so. Pure.

use std::cmp::Ordering;

use super::check::text::shown;
use super::os::Shape;
use crate::cmd::pkg::Version;
use crate::job::survey::OsLevel;

/// How the target's level stands to the source's. The texts name both, as a fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comparison {
    /// The same, as far as both say.
    Equal,
    /// The target's is newer.
    TargetNewer(String),
    /// The target's is older.
    TargetOlder(String),
    /// The same system at different levels, and nothing shows which is newer.
    Unordered(String),
    /// Not the same system: no zone of the one runs on the other.
    Different(String),
    /// One side or both do not say enough.
    Unknown(String),
}

/// Compares two hosts' levels.
pub fn compare(source: &OsLevel, target: &OsLevel) -> Comparison {
    let must_equal = [
        ("operating systems", &source.system, &target.system),
        ("releases", &source.release, &target.release),
        ("processors", &source.processor, &target.processor),
    ];
    for (what, from, to) in must_equal {
        if from != to {
            return Comparison::Different(format!("the {what} differ: {}", both(from, to)));
        }
    }
    let (from, to) = (Shape::of(&source.version), Shape::of(&target.version));
    // 5.11 is both Solaris 11 and illumos: only the version differs.
    if std::mem::discriminant(&from) != std::mem::discriminant(&to) {
        let (from, to) = (from.name(), to.name());
        let versions = both(&source.version, &target.version);
        return Comparison::Different(format!("the systems differ, {from} and {to}: {versions}"));
    }
    if let Some((from, to)) = entire(source).zip(entire(target)) {
        let texts = format!("package entire: {}", both(&from.to_string(), &to.to_string()));
        return ordered(to.cmp(&from), texts);
    }
    // Attach then compares what holds the system's other packages together, or refuses for `entire`
    // alone.
    let alone = match (&source.entire, &target.entire) {
        (Some(_), None) => " (package entire on the source only)",
        (None, Some(_)) => " (package entire on the target only)",
        _ => "",
    };
    if source.version == target.version && alone.is_empty() {
        return Comparison::Equal;
    }
    let texts = format!("{}{alone}", both(&source.version, &target.version));
    match (from, to) {
        (Shape::Solaris10 { patch: from, revision: at }, Shape::Solaris10 { patch: to, revision: then }) => {
            // Later kernel patches have had lower numbers: 147440-01 came before 147147-26.
            let has =
                |level: &OsLevel, patch, revision| level.patches.get(&patch).is_some_and(|r| *r >= revision);
            match (has(target, from, at), has(source, to, then)) {
                _ if from == to => ordered(then.cmp(&at), texts),
                (true, false) => Comparison::TargetNewer(texts),
                (false, true) => Comparison::TargetOlder(texts),
                _ => Comparison::Unordered(texts),
            }
        }
        (Shape::Tribblix(from), Shape::Tribblix(to)) if !(from.is_empty() || to.is_empty()) => {
            ordered(to.cmp(&from), texts)
        }
        (Shape::Solaris11(from), Shape::Solaris11(to)) => ordered(to.cmp(&from), texts),
        (Shape::SmartOs(from), Shape::SmartOs(to)) => ordered(to.cmp(&from), texts),
        (Shape::OmniOs(Some(from)), Shape::OmniOs(Some(to))) if from != to => ordered(to.cmp(&from), texts),
        // Builds of one release, or hashes that have no order.
        _ => Comparison::Unknown(texts),
    }
}

fn entire(level: &OsLevel) -> Option<Version> {
    Version::parse(level.entire.as_deref()?)
}

fn ordered(target: Ordering, texts: String) -> Comparison {
    match target {
        Ordering::Equal => Comparison::Equal,
        Ordering::Greater => Comparison::TargetNewer(texts),
        Ordering::Less => Comparison::TargetOlder(texts),
    }
}

fn both(source: &str, target: &str) -> String {
    format!("source {}, target {}", shown(source), shown(target))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn level(release: &str, version: &str, entire: Option<&str>) -> OsLevel {
        OsLevel {
            system: "SunOS".to_owned(),
            release: release.to_owned(),
            version: version.to_owned(),
            processor: "i386".to_owned(),
            entire: entire.map(str::to_owned),
            brands: None,
            patches: BTreeMap::new(),
        }
    }

    fn word(comparison: &Comparison) -> &'static str {
        match comparison {
            Comparison::Equal => "equal",
            Comparison::TargetNewer(_) => "newer",
            Comparison::TargetOlder(_) => "older",
            Comparison::Unordered(_) => "unordered",
            Comparison::Different(_) => "different",
            Comparison::Unknown(_) => "unknown",
        }
    }

    #[test]
    fn without_the_package_entire_the_kernels_version_decides() {
        for (release, from, to, wanted) in [
            ("5.10", "Generic_147147-26", "Generic_147147-26", "equal"),
            ("5.10", "Generic_147147-25", "Generic_147147-26", "newer"),
            ("5.10", "Generic_147147-26", "Generic_147147-9", "older"),
            ("5.10", "Generic_147440-01", "Generic_147147-26", "unordered"),
            ("5.11", "11.4.42.111.0", "11.4.42.111.0", "equal"),
            ("5.11", "11.4.9.5.3", "11.4.42.111.0", "newer"),
            ("5.11", "11.4.42.111.0", "11.3", "older"),
            ("5.11", "omnios-r151046-aaaa", "omnios-r151046-aaaa", "equal"),
            ("5.11", "omnios-r151046-aaaa", "omnios-r151046-bbbb", "unknown"),
            ("5.11", "omnios-r151044-aaaa", "omnios-r151046-bbbb", "newer"),
            ("5.11", "omnios-r151046-aaaa", "omnios-r151044-bbbb", "older"),
            ("5.11", "omnios-master-aaaa", "omnios-r151044-bbbb", "unknown"),
            ("5.11", "joyent_20230601T000000Z", "joyent_20230701T000000Z", "newer"),
            ("5.11", "illumos-aaaa", "illumos-bbbb", "unknown"),
            ("5.11", "tribblix-m34", "tribblix-m34", "equal"),
            ("5.11", "tribblix-m34", "tribblix-m35", "newer"),
            ("5.11", "tribblix-m23.2", "tribblix-m23.10", "newer"),
            ("5.11", "tribblix-m35", "tribblix-m34", "older"),
            ("5.11", "tribblix-m34", "tribblix-test", "unknown"),
            ("5.11", "11.4.42.111.0", "omnios-r151046-aaaa", "different"),
            ("5.11", "omnios-r151046-aaaa", "illumos-aaaa", "different"),
        ] {
            let found = compare(&level(release, from, None), &level(release, to, None));
            assert_eq!(word(&found), wanted, "{from} -> {to}: {found:?}");
        }
    }

    #[test]
    fn the_package_entire_decides_where_both_hosts_have_it() {
        let old = "11-151046.0:20230501T000000Z";
        let new = "11-151046.0:20240201T194428Z";
        let (from, to) = ("omnios-r151046-aaaa", "omnios-r151046-bbbb");
        for (source, target, wanted) in [
            (Some(old), Some(old), "equal"),
            (Some(old), Some(new), "newer"),
            (Some(new), Some(old), "older"),
            (Some(new), None, "unknown"),
            (None, Some(new), "unknown"),
            (Some("no version"), Some(old), "unknown"),
        ] {
            let found = compare(&level("5.11", from, source), &level("5.11", to, target));
            assert_eq!(word(&found), wanted, "{source:?} -> {target:?}: {found:?}");
        }
    }

    #[test]
    fn of_two_kernel_patches_of_solaris_10_the_later_one_is_where_the_other_is_installed_too() {
        let with = |version: &str, patches: &[(u32, u32)]| OsLevel {
            patches: patches.iter().copied().collect(),
            ..level("5.10", version, None)
        };
        let old = with("Generic_147440-01", &[(147_440, 1)]);
        let new = with("Generic_147147-26", &[(147_440, 2), (147_147, 26)]);
        assert_eq!(word(&compare(&old, &new)), "newer");
        assert_eq!(word(&compare(&new, &old)), "older");
        assert_eq!(word(&compare(&old, &with("Generic_147147-26", &[]))), "unordered");
    }

    #[test]
    fn an_entire_on_one_side_alone_is_told() {
        let entire = Some("0.5.11-2024.0.0.1:20240201T194428Z");
        let (with, without) = (level("5.11", "illumos-aaaa", entire), level("5.11", "illumos-aaaa", None));
        let Comparison::Unknown(why) = compare(&with, &without) else { panic!() };
        assert!(why.contains("entire on the source only"), "{why}");
    }

    #[test]
    fn another_system_release_or_processor_is_another_world() {
        let base = level("5.11", "omnios-r151046-aaaa", None);
        for (what, other) in [
            ("operating systems", OsLevel { system: "Linux".to_owned(), ..base.clone() }),
            ("releases", OsLevel { release: "5.10".to_owned(), ..base.clone() }),
            ("processors", OsLevel { processor: "sparc".to_owned(), ..base.clone() }),
        ] {
            let Comparison::Different(why) = compare(&base, &other) else { panic!("{other:?}") };
            assert!(why.contains(what), "{why}");
        }
        let forged = OsLevel { system: "x\n".repeat(500), ..base.clone() };
        let Comparison::Different(why) = compare(&forged, &base) else { panic!() };
        assert!(why.len() < 300 && !why.contains('\n'), "{why}");
    }
}
