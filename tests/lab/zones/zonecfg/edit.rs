//! zonecfg's commands that change the configuration in memory: add, set, select, remove, clear, end, cancel.

use super::global;
use super::lexer::{Value, Word};
use super::resource;
use super::session::{Scope, Session};
use crate::world::Profile;
use crate::zones::config::{Config, Kind, Resource, kind};

/// How a command was used wrongly.
pub enum Misuse {
    /// The command's usage is printed.
    Usage,
    /// The grammar fails at this token.
    Syntax(String),
}

/// The `name=value` words among a command's arguments.
pub fn properties(args: &[Word]) -> Vec<(String, String)> {
    args.iter()
        .filter_map(|word| match word {
            Word::Property(name, Value::Simple(value)) => Some((name.clone(), value.clone())),
            _ => None,
        })
        .collect()
}

/// Carries out one command on a zone that is configured.
pub fn run(session: &mut Session, command: &str, args: &[Word]) -> Result<(), Misuse> {
    match (command, args) {
        ("add", [Word::Plain(name)]) if session.scope.is_none() => return add(session, name),
        ("add" | "remove", [Word::Plain(name), value]) if session.scope.is_some() => {
            change_list(session, command, name, value)?;
        }
        ("set", [Word::Property(name, value)]) => set(session, name, value),
        ("set", [Word::Property(..), surplus, ..]) => return Err(Misuse::Syntax(surplus.token())),
        ("clear", [Word::Plain(name)]) => clear(session, name),
        ("select", [Word::Plain(name), with @ ..]) if session.scope.is_none() => {
            select(session, name, &properties(with))?;
        }
        ("remove", _) if session.scope.is_none() => remove(session, args)?,
        ("end", []) => end(session),
        ("cancel", []) => {
            if session.scope.take().is_none() {
                session.fail("The cancel command only makes sense in the resource scope.");
            }
        }
        _ => return Err(Misuse::Usage),
    }
    Ok(())
}

fn add(session: &mut Session, name: &str) -> Result<(), Misuse> {
    let kind = kind(name).filter(|kind| known(kind, session.profile)).ok_or(Misuse::Usage)?;
    session.scope = Some(Scope { resource: Resource::new(kind), selected: None });
    Ok(())
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

fn change_list(session: &mut Session, command: &str, name: &str, value: &Word) -> Result<(), Misuse> {
    let Some(scope) = &mut session.scope else { return Err(Misuse::Usage) };
    let of_omnios = name != "property" || session.profile == Profile::Omnios;
    if scope.resource.kind.list != Some(name) || !of_omnios {
        session.fail(&format!("{command} {name}: not allowed in this resource"));
        return Ok(());
    }
    let values = match value {
        Word::Plain(value) => vec![value.clone()],
        Word::Value(Value::Simple(value)) => vec![value.clone()],
        Word::Value(Value::List(values)) => values.clone(),
        Word::Value(Value::Tuple(pairs)) => match resource::tuple(name, pairs) {
            Ok(text) => vec![text],
            // Said, but no error: the file goes on.
            Err(complaint) => {
                session.complain(&complaint);
                return Ok(());
            }
        },
        Word::Property(..) => return Err(Misuse::Usage),
    };
    for value in values {
        if command == "add" {
            // What is there already is there twice then.
            scope.resource.list.push(value);
        } else {
            scope.resource.list.retain(|old| *old != value);
        }
    }
    Ok(())
}

fn set(session: &mut Session, name: &str, value: &Value) {
    match (session.scope.is_some(), value) {
        (true, _) => set_property(session, name, value),
        (false, Value::Simple(value)) => global::set(session, name, value),
        (false, _) => session.fail("A simple value was expected here."),
    }
}

fn set_property(session: &mut Session, name: &str, value: &Value) {
    let Some(scope) = &mut session.scope else { return };
    if let (Some(list), Value::List(values)) = (scope.resource.kind.list, value)
        && list == name
    {
        scope.resource.list.clone_from(values);
        return;
    }
    let Value::Simple(value) = value else {
        session.fail("A simple value was expected here.");
        return;
    };
    if !scope.resource.kind.properties.iter().any(|(known, _)| *known == name) {
        // Wording unverified.
        let kind = scope.resource.kind.name;
        session.fail(&format!("set {name}: not allowed in a {kind} resource"));
        return;
    }
    match resource::accept(scope.resource.kind, name, value) {
        Ok(()) => _ = scope.resource.values.insert(name.to_owned(), value.clone()),
        Err((complaint, true)) => session.fail(&complaint),
        Err((complaint, false)) => session.complain(&complaint),
    }
}

fn clear(session: &mut Session, name: &str) {
    if let Some(scope) = &mut session.scope {
        scope.resource.values.remove(name);
        return;
    }
    let Some(config) = &mut session.config else { return };
    if name == "zonepath" {
        session.fail("zonepath: Clearing this property is not allowed");
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

fn select(session: &mut Session, name: &str, with: &[(String, String)]) -> Result<(), Misuse> {
    let Some(config) = &session.config else { return Ok(()) };
    // There can be only one of these, so it needs no property.
    let single = matches!(name, "capped-memory" | "dedicated-cpu" | "security-flags");
    if with.is_empty() && !single {
        return Err(Misuse::Usage);
    }
    match find(config, name, with) {
        Ok(at) => {
            let resource = config.resources[at].clone();
            session.scope = Some(Scope { resource, selected: Some(at) });
        }
        Err(why) => session.fail(&format!("select {name}: {why}")),
    }
    Ok(())
}

fn remove(session: &mut Session, args: &[Word]) -> Result<(), Misuse> {
    let force = args.contains(&Word::Plain("-F".into()));
    let args: Vec<Word> = args.iter().filter(|word| **word != Word::Plain("-F".into())).cloned().collect();
    let Some((Word::Plain(name), with)) = args.split_first() else { return Err(Misuse::Usage) };
    let with = properties(with);
    let Some(config) = &mut session.config else { return Ok(()) };
    if with.is_empty() {
        match config.all(name).count() {
            0 => session.fail(&format!("remove {name}: No such resource with that id")),
            2.. if !force => session.fail(
                "There are multiple instances of this resource.  Either qualify the resource to\n\
                 remove a single instance or use the -F option to remove all instances.",
            ),
            _ => {
                config.resources.retain(|resource| resource.kind.name != name);
                session.changed = true;
            }
        }
        return Ok(());
    }
    match find(config, name, &with) {
        Ok(at) => {
            config.resources.remove(at);
            session.changed = true;
        }
        Err(why) => session.fail(&format!("remove {name}: {why}")),
    }
    Ok(())
}

fn end(session: &mut Session) {
    let Some(scope) = session.scope.take() else {
        session.fail("The end command only makes sense in the resource scope.");
        return;
    };
    let profile = session.profile;
    let Some(config) = &mut session.config else { return };
    let faults = resource::faults(config, &scope);
    if !faults.is_empty() {
        for fault in faults {
            session.fail(&fault);
        }
        session.scope = Some(scope);
        return;
    }
    if profile == Profile::Omnios && scope.resource.kind.name == "capped-memory" {
        resource::cap_memory(config, &scope.resource);
    } else {
        put(config, scope);
    }
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
}
