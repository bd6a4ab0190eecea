//! The lab's emulated ZFS: `zfs` and `zpool` on directories.
//!
//! It answers as illumos and zfs-fuse do, with their words, exit statuses and streams; it keeps
//! state between commands and refuses what they refuse. Datasets are directories, snapshots are
//! copies of them, and `zfs send` writes the real record format with its checksum, so that a
//! verifier of streams has something to verify. Two hosts never share anything.
//!
//! Not emulated: volumes, promotion of clones, rollback, compound streams (-R, -p, -I), sending
//! from a bookmark, received properties, and everything below a filesystem (blocks, compression,
//! quotas on ordinary writes). The lab refuses a request for one of these; it never pretends.
//!
//! The texts are those of zfs-fuse 0.7.0 (pool version 23), recorded one by one, except where
//! illumos of 2024 has a property or an option that zfs-fuse lacks. A failed mount leaves the
//! dataset, as it does there.

mod bonus;
mod bookmark;
mod change;
mod clone;
mod columns;
mod command;
mod create;
mod crypt;
mod destroy;
mod feature;
mod files;
mod get;
mod hold;
mod intake;
mod list;
mod lock;
mod mounting;
mod mounts;
mod name;
mod natives;
mod number;
mod options;
mod property;
mod receive;
mod record;
mod release;
mod rename;
mod send;
mod set;
mod snapshot;
mod space;
mod state;
mod store;
mod upgrade;
mod usage;
mod view;
mod zpool;

use std::io;
use std::path::PathBuf;

use command::{Fail, Session};
use store::Store;

use crate::world::Host;

/// Runs the `zfs` command with the process's own stdin, stdout and stderr. Answers its exit status.
pub fn zfs(host: &Host, args: &[String]) -> i32 {
    let session = Session::of(host);
    let Some((verb, rest)) = args.split_first() else {
        return usage::general("missing command");
    };
    let outcome = match verb.as_str() {
        "bookmark" if session.release.is_illumos() => bookmark::run(&session, rest),
        "clone" => clone::run(&session, rest),
        "create" => create::run(&session, rest),
        "destroy" => destroy::run(&session, rest),
        "get" => get::run(&session, rest),
        "hold" => hold::hold(&session, rest),
        "holds" => hold::holds(&session, rest),
        "inherit" => set::inherit(&session, rest),
        "load-key" if session.release.is_illumos() => crypt::load(&session, rest),
        "unload-key" if session.release.is_illumos() => crypt::unload(&session, rest),
        "list" => list::run(&session, rest),
        "mount" => mounting::mount(&session, rest),
        "receive" | "recv" => receive::run(&session, rest),
        "release" => hold::release(&session, rest),
        "rename" => rename::run(&session, rest),
        "send" => send::run(&session, rest),
        "set" => set::set(&session, rest),
        "snapshot" | "snap" => snapshot::run(&session, rest),
        "umount" | "unmount" => mounting::unmount(&session, rest),
        "upgrade" => upgrade::run(&session, rest),
        "promote" | "change-key" | "rollback" | "diff" | "allow" | "unallow" | "userspace" | "groupspace" => {
            Err(Fail::Text(format!("zfs {verb} is not emulated in this lab")))
        }
        _ => return usage::general(&format!("unrecognized command '{}'", verb.escape_debug())),
    };
    command::finish("zfs", verb, outcome)
}

/// Runs the `zpool` command. Answers its exit status.
pub fn zpool(host: &Host, args: &[String]) -> i32 {
    zpool::run(&Session::of(host), args)
}

/// Makes a pool of `size` bytes with its root filesystem, mounted at `/<pool>`.
///
/// # Errors
/// The name is not legal or taken, the mountpoint is not empty, or the disk fails.
pub fn create_pool(host: &Host, pool: &str, size: u64) -> io::Result<()> {
    zpool::create_pool(&Session::of(host), pool, size, None, Default::default()).map_err(Fail::into_io)
}

/// Where the host's absolute path really lies: in the dataset mounted nearest above it, else below the
/// host's root directory. A state that can't be read means no mounts.
pub fn resolve(host: &Host, path: &str) -> PathBuf {
    let store = Store::of(host);
    mounts::locate(&store, &store.read().unwrap_or_default(), path)
}

/// Where the files of a filesystem lie, mounted or not; `None` where ZFS is real.
///
/// # Errors
/// The state can't be read, or there is no such dataset.
pub fn files(host: &Host, dataset: &str) -> io::Result<Option<PathBuf>> {
    if host.settings().is_ok_and(|settings| settings.real_zfs) {
        return Ok(None);
    }
    let store = Store::of(host);
    let state = store.read()?;
    let found = state.dataset(dataset).ok_or_else(|| io::Error::other(format!("no dataset '{dataset}'")))?;
    Ok(Some(store.live(found)))
}

/// What is mounted: dataset and path, by path.
///
/// # Errors
/// The state can't be read.
pub fn mounts(host: &Host) -> io::Result<Vec<(String, String)>> {
    let state = Store::of(host).read()?;
    let mut mounts: Vec<(String, String)> =
        state.datasets.into_iter().filter_map(|(name, dataset)| Some((name, dataset.mounted?))).collect();
    mounts.sort_by(|one, other| one.1.cmp(&other.1));
    Ok(mounts)
}

/// Whether nothing can be written at the host's path. Only the emulated ZFS is asked.
///
/// # Errors
/// The state can't be read.
pub fn is_readonly(host: &Host, path: &str) -> io::Result<bool> {
    Ok(mounts::is_readonly(&Store::of(host).read()?, path))
}

/// Mounts a dataset at a path, whatever its properties say: `mount -F zfs`, and what zoneadmd does for a
/// zone's datasets. Mounting again what is mounted there already is no error.
///
/// # Errors
/// There is no such dataset, it is mounted elsewhere, or the directory is not empty.
pub fn mount_at(host: &Host, dataset: &str, path: &str) -> io::Result<()> {
    let store = Store::of(host);
    let answer = store.change(|state| {
        match state.dataset(dataset).map(|dataset| dataset.mounted.clone()) {
            Some(Some(at)) if at == path => return Ok(Ok(())),
            Some(Some(at)) => return Ok(Err(format!("cannot mount '{dataset}': mounted at '{at}'"))),
            _ => {}
        }
        mounts::mount_at(&store, state, dataset, path)
    })??;
    answer.map_err(io::Error::other)
}

/// Unmounts what [`mount_at`] has mounted.
///
/// # Errors
/// Something is mounted below it.
pub fn unmount_one(host: &Host, dataset: &str) -> io::Result<()> {
    let store = Store::of(host);
    store.change(|state| mounts::unmount(&store, state, dataset))??.map_err(io::Error::other)
}

/// The host goes down: nothing is mounted any more, and no key is loaded.
///
/// # Errors
/// The state can't be read or written.
pub fn unmount_all(host: &Host) -> io::Result<()> {
    let store = Store::of(host);
    store.change(|state| {
        mounts::drop_all(&store, state)?;
        crypt::forget_keys(state);
        Ok(())
    })?
}

/// The host comes up: `zfs mount -a`. Answers what could not be mounted, in ZFS's words.
///
/// # Errors
/// The state can't be read or written.
pub fn remount(host: &Host) -> io::Result<Vec<String>> {
    let store = Store::of(host);
    store.change(|state| mounts::mount_all(&store, state))?
}

/// A reboot, as the mounts see it.
///
/// # Errors
/// The state can't be read or written.
pub fn reboot(host: &Host) -> io::Result<()> {
    unmount_all(host)?;
    for refusal in remount(host)? {
        command::complain(&refusal);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
