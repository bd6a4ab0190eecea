//! `zfs create`.

use std::collections::BTreeMap;
use std::io;

use super::command::{Fail, Outcome, Session, status};
use super::name::{self, Kind};
use super::state::{State, parent_of, pool_of};
use super::view::{is_zoned, value};
use super::{clone, crypt, feature, mounts, options, property, set};

/// `zfs create [-p] [-o property=value]… filesystem`
pub fn run(session: &Session, args: &[String]) -> Outcome {
    let parsed = options::parse(args, ":V:b:so:p")?;
    if parsed.has('V') {
        return Err(Fail::Text("volumes are not emulated in this lab".into()));
    }
    let given = given(&parsed)?;
    let name = match parsed.operands {
        [] => return Err(Fail::Usage("missing filesystem argument".into())),
        [name] => name.as_str(),
        _ => return Err(Fail::Usage("too many arguments".into())),
    };
    let complaints =
        session.store.change(|state| create(session, state, name, &given, parsed.has('p'), None))??;
    Ok(status(&complaints))
}

/// The assignments of `-o`, each property once.
pub fn given<'a>(parsed: &options::Parsed<'a>) -> Result<BTreeMap<&'a str, &'a str>, Fail> {
    let mut given = BTreeMap::new();
    for assignment in parsed.values('o') {
        let Some((property, value)) = assignment.split_once('=') else {
            return Err(Fail::Text("missing '=' for -o option".into()));
        };
        if given.insert(property, value).is_some() {
            let property = property.escape_debug();
            return Err(Fail::Text(format!("property '{property}' specified multiple times")));
        }
    }
    Ok(given)
}

/// Makes a filesystem, or a clone of the snapshot `origin`.
pub fn create(
    session: &Session,
    state: &mut State,
    name: &str,
    given: &BTreeMap<&str, &str>,
    parents: bool,
    origin: Option<&str>,
) -> Result<Vec<String>, Fail> {
    if parents && state.dataset(name).is_some() {
        return Ok(Vec::new());
    }
    let refuse = |reason: &str| Err(Fail::Text(format!("cannot create '{name}': {reason}")));
    if let Err(reason) = name::check(name, Kind::Filesystem) {
        return refuse(&reason);
    }
    let Some(parent) = parent_of(name) else { return refuse("missing dataset name") };
    let pool = pool_of(name);
    if !state.pools.contains_key(pool) {
        return refuse(&format!("no such pool '{pool}'"));
    }
    if state.dataset(name).is_some() {
        return refuse("dataset already exists");
    }
    if state.dataset(parent).is_none() && !parents {
        return refuse("parent does not exist");
    }
    let mut local = BTreeMap::new();
    for (&property, &value) in given {
        match property::accept(property, value, session.release, true) {
            Ok(value) => {
                let property =
                    property::native(property, session.release).map_or(property, |native| native.name);
                local.insert(property.to_owned(), value);
            }
            Err(reason) => return refuse(&reason),
        }
    }
    if origin.is_some_and(|origin| pool_of(origin) != pool) {
        return refuse("source and target pools differ");
    }
    let upgrade = "pool must be upgraded to set this property or value";
    for (property, value) in &local {
        if let Err(reason) = feature::allows(state, name, property, value, upgrade) {
            return refuse(&reason);
        }
    }
    let above = nearest(state, parent).unwrap_or_default();
    if let Err(reason) = crypt::may_create(session, state, &above, &local, origin.is_some()) {
        return refuse(&reason);
    }
    if let Some(ancestor) = nearest(state, parent) {
        for property in ["reservation", "refreservation"] {
            if let Some(value) = local.get(property)
                && let Err(reason) = set::fits(session, state, &ancestor, property, value)
            {
                return refuse(&reason);
            }
        }
    }
    let mut complaints = Vec::new();
    if parents {
        let above: Vec<&str> = std::iter::successors(Some(parent), |name| parent_of(name)).collect();
        for ancestor in above.into_iter().rev() {
            if state.dataset(ancestor).is_none() {
                complaints.extend(plant(session, state, ancestor, BTreeMap::new())?);
            }
        }
    }
    complaints.extend(match origin {
        Some(origin) => clone::plant(session, state, origin, name, local)?,
        None => plant(session, state, name, local)?,
    });
    Ok(complaints)
}

fn nearest(state: &State, name: &str) -> Option<String> {
    std::iter::successors(Some(name), |name| parent_of(name))
        .find(|name| state.dataset(name).is_some())
        .map(Into::into)
}

/// Makes a filesystem below a parent that exists, and mounts it if it is to be.
pub fn plant(
    session: &Session,
    state: &mut State,
    name: &str,
    mut local: BTreeMap<String, String>,
) -> io::Result<Vec<String>> {
    let mut dataset = state.new_dataset(name)?;
    if let Some(version) = local.remove("version").and_then(|version| version.parse().ok()) {
        dataset.version = version;
    }
    crypt::settle(session, state, &mut dataset, &mut local)?;
    dataset.local = local;
    session.store.make_data(&dataset)?;
    state.datasets.insert(name.to_owned(), dataset);
    mounted(session, state, name, "created")
}

/// Mounts what was `created` or `cloned`; a mount that fails leaves it made.
pub fn mounted(session: &Session, state: &mut State, name: &str, made: &str) -> io::Result<Vec<String>> {
    let mut complaints = settle(session, state, name)?;
    if !complaints.is_empty() {
        complaints.push(format!("filesystem successfully {made}, but not mounted"));
    }
    Ok(complaints)
}

/// Mounts a new filesystem if its properties want it.
pub fn settle(session: &Session, state: &mut State, name: &str) -> io::Result<Vec<String>> {
    let wanted = value(state, name, "canmount") == "on"
        && value(state, name, "mountpoint").starts_with('/')
        && !is_zoned(state, name);
    if !wanted {
        return Ok(Vec::new());
    }
    Ok(mounts::mount(&session.store, state, name)?.err().into_iter().collect())
}
