//! The three ways that need no network: by hand, by one pipe, by zmigrate. By hand and by zmigrate
//! work the same between hosts with a network.

use std::fs::{self, File};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use chrono::{DateTime, Utc};

use super::cpu::Account;
use super::{Measured, Peak, over_ssh};
use crate::running::{Running, wait_for};
use crate::stage::{End, Stage, destroy_snapshots, files, patiently};

/// Longer than any move of a few gigabytes takes.
const PATIENCE: Duration = Duration::from_secs(1800);

/// The zone has moved: what [`Stage::put_back`] needs to know.
fn moved() -> End {
    End { source: "job=- result=ok ".into(), target: None, restarts: 0 }
}

/// (a) Shutdown, detach, snapshot, send all, copy all, receive all, properties, configure, attach, boot.
pub fn by_hand(stage: &mut Stage) -> Result<Measured> {
    let account = Account::open(stage)?;
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
        let (here, there) = (from.join(image(dataset)), to.join(image(dataset)));
        scratch += 2 * fs::metadata(&here)?.len();
        if stage.network.is_none() {
            fs::copy(here, there)?;
        }
    }
    if stage.network.is_some() {
        over_ssh::scp(stage, "/export/scratch/by-hand", "/export/scratch/by-hand")?;
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
    let cost = account.close(stage)?;
    for dir in [from, to] {
        fs::remove_dir_all(dir)?;
    }
    destroy_snapshots(target)?;
    stage.put_back(&moved())?;
    Ok(Measured { outage: Some(total), scratch, cost, ..Measured::of("by_hand", total) })
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
pub fn by_pipe(stage: &mut Stage) -> Result<Measured> {
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
    Ok(Measured::of("pipe", total))
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
pub fn by_zmigrate(stage: &mut Stage) -> Result<Measured> {
    stage.start_daemons()?;
    let account = Account::open(stage)?;
    let begun = Instant::now();
    stage.submit("")?;
    wait_for("the source's outcome", PATIENCE, || !stage.outcomes(0).is_empty())
        .with_context(|| stage.told_so_far())?;
    let total = begun.elapsed().as_secs_f64();
    let cost = account.close(stage)?;
    let end = stage.drive(PATIENCE)?;
    ensure!(end.is_ok(), "the zone did not move: {}", end.source);
    let peak = |index: usize| {
        let pid = stage.hosts[index].daemon_pid().context("no daemon")?;
        peak_rss(pid)
    };
    let peak_rss_mib = Some(Peak { source: peak(0)?, target: peak(1)? });
    stage.stop_daemons()?;
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
        outage: Some(outage.as_seconds_f64()),
        scratch: 2 * end.bytes().context("the outcome has no bytes")?,
        peak_rss_mib,
        beyond_zfs: Some(beyond),
        cost,
        ..Measured::of("zmigrate", total)
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
