//! What kind of system a host is: its release, links, packages and accounts.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Which system a host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// OmniOS: the illumos distribution that demo, failures and crash loop run on.
    Omnios,
    /// Solaris 10 10/08: the system of 2007, kept as heritage.
    Solaris10,
    /// Oracle Solaris 11.4, by its documents and public transcripts alone.
    Solaris11,
}

/// A network interface of the global zone, plumbed at boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nic {
    /// `nge0`
    pub name: String,
    /// `198.51.100.5/24`
    #[serde(default)]
    pub address: Option<String>,
    /// `0:14:4f:1:2:3`
    #[serde(default)]
    pub ether: String,
}

/// A VNIC that `dladm create-vnic` made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vnic {
    /// `web0`
    pub name: String,
    /// The link below it.
    pub over: String,
}

/// A SVR4 package of a Solaris 10 host that must be equal in its zones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// `SUNWcsr`
    pub name: String,
    /// `11.10.0,REV=2005.01.21.16.34`
    pub version: String,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// `1001`
    pub uid: u32,
    /// `joe`
    pub name: String,
    /// What user_attr(5) and its rights profiles give it.
    #[serde(default)]
    pub auths: Vec<String>,
}

/// What kind of system a host is: `.lab/host.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The host's name.
    pub name: String,
    /// Which system.
    pub profile: Profile,
    /// ZFS is the real one, found at the two programs below.
    #[serde(default)]
    pub real_zfs: bool,
    /// The real `zfs`.
    #[serde(default)]
    pub zfs_program: PathBuf,
    /// The real `zpool`.
    #[serde(default)]
    pub zpool_program: PathBuf,
    /// `uname -r`: `5.11`
    pub release: String,
    /// `uname -v`: `omnios-r151046-…`
    pub kernel: String,
    /// `uname -p`: `i386`
    pub architecture: String,
    /// FMRI of `entire`, without a trailing flag; empty on Solaris 10.
    #[serde(default)]
    pub entire: String,
    /// Patches of Solaris 10, `118855-36`, sorted.
    #[serde(default)]
    pub patches: Vec<String>,
    /// Packages of Solaris 10, sorted by name.
    #[serde(default)]
    pub packages: Vec<Package>,
    /// UUID of the running boot environment, as `beadm list -H` shows it.
    #[serde(default)]
    pub boot_environment: String,
    /// Names of boot environments that do not run now.
    #[serde(default)]
    pub other_boot_environments: Vec<String>,
    /// A package that the next `entire` of this host requires and that no publisher has: an attach that updates fails.
    #[serde(default)]
    pub missing_package: String,
    /// `/var/spool/zmigrate` is a dataset of its own, as README advises, and not a directory of the boot environment.
    #[serde(default)]
    pub spool_dataset: bool,
    /// Interfaces present.
    #[serde(default)]
    pub nics: Vec<Nic>,
    /// VNICs made by hand.
    #[serde(default)]
    pub vnics: Vec<Vnic>,
    /// `/etc/defaultrouter`, read at boot.
    #[serde(default)]
    pub default_router: Option<String>,
    /// Accounts, beside root.
    #[serde(default)]
    pub users: Vec<User>,
}

impl Settings {
    /// An OmniOS r151046 host. Hosts of one lab are at one level, as the first advice of 2007 asks;
    /// `number` (1, 2, …) tells their addresses and boot environments apart.
    pub fn omnios(name: &str, number: u8) -> Self {
        Self {
            name: name.into(),
            profile: Profile::Omnios,
            real_zfs: false,
            zfs_program: PathBuf::new(),
            zpool_program: PathBuf::new(),
            release: "5.11".into(),
            kernel: "omnios-r151046-5d4a8f2c31".into(),
            architecture: "i386".into(),
            entire: "pkg://omnios/entire@11-151046.0:20240201T194428Z".into(),
            patches: Vec::new(),
            packages: Vec::new(),
            boot_environment: format!("{number:08x}-4f2a-4c1e-9d5b-7a60c3e1b2{number:02x}"),
            other_boot_environments: Vec::new(),
            missing_package: String::new(),
            spool_dataset: true,
            nics: vec![Nic {
                name: "nge0".into(),
                address: Some(format!("198.51.100.{}/24", 4 + u16::from(number))),
                ether: format!("0:14:4f:1:2:{number:x}"),
            }],
            vnics: Vec::new(),
            default_router: Some("198.51.100.1".into()),
            users: Vec::new(),
        }
    }

    /// An Oracle Solaris 11.4 host, x86. Kernel and `entire` are of one SRU (42); the kernel's last numbers and the time of
    /// `entire` are of the documents' form, not of a host.
    pub fn solaris11(name: &str, number: u8) -> Self {
        Self {
            profile: Profile::Solaris11,
            kernel: "11.4.42.111.0".into(),
            entire: "pkg://solaris/entire@11.4-11.4.42.0.1.113.1:20220113T193900Z".into(),
            ..Self::omnios(name, number)
        }
    }

    /// Whether the host has this link.
    pub fn has_link(&self, name: &str) -> bool {
        self.nics.iter().any(|nic| nic.name == name) || self.vnics.iter().any(|vnic| vnic.name == name)
    }

    /// Of the system whose zones have this brand.
    pub fn of_brand(brand: &str, name: &str, number: u8) -> Self {
        match brand {
            "native" => Self::solaris10(name, number),
            "solaris" => Self::solaris11(name, number),
            _ => Self::omnios(name, number),
        }
    }

    /// The running boot environment's root dataset; Solaris 10's root is on UFS here.
    pub fn root_dataset(&self) -> Option<&'static str> {
        match self.profile {
            Profile::Omnios => Some("rpool/ROOT/omnios-r151046"),
            Profile::Solaris11 => Some("rpool/ROOT/solaris"),
            Profile::Solaris10 => None,
        }
    }

    /// A Solaris 10 10/08 host, x86.
    pub fn solaris10(name: &str, number: u8) -> Self {
        Self {
            profile: Profile::Solaris10,
            release: "5.10".into(),
            kernel: "Generic_137138-09".into(),
            entire: String::new(),
            boot_environment: String::new(),
            other_boot_environments: Vec::new(),
            patches: vec!["118855-36".into(), "120012-14".into(), "137138-09".into()],
            packages: vec![
                Package { name: "SUNWcsr".into(), version: "11.10.0,REV=2005.01.21.16.34".into() },
                Package { name: "SUNWcsu".into(), version: "11.10.0,REV=2005.01.21.16.34".into() },
            ],
            ..Self::omnios(name, number)
        }
    }
}
