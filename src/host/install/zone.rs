//! Target: the zone, configured, attached and booted.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Target, done, zonepath};
use crate::cmd::zoneadm::{ZoneFault, ZoneState};
use crate::cmd::zonecfg::{self, Script, ZoneConfig};
use crate::host::{Done, StepError, attach, check, link, source};
use crate::job::code::Code;
use crate::job::event::Event;
use crate::job::layout::Layout;
use crate::job::name::DatasetName;
use crate::job::record::Job;
use crate::job::retry::ErrorKind;
use crate::job::step::Install;

impl Target<'_> {
    /// `zonecfg create -a`, datasets under their names here, the request's commands; autoboot stays false until
    /// the source has acked.
    ///
    /// # Errors
    /// Permanent when what came out is not what was offered, or not what the peer may.
    pub fn configure(&self) -> Result<Done, StepError> {
        let zone = self.job.zone();
        if let Some(line) = self.zone()? {
            if line.state != ZoneState::Configured {
                return Err(StepError::permanent(format!("zone '{zone}' is {} already", line.state)));
            }
            // Half of a configuration, perhaps: zonecfg commits what came before an error.
            self.programs.ok(&zonecfg::delete(zone))?;
        }
        let offered = self.offered()?;
        let script =
            script(self.job, self.layout, &offered).map_err(|why| StepError::permanent(why.to_string()))?;
        let file: PathBuf = self.work.join("zonecfg");
        fs::write(&file, script.text())
            .map_err(|e| StepError::transient(format!("{}: {e}", file.display())))?;
        let argv = zonecfg::run_file(zone, &file);
        let output = self.programs.run(&argv)?;
        let configured = zonecfg::export(self.programs, zone)?;
        let Some(mut configured) = configured.filter(|_| output.status.is_ok()) else {
            // `create -a` exits 0 when there is nothing to create from.
            let said = format!("{} {}", output.stderr, output.stdout);
            let said: String = said.trim().chars().take(300).flat_map(char::escape_debug).collect();
            return Err(StepError::permanent(format!("`{argv}` did not configure zone '{zone}': {said}")));
        };
        if let Some(line) = self.zone()? {
            configured.complete(&line);
        }
        if self.job.request.target.zonecfg.is_empty() && !configured.says_the_same(&self.expected(offered)) {
            let text = format!(
                "zone '{zone}' was configured from {}/SUNWdetached.xml otherwise than offered",
                self.zonepath()
            );
            return Err(StepError::permanent(text));
        }
        let names: Vec<DatasetName> = self.layout.datasets.iter().map(|d| d.target.clone()).collect();
        let faults = check::judge_config(&configured, self.accept, &names);
        if !faults.is_empty() {
            return Err(StepError::refused(&faults));
        }
        Ok(done(Install::Configure))
    }

    fn offered(&self) -> Result<ZoneConfig, StepError> {
        let text = self.job.survey.as_ref().map(|s| s.zone.config.as_str()).unwrap_or_default();
        ZoneConfig::parse(text)
            .map_err(|why| StepError::permanent(format!("the offered configuration: {why}")))
    }

    /// The offered configuration as it must be here.
    fn expected(&self, mut config: ZoneConfig) -> ZoneConfig {
        config.globals.insert("zonepath".into(), self.zonepath().to_owned());
        config.globals.insert("autoboot".into(), "false".into());
        for resource in &mut config.resources {
            let renamed = match resource.kind.as_str() {
                "dataset" => "name",
                "fs" if resource.get("type") == Some("zfs") => "special",
                _ => continue,
            };
            for property in resource.properties.iter_mut().filter(|p| p.name == renamed) {
                property.value = name_here(self.layout, &property.value);
            }
        }
        config
    }

    /// `zoneadm attach`.
    ///
    /// # Errors
    /// Permanent for what attach refuses for good; what the brand's log ends with is told.
    pub fn attach(&self) -> Result<Done, StepError> {
        let zone = self.job.zone();
        let state = |target: &Self| Ok::<_, StepError>(target.zone()?.map(|line| line.state));
        match state(self)? {
            Some(ZoneState::Configured) => {}
            Some(ZoneState::Installed | ZoneState::Running) => return Ok(done(Install::Attach)),
            other => {
                let is = other.map_or("gone".to_owned(), |state| state.to_string());
                return Err(StepError::permanent(format!("zone '{zone}' is {is}, it can't be attached")));
            }
        }
        self.no_link_leads_out()?;
        let argv = attach::on_target(self.job);
        let attempt = attach::attempt(self.programs, zone, &argv)?;
        if state(self)? == Some(ZoneState::Installed) {
            return Ok(done(Install::Attach));
        }
        let fault = attempt.fault();
        let error = attempt.failed(self.programs, |argv| {
            StepError::permanent(format!("`{argv}` exited 0, but zone '{zone}' is not installed"))
        });
        let kind = if fault == ZoneFault::Other { error.kind } else { ErrorKind::Permanent };
        Err(StepError { kind, ..error })
    }

    /// The hooks of attach and boot write into the zone's root as root of the global zone.
    fn no_link_leads_out(&self) -> Result<(), StepError> {
        let zonepath = self.zonepath();
        let found = link::leading_out(Path::new(zonepath)).map_err(|error| {
            StepError::transient(format!("zonepath {zonepath} can't be searched for links: {error}"))
        })?;
        if found.is_empty() {
            return Ok(());
        }
        Err(StepError::permanent(format!(
            "zone '{}' is not attached, because links in {zonepath} would lead the brand's hooks out of the zone: {}; \
             replace the links on the source",
            self.job.zone(),
            found.join("; ")
        ))
        .coded(Code::Link))
    }

    /// `zoneadm boot`, if the zone is to run.
    ///
    /// # Errors
    /// What zoneadm said.
    pub fn boot(&self) -> Result<Done, StepError> {
        self.run_zone()?;
        Ok(done(Install::Boot))
    }

    /// Ensures that the zone runs, if it is to.
    ///
    /// # Errors
    /// As [`Target::boot`].
    pub fn run_zone(&self) -> Result<(), StepError> {
        if !self.job.is_to_run() {
            return Ok(());
        }
        match self.zone()?.map(|line| line.state) {
            Some(ZoneState::Running) => Ok(()),
            Some(ZoneState::Installed | ZoneState::Ready) => source::boot(self.programs, self.job.zone()),
            Some(state) => Err(StepError::transient(format!("zone '{}' is {state}", self.job.zone()))),
            None => Err(StepError::permanent(format!("zone '{}' is gone", self.job.zone()))),
        }
    }

    /// autoboot as it was on the source, and the zone running if it is to: a reboot of this host before the ack
    /// left it down.
    ///
    /// # Errors
    /// What zonecfg or zoneadm said.
    pub fn set_autoboot(&self) -> Result<Done, StepError> {
        if self.job.survey.as_ref().is_some_and(|survey| survey.zone.autoboot) {
            source::set_autoboot(self.programs, self.job.zone(), true)?;
        }
        self.run_zone()?;
        Ok(Done::Event(Event::AutobootSet))
    }
}

fn name_here(layout: &Layout, name: &str) -> String {
    let placed = layout.datasets.iter().find(|placed| placed.source.as_str() == name);
    placed.map_or_else(|| name.to_owned(), |placed| placed.target.to_string())
}

/// The zonecfg script that makes the zone here.
///
/// # Errors
/// When a value can't be written in zonecfg's language.
pub fn script(job: &Job, layout: &Layout, offered: &ZoneConfig) -> Result<Script, zonecfg::ScriptError> {
    let mut script = Script::new().create_attached(Path::new(zonepath(job)))?.set("autoboot", "false")?;
    for resource in offered.of_kind("dataset") {
        let Some(name) = resource.get("name") else { continue };
        let here = name_here(layout, name);
        if here != name {
            script = script.select("dataset", "name", name)?.set("name", &here)?.end();
        }
    }
    for resource in offered.of_kind("fs").filter(|r| r.get("type") == Some("zfs")) {
        let (Some(dir), Some(special)) = (resource.get("dir"), resource.get("special")) else { continue };
        let here = name_here(layout, special);
        if here != special {
            script = script.select("fs", "dir", dir)?.set("special", &here)?.end();
        }
    }
    for command in &job.request.target.zonecfg {
        script = script.command(command)?;
    }
    Ok(script.commit())
}
