//! `zfs set` and `zfs inherit`.

use std::io;

use super::change::Reach;
use super::command::{Fail, Outcome, Session, cannot_open, status};
use super::property::{self, Native};
use super::space::Space;
use super::state::State;
use super::view::{Item, bytes, is_zoned};
use super::{feature, mounts, options};

/// `zfs set property=value dataset…`: one property, as old software has it; a second one is taken for a
/// dataset.
pub fn set(session: &Session, args: &[String]) -> Outcome {
    let parsed = options::parse(args, "")?;
    let Some((assignment, datasets)) = parsed.operands.split_first() else {
        return Err(Fail::Usage("missing property=value argument".into()));
    };
    let (property, value) = assignment.split_once('=').unwrap_or((assignment, ""));
    if property.is_empty() {
        return Err(Fail::Usage("missing property in property=value argument".into()));
    }
    // An empty user property is legal in newer software, which nobody here needs.
    if value.is_empty() {
        return Err(Fail::Usage("missing value in property=value argument".into()));
    }
    if datasets.is_empty() {
        return Err(Fail::Usage("missing dataset name".into()));
    }
    each(session, datasets, |state, item| set_one(session, state, item, property, value))
}

/// `zfs inherit [-rS] property dataset…`
pub fn inherit(session: &Session, args: &[String]) -> Outcome {
    let parsed = options::parse(args, "rS")?;
    let Some((property, datasets)) = parsed.operands.split_first() else {
        return Err(Fail::Usage("missing property argument".into()));
    };
    if datasets.is_empty() {
        return Err(Fail::Usage("missing dataset argument".into()));
    }
    let native = property::native(property, session.release);
    let name = native.map_or(property.as_str(), |native| native.name);
    match native {
        Some(native) if native.is_readonly() => {
            return Err(Fail::Text(format!("{name} property is read-only")));
        }
        // -S goes back to a received value or to none, which any property can (observed on zfs-fuse).
        Some(native) if !native.inherits && !parsed.has('S') => {
            let sizes = ["quota", "reservation", "refquota", "refreservation"];
            let hint = if sizes.contains(&name) {
                format!("\nuse 'zfs set {name}=none' to clear")
            } else {
                String::new()
            };
            return Err(Fail::Text(format!("'{name}' property cannot be inherited{hint}")));
        }
        None if !property::is_user(property) => {
            return Err(Fail::Usage(format!("invalid property '{}'", property.escape_debug())));
        }
        _ => {}
    }
    let recursive = parsed.has('r');
    each(session, datasets, |state, full| {
        let (dataset, snapshot) = split(full);
        let mut names = vec![dataset.to_owned()];
        if recursive && snapshot.is_none() {
            names = state.tree(dataset);
        }
        let mut complaints = Vec::new();
        for dataset in names {
            complaints.extend(inherit_one(session, state, &dataset, snapshot, name, native)?);
        }
        Ok(complaints)
    })
}

/// Opens all first and complains about those that aren't there; the others are still worked on.
fn each(
    session: &Session,
    names: &[String],
    mut work: impl FnMut(&mut State, &str) -> io::Result<Vec<String>>,
) -> Outcome {
    let complaints = session.store.change(|state| -> io::Result<Vec<String>> {
        let mut complaints = Vec::new();
        let mut found = Vec::new();
        for name in names {
            if name.contains('#') && session.release.is_illumos() {
                let reason = "bookmark delimiter '#' is not expected here";
                complaints.push(format!("cannot open '{name}': {reason}"));
                continue;
            }
            match (Item::find(state, name).is_some(), cannot_open(name)) {
                (false, Fail::Text(text)) => complaints.push(text),
                _ => found.push(name),
            }
        }
        for name in found {
            complaints.extend(work(state, name)?);
        }
        Ok(complaints)
    })??;
    Ok(status(&complaints))
}

fn split(name: &str) -> (&str, Option<&str>) {
    name.split_once('@').map_or((name, None), |(dataset, snapshot)| (dataset, Some(snapshot)))
}

fn set_one(
    session: &Session,
    state: &mut State,
    full: &str,
    property: &str,
    value: &str,
) -> io::Result<Vec<String>> {
    let refuse = |reason: &str| Ok(vec![format!("cannot set property for '{full}': {reason}")]);
    let (name, snapshot) = split(full);
    if snapshot.is_some() && !property::is_user(property) {
        return refuse("this property can not be modified for snapshots");
    }
    let value = match property::accept(property, value, session.release, false) {
        Ok(value) => value,
        Err(reason) => return refuse(&reason),
    };
    let property = property::native(property, session.release).map_or(property, |native| native.name);
    if let Err(reason) = feature::allows(state, name, property, &value, feature::UPGRADE) {
        return refuse(&reason);
    }
    let Some(dataset) = state.datasets.get_mut(name) else { return Ok(Vec::new()) };
    if let Some(snapshot) = snapshot {
        let snapshot = dataset.snapshots.iter_mut().find(|other| other.name == snapshot);
        snapshot.map(|snapshot| snapshot.local.insert(property.into(), value));
        return Ok(Vec::new());
    }
    if property == "version" {
        let version = value.parse().unwrap_or(dataset.version);
        if version < dataset.version {
            return refuse(&format!("Can not downgrade; already at version {}", dataset.version));
        }
        dataset.version = version;
        return Ok(Vec::new());
    }
    if let Err(reason) = fits(session, state, name, property, &value) {
        return refuse(&reason);
    }
    if let Err(reason) = zone_allows(state, name, property) {
        return refuse(&reason);
    }
    apply(session, state, name, property, Some(value))
}

/// A property of a filesystem changes, with what that does to mounts. `None`: back to what is inherited.
fn apply(
    session: &Session,
    state: &mut State,
    name: &str,
    property: &str,
    value: Option<String>,
) -> io::Result<Vec<String>> {
    let store = &session.store;
    let moves = matches!(property, "mountpoint" | "zoned");
    let reach = moves.then(|| Reach::of_property(state, name, property));
    let delegates = property == "zoned" && value.as_deref() == Some("on");
    if let Some(reach) = reach.as_ref().filter(|_| property == "mountpoint" || delegates || value.is_none())
        && let Err(refusal) = reach.unmount(store, state)?
    {
        return Ok(vec![refusal]);
    }
    if property == "canmount"
        && value.as_deref() == Some("off")
        && let Err(refusal) = mounts::unmount(store, state, name)?
    {
        return Ok(vec![refusal]);
    }
    if let Some(dataset) = state.datasets.get_mut(name) {
        match value {
            Some(value) => dataset.local.insert(property.into(), value),
            None => dataset.local.remove(property),
        };
    }
    let Some(reach) = reach else { return Ok(Vec::new()) };
    let mut refusals = reach.remount(store, state)?;
    if !refusals.is_empty() && property == "mountpoint" {
        refusals.push("property may be set but unable to remount filesystem".into());
    }
    Ok(refusals)
}

fn inherit_one(
    session: &Session,
    state: &mut State,
    name: &str,
    snapshot: Option<&str>,
    property: &str,
    native: Option<&Native>,
) -> io::Result<Vec<String>> {
    let full = snapshot.map_or_else(|| name.to_owned(), |snapshot| format!("{name}@{snapshot}"));
    let refuse = |reason: &str| Ok(vec![format!("cannot inherit {property} for '{full}': {reason}")]);
    if let Some(snapshot) = snapshot {
        if native.is_some() {
            return refuse("property doesn't apply to datasets of this type");
        }
        let dataset = state.datasets.get_mut(name);
        let snapshot =
            dataset.and_then(|dataset| dataset.snapshots.iter_mut().find(|other| other.name == snapshot));
        snapshot.map(|snapshot| snapshot.local.remove(property));
        return Ok(Vec::new());
    }
    if property == "mountpoint" && is_zoned(state, name) {
        return refuse("dataset is used in a non-global zone");
    }
    if property == "mountpoint" && Reach::of_property(state, name, property).has_zoned_child() {
        return refuse("child dataset with inherited mountpoint is used in a non-global zone");
    }
    if state.dataset(name).is_some_and(|dataset| !dataset.local.contains_key(property)) {
        return Ok(Vec::new());
    }
    apply(session, state, name, property, None)
}

/// What belongs to the zone's administrator, and what would pull a zone's dataset from under it.
fn zone_allows(state: &State, name: &str, property: &str) -> Result<(), String> {
    if matches!(property, "mountpoint" | "sharenfs" | "sharesmb") && is_zoned(state, name) {
        return Err(format!("'{property}' cannot be set on dataset in a non-global zone"));
    }
    if property == "mountpoint" && Reach::of_property(state, name, property).has_zoned_child() {
        return Err("child dataset with inherited mountpoint is used in a non-global zone".into());
    }
    Ok(())
}

/// Whether a quota or reservation can be had.
pub fn fits(session: &Session, state: &State, name: &str, property: &str, value: &str) -> Result<(), String> {
    let Ok(wanted) = value.parse::<u64>() else { return Ok(()) };
    if wanted == 0 {
        return Ok(());
    }
    let small = || Err("size is less than current used or reserved space".into());
    let large = || Err("size is greater than available space".into());
    let space = Space::new(&session.store, state);
    let Some(item) = Item::find(state, name) else { return Ok(()) };
    let quota = |property| match bytes(state, name, property) {
        0 => u64::MAX,
        quota => quota,
    };
    match property {
        "quota" if wanted < space.used(name) || wanted < bytes(state, name, "reservation") => small(),
        "refquota" if wanted < space.referenced(item) || wanted < bytes(state, name, "refreservation") => {
            small()
        }
        "reservation" => {
            let had = space.used(name).max(bytes(state, name, property));
            let more = wanted.saturating_sub(had);
            if wanted > quota("quota") || more > space.available(name) { large() } else { Ok(()) }
        }
        "refreservation" => {
            let had = space.referenced(item).max(bytes(state, name, property));
            let more = wanted.saturating_sub(had);
            if wanted > quota("refquota") || more > space.available(name) { large() } else { Ok(()) }
        }
        _ => Ok(()),
    }
}
