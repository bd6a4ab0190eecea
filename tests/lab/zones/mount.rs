//! mount(8), as far as brand hooks and persons with a zone need it: `mount -p` and `mount -F zfs`.

use anyhow::Result;

use super::zfs;
use crate::world::Host;

/// The command.
pub fn main(host: &Host, args: &[String]) -> Result<i32> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] | ["-p"] => {
            for (dataset, path) in zfs::mounts(host)? {
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
