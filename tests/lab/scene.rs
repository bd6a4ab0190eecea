//! The zone of 2007 and the two hosts around it: `dbbackup` with two MySQL replicas and six
//! datasets, of which one is delegated and one is a legacy mount. The hosts' own `zfs` and zone
//! commands, emulated or real, build it.

mod fill;

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use fill::{fill_data, fill_root};

use crate::hosts::{database, sshd};
use crate::inner;
use crate::world::{Host, Settings};
use crate::zones::brand::{ACTIVE, PARENT};
use crate::zones::build::{ZoneSpec, install_zone};
use crate::zones::config::{Config, Resource};
use crate::zones::kernel::{self, Knobs};

/// What sort of lab.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct Plan {
    /// `sparse`, `ipkg` (OmniOS), `solaris` (Oracle Solaris 11.4) or `native` (Solaris 10).
    pub brand: String,
    /// Bytes of data in all, about.
    pub bytes: u64,
    /// Size of a part, as the configuration takes it.
    pub part: String,
    /// One dataset with gzip, which is written on the target as on the source. Not for the benchmark: the other ways
    /// lose the property and save its work.
    pub gzip: bool,
    /// Empty datasets besides, below the delegated one.
    pub more_datasets: u32,
    /// The directory with the real `zfs` and `zpool`, and where pools' files lie.
    pub real_zfs: Option<PathBuf>,
    /// The zone's name.
    pub zone: String,
    /// Hosts that share nothing but a network.
    pub network: Option<Wire>,
    /// The number of rows in each of the zone's two databases; none: no databases.
    pub rows: Option<u64>,
}

/// How hosts are connected that share nothing but a network.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Wire {
    /// Scratches in memory, of this size; otherwise they lie in the lab's directory.
    pub scratch: Option<String>,
    /// Lines of the peer's section besides the address and the key.
    pub peer: String,
    /// `udp` or `tcp`: how outcomes go to the log host.
    pub log: String,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            brand: "sparse".into(),
            bytes: 300 << 20,
            part: "16M".into(),
            gzip: true,
            more_datasets: 0,
            real_zfs: None,
            zone: "dbbackup".into(),
            network: None,
            rows: None,
        }
    }
}

/// The two hosts' names.
pub const HOSTS: [&str; 2] = ["zhost1", "zhost2"];

/// Makes a host's directory, commands and configuration. Nothing of ZFS yet.
pub fn make_host(lab: &Path, index: usize, plan: &Plan) -> Result<Host> {
    let (name, number) = (HOSTS[index], index as u8 + 1);
    let mut settings = Settings::of_brand(&plan.brand, name, number);
    if let Some(programs) = &plan.real_zfs {
        settings.real_zfs = true;
        settings.zfs_program = programs.join("zfs");
        settings.zpool_program = programs.join("zpool");
    }
    let program = std::env::current_exe().context("find our own program")?;
    let host = Host::create(lab.join(name), &settings, &program)?;
    if plan.network.is_some() {
        // Between hosts with a network the system's own ssh is meant, further on in the path.
        fs::remove_file(host.file("usr/sbin/ssh"))?;
    }
    let bin = host.file("opt/zmigrate/bin");
    fs::create_dir_all(&bin)?;
    for command in ["zmigrated", "zmigrate"] {
        let link = bin.join(command);
        let _ = fs::remove_file(&link);
        symlink(&program, link)?;
    }
    for dir in ["etc/opt/zmigrate", "var/spool", "export/scratch"] {
        fs::create_dir_all(host.file(dir))?;
    }
    write_configuration(lab, &host, HOSTS[1 - index], plan)?;
    Ok(host)
}

/// Where a host's configuration lies.
pub fn configuration(host: &Host) -> PathBuf {
    host.file("etc/opt/zmigrate/zmigrate.toml")
}

fn write_configuration(lab: &Path, host: &Host, peer: &str, plan: &Plan) -> Result<()> {
    let root = host.root.display();
    let (scratch, transport, log, more) = match &plan.network {
        None => {
            let dropbox = lab.join(peer).join("export/scratch/zmigrate/dropbox").join(host.name());
            let transport = format!("transport = \"directory\"\ndropbox = \"{}\"\n", dropbox.display());
            (format!("{root}/export/scratch"), transport, String::new(), "")
        }
        Some(wire) => {
            let user = sshd::account(&host.name());
            let key = sshd::KEY;
            let transport = format!(
                "transport = \"sftp\"\naddress = \"{peer}\"\nuser = \"{user}\"\n\
                 ssh_options = [\"-o\", \"IdentityFile={key}\", \"-o\", \"Ciphers=^aes128-gcm@openssh.com\"]\ndropbox = \"/\"\n{}",
                wire.peer
            );
            let protocol = if wire.log.is_empty() { "udp" } else { &wire.log };
            let log = format!("[syslog]\nremote = \"{protocol}://loghost:514\"\n");
            // The system's ssh, after the lab's own commands.
            ("/export/scratch".to_owned(), transport, log, ", \"/usr/bin\"")
        }
    };
    let text = format!(
        r#"[host]
name = "{name}"
[spool]
dir = "{root}/var/spool/zmigrate"
[scratch]
dir = "{scratch}/zmigrate"
max = "64G"
part = "{part}"
[commands]
path = ["{root}/usr/sbin"{more}]
timeout = "2m"
[jobs]
doubt_after = "15m"

{log}
[peer.{peer}]
{transport}
[accept.{peer}]
datasets = ["data/zones"]
zonepaths = ["/export/zones"]
route = true
"#,
        name = host.name(),
        part = plan.part,
    );
    fs::write(configuration(host), text)?;
    Ok(())
}

/// The pool and what every host has on it.
pub fn make_pool(host: &Host, plan: &Plan) -> Result<()> {
    let size = 4 * plan.bytes + (2 << 30);
    if plan.real_zfs.is_some() {
        let file = host.file("pool");
        File::create(&file)?.set_len(size)?;
        zpool(host, &["create", "-m", "none", "data", &file.display().to_string()])?;
    } else {
        crate::zfs::create_pool(host, "data", size)?;
        zfs(host, &["set", "mountpoint=none", "data"])?;
    }
    zfs(host, &["set", "compression=on", "data"])?;
    // The zone's own writes would be differences, wherever it boots.
    kernel::set_knobs(host, &plan.zone, Knobs { writes_on_boot: false, ..Knobs::default() })?;
    zfs(host, &["create", "-o", "mountpoint=/export/zones", "data/zones"])
}

/// Runs a `zfs` of the host that must succeed.
pub fn zfs(host: &Host, args: &[&str]) -> Result<()> {
    must(host, "zfs", args)
}

fn zpool(host: &Host, args: &[&str]) -> Result<()> {
    must(host, "zpool", args)
}

fn must(host: &Host, command: &str, args: &[&str]) -> Result<()> {
    let answer = inner::ask(host, command, args)?;
    if answer.status != 0 {
        bail!("{command} {} on {}: {}{}", args.join(" "), host.name(), answer.stderr, answer.stdout);
    }
    Ok(())
}

/// The zone, running, with its data.
pub fn make_zone(host: &Host, plan: &Plan) -> Result<()> {
    let zone = &plan.zone;
    let top = format!("data/zones/{zone}");
    let path = format!("/export/zones/{zone}");
    zfs(host, &["create", "-o", &format!("mountpoint={path}"), &top])?;
    match plan.brand.as_str() {
        "native" => fs::create_dir_all(host.path(&format!("{path}/root")))?,
        "solaris" => make_rpool(host, &top, &path)?,
        _ => {
            zfs(host, &["create", "-o", "mountpoint=legacy", &format!("{top}/ROOT")])?;
            make_mounted(host, &format!("{top}/ROOT/zbe"), &format!("{path}/root"))?;
        }
    }
    // Shares of the data, as in the write-up: the second replica is the big one.
    let share = |percent: u64| plan.bytes * percent / 100;
    fill_root(&host.path(&format!("{path}/root")), &host.path(&format!("{path}/root/var")), share(8))?;
    if plan.rows.is_some() {
        database::describe(&host.path(&format!("{path}/root")))?;
    }
    // (dataset, options, where it mounts in the end, bytes)
    let tank = format!("{top}/tank");
    type Row<'a> = (String, &'a [&'a str], &'a str, u64);
    let rows: [Row; 5] = [
        (tank.clone(), &["recordsize=8K", "atime=off"], "none", share(1)),
        (format!("{tank}/mysql"), &["quota=40G"], "/mysql", share(24)),
        (format!("{tank}/mysql/db1"), &["compression=off"], "/mysql/db1", share(18)),
        (format!("{tank}/mysql/db2"), &["org.example:replica=two of 2"], "/mysql/db2", share(40)),
        (
            format!("{top}/pkgsrc"),
            &[if plan.gzip { "compression=gzip" } else { "exec=on" }, "setuid=off"],
            "legacy",
            share(9),
        ),
    ];
    for (dataset, options, mountpoint, bytes) in &rows {
        let fill = format!("/export/lab-fill/{}", dataset.replace('/', "-"));
        zfs(host, &["create", "-o", &format!("mountpoint={fill}"), dataset])?;
        fill_data(&host.path(&fill), *bytes, dataset)?;
        if let Some(rows) = plan.rows.filter(|_| database::is_an_instance(dataset)) {
            database::make(&host.path(&fill), rows)?;
        }
        for option in *options {
            zfs(host, &["set", option, dataset])?;
        }
        // zfs-fuse says busy for a moment after the last file was closed.
        retried(|| zfs(host, &["unmount", dataset]))?;
        zfs(host, &["set", "canmount=noauto", dataset])?;
        zfs(host, &["set", &format!("mountpoint={mountpoint}"), dataset])?;
    }
    for number in 0..plan.more_datasets {
        let dataset = format!("{tank}/more-{number:03}");
        zfs(host, &["create", "-o", "canmount=noauto", "-o", "mountpoint=none", &dataset])?;
    }
    if plan.brand == "solaris" {
        close_rpool(host, &top)?;
    }
    zfs(host, &["set", "zoned=on", &tank])?;
    for (dataset, ..) in &rows[..4] {
        inherit_canmount(host, dataset)?;
    }
    inherit_canmount(host, &rows[4].0)?;
    install_zone(host, &ZoneSpec { config: config(plan, &path, &tank, &rows[4].0), boot: true })
}

/// A filesystem that does not mount itself, mounted.
fn make_mounted(host: &Host, dataset: &str, path: &str) -> Result<()> {
    zfs(host, &["create", "-o", "canmount=noauto", "-o", &format!("mountpoint={path}"), dataset])?;
    zfs(host, &["mount", dataset])
}

/// What of a `solaris` zone's `rpool` does not belong to a boot environment, and where it is in the zone. The names are
/// captured from a zone of 11.3; their mountpoints are those of the global zone's datasets of the same names.
const SHARED: [(&str, &str); 3] =
    [("VARSHARE", "/var/share"), ("export", "/export"), ("export/home", "/export/home")];

/// The datasets that a zone of brand `solaris` has as its pool `rpool`; the boot environment is mounted at P/root, to be
/// filled.
fn make_rpool(host: &Host, top: &str, path: &str) -> Result<()> {
    let rpool = format!("{top}/rpool");
    zfs(host, &["create", "-o", "mountpoint=none", &rpool])?;
    zfs(host, &["create", "-o", "mountpoint=legacy", &format!("{rpool}/ROOT")])?;
    make_mounted(host, &format!("{rpool}/ROOT/solaris"), &format!("{path}/root"))?;
    make_mounted(host, &format!("{rpool}/ROOT/solaris/var"), &format!("{path}/root/var"))?;
    for (name, mountpoint) in SHARED {
        let options = ["-o", "canmount=noauto", "-o", &format!("mountpoint={mountpoint}")];
        zfs(host, &[&["create"], &options[..], &[&format!("{rpool}/{name}")]].concat())?;
    }
    Ok(())
}

/// The zone's from now on: of this host's boot environment, and not to be mounted by the global zone.
fn close_rpool(host: &Host, top: &str) -> Result<()> {
    let rpool = format!("{top}/rpool");
    let zbe = format!("{rpool}/ROOT/solaris");
    for (dataset, mountpoint) in [(format!("{zbe}/var"), "/var"), (zbe.clone(), "/")] {
        retried(|| zfs(host, &["unmount", &dataset]))?;
        zfs(host, &["set", &format!("mountpoint={mountpoint}"), &dataset])?;
    }
    let be = host.settings()?.boot_environment;
    zfs(host, &["set", &format!("{PARENT}={be}"), &zbe])?;
    zfs(host, &["set", &format!("{ACTIVE}=on"), &zbe])?;
    zfs(host, &["set", "mountpoint=/rpool", &rpool])?;
    zfs(host, &["set", "zoned=on", &rpool])?;
    SHARED.iter().try_for_each(|(name, _)| inherit_canmount(host, &format!("{rpool}/{name}")))
}

/// canmount has no inherited value; this takes the local one away.
fn inherit_canmount(host: &Host, dataset: &str) -> Result<()> {
    zfs(host, &["inherit", "-S", "canmount", dataset])
}

fn retried(mut act: impl FnMut() -> Result<()>) -> Result<()> {
    let mut last = act();
    for _ in 0..50 {
        if last.is_ok() {
            break;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(100));
        last = act();
    }
    last
}

fn config(plan: &Plan, path: &str, tank: &str, pkgsrc: &str) -> Config {
    let net = [("physical", "nge0"), ("address", "192.0.2.10/24")];
    let resources = vec![
        Resource::of("fs", &[("dir", "/opt/pkgsrc"), ("special", pkgsrc), ("type", "zfs")]),
        Resource::of("net", &net),
        Resource::of("dataset", &[("name", tank)]),
        Resource::of("attr", &[("name", "comment"), ("type", "string"), ("value", "database backup")]),
    ];
    Config {
        name: plan.zone.clone(),
        zonepath: path.to_owned(),
        debug_id: String::new(),
        autoboot: true,
        brand: plan.brand.clone(),
        ip_type: "shared".into(),
        globals: std::collections::BTreeMap::new(),
        resources,
    }
}
