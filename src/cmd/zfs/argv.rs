//! Command lines of `zfs`. Options stand before operands, as Solaris's getopt wants them.

use crate::job::name::{DatasetName, SnapshotName};
use crate::process::Argv;

fn zfs<const N: usize>(args: [&str; N]) -> Argv {
    Argv::new("zfs").args(args)
}

fn names(datasets: &[DatasetName]) -> impl Iterator<Item = &str> {
    datasets.iter().map(DatasetName::as_str)
}

/// Names and `columns` of filesystems and volumes: `roots` and all below, or the whole host's for no roots.
/// `-t` because Solaris 10 lists snapshots by default.
pub fn list(columns: &[&str], roots: &[DatasetName]) -> Argv {
    let columns: Vec<_> = std::iter::once("name").chain(columns.iter().copied()).collect();
    let argv = zfs(["list", "-H"]).args((!roots.is_empty()).then_some("-r"));
    argv.args(["-o", &columns.join(","), "-t", "filesystem,volume"]).args(names(roots))
}

/// The same of one dataset alone.
pub fn list_one(columns: &[&str], name: &DatasetName) -> Argv {
    zfs(["list", "-H", "-o", &[&["name"], columns].concat().join(",")]).arg(name.as_str())
}

/// All properties of `roots` and all below, snapshots included, numbers in full.
pub fn get_all(roots: &[DatasetName]) -> Argv {
    zfs(["get", "-rHp", "-o", "name,property,value,source", "all"]).args(names(roots))
}

/// Some properties of the named datasets and snapshots alone.
pub fn get<N: AsRef<str>>(properties: &[&str], names: &[N]) -> Argv {
    let argv = zfs(["get", "-Hp", "-o", "name,property,value,source", &properties.join(",")]);
    argv.args(names.iter().map(AsRef::as_ref))
}

/// The guids of the named datasets and snapshots. Only `get -p` prints them whole: `list` gave `7.03E`.
pub fn guids<N: AsRef<str>>(names: &[N]) -> Argv {
    zfs(["get", "-Hp", "-o", "name,value", "guid"]).args(names.iter().map(AsRef::as_ref))
}

/// The guids of `roots`, of all below and of all snapshots.
pub fn guids_below(roots: &[DatasetName]) -> Argv {
    zfs(["get", "-rHp", "-o", "name,value", "guid"]).args(names(roots))
}

/// One atomic snapshot of a dataset and all below it, each with these user properties.
pub fn snapshot(root: &DatasetName, snapshot: &SnapshotName, properties: &[(&str, &str)]) -> Argv {
    zfs(["snapshot", "-r"]).args(options(properties)).arg(root.at(snapshot))
}

/// Sets one property on several datasets. Several properties in one command are only known to newer releases.
pub fn set(property: &str, value: &str, datasets: &[DatasetName]) -> Argv {
    zfs(["set"]).arg(format!("{property}={value}")).args(names(datasets))
}

/// Lets several datasets inherit a property again; a received value is masked.
pub fn inherit(property: &str, datasets: &[DatasetName]) -> Argv {
    zfs(["inherit", property]).args(names(datasets))
}

/// Lets several datasets go back to a property's received value. Pool version 22 and later.
pub fn inherit_received(property: &str, datasets: &[DatasetName]) -> Argv {
    zfs(["inherit", "-S", property]).args(names(datasets))
}

/// Renames a dataset within its pool, with all below it. Mounts it where the new parent's mountpoint is a
/// path, unless its own is local or canmount is noauto or off.
pub fn rename(from: &DatasetName, to: &DatasetName) -> Argv {
    zfs(["rename", from.as_str(), to.as_str()])
}

/// Destroys one dataset without children and snapshots.
pub fn destroy(dataset: &DatasetName) -> Argv {
    zfs(["destroy", dataset.as_str()])
}

/// Destroys a dataset with **everything below it** and all snapshots of it.
pub fn destroy_tree(root: &DatasetName) -> Argv {
    zfs(["destroy", "-r", root.as_str()])
}

/// Destroys one snapshot of one dataset.
pub fn destroy_snapshot(dataset: &DatasetName, snapshot: &SnapshotName) -> Argv {
    zfs(["destroy", &dataset.at(snapshot)])
}

/// Destroys the snapshots of this name of a dataset and of all below it.
pub fn destroy_snapshot_tree(root: &DatasetName, snapshot: &SnapshotName) -> Argv {
    zfs(["destroy", "-r", &root.at(snapshot)])
}

/// Mounts one filesystem at its mountpoint.
pub fn mount(dataset: &DatasetName) -> Argv {
    zfs(["mount", dataset.as_str()])
}

/// Unmounts one filesystem and those below it.
pub fn unmount(dataset: &DatasetName) -> Argv {
    zfs(["unmount", dataset.as_str()])
}

/// Makes a filesystem whose parent exists.
pub fn create(dataset: &DatasetName, properties: &[(&str, &str)]) -> Argv {
    zfs(["create"]).args(options(properties)).arg(dataset.as_str())
}

/// How `zfs send` writes records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// As it does without options.
    Usual,
    /// `-s nocheck`: Solaris 11.4 without its per-block checksums, whose records are not public. The letter means another
    /// thing to OpenZFS, and nothing to the rest.
    NoCheck,
}

/// Sends one snapshot: full, or from an earlier snapshot of the same dataset.
pub fn send(dataset: &DatasetName, snapshot: &SnapshotName, from: Option<&SnapshotName>, wire: Wire) -> Argv {
    let base = from.map(|from| ["-i".to_owned(), format!("@{from}")]);
    let format: &[&str] = if wire == Wire::NoCheck { &["-s", "nocheck"] } else { &[] };
    zfs(["send"]).args(format.iter().copied()).args(base.into_iter().flatten()).arg(dataset.at(snapshot))
}

/// Receives into a dataset, under this snapshot's name whatever the stream calls it. `-u`: never mounted. Never `-F`.
pub fn receive(dataset: &DatasetName, snapshot: &SnapshotName) -> Argv {
    zfs(["receive", "-u"]).arg(dataset.at(snapshot))
}

/// Lists the filesystem versions that the software takes.
pub fn versions() -> Argv {
    zfs(["upgrade", "-v"])
}

/// Asks whether `send` or `receive` takes an option: without an operand it does nothing but complain.
pub fn probe(subcommand: &'static str, letter: char) -> Argv {
    zfs([subcommand]).arg(format!("-{letter}"))
}

fn options(properties: &[(&str, &str)]) -> impl Iterator<Item = String> {
    properties.iter().flat_map(|(name, value)| ["-o".to_owned(), format!("{name}={value}")])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dataset(name: &str) -> DatasetName {
        DatasetName::new(name).unwrap()
    }

    #[test]
    fn options_stand_before_operands_and_names_stay_whole() {
        let (web, db) = (dataset("data/zones/web db"), dataset("data/db"));
        let (m, old) = (SnapshotName::new("m").unwrap(), SnapshotName::new("old").unwrap());
        let both = [web.clone(), db.clone()];
        let cases: [(Argv, &[&str]); 23] = [
            (list(&[], &[]), &["list", "-H", "-o", "name", "-t", "filesystem,volume"]),
            (
                list(&["mountpoint", "zoned"], &both),
                &[
                    "list",
                    "-H",
                    "-r",
                    "-o",
                    "name,mountpoint,zoned",
                    "-t",
                    "filesystem,volume",
                    "data/zones/web db",
                    "data/db",
                ],
            ),
            (get_all(&both[1..]), &["get", "-rHp", "-o", "name,property,value,source", "all", "data/db"]),
            (
                get(&["used", "quota"], &["data/db@m"]),
                &["get", "-Hp", "-o", "name,property,value,source", "used,quota", "data/db@m"],
            ),
            (guids(&["a", "b@c"]), &["get", "-Hp", "-o", "name,value", "guid", "a", "b@c"]),
            (guids_below(&both[1..]), &["get", "-rHp", "-o", "name,value", "guid", "data/db"]),
            (
                snapshot(&web, &m, &[("zmigrate:job", "j")]),
                &["snapshot", "-r", "-o", "zmigrate:job=j", "data/zones/web db@m"],
            ),
            (set("canmount", "noauto", &both), &["set", "canmount=noauto", "data/zones/web db", "data/db"]),
            (set("a:b", "c d=e", &both[1..]), &["set", "a:b=c d=e", "data/db"]),
            (inherit("quota", &both[1..]), &["inherit", "quota", "data/db"]),
            (inherit_received("atime", &both[1..]), &["inherit", "-S", "atime", "data/db"]),
            (rename(&db, &web), &["rename", "data/db", "data/zones/web db"]),
            (destroy(&db), &["destroy", "data/db"]),
            (destroy_tree(&db), &["destroy", "-r", "data/db"]),
            (destroy_snapshot(&db, &m), &["destroy", "data/db@m"]),
            (destroy_snapshot_tree(&db, &m), &["destroy", "-r", "data/db@m"]),
            (mount(&db), &["mount", "data/db"]),
            (
                create(&db, &[("mountpoint", "none"), ("canmount", "off")]),
                &["create", "-o", "mountpoint=none", "-o", "canmount=off", "data/db"],
            ),
            (send(&db, &m, None, Wire::Usual), &["send", "data/db@m"]),
            (send(&db, &m, Some(&old), Wire::Usual), &["send", "-i", "@old", "data/db@m"]),
            (send(&db, &m, None, Wire::NoCheck), &["send", "-s", "nocheck", "data/db@m"]),
            (receive(&db, &m), &["receive", "-u", "data/db@m"]),
            (probe("receive", 'u'), &["receive", "-u"]),
        ];
        for (argv, wanted) in cases {
            assert_eq!(argv.program(), "zfs");
            assert_eq!(argv.arguments(), wanted);
        }
    }
}
