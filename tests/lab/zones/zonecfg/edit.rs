//! zonecfg's commands that change the configuration in memory: add, set, select, remove, clear, end, cancel.

use super::lexer::Word;
use super::session::{Scope, Session};
use crate::world::Profile;
use crate::zones::config::{Config, GLOBALS, Kind, Resource, kind};
use crate::zones::kernel::State;

/// Resource controls that have a short name: `set cpu-shares=20`; name and action.
const ALIASES: &[(&str, &str)] = &[
    ("cpu-shares", "none"),
    ("max-lwps", "deny"),
    ("max-processes", "deny"),
    ("max-msg-ids", "deny"),
    ("max-sem-ids", "deny"),
    ("max-shm-ids", "deny"),
    ("max-shm-memory", "deny"),
];

/// The `name=value` words among a command's arguments.
pub fn properties(args: &[Word]) -> Vec<(String, String)> {
    args.iter()
        .filter_map(|word| match word {
            Word::Property(name, values) => Some((name.clone(), values.join(","))),
            _ => None,
        })
        .collect()
}

/// Carries out one command on a zone that is configured. False: it was used wrongly.
pub fn run(session: &mut Session, command: &str, args: &[Word], line: usize) -> bool {
    match (command, args) {
        ("add", [Word::Plain(name)]) if session.scope.is_none() => add(session, name, line),
        ("add" | "remove", [Word::Plain(name), values]) if session.scope.is_some() => {
            change_list(session, command, name, values, line)
        }
        ("set", [Word::Property(name, values)]) => {
            if session.scope.is_some() {
                set_property(session, name, values, line);
            } else {
                set_global(session, name, values, line);
            }
            true
        }
        ("clear", [Word::Plain(name)]) => {
            clear(session, name, line);
            true
        }
        ("select", [Word::Plain(name), with @ ..]) if session.scope.is_none() => {
            select(session, name, &properties(with), line);
            true
        }
        ("remove", _) if session.scope.is_none() => remove(session, args, line),
        ("end", []) => {
            end(session, line);
            true
        }
        ("cancel", []) => {
            if session.scope.take().is_none() {
                session.fail("The cancel command only makes sense in the resource scope.", line);
            }
            true
        }
        _ => false,
    }
}

fn add(session: &mut Session, name: &str, line: usize) -> bool {
    let Some(kind) = kind(name).filter(|kind| known(kind, session.profile)) else {
        session.syntax_error(name, line);
        return true;
    };
    session.scope = Some(Scope { resource: Resource::new(kind), selected: None });
    true
}

/// Only Solaris 10 has inherit-pkg-dir, and it has no admin; security-flags are illumos's.
fn known(kind: &Kind, profile: Profile) -> bool {
    match kind.name {
        "inherit-pkg-dir" => profile == Profile::Solaris10,
        "admin" => profile != Profile::Solaris10,
        "security-flags" => profile == Profile::Omnios,
        _ => true,
    }
}

fn change_list(session: &mut Session, command: &str, name: &str, values: &Word, line: usize) -> bool {
    let Some(scope) = &mut session.scope else { return false };
    if scope.resource.kind.list != Some(name) {
        session.fail(&format!("{command} {name}: not allowed in this resource"), line);
        return true;
    }
    let values = match values {
        Word::Plain(value) => vec![value.clone()],
        Word::Values(values) => values.clone(),
        Word::Property(..) => return false,
    };
    for value in values {
        scope.resource.list.retain(|old| *old != value);
        if command == "add" {
            scope.resource.list.push(value);
        }
    }
    true
}

fn set_property(session: &mut Session, name: &str, values: &[String], line: usize) {
    let Some(scope) = &mut session.scope else { return };
    if scope.resource.kind.list == Some(name) {
        scope.resource.list = values.to_vec();
        return;
    }
    if !scope.resource.kind.properties.iter().any(|(known, _)| *known == name) {
        session.syntax_error(name, line);
        return;
    }
    let value = values.join(",");
    let net = scope.resource.kind.name == "net";
    if net && name == "address" && crate::net::address::parse(&value).is_none() {
        session.fail(&format!("{value}: bogus host name or network address syntax"), line);
        return;
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || "_.".contains(c);
    if net && name == "physical" && (value.is_empty() || !value.chars().all(legal)) {
        session.fail(&format!("{value}: invalid physical interface name"), line);
        return;
    }
    scope.resource.values.insert(name.to_owned(), value);
}

fn set_global(session: &mut Session, name: &str, values: &[String], line: usize) {
    let value = values.join(",");
    let installed = session.state.is_some_and(|state| state != State::Configured);
    if installed && matches!(name, "zonepath" | "brand" | "ip-type" | "zonename") {
        // Not flagged: alone on the command line this ends with 0.
        session.complain(&format!("Zone {} already installed; set {name} not allowed.", session.zone), line);
        return;
    }
    let profile = session.profile;
    let Some(config) = &mut session.config else { return };
    if let Err(message) = global(config, name, &value, profile) {
        match message {
            Some(message) => session.fail(&message, line),
            None => drop(session.syntax_error(name, line)),
        }
        return;
    }
    session.changed = true;
}

/// `Err(None)`: there is no such property.
fn global(config: &mut Config, name: &str, value: &str, profile: Profile) -> Result<(), Option<String>> {
    match name {
        "zonepath" if value.is_empty() => return Err(Some("zonepath cannot be empty.".into())),
        "zonepath" if !value.starts_with('/') => {
            return Err(Some(format!("{value} is not an absolute path.")));
        }
        "zonepath" => value.clone_into(&mut config.zonepath),
        "brand" => value.clone_into(&mut config.brand),
        "autoboot" => match value {
            "true" => config.autoboot = true,
            "false" => config.autoboot = false,
            // Wording unverified.
            _ => return Err(Some("autoboot value must be 'true' or 'false'".into())),
        },
        "ip-type" => match value {
            "shared" | "exclusive" => value.clone_into(&mut config.ip_type),
            // Wording unverified.
            _ => return Err(Some("ip-type value must be 'shared' or 'exclusive'".into())),
        },
        "hostid" | "fs-allowed" if profile == Profile::Solaris10 => return Err(None),
        _ if GLOBALS.contains(&name) => {
            config.globals.remove(name);
            if !value.is_empty() {
                config.globals.insert(name.to_owned(), value.to_owned());
            }
        }
        _ => {
            let (alias, action) = ALIASES.iter().find(|(alias, _)| *alias == name).ok_or(None)?;
            let full = format!("zone.{alias}");
            config.resources.retain(|r| !(r.kind.name == "rctl" && r.get("name") == full));
            let mut rctl = Resource::of("rctl", &[("name", &full)]);
            rctl.list.push(format!("(priv=privileged,limit={value},action={action})"));
            config.resources.push(rctl);
        }
    }
    Ok(())
}

fn clear(session: &mut Session, name: &str, line: usize) {
    if let Some(scope) = &mut session.scope {
        scope.resource.values.remove(name);
        return;
    }
    let Some(config) = &mut session.config else { return };
    if name == "zonepath" {
        session.fail("zonepath cannot be empty.", line);
        return;
    }
    if name == "autoboot" {
        config.autoboot = false;
    }
    config.globals.remove(name);
    session.changed = true;
}

/// The one resource of a kind that has these properties.
fn find(config: &Config, name: &str, with: &[(String, String)]) -> Result<usize, &'static str> {
    let fits = |resource: &Resource| {
        resource.kind.name == name && with.iter().all(|(key, value)| resource.get(key) == value)
    };
    let mut found = config.resources.iter().enumerate().filter(|(_, resource)| fits(resource));
    match (found.next(), found.next()) {
        (None, _) => Err("No such resource with that id"),
        (Some((at, _)), None) => Ok(at),
        (Some(_), Some(_)) => Err("Insufficient specification"),
    }
}

fn select(session: &mut Session, name: &str, with: &[(String, String)], line: usize) {
    let Some(config) = &session.config else { return };
    // There can be only one of these, so it needs no property.
    let single = matches!(name, "capped-memory" | "dedicated-cpu" | "security-flags");
    let found =
        if with.is_empty() && !single { Err("Insufficient specification") } else { find(config, name, with) };
    match found {
        Ok(at) => {
            let resource = config.resources[at].clone();
            session.scope = Some(Scope { resource, selected: Some(at) });
        }
        Err(why) => session.fail(&format!("select {name}: {why}"), line),
    }
}

fn remove(session: &mut Session, args: &[Word], line: usize) -> bool {
    let force = args.contains(&Word::Plain("-F".into()));
    let args: Vec<Word> = args.iter().filter(|word| **word != Word::Plain("-F".into())).cloned().collect();
    let Some((Word::Plain(name), with)) = args.split_first() else { return false };
    let with = properties(with);
    let Some(config) = &mut session.config else { return false };
    if with.is_empty() {
        let count = config.all(name).count();
        if count > 1 && !force {
            // Wording unverified.
            session.fail(
                &format!("remove {name}: Are you sure? Input not from terminal and -F not specified"),
                line,
            );
            return true;
        }
        if count == 0 {
            session.fail(&format!("remove {name}: No such resource with that id"), line);
            return true;
        }
        config.resources.retain(|resource| resource.kind.name != name);
        session.changed = true;
        return true;
    }
    match find(config, name, &with) {
        Ok(at) => {
            config.resources.remove(at);
            session.changed = true;
        }
        Err(why) => session.fail(&format!("remove {name}: {why}"), line),
    }
    true
}

fn end(session: &mut Session, line: usize) {
    let Some(scope) = session.scope.take() else {
        session.fail("The end command only makes sense in the resource scope.", line);
        return;
    };
    let Some(config) = &mut session.config else { return };
    let resource = &scope.resource;
    let missing: Vec<&str> =
        resource.kind.required.iter().copied().filter(|name| resource.get(name).is_empty()).collect();
    let twin = resource.kind.unique.filter(|unique| {
        config.resources.iter().enumerate().any(|(at, other)| {
            Some(at) != scope.selected
                && other.kind.name == resource.kind.name
                && other.get(unique) == resource.get(unique)
        })
    });
    if let Some(unique) = twin {
        let (name, value) = (resource.kind.name, resource.get(unique).to_owned());
        session.fail(&format!("A {name} resource with the {unique} '{value}' already exists."), line);
        session.scope = Some(scope);
        return;
    }
    if !missing.is_empty() {
        for name in missing {
            session.fail(&format!("{name} not specified"), line);
        }
        session.scope = Some(scope);
        return;
    }
    put(config, scope);
    session.changed = true;
}

/// libzonecfg edits a resource by deleting and adding it, so an edited one ends up last
/// (`zonecfg_modify_ds` and its like; recorded in samples/real/export-illumos-edited.txt).
fn put(config: &mut Config, scope: Scope) {
    if let Some(at) = scope.selected {
        config.resources.remove(at);
    }
    config.resources.push(scope.resource);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(addresses: &[&str]) -> Config {
        let net = |address: &&str| Resource::of("net", &[("address", *address), ("physical", "nge0")]);
        Config { resources: addresses.iter().map(net).collect(), ..Config::default() }
    }

    #[test]
    fn each_system_knows_its_own_resources() {
        let has = |profile, name: &str| kind(name).is_some_and(|kind| known(kind, profile));
        let all = [Profile::Solaris10, Profile::Omnios, Profile::Solaris11];
        for (name, wanted) in [
            ("inherit-pkg-dir", [true, false, false]),
            ("admin", [false, true, true]),
            ("security-flags", [false, true, false]),
            ("dataset", [true, true, true]),
        ] {
            assert_eq!(all.map(|profile| has(profile, name)), wanted, "{name}");
        }
    }

    #[test]
    fn a_selection_must_fit_exactly_one_resource() {
        let config = config(&["192.0.2.10/24", "192.0.2.11/24"]);
        let with = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        assert_eq!(find(&config, "net", &with("address", "192.0.2.11/24")), Ok(1));
        assert_eq!(find(&config, "net", &with("physical", "nge0")), Err("Insufficient specification"));
        assert_eq!(find(&config, "net", &with("physical", "bge0")), Err("No such resource with that id"));
    }

    #[test]
    fn an_edited_resource_moves_to_the_end() {
        let mut config = config(&["192.0.2.10/24", "192.0.2.11/24"]);
        let mut resource = config.resources[0].clone();
        resource.values.insert("address".into(), "192.0.2.12/24".into());
        put(&mut config, Scope { resource, selected: Some(0) });
        let addresses: Vec<&str> = config.all("net").map(|net| net.get("address")).collect();
        assert_eq!(addresses, ["192.0.2.11/24", "192.0.2.12/24"]);
    }

    #[test]
    fn a_short_name_sets_its_resource_control_once() {
        let mut config = Config::default();
        for limit in ["10", "20"] {
            assert_eq!(global(&mut config, "cpu-shares", limit, Profile::Omnios), Ok(()));
        }
        let rctl: Vec<_> = config.all("rctl").map(|rctl| rctl.list.join(" ")).collect();
        assert_eq!(rctl, ["(priv=privileged,limit=20,action=none)"]);
        assert_eq!(global(&mut config, "nonsense", "1", Profile::Omnios), Err(None));
        assert_eq!(global(&mut config, "hostid", "1", Profile::Solaris10), Err(None));
    }
}
