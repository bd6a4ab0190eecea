//! Configuration files of the system, changed whole or not at all.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::{Uid, chown};

use super::piece::Why;
use crate::spool::durable;

/// A text that ends with a whole line, so that another line can follow.
pub fn whole_lines(text: &str) -> String {
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    format!("{text}{end}")
}

/// Replaces a file's text; its owner and mode stay. A crash leaves the old text or the new one.
pub fn replace(file: &Path, text: &str) -> Result<(), Why> {
    let meta = fs::symlink_metadata(file).map_err(|error| at(file, &error))?;
    if !meta.is_file() {
        return Err(format!("{} is a link; zmigrate does not write through links", file.display()));
    }
    durable::write(file, text.as_bytes()).map_err(|error| error.to_string())?;
    fs::set_permissions(file, meta.permissions()).map_err(|error| at(file, &error))?;
    chown(file, Some(Uid::from_raw(meta.uid())), Some(meta.gid().into()))
        .map_err(|error| at(file, &error.into()))
}

/// An error with its path.
pub fn at(path: &Path, error: &io::Error) -> Why {
    format!("{}: {error}", path.display())
}
