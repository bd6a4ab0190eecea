//! A zone's configuration as data, and the table of what it may contain.
//!
//! The table names each thing twice, as zonecfg(8) and as the XML document do (`fs`, `filesystem`),
//! and gives the orders of export and info. Sources: zonecfg.c and the DTD zonecfg.dtd.1 of
//! illumos-gate, and the recorded exports.

use std::collections::BTreeMap;

/// One zone's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// The zone's name.
    pub name: String,
    /// Absolute; empty until it is set.
    pub zonepath: String,
    /// OmniOS's number for the zone in traces; others have none.
    pub debug_id: String,
    /// Boot with the host?
    pub autoboot: bool,
    /// `sparse`, `ipkg`, `native` …
    pub brand: String,
    /// `shared` or `exclusive`.
    pub ip_type: String,
    /// The other global properties that are set; see `GLOBALS`.
    pub globals: BTreeMap<String, String>,
    /// Resources in the order in which they were added.
    pub resources: Vec<Resource>,
}

/// Global properties beside zonepath, brand, autoboot and ip-type, in the order of export.
pub const GLOBALS: &[&str] = &["bootargs", "pool", "limitpriv", "scheduling-class", "hostid", "fs-allowed"];

/// One resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// What it is.
    pub kind: &'static Kind,
    /// The properties that are set, by zonecfg's names.
    pub values: BTreeMap<String, String>,
    /// The values of the property that takes many: fs's options, rctl's `(priv=…,limit=…,action=…)`, the
    /// `(name=…,value="…")` of net and device.
    pub list: Vec<String>,
}

/// A kind of resource.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// zonecfg's name.
    pub name: &'static str,
    /// The XML document's.
    pub element: &'static str,
    /// Properties in the order of export: zonecfg's name, the XML attribute's.
    pub properties: &'static [(&'static str, &'static str)],
    /// The property that takes many values.
    pub list: Option<&'static str>,
    /// What `end` insists on.
    pub required: &'static [&'static str],
    /// The property by which two resources of the kind would be the same.
    pub unique: Option<&'static str>,
}

/// All kinds, in the order of export.
pub static KINDS: &[Kind] = &[
    Kind {
        name: "inherit-pkg-dir",
        element: "inherited-pkg-dir",
        properties: &[("dir", "directory")],
        list: None,
        required: &["dir"],
        unique: Some("dir"),
    },
    Kind {
        name: "fs",
        element: "filesystem",
        properties: &[("dir", "directory"), ("special", "special"), ("raw", "raw"), ("type", "type")],
        list: Some("options"),
        required: &["dir", "special", "type"],
        unique: Some("dir"),
    },
    Kind {
        name: "net",
        element: "network",
        properties: &[
            ("address", "address"),
            ("allowed-address", "allowed-address"),
            ("physical", "physical"),
            ("mac-addr", "mac-addr"),
            ("vlan-id", "vlan-id"),
            ("global-nic", "global-nic"),
            ("defrouter", "defrouter"),
        ],
        // OmniOS's and SmartOS's: `(name=gateway,value="192.0.2.1")`, in the document net-attr.
        list: Some("property"),
        required: &["physical"],
        unique: None,
    },
    Kind {
        name: "device",
        element: "device",
        properties: &[("match", "match")],
        list: Some("property"),
        required: &["match"],
        unique: Some("match"),
    },
    Kind {
        name: "capped-memory",
        element: "mcap",
        properties: &[("physical", "physcap"), ("swap", "swapcap"), ("locked", "lockedcap")],
        list: None,
        required: &[],
        unique: None,
    },
    Kind {
        name: "rctl",
        element: "rctl",
        properties: &[("name", "name")],
        list: Some("value"),
        required: &["name"],
        unique: Some("name"),
    },
    Kind {
        name: "attr",
        element: "attr",
        properties: &[("name", "name"), ("type", "type"), ("value", "value")],
        list: None,
        required: &["name", "type", "value"],
        unique: Some("name"),
    },
    Kind {
        name: "dataset",
        element: "dataset",
        properties: &[("name", "name")],
        list: None,
        required: &["name"],
        unique: Some("name"),
    },
    Kind {
        name: "dedicated-cpu",
        element: "pset",
        // The real document splits a range into ncpu_min and ncpu_max; one attribute is enough here.
        properties: &[("ncpus", "ncpus"), ("importance", "importance")],
        list: None,
        required: &["ncpus"],
        unique: None,
    },
    Kind {
        name: "admin",
        element: "admin",
        properties: &[("user", "user"), ("auths", "auths")],
        list: None,
        required: &["user", "auths"],
        unique: Some("user"),
    },
    Kind {
        name: "security-flags",
        element: "security-flags",
        properties: &[("default", "default"), ("lower", "lower"), ("upper", "upper")],
        list: None,
        required: &[],
        unique: None,
    },
];

/// Kinds in the order in which `info` shows them.
pub const INFO_ORDER: &[&str] = &[
    "inherit-pkg-dir",
    "fs",
    "net",
    "device",
    "dedicated-cpu",
    "capped-memory",
    "attr",
    "dataset",
    "admin",
    "rctl",
    "security-flags",
];

/// The kind of this zonecfg name.
pub fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

impl Resource {
    /// An empty one.
    pub fn new(kind: &'static Kind) -> Self {
        Self { kind, values: BTreeMap::new(), list: Vec::new() }
    }

    /// One with these properties. Panics on a kind that there isn't: for the lab's own builders.
    pub fn of(name: &str, values: &[(&str, &str)]) -> Self {
        let kind = kind(name).unwrap_or_else(|| panic!("zonecfg knows no resource '{name}'"));
        let values = values.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        Self { kind, values, list: Vec::new() }
    }

    /// A property's value; empty where it is not set.
    pub fn get(&self, property: &str) -> &str {
        self.values.get(property).map_or("", String::as_str)
    }
}

impl Config {
    /// The resources of one kind.
    pub fn all<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Resource> {
        self.resources.iter().filter(move |resource| resource.kind.name == kind)
    }

    /// The delegated datasets.
    pub fn datasets(&self) -> impl Iterator<Item = &str> {
        self.all("dataset").map(|resource| resource.get("name"))
    }

    /// Whether the zone uses the global zone's network.
    pub fn shared_ip(&self) -> bool {
        self.ip_type != "exclusive"
    }

    /// Whether the brand keeps its root in boot environments and has hooks that care for them: `P-ds/ROOT/zbe`, or
    /// `P-ds/rpool/ROOT/solaris`.
    pub fn has_boot_environments(&self) -> bool {
        matches!(self.brand.as_str(), "ipkg" | "lipkg" | "nlipkg" | "sparse" | "pkgsrc" | "solaris")
    }

    /// Whether it is the brand of Solaris 11.
    pub fn is_solaris(&self) -> bool {
        self.brand == "solaris"
    }
}
