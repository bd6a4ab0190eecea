//! What rings the bell: files that appear, and signals.
//!
//! A watcher's event means *look*, never *this happened*: the scans decide, once a second if nothing rings.
//! On Solaris and illumos `notify` only polls, and a directory on NFS tells nothing about another host, so
//! nothing here may be needed for anything but speed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use notify::event::{EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::context::Context;

/// Watches directories for as long as it lives.
pub struct Watch {
    watcher: Option<RecommendedWatcher>,
    watched: Vec<PathBuf>,
}

impl Watch {
    /// Rings the context's bell. Without a watcher the daemon is only slower.
    pub fn new(context: &Arc<Context>) -> Self {
        let bell = Arc::clone(context);
        // Never through a link: one that a peer has put into its dropbox would have the whole host watched.
        let config = notify::Config::default().with_follow_symlinks(false);
        let rings = move |event: notify::Result<notify::Event>| {
            let rings = match event.map(|event| event.kind) {
                // A file being filled is no news; it is when it gets its name.
                Ok(
                    EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Metadata(_)) | EventKind::Access(_),
                ) => false,
                _ => true,
            };
            if rings {
                bell.bell.ring();
            }
        };
        let watcher = RecommendedWatcher::new(rings, config);
        Self { watcher: watcher.ok(), watched: Vec::new() }
    }

    /// Watches these as well, with what is below them, and no longer what is not among them.
    pub fn set(&mut self, directories: Vec<PathBuf>) {
        let Some(watcher) = &mut self.watcher else { return };
        for old in self.watched.iter().filter(|old| !directories.contains(old)) {
            let _ = watcher.unwatch(old);
        }
        let mut watched = Vec::new();
        for directory in directories {
            let is_new = !self.watched.contains(&directory);
            if !is_new || watcher.watch(Path::new(&directory), RecursiveMode::Recursive).is_ok() {
                watched.push(directory);
            }
        }
        self.watched = watched;
    }
}

/// Handles SIGTERM, SIGINT (stop) and SIGHUP (`reload` is called) in a thread of their own.
///
/// # Errors
/// When the handlers can't be set.
pub fn heed_signals(context: &Arc<Context>, reload: impl Fn() + Send + 'static) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let context = Arc::clone(context);
    thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            match signal {
                SIGHUP => reload(),
                _ => context.stop(),
            }
        }
    })?;
    Ok(())
}
