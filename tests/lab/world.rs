//! A host: a directory that stands for a Solaris system's root, and what kind of system it is.
//!
//! `LAB/<host>/x/y` is the host's `/x/y`, but for what lies in a ZFS dataset: there the emulated ZFS says
//! where the data is, and with real ZFS the path is the path, in the mount namespace we run in.
//! `LAB/<host>/.lab` holds the lab's own state and is no part of the host.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use crate::disk;

/// The commands that a host has in its `/usr/sbin`.
pub const COMMANDS: &[&str] = &[
    "auths", "beadm", "dladm", "getent", "hostname", "ifconfig", "ipadm", "isainfo", "mount", "netstat",
    "pkg", "pkginfo", "route", "showrev", "ssh", "svcprop", "svcs", "uname", "zfs", "zlogin", "zoneadm",
    "zonecfg", "zonename", "zpool",
];

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
            patches: vec!["118855-36".into(), "120012-14".into(), "137138-09".into()],
            packages: vec![
                Package { name: "SUNWcsr".into(), version: "11.10.0,REV=2005.01.21.16.34".into() },
                Package { name: "SUNWcsu".into(), version: "11.10.0,REV=2005.01.21.16.34".into() },
            ],
            ..Self::omnios(name, number)
        }
    }
}

/// A host of the lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// `LAB/<host>`, absolute.
    pub root: PathBuf,
}

impl Host {
    /// The host in this directory.
    pub fn open(root: impl AsRef<Path>) -> Result<Self> {
        let root = fs::canonicalize(root.as_ref()).with_context(|| root.as_ref().display().to_string())?;
        let host = Self { root };
        if !host.state_dir().join("host.json").is_file() {
            bail!("{} is not a host of a lab: it has no .lab/host.json", host.root.display());
        }
        Ok(host)
    }

    /// The host whose command was called as `argv0`: `LAB/<host>/usr/sbin/zoneadm`, or a bare name that
    /// is found on `$PATH`. The link itself is not followed, for it leads out of the host.
    pub fn of_argv0(argv0: &str) -> Result<Self> {
        let named = Path::new(argv0);
        let from_dir = |dir: &Path| -> Option<Self> {
            let dir = fs::canonicalize(dir).ok()?;
            dir.ancestors().skip(1).take(3).find_map(|root| Self::open(root).ok())
        };
        if argv0.contains('/') {
            let dir = named.parent().unwrap_or(Path::new("."));
            return from_dir(dir).ok_or_else(|| anyhow!("'{argv0}' does not lie in a lab's host"));
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path)
            .filter(|dir| dir.join(named).exists())
            .find_map(|dir| from_dir(&dir))
            .ok_or_else(|| anyhow!("no directory of PATH holds '{argv0}' of a lab's host"))
    }

    /// Makes a host: its tree, its settings, and its commands as links to `program`. What the host has
    /// already is left as it is, so that a second call only renews settings and links.
    pub fn create(root: impl AsRef<Path>, settings: &Settings, program: &Path) -> Result<Self> {
        let root = root.as_ref();
        // Directories that datasets get mounted on (/export/zones, the zones' data) are not made here:
        // ZFS makes them.
        for dir in [
            ".lab",
            "etc/inet",
            "etc/opt/zmigrate",
            "etc/zones",
            "export/scratch",
            "opt/zmigrate/bin",
            "usr/sbin",
            "var/log",
            "var/run",
            "var/spool",
            "var/tmp",
        ] {
            fs::create_dir_all(root.join(dir)).with_context(|| root.join(dir).display().to_string())?;
        }
        // Image packaging and boot environments came after Solaris 10, its patches went before OmniOS.
        let absent: &[&str] = match settings.profile {
            Profile::Solaris10 => &["pkg", "beadm", "ipadm", "dladm"],
            Profile::Omnios | Profile::Solaris11 => &["showrev"],
        };
        for command in COMMANDS.iter().filter(|command| !absent.contains(command)) {
            link(program, &root.join("usr/sbin").join(command))?;
        }
        link(Path::new("sbin"), &root.join("usr/bin"))?;
        link(Path::new("usr/sbin"), &root.join("sbin"))?;
        let host = Self { root: fs::canonicalize(root)? };
        disk::store(&host.state_dir().join("host.json"), settings)?;
        let release = match settings.profile {
            Profile::Omnios => {
                let release = settings.kernel.strip_prefix("omnios-").unwrap_or(&settings.kernel);
                format!("  OmniOS v11 {}\n", release.split('-').next().unwrap_or(release))
            }
            Profile::Solaris10 => "                       Solaris 10 10/08 s10x_u6wos_07b X86\n".to_owned(),
            Profile::Solaris11 => "                             Oracle Solaris 11.4 X86\n".to_owned(),
        };
        disk::replace(&host.file("etc/release"), release.as_bytes())?;
        crate::net::boot(&host)?;
        Ok(host)
    }

    /// Where the lab keeps this host's state.
    pub fn state_dir(&self) -> PathBuf {
        self.root.join(".lab")
    }

    /// The host's name: its directory's.
    pub fn name(&self) -> String {
        self.root.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }

    /// What kind of system this is.
    pub fn settings(&self) -> Result<Settings> {
        let path = self.state_dir().join("host.json");
        let text = fs::read(&path).with_context(|| path.display().to_string())?;
        serde_json::from_slice(&text).with_context(|| path.display().to_string())
    }

    /// Which system this is.
    pub fn profile(&self) -> Result<Profile> {
        Ok(self.settings()?.profile)
    }

    /// Whether this is a Solaris 10 host.
    pub fn is_solaris10(&self) -> Result<bool> {
        Ok(self.settings()?.profile == Profile::Solaris10)
    }

    /// A file of the host that no dataset holds; `path` without its leading slash.
    pub fn file(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Where the host's absolute path really lies.
    pub fn path(&self, path: &str) -> PathBuf {
        match self.settings() {
            Ok(settings) if settings.real_zfs => PathBuf::from(path),
            _ => crate::zfs::resolve(self, path),
        }
    }
}

fn link(to: &Path, at: &Path) -> Result<()> {
    if fs::read_link(at).is_ok_and(|old| old == to) {
        return Ok(());
    }
    if at.symlink_metadata().is_ok_and(|meta| meta.is_symlink()) {
        fs::remove_file(at)?;
    }
    symlink(to, at).with_context(|| at.display().to_string())
}

/// A lab: a directory of hosts.
#[derive(Debug, Clone)]
pub struct Lab {
    /// The directory.
    pub dir: PathBuf,
    /// Its hosts, by name.
    pub hosts: Vec<Host>,
}

impl Lab {
    /// The lab in this directory, with the hosts that it has.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        let dir = fs::canonicalize(dir.as_ref()).with_context(|| dir.as_ref().display().to_string())?;
        let mut hosts: Vec<Host> =
            fs::read_dir(&dir)?.flatten().filter_map(|entry| Host::open(entry.path()).ok()).collect();
        hosts.sort_by_key(Host::name);
        Ok(Self { dir, hosts })
    }

    /// The host of this name.
    pub fn host(&self, name: &str) -> Result<&Host> {
        self.hosts
            .iter()
            .find(|host| host.name() == name)
            .ok_or_else(|| anyhow!("{} has no host '{name}'", self.dir.display()))
    }
}
