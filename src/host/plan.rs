//! What would be run, in order, on each host: for `zmigrate plan`. Pure.

use super::effective::Effective;
use super::install::{self, commands};
use super::roots::tops;
use super::writing::{WRITTEN_BY, Writing};
use super::{features, quarantine};
use crate::cmd::zfs::argv;
use crate::cmd::zonecfg::ZoneConfig;
use crate::cmd::{zlogin, zoneadm, zonecfg};
use crate::job::image::images;
use crate::job::layout::Layout;
use crate::job::name::DatasetName;
use crate::job::part::part_name;
use crate::job::record::Job;
use crate::process::Argv;

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
    for image in images(job) {
        let send = argv::send(&image.dataset, &image.to, image.from.as_ref(), features::wanted_wire(job));
        lines.push(format!("{send} > {} …", part_name(&image.stem, 0)));
    }
    lines
}

/// The target's commands. `route` are those that the route takes as the host is now.
pub fn target(job: &Job, layout: &Layout, effective: &Effective, route: &[Argv]) -> Vec<String> {
    let zone = job.zone();
    let mut lines = received(job, layout, effective);
    let mut run = |commands: &[Argv]| lines.extend(commands.iter().map(Argv::to_string));
    run(&commands::canmount(effective));
    run(&effective.mounts().into_iter().map(|(_, dataset)| argv::mount(dataset)).collect::<Vec<_>>());
    run(route);
    lines.push(format!("zonecfg -z {zone} -f …"));
    let offered = job.survey.as_ref().and_then(|survey| ZoneConfig::parse(&survey.zone.config).ok());
    if let Some(script) = offered.and_then(|offered| install::script(job, layout, &offered).ok()) {
        lines.extend(script.text().lines().map(|command| format!("  {command}")));
    }
    lines.push(super::attach::on_target(job).to_string());
    if job.is_to_run() {
        lines.push(zoneadm::boot(zone).to_string());
        let verify = job.request.verify.commands.iter();
        lines.extend(verify.map(|command| zlogin::shell_line(zone, command).to_string()));
    }
    if job.survey.as_ref().is_some_and(|survey| survey.zone.autoboot) {
        lines.push(zonecfg::set_autoboot(zone, true).to_string());
    }
    let mut run = |command: Argv| lines.push(command.to_string());
    layout.datasets.iter().for_each(|placed| run(commands::destroy(placed, &job.snapshot)));
    layout
        .holders
        .iter()
        .flat_map(|holder| quarantine::removal(holder, |top| is_made(top, effective)))
        .for_each(run);
    lines
}

/// Whether the dataset above a holder is made by the job: it does not exist yet.
fn is_made(top: &DatasetName, effective: &Effective) -> bool {
    !effective.landing().above.contains_key(top)
}

/// From the quarantine's creation to the datasets in their places.
fn received(job: &Job, layout: &Layout, effective: &Effective) -> Vec<String> {
    let datasets = job.survey.as_ref().map(|survey| survey.datasets.as_slice()).unwrap_or_default();
    let mut lines = Vec::new();
    let text = |commands: Vec<Argv>| commands.into_iter().map(|argv| argv.to_string());
    for holder in &layout.holders {
        lines.extend(text(quarantine::creation(job, layout, holder, |top| !is_made(top, effective))));
    }
    let mut writing = Writing::planned(layout, effective.landing());
    for image in images(job) {
        let place = &layout.datasets[image.index].quarantine;
        lines.extend(text(writing.commands(place, &datasets[image.index])));
        lines.push(format!("cat {}.?????? | {}", image.stem, argv::receive(place, &image.to)));
    }
    lines.extend(text(commands::properties(effective, layout)));
    lines.extend(text(layout.holders.iter().map(quarantine::lifting).collect()));
    lines.extend(text(layout.roots().map(commands::rename).collect()));
    for property in WRITTEN_BY {
        let placed = layout.datasets.iter().enumerate();
        let used = placed
            .filter(|(i, p)| writing.is_set(&p.quarantine, property) && !effective.is_set(*i, property));
        let names: Vec<_> = used.map(|(_, placed)| placed.target.clone()).collect();
        lines.extend(text(commands::inherits(property, &names)));
    }
    lines.extend(text(commands::quotas(effective)));
    lines
}
