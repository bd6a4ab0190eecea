//! Looks at names in the spool, with errors that say where.

use std::fs;
use std::io;
use std::path::Path;

use super::error::SpoolError;

/// Whether something has this name, a dangling link included.
pub(super) fn exists(path: &Path) -> Result<bool, SpoolError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(SpoolError::io("look at", path, e)),
    }
}

/// All entries of a folder.
pub(super) fn read_dir(path: &Path) -> Result<Vec<fs::DirEntry>, SpoolError> {
    fs::read_dir(path)
        .and_then(|entries| entries.collect::<io::Result<Vec<_>>>())
        .map_err(|e| SpoolError::io("list", path, e))
}
