//! Streams that a daemon before this one has left running: ended before any job goes on.
//!
//! A daemon that is killed can't end its `zfs receive`, and as long as that lives its dataset is busy. Most end by themselves, since
//! their pipe has ended; one that hangs, or that is still on its way out of the kernel, is found here
//! ([`kept`]), told, killed and awaited. Where it does not end in time the job goes on, finds its dataset
//! busy, which passes, and tries again: it waits, it does not fail.

use std::time::{Duration, Instant};

use super::context::Context;
use crate::log::{Line, Severity};
use crate::process::contract::kept;

/// For how long their ends are awaited; the service's start has two minutes. A receive that is killed still waits for what its
/// pool is writing.
const ENDING: Duration = Duration::from_secs(30);
/// Nothing rings when a process ends that is no child of ours.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Ends them. Returns early when the daemon is to stop.
pub fn end(context: &Context) {
    let mut orphans = match kept::orphans(&context.spool.streams_dir()) {
        Ok(orphans) => orphans,
        Err(error) => return context.hold("streams", &error),
    };
    for orphan in &orphans {
        let pids: Vec<_> = orphan.members().iter().map(i32::to_string).collect();
        let line = Line::new().field("event", "orphan").field("pid", pids.join(","));
        context.log.write(Severity::Warning, &line.field("command", &orphan.command));
        orphan.kill();
    }
    let until = Instant::now() + ENDING;
    loop {
        orphans.retain(|orphan| !orphan.forget_ended());
        if orphans.is_empty() || context.is_stopping() {
            return;
        }
        if Instant::now() >= until {
            break;
        }
        context.bell.wait(context.bell.count(), LOOK_EVERY);
    }
    let commands: Vec<_> = orphans.iter().map(|orphan| format!("`{}`", orphan.command)).collect();
    let left = format!(
        "an earlier daemon's {} does not end; its dataset is busy, and its job waits, until it does",
        commands.join(", ")
    );
    context.hold("streams", &left);
}
