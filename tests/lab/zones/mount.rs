//! mount(8), as far as brand hooks and persons with a zone need it: `mount -p` and `mount -F zfs`.

use anyhow::Result;

use super::zfs;
use crate::world::{Host, Profile, Settings};

/// What is mounted of the root pool, which the lab has no datasets for. Paths are those that a program outside of the lab is
/// given, the product's configuration first of all.
fn roots(settings: &Settings, host: &Host) -> Vec<(String, String)> {
    let Some(root) = settings.root_dataset() else { return Vec::new() };
    let at = |path: &str| host.file(path).display().to_string();
    let mut mounts = vec![(root.to_owned(), "/".to_owned()), ("rpool/export".to_owned(), at("export"))];
    if settings.profile == Profile::Solaris11 {
        mounts.push((format!("{root}/var"), at("var")));
        mounts.push(("rpool/VARSHARE".to_owned(), at("var/share")));
    }
    if settings.spool_dataset {
        mounts.push(("rpool/zmigrate".to_owned(), at("var/spool/zmigrate")));
    }
    mounts
}

/// The command.
pub fn main(host: &Host, args: &[String]) -> Result<i32> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] | ["-p"] => {
            for (dataset, path) in roots(&host.settings()?, host).into_iter().chain(zfs::mounts(host)?) {
                // special - mountpoint type fsck automount options
                out!("{dataset} - {path} zfs - no rw");
            }
            Ok(0)
        }
        ["-F", "zfs", dataset, path] | ["-F", "zfs", "-O", dataset, path] => {
            if let Err(why) = zfs::mount_at(host, dataset, path) {
                err!("mount: {why:#}");
                return Ok(1);
            }
            Ok(0)
        }
        _ => {
            err!("mount: the lab knows `mount -p` and `mount -F zfs DATASET PATH`");
            Ok(2)
        }
    }
}
