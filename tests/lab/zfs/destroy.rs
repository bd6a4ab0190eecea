//! `zfs destroy`.

use std::path::PathBuf;

use super::change::Reach;
use super::command::{Fail, Outcome, Session, cannot_open};
use super::state::{Dataset, Snapshot, State, Store};
use super::view::{Item, value};
use super::{bookmark, files, options};
use crate::zfs::lock::Lock;

/// `zfs destroy [-rRf] filesystem` · `zfs destroy [-rRd] snapshot`
pub fn run(session: &Session, args: &[String]) -> Outcome {
    let parsed = options::parse(args, "rRfd")?;
    let name = match parsed.operands {
        [] => return Err(Fail::Usage("missing path argument".into())),
        [name] => name,
        _ => return Err(Fail::Usage("too many arguments".into())),
    };
    let recursive = parsed.has('r') || parsed.has('R');
    if name.contains('#') && session.release.is_illumos() {
        return bookmark::destroy(session, name, recursive, parsed.has('d'));
    }
    let garbage = session.store.change(|state| match name.split_once('@') {
        Some((dataset, snapshot)) => snapshots(&session.store, state, dataset, snapshot, recursive),
        None => filesystem(&session.store, state, name, recursive),
    })??;
    // Nothing names these any more; what a killed destroy leaves of them is only waste.
    garbage.iter().try_for_each(|dir| files::remove(dir))?;
    Ok(0)
}

fn filesystem(store: &Store, state: &mut State, name: &str, recursive: bool) -> Result<Vec<PathBuf>, Fail> {
    let Some(dataset) = state.dataset(name) else { return Err(cannot_open(name)) };
    let tree = state.tree(name);
    if !recursive {
        if !name.contains('/') {
            return Err(Fail::Text(format!(
                "cannot destroy '{name}': operation does not apply to pools\n\
                 use 'zfs destroy -r {name}' to destroy all datasets in the pool\n\
                 use 'zpool destroy {name}' to destroy the pool itself"
            )));
        }
        if tree.len() > 1 || !dataset.snapshots.is_empty() {
            let mut text = format!(
                "cannot destroy '{name}': filesystem has children\nuse '-r' to destroy the following datasets:"
            );
            dependents(state, name, &mut text);
            return Err(Fail::Text(text));
        }
    }
    for member in &tree {
        let Some(dataset) = state.dataset(member) else { continue };
        // Mounted by other hands than ZFS's own (in a zone, by mount(8)): not its to unmount.
        let lent = dataset.mounted.as_ref().is_some_and(|at| *at != value(state, member, "mountpoint"));
        if dataset.incoming.is_some() || lent {
            return Err(busy(member));
        }
        for snapshot in &dataset.snapshots {
            if is_busy(store, dataset, snapshot)? {
                return Err(busy(&format!("{member}@{}", snapshot.name)));
            }
        }
    }
    if let Err(refusal) = Reach::of_name(state, name).unmount(store, state)? {
        return Err(Fail::Text(refusal));
    }
    let mut garbage = Vec::new();
    for member in tree {
        // `zfs destroy -r POOL` leaves the pool's root.
        if member.contains('/') {
            garbage.extend(state.datasets.remove(&member).map(|dataset| store.data(dataset.id)));
        } else if let Some(root) = state.datasets.get_mut(&member) {
            let gone = std::mem::take(&mut root.snapshots);
            let root = &state.datasets[&member];
            garbage.extend(gone.iter().map(|snapshot| store.frozen(root, snapshot)));
        }
    }
    Ok(garbage)
}

/// In the order in which they would go.
fn dependents(state: &State, name: &str, text: &mut String) {
    for child in state.children(name) {
        dependents(state, child, text);
        text.push_str(&format!("\n{child}"));
    }
    for snapshot in state.dataset(name).iter().flat_map(|dataset| &dataset.snapshots) {
        text.push_str(&format!("\n{name}@{}", snapshot.name));
    }
}

fn snapshots(
    store: &Store,
    state: &mut State,
    dataset: &str,
    snapshot: &str,
    recursive: bool,
) -> Result<Vec<PathBuf>, Fail> {
    let full = format!("{dataset}@{snapshot}");
    if !recursive && Item::find(state, &full).is_none() {
        return Err(cannot_open(&full));
    }
    if state.dataset(dataset).is_none() {
        return Err(cannot_open(dataset));
    }
    let names = if recursive { state.tree(dataset) } else { vec![dataset.to_owned()] };
    let found: Vec<Item> =
        names.iter().filter_map(|name| Item::find(state, &format!("{name}@{snapshot}"))).collect();
    if found.is_empty() {
        return Err(Fail::Text(format!(
            "cannot destroy '{full}': dataset does not exist\nno snapshots destroyed"
        )));
    }
    let mut garbage = Vec::new();
    for item in found {
        let Some(snapshot) = item.snapshot else { continue };
        if is_busy(store, item.dataset, snapshot)? {
            let note = if recursive { "\nno snapshots destroyed" } else { "" };
            return Err(Fail::Text(format!("cannot destroy '{}': dataset is busy{note}", item.full_name())));
        }
        garbage.push(store.frozen(item.dataset, snapshot));
        garbage.push(store.sending(item.dataset, snapshot));
    }
    for name in names {
        if let Some(dataset) = state.datasets.get_mut(&name) {
            dataset.snapshots.retain(|other| other.name != snapshot);
        }
    }
    Ok(garbage)
}

/// Held, or being sent. (A kernel's long hold says busy; zfs-fuse waits.) The base of an incremental
/// receive in flight is busy, too, where real ZFS says `dataset already exists`.
fn is_busy(store: &Store, dataset: &Dataset, snapshot: &Snapshot) -> std::io::Result<bool> {
    let lock = store.sending(dataset, snapshot);
    let sent = lock.exists() && Lock::try_exclusive(&lock)?.is_none();
    Ok(sent || !snapshot.holds.is_empty() || dataset.incoming.is_some())
}

fn busy(name: &str) -> Fail {
    Fail::Text(format!("cannot destroy '{name}': dataset is busy"))
}
