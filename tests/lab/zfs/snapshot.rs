//! `zfs snapshot`: all snapshots or none, in one transaction group.

use std::collections::BTreeMap;
use std::io;

use super::command::{Fail, Outcome, Session, cannot_open};
use super::name::{self, Kind, LONGEST};
use super::state::{Snapshot, State, now, random};
use super::store::Store;
use super::{files, options, property, space};

/// `zfs snapshot [-r] [-o property=value]… dataset@name…`
pub fn run(session: &Session, args: &[String]) -> Outcome {
    let parsed = options::parse(args, "ro:")?;
    if parsed.operands.is_empty() {
        return Err(Fail::Usage("missing snapshot argument".into()));
    }
    if parsed.operands.len() > 1 && !session.release.is_illumos() {
        return Err(Fail::Usage("too many arguments".into()));
    }
    let mut local = BTreeMap::new();
    for assignment in parsed.values('o') {
        let Some((property, value)) = assignment.split_once('=') else {
            return Err(Fail::Text("missing '=' for -o option".into()));
        };
        if !property::is_user(property) {
            let reason = "this property can not be modified for snapshots";
            return Err(Fail::Text(format!("cannot snapshot '{}': {reason}", parsed.operands[0])));
        }
        local.insert(property.to_owned(), value.to_owned());
    }
    session
        .store
        .change(|state| snapshot(&session.store, state, parsed.operands, parsed.has('r'), &local))??;
    Ok(0)
}

fn snapshot(
    store: &Store,
    state: &mut State,
    operands: &[String],
    recursive: bool,
    local: &BTreeMap<String, String>,
) -> Result<(), Fail> {
    let none = if recursive { "\nno snapshots were created" } else { "" };
    let mut wanted: Vec<(String, String)> = Vec::new();
    for operand in operands {
        if let Err(reason) = name::check(operand, Kind::Snapshot) {
            return Err(Fail::Text(format!("cannot snapshot '{operand}': {reason}")));
        }
        let Some((dataset, snapshot)) = operand.split_once('@') else { continue };
        if state.dataset(dataset).is_none() {
            let Fail::Text(text) = cannot_open(dataset) else { continue };
            return Err(Fail::Text(format!("{text}{none}")));
        }
        let names = if recursive { state.tree(dataset) } else { vec![dataset.to_owned()] };
        wanted.extend(names.into_iter().map(|name| (name, snapshot.to_owned())));
    }
    for (name, snapshot) in &wanted {
        let full = format!("{name}@{snapshot}");
        let refuse =
            |reason: &str| Err(Fail::Text(format!("cannot create snapshot '{full}': {reason}{none}")));
        if full.len() > LONGEST {
            return refuse("dataset name is too long");
        }
        let Some(dataset) = state.dataset(name) else { continue };
        if dataset.snapshot(snapshot).is_some() {
            return refuse("dataset already exists");
        }
        if dataset.incoming.as_ref().is_some_and(|incoming| incoming.staged.is_none()) {
            return refuse("dataset is busy");
        }
    }
    // All copies are made before the first is named: what a kill leaves is nameless.
    let mut made = Vec::new();
    for (name, snapshot) in wanted {
        let id = state.fresh_id();
        made.push((freeze(store, state, &name, snapshot, id)?, name));
    }
    let (txg, creation) = (made.first().map_or(0, |(_, name)| state.next_txg(name)), now());
    for (mut snapshot, name) in made {
        snapshot.createtxg = txg;
        snapshot.creation = creation;
        snapshot.local.clone_from(local);
        if let Some(dataset) = state.datasets.get_mut(&name) {
            dataset.snapshots.push(snapshot);
        }
    }
    Ok(())
}

/// Copies a filesystem as it is now. Answers the snapshot, which is in no table yet and has no time.
pub fn freeze(store: &Store, state: &State, name: &str, snapshot: String, id: u64) -> io::Result<Snapshot> {
    let Some(dataset) = state.dataset(name) else {
        return Err(io::Error::other(format!("'{name}' is gone")));
    };
    let frozen = Snapshot {
        name: snapshot,
        id,
        guid: random()?,
        createtxg: 0,
        creation: 0,
        referenced: 0,
        local: BTreeMap::new(),
        holds: BTreeMap::new(),
    };
    let to = store.frozen(dataset, &frozen);
    // A leftover of a killed command: ids of commands that were not stored are given out again.
    files::remove(&to)?;
    files::copy(&store.live(dataset), &to)?;
    let referenced = space::size(&to);
    Ok(Snapshot { referenced, ..frozen })
}
