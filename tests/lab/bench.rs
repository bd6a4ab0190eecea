//! `zmigrate-lab bench`: the same zone on the same pools, moved in turn (a) by hand as in 2007, by a script that
//! waits for nobody, (b) by one pipe of `zfs send -R` into `zfs receive -d`, which is the floor and moves no
//! zone, and (c) by zmigrate. Medians; nothing is asserted, a clock proves nothing on a busy machine.
//!
//! Outage is from the shutdown's begin to the end of the boot. Memory is VmHWM of each daemon at the end of
//! its run, its own and not that of the commands it runs. Bytes on the scratch are those of both hosts.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::demo;
use crate::running::{Running, wait_for};
use crate::scene::Plan;
use crate::stage::{End, Stage, destroy_snapshots, files, patiently};

/// What it can be told.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Megabytes of data in the zone
    #[arg(long, default_value_t = 300, value_name = "MB")]
    size: u64,
    /// So many runs of each way
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// JSON instead of the table
    #[arg(long)]
    json: bool,
    /// Emulated ZFS: shows that it runs, its numbers say nothing about ZFS
    #[arg(long)]
    emulated: bool,
    /// Size of a part
    #[arg(long, default_value = "16M")]
    part: String,
    /// Only (c), with so many empty datasets more: what is spent while no zfs command runs
    #[arg(long, value_name = "N", default_value_t = 0)]
    datasets: u32,
    /// Only (c), with 200 MB and with 2 GB: does memory grow with the zone?
    #[arg(long, conflicts_with = "datasets")]
    memory: bool,
}

/// Longer than any move of a few gigabytes takes.
const PATIENCE: Duration = Duration::from_secs(1800);

/// One migration, measured.
#[derive(Debug, Clone, Serialize)]
struct Measured {
    /// `by_hand`, `pipe` or `zmigrate`.
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
}

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
    let dir = std::env::temp_dir().join(format!("zmigrate-lab-bench-{}", std::process::id()));
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
        ..Plan::default()
    };
    Stage::build(&dir, plan)
}

fn compare(options: &Options, dir: &std::path::Path) -> Result<()> {
    let mut stage = stage(options, dir.to_owned(), options.size)?;
    let mut runs = Vec::new();
    let ways: &[fn(&mut Stage) -> Result<Measured>] =
        if options.datasets > 0 { &[by_zmigrate] } else { &[by_hand, by_pipe, by_zmigrate] };
    for number in 1..=options.runs {
        for way in ways {
            // What the run before left to be written is not this one's.
            nix::unistd::sync();
            let measured = way(&mut stage)?;
            if !options.json {
                out!("{number}: {}", line(&measured));
            }
            runs.push(measured);
        }
    }
    report(options, &runs)
}

fn report(options: &Options, runs: &[Measured]) -> Result<()> {
    let of = |way: &str, what: fn(&Measured) -> Option<f64>| {
        median(runs.iter().filter(|run| run.way == way).filter_map(what).collect())
    };
    let total = |way| of(way, |run| Some(run.total));
    let ratio = |way| Some(total("zmigrate")? / total(way)?);
    let (by_hand, pipe) = (ratio("by_hand"), ratio("pipe"));
    let source = of("zmigrate", |run| run.peak_rss_mib.map(|peak| peak.source));
    let target = of("zmigrate", |run| run.peak_rss_mib.map(|peak| peak.target));
    let beyond = of("zmigrate", |run| run.beyond_zfs);
    if options.json {
        let value = serde_json::json!({
            "ratios": { "by_hand": by_hand, "pipe": pipe },
            "peak_rss_mib": { "source": source, "target": target },
            "beyond_zfs": beyond,
            "runs": runs,
        });
        out!("{}", serde_json::to_string_pretty(&value)?);
        return Ok(());
    }
    out!();
    out!("{:<10} {:>9} {:>9} {:>12}", "median of", "total", "outage", "on scratch");
    for way in ["by_hand", "pipe", "zmigrate"] {
        let Some(total) = total(way) else { continue };
        let outage = of(way, |run| run.outage).map_or("-".to_owned(), |s| format!("{s:.2} s"));
        let scratch = of(way, |run| Some(run.scratch as f64 / f64::from(1 << 20))).unwrap_or_default();
        out!("{way:<10} {total:>7.2} s {outage:>9} {scratch:>8.0} MiB");
    }
    let shown = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
    out!("zmigrate / by hand {}, zmigrate / pipe {}", shown(by_hand), shown(pipe));
    out!("peak memory: source {} MiB, target {} MiB", shown(source), shown(target));
    out!("while no zfs command ran: {} s", shown(beyond));
    Ok(())
}

fn memory(options: &Options, dir: &std::path::Path) -> Result<()> {
    let mut peaks = BTreeMap::new();
    for megabytes in [200, 2048] {
        let mut stage = stage(options, dir.join(megabytes.to_string()), megabytes)?;
        let measured = by_zmigrate(&mut stage)?;
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

fn line(run: &Measured) -> String {
    let mut text = format!("{:<10} {:.2} s", run.way, run.total);
    if let Some(outage) = run.outage {
        text.push_str(&format!(", outage {outage:.2} s"));
    }
    if let Some(peak) = run.peak_rss_mib {
        text.push_str(&format!(", peak {:.1} and {:.1} MiB", peak.source, peak.target));
    }
    if let Some(beyond) = run.beyond_zfs {
        text.push_str(&format!(", {beyond:.2} s without zfs"));
    }
    text
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    Some(match values.len() {
        0 => return None,
        n if n % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    })
}

/// The zone has moved: what [`Stage::put_back`] needs to know.
fn moved() -> End {
    End { source: "job=- result=ok ".into(), target: None, restarts: 0 }
}

/// (a) Shutdown, detach, snapshot, send all, copy all, receive all, properties, configure, attach, boot.
fn by_hand(stage: &mut Stage) -> Result<Measured> {
    let begun = Instant::now();
    let zone = stage.plan.zone.clone();
    let top = format!("data/zones/{zone}");
    let [source, target] = &stage.hosts;
    let from = source.host.file("export/scratch/by-hand");
    let to = target.host.file("export/scratch/by-hand");
    for dir in [&from, &to] {
        fs::create_dir_all(dir)?;
    }
    source.ask("zlogin", &[&zone, "shutdown", "-y", "-i0"])?;
    wait_for("the zone to be down", Duration::from_secs(120), || {
        let listed = source.ask("zoneadm", &["-z", &zone, "list", "-p"]);
        listed.is_ok_and(|line| line.split(':').nth(2) == Some("installed"))
    })?;
    source.ask("zoneadm", &["-z", &zone, "detach"])?;
    source.ask("zfs", &["snapshot", "-r", &format!("{top}@migrate")])?;
    let listed = source.ask("zfs", &["list", "-H", "-o", "name", "-t", "filesystem", "-r", &top])?;
    let datasets: Vec<&str> = listed.lines().collect();
    let image = |dataset: &str| format!("{}@migrate", dataset["data/zones/".len()..].replace('/', "-"));
    for dataset in &datasets {
        let file = File::create(from.join(image(dataset)))?;
        let mut send = source.own("zfs");
        send.args(["send", &format!("{dataset}@migrate")]).stdin(Stdio::null()).stdout(file);
        ensure!(send.status()?.success(), "zfs send {dataset}");
    }
    let mut scratch = 0;
    for dataset in &datasets {
        let bytes = fs::copy(from.join(image(dataset)), to.join(image(dataset)))?;
        scratch += 2 * bytes;
    }
    for dataset in &datasets {
        let file = File::open(to.join(image(dataset)))?;
        let mut receive = target.own("zfs");
        receive.args(["receive", "-u", dataset]).stdin(file);
        ensure!(receive.status()?.success(), "zfs receive {dataset}");
    }
    // The top first: what else is mounted lies below it.
    mounted(target, &top)?;
    properties_by_hand(source, target, &top)?;
    let path = format!("/export/zones/{zone}");
    mounted(target, &top)?;
    for root in datasets.iter().filter(|dataset| dataset.ends_with("/ROOT/zbe")) {
        mounted(target, root)?;
    }
    target.ask("zonecfg", &["-z", &zone, &format!("create -a {path}")])?;
    target.ask("zoneadm", &["-z", &zone, "attach"])?;
    target.ask("zoneadm", &["-z", &zone, "boot"])?;
    let total = begun.elapsed().as_secs_f64();
    for dir in [from, to] {
        fs::remove_dir_all(dir)?;
    }
    destroy_snapshots(target)?;
    stage.put_back(&moved())?;
    Ok(Measured { way: "by_hand", total, outage: Some(total), scratch, peak_rss_mib: None, beyond_zfs: None })
}

/// Mounts a dataset that is not mounted yet.
fn mounted(on: &Running, dataset: &str) -> Result<()> {
    if on.ask("zfs", &["get", "-H", "-o", "value", "mounted", dataset])?.trim() == "yes" {
        return Ok(());
    }
    patiently(on, "zfs", &["mount", dataset])
}

/// Sets the local properties again, in an order that mounts nothing: canmount and mountpoint of the zone's own
/// first, zoned at last.
fn properties_by_hand(source: &Running, target: &Running, top: &str) -> Result<()> {
    let listed =
        source.ask("zfs", &["get", "-rHp", "-s", "local", "-o", "name,property,value", "all", top])?;
    let mut rows: Vec<(u8, &str, &str, &str)> = Vec::new();
    for row in listed.lines() {
        let mut columns = row.splitn(3, '\t');
        let (Some(name), Some(property), Some(value)) = (columns.next(), columns.next(), columns.next())
        else {
            bail!("zfs get said '{row}'");
        };
        let order = match property {
            "canmount" => 0,
            "mountpoint" => 2,
            "zoned" => 3,
            _ => 1,
        };
        if !name.contains('@') {
            rows.push((order, name, property, value));
        }
    }
    // Children first: a dataset that leaves the inherited `none` is mounted at once.
    rows.sort_by_key(|row| (row.0, std::cmp::Reverse(row.1)));
    for (_, name, property, value) in rows {
        target.ask("zfs", &["set", &format!("{property}={value}"), name])?;
    }
    Ok(())
}

/// (b) One pipe into another place. No zone moves, nothing is on the scratch: less than this can't be.
fn by_pipe(stage: &mut Stage) -> Result<Measured> {
    let top = format!("data/zones/{}", stage.plan.zone);
    let [source, target] = &stage.hosts;
    target.ask("zfs", &["create", "-o", "mountpoint=none", "-o", "canmount=off", "data/pipe"])?;
    let begun = Instant::now();
    source.ask("zfs", &["snapshot", "-r", &format!("{top}@pipe")])?;
    if source.host.settings()?.real_zfs {
        pipe(source, &["send", "-R", &format!("{top}@pipe")], target)?;
    } else {
        // -R is not emulated.
        let listed = source.ask("zfs", &["list", "-H", "-o", "name", "-t", "filesystem", "-r", &top])?;
        listed.lines().try_for_each(|name| pipe(source, &["send", &format!("{name}@pipe")], target))?;
    }
    let total = begun.elapsed().as_secs_f64();
    patiently(target, "zfs", &["destroy", "-r", "data/pipe"])?;
    destroy_snapshots(source)?;
    Ok(Measured { way: "pipe", total, outage: None, scratch: 0, peak_rss_mib: None, beyond_zfs: None })
}

/// `zfs send … | zfs receive -d`.
fn pipe(source: &Running, send: &[&str], target: &Running) -> Result<()> {
    let mut sender = source.own("zfs").args(send).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let stream = sender.stdout.take().context("zfs send has no stdout")?;
    let mut receiver = target.own("zfs");
    receiver.args(["receive", "-d", "-u", "data/pipe"]).stdin(Stdio::from(stream));
    let received = receiver.status()?;
    let sent = sender.wait()?;
    ensure!(
        sent.success() && received.success(),
        "zfs {} | zfs receive -d: {sent}, {received}",
        send.join(" ")
    );
    Ok(())
}

/// (c) A request is dropped.
fn by_zmigrate(stage: &mut Stage) -> Result<Measured> {
    stage.start_daemons()?;
    let begun = Instant::now();
    stage.submit("")?;
    wait_for("the source's outcome", PATIENCE, || !stage.outcomes(0).is_empty())
        .with_context(|| stage.told_so_far())?;
    let total = begun.elapsed().as_secs_f64();
    let end = stage.drive(PATIENCE)?;
    ensure!(end.is_ok(), "the zone did not move: {}", end.source);
    let peak = |index: usize| {
        let pid = stage.hosts[index].daemon_pid().context("no daemon")?;
        peak_rss(pid)
    };
    let peak_rss_mib = Some(Peak { source: peak(0)?, target: peak(1)? });
    stage.stop_daemons()?;
    let bytes = end.source.split(' ').find_map(|field| field.strip_prefix("bytes=")?.parse::<u64>().ok());
    let outage = stage.happened(1, "\"step\":\"boot\"")? - stage.happened(0, "\"autoboot-cleared\"")?;
    let beyond = total - busy(stage)?;
    stage.put_back(&end)?;
    for on in &stage.hosts {
        // A job's folder a run: with many runs they would be what is measured.
        let done = on.host.file("var/spool/zmigrate/done");
        for job in fs::read_dir(done)?.flatten() {
            fs::remove_dir_all(job.path())?;
        }
    }
    ensure!(files(&stage.hosts[0].host.file("export/scratch")).is_empty(), "the scratch is not empty");
    Ok(Measured {
        way: "zmigrate",
        total,
        outage: Some(outage.as_seconds_f64()),
        scratch: 2 * bytes.context("the outcome has no bytes")?,
        peak_rss_mib,
        beyond_zfs: Some(beyond),
    })
}

/// VmHWM, in MiB.
fn peak_rss(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").trim().parse().context(line.to_owned())?;
    Ok(kib / 1024.0)
}

/// Seconds in which at least one zfs command ran, by both jobs' logs.
fn busy(stage: &Stage) -> Result<f64> {
    let mut spans: Vec<(DateTime<Utc>, DateTime<Utc>)> = Vec::new();
    for index in [0, 1] {
        let log = fs::read_to_string(stage.newest(index, "log").context("no job's log")?)?;
        let mut since = None;
        for line in log.lines() {
            let Some((at, text)) = line.split_once(' ') else { continue };
            let Ok(at) = at.parse::<DateTime<Utc>>() else { continue };
            if text.starts_with("run zfs ") || text.starts_with("start zfs ") {
                since = Some(at);
            } else if text.starts_with("zfs: ")
                && let Some(since) = since.take()
            {
                spans.push((since, at));
            }
        }
    }
    spans.sort();
    let mut busy = chrono::TimeDelta::zero();
    let mut until = DateTime::<Utc>::MIN_UTC;
    for (from, to) in spans {
        busy += (to - from.max(until)).max(chrono::TimeDelta::zero());
        until = until.max(to);
    }
    Ok(busy.as_seconds_f64())
}
