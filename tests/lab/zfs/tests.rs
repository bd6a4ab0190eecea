//! Tests of the emulated ZFS as a whole, and the bench that the tests of its parts use.

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
    assert_eq!((bench.get("data/a", "mounted"), bench.get("data/b", "mounted")), ("yes".into(), "no".into()));
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
fn a_read_only_parent_takes_no_mountpoint() {
    let bench = Bench::new();
    assert_eq!(bench.zfs("create data/a"), 0);
    assert_eq!(bench.zfs("set readonly=on data/a"), 0);
    assert_eq!(bench.zfs("create data/a/b"), 1, "made, but not mounted");
    assert_eq!(bench.get("data/a/b", "mounted"), "no");
    assert_eq!(bench.zfs("set readonly=off data/a"), 0);
    assert_eq!(bench.zfs("mount data/a/b"), 0);
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
