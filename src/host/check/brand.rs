//! Which brands are carried, and what to use for the others (DESIGN section 5; the fact sheet of the zones, section 9).

/// Brands whose zones consist of datasets and are detached and attached by zoneadm. OpenIndiana's `nlipkg` is
/// said to be like `ipkg`; no source was found, so it isn't here.
pub const CARRIED: [&str; 10] = [
    "native",
    "ipkg",
    "lipkg",
    "sparse",
    "pkgsrc",
    "illumos",
    "sparse-root",
    "whole-root",
    "alien-root",
    "solaris",
];

/// Whether zones of this brand are carried.
pub fn is_carried(brand: &str) -> bool {
    CARRIED.contains(&brand)
}

/// What moves a zone of a brand that isn't carried.
pub fn instead(brand: &str) -> &'static str {
    match brand {
        "bhyve" | "kvm" | "lx" | "emu" => "use zadm, or zfs send and zonecfg export (SmartOS: vmadm send)",
        "joyent" | "joyent-minimal" => "use vmadm send",
        "solaris-kz" => "use zoneadm migrate",
        "solaris8" | "solaris9" => "use zfs send, zoneadm attach -F and the brand's s8_p2v or s9_p2v",
        "solaris10" => "use zoneadm attach with -a or -d",
        "cluster" => "use the cluster's own framework",
        "appstack" => "such a zone can't be attached, build it anew on the target",
        _ => "use zfs send and zonecfg export",
    }
}

/// Brands with the layout `ROOT/zbe` and the attach hook of ipkg: it wants the zonepath's parent to be a dataset's mountpoint, and
/// repairs what the zone needs for its boot. Tribblix's have the same skeleton.
pub fn has_boot_environments(brand: &str) -> bool {
    matches!(brand, "ipkg" | "lipkg" | "sparse" | "pkgsrc")
}

/// Brands whose hook wants the zonepath's parent directory to be the mountpoint of a dataset.
pub fn wants_parent_dataset(brand: &str) -> bool {
    has_boot_environments(brand) || matches!(brand, "sparse-root" | "whole-root" | "alien-root")
}

/// Brands whose attach compares no software: a newer target takes their zones as they are.
pub fn is_self_contained(brand: &str) -> bool {
    matches!(brand, "illumos" | "whole-root" | "alien-root")
}

/// What `attach -u` does to a zone of this brand, as a fragment; `None`: nothing. From the fact sheet of the zones, 2.6.
pub fn update(brand: &str) -> Option<&'static str> {
    match brand {
        "ipkg" | "lipkg" | "sparse" | "pkgsrc" => Some(
            "attach -u installs the target's `entire` in the zone, from publishers that must be reachable",
        ),
        "solaris" => Some(
            "attach -u updates the least that must match, -U everything, from publishers that must be reachable",
        ),
        "native" => {
            Some("attach -u updates the packages that must match, -U every one that is not the zone's own")
        }
        // Tribblix's take -u and do nothing, a brand without a hook does not look at it.
        _ => None,
    }
}

/// Brands whose attach clones a boot environment of another host unless it is told not to.
pub fn clones_at_attach(brand: &str) -> bool {
    brand == "solaris"
}

/// Brands whose attach knows `-U`.
pub fn takes_update_all(brand: &str) -> bool {
    matches!(brand, "native" | "solaris")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_not_carried_has_another_way() {
        for brand in [
            "bhyve",
            "kvm",
            "lx",
            "joyent",
            "solaris-kz",
            "solaris9",
            "solaris10",
            "cluster",
            "appstack",
            "x",
        ] {
            assert!(!is_carried(brand), "{brand}");
            assert!(!instead(brand).is_empty());
        }
        assert!(CARRIED.iter().all(|brand| is_carried(brand)));
    }
}
