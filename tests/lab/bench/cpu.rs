//! What a way costs besides its time: bytes on the wire, CPU seconds, and the programs that used
//! them.
//!
//! The lab on real parts has a PID namespace of its own, so the CPU time is that of all its
//! processes and of the children they waited for, without the lab's own process. A process that
//! ends early is counted too. The split by program is sampled: what a process used after its last
//! sample counts as `other`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Result, anyhow};
use serde::Serialize;

use crate::hosts::alone::{Stat, numbers, processes};
use crate::hosts::place::namespace_of;
use crate::stage::Stage;

/// Short against a command that takes any time worth a line.
const PAUSE: Duration = Duration::from_millis(25);

/// What was counted.
#[derive(Debug, Clone, Serialize)]
pub struct Cost {
    /// Bytes that came out of both hosts' network interfaces.
    pub wire: u64,
    /// CPU seconds of everything that ran on both hosts.
    pub cpu_seconds: f64,
    /// The same by host and program.
    pub profile: BTreeMap<String, f64>,
}

/// Counts from its opening to its close; nothing where there is no network.
pub struct Account(Option<Open>);

struct Open {
    wire: u64,
    /// Clock ticks.
    cpu: u64,
    enough: Arc<AtomicBool>,
    sampler: JoinHandle<Seen>,
}

/// Clock ticks of processes by number and start: those before, the last that were seen, and whose they are.
type Seen = BTreeMap<(i32, u64), (u64, u64, String)>;

impl Account {
    /// Begins to count.
    pub fn open(stage: &Stage) -> Result<Self> {
        if stage.network.is_none() {
            return Ok(Self(None));
        }
        let hosts: Vec<(String, Option<(u64, u64)>)> = stage
            .hosts
            .iter()
            .filter_map(|on| Some(&on.parts.as_ref()?.place))
            .map(|place| (place.name.clone(), namespace_of(place.keeper())))
            .collect();
        let enough = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&enough);
        let mut seen = Seen::new();
        look(&hosts, &mut seen);
        seen.values_mut().for_each(|(before, last, _)| *before = *last);
        let sampler = std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                look(&hosts, &mut seen);
                std::thread::park_timeout(PAUSE);
            }
            look(&hosts, &mut seen);
            seen
        });
        Ok(Self(Some(Open { wire: wire(stage)?, cpu: all_ticks(), enough, sampler })))
    }

    /// What it was.
    pub fn close(self, stage: &Stage) -> Result<Option<Cost>> {
        let Some(open) = self.0 else { return Ok(None) };
        let cpu = all_ticks().saturating_sub(open.cpu);
        open.enough.store(true, Ordering::Relaxed);
        open.sampler.thread().unpark();
        let seen = open.sampler.join().map_err(|_| anyhow!("the sampler has died"))?;
        let mut profile = BTreeMap::new();
        let mut named = 0;
        for (before, last, name) in seen.into_values() {
            named += last - before;
            *profile.entry(name).or_insert(0.0) += seconds(last - before);
        }
        profile.insert("other".to_owned(), seconds(cpu.saturating_sub(named)));
        profile.retain(|_, seconds| *seconds >= 0.01);
        Ok(Some(Cost { wire: wire(stage)? - open.wire, cpu_seconds: seconds(cpu), profile }))
    }
}

fn look(hosts: &[(String, Option<(u64, u64)>)], seen: &mut Seen) {
    let ours = std::process::id() as i32;
    for pid in processes().into_iter().filter(|pid| *pid != ours) {
        let Some(stat) = Stat::of(pid) else { continue };
        let namespace = namespace_of(pid);
        // Whoever is not in a host's namespace yet (nsenter) is the lab's, and counted as other.
        let Some((host, _)) = hosts.iter().find(|(_, theirs)| namespace.is_some() && *theirs == namespace)
        else {
            continue;
        };
        if stat.name != "zmigrated" {
            see(seen, (pid, stat.started), &stat, format!("{host} {}", stat.name));
            continue;
        }
        // The daemon's threads by their names: which of them reads, hashes, copies.
        for thread in numbers(&format!("/proc/{pid}/task")) {
            if let Some(stat) = Stat::read_from(&format!("/proc/{pid}/task/{thread}/stat")) {
                see(seen, (thread, stat.started), &stat, format!("{host} zmigrated, thread {}", stat.name));
            }
        }
    }
}

/// A program's name comes by its exec, after it was born with its parent's.
fn see(seen: &mut Seen, key: (i32, u64), stat: &Stat, name: String) {
    let entry = seen.entry(key).or_default();
    (entry.1, entry.2) = (stat.own, name);
}

/// Clock ticks of all processes and those that they have buried, but for what the lab itself took.
fn all_ticks() -> u64 {
    let ours = std::process::id() as i32;
    let ticks = |pid: i32| {
        let stat = Stat::of(pid)?;
        Some(stat.children + if pid == ours { 0 } else { stat.own })
    };
    processes().into_iter().filter_map(ticks).sum()
}

fn wire(stage: &Stage) -> Result<u64> {
    let Some(network) = &stage.network else { return Ok(0) };
    stage.hosts.iter().map(|on| network.switch.bytes_from(&on.host.name())).sum()
}

/// proc(5) counts in USER_HZ, which is 100 on every Linux.
fn seconds(ticks: u64) -> f64 {
    ticks as f64 / 100.0
}
