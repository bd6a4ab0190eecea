//! `mount -p`: which file systems are mounted, and where.

use std::path::{Path, PathBuf};

use super::{CmdError, ParseError};
use crate::process::{Argv, Programs};

/// One that is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    /// A dataset, a device, a host's directory.
    pub special: String,
    /// Where.
    pub mountpoint: PathBuf,
    /// `zfs`, `nfs`, `tmpfs`, …
    pub kind: String,
}

/// `mount -p`.
pub fn argv() -> Argv {
    Argv::new("mount").arg("-p")
}

/// `umount MOUNTPOINT`: for what was mounted by mount(8), which `zfs unmount` refuses.
pub fn unmount(mountpoint: &Path) -> Argv {
    Argv::new("umount").arg(mountpoint.to_string_lossy())
}

/// All that are mounted on this host.
///
/// # Errors
/// When the command fails or a line isn't understood.
pub fn all(programs: &Programs) -> Result<Vec<Mounted>, CmdError> {
    let argv = argv();
    parse(&programs.ok(&argv)?.stdout).map_err(CmdError::unreadable(&argv))
}

/// The one that a path lies in.
pub fn holder<'m>(mounted: &'m [Mounted], path: &Path) -> Option<&'m Mounted> {
    let holders = mounted.iter().filter(|mounted| path.starts_with(&mounted.mountpoint));
    // Of two at one place the later one lies on top.
    holders.max_by_key(|mounted| mounted.mountpoint.components().count())
}

/// Reads the lines of vfstab(5): special, device to fsck, mountpoint, type, pass, at boot, options.
///
/// ```text
/// rpool/ROOT/omnios-r151046 - / zfs - no rw,devices,setuid
/// ```
///
/// # Errors
/// On a line with less than four fields.
pub fn parse(text: &str) -> Result<Vec<Mounted>, ParseError> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(index, line)| {
            let mut fields = line.split_whitespace();
            let (special, _, mountpoint, kind) = (fields.next(), fields.next(), fields.next(), fields.next());
            match (special, mountpoint, kind) {
                (Some(special), Some(mountpoint), Some(kind)) => Ok(Mounted {
                    special: special.to_owned(),
                    mountpoint: mountpoint.into(),
                    kind: kind.to_owned(),
                }),
                _ => Err(ParseError::at(index, line, "has less than four fields")),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::sample::sample;

    #[test]
    fn a_path_lies_in_the_innermost_that_is_mounted() {
        let mounted = parse(sample!("mount/p.txt")).unwrap();
        for (path, special) in [
            ("/var/spool/zmigrate", "rpool/ROOT/solaris/var"),
            ("/var/share/zmigrate", "rpool/VARSHARE"),
            ("/opt/zmigrate", "rpool/ROOT/solaris"),
            ("/export/scratch", "rpool/export"),
            ("/exporter", "rpool/ROOT/solaris"),
            ("/tmp/x", "swap"),
        ] {
            assert_eq!(holder(&mounted, Path::new(path)).unwrap().special, special, "{path}");
        }
        assert!(parse("rpool/export - /export\n").is_err());
    }
}
