//! Source: from the running zone to the handoff, and the way back.
//!
//! Before every act the zone's state is looked at, because anybody may start it again: detach, snapshot and
//! handoff then fall back to the shutdown. Destroys nothing but snapshots that carry this job's id.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::roots::tops;
use super::survey::datasets;
use super::{Done, StepError, attach};
use crate::cmd::zfs::{Fault, Zfs, argv};
use crate::cmd::zoneadm::{AttachMode, BootEnvironment, ZoneFault, ZoneState};
use crate::cmd::{svcs, zlogin, zoneadm, zonecfg};
use crate::job::event::Event;
use crate::job::handoff::changes;
use crate::job::message::Handoff;
use crate::job::name::{DatasetName, Guid, SnapshotName, ZoneName};
use crate::job::record::Job;
use crate::job::retry::ErrorKind;
use crate::process::Programs;

/// The user property by which a snapshot is known to be a job's.
const JOB: &str = "zmigrate:job";

/// The zone's state on this host.
pub fn state(programs: &Programs, zone: &ZoneName) -> Result<Option<ZoneState>, StepError> {
    Ok(zoneadm::zone(programs, zone)?.map(|line| line.state))
}

fn here(programs: &Programs, zone: &ZoneName) -> Result<ZoneState, StepError> {
    state(programs, zone)?
        .ok_or_else(|| StepError::permanent(format!("zone '{zone}' is no longer on this host")))
}

/// autoboot=false, whatever it was: the survey remembers.
///
/// # Errors
/// When zonecfg fails or the value did not change.
pub fn clear_autoboot(programs: &Programs, zone: &ZoneName) -> Result<Done, StepError> {
    set_autoboot(programs, zone, false)?;
    Ok(Done::Event(Event::AutobootCleared))
}

/// Sets autoboot and looks whether it is so.
///
/// # Errors
/// As above.
pub fn set_autoboot(programs: &Programs, zone: &ZoneName, on: bool) -> Result<(), StepError> {
    let is = |programs: &Programs| Ok::<_, StepError>(zonecfg::export(programs, zone)?.map(|c| c.autoboot()));
    if is(programs)? == Some(on) {
        return Ok(());
    }
    programs.ok(&zonecfg::set_autoboot(zone, on))?;
    match is(programs)? {
        Some(value) if value == on => Ok(()),
        _ => Err(StepError::permanent(format!("zone '{zone}': autoboot could not be set to {on}"))),
    }
}

/// Shuts the zone down and waits for `installed`. `age` is how long this step has been due, and `asked` remembers at which age
/// this process told the zone to: one that nobody asked has not had its time.
///
/// # Errors
/// Permanent when the request's time is over and it does not force.
pub fn shutdown(
    programs: &Programs,
    job: &Job,
    asked: &mut Option<Duration>,
    age: Duration,
) -> Result<Done, StepError> {
    let zone = job.zone();
    let state = here(programs, zone)?;
    match state {
        ZoneState::Installed | ZoneState::Configured => return Ok(Done::Event(Event::ShutDown)),
        ZoneState::Running | ZoneState::Ready | ZoneState::ShuttingDown | ZoneState::Down => {}
        ZoneState::Incomplete | ZoneState::Mounted | ZoneState::Unavailable => {
            return Err(StepError::permanent(format!("zone '{zone}' is {state} and can't be shut down")));
        }
    }
    if state == ZoneState::Running && !job.ran {
        return Ok(Done::Event(Event::ZoneRuns { state: state.to_string() }));
    }
    if state == ZoneState::Running && asked.is_none() {
        // Whatever it exits with: it may be killed along with the zone. The state is what counts.
        if let Err(error @ crate::process::RunError::NotFound { .. }) = programs.run(&zlogin::shutdown(zone))
        {
            return Err(error.into());
        }
        *asked = Some(age);
    } else if age.saturating_sub(asked.unwrap_or_default()) > job.request.shutdown.timeout {
        let limit = job.request.shutdown.timeout.as_secs();
        if !job.request.shutdown.force {
            let text = format!(
                "zone '{zone}' is still {state} {limit} s after its shutdown began; look at it with zlogin -C {zone}, or ask with force = true"
            );
            return Err(StepError::permanent(text));
        }
        programs.ok(&zoneadm::halt(zone))?;
        return Ok(Done::poll(format!("zone '{zone}' to halt"), age));
    }
    Ok(Done::poll(format!("zone '{zone}' to be installed, it is {state}"), age))
}

/// Detaches the zone.
///
/// # Errors
/// Permanent for what detach refuses for good.
pub fn detach(programs: &Programs, zone: &ZoneName, age: Duration) -> Result<Done, StepError> {
    match here(programs, zone)? {
        ZoneState::Configured => return Ok(Done::Event(Event::Detached)),
        ZoneState::Installed => {}
        state @ (ZoneState::ShuttingDown | ZoneState::Down) => {
            return Ok(Done::poll(format!("zone '{zone}' to be installed, it is {state}"), age));
        }
        state => return Ok(Done::Event(Event::ZoneRuns { state: state.to_string() })),
    }
    let argv = zoneadm::detach(zone);
    let output = programs.run(&argv)?;
    match here(programs, zone)? {
        ZoneState::Configured => Ok(Done::Event(Event::Detached)),
        ZoneState::Running => Ok(Done::Event(Event::ZoneRuns { state: "running".into() })),
        _ => {
            let fault = ZoneFault::of(&output);
            let error = match output.into_ok(&argv) {
                Err(error) => StepError::from(error),
                Ok(_) => {
                    StepError::transient(format!("`{argv}` exited 0, but zone '{zone}' is still attached"))
                }
            };
            // Right after a halt the brand's last hook may still be at work, so most refusals may pass.
            let kind = match fault {
                ZoneFault::NoBrand | ZoneFault::Permission => ErrorKind::Permanent,
                _ => ErrorKind::Unknown,
            };
            Err(StepError { kind, ..error })
        }
    }
}

/// Reads the datasets' properties again: detach changes some brands' mountpoints.
///
/// # Errors
/// Permanent when the datasets are no longer those that were offered.
pub fn recapture(programs: &Programs, job: &Job) -> Result<Done, StepError> {
    let names = job.dataset_names();
    let datasets = datasets(programs, &tops(&names))?;
    let offered = job.survey.as_ref().map(|survey| survey.datasets.as_slice()).unwrap_or_default();
    if let Err(reasons) = changes(offered, &datasets) {
        let reasons = reasons.join("; ");
        return Err(StepError::permanent(format!("{reasons}; submit the request again")));
    }
    Ok(Done::Event(Event::Recaptured { datasets }))
}

/// Takes the snapshot: one `zfs snapshot -r` for each top of the zone's datasets. One of an earlier try is
/// taken anew: nobody knows whether the zone ran in between.
///
/// # Errors
/// Permanent when the name is taken by a snapshot that is not this job's.
pub fn snapshot(programs: &Programs, job: &Job) -> Result<Done, StepError> {
    match here(programs, job.zone())? {
        ZoneState::Configured => {}
        state => return Ok(Done::Event(Event::ZoneRuns { state: state.to_string() })),
    }
    let zonepath = job.survey.as_ref().map(|survey| survey.zone.zonepath.as_str()).unwrap_or_default();
    detached_on_disk(job.zone(), Path::new(zonepath))?;
    let names = job.dataset_names();
    let found = sorted(programs, job)?;
    if let Some(dataset) = found.foreign.first() {
        return Err(taken(dataset, &job.snapshot));
    }
    destroy(programs, job, &found)?;
    for top in tops(&names) {
        Zfs::new(programs).run(&argv::snapshot(&top, &job.snapshot, &[(JOB, job.id.as_str())]))?;
    }
    let found = snapshots(programs, job)?;
    let guids: BTreeMap<DatasetName, Guid> =
        names.iter().filter_map(|name| Some((name.clone(), *found.get(name)?))).collect();
    if guids.len() != names.len() || found.len() != names.len() {
        return Err(StepError::permanent(
            "the snapshot does not cover exactly the datasets that were offered; submit the request again",
        ));
    }
    Ok(Done::Event(Event::Snapshotted { guids }))
}

/// The target configures the zone from `SUNWdetached.xml`, which travels in the snapshot. zoneadm does not sync it, so a
/// power failure right after the detach can lose the file while the zone is already `configured`.
fn detached_on_disk(zone: &ZoneName, zonepath: &Path) -> Result<(), StepError> {
    let file = zoneadm::detached_xml(zonepath);
    // A zonepath that is not mounted was synced by its unmount, and cannot be looked at.
    let Ok(directory) = File::open(zonepath) else { return Ok(()) };
    match File::open(&file).and_then(|file| file.sync_all()).and_then(|()| directory.sync_all()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(StepError::permanent(format!(
            "{} is missing although zone '{zone}' was detached, so the target could not configure the zone",
            file.display(),
        ))),
        synced => synced.map_err(|error| StepError::transient(format!("{}: {error}", file.display()))),
    }
}

/// The snapshots of this job's name, by dataset.
fn snapshots(programs: &Programs, job: &Job) -> Result<BTreeMap<DatasetName, Guid>, StepError> {
    named(programs, &job.dataset_names(), &job.snapshot)
}

fn named(
    programs: &Programs,
    datasets: &[DatasetName],
    snapshot: &SnapshotName,
) -> Result<BTreeMap<DatasetName, Guid>, StepError> {
    let suffix = format!("@{snapshot}");
    let zfs = Zfs::new(programs);
    // The zone may have destroyed a dataset that was delegated to it. The others' snapshots must still be found.
    let mut tops = tops(datasets);
    let there = zfs.guids(&tops)?;
    tops.retain(|top| there.contains_key(top.as_str()));
    let all = zfs.guids_below(&tops)?;
    let named = all.into_iter().filter_map(|(name, guid)| {
        let dataset = DatasetName::new(name.strip_suffix(&suffix)?).ok()?;
        Some((dataset, guid))
    });
    Ok(named.collect())
}

fn taken(dataset: &DatasetName, snapshot: &SnapshotName) -> StepError {
    StepError::permanent(format!(
        "snapshot '{}' is there and not this job's; choose another name with `snapshot`",
        dataset.at(snapshot)
    ))
}

/// Before the zone is touched: is the snapshot's name free?
///
/// # Errors
/// Permanent when it is not.
pub fn look_for_snapshots(programs: &Programs, job: &Job, datasets: &[DatasetName]) -> Result<(), StepError> {
    match named(programs, datasets, &job.snapshot)?.keys().next() {
        Some(dataset) => Err(taken(dataset, &job.snapshot)),
        None => Ok(()),
    }
}

/// Destroys this job's snapshots, wherever they are, and no others of that name. May be repeated.
///
/// # Errors
/// Transient while a `zfs send` holds one.
pub fn destroy_snapshots(programs: &Programs, job: &Job) -> Result<(), StepError> {
    destroy(programs, job, &sorted(programs, job)?)
}

/// The snapshots of this job's name: its own, and other people's.
struct Sorted {
    ours: Vec<DatasetName>,
    foreign: Vec<DatasetName>,
}

fn sorted(programs: &Programs, job: &Job) -> Result<Sorted, StepError> {
    let found = snapshots(programs, job)?;
    let mut sorted = Sorted { ours: Vec::new(), foreign: Vec::new() };
    if found.is_empty() {
        return Ok(sorted);
    }
    let names: Vec<String> = found.keys().map(|dataset| dataset.at(&job.snapshot)).collect();
    let lines = Zfs::new(programs).properties(&[JOB], &names)?;
    for (dataset, guid) in found {
        let name = dataset.at(&job.snapshot);
        let marked = lines.iter().any(|line| line.name == name && line.value == job.id.as_str());
        let made = job.made.iter().any(|(name, made)| *name == dataset && *made == guid);
        if marked || made { &mut sorted.ours } else { &mut sorted.foreign }.push(dataset);
    }
    Ok(sorted)
}

fn destroy(programs: &Programs, job: &Job, found: &Sorted) -> Result<(), StepError> {
    let zfs = Zfs::new(programs);
    let argvs: Vec<_> = if found.foreign.is_empty() {
        tops(&found.ours).iter().map(|top| argv::destroy_snapshot_tree(top, &job.snapshot)).collect()
    } else {
        // -r would take the others along.
        found.ours.iter().map(|dataset| argv::destroy_snapshot(dataset, &job.snapshot)).collect()
    };
    for argv in argvs {
        match zfs.run(&argv) {
            Err(error) if Fault::of_error(&error) == Fault::Missing => {}
            other => drop(other?),
        }
    }
    Ok(())
}

/// The last look before the one-way door: the zone is detached, the snapshots are those that were sent.
///
/// # Errors
/// Permanent when a snapshot is gone or another one.
pub fn look_before_handoff(programs: &Programs, job: &Job) -> Result<Done, StepError> {
    match here(programs, job.zone())? {
        ZoneState::Configured => {}
        state => return Ok(Done::Event(Event::ZoneRuns { state: state.to_string() })),
    }
    if snapshots(programs, job)? != job.guids {
        return Err(StepError::permanent(format!(
            "the snapshots @{} are no longer those that were sent",
            job.snapshot
        )));
    }
    let offered = job.survey.as_ref().map(|survey| survey.datasets.as_slice()).unwrap_or_default();
    let changed = changes(offered, &job.datasets).map_err(|why| StepError::permanent(why.join("; ")))?;
    let handoff = Handoff { guids: job.guids.clone(), changed, entries: job.entries.clone(), ran: job.ran };
    Ok(Done::Event(Event::HandedOff { handoff: Box::new(handoff) }))
}

/// The zone as it was found: attached, autoboot as it was, running if it ran. `told_to_stop`: a shutdown was
/// asked for, perhaps; a zone that still says `running` then is about to go down.
///
/// # Errors
/// What attach or boot said; tried again until it succeeds.
pub fn put_back(
    programs: &Programs,
    job: &Job,
    told_to_stop: bool,
    age: Duration,
) -> Result<Done, StepError> {
    let zone = job.zone();
    let Some(survey) = &job.survey else { return Ok(Done::Event(Event::PutBack)) };
    match here(programs, zone)? {
        ZoneState::Configured => {
            // Its boot environment is this host's.
            let argv = zoneadm::attach(zone, AttachMode::Strict, BootEnvironment::Usual);
            let attempt = attach::attempt(programs, zone, &argv)?;
            if here(programs, zone)? == ZoneState::Configured {
                return Err(attempt.failed(programs, |argv| {
                    StepError::transient(format!("`{argv}` exited 0, but zone '{zone}' is not attached"))
                }));
            }
        }
        state @ (ZoneState::ShuttingDown | ZoneState::Down) => {
            return Ok(Done::poll(format!("zone '{zone}' to be installed, it is {state}"), age));
        }
        // autoboot is restored behind this point and before the boot: then it is our own boot that shows.
        ZoneState::Running if told_to_stop && !has_autoboot_back(programs, job)? => {
            let settled =
                age > STILL_GOING_DOWN && svcs::state(programs, zone, svcs::MULTI_USER_SERVER)?.is_online();
            // Behind the request's own limit it is what it is: running, as zoneadm says, and for a person to see to.
            if !settled && age <= job.request.shutdown.timeout {
                return Ok(Done::poll(format!("zone '{zone}' to end its shutdown, to boot it again"), age));
            }
        }
        _ => {}
    }
    if survey.zone.autoboot {
        set_autoboot(programs, zone, true)?;
    }
    match here(programs, zone)? {
        // Only set up in the kernel, perhaps by a boot that was cut short.
        ZoneState::Installed | ZoneState::Ready if job.ran => boot(programs, zone)?,
        // One that did not run and does now was started by somebody else.
        ZoneState::Installed | ZoneState::Ready | ZoneState::Running => {}
        state => return Err(StepError::transient(format!("zone '{zone}' is {state}, not as it was found"))),
    }
    Ok(Done::Event(Event::PutBack))
}

/// For so long a zone that was told to shut down may still look as if it had not been.
const STILL_GOING_DOWN: Duration = Duration::from_secs(30);

fn has_autoboot_back(programs: &Programs, job: &Job) -> Result<bool, StepError> {
    let wanted = job.survey.as_ref().is_some_and(|survey| survey.zone.autoboot);
    Ok(wanted && zonecfg::export(programs, job.zone())?.is_some_and(|config| config.autoboot()))
}

/// Boots an installed zone and looks whether it runs.
///
/// # Errors
/// What zoneadm said.
pub fn boot(programs: &Programs, zone: &ZoneName) -> Result<(), StepError> {
    let argv = zoneadm::boot(zone);
    let output = programs.run(&argv)?;
    if here(programs, zone)? == ZoneState::Running {
        return Ok(());
    }
    Err(match output.into_ok(&argv) {
        Err(error) => error.into(),
        Ok(_) => StepError::transient(format!("`{argv}` exited 0, but zone '{zone}' does not run")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_detached_document_is_noticed_before_the_snapshot() {
        let tmp = tempfile::tempdir().unwrap();
        let zone = ZoneName::new("web").unwrap();
        let error = detached_on_disk(&zone, tmp.path()).unwrap_err();
        assert!(error.kind == ErrorKind::Permanent && error.text.contains("SUNWdetached.xml is missing"));
        std::fs::write(tmp.path().join("SUNWdetached.xml"), "<zone/>").unwrap();
        detached_on_disk(&zone, tmp.path()).unwrap();
        detached_on_disk(&zone, &tmp.path().join("unmounted")).unwrap();
    }
}
