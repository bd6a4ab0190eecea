//! The log host does not receive what is sent: its daemon is down, or the host is off.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::link::Change;
use crate::running::{Running, wait_for};
use crate::stage::{End, Stage};

const PATIENCE: Duration = Duration::from_secs(240);

/// Nobody listens there from before the outcome until after both jobs have ended.
pub fn deaf(stage: &mut Stage) -> Result<()> {
    stage.network.as_mut().context("no network")?.stop_log();
    let heard = stage.drive(PATIENCE).and_then(|end| has_not_heard(stage, &end));
    stage.network.as_mut().context("no network")?.start_log()?;
    heard
}

/// It is off, with the link that leads to it, until both daemons have told it in vain what an earlier one left. Over TCP: a
/// UDP socket is not told that a host is off.
pub fn off(stage: &mut Stage) -> Result<()> {
    link(stage, &Change::Cut)?;
    let end = stage.drive(PATIENCE)?;
    stage.stop_daemons()?;
    let before = [0, 1].map(|i| said(&stage.hosts[i], "event=loghost-deferred"));
    stage.start_daemons()?;
    wait_for("both daemons to know that the log host is off", PATIENCE, || {
        [0, 1].into_iter().all(|i| said(&stage.hosts[i], "event=loghost-deferred") > before[i])
    })?;
    has_not_heard(stage, &end)?;
    link(stage, &Change::Join)
}

fn has_not_heard(stage: &Stage, end: &End) -> Result<()> {
    let heard = stage.network.as_ref().context("no network")?.outcomes(end.job().context("no job")?);
    ensure!(heard.is_empty(), "the log host has heard of it meanwhile: {}", heard.join("\n"));
    Ok(())
}

fn said(host: &Running, what: &str) -> usize {
    fs::read_to_string(host.daemon_log()).unwrap_or_default().matches(what).count()
}

fn link(stage: &Stage, change: &Change) -> Result<()> {
    stage.network.as_ref().context("no network")?.switch.change("loghost", change)
}
