//! The brands whose zones are carried, and what differs between them. From the fact sheet of the
//! zones, 2.5, 2.6 and 9.
//!
//! A carried brand's zones consist of datasets, and zoneadm detaches and attaches them.

/// One carried brand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Brand {
    /// Its name, as zonecfg has it.
    pub name: &'static str,
    /// It has the layout `ROOT/zbe` and ipkg's attach hook, which repairs what the zone needs for
    /// its boot. Tribblix's brands have the same skeleton.
    pub has_boot_environments: bool,
    /// Its hook wants the zonepath's parent directory to be the mountpoint of a dataset.
    pub wants_parent_dataset: bool,
    /// Its attach compares no software: a newer target accepts its zones as they are.
    pub is_self_contained: bool,
    /// What `attach -u` does to a zone, as a fragment; `None`: nothing.
    pub update: Option<&'static str>,
    /// Its attach knows `-U`.
    pub has_update_all: bool,
    /// Its attach clones a boot environment of another host unless it is told not to.
    pub clones_at_attach: bool,
    /// Its zones may have `inherit-pkg-dir`.
    pub inherits: bool,
}

const PLAIN: Brand = Brand {
    name: "",
    has_boot_environments: false,
    wants_parent_dataset: false,
    is_self_contained: false,
    update: None,
    has_update_all: false,
    clones_at_attach: false,
    inherits: false,
};

const fn like_ipkg(name: &'static str) -> Brand {
    let update =
        "attach -u installs the target's `entire` in the zone, from publishers that must be reachable";
    Brand { name, has_boot_environments: true, wants_parent_dataset: true, update: Some(update), ..PLAIN }
}

/// Tribblix's brands accept `-u` and do nothing, and a brand without a hook does not look at it.
const fn of_tribblix(name: &'static str, is_self_contained: bool) -> Brand {
    Brand { name, wants_parent_dataset: true, is_self_contained, ..PLAIN }
}

/// `nlipkg` is OpenIndiana's ipkg with images that are not linked: the same layout and hooks
/// (OpenIndiana/pkg5, pull request 8; oi-userland, pull request 1512).
const CARRIED: [Brand; 11] = [
    Brand {
        name: "native",
        update: Some(
            "attach -u updates the packages that must match, -U every one that is not the zone's own",
        ),
        has_update_all: true,
        inherits: true,
        ..PLAIN
    },
    like_ipkg("ipkg"),
    like_ipkg("nlipkg"),
    like_ipkg("lipkg"),
    like_ipkg("sparse"),
    like_ipkg("pkgsrc"),
    Brand { name: "illumos", is_self_contained: true, ..PLAIN },
    of_tribblix("sparse-root", false),
    of_tribblix("whole-root", true),
    of_tribblix("alien-root", true),
    Brand {
        name: "solaris",
        update: Some(
            "attach -u updates the least that must match, -U everything, from publishers that must be reachable",
        ),
        has_update_all: true,
        clones_at_attach: true,
        ..PLAIN
    },
];

impl Brand {
    /// The carried brand of this name.
    pub fn carried(name: &str) -> Option<&'static Self> {
        CARRIED.iter().find(|brand| brand.name == name)
    }
}

/// What moves a zone of a brand that is not carried.
pub fn instead(name: &str) -> &'static str {
    match name {
        "bhyve" | "kvm" | "lx" | "emu" => "use zadm, or zfs send and zonecfg export (SmartOS: vmadm send)",
        "joyent" | "joyent-minimal" => "use vmadm send",
        "solaris-kz" => "use zoneadm migrate",
        "solaris8" | "solaris9" => "use zfs send, zoneadm attach -F and the brand's s8_p2v or s9_p2v",
        "solaris10" => "use zoneadm attach with -a or -d",
        "cluster" => "use the cluster's own framework",
        "appstack" => "such a zone can't be attached, build a new one on the target",
        _ => "use zfs send and zonecfg export",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brand_that_is_not_carried_has_another_way() {
        for name in
            ["bhyve", "kvm", "lx", "joyent", "solaris-kz", "solaris9", "solaris10", "cluster", "x", ""]
        {
            assert_eq!(Brand::carried(name), None, "{name}");
            assert!(!instead(name).is_empty());
        }
    }

    #[test]
    fn a_carried_brand_is_found_by_its_name() {
        for brand in &CARRIED {
            assert_eq!(Brand::carried(brand.name), Some(brand));
            assert!(!brand.has_update_all || brand.update.is_some(), "{}", brand.name);
        }
        assert!(Brand::carried("nlipkg").is_some_and(|brand| brand.has_boot_environments));
    }
}
