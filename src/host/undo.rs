//! Target: the way back from a handoff, each step the counterpart of one that may have been done, and each
//! content with finding nothing to do. Ends with the received datasets in quarantine, where they are kept
//! if the zone may have written to them.

use std::time::Duration;

use super::install::{Found, Target};
use super::{Done, StepError, quarantine, route};
use crate::cmd::zfs::{Fault, Zfs, argv};
use crate::cmd::zoneadm::ZoneState;
use crate::cmd::{mount, zoneadm, zonecfg};
use crate::job::event::Event;
use crate::job::layout::Placed;
use crate::job::message::Verdict;
use crate::job::name::{Bytes, DatasetName, Guid};
use crate::job::step::Undo;

/// Ensures one step of the way back.
///
/// # Errors
/// What the command said; tried again until it succeeds.
pub fn undo(target: &Target<'_>, step: Undo, age: Duration) -> Result<Done, StepError> {
    let zone = target.job.zone();
    let undone = |kept, written| Done::Event(Event::Undone { step, kept, written });
    let state = match step {
        Undo::Halt | Undo::Detach | Undo::Unconfigure => match target.found()? {
            Found::Ours(line) => Some(line.state),
            // Somebody else's zone is left alone. Any other failure to look tells nothing, and is tried again.
            Found::Another(_) | Found::None => None,
        },
        _ => None,
    };
    match (step, state) {
        (Undo::Halt | Undo::Detach | Undo::Unconfigure, None) => Ok(undone(Vec::new(), None)),
        // In each of the three: a boot or an attach that has outlived its daemon may come behind the halt or the detach.
        (
            Undo::Halt | Undo::Detach | Undo::Unconfigure,
            Some(ZoneState::Running | ZoneState::Ready | ZoneState::ShuttingDown | ZoneState::Down),
        ) => {
            target.programs.ok(&zoneadm::halt(zone))?;
            Ok(Done::poll(format!("zone '{zone}' to halt"), age))
        }
        (Undo::Halt, Some(_)) => Ok(undone(Vec::new(), None)),
        (Undo::Detach | Undo::Unconfigure, Some(ZoneState::Installed)) => {
            target.programs.ok(&zoneadm::detach(zone))?;
            Ok(Done::poll(format!("zone '{zone}' to be detached"), age))
        }
        // An update that was cut short leaves it incomplete, which is not attached: its configuration can go.
        (Undo::Detach, Some(ZoneState::Configured | ZoneState::Incomplete)) => Ok(undone(Vec::new(), None)),
        (Undo::Unconfigure, Some(ZoneState::Configured | ZoneState::Incomplete)) => {
            target.programs.ok(&zonecfg::delete(zone))?;
            Ok(Done::poll(format!("zone '{zone}' to be gone"), age))
        }
        (Undo::Detach | Undo::Unconfigure, Some(state @ (ZoneState::Mounted | ZoneState::Unavailable))) => {
            Err(StepError::transient(format!("zone '{zone}' is {state}")))
        }
        (Undo::Unroute, _) => {
            route::undo(target.programs, target.job)?;
            Ok(undone(Vec::new(), None))
        }
        (Undo::Shelve, _) => match shelve(target)? {
            Shelved::Unmounting => Ok(Done::poll("file systems to be unmounted", age)),
            Shelved::All(written) => Ok(undone(Vec::new(), written)),
        },
        (Undo::Discard, _) => discard(target),
    }
}

/// How far shelving came in one look.
enum Shelved {
    /// Something was mounted a moment ago: where unmounting is asynchronous a rename would mount it again.
    Unmounting,
    /// All is in quarantine; about so much was written since the snapshot.
    All(Option<Bytes>),
}

/// Every root back into quarantine, unmounted.
fn shelve(target: &Target<'_>) -> Result<Shelved, StepError> {
    let zfs = Zfs::new(target.programs);
    let mut written = None;
    for root in target.layout.roots() {
        if !is_ours(target, &zfs, root)? {
            continue;
        }
        let names = zfs.names_below(std::slice::from_ref(&root.target))?;
        // For people only: the zone may have created datasets and destroyed snapshots.
        if let Ok(more) = written_since(target, &zfs, &names) {
            written = Some(Bytes(written.unwrap_or(Bytes(0)).0 + more.0));
        }
        let lines = zfs.properties(&["type", "zoned", "mounted"], &names)?;
        let with = |property: &str, value: &str, own: bool| -> Vec<DatasetName> {
            let is = |line: &&crate::cmd::zfs::PropertyLine| {
                line.property == property && line.value == value && (!own || line.source.is_own())
            };
            lines.iter().filter(is).filter_map(|line| line.dataset()).collect()
        };
        // A volume has no canmount, and `zfs set` refuses the whole command.
        zfs.run(&argv::set("canmount", "noauto", &with("type", "filesystem", false)))?;
        let zoned = with("zoned", "on", true);
        if !zoned.is_empty() {
            zfs.run(&argv::set("zoned", "off", &zoned))?;
        }
        // Inner before outer.
        let mounted = with("mounted", "yes", false);
        for dataset in mounted.iter().rev() {
            match zfs.run(&argv::unmount(dataset)) {
                Err(error) if Fault::of_error(&error) == Fault::NotMounted => {}
                Err(error) if Fault::of_error(&error) == Fault::LegacyMount => {
                    unmount_legacy(target, dataset)?
                }
                other => drop(other?),
            }
        }
        if !mounted.is_empty() {
            return Ok(Shelved::Unmounting);
        }
        zfs.run(&argv::rename(&root.target, &root.quarantine))?;
    }
    Ok(Shelved::All(written))
}

/// Whether what is at a root's place is what this job put there: by the final snapshot, or, if the zone's owner destroyed
/// that, by the guid that was journaled after the rename.
fn is_ours(target: &Target<'_>, zfs: &Zfs<'_>, root: &Placed) -> Result<bool, StepError> {
    let job = target.job;
    let snapshot = root.target.at(&job.snapshot);
    let found = zfs.guids(&[root.target.as_str(), &snapshot])?;
    let same = |name: &str, wanted: Option<&Guid>| wanted.is_some() && found.get(name) == wanted;
    Ok(same(&snapshot, job.guids.get(&root.source))
        || same(root.target.as_str(), job.places.get(&root.target)))
}

/// An attach that was cut short leaves a boot environment of the zone mounted by mount(8).
fn unmount_legacy(target: &Target<'_>, dataset: &DatasetName) -> Result<(), StepError> {
    let mounted = mount::all(target.programs)?;
    for at in mounted.iter().filter(|mounted| mounted.special == dataset.as_str()) {
        target.programs.ok(&mount::unmount(&at.mountpoint))?;
    }
    Ok(())
}

/// Bytes that were changed or added since the final snapshot: what only the snapshot still holds, and what
/// the datasets have grown. A lower bound, told to people.
fn written_since(target: &Target<'_>, zfs: &Zfs<'_>, names: &[DatasetName]) -> Result<Bytes, StepError> {
    let snapshots: Vec<String> = names.iter().map(|name| name.at(&target.job.snapshot)).collect();
    let number = |lines: Vec<crate::cmd::zfs::PropertyLine>, property: &str| -> u64 {
        lines.iter().filter(|l| l.property == property).filter_map(|l| l.value.parse::<u64>().ok()).sum()
    };
    let now = number(zfs.properties(&["referenced"], names)?, "referenced");
    let lines = zfs.properties(&["used", "referenced"], &snapshots)?;
    let then = number(lines.clone(), "referenced");
    Ok(Bytes(number(lines, "used") + now.saturating_sub(then)))
}

fn discard(target: &Target<'_>) -> Result<Done, StepError> {
    let job = target.job;
    let mut kept = Vec::new();
    if job.keeps_received() {
        let here = quarantine::found(target.programs, target.layout)?;
        kept = target
            .layout
            .roots()
            .map(|r| r.quarantine.clone())
            .filter(|q| here.contains_key(q.as_str()))
            .collect();
    } else {
        quarantine::clear(target.programs, job, target.layout)?;
    }
    let verdict =
        Verdict { ok: false, error: job.failure.clone(), kept, written: job.written, ..Verdict::default() };
    Ok(Done::Event(Event::ResultFailed { verdict: Box::new(verdict) }))
}
