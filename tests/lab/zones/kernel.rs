//! The zones that a host's kernel knows: the state that a reboot of the host loses.
//!
//! Booting and shutting down need time, but no process waits for it: the lab records the moment of
//! the command, and the state follows from the time since then. So every reader sees the same
//! state, and no background process is needed.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::disk;
use crate::world::Host;

/// A zone's state, as zoneadm names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// In the index only.
    Configured,
    /// An install or attach broke off.
    Incomplete,
    /// Down.
    Installed,
    /// Set up, without processes.
    Ready,
    /// init has been started.
    Running,
    /// Processes are being ended.
    ShuttingDown,
    /// Being torn down.
    Down,
}

impl State {
    /// zoneadm's word.
    pub fn word(self) -> &'static str {
        match self {
            State::Configured => "configured",
            State::Incomplete => "incomplete",
            State::Installed => "installed",
            State::Ready => "ready",
            State::Running => "running",
            State::ShuttingDown => "shutting_down",
            State::Down => "down",
        }
    }

    /// Whether the kernel knows the zone.
    pub fn in_kernel(self) -> bool {
        matches!(self, State::Ready | State::Running | State::ShuttingDown | State::Down)
    }
}

/// What a person or test has set for a zone on one host: `.lab/knobs.json`, by zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Knobs {
    /// From the order to shut down until `installed`, in milliseconds.
    pub shutdown_ms: u64,
    /// From boot until multi-user-server is online, in milliseconds.
    pub boot_ms: u64,
    /// A booting zone writes a line below its /var/log.
    pub writes_on_boot: bool,
    /// A shutdown gets stuck in this state (`running`, `shutting_down`, `down`) until `zoneadm halt`.
    pub stuck: Option<State>,
    /// Services that fall into maintenance at boot on this host.
    pub maintenance: Vec<String>,
    /// The milestone never gets further than this (`offline`, `offline*`, `maintenance`).
    pub milestone: Option<String>,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            shutdown_ms: 150,
            boot_ms: 100,
            writes_on_boot: true,
            stuck: None,
            maintenance: Vec::new(),
            milestone: None,
        }
    }
}

/// What is set for a zone.
pub fn knobs(host: &Host, zone: &str) -> Result<Knobs> {
    let mut all: BTreeMap<String, Knobs> = disk::load(&host.state_dir().join("knobs.json"))?;
    Ok(all.remove(zone).unwrap_or_default())
}

/// Sets a zone's knobs.
pub fn set_knobs(host: &Host, zone: &str, knobs: Knobs) -> Result<()> {
    let _lock = disk::lock(&host.state_dir().join("knobs.lock"))?;
    let path = host.state_dir().join("knobs.json");
    let mut all: BTreeMap<String, Knobs> = disk::load(&path)?;
    all.insert(zone.to_owned(), knobs);
    disk::store(&path, &all)
}

/// What a zone in the kernel is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Readied, not booted.
    Ready,
    /// Booted.
    Running,
    /// Told to shut down.
    Halting,
    /// Told to shut down and come up again.
    Rebooting,
}

/// A shared-IP address that a running zone holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// `nge0:1`
    pub interface: String,
    /// `192.0.2.10/24`
    pub address: String,
}

/// A zone in the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alive {
    /// The zone's name.
    pub name: String,
    /// The kernel's number for it.
    pub id: u32,
    /// What it is doing.
    pub phase: Phase,
    /// Since when, in milliseconds since 1970.
    pub since: u64,
    /// Its addresses in the global zone's stack.
    #[serde(default)]
    pub addresses: Vec<Address>,
    /// Its fs resources: what is mounted where in it. Written down only; no mount is made.
    #[serde(default)]
    pub mounts: Vec<(String, String)>,
}

impl Alive {
    /// Its state at a moment, or `None` when by then it has left the kernel.
    pub fn state(&self, now: u64, knobs: &Knobs) -> Option<State> {
        let passed = now.saturating_sub(self.since);
        let going_down = || {
            // In three steps, so that a poll can see each of them: services stop while it is `running`.
            match passed.saturating_mul(10) / knobs.shutdown_ms.max(1) {
                0..4 => Some(State::Running),
                4..7 => Some(State::ShuttingDown),
                7..10 => Some(State::Down),
                _ => None,
            }
        };
        match self.phase {
            Phase::Ready => Some(State::Ready),
            Phase::Running => Some(State::Running),
            Phase::Rebooting => going_down().or(Some(State::Running)),
            Phase::Halting => match (knobs.stuck, going_down()) {
                (Some(stuck), reached) if reached.is_none_or(|state| order(state) > order(stuck)) => {
                    Some(stuck)
                }
                (_, reached) => reached,
            },
        }
    }
}

fn order(state: State) -> u8 {
    match state {
        State::ShuttingDown => 1,
        State::Down => 2,
        _ => 0,
    }
}

/// All that the kernel knows: `.lab/kernel.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kernel {
    /// The last number given to a zone since the host came up.
    pub last_id: u32,
    /// The zones, in the order in which they were booted.
    pub zones: Vec<Alive>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn halting() -> Alive {
        Alive {
            name: "web".into(),
            id: 1,
            phase: Phase::Halting,
            since: 1000,
            addresses: Vec::new(),
            mounts: Vec::new(),
        }
    }

    #[test]
    fn a_zone_goes_down_step_by_step_and_leaves_the_kernel() {
        let knobs = Knobs { shutdown_ms: 100, ..Knobs::default() };
        let states: Vec<_> =
            [1000, 1039, 1040, 1070, 1099, 1100].map(|now| halting().state(now, &knobs)).into();
        let (running, stopping, down) = (Some(State::Running), Some(State::ShuttingDown), Some(State::Down));
        assert_eq!(states, [running, running, stopping, down, down, None]);
    }

    #[test]
    fn a_stuck_zone_never_gets_beyond_its_state() {
        let knobs = Knobs { shutdown_ms: 100, stuck: Some(State::ShuttingDown), ..Knobs::default() };
        assert_eq!(halting().state(1010, &knobs), Some(State::Running));
        assert_eq!(halting().state(9_999_999, &knobs), Some(State::ShuttingDown));
    }
}
