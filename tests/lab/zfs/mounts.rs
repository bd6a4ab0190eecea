//! The host's mount table: which dataset is seen at which path.
//!
//! Nothing is really mounted. [`locate`] looks up a path of the host (the longest mountpoint wins);
//! a path below no mountpoint is below the host's root directory. Where a mountpoint is a plain
//! directory of the host, a symbolic link to the data replaces it while the dataset is mounted, so
//! that a person or a program with real paths can look inside. A mountpoint inside another dataset
//! stays an empty directory.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::state::State;
use super::store::Store;
use super::view::{is_zoned, value};
use super::{crypt, files};

/// Why a dataset can't be mounted or unmounted: the whole line for stderr.
pub type Refusal = String;

/// Where a host's absolute path really lies.
pub fn locate(store: &Store, state: &State, path: &str) -> PathBuf {
    let path = clean(path);
    let holder = state
        .datasets
        .values()
        .filter_map(|dataset| Some((dataset, rest_of(&path, dataset.mounted.as_deref()?)?)))
        .min_by_key(|(_, rest)| rest.len());
    match holder {
        Some((dataset, "")) => store.live(dataset),
        Some((dataset, rest)) => store.live(dataset).join(rest),
        None => store.in_root(&path),
    }
}

/// The dataset that holds a host's path.
pub fn holder<'a>(state: &'a State, path: &str) -> Option<&'a str> {
    let path = clean(path);
    state
        .datasets
        .iter()
        .filter_map(|(name, dataset)| Some((name.as_str(), rest_of(&path, dataset.mounted.as_deref()?)?)))
        .min_by_key(|(_, rest)| rest.len())
        .map(|(name, _)| name)
}

/// Whether the dataset that holds a host's path is read-only.
pub fn is_readonly(state: &State, path: &str) -> bool {
    holder(state, path).is_some_and(|dataset| value(state, dataset, "readonly") == "on")
}

/// The part of `path` below `mountpoint`, if it lies there.
fn rest_of<'a>(path: &'a str, mountpoint: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(mountpoint.trim_end_matches('/'))?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

/// `/a//b/./c/..` as `/a/b`.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Mounts a dataset where its mountpoint says, as `zfs mount` does.
pub fn mount(store: &Store, state: &mut State, name: &str) -> io::Result<Result<(), Refusal>> {
    let mountpoint = value(state, name, "mountpoint");
    let Some(dataset) = state.dataset(name) else { return Ok(Err(unknown(name))) };
    if is_zoned(state, name) {
        return Ok(Err(format!("cannot mount '{name}': dataset is exported to a local zone")));
    }
    match mountpoint.as_str() {
        "legacy" => {
            let hint = "use mount(1M) to mount this filesystem";
            return Ok(Err(format!("cannot mount '{name}': legacy mountpoint\n{hint}")));
        }
        "none" => return Ok(Err(format!("cannot mount '{name}': no mountpoint set"))),
        _ => {}
    }
    if value(state, name, "canmount") == "off" {
        return Ok(Err(format!("cannot mount '{name}': 'canmount' property is set to 'off'")));
    }
    if dataset.incoming.as_ref().is_some_and(|incoming| incoming.staged.is_none()) {
        return Ok(Err(format!("cannot mount '{name}': mountpoint or dataset is busy")));
    }
    if dataset.mounted.is_some() {
        return Ok(Err(format!("cannot mount '{name}': filesystem already mounted")));
    }
    if crypt::is_locked(state, dataset) {
        return Ok(Err(format!("cannot mount '{name}': encryption key not loaded")));
    }
    mount_at(store, state, name, &mountpoint)
}

/// Mounts a dataset at any path, whatever its properties say: what `mount -F zfs` and zoneadmd do.
pub fn mount_at(store: &Store, state: &mut State, name: &str, path: &str) -> io::Result<Result<(), Refusal>> {
    let path = clean(path);
    if state.datasets.values().any(|dataset| dataset.mounted.as_deref() == Some(&*path)) {
        return Ok(Err(format!("cannot mount '{path}': directory is not empty")));
    }
    let place = locate(store, state, &path);
    if place == store.in_root(&path) && place != store.root {
        // A link that stands for no mount: a command was killed between making it and saying so.
        clear(&place)?;
    }
    match fs::metadata(&place) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => {
            if is_readonly(state, &path) {
                return Ok(Err(format!("cannot mount '{path}': failed to create mountpoint")));
            }
            fs::create_dir_all(&place)?;
        }
        Err(why) => return Err(why),
        Ok(meta) if !meta.is_dir() => return Ok(Err(format!("cannot mount '{path}': Not a directory"))),
        Ok(_) if !files::is_empty(&place) => {
            return Ok(Err(format!("cannot mount '{path}': directory is not empty")));
        }
        Ok(_) => {}
    }
    let Some(dataset) = state.datasets.get_mut(name) else { return Ok(Err(unknown(name))) };
    if place == store.in_root(&path) && place != store.root {
        fs::remove_dir(&place)?;
        symlink(fs::canonicalize(store.live(dataset))?, &place)?;
    }
    dataset.mounted = Some(path);
    Ok(Ok(()))
}

/// Unmounts one dataset. Something mounted below it keeps it busy.
pub fn unmount(store: &Store, state: &mut State, name: &str) -> io::Result<Result<(), Refusal>> {
    let Some(path) = state.dataset(name).and_then(|dataset| dataset.mounted.clone()) else {
        return Ok(Ok(()));
    };
    let inside = |other: &str| other != path && rest_of(other, &path).is_some();
    if state.datasets.values().filter_map(|dataset| dataset.mounted.as_deref()).any(inside) {
        return Ok(Err(format!("cannot unmount '{path}': Device busy")));
    }
    clear(&store.in_root(&path))?;
    if let Some(dataset) = state.datasets.get_mut(name) {
        dataset.mounted = None;
    }
    Ok(Ok(()))
}

/// The directory is there again where the link was.
fn clear(place: &Path) -> io::Result<()> {
    if fs::symlink_metadata(place).is_ok_and(|meta| meta.is_symlink()) {
        fs::remove_file(place)?;
        fs::create_dir(place)?;
    }
    Ok(())
}

/// All of these that are mounted, the deepest paths first.
pub fn deepest_first(state: &State, names: &[String]) -> Vec<String> {
    let mut mounted: Vec<(&str, &String)> =
        names.iter().filter_map(|name| Some((state.dataset(name)?.mounted.as_deref()?, name))).collect();
    mounted.sort_by_key(|(path, _)| std::cmp::Reverse((path.matches('/').count(), path.len())));
    mounted.into_iter().map(|(_, name)| name.clone()).collect()
}

/// Mounts all that `zfs mount -a` mounts: canmount=on, a path, not delegated. Refusals of these are
/// reported; all others are skipped silently.
pub fn mount_all(store: &Store, state: &mut State) -> io::Result<Vec<Refusal>> {
    let mut due: Vec<(String, String)> = state
        .datasets
        .iter()
        .filter(|(_, dataset)| dataset.mounted.is_none() && dataset.incoming.is_none())
        .filter(|(_, dataset)| !crypt::is_locked(state, dataset))
        .map(|(name, _)| (value(state, name, "mountpoint"), name.clone()))
        .filter(|(path, name)| {
            path.starts_with('/') && value(state, name, "canmount") == "on" && !is_zoned(state, name)
        })
        .collect();
    due.sort();
    let mut refusals = Vec::new();
    for (_, name) in due {
        refusals.extend(mount(store, state, &name)?.err());
    }
    Ok(refusals)
}

/// Forgets every mount: the host went down.
pub fn drop_all(store: &Store, state: &mut State) -> io::Result<()> {
    let all: Vec<String> = state.datasets.keys().cloned().collect();
    for name in deepest_first(state, &all) {
        // Deepest first, so nothing is busy.
        let _ = unmount(store, state, &name)?;
    }
    Ok(())
}

fn unknown(name: &str) -> Refusal {
    format!("cannot open '{name}': dataset does not exist")
}
