//! `zmigrate-lab bench`: the same zone on the same pools is moved several times. In one directory
//! it is moved (a) by hand as in 2007, by a script that does not wait for a person, (b) by one pipe
//! from `zfs send -R` to `zfs receive -d`, which is the lower bound and moves no zone, and (c) by
//! zmigrate. With `--real` it is moved over SSH between two hosts in the same three ways (the pipe
//! also with a cheaper cipher) and by syncoid. The report shows medians. The benchmark asserts
//! nothing, because times on a busy machine prove nothing.
//!
//! The outage lasts from the start of the shutdown to the end of the boot. Memory is VmHWM of each
//! daemon at the end of its run, without the commands that it ran. The scratch figure is the sum of
//! both hosts.

mod cpu;
mod over_ssh;
mod report;
mod ways;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde::Serialize;

use crate::demo;
use crate::hosts::network;
use crate::scene::{Plan, Wire};
use crate::stage::Stage;
use cpu::Cost;

/// Its options.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Megabytes of data in the zone
    #[arg(long, default_value_t = 1700, value_name = "MB")]
    size: u64,
    /// How often each way runs
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// JSON instead of the table
    #[arg(long)]
    json: bool,
    /// Over SSH between two hosts that share nothing but a network; needs root
    #[arg(long, conflicts_with_all = ["emulated", "datasets", "memory"])]
    pub real: bool,
    /// With --real: where the CPU seconds go, by program and host
    #[arg(long, requires = "real")]
    profile: bool,
    /// With --real: these ways only, by their names
    #[arg(long, requires = "real", value_name = "WAY", value_delimiter = ',')]
    ways: Vec<String>,
    /// Emulated ZFS: shows that it runs, its numbers say nothing about ZFS
    #[arg(long)]
    emulated: bool,
    /// Size of a part
    #[arg(long, default_value = "16M")]
    part: String,
    /// Only (c), with this many more empty datasets: the time spent while no zfs command runs
    #[arg(long, value_name = "N", default_value_t = 0)]
    datasets: u32,
    /// Only (c), with 200 MB and with 2 GB: does memory grow with the zone?
    #[arg(long, conflicts_with = "datasets")]
    memory: bool,
}

/// One migration, measured.
#[derive(Debug, Clone, Serialize)]
struct Measured {
    /// `by_hand`, `pipe`, `pipe_gcm`, `syncoid` or `zmigrate`.
    way: &'static str,
    /// Seconds from the first command, or the request's drop, to the end.
    total: f64,
    /// Seconds; none for the pipe.
    #[serde(skip_serializing_if = "Option::is_none")]
    outage: Option<f64>,
    /// Bytes written to both scratches.
    scratch: u64,
    /// MiB, of both daemons.
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_rss_mib: Option<Peak>,
    /// Seconds in which no zfs command ran on either host.
    #[serde(skip_serializing_if = "Option::is_none")]
    beyond_zfs: Option<f64>,
    /// Over SSH only.
    #[serde(skip_serializing_if = "Option::is_none", flatten)]
    cost: Option<Cost>,
}

impl Measured {
    /// A way that took so long; what else was measured is added.
    fn of(way: &'static str, total: f64) -> Self {
        Self { way, total, outage: None, scratch: 0, peak_rss_mib: None, beyond_zfs: None, cost: None }
    }
}

/// A way that a zone goes.
type Way = fn(&mut Stage) -> Result<Measured>;

/// Those in one directory, and those over SSH.
const LOCAL: [(&str, Way); 3] =
    [("by_hand", ways::by_hand), ("pipe", ways::by_pipe), ("zmigrate", ways::by_zmigrate)];
const REMOTE: [(&str, Way); 5] = [
    ("by_hand", ways::by_hand),
    ("pipe", over_ssh::by_pipe),
    ("pipe_gcm", over_ssh::by_pipe_gcm),
    ("syncoid", over_ssh::by_syncoid),
    ("zmigrate", ways::by_zmigrate),
];

#[derive(Debug, Clone, Copy, Serialize)]
struct Peak {
    source: f64,
    target: f64,
}

/// Runs it.
pub fn run(options: &Options) -> Result<()> {
    if !options.emulated && !demo::can_use_real_zfs() {
        bail!(
            "real ZFS needs root, /dev/fuse and Debian's package zfs-fuse; --emulated shows that the benchmark runs"
        );
    }
    if options.real {
        network::ensure_packages()?;
        over_ssh::ensure_syncoid()?;
    }
    let dir = demo::temporary_dir("zmigrate-lab-bench");
    let result = if options.memory { memory(options, &dir) } else { compare(options, &dir) };
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("remove {}", dir.display()))?;
    }
    result
}

fn stage(options: &Options, dir: PathBuf, megabytes: u64) -> Result<Stage> {
    let plan = Plan {
        bytes: megabytes << 20,
        part: options.part.clone(),
        more_datasets: options.datasets,
        real_zfs: if options.emulated { None } else { demo::real_zfs() },
        gzip: false,
        network: options.real.then(Wire::default),
        ..Plan::default()
    };
    Stage::build(&dir, plan)
}

fn compare(options: &Options, dir: &std::path::Path) -> Result<()> {
    let mut stage = stage(options, dir.to_owned(), options.size)?;
    let mut runs = Vec::new();
    let all: &[(&str, Way)] = match () {
        () if options.real => &REMOTE,
        () if options.datasets > 0 => &LOCAL[2..],
        () => &LOCAL,
    };
    let is_wanted = |name: &str| options.ways.is_empty() || options.ways.iter().any(|way| way == name);
    let ways: Vec<Way> = all.iter().filter(|(name, _)| is_wanted(name)).map(|(_, way)| *way).collect();
    if ways.is_empty() {
        bail!("no such way; there are {}", all.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", "));
    }
    for number in 1..=options.runs {
        for way in &ways {
            // What the run before left to be written is not this one's.
            nix::unistd::sync();
            let measured = way(&mut stage)?;
            if !options.json {
                out!("{number}: {}", report::line(&measured));
            }
            runs.push(measured);
        }
    }
    report::report(options, &runs)
}

fn memory(options: &Options, dir: &std::path::Path) -> Result<()> {
    let mut peaks = BTreeMap::new();
    for megabytes in [200, 2048] {
        let mut stage = stage(options, dir.join(megabytes.to_string()), megabytes)?;
        let measured = ways::by_zmigrate(&mut stage)?;
        let peak = measured.peak_rss_mib.context("no daemon was measured")?;
        if !options.json {
            out!("{megabytes} MB: source {:.1} MiB, target {:.1} MiB", peak.source, peak.target);
        }
        peaks.insert(megabytes, peak);
        drop(stage);
        fs::remove_dir_all(dir.join(megabytes.to_string()))?;
    }
    let growth = |of: fn(&Peak) -> f64| of(&peaks[&2048]) / of(&peaks[&200]);
    let growth = Peak { source: growth(|peak| peak.source), target: growth(|peak| peak.target) };
    if options.json {
        out!("{}", serde_json::json!({ "peak_rss_mib": peaks, "growth": growth }));
    } else {
        out!("2 GB / 200 MB: source {:.3}, target {:.3}", growth.source, growth.target);
    }
    Ok(())
}
