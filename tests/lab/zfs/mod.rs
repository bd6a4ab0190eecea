//! The lab's ZFS where there is no real one: `zfs` and `zpool` on directories.
//!
//! It answers as illumos and zfs-fuse do, with their words, exit statuses and streams, keeps state between
//! commands, and refuses what they refuse. Datasets are directories, snapshots are copies of them, and
//! `zfs send` writes the real record format with its checksum, so that whatever verifies streams has
//! something to verify. Two hosts never share anything.
//!
//! Not there: volumes, promotion of clones, rollback, compound streams (-R, -p, -I), sending from a bookmark, received properties, and whatever
//! happens below a filesystem (blocks, compression, quotas on ordinary writes). Asked for one of these it
//! refuses; it never pretends.
//!
//! Texts are those of zfs-fuse 0.7.0 (pool version 23), asked for one by one, but where illumos of 2024
//! has a property or an option that it lacks. A mount that fails leaves what was made, as it does there.

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
mod upgrade;
mod usage;
mod view;
mod zpool;

use std::io;
use std::path::PathBuf;

use command::{Fail, Session};
use state::Store;

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
mod tests {
    use std::fs;

    use super::view::Item;
    use super::*;

    pub struct Bench {
        dir: tempfile::TempDir,
        pub host: Host,
    }

    impl Bench {
        /// A host with the pool `data`.
        pub fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let host = Host { root: dir.path().join("zhost1") };
            fs::create_dir_all(host.state_dir()).unwrap();
            create_pool(&host, "data", 1 << 30).unwrap();
            Self { dir, host }
        }

        pub fn zfs(&self, line: &str) -> i32 {
            let args: Vec<String> = line.split_whitespace().map(Into::into).collect();
            zfs(&self.host, &args)
        }

        pub fn get(&self, name: &str, property: &str) -> String {
            let store = Store::of(&self.host);
            let state = store.read().unwrap();
            let space = space::Space::new(&store, &state);
            view::get(&space, Item::find(&state, name).unwrap(), property).0
        }

        /// What `zfs get -r` would show below `top`, with bookmarks or without.
        pub fn names(&self, top: &str, bookmarks: bool) -> Vec<String> {
            let state = Store::of(&self.host).read().unwrap();
            let types = list::Types { filesystems: true, snapshots: true, bookmarks };
            let (items, _) = list::select(&state, &[top.to_owned()], usize::MAX, None, types);
            items.iter().map(view::Item::full_name).collect()
        }

        pub fn path(&self, path: &str) -> PathBuf {
            resolve(&self.host, path)
        }

        pub fn exists(&self, name: &str) -> bool {
            Item::find(&Store::of(&self.host).read().unwrap(), name).is_some()
        }
    }

    #[test]
    fn a_path_lies_in_the_dataset_mounted_nearest_above_it() {
        let bench = Bench::new();
        assert_eq!(bench.zfs("create -o mountpoint=/export/zones/web data/web"), 0);
        assert_eq!(bench.zfs("create -o mountpoint=/export/zones/web/root data/root"), 0);
        fs::write(resolve(&bench.host, "/export/zones/web/root/f"), "in root").unwrap();
        let inside = resolve(&bench.host, "/export/zones/web").join("root");
        assert!(fs::read_dir(inside).unwrap().next().is_none(), "a mountpoint stays an empty directory");
        assert_eq!(resolve(&bench.host, "/export/zones/webby"), bench.host.root.join("export/zones/webby"));
        assert_eq!(bench.zfs("unmount data/web"), 1, "something is mounted inside");
        assert_eq!(bench.zfs("unmount data/root"), 0);
        assert_eq!(bench.zfs("unmount data/web"), 0);
        assert!(bench.host.root.join("export/zones/web").is_dir());
    }

    #[test]
    fn a_rename_out_of_a_place_without_mountpoint_mounts_unless_canmount_is_noauto() {
        let bench = Bench::new();
        for line in ["-o mountpoint=none data/q", "data/q/a", "-o canmount=noauto data/q/b"] {
            assert_eq!(bench.zfs(&format!("create {line}")), 0);
        }
        assert_eq!(bench.zfs("rename data/q/a data/a"), 0);
        assert_eq!(bench.zfs("rename data/q/b data/b"), 0);
        assert_eq!(
            (bench.get("data/a", "mounted"), bench.get("data/b", "mounted")),
            ("yes".into(), "no".into())
        );
        assert_eq!(bench.get("data/b", "mountpoint"), "/data/b");
    }

    #[test]
    fn a_delegated_dataset_is_neither_mounted_nor_moved_from_the_global_zone() {
        let bench = Bench::new();
        assert_eq!(bench.zfs("create data/top"), 0);
        assert_eq!(bench.zfs("create data/top/tank"), 0);
        assert_eq!(bench.zfs("set zoned=on data/top/tank"), 0);
        assert_eq!(bench.get("data/top/tank", "mounted"), "no");
        for line in [
            "mount data/top/tank",
            "set mountpoint=/x data/top/tank",
            "rename data/top/tank data/x",
            "rename data/top data/x",
            "set mountpoint=/x data/top",
        ] {
            assert_eq!(bench.zfs(line), 1, "{line}");
        }
        assert_eq!(bench.zfs("set zoned=off data/top/tank"), 0);
        assert_eq!(bench.zfs("rename data/top data/x"), 0);
    }

    #[test]
    fn a_recursive_snapshot_is_made_everywhere_or_nowhere() {
        let bench = Bench::new();
        assert_eq!(bench.zfs("create -p data/a/b"), 0);
        assert_eq!(bench.zfs("snapshot data/a/b@s"), 0);
        assert_eq!(bench.zfs("snapshot -r data@s"), 1);
        assert!(!bench.exists("data/a@s"));
        assert_eq!(bench.zfs("snapshot -r data@t"), 0);
        assert_eq!(bench.get("data@t", "createtxg"), bench.get("data/a/b@t", "createtxg"));
    }

    #[test]
    fn what_was_written_since_a_snapshot_is_counted() {
        let bench = Bench::new();
        assert_eq!(bench.zfs("create data/a"), 0);
        fs::write(resolve(&bench.host, "/data/a/f"), vec![1; 100_000]).unwrap();
        assert_eq!(bench.zfs("snapshot data/a@s"), 0);
        assert_eq!(bench.get("data/a", "written"), "0");
        fs::write(resolve(&bench.host, "/data/a/g"), vec![1; 10_000]).unwrap();
        assert_eq!(bench.get("data/a", "written"), (10_240 + 512 + 512).to_string());
        assert_eq!(bench.zfs("set quota=50k data/a"), 1, "less than used");
    }

    #[test]
    fn a_dead_receivers_dataset_is_taken_away() {
        let bench = Bench::new();
        let store = Store::of(&bench.host);
        store
            .change(|state| {
                let mut dataset = state.new_dataset("data/half").unwrap();
                store.make_data(&dataset).unwrap();
                // No process has pid 0; nobody holds the lock.
                dataset.incoming = Some(state::Incoming { pid: 0, staged: None });
                state.datasets.insert("data/half".into(), dataset);
            })
            .unwrap();
        assert!(!bench.exists("data/half"));
        let left = fs::read_dir(bench.host.state_dir().join("zfs/data")).unwrap().count();
        assert_eq!(left, 1, "the pool's own data only");
    }

    #[test]
    fn after_a_reboot_what_mounts_itself_is_mounted() {
        let bench = Bench::new();
        assert_eq!(bench.zfs("create data/a"), 0);
        assert_eq!(bench.zfs("create -o canmount=noauto data/b"), 0);
        assert_eq!(bench.zfs("mount data/b"), 0);
        reboot(&bench.host).unwrap();
        let mounted: Vec<String> = mounts(&bench.host).unwrap().into_iter().map(|(_, path)| path).collect();
        assert_eq!(mounted, ["/data", "/data/a"]);
        assert!(bench.dir.path().join("zhost1/data").is_symlink());
    }
}
