//! Source: what the peer must know about a zone. Changes nothing. The number of processes depends
//! on the zones of this host, not on the zone's datasets.

use std::collections::BTreeMap;

use super::check::{ScratchRoom, staged};
use super::{StepError, check, roots};
use crate::cmd::svcs::SvcState;
use crate::cmd::zfs::property::is_carried;
use crate::cmd::zfs::{PropertyLine, Source as ZfsSource, Zfs};
use crate::cmd::zoneadm::ZoneState;
use crate::cmd::zonecfg::ZoneConfig;
use crate::cmd::{svcs, zoneadm, zonecfg};
use crate::config::Config;
use crate::job::code::Code;
use crate::job::name::{Bytes, DatasetName, Guid, ZoneName};
use crate::job::survey::{Dataset, Kind, Property, Source, Survey, Zone};
use crate::process::Programs;

/// Gathers everything.
///
/// # Errors
/// Permanent when the zone is not there, in no state to be sent, or has no dataset; transient when
/// a command did not answer.
pub fn survey(programs: &Programs, name: &ZoneName) -> Result<Survey, StepError> {
    let line = zoneadm::zone(programs, name)?.ok_or_else(|| {
        StepError::permanent(format!("zone '{name}' is not on this host")).coded(Code::Zone)
    })?;
    if !matches!(line.state, ZoneState::Running | ZoneState::Installed) {
        let text = format!("zone '{name}' is {}: only a running or installed zone can be sent", line.state);
        return Err(StepError::permanent(text).coded(Code::Zone));
    }
    let config = programs.ok(&zonecfg::export_argv(name))?.stdout;
    let parsed = ZoneConfig::parse(&config).map_err(|why| {
        StepError::permanent(format!("can't read the configuration of zone '{name}': {why}"))
    })?;
    let zonepath = line.zonepath.to_string_lossy().into_owned();
    let datasets = datasets(programs, &roots::of_zone(programs, name, &zonepath, &parsed)?)?;
    let encrypted: Vec<_> = datasets.iter().filter_map(check::encrypted).collect();
    if !encrypted.is_empty() {
        return Err(StepError::permanent(encrypted.join("; ")));
    }
    let running = line.state == ZoneState::Running;
    Ok(Survey {
        os: super::os::level(programs)?,
        zone: Zone {
            name: name.clone(),
            brand: line.brand.clone().unwrap_or_else(|| parsed.brand().to_owned()),
            zonepath,
            running,
            autoboot: parsed.autoboot(),
            config: parsed.completed(&config, &line),
        },
        datasets,
        maintenance: if running { maintenance(programs, name)? } else { Vec::new() },
    })
}

/// Whether the scratch here can hold what a job that sends these datasets stages.
///
/// # Errors
/// Permanent beyond the configured share, transient beyond what is free now.
pub fn look_for_room(config: &Config, datasets: &[Dataset], part: Bytes) -> Result<(), StepError> {
    let room = ScratchRoom { share: config.sender_share(), ..ScratchRoom::of(&config.scratch) };
    staged(&room, datasets, part)
}

/// Everything about `roots` and all below them, parents before children; two processes.
///
/// # Errors
/// When a dataset's facts are incomplete.
pub fn datasets(programs: &Programs, roots: &[DatasetName]) -> Result<Vec<Dataset>, StepError> {
    let zfs = Zfs::new(programs);
    // Where `guid` is hidden it is not among `all` (zfs-fuse, ON of 2009).
    let guids = zfs.guids_below(roots)?;
    let mut datasets = Vec::new();
    let mut block: Vec<PropertyLine> = Vec::new();
    let mut done = |block: &mut Vec<PropertyLine>| {
        // Lines about snapshots are passed over.
        if let Some(name) = block.first().and_then(PropertyLine::dataset) {
            let guid = guids.get(name.as_str()).copied();
            datasets.push(dataset(name, guid, block));
        }
        block.clear();
    };
    zfs.properties_below(roots, |line| {
        if block.first().is_some_and(|first| first.name != line.name) {
            done(&mut block);
        }
        block.push(line);
    })?;
    done(&mut block);
    datasets.into_iter().collect()
}

fn dataset(name: DatasetName, guid: Option<Guid>, lines: &[PropertyLine]) -> Result<Dataset, StepError> {
    let value = |property: &str| lines.iter().find(|l| l.property == property).map(|l| l.value.as_str());
    let number = |property: &str| value(property).and_then(|v| v.parse::<u64>().ok());
    let missing =
        |what: &str| StepError::permanent(format!("dataset '{name}': zfs did not print its {what}"));
    let guid = guid.ok_or_else(|| missing("guid"))?;
    let kind = match value("type") {
        Some("filesystem") => Kind::Filesystem,
        Some("volume") => Kind::Volume,
        _ => return Err(missing("type")),
    };
    let referenced = number("referenced").ok_or_else(|| missing("size"))?;
    // `1.53x`, on newer software `1.53`; what was written before compression is about so much more.
    let ratio = value("compressratio").and_then(|v| v.trim_end_matches('x').parse::<f64>().ok());
    let logical = (referenced as f64 * ratio.unwrap_or(1.0).clamp(1.0, 1000.0)) as u64;
    let properties: BTreeMap<_, _> = lines
        .iter()
        .filter_map(|line| {
            let source = match &line.source {
                // Fixed at creation, where the source is `-` (OpenZFS) or `local` (Solaris 11).
                _ if line.property == "encryption" => Source::Default,
                _ if !is_carried(&line.property) && !is_left_out(line) => return None,
                ZfsSource::Local | ZfsSource::Received => Source::Local,
                ZfsSource::Default => Source::Default,
                ZfsSource::Inherited(from) => Source::Inherited(from.clone()),
                // A mount option for now, or a property that does not apply: nothing to carry.
                ZfsSource::Temporary | ZfsSource::None => return None,
            };
            Some((line.property.clone(), Property { value: line.value.clone(), source }))
        })
        .collect();
    let version = number("version");
    Ok(Dataset {
        guid,
        kind,
        version,
        referenced: Bytes(referenced),
        logical: Bytes(logical),
        properties: properties.into(),
        name,
    })
}

/// Whether the dataset has this setting of its own and a migration does not carry it.
fn is_left_out(line: &PropertyLine) -> bool {
    line.source.is_own() && !line.property.starts_with("zmigrate:")
}

/// Services of a running zone that are in maintenance.
fn maintenance(programs: &Programs, zone: &ZoneName) -> Result<Vec<String>, StepError> {
    let all = svcs::all(programs, zone)?;
    let ill = all.into_iter().filter(|(_, standing)| standing.state == SvcState::Maintenance);
    Ok(ill.map(|(fmri, _)| fmri).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::sample::sample;
    use crate::cmd::zfs::parse;
    use crate::host::check::fixture::case;

    /// The first dataset of a sample, as a survey has it.
    fn first(text: &str) -> Dataset {
        let lines = parse::properties(text).unwrap();
        let name = lines[0].dataset().unwrap();
        let block: Vec<_> = lines.into_iter().take_while(|line| line.name == name.as_str()).collect();
        dataset(name, Some(Guid(1)), &block).unwrap()
    }

    #[test]
    fn an_encrypted_dataset_is_refused_on_both_hosts() {
        let text = sample!("zfs/get-all-encrypted.txt");
        let surveyed = first(text);
        let why = "dataset 'data/zones/web' is encrypted (aes-256-gcm)";
        assert!(check::encrypted(&surveyed).unwrap().starts_with(why));
        let mut case = case();
        let name = case.offer.survey.datasets[1].name.clone();
        case.offer.survey.datasets[1] = Dataset { name, ..surveyed };
        assert!(case.refusals().contains("'data/zones/dbbackup/pkgsrc' is encrypted (aes-256-gcm)"));
        // Below its encryption root a dataset has no keylocation, but it has the cipher.
        let below = text.lines().filter(|line| line.starts_with("data/zones/web/tank\t"));
        let below: String = below.map(|line| format!("{line}\n")).collect();
        assert_eq!(first(&below).cipher(), Some("aes-256-gcm"));
        assert_eq!(check::encrypted(&first(sample!("zfs/get-all.txt"))), None);
    }

    #[test]
    fn settings_that_are_not_carried_are_surveyed() {
        let surveyed = first(sample!("zfs/get-all-encrypted.txt"));
        assert_eq!(surveyed.value("keylocation"), Some("file:///etc/web.key"));
        assert_eq!((surveyed.value("creation"), surveyed.value("pbkdf2iters")), (None, None));
    }
}
