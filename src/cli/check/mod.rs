//! `zmigrate check`: whether this host is ready, before a zone depends on it. Changes nothing, but for a
//! question that is put into each peer's dropbox and taken away again.

mod boot;
mod finding;
mod loghost;
mod peers;
mod places;
mod probe;

use std::path::Path;

use clap::Args;
use serde::Serialize;

use crate::cmd::zonename::zonename;
use crate::config::Config;
use crate::job::fault::Faults;
use crate::process::Programs;

use super::clock;
use super::context::{Context, print, print_json};
use super::error::CliError;
use super::trust::Level;
use finding::Finding;

/// Commands without which no zone can be moved.
const COMMANDS: [&str; 6] = ["zfs", "zoneadm", "zonecfg", "zlogin", "svcs", "uname"];
/// Those that only a request's route needs.
const ROUTE_COMMANDS: [&str; 3] = ["route", "ifconfig", "netstat"];

/// What `check` takes.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Write JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answer<'f> {
    v: u32,
    faults: usize,
    warnings: usize,
    findings: &'f [Finding],
}

/// Looks, and tells all that was found.
///
/// # Errors
/// When something is a fault.
pub fn run(file: &Path, args: &CheckArgs) -> Result<(), CliError> {
    let mut findings = Vec::new();
    match Context::load(file) {
        Ok(context) => look(&context, &mut findings),
        // Nothing else can be looked at without one.
        Err(faults) => findings.extend(of_configuration(&faults)),
    }
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let (faults, warnings) = (count(Level::Fault), count(Level::Warn));
    if args.json {
        print_json(&Answer { v: 1, faults, warnings, findings: &findings })?;
    } else {
        let mut text: String = findings.iter().map(ToString::to_string).collect();
        text.push_str(&format!("{}, {}\n", counted(faults, "fault"), counted(warnings, "warning")));
        print(&text)?;
    }
    if faults > 0 { Err(CliError::quiet()) } else { Ok(()) }
}

fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

fn of_configuration(faults: &Faults) -> Vec<Finding> {
    let remedy = "mend the file; zmigrated does not start with it";
    faults.0.iter().map(|fault| Finding::fault("configuration", fault.to_string(), remedy)).collect()
}

fn look(context: &Context, findings: &mut Vec<Finding>) {
    let config = &context.config;
    let says = format!("{}, this host is {}", context.file.display(), config.host);
    findings.push(Finding::ok("configuration", says));
    let runs = daemon(context, findings);
    places::spool(context.spool.dir(), runs, findings);
    places::scratch(&config.scratch.dir, findings);
    let programs = Programs::new(config.commands.path.clone(), config.commands.timeout);
    boot::look(config, &programs, findings);
    commands(config, &programs, findings);
    if programs.has("zonename") {
        findings.push(global_zone(&programs));
    }
    findings.extend(loghost::loghost(config, clock::now()));
    for (peer, reached_by) in &config.peers {
        findings.extend(peers::sending(context, &programs, peer, &reached_by.transport));
    }
    for peer in config.accept.keys() {
        findings.extend(peers::receiving(context, &programs, peer, runs));
    }
    if config.peers.is_empty() && config.accept.is_empty() {
        findings.push(Finding::warn(
            "peers",
            "neither a [peer.NAME] nor an [accept.NAME] is configured",
            "name a host to send zones to, or to take zones from",
        ));
    }
}

/// Whether the daemon runs.
fn daemon(context: &Context, findings: &mut Vec<Finding>) -> bool {
    let what = "zmigrated";
    match context.spool.daemon() {
        Ok(Some(pid)) => {
            findings.push(Finding::ok(what, format!("runs, pid {pid}")));
            true
        }
        Ok(None) => {
            let says = format!("does not run on {}", context.spool.dir().display());
            findings.push(Finding::warn(what, says, "svcadm enable zmigrate"));
            false
        }
        Err(error) => {
            findings.push(Finding::fault(what, error.to_string(), "try it as root"));
            false
        }
    }
}

fn commands(config: &Config, programs: &Programs, findings: &mut Vec<Finding>) {
    let route = config.accept.values().any(|accept| accept.route);
    let wanted = COMMANDS.into_iter().chain(["zonename"]);
    for name in wanted.chain(ROUTE_COMMANDS.into_iter().filter(|_| route)) {
        findings.push(match programs.find(name) {
            Some(path) => Finding::ok("command", format!("{name} is {}", path.display())),
            None => {
                let path: Vec<String> =
                    config.commands.path.iter().map(|dir| dir.display().to_string()).collect();
                let says = format!("{name} is not in {}", path.join(", "));
                Finding::fault("command", says, "add its directory to [commands] path")
            }
        });
    }
}

fn global_zone(programs: &Programs) -> Finding {
    match zonename(programs).as_deref() {
        Ok("global") => Finding::ok("zone", "this is the global zone"),
        Ok(name) => Finding::fault(
            "zone",
            format!("this is zone '{}', from which no zone can be moved", name.escape_debug()),
            "run zmigrate in the global zone",
        ),
        Err(error) => Finding::fault("zone", error.to_string(), "zmigrate runs in the global zone only"),
    }
}
