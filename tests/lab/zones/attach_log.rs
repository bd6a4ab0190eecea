//! The log of a brand's attach hook: dated copies of the hook's messages, and the output of the
//! programs that it runs. One zoneadm runs one hook, so one process has one log.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Mutex;

use anyhow::{Context, Result};

use crate::world::Host;

static OPEN: Mutex<Option<File>> = Mutex::new(None);

/// The open log, if there is one.
pub struct AttachLog;

impl AttachLog {
    /// Makes the log and answers its path, as a program outside of the lab can open it.
    pub fn open(host: &Host, path: &str) -> Result<String> {
        let file = host.file(path);
        fs::create_dir_all(file.parent().context("a directory")?)?;
        let log = File::options().write(true).create_new(true).mode(0o600).open(&file);
        *OPEN.lock().expect("no panic") = Some(log.with_context(|| file.display().to_string())?);
        Ok(file.display().to_string())
    }

    /// On stdout, and with the date in the log.
    pub fn say(text: &str) -> Result<()> {
        out!("{text}");
        // [captured] form of the date, omniosorg/omnios-build #4152.
        let date = chrono::Utc::now().format("%B %e, %Y at %I:%M:%S %p UTC");
        Self::note(&format!("[{date}] {text}"))
    }

    /// In the log alone.
    pub fn note(text: &str) -> Result<()> {
        if let Some(log) = OPEN.lock().expect("no panic").as_mut() {
            writeln!(log, "{text}")?;
        }
        Ok(())
    }
}
