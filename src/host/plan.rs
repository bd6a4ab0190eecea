//! What would be run, in order, on each host: for `zmigrate plan`. Pure.

use crate::cmd::zfs::argv;
use crate::cmd::{route, zlogin, zoneadm, zonecfg};
use crate::job::layout::{Layout, Placed, part_name, stems, travel_order};
use crate::job::name::DatasetName;
use crate::job::record::Job;

use super::effective::{Effective, Set};
use super::features;
use super::roots::tops;
use crate::cmd::zfs::property::Turn;

/// The source's commands.
pub fn source(job: &Job) -> Vec<String> {
    let zone = job.zone();
    let names = job.dataset_names();
    let mut lines = vec![zonecfg::set_autoboot(zone, false).to_string()];
    if job.survey.as_ref().is_some_and(|survey| survey.zone.running) {
        lines.push(zlogin::shutdown(zone).to_string());
    }
    lines.push(zoneadm::detach(zone).to_string());
    let mark = [("zmigrate:job", job.id.as_str())];
    lines.extend(tops(&names).iter().map(|top| argv::snapshot(top, &job.snapshot, &mark).to_string()));
    let stems = stems(&names, &job.snapshot);
    for i in order(job) {
        let send = argv::send(&names[i], &job.snapshot, None, features::wanted_wire(job));
        lines.push(format!("{send} > {} …", part_name(&stems[i], 0)));
    }
    lines
}

/// The order in which images travel.
fn order(job: &Job) -> Vec<usize> {
    travel_order(job.survey.as_ref().map(|survey| survey.datasets.as_slice()).unwrap_or_default())
}

/// The target's commands.
pub fn target(job: &Job, layout: &Layout, effective: &Effective) -> Vec<String> {
    let zone = job.zone();
    let names = job.dataset_names();
    let stems = stems(&names, &job.snapshot);
    let mut lines = Vec::new();
    for holder in &layout.holders {
        let options = super::quarantine::properties_of(job, layout, holder);
        lines.push(
            argv::create(holder, &options.each_ref().map(|(name, value)| (*name, value.as_str())))
                .to_string(),
        );
    }
    for i in order(job) {
        let receive = argv::receive(&layout.datasets[i].quarantine, &job.snapshot);
        lines.push(format!("cat {}.?????? | {receive}", stems[i]));
    }
    let here = |placed: &Placed| placed.quarantine.clone();
    let all: Vec<DatasetName> = layout.datasets.iter().map(here).collect();
    lines.push(argv::set("canmount", "noauto", &all).to_string());
    // As the steps do it: of the guards what is off before the rename, the others after it.
    let set = |turn: Turn, name: &dyn Fn(&Placed) -> DatasetName, placed: bool| -> Vec<String> {
        let due = |s: &&Set| turn != Turn::Guard || (s.value == "off") != placed;
        let sets = effective.sets(turn, name);
        sets.iter().filter(due).map(|s| argv::set(&s.property, &s.value, &s.datasets).to_string()).collect()
    };
    for turn in [Turn::Free, Turn::Guard, Turn::Mountpoint, Turn::Share] {
        lines.extend(set(turn, &here, false));
    }
    lines.extend(layout.roots().map(|root| argv::rename(&root.quarantine, &root.target).to_string()));
    for turn in [Turn::Limit, Turn::Guard] {
        lines.extend(set(turn, &|placed: &Placed| placed.target.clone(), true));
    }
    lines.extend(effective.canmount().into_iter().map(|(own, datasets)| match own {
        Some(value) => argv::set("canmount", value, &datasets).to_string(),
        None => argv::inherit_received("canmount", &datasets).to_string(),
    }));
    lines.extend(effective.mounts().into_iter().map(|(_, dataset)| argv::mount(dataset).to_string()));
    let to = super::install::zonepath(job);
    if let Some(wanted) = &job.request.target.route {
        lines.push(route::add_default(wanted.gateway()).to_string());
    }
    lines.push(format!("zonecfg -z {zone} -f …  # create -a {to}, set autoboot=false"));
    lines.extend(job.request.target.zonecfg.iter().map(|command| format!("  {command}")));
    lines.push(super::attach::on_target(job).to_string());
    if job.is_to_run() {
        lines.push(zoneadm::boot(zone).to_string());
        lines.extend(
            job.request.verify.commands.iter().map(|command| zlogin::shell_line(zone, command).to_string()),
        );
    }
    if job.survey.as_ref().is_some_and(|survey| survey.zone.autoboot) {
        lines.push(zonecfg::set_autoboot(zone, true).to_string());
    }
    lines
}
