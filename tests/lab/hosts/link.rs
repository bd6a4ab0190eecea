//! The network between the hosts: a bridge in a namespace of its own, with one port for each host.
//! Faults of a link are set at its port, so the host itself cannot see why nothing arrives.

use std::fs;

use anyhow::{Context, Result, bail, ensure};

use super::machine::ADDRESSES;
use super::place::Place;

/// What can be done to a host's link.
#[derive(Debug, Clone, PartialEq, clap::Subcommand)]
pub enum Change {
    /// The cable is pulled out: no carrier
    Cut,
    /// The carrier stays, but nothing comes through, in either direction: half-open connections
    Dumb,
    /// As fast as can be, nothing lost
    Join,
    /// At most this many megabits a second to the host; what it sends is not limited
    Slow {
        /// Megabits a second
        mbit: u32,
    },
    /// Each packet is lost with this probability, in each direction
    Loss {
        /// Percent
        percent: u32,
    },
    /// Packets to the host come so much later (needs netem in the kernel)
    Delay {
        /// Milliseconds
        ms: u32,
    },
}

/// The bridge.
#[derive(Debug)]
pub struct Switch {
    /// Where it is.
    pub place: Place,
}

impl Switch {
    /// Makes a bridge with nothing connected to it.
    pub fn make() -> Result<Self> {
        let place = Place::make("switch", "ip link add br0 type bridge; ip link set br0 up", &[])?;
        Ok(Self { place })
    }

    /// The bridge that another lab process has made.
    pub fn of(place: Place) -> Self {
        Self { place }
    }

    /// Connects a host: its nge0 gets its address.
    pub fn connect(&self, host: &Place) -> Result<()> {
        let name = host.name.as_str();
        let address = ADDRESSES.iter().find(|pair| pair.0 == name).context("no address")?.1;
        let keeper = host.keeper().to_string();
        self.ip(&["link", "add", name, "type", "veth", "peer", "name", "nge0", "netns", &keeper])?;
        self.ip(&["link", "set", name, "master", "br0"])?;
        self.ip(&["link", "set", name, "up"])?;
        host.ask("ip", &["address", "add", &format!("{address}/24"), "dev", "nge0"])?;
        host.ask("ip", &["link", "set", "nge0", "up"]).map(drop)
    }

    /// Changes a host's link; what was done to it before is undone first.
    pub fn change(&self, host: &str, change: &Change) -> Result<()> {
        // To what is not there the answer is an error, which is as it should be.
        let _ = self.tc(&["qdisc", "del", "dev", host, "root"]);
        let _ = self.tc(&["qdisc", "del", "dev", host, "clsact"]);
        self.ip(&["link", "set", host, "master", "br0"])?;
        self.ip(&["link", "set", host, if *change == Change::Cut { "down" } else { "up" }])?;
        match change {
            Change::Cut | Change::Join => Ok(()),
            Change::Dumb => self.ip(&["link", "set", host, "nomaster"]),
            Change::Slow { mbit } => self.slow(host, *mbit),
            Change::Loss { percent } => self.loss(host, *percent),
            Change::Delay { ms } => {
                self.tc(&["qdisc", "add", "dev", host, "root", "netem", "delay", &format!("{ms}ms")])
            }
        }
    }

    /// tbf holds back what leaves the port, which is what goes to the host: there all images go.
    fn slow(&self, host: &str, mbit: u32) -> Result<()> {
        let rate = format!("{mbit}mbit");
        self.tc(&[
            "qdisc", "add", "dev", host, "root", "tbf", "rate", &rate, "burst", "64k", "latency", "50ms",
        ])
    }

    /// By a program of four instructions, where others would take netem: the kernel's random number against a
    /// limit, then drop (2) or go on (-1).
    fn loss(&self, host: &str, percent: u32) -> Result<()> {
        ensure!(percent <= 100, "more than 100 %");
        // linux/filter.h: SKF_AD_OFF + SKF_AD_RANDOM = -0x1000 + 56.
        let random = u32::MAX - 0x1000 + 1 + 56;
        let limit = u64::from(u32::MAX) * u64::from(percent) / 100;
        let program = format!("4,32 0 0 {random},53 0 1 {limit},6 0 0 {},6 0 0 2", u32::MAX);
        self.tc(&["qdisc", "add", "dev", host, "clsact"])?;
        for direction in ["egress", "ingress"] {
            self.tc(&["filter", "add", "dev", host, direction, "bpf", "da", "bytecode", &program])?;
        }
        Ok(())
    }

    /// Bytes that came from a host since its link was made.
    pub fn bytes_from(&self, host: &str) -> Result<u64> {
        let path = format!("/proc/{}/net/dev", self.place.keeper());
        let table = fs::read_to_string(path)?;
        let row = table.lines().find_map(|line| line.trim().strip_prefix(host)?.strip_prefix(':'));
        let first = row.and_then(|row| row.split_whitespace().next());
        first.and_then(|bytes| bytes.parse().ok()).with_context(|| format!("no counter of {host}'s port"))
    }

    fn ip(&self, args: &[&str]) -> Result<()> {
        self.place.ask("ip", args).map(drop)
    }

    fn tc(&self, args: &[&str]) -> Result<()> {
        match self.place.ask("tc", args) {
            Ok(_) => Ok(()),
            Err(why) if format!("{why:#}").contains("qdisc kind is unknown") => {
                bail!("this kernel has no {}: {why:#}", args.get(5).unwrap_or(&"qdisc"))
            }
            Err(why) => Err(why),
        }
    }
}
