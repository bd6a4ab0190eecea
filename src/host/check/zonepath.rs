//! What is on disk where the zonepath would be.

use std::io;
use std::path::{Path, PathBuf};

use crate::config::Accept;
use crate::host::StepError;
use crate::job::path;

/// What is on disk where the zonepath would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ZonepathState {
    /// Nothing. A path that is not accepted is not looked at, and counts as this.
    Absent,
    /// An empty directory.
    Empty,
    /// A directory with something in it.
    NotEmpty,
    /// Something else, or a path through something that is not a directory.
    NotADirectory,
    /// It leads elsewhere, through a symbolic link; zoneadm refuses such a path.
    Link(PathBuf),
}

/// What is at `zonepath`. Only a path that the peer may use is looked at: the answer would
/// show the peer what this host has there.
pub(super) fn look(zonepath: &str, accept: &Accept) -> Result<ZonepathState, StepError> {
    let fine = path::zonepath(zonepath).is_ok();
    if !fine || !accept.zonepaths.iter().any(|top| path::is_within(zonepath, top)) {
        return Ok(ZonepathState::Absent);
    }
    look_at(Path::new(zonepath))
        .map_err(|error| StepError::transient(format!("can't look at zonepath {zonepath}: {error}")))
}

fn look_at(zonepath: &Path) -> io::Result<ZonepathState> {
    let found = match zonepath.symlink_metadata() {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Ok(ZonepathState::NotADirectory);
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // zoneadm would make it and then compare the path with the resolved one.
            return match zonepath.parent() {
                Some(parent) => Ok(match look_at(parent)? {
                    ZonepathState::Link(to) => ZonepathState::Link(to),
                    ZonepathState::NotADirectory => ZonepathState::NotADirectory,
                    _ => ZonepathState::Absent,
                }),
                None => Ok(ZonepathState::Absent),
            };
        }
        Err(error) => return Err(error),
    };
    let resolved = match zonepath.canonicalize() {
        Ok(resolved) => resolved,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(ZonepathState::NotADirectory),
        Err(error) => return Err(error),
    };
    if resolved != zonepath {
        return Ok(ZonepathState::Link(resolved));
    }
    if !found.is_dir() {
        return Ok(ZonepathState::NotADirectory);
    }
    let empty = zonepath.read_dir()?.next().is_none();
    Ok(if empty { ZonepathState::Empty } else { ZonepathState::NotEmpty })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::check::fixture::case;

    #[test]
    fn the_zonepath_is_looked_at_without_following_links() {
        let home = tempfile::tempdir().unwrap();
        let top = home.path().canonicalize().unwrap();
        std::fs::create_dir(top.join("empty")).unwrap();
        std::fs::create_dir_all(top.join("full/root")).unwrap();
        std::fs::write(top.join("file"), "").unwrap();
        std::os::unix::fs::symlink(top.join("empty"), top.join("link")).unwrap();
        std::os::unix::fs::symlink(top.join("nowhere"), top.join("broken")).unwrap();
        for (path, wanted) in [
            ("none", ZonepathState::Absent),
            ("empty/none/z", ZonepathState::Absent),
            ("empty", ZonepathState::Empty),
            ("full", ZonepathState::NotEmpty),
            ("file", ZonepathState::NotADirectory),
            ("file/z", ZonepathState::NotADirectory),
            ("broken", ZonepathState::NotADirectory),
            ("link", ZonepathState::Link(top.join("empty"))),
            ("link/z", ZonepathState::Link(top.join("empty"))),
        ] {
            assert_eq!(look_at(&top.join(path)).unwrap(), wanted, "{path}");
        }
    }

    #[test]
    fn a_path_that_is_not_accepted_is_not_looked_at() {
        let accept = case().accept;
        for path in ["/etc", "/export/zones/../../etc", "/"] {
            assert_eq!(look(path, &accept).unwrap(), ZonepathState::Absent, "{path}");
        }
    }
}
