//! What every verb needs first: the configuration, and the spool that it names.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::config::{self, Config};
use crate::job::fault::Faults;
use crate::spool::Spool;

use super::error::CliError;
use super::shown::clean;

/// The configuration and the spool. Nothing has been made or checked by having one.
#[derive(Debug)]
pub struct Context {
    /// Where the configuration was read.
    pub file: PathBuf,
    /// The configuration.
    pub config: Config,
    /// The spool, to be read and asked beside the daemon.
    pub spool: Spool,
}

impl Context {
    /// Reads the configuration.
    ///
    /// # Errors
    /// All its faults.
    pub fn load(file: &Path) -> Result<Self, Faults> {
        let config = Config::load(file, &config::own_name())?;
        let spool = Spool::at(&config.spool);
        Ok(Self { file: file.to_owned(), config, spool })
    }

    /// Says on stderr that no daemon runs, where that is so. Returns whether one does.
    ///
    /// # Errors
    /// When the lock can't be asked.
    pub fn warn_without_daemon(&self, meaning: &str) -> Result<bool, CliError> {
        let runs = self.spool.daemon()?.is_some();
        if !runs {
            warn(&format!("no zmigrated runs on {}: {meaning}", self.spool.dir().display()));
        }
        Ok(runs)
    }
}

/// Says something on stderr that is no failure.
pub fn warn(text: &str) {
    // Nothing can be done about a closed stderr.
    let _ = writeln!(io::stderr(), "zmigrate: {}", clean(text));
}

/// Writes to standard output.
///
/// # Errors
/// Of the writing; a reader who has gone is a quiet one.
pub fn print(text: &str) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Writes one JSON value to standard output, for scripts.
///
/// # Errors
/// As [`print`].
pub fn print_json(value: &impl Serialize) -> Result<(), CliError> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    print(&text)
}
