//! `zfs destroy`.

use std::path::PathBuf;

use super::change::Reach;
use super::command::{Fail, Outcome, Session, cannot_open};
use super::release::Release;
use super::state::{Dataset, Snapshot, State};
use super::store::Store;
use super::view::{Item, value};
use super::{bookmark, clone, files, options};
use crate::zfs::lock::Lock;

/// How far a destroy goes.
#[derive(Debug, Clone, Copy)]
struct Reaching {
    /// `-r` or `-R`.
    below: bool,
    /// `-R`.
    clones: bool,
}

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
    let reaching = Reaching { below: recursive, clones: parsed.has('R') };
    let garbage = session.store.change(|state| match name.split_once('@') {
        Some((dataset, snapshot)) => {
            if parsed.has('d') && would_defer(state, name) {
                let text = "zfs destroy -d of a held or cloned snapshot is not emulated in this lab";
                return Err(Fail::Text(text.into()));
            }
            snapshots(session, state, dataset, snapshot, reaching)
        }
        None => filesystem(&session.store, state, name, reaching),
    })??;
    // Nothing names these any more; what a killed destroy leaves of them is only waste.
    garbage.iter().try_for_each(|dir| files::remove(dir))?;
    Ok(0)
}

fn would_defer(state: &State, full: &str) -> bool {
    let snapshot = Item::find(state, full).and_then(|item| item.snapshot);
    snapshot.is_some_and(|snapshot| !snapshot.holds.is_empty() || state.clones(snapshot).next().is_some())
}

fn filesystem(
    store: &Store,
    state: &mut State,
    name: &str,
    reaching: Reaching,
) -> Result<Vec<PathBuf>, Fail> {
    let Some(dataset) = state.dataset(name) else { return Err(cannot_open(name)) };
    let mut tree = state.tree(name);
    if !reaching.below {
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
    let dependents = clone::dependents(state, &tree);
    if !dependents.is_empty() && !reaching.clones {
        let head = format!("cannot destroy '{name}': filesystem has dependent clones");
        return Err(Fail::Text(format!("{head}\n{USE_R}\n{}", dependents.join("\n"))));
    }
    tree.extend(dependents.into_iter().filter(|name| !name.contains('@')));
    destroy_all(store, state, tree)
}

/// Destroys filesystems with their snapshots, all of them or none.
fn destroy_all(store: &Store, state: &mut State, tree: Vec<String>) -> Result<Vec<PathBuf>, Fail> {
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
    if let Err(refusal) = Reach::of_names(state, &tree).unmount(store, state)? {
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
    session: &Session,
    state: &mut State,
    dataset: &str,
    snapshot: &str,
    reaching: Reaching,
) -> Result<Vec<PathBuf>, Fail> {
    let (store, recursive) = (&session.store, reaching.below);
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
    let mut clones = Vec::new();
    for item in found {
        let Some(snapshot) = item.snapshot else { continue };
        clone::of_snapshot(state, snapshot, &mut clones);
        if !clones.is_empty() && !reaching.clones {
            return Err(Fail::Text(cloned(session.release, &item.full_name(), recursive, &clones)));
        }
        if is_busy(store, item.dataset, snapshot)? {
            let note = if recursive { "\nno snapshots destroyed" } else { "" };
            return Err(Fail::Text(format!("cannot destroy '{}': dataset is busy{note}", item.full_name())));
        }
        garbage.push(store.frozen(item.dataset, snapshot));
        garbage.push(store.sending(item.dataset, snapshot));
    }
    clones.retain(|name| !name.contains('@'));
    garbage.extend(destroy_all(store, state, clones)?);
    for name in names {
        if let Some(dataset) = state.datasets.get_mut(&name) {
            dataset.snapshots.retain(|other| other.name != snapshot);
        }
    }
    Ok(garbage)
}

const USE_R: &str = "use '-R' to destroy the following datasets:";

/// illumos: zfs_destroy_snaps_nvl, which destroys none of them. Older ones as zfs-fuse says it.
fn cloned(release: Release, full: &str, recursive: bool, clones: &[String]) -> String {
    match (release.is_illumos(), recursive) {
        (true, _) => format!("cannot destroy snapshot {full}: snapshot is cloned"),
        (false, true) => format!("cannot destroy '{full}': snapshot is cloned\nno snapshots destroyed"),
        (false, false) => {
            let head = format!("cannot destroy '{full}': snapshot has dependent clones");
            format!("{head}\n{USE_R}\n{}", clones.join("\n"))
        }
    }
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
