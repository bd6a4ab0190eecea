//! `zmigrate-lab demo`: builds both hosts and the zone of 2007, starts both daemons, drops a
//! request, waits until the zone has moved, and compares everything. The exit status is 0 only if
//! every file and property is as before.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::hosts::{self, Network};
use crate::picture::{self, Picture};
use crate::running::{Running, wait_for};
use crate::scene::{self, HOSTS, Plan, Wire};

/// The demo's options.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Megabytes of data in the zone
    #[arg(long, default_value_t = 300, value_name = "MB")]
    size: u64,
    /// sparse or ipkg (OmniOS), solaris (Oracle Solaris 11.4), native (Solaris 10, as in 2007)
    #[arg(value_name = "BRAND", default_value = "sparse", conflicts_with = "brand")]
    of: String,
    /// The same
    #[arg(long, value_name = "BRAND")]
    brand: Option<String>,
    /// Real ZFS by zfs-fuse, which must be installed; needs root
    #[arg(long)]
    real_zfs: bool,
    /// Two hosts that share nothing but a network, with sshd, a log host, and two MariaDB in the zone; needs root
    #[arg(long, conflicts_with_all = ["emulated", "real_zfs"])]
    pub real: bool,
    /// With --real: the number of rows in each database
    #[arg(long, default_value_t = 20_000, requires = "real", value_name = "N")]
    rows: u64,
    /// Emulated ZFS, even where zfs-fuse could be used
    #[arg(long, conflicts_with = "real_zfs")]
    emulated: bool,
    /// Build the lab here and leave it there
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Size of a part
    #[arg(long, default_value = "16M")]
    part: String,
}

/// Where Debian's zfs-fuse puts its programs.
pub fn real_zfs() -> Option<PathBuf> {
    ["/usr/sbin", "/sbin"]
        .map(PathBuf::from)
        .into_iter()
        .find(|dir| dir.join("zfs-fuse").exists() && dir.join("zfs").exists())
}

/// A directory that no other lab uses. All labs have the same process IDs in their own namespaces.
pub fn temporary_dir(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("{name}-{}-{}", std::process::id(), crate::disk::now_ms()))
}

/// May zfs-fuse be used here?
pub fn can_use_real_zfs() -> bool {
    nix::unistd::geteuid().is_root() && fs::metadata("/dev/fuse").is_ok() && real_zfs().is_some()
}

/// Both hosts up, with the zone running on the first.
pub fn build(dir: &std::path::Path, plan: &Plan) -> Result<([Running; 2], Option<Network>)> {
    let json = serde_json::to_string(plan)?;
    let lab = dir.to_string_lossy().into_owned();
    let made = [scene::make_host(dir, 0, plan)?, scene::make_host(dir, 1, plan)?];
    let (network, parts) = match &plan.network {
        Some(wanted) => {
            let (network, parts) = Network::make(dir, &made, wanted.scratch.as_deref())?;
            (Some(network), parts.map(Some))
        }
        None => (None, [None, None]),
    };
    let mut hosts = Vec::new();
    for (index, (host, parts)) in made.into_iter().zip(parts).enumerate() {
        let name = HOSTS[index];
        let running = match parts {
            Some(parts) => Running::start_on(host, parts)?,
            None => Running::start(host)?,
        };
        running.lab(&["scene-on", name, "--dir", &lab, "--plan", &json])?;
        if index == 0 {
            running.lab(&["scene-on", name, "--dir", &lab, "--plan", &json, "--zone"])?;
        }
        hosts.push(running);
    }
    Ok((hosts.try_into().map_err(|_| anyhow::anyhow!("two hosts"))?, network))
}

/// The picture of the zone on one host.
pub fn picture(on: &Running, lab: &std::path::Path, zone: &str) -> Result<Picture> {
    let name = on.host.name();
    let text = on.lab(&["picture", &name, "--dir", &lab.to_string_lossy(), &format!("data/zones/{zone}")])?;
    serde_json::from_str(&text).context("the picture")
}

/// Runs the demo.
pub fn run(options: &Options) -> Result<()> {
    let real = options.real || options.real_zfs || (!options.emulated && can_use_real_zfs());
    if (options.real || options.real_zfs) && !can_use_real_zfs() {
        bail!("real ZFS needs root, /dev/fuse and Debian's package zfs-fuse");
    }
    if options.real {
        hosts::network::ensure_packages()?;
    }
    let plan = Plan {
        brand: options.brand.clone().unwrap_or_else(|| options.of.clone()),
        bytes: options.size << 20,
        part: options.part.clone(),
        real_zfs: if real { real_zfs() } else { None },
        network: options.real.then(Wire::default),
        rows: options.real.then_some(options.rows),
        ..Plan::default()
    };
    let temporary = options.dir.is_none();
    let dir = match &options.dir {
        Some(dir) => dir.clone(),
        None => temporary_dir("zmigrate-lab"),
    };
    fs::create_dir_all(&dir)?;
    let dir = dir.canonicalize()?;
    let result = if options.real { hosts::demo::run(&dir, plan) } else { demonstrate(&dir, &plan, options) };
    if temporary {
        fs::remove_dir_all(&dir).with_context(|| format!("remove {}", dir.display()))?;
    } else {
        println!("\nThe lab is left in {}", dir.display());
    }
    result
}

fn heading(text: &str) {
    println!("\n== {text}");
}

fn demonstrate(dir: &std::path::Path, plan: &Plan, options: &Options) -> Result<()> {
    let ways = if plan.real_zfs.is_some() { "real ZFS (zfs-fuse)" } else { "emulated ZFS" };
    println!("Building two hosts with {ways} and the zone '{}', {} MB …", plan.zone, options.size);
    let ([mut source, mut target], _network) = build(dir, plan)?;
    heading("before");
    show(&source, &target, &plan.zone)?;
    let before = picture(&source, dir, &plan.zone)?;

    source.start_daemon()?;
    target.start_daemon()?;
    let request = format!(
        "zone = \"{}\"\nto = \"{}\"\nticket = \"OPS-1138\"\n\n[verify]\ncommands = [\"/opt/mysql/bin/mysqladmin status\"]\n",
        plan.zone, HOSTS[1]
    );
    heading(&format!("{} /var/spool/zmigrate/incoming/{}.toml", HOSTS[0], plan.zone));
    print!("{request}");
    let incoming = source.host.file("var/spool/zmigrate/incoming");
    let dot = incoming.join(".request");
    fs::write(&dot, request)?;
    // Whole and not to be changed any more: it need not be left to settle.
    fs::set_permissions(&dot, fs::Permissions::from_mode(0o400))?;
    fs::rename(&dot, incoming.join(format!("{}.toml", plan.zone)))?;
    heading(&format!("{}# zmigrate watch", HOSTS[0]));
    let watched = source.product("zmigrate").arg("watch").status()?;

    // A migration that failed before the offer has no second outcome.
    let wanted = if watched.success() { 2 } else { 1 };
    wait_for("the outcomes", Duration::from_secs(60), || {
        source.outcomes().len() + target.outcomes().len() >= wanted && at_rest(&source) && at_rest(&target)
    })?;
    heading("what both daemons told syslog");
    for line in source.outcomes().iter().chain(&target.outcomes()) {
        println!("{line}");
    }
    source.stop_daemon()?;
    target.stop_daemon()?;
    heading("after");
    show(&source, &target, &plan.zone)?;
    if !watched.success() {
        bail!("the migration did not end well; see above");
    }
    let after = picture(&target, dir, &plan.zone)?;
    let differences = picture::differences(&before, &after);
    heading("compared");
    println!(
        "{} files and directories, {} properties with their sources: {} differences",
        before.files.len(),
        before.properties.len(),
        differences.len()
    );
    for line in differences.iter().take(50) {
        println!("  {line}");
    }
    if !differences.is_empty() {
        bail!("the zone is not what it was");
    }
    Ok(())
}

/// No job is going on.
fn at_rest(on: &Running) -> bool {
    let active = on.host.file("var/spool/zmigrate/active");
    let jobs = fs::read_dir(active).into_iter().flatten().flatten();
    jobs.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.')).count() == 0
}

fn show(source: &Running, target: &Running, zone: &str) -> Result<()> {
    for on in [source, target] {
        println!("{}# zoneadm list -cv", on.host.name());
        print!("{}", on.ask("zoneadm", &["list", "-cv"])?);
        println!("{}# zfs list -r data/zones", on.host.name());
        print!(
            "{}",
            on.ask("zfs", &["list", "-r", "-t", "filesystem", "-o", "name,used,mountpoint", "data/zones"])?
        );
    }
    let _ = zone;
    Ok(())
}
