//! zoneadm: its options, what it refuses before it begins, and which part does the rest.
//!
//! Wording, streams and statuses after illumos-gate's zoneadm.c and zoneadmd.c; Solaris 10 has `zoneadm: `
//! also in front of what zoneadmd says.

use anyhow::Result;

use super::config::Config;
use super::index::Stored;
use super::kernel::State;
use super::{Zones, attach, change, configuration, detach, life, list, lock_zone, set_stored, verify, zfs};
use crate::disk;
use crate::world::{Host, Profile};

/// A command on one zone, with what it needs to complain.
pub struct Call<'a> {
    /// Where it runs.
    pub host: &'a Host,
    /// The zone.
    pub zone: &'a str,
    /// The host's system.
    pub profile: Profile,
}

impl Call<'_> {
    /// zoneadm's own complaint; always status 1.
    pub fn refuse(&self, message: &str) -> Result<i32> {
        err!("zoneadm: zone '{}': {message}", self.zone);
        Ok(1)
    }

    /// What zoneadmd says.
    pub fn daemon_says(&self, message: &str) {
        let prefix = if self.profile == Profile::Solaris10 { "zoneadm: " } else { "" };
        err!("{prefix}zone '{}': {message}", self.zone);
    }

    /// zoneadmd's complaint that boot and ready add a line of their own to.
    pub fn daemon_failed(&self, message: Option<&str>) -> Result<i32> {
        if let Some(message) = message {
            self.daemon_says(message);
        }
        self.refuse("call to zoneadmd failed")
    }
}

const VERBS: &[&str] = &[
    "attach",
    "boot",
    "clone",
    "detach",
    "halt",
    "help",
    "install",
    "list",
    "mark",
    "move",
    "ready",
    "reboot",
    "shutdown",
    "uninstall",
    "verify",
];

/// The command.
pub fn main(host: &Host, args: &[String]) -> Result<i32> {
    let profile = host.settings()?.profile;
    let mut zone: Option<String> = None;
    let mut uuid: Option<String> = None;
    let mut rest = args;
    while let [option, value, tail @ ..] = rest {
        match option.as_str() {
            "-z" => zone = Some(value.clone()),
            "-u" => uuid = Some(value.clone()),
            "-R" => {
                err!("zoneadm: the lab has no alternate root");
                return Ok(1);
            }
            _ => break,
        }
        rest = tail;
    }
    let [verb, args @ ..] = rest else { return Ok(usage()) };
    if verb == "-?" || verb == "help" {
        out!("{}", usage_text());
        return Ok(if verb == "help" { 0 } else { 2 });
    }
    if !VERBS.contains(&verb.as_str()) || profile == Profile::Solaris10 && verb == "shutdown" {
        return Ok(usage());
    }
    if let Some(uuid) = uuid {
        if !is_uuid(&uuid) {
            err!("zoneadm: illegal UUID value specified");
            return Ok(1);
        }
        let zones = Zones::look(host)?;
        if let Some(entry) = zones.index.iter().find(|entry| entry.uuid == uuid) {
            zone = Some(entry.name.clone());
        }
    }
    if let Some(name) = &zone
        && name != "global"
        && Zones::look(host)?.entry(name).is_none()
    {
        return no_such_zone(name);
    }
    // Also where the document is missing or broken, although the index has the zone (recorded).
    if let Some(name) = zone.as_deref().filter(|name| *name != "global")
        && configuration(host, name)?.is_none()
    {
        return no_such_zone(name);
    }
    if verb == "list" {
        return list::main(host, zone.as_deref(), args);
    }
    let dry = args.first().is_some_and(|arg| arg == "-n");
    if verb == "attach" && dry {
        return attach::dry_run(host, args);
    }
    let Some(zone) = zone else {
        err!("zoneadm: no zone specified");
        return Ok(1);
    };
    if zone == "global" {
        err!("zoneadm: zone 'global': {verb} operation is invalid for the global zone.");
        return Ok(1);
    }
    let call = Call { host, zone: &zone, profile };
    let Some(config) = configuration(host, &zone)? else { return no_such_zone(&zone) };
    let both = ["-F", "-n"].iter().all(|flag| args.iter().any(|arg| arg == flag));
    if verb == "attach" && both {
        return call.refuse("-F and -n flags are mutually exclusive");
    }
    if verb == "boot"
        && let Some(option) = args.first().and_then(|arg| arg.strip_prefix('-')).filter(|arg| *arg != "-")
    {
        // getopt names the first argument where others name the program (recorded).
        err!("-{option}: illegal option -- {}", option.chars().next().unwrap_or('-'));
        err!(
            "usage:\tboot [-- boot_arguments]\n\tActivates (boots) specified zone.  See zoneadm(1m) for valid boot\n\targuments."
        );
        return Ok(2);
    }
    if verb == "detach" && dry {
        return detach::dry_run(&call, &config);
    }
    // A second zoneadm on the zone waits, however long; SIGHUP and the directory it came from don't matter.
    let _lock = lock_zone(host, &zone)?;
    on_zone(&call, &config, verb, args)
}

fn no_such_zone(name: &str) -> Result<i32> {
    err!("zoneadm: {name}: No such zone configured");
    Ok(1)
}

fn on_zone(call: &Call, config: &Config, verb: &str, args: &[String]) -> Result<i32> {
    let Some(state) = Zones::look(call.host)?.state(call.host, call.zone)? else {
        return no_such_zone(call.zone);
    };
    let update_incomplete = verb == "attach" && args.first().is_some_and(|arg| arg == "-U");
    if !(update_incomplete && state == State::Incomplete)
        && let Some(refusal) = refusal(verb, state)
    {
        return call.refuse(&refusal);
    }
    match verb {
        "boot" => life::boot(call, config, State::Running),
        "ready" => life::boot(call, config, State::Ready),
        "halt" => life::halt(call, state),
        "shutdown" => life::shutdown(call, state, args),
        "reboot" => life::reboot(call, config, state),
        "verify" => Ok(i32::from(!verify::details(call.host, config, verify::For::Other)?)),
        "attach" => attach::main(call, config, args),
        "detach" => detach::main(call, config, args),
        "uninstall" => uninstall(call, config, args),
        "mark" => mark(call, args),
        // Nobody has needed these yet; to pretend would be worse.
        _ => call.refuse(&format!("{verb} is not in this lab")),
    }
}

/// zoneadm's sanity_check: what a command refuses by the zone's state alone.
fn refusal(verb: &str, state: State) -> Option<String> {
    use State::{Configured, Incomplete, Installed};
    let offline = matches!(verb, "detach" | "attach" | "install" | "uninstall" | "move" | "mark" | "clone");
    if offline && state.in_kernel() {
        return Some(format!("{verb} operation is invalid for {} zones.", state.word()));
    }
    let text = match (verb, state) {
        ("shutdown" | "reboot", Configured | Incomplete | Installed) => "not running".into(),
        ("boot" | "ready" | "detach" | "move", Configured | Incomplete) => {
            format!("must be installed before {verb}.")
        }
        ("attach" | "install" | "clone", Installed) => "is already installed.".into(),
        ("attach" | "install" | "clone" | "verify", Incomplete) => {
            "zone is incomplete; uninstall required.".into()
        }
        ("uninstall", Configured) => "is already in state 'configured'.".into(),
        _ => return None,
    };
    Some(text)
}

fn uninstall(call: &Call, config: &Config, args: &[String]) -> Result<i32> {
    if args.first().map(String::as_str) != Some("-F") {
        return call.refuse("Input not from terminal and -F not specified: uninstall not done.");
    }
    set_stored(call.host, call.zone, Stored::Incomplete, None)?;
    if config.has_boot_environments() {
        if let Some(dataset) = zfs::with_mountpoint(call.host, &config.zonepath)?
            && !zfs::destroy(call.host, &dataset)?
        {
            return Ok(1);
        }
    } else {
        let root = call.host.path(&format!("{}/root", config.zonepath));
        if root.is_dir() {
            std::fs::remove_dir_all(root)?;
        }
    }
    set_stored(call.host, call.zone, Stored::Configured, Some("uninstall"))?;
    Ok(0)
}

fn mark(call: &Call, args: &[String]) -> Result<i32> {
    let force = args.first().is_some_and(|arg| arg == "-F");
    let state = match (args.last().map(String::as_str), force) {
        (Some("incomplete"), _) => Stored::Incomplete,
        (Some("configured"), true) => Stored::Configured,
        (Some("installed"), true) => Stored::Installed,
        // illumos says nothing at all here.
        _ => return Ok(2),
    };
    change(call.host, |zones| {
        if state == Stored::Configured
            && let Some(entry) = zones.entry_mut(call.zone)
        {
            entry.uuid.clear();
        }
        zones.event(call.host, disk::now_ms(), call.zone, "mark");
        Ok(())
    })?;
    set_stored(call.host, call.zone, state, None)?;
    Ok(0)
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn usage() -> i32 {
    err!("{}", usage_text());
    2
}

/// zoneadm.c's short usage; recorded up to uninstall, the rest read.
fn usage_text() -> &'static str {
    "usage:\tzoneadm help\n\
     \tzoneadm [-z <zone>] [-u <uuid-match>] list\n\
     \tzoneadm {-z <zone>|-u <uuid-match>} <subcommand>\n\n\
     Subcommands:\n\n\
     help\n\
     boot [-- boot_arguments]\n\
     halt\n\
     ready\n\
     shutdown [-r [-- boot_arguments]]\n\
     reboot [-- boot_arguments]\n\
     list [-cinpv]\n\
     verify\n\
     install [brand-specific args]\n\
     uninstall [-F] [brand-specific args]\n\
     clone [-m method] [-s <ZFS snapshot>] [brand-specific args] zonename\n\
     move zonepath\n\
     detach [-n] [brand-specific args]\n\
     attach [-F] [-n <path>] [brand-specific args]\n\
     mark incomplete"
}

#[cfg(test)]
mod tests {
    use super::*;
    use State::*;

    #[test]
    fn each_command_refuses_the_states_that_the_manual_says() {
        let cases = [
            ("boot", Configured, Some("must be installed before boot.")),
            ("boot", Running, None),
            ("boot", Down, None),
            ("detach", Configured, Some("must be installed before detach.")),
            ("detach", Running, Some("detach operation is invalid for running zones.")),
            ("detach", ShuttingDown, Some("detach operation is invalid for shutting_down zones.")),
            ("attach", Installed, Some("is already installed.")),
            ("attach", Incomplete, Some("zone is incomplete; uninstall required.")),
            ("attach", Configured, None),
            ("shutdown", Installed, Some("not running")),
            ("shutdown", Ready, None),
            ("halt", Configured, None),
            ("uninstall", Configured, Some("is already in state 'configured'.")),
        ];
        for (verb, state, expected) in cases {
            assert_eq!(refusal(verb, state).as_deref(), expected, "{verb} {state:?}");
        }
    }
}
