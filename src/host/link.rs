//! Target: symbolic links in what a peer sent, found before root of this host would follow them.
//!
//! Nothing mounts through a link, and a brand's hooks, which write into the zone's root as root of
//! the global zone, must not be led out of it: OmniOS's prestate hook overwrote a file of the
//! global zone through the zone's `etc/resolv.conf`. While these functions look, the zone is down
//! and its datasets are this host's alone, so what they find stays as it is.

use std::io;
use std::path::{Component, Path, PathBuf};

/// What hooks of the carried brands write to, mount on or remove below the zone's root.
const WRITTEN: [&str; 7] =
    ["etc", "etc/resolv.conf", "etc/nsswitch.conf", "etc/vfstab", "lib/svc", "usr/lib/fm", "var/pkg"];
/// What zoneadm and detach hooks write or remove beside the root.
const BESIDE: [&str; 3] = ["root", "SUNWdetached.xml", "SUNWattached.xml"];
/// As many links as the kernel follows in one path (MAXSYMLINKS of illumos is 20).
const MOST: usize = 20;

/// The first part of an absolute path that is a symbolic link, however much of the path exists.
///
/// # Errors
/// When a directory can't be read.
pub fn on(path: &Path) -> io::Result<Option<PathBuf>> {
    let mut at = PathBuf::new();
    for part in path.components() {
        at.push(part);
        match at.symlink_metadata() {
            Ok(found) if found.is_symlink() => return Ok(Some(at)),
            Ok(_) => {}
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// What would lead the hooks out of the zone that has this zonepath, a fragment each.
///
/// # Errors
/// When a directory or a link can't be read.
pub fn leading_out(zonepath: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for name in BESIDE {
        if zonepath.join(name).symlink_metadata().is_ok_and(|meta| meta.is_symlink()) {
            found.push(format!("{name} is a symbolic link"));
        }
    }
    let root = resolve(zonepath)?.unwrap_or_else(|| zonepath.to_owned()).join("root");
    for name in WRITTEN {
        let end = resolve(&root.join(name))?;
        let leads_out = match &end {
            Some(end) => !end.starts_with(&root),
            None => true,
        };
        if leads_out {
            let end =
                end.map_or("nowhere".to_owned(), |end| end.to_string_lossy().escape_debug().to_string());
            found.push(format!("root/{name} leads to {end}"));
        }
    }
    Ok(found)
}

/// Where the kernel would end up, also when what a link names does not exist; `None` for a loop.
fn resolve(path: &Path) -> io::Result<Option<PathBuf>> {
    let mut to_go: Vec<PathBuf> = parts(path);
    let mut at = PathBuf::from("/");
    let mut followed = 0;
    while let Some(part) = to_go.pop() {
        if part == Path::new("..") {
            at.pop();
            continue;
        }
        let next = at.join(&part);
        match next.symlink_metadata() {
            Ok(found) if found.is_symlink() => {
                followed += 1;
                if followed > MOST {
                    return Ok(None);
                }
                let target = next.read_link()?;
                if target.is_absolute() {
                    at = PathBuf::from("/");
                }
                to_go.extend(parts(&target));
            }
            Ok(_) => at = next,
            Err(error) if is_absent(&error) => at = next,
            Err(error) => return Err(error),
        }
    }
    Ok(Some(at))
}

/// The parts of a path, the last one first.
fn parts(path: &Path) -> Vec<PathBuf> {
    let named = path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    let mut parts: Vec<_> = named.map(|part| PathBuf::from(part.as_os_str())).collect();
    parts.reverse();
    parts
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    struct Zone {
        _home: tempfile::TempDir,
        path: PathBuf,
    }

    fn zone() -> Zone {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().canonicalize().unwrap().join("web");
        for dir in ["root/etc", "root/usr/lib", "root/lib"] {
            fs::create_dir_all(path.join(dir)).unwrap();
        }
        Zone { _home: home, path }
    }

    #[test]
    fn a_link_is_found_wherever_the_path_ends() {
        let zone = zone();
        symlink("/etc", zone.path.join("link")).unwrap();
        symlink("/nowhere", zone.path.join("dangling")).unwrap();
        for (path, link) in [
            ("link", Some("link")),
            ("link/ssh/none", Some("link")),
            ("dangling", Some("dangling")),
            ("dangling/none", Some("dangling")),
            ("root/etc", None),
            ("root/none/at/all", None),
        ] {
            let found = on(&zone.path.join(path)).unwrap();
            assert_eq!(found, link.map(|link| zone.path.join(link)), "{path}");
        }
    }

    #[test]
    fn an_ordinary_zone_leads_nowhere_else() {
        let zone = zone();
        assert_eq!(leading_out(&zone.path).unwrap(), [""; 0]);
        // As some systems have them: links that stay within the root.
        symlink("usr/lib", zone.path.join("root/lib2")).unwrap();
        symlink("../run/resolv.conf", zone.path.join("root/etc/resolv.conf")).unwrap();
        symlink("./inet/../vfstab.real", zone.path.join("root/etc/vfstab")).unwrap();
        assert_eq!(leading_out(&zone.path).unwrap(), [""; 0]);
    }

    #[test]
    fn a_link_that_leaves_the_root_is_named() {
        for (name, to, said) in [
            ("root/etc/resolv.conf", "/etc/passwd", "root/etc/resolv.conf leads to /etc/passwd"),
            ("root/etc/nsswitch.conf", "/no/such/file", "root/etc/nsswitch.conf leads to /no/such/file"),
            ("root/etc/vfstab", "../../../outside", "root/etc/vfstab leads to"),
            ("root/lib/svc", "/no/svc", "root/lib/svc leads to /no/svc"),
            ("root/usr/lib/fm", "/no", "root/usr/lib/fm leads to /no"),
            ("root/etc/vfstab", "vfstab", "root/etc/vfstab leads to nowhere"),
            ("root/var", "/no", "root/var/pkg leads to /no/pkg"),
            ("SUNWdetached.xml", "/etc/zones/other.xml", "SUNWdetached.xml is a symbolic link"),
        ] {
            let zone = zone();
            symlink(to, zone.path.join(name)).unwrap();
            let found = leading_out(&zone.path).unwrap();
            assert!(found.len() == 1 && found[0].starts_with(said), "{name}: {found:?}");
        }
        let zone = zone();
        fs::remove_dir_all(zone.path.join("root/etc")).unwrap();
        symlink("/etc", zone.path.join("root/etc")).unwrap();
        let found = leading_out(&zone.path).unwrap().join("; ");
        assert!(
            found.contains("root/etc leads to /etc; root/etc/resolv.conf leads to /etc/resolv.conf"),
            "{found}"
        );
    }
}
