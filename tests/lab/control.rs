//! The lab under its own name: the verbs by which a person or a test changes hosts. Building, demo
//! and benchmark are called from here.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};

use crate::faults::verb::FaultVerb;
use crate::hosts::link::{Change, Switch};
use crate::hosts::{alone, network};
use crate::world::{Host, Lab, Settings};
use crate::zones::build::{self, ZoneSpec};
use crate::zones::kernel::{knobs, set_knobs};
use crate::zones::{self, life};
use crate::{bench, demo, picture, play, real, scene};

/// Two Solaris hosts in a directory.
#[derive(Debug, Parser)]
#[command(name = "zmigrate-lab")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Move the zone of 2007 from one host to the other, and compare everything
    Demo(demo::Options),
    /// Failures, damage and the crash loop on real ZFS
    Real(real::Options),
    /// By hand, by one pipe, and by zmigrate: total, outage, scratch and memory
    Bench(bench::Options),
    /// Two hosts to play with: built, with both daemons running (emulated ZFS)
    Up {
        #[command(flatten)]
        at: play::Where,
        /// Megabytes of data in the zone
        #[arg(long, default_value_t = 50, value_name = "MB")]
        size: u64,
        /// sparse or ipkg (OmniOS), solaris (Oracle Solaris 11.4), native (Solaris 10)
        #[arg(long, default_value = "sparse")]
        brand: String,
        /// Two hosts that share nothing but a network, with sshd, a log host, and two MariaDB in the zone; needs root
        #[arg(long)]
        real: bool,
    },
    /// The network between hosts on real parts: pull a cable, slow a link, lose packets
    Net {
        /// The lab's directory
        #[arg(long, global = true, value_name = "DIR", default_value_os_t = play::default_dir())]
        dir: PathBuf,
        /// Whose link: zhost1, zhost2 or loghost
        #[arg(long, global = true, default_value = "zhost2")]
        host: String,
        #[command(subcommand)]
        change: Change,
    },
    /// The first process in the namespace of a lab on real parts
    #[command(hide = true)]
    Init {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// The process outside of it, which keeps it
    #[command(hide = true)]
    Outside {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// A shell on one of them
    Shell {
        /// zhost1 or zhost2
        host: String,
        #[command(flatten)]
        at: play::Where,
    },
    /// Ends them and takes them away
    Down {
        #[command(flatten)]
        at: play::Where,
    },
    /// Make both hosts, their pools and the zone (emulated ZFS); for tests and for playing
    Scene {
        /// The lab's directory; made where it isn't there
        #[arg(long)]
        dir: PathBuf,
        /// What to build, as JSON; what is left out is as in the demo
        #[arg(long, default_value = "{}")]
        plan: String,
    },
    /// The part of a scene that is made on one host, in its namespaces
    #[command(hide = true)]
    SceneOn {
        /// The host
        host: String,
        #[arg(long)]
        dir: PathBuf,
        #[arg(long)]
        plan: String,
        /// The zone, too
        #[arg(long)]
        zone: bool,
    },
    /// Everything about a dataset tree that a migration must keep, as JSON
    Picture {
        /// The host
        host: String,
        /// The lab's directory
        #[arg(long)]
        dir: PathBuf,
        /// The top dataset
        #[arg(default_value = "data/zones/dbbackup")]
        top: String,
    },
    /// Make a host, or renew its settings and commands
    Host {
        /// The host's name
        host: String,
        /// The lab's directory; made where it isn't there
        #[arg(long)]
        dir: PathBuf,
        /// Tells hosts' addresses and boot environments apart
        #[arg(long, default_value_t = 1)]
        number: u8,
        /// A Solaris 10 host instead of OmniOS
        #[arg(long)]
        solaris10: bool,
        /// An Oracle Solaris 11.4 host instead of OmniOS
        #[arg(long, conflicts_with = "solaris10")]
        solaris11: bool,
        /// Real ZFS, its programs found in this directory
        #[arg(long, value_name = "DIR")]
        real_zfs: Option<PathBuf>,
    },
    /// Install a zone that is configured and whose datasets are made and mounted
    Install {
        /// The host
        host: String,
        /// The zone
        zone: String,
        /// The lab's directory
        #[arg(long)]
        dir: PathBuf,
        /// Boot it, too
        #[arg(long)]
        boot: bool,
    },
    /// Power off and on: zones stop without a shutdown, what is set to autoboot boots again
    Reboot {
        /// The host
        host: String,
        /// The lab's directory
        #[arg(long)]
        dir: PathBuf,
    },
    /// What a host's boot does to its zones
    #[command(hide = true)]
    BootZones {
        /// The host
        host: String,
        #[arg(long)]
        dir: PathBuf,
    },
    /// Faults of a host's commands
    Fault {
        /// The host
        host: String,
        /// The lab's directory
        #[arg(long)]
        dir: PathBuf,
        #[command(subcommand)]
        verb: FaultVerb,
    },
    /// A zone's manners on a host: shutdown_ms, boot_ms, stuck, milestone, maintenance …
    Zone {
        /// The host
        host: String,
        /// The zone
        zone: String,
        /// The lab's directory
        #[arg(long)]
        dir: PathBuf,
        /// JSON object of what is to change; without it the present state is shown
        #[arg(value_name = "JSON")]
        change: Option<String>,
    },
}

/// Runs a control command.
pub fn main(argv: &[String]) -> i32 {
    let cli = match Cli::try_parse_from(argv) {
        Ok(cli) => cli,
        Err(why) => {
            let _ = why.print();
            return why.exit_code();
        }
    };
    match in_place(cli.verb, &argv[1..]) {
        Ok(status) => status,
        Err(why) => {
            err!("zmigrate-lab: {why:#}");
            1
        }
    }
}

/// Runs a verb where its hosts are: a lab on real parts has a namespace of its own.
fn in_place(verb: Verb, args: &[String]) -> Result<i32> {
    if let Verb::Init { args } = &verb {
        return alone::init(args);
    }
    if let Verb::Outside { args } = &verb {
        return alone::hold(args);
    }
    if !alone::is_inside() {
        let needs_one = match &verb {
            Verb::Demo(options) => options.real,
            Verb::Bench(options) => options.real,
            Verb::Real(options) => options.hosts,
            _ => false,
        };
        if needs_one {
            return alone::run_inside(args);
        }
        let dir = match &verb {
            Verb::Shell { at, .. } => Some(&at.dir),
            Verb::Net { dir, .. } | Verb::Reboot { dir, .. } | Verb::Picture { dir, .. } => Some(dir),
            _ => None,
        };
        if let Some(dir) = dir.filter(|dir| alone::stays(dir)) {
            return alone::enter(dir, args);
        }
    }
    run(verb).map(|()| 0)
}

fn run(verb: Verb) -> Result<()> {
    match verb {
        Verb::Init { .. } | Verb::Outside { .. } => bail!("not a verb for people"),
        Verb::Net { dir, host, change } => Switch::of(network::place(&dir, "switch")?).change(&host, &change),
        Verb::Demo(options) => demo::run(&options),
        Verb::Real(options) => real::run(&options),
        Verb::Bench(options) => bench::run(&options),
        Verb::Up { at, size, brand, real } => {
            let plan = scene::Plan { bytes: size << 20, brand, ..scene::Plan::default() };
            if real { play::up_on_real_parts(&at, plan) } else { play::up(&at, &plan) }
        }
        Verb::Shell { host, at } => play::shell(&at, &host),
        Verb::Down { at } => play::down(&at),
        Verb::Scene { dir, plan } => {
            let plan: scene::Plan = serde_json::from_str(&plan).context("the plan")?;
            std::fs::create_dir_all(&dir)?;
            let dir = dir.canonicalize()?;
            for index in 0..scene::HOSTS.len() {
                let host = scene::make_host(&dir, index, &plan)?;
                scene::make_pool(&host, &plan)?;
                if index == 0 {
                    scene::make_zone(&host, &plan)?;
                }
            }
            Ok(())
        }
        Verb::SceneOn { host, dir, plan, zone } => {
            let plan: scene::Plan = serde_json::from_str(&plan).context("the plan")?;
            let lab = Lab::open(dir)?;
            let host = lab.host(&host)?;
            if zone { scene::make_zone(host, &plan) } else { scene::make_pool(host, &plan) }
        }
        Verb::Picture { host, dir, top } => {
            let picture = picture::take(Lab::open(dir)?.host(&host)?, &top)?;
            serde_json::to_writer(std::io::stdout().lock(), &picture)?;
            Ok(())
        }
        Verb::Host { host, dir, number, solaris10, solaris11, real_zfs } => {
            let brand = match (solaris10, solaris11) {
                (true, _) => "native",
                (_, true) => "solaris",
                _ => "sparse",
            };
            let mut settings = Settings::of_brand(brand, &host, number);
            if let Some(programs) = real_zfs {
                settings.real_zfs = true;
                settings.zfs_program = programs.join("zfs");
                settings.zpool_program = programs.join("zpool");
            }
            let program = std::env::current_exe().context("find our own program")?;
            Host::create(dir.join(&host), &settings, &program).map(drop)
        }
        Verb::Install { host, zone, dir, boot } => {
            let lab = Lab::open(dir)?;
            let host = lab.host(&host)?;
            let config = zones::configuration(host, &zone)?
                .with_context(|| format!("zone '{zone}' is not configured on {}", host.name()))?;
            build::install_zone(host, &ZoneSpec { config, boot })
        }
        Verb::Reboot { host, dir } if alone::is_inside() => play::reboot(&dir, &host),
        Verb::Reboot { host, dir } | Verb::BootZones { host, dir } => {
            life::reboot_host(Lab::open(dir)?.host(&host)?)
        }
        Verb::Fault { host, dir, verb } => {
            let lab = Lab::open(dir)?;
            let host = lab.host(&host)?;
            verb.run(host)
        }
        Verb::Zone { host, zone, dir, change } => {
            let lab = Lab::open(dir)?;
            let host = lab.host(&host)?;
            let mut value = serde_json::to_value(knobs(host, &zone)?)?;
            match change {
                None => out!("{}", serde_json::to_string_pretty(&value)?),
                Some(change) => {
                    let serde_json::Value::Object(change) = serde_json::from_str(&change)? else {
                        bail!("what is to change must be a JSON object");
                    };
                    if let Some(old) = value.as_object_mut() {
                        old.extend(change);
                    }
                    set_knobs(host, &zone, serde_json::from_value(value)?)?;
                }
            }
            Ok(())
        }
    }
}
