//! A host: a directory that stands for a Solaris system's root, and what kind of system it is.
//!
//! `LAB/<host>/x/y` is the host's `/x/y`, except for the contents of ZFS datasets. The emulated ZFS
//! knows where those are; with real ZFS the path is the path in the current mount namespace.
//! `LAB/<host>/.lab` holds the lab's own state and is not part of the host.

mod settings;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

pub use settings::{Package, Profile, Settings, User, Vnic};

use crate::disk;

/// The commands that a host has in its `/usr/sbin`.
pub const COMMANDS: &[&str] = &[
    "auths", "beadm", "dladm", "getent", "hostname", "ifconfig", "ipadm", "isainfo", "mount", "netstat",
    "pkg", "pkginfo", "route", "showrev", "ssh", "svcprop", "svcs", "uname", "zfs", "zlogin", "zoneadm",
    "zonecfg", "zonename", "zpool",
];

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
