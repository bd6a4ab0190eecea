//! The configuration of one host, `zmigrate.toml` (DESIGN section 9), and every default beside its
//! reason.
//!
//! A [`Config`] that exists is legal in itself: names, paths and numbers have the form they must
//! have, a quarantine lies where its peer's datasets may. Whether the directories and datasets
//! exist is for `zmigrate check` to find out. [`Config::load`] is the one place that reads the
//! file; a fault in it never leaves half of a configuration in force.

mod load;
mod network;
mod peer;
mod read;

pub use network::Network;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::job::fault::{Fault, Faults};
use crate::job::name::{Bytes, DatasetName, HostName, JobId};
use crate::log::Facility;
use crate::log::remote::{Address, Format, Framing};

/// Where the configuration is, unless `-c` says otherwise.
pub const FILE: &str = "/etc/opt/zmigrate/zmigrate.toml";
/// FHS and Solaris alike keep queues here; on its own dataset a full one hurts nobody.
pub const SPOOL: &str = "/var/spool/zmigrate";
/// Beside the homes, where 2007's scratch was: a pool with room, not the root pool.
pub const SCRATCH: &str = "/export/scratch/zmigrate";
/// All jobs together. Room for the zone of 2007 four times over, and a bound where the file system
/// itself has none.
pub const SCRATCH_MAX: Bytes = Bytes(200 << 30);
/// A part: large enough that its bookkeeping costs nothing, small enough that a broken copy repeats
/// seconds, not minutes.
pub const PART: Bytes = Bytes(128 << 20);
/// `daemon.notice` is in /var/adm/messages by Solaris's own syslog.conf.
pub const FACILITY: Facility = Facility::DAEMON;
/// What every log host reads.
pub const FORMAT: Format = Format::Rfc3164;
/// IANA's number for examples in documents (RFC 5612): zmigrate has none of its own. It clashes
/// with nobody's, but is not meant for use between sites: one that has a number should give it.
pub const ENTERPRISE: u32 = 32473;
/// Where Solaris and illumos keep zfs, zoneadm, zonecfg, zlogin, ifconfig, route, svcs, pkg.
pub const COMMAND_PATH: [&str; 3] = ["/usr/sbin", "/usr/bin", "/sbin"];
/// `zoneadm attach -u` updates packages for minutes; a hung command must end some day.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// Two sends share one disk and one wire, and both zones would be down longer.
pub const PARALLEL: u32 = 1;
/// An offer that waits holds no zone down; a few may arrive from several hosts.
pub const OFFERS: u32 = 4;
/// Longer than the defaults of attach, boot and the verify gate together.
pub const DOUBT_AFTER: Duration = Duration::from_secs(15 * 60);
/// Our dropbox as an account that is chrooted into it sees it.
pub const SFTP_DROPBOX: &str = "/";
/// One connection's cipher keeps one core busy; a second connection uses another core.
pub const CONNECTIONS: u32 = 2;
/// zonecfg's own default for a zone without a `limitpriv`.
pub const LIMITPRIV: &str = "default";

/// One host's configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// This host, as its peers name it.
    pub host: HostName,
    /// The spool's top directory, absolute.
    pub spool: PathBuf,
    /// `[scratch]`
    pub scratch: Scratch,
    /// `[syslog]`
    pub syslog: Syslog,
    /// `[commands]`
    pub commands: Commands,
    /// `[jobs]`
    pub jobs: Jobs,
    /// Hosts that zones may be sent to; never this one.
    pub peers: BTreeMap<HostName, Peer>,
    /// Hosts that may send zones here; never this one.
    pub accept: BTreeMap<HostName, Accept>,
}

/// Where images lie between the hosts.
#[derive(Debug, Clone, PartialEq)]
pub struct Scratch {
    /// The top directory, absolute.
    pub dir: PathBuf,
    /// The share of all jobs together, sent and received; at least two parts.
    pub max: Bytes,
    /// The size of a part: whole MiB, from 1 MiB to 4 GiB.
    pub part: Bytes,
}

/// How outcomes are reported.
#[derive(Debug, Clone, PartialEq)]
pub struct Syslog {
    /// For all lines.
    pub facility: Facility,
    /// A log host that is spoken to beside the local syslog.
    pub remote: Option<Address>,
    /// How it is spoken to.
    pub format: Format,
    /// The private enterprise number in RFC 5424's structured data.
    pub enterprise: u32,
}

impl From<&Syslog> for Framing {
    fn from(syslog: &Syslog) -> Self {
        Self { format: syslog.format, facility: syslog.facility, enterprise: syslog.enterprise }
    }
}

/// How the host's commands are run.
#[derive(Debug, Clone, PartialEq)]
pub struct Commands {
    /// Where they are found, in this order; absolute, none with a colon, at least one.
    pub path: Vec<PathBuf>,
    /// The deadline of a command without its own.
    pub timeout: Duration,
}

/// How much is done at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Jobs {
    /// Zones that this host sends at once: 1 to 64.
    pub parallel: u32,
    /// Zones that it receives at once: 1 to 64.
    pub offers: u32,
    /// How long after the handoff a job without a result is in doubt.
    pub doubt_after: Duration,
    /// Bytes a second over all copies of all jobs; `None`: as fast as it goes.
    pub bandwidth: Option<Bytes>,
}

/// `[peer.NAME]`: a host that zones may be sent to.
#[derive(Debug, Clone, PartialEq)]
pub struct Peer {
    /// How its dropbox is reached.
    pub transport: Transport,
}

/// How a peer's dropbox is reached.
#[derive(Debug, Clone, PartialEq)]
pub enum Transport {
    /// By a path that both hosts can reach.
    Directory {
        /// Our dropbox on the peer, absolute: `in/` and `out/` lie in it.
        dropbox: PathBuf,
    },
    /// By the SFTP protocol over the system's own ssh.
    Sftp(Sftp),
}

/// How a peer is reached by SFTP: keys, known hosts and jump hosts are ssh's own business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sftp {
    /// As ssh takes it: a host's name or address, or a `Host` of its configuration.
    pub address: String,
    /// Our account there.
    pub user: String,
    /// For ssh, before our own.
    pub ssh_options: Vec<String>,
    /// Our dropbox as that account sees it, absolute: `in/` and `out/` lie in it.
    pub dropbox: PathBuf,
    /// Parts that travel at once, each in a connection of its own: 1 to 16.
    pub connections: u32,
}

/// `[accept.NAME]`: what a host that may send zones here may bring.
#[derive(Debug, Clone, PartialEq)]
pub struct Accept {
    /// Its datasets land below these and nowhere else; at least one.
    pub datasets: Vec<DatasetName>,
    /// Where they are received; below one of `datasets`.
    pub quarantine: DatasetName,
    /// Its zonepaths lie below these; absolute, at least one.
    pub zonepaths: Vec<String>,
    /// Directories of the global zone that its zones may mount by lofs, with what is below;
    /// absolute.
    pub lofs: Vec<String>,
    /// Links that its zones may use, with `*` at the end for any rest of the name. `None`: zones
    /// with shared IP any, others those that the system chooses itself (`auto`).
    pub links: Option<Vec<String>>,
    /// Networks in which its zones' addresses are; `None`: any.
    pub addresses: Option<Vec<Network>>,
    /// Routers that its zones with shared IP may add to this host's routes.
    pub defrouters: Vec<Network>,
    /// Whether its zones may have devices.
    pub devices: bool,
    /// The widest privileges that its zones may have, as zonecfg's `limitpriv` spells them.
    pub limitpriv: String,
    /// Whether its requests may set a route here.
    pub route: bool,
}

impl Transport {
    /// Parts that are copied at once. One path leads to one disk.
    pub fn connections(&self) -> u32 {
        match self {
            Self::Directory { .. } => 1,
            Self::Sftp(sftp) => sftp.connections,
        }
    }
}

/// This host's own name without its domain, as a peer would call it: the default of `[host] name`.
/// Empty if it has none, which the configuration then complains of.
pub fn own_name() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    without_domain(&name).to_owned()
}

fn without_domain(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

impl Config {
    /// Reads the configuration. `default_host` is this host's own name, for a file that gives none.
    ///
    /// The file chooses which commands run, as root. So nobody but root, and who runs this program,
    /// may be able to write it, or to put another one in its place.
    ///
    /// # Errors
    /// All faults of the file; one of the whole file if it can't be read, others can write it, is
    /// longer than 1 MiB, or is not UTF-8.
    pub fn load(path: &Path, default_host: &str) -> Result<Self, Faults> {
        let file = path.to_string_lossy();
        let text = load::text(path).map_err(|why| Faults(vec![Fault::of_file(&file, why)]))?;
        Ok(Self::parse(&file, &text, default_host)?)
    }

    /// The dropbox on this host into which `peer` puts its files.
    pub fn dropbox(&self, peer: &HostName) -> PathBuf {
        self.scratch.dir.join("dropbox").join(peer.as_str())
    }

    /// The account on this host by which `peer` logs in over SFTP, if it has one. Its dropbox's
    /// `in/` may belong to it.
    pub fn account(peer: &HostName) -> String {
        format!("zmigrate-{peer}")
    }

    /// What one job that sends may have of the scratch, so that all together keep within its `max`.
    pub fn sender_share(&self) -> Bytes {
        Bytes(self.scratch.max.0 / u64::from(self.jobs.parallel.max(1)))
    }

    /// Where this host stages the parts of a job that it sends.
    pub fn out(&self, job: &JobId) -> PathBuf {
        self.scratch.dir.join("out").join(job.as_str())
    }
}

#[cfg(test)]
mod tests;
