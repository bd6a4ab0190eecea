//! `zmigrate-lab demo --real`: the evening of 2007 between two hosts that share nothing but a
//! network. A client writes to the zone's two databases until the move shuts them down. The demo
//! passes only if both databases run on the other host and hold, row by row, what they held then,
//! and if the log host has one line from each host.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::database::{self, Load};
use crate::picture;
use crate::running::wait_for;
use crate::scene::{HOSTS, Plan};
use crate::stage::{End, Stage};

/// Longer than it takes, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(600);

/// Runs it.
pub fn run(dir: &Path, plan: Plan) -> Result<()> {
    let rows = plan.rows.unwrap_or_default();
    println!(
        "Building two hosts with real ZFS (zfs-fuse), sshd and rsyslogd, a log host, and the zone '{}' with two \
         databases of {rows} rows …",
        plan.zone
    );
    let mut stage = Stage::build(dir, plan)?;
    heading("before");
    show(&stage)?;
    stage.start_daemons()?;
    let zone = stage.plan.zone.clone();
    let request = format!("ticket = \"OPS-1138\"\n\n{}", database::verify_commands());
    heading(&format!("{} /var/spool/zmigrate/incoming/{zone}.toml", HOSTS[0]));
    print!("zone = \"{zone}\"\nto = \"{}\"\n{request}", HOSTS[1]);
    let load = Load::begin(&stage.hosts[0], &zone)?;
    stage.submit(&request)?;
    heading(&format!("{}# zmigrate watch", HOSTS[0]));
    let watched = stage.hosts[0].product("zmigrate").arg("watch").status()?;
    let end = stage.drive(PATIENCE).with_context(|| stage.told_so_far())?;
    let answered = load.end();
    heading("loghost# cat messages");
    let told = outcomes_at_loghost(&stage, &end)?;
    told.iter().for_each(|line| println!("{line}"));
    heading("after");
    show(&stage)?;
    ensure!(watched.success() && end.is_ok(), "the migration did not end well; see above");
    heading("compared");
    compare_databases(&stage, &answered)?;
    let wrong = stage.judge(&end, false)?;
    println!(
        "{} files and directories, {} properties with their sources: {} differences",
        stage.before.files.len(),
        stage.before.properties.len(),
        wrong.len()
    );
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    stage.stop_daemons()
}

/// Waits for the outcomes of both hosts at the log host, and sees that there is one of each.
pub fn outcomes_at_loghost(stage: &Stage, end: &End) -> Result<Vec<String>> {
    let network = stage.network.as_ref().context("no network")?;
    let job = end.job().context("the outcome names no job")?;
    let wanted = if end.target.is_some() { 2 } else { 1 };
    let _ = wait_for("the outcomes at the log host", Duration::from_secs(60), || {
        network.outcomes(job).len() >= wanted
    });
    let lines = network.outcomes(job);
    for (host, role) in HOSTS.iter().zip(["source", "target"]).take(wanted) {
        let of_host = |line: &&String| {
            line.contains(&format!(" host={host} ")) && line.contains(&format!(" role={role} "))
        };
        let found = lines.iter().filter(of_host).count();
        ensure!(found == 1, "the log host has {found} outcomes of {host}, not one: {}", lines.join("\n"));
    }
    ensure!(lines.len() == wanted, "the log host has {} outcomes: {}", lines.len(), lines.join("\n"));
    Ok(lines)
}

/// Both instances hold on the target what they held at the shutdown, and all that they had said to have.
pub fn compare_databases(stage: &Stage, answered: &[u64]) -> Result<()> {
    let (target, zone) = (&stage.hosts[1], &stage.plan.zone);
    let now = database::summaries(target, zone)?;
    let then = database::summaries_at_shutdown(target, zone)?;
    let built = stage.plan.rows.unwrap_or_default();
    for (index, name) in database::INSTANCES.iter().enumerate() {
        let rows = database::rows(&then[index]).context("no rows")?;
        println!("{name}: at shutdown {}, now {}", said(&then[index]), said(&now[index]));
        ensure!(now[index] == then[index], "{name} does not hold what it held at its shutdown");
        ensure!(
            rows >= built + answered[index],
            "{name} held {rows} rows at its shutdown, but {built} were built and {} answered",
            answered[index]
        );
    }
    Ok(())
}

fn said(summary: &str) -> String {
    let mut words = summary.split_whitespace();
    let (_, checksum, rows) = (words.next(), words.next().unwrap_or("-"), words.next().unwrap_or("-"));
    format!("{rows} rows, checksum {checksum}")
}

fn heading(text: &str) {
    println!("\n== {text}");
}

fn show(stage: &Stage) -> Result<()> {
    for on in &stage.hosts {
        println!("{}# zoneadm list -cv", on.host.name());
        print!("{}", on.ask("zoneadm", &["list", "-cv"])?);
        println!("{}# zfs list -r data/zones", on.host.name());
        let columns = ["list", "-r", "-t", "filesystem", "-o", "name,used,mountpoint", "data/zones"];
        print!("{}", on.ask("zfs", &columns)?);
    }
    Ok(())
}

/// A picture without what a running database changes.
pub fn without_databases(mut of: picture::Picture) -> picture::Picture {
    of.files.retain(|key, _| !database::is_of_a_database(key));
    of
}
