//! svcs and svcprop, in the global zone and in zones.
//!
//! A zone has a fixed set of services, and those that its own data lists: `.lab-services` in its
//! root, lines of `STATE FMRI`, travels with the zone. A host's knobs can put services into
//! maintenance. The other states follow from the time since boot.

use std::fs;

use anyhow::Result;

use crate::disk;
use crate::world::{Host, Profile};
use crate::zones::Zones;
use crate::zones::config::Config;
use crate::zones::configuration;
use crate::zones::kernel::{Phase, State, knobs};

const MILESTONE: &str = "svc:/milestone/multi-user-server:default";
const ALWAYS: &[&str] = &[
    "svc:/system/filesystem/local:default",
    "svc:/system/system-log:default",
    "svc:/network/ssh:default",
    "svc:/milestone/multi-user:default",
];

/// A service instance.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Instance {
    fmri: String,
    state: String,
}

impl Instance {
    fn new(fmri: &str, state: &str) -> Self {
        Self { fmri: fmri.to_owned(), state: state.to_owned() }
    }

    /// `svc:/milestone/multi-user-server:default` is meant by any of its tails.
    fn matches(&self, pattern: &str) -> bool {
        let full = self.fmri.trim_start_matches("svc:/");
        let pattern = pattern.trim_start_matches("svc:/");
        let without = full.rsplit_once(':').map_or(full, |(name, _)| name);
        full == pattern
            || without == pattern
            || without.rsplit('/').next() == Some(pattern)
            || full.rsplit('/').next() == Some(pattern)
    }
}

/// svcs in the global zone; `-z Z` looks into a zone (illumos).
pub fn main(host: &Host, args: &[String]) -> Result<i32> {
    if let [option, zone, rest @ ..] = args
        && option == "-z"
    {
        if host.settings()?.profile == Profile::Solaris10 {
            return Ok(usage());
        }
        let running = Zones::look(host)?.state(host, zone)? == Some(State::Running);
        let Some(config) = configuration(host, zone)?.filter(|_| running) else {
            err!("svcs: invalid zone '{zone}'");
            return Ok(1);
        };
        return in_zone(host, &config, rest);
    }
    list(&global(), args)
}

fn global() -> Vec<Instance> {
    let mut found: Vec<Instance> = ALWAYS.iter().map(|fmri| Instance::new(fmri, "online")).collect();
    found.push(Instance::new(MILESTONE, "online"));
    found.push(Instance::new("svc:/system/zones:default", "online"));
    found.push(Instance::new("svc:/application/zmigrate:default", "online"));
    found
}

/// svcs in a running zone.
pub fn in_zone(host: &Host, config: &Config, args: &[String]) -> Result<i32> {
    list(&instances(host, config)?, args)
}

fn instances(host: &Host, config: &Config) -> Result<Vec<Instance>> {
    let knobs = knobs(host, &config.name)?;
    let zones = Zones::look(host)?;
    let (phase, since) =
        zones.alive(&config.name).map_or((Phase::Halting, 0), |alive| (alive.phase, alive.since));
    let passed = disk::now_ms().saturating_sub(since);
    // Services of a zone whose root can't be written to don't come up. Which of them fail is unverified.
    let readonly = crate::zfs::is_readonly(host, &format!("{}/root", config.zonepath))?;
    let milestone = match (phase, &knobs.milestone) {
        (Phase::Running, _) if readonly => "offline".to_owned(),
        (Phase::Running, Some(never)) => never.clone(),
        (Phase::Running, None) if passed >= knobs.boot_ms => "online".into(),
        (Phase::Running, None) if passed * 2 >= knobs.boot_ms => "offline*".into(),
        _ => "offline".to_owned(),
    };
    let up = milestone == "online";
    let mut found: Vec<Instance> =
        ALWAYS.iter().map(|fmri| Instance::new(fmri, if up { "online" } else { "offline" })).collect();
    found.push(Instance { fmri: MILESTONE.into(), state: milestone });
    let own = host.path(&format!("{}/root/.lab-services", config.zonepath));
    let own = fs::read_to_string(own).unwrap_or_default();
    let listed = own.lines().filter_map(|line| line.split_once(' ')).map(|(state, fmri)| (fmri, state));
    let broken = knobs.maintenance.iter().map(|fmri| (fmri.as_str(), "maintenance"));
    for (fmri, state) in listed.chain(broken) {
        found.retain(|instance| instance.fmri != fmri);
        found.push(Instance::new(fmri.trim(), state));
    }
    Ok(found)
}

fn list(instances: &[Instance], args: &[String]) -> Result<i32> {
    let (mut header, mut all, mut explain) = (true, false, false);
    let mut columns = "state,stime,fmri".to_owned();
    let mut patterns = Vec::new();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        if !arg.starts_with('-') {
            patterns.push(arg.as_str());
            continue;
        }
        let mut letters = arg[1..].chars();
        while let Some(letter) = letters.next() {
            match letter {
                'H' => header = false,
                'a' => all = true,
                'x' => explain = true,
                'v' => {}
                'o' => {
                    let glued: String = letters.by_ref().collect();
                    columns = if glued.is_empty() { rest.next().cloned().unwrap_or_default() } else { glued };
                }
                _ => return Ok(usage()),
            }
        }
    }
    let mut status = 0;
    for pattern in &patterns {
        if !instances.iter().any(|instance| instance.matches(pattern)) {
            err!("svcs: Pattern '{pattern}' doesn't match any instances");
            status = 1;
        }
    }
    let chosen = instances.iter().filter(|instance| {
        if patterns.is_empty() {
            all || explain || instance.state != "disabled"
        } else {
            patterns.iter().any(|pattern| instance.matches(pattern))
        }
    });
    if explain {
        // Always status 0: no output means no faults.
        for instance in chosen.filter(|instance| instance.state == "maintenance") {
            out!("{} (a service of the lab)", instance.fmri);
            out!(" State: maintenance since Fri May 18 03:40:12 2007");
            out!("Reason: Restarting too quickly.");
            out!("   See: http://sun.com/msg/SMF-8000-L5");
            out!("Impact: This service is not running.\n");
        }
        return Ok(status);
    }
    let columns: Vec<&str> = columns.split(',').collect();
    if header && (status == 0 || chosen.clone().next().is_some()) {
        let titles: Vec<String> = columns.iter().map(|column| column.to_uppercase()).collect();
        out!("{}", row(&columns, &titles));
    }
    for instance in chosen {
        let cells: Vec<String> = columns.iter().map(|column| cell(instance, column)).collect();
        out!("{}", row(&columns, &cells));
    }
    Ok(status)
}

fn cell(instance: &Instance, column: &str) -> String {
    let (service, name) = instance.fmri.rsplit_once(':').unwrap_or((&instance.fmri, ""));
    match column.to_ascii_lowercase().as_str() {
        "state" => instance.state.clone(),
        "fmri" => instance.fmri.clone(),
        "svc" => service.trim_start_matches("svc:/").to_owned(),
        "inst" => name.to_owned(),
        "stime" => "3:40:12".into(),
        _ => "-".into(),
    }
}

/// Columns are padded, even a single one, so a caller must trim before it compares.
fn row(columns: &[&str], cells: &[String]) -> String {
    let mut line = String::new();
    for (at, (column, cell)) in columns.iter().zip(cells).enumerate() {
        let width = match *column {
            "state" => 14,
            "stime" => 8,
            _ if at + 1 == columns.len() => 0,
            _ => 30,
        };
        line.push_str(&format!("{cell:<width$}"));
        if at + 1 < columns.len() {
            line.push(' ');
        }
    }
    line
}

/// svcprop in the global zone.
pub fn svcprop(_host: &Host, args: &[String]) -> Result<i32> {
    property(&global(), args)
}

/// svcprop in a running zone.
pub fn svcprop_in_zone(host: &Host, config: &Config, args: &[String]) -> Result<i32> {
    property(&instances(host, config)?, args)
}

fn property(instances: &[Instance], args: &[String]) -> Result<i32> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let ["-p", name, fmri] = words.as_slice() else {
        err!("svcprop: the lab knows `svcprop -p PROPERTY FMRI`");
        return Ok(2);
    };
    let Some(instance) = instances.iter().find(|instance| instance.matches(fmri)) else {
        err!("svcprop: Pattern '{fmri}' doesn't match any entities");
        return Ok(1);
    };
    let state = instance.state.trim_end_matches('*');
    match *name {
        "restarter/state" => out!("{state}"),
        "restarter/next_state" => out!("{}", if state == instance.state { "none" } else { "online" }),
        "general/enabled" => out!("{}", state != "disabled"),
        // The stop timeout as shipped.
        "stop/timeout_seconds" => out!("100"),
        other => {
            err!("svcprop: Couldn't find property '{other}' for instance '{}'.", instance.fmri);
            return Ok(1);
        }
    }
    Ok(0)
}

fn usage() -> i32 {
    err!("Usage: svcs [-aHpv] [-o col[,col ... ]] [<service> ...]\n       svcs -x [-v] [<service> ...]");
    2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_meant_by_its_name_or_any_tail_of_it() {
        let milestone = Instance::new(MILESTONE, "online");
        for pattern in
            [MILESTONE, "milestone/multi-user-server", "multi-user-server", "multi-user-server:default"]
        {
            assert!(milestone.matches(pattern), "{pattern}");
        }
        for pattern in ["multi-user", "server", ""] {
            assert!(!milestone.matches(pattern), "{pattern}");
        }
    }

    #[test]
    fn a_state_is_padded_even_where_it_stands_alone() {
        assert_eq!(row(&["state"], &["online".into()]), "online        ");
        assert_eq!(row(&["state", "fmri"], &["online".into(), "svc:/a:b".into()]), "online         svc:/a:b");
    }
}
