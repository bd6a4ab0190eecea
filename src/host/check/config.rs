//! The zone's configuration: all by which a zone can reach out of itself into this host.
//!
//! What is not known to be harmless is refused by name. The manual leaves these to the
//! administrator; they are decided here:
//!
//! - `admin` is refused: its commit changes this host's user_attr (unverified).
//! - `fs-allowed` may name what every zone may mount (hsfs and network file systems). With others,
//!   the zone's root could make the kernel read a forged file system.
//! - `scheduling-class` may be one that shares the processor; `RT` does not.
//! - `pool`, `security-flags`, rctls and caps pass: they bound the zone. A pool is named in the
//!   findings, as it must exist here.
//! - `inherit-pkg-dir` passes on Solaris 10 for the four directories of its default template;
//!   others are lofs mounts of the global zone and need `[accept.PEER] lofs`.

use std::collections::BTreeMap;

use super::input::Check;
use super::judgement::Judgement;
use super::resource::Judge;
use super::text::{listed, shown};
use super::{edits, network, privilege};
use crate::cmd::zonecfg::ZoneConfig;
use crate::config::Accept;
use crate::host::brand::Brand;
use crate::job::code::{Code, Reason};
use crate::job::layout::Layout;
use crate::job::name::DatasetName;

/// Judges the configuration that came with the survey, as it will be: datasets by their names on
/// the target, and the request's edits done.
pub(super) fn judge(check: &Check<'_>, judgement: &mut Judgement) {
    let zone = &check.offer.request.zone;
    let mut config = match ZoneConfig::parse(&check.offer.survey.zone.config) {
        Ok(config) => config,
        Err(why) => {
            judgement.refuse(
                Code::Configuration,
                format!("zone '{zone}' has a configuration that can't be read: {why}"),
            );
            return;
        }
    };
    if config.brand() != check.offer.survey.zone.brand {
        let (said, configured) = (shown(&check.offer.survey.zone.brand), shown(config.brand()));
        judgement.refuse(
            Code::Configuration,
            format!("zone '{zone}' is said to have brand '{said}' and is configured with '{configured}'"),
        );
    }
    let offered: Vec<DatasetName> = match check.layout {
        Ok(layout) => {
            on_target(&mut config, layout);
            layout.datasets.iter().map(|placed| placed.target.clone()).collect()
        }
        Err(_) => check.offer.survey.datasets.iter().map(|dataset| dataset.name.clone()).collect(),
    };
    for why in edits::apply(&mut config, &check.offer.request.target.zonecfg) {
        judgement.refuse(Code::Configuration, why);
    }
    let refusals = refusals(&config, check.accept, &offered);
    for Reason { code, text } in refusals {
        judgement.refuse(code, format!("zone '{zone}' {text}"));
    }
    findings(&config, judgement);
}

/// Why a zone with this configuration must not be attached on this host. `offered` are the zone's
/// datasets, by the names that the configuration has for them.
pub fn judge_config(config: &ZoneConfig, accept: &Accept, offered: &[DatasetName]) -> Vec<Reason> {
    let refusals = refusals(config, accept, offered).into_iter();
    refusals.map(|Reason { code, text }| Reason::new(code, format!("the zone {text}"))).collect()
}

/// The reasons, as fragments that follow `zone 'x'`.
fn refusals(config: &ZoneConfig, accept: &Accept, offered: &[DatasetName]) -> Vec<Reason> {
    let offered = offered.iter().map(DatasetName::as_str).collect();
    let brand = Brand::carried(config.brand());
    let judge = Judge { accept, offered, brand };
    let mut refusals: Vec<String> = Vec::new();
    // That of the survey has been judged already; another brand would have been refused.
    if brand.is_none() {
        refusals.push(format!("is configured with brand '{}', which is not carried", shown(config.brand())));
    }
    let limitpriv = config.global("limitpriv").unwrap_or_default();
    refusals.extend(privilege::refusal(limitpriv, &accept.limitpriv));
    let globals = config.globals.iter().filter(|(name, _)| *name != "limitpriv");
    refusals.extend(globals.filter_map(|(name, value)| judge.global(name, value)));
    refusals.extend(config.resources.iter().filter_map(|resource| judge.resource(resource)));
    let mut reasons: Vec<_> = refusals.into_iter().map(|why| Reason::new(Code::Configuration, why)).collect();
    let networks = network::refusals(config, accept);
    reasons.extend(networks.into_iter().map(|why| Reason::new(Code::Network, why)));
    reasons
}

/// Gives the zone's datasets their names on the target.
fn on_target(config: &mut ZoneConfig, layout: &Layout) {
    let places: BTreeMap<_, _> =
        layout.datasets.iter().map(|placed| (placed.source.as_str(), &placed.target)).collect();
    for resource in &mut config.resources {
        let is_zfs = resource.kind == "fs" && resource.get("type") == Some("zfs");
        let names = match resource.kind.as_str() {
            "dataset" => "name",
            "fs" if is_zfs => "special",
            _ => continue,
        };
        for property in resource.properties.iter_mut().filter(|property| property.name == names) {
            if let Some(target) = places.get(property.value.as_str()) {
                property.value = target.to_string();
            }
        }
    }
}

/// What the target's administrator may want to know.
fn findings(config: &ZoneConfig, judgement: &mut Judgement) {
    let mut of_kind = |kind: &str, property: &str, what: &str| {
        let named: Vec<_> = config.of_kind(kind).filter_map(|resource| resource.get(property)).collect();
        if !named.is_empty() {
            judgement.note(format!("{what}: {}", listed(&named)));
        }
    };
    of_kind("inherit-pkg-dir", "dir", "directories of the global zone that the zone inherits");
    of_kind("device", "match", "devices of the global zone");
    network::findings(config).into_iter().for_each(|line| judgement.note(line));
    let lofs = config.of_kind("fs").filter(|fs| fs.get("type") == Some("lofs"));
    let lofs: Vec<_> = lofs.filter_map(|fs| fs.get("special")).collect();
    if !lofs.is_empty() {
        judgement.note(format!("directories of the global zone that the zone mounts: {}", listed(&lofs)));
    }
    if let Some(pool) = config.global("pool").filter(|pool| !pool.is_empty()) {
        judgement.note(format!("resource pool that must exist on the target: {}", shown(pool)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::check::fixture::{case, name};

    #[test]
    fn a_brand_in_the_configuration_other_than_the_one_surveyed_is_refused() {
        let mut case = case();
        case.offer.survey.zone.config = case.offer.survey.zone.config.replace("=sparse", "=bhyve");
        let said = case.refusals();
        assert!(
            said.contains("is configured with 'bhyve'")
                && said.contains("brand 'bhyve', which is not carried"),
            "{said}"
        );
    }

    #[test]
    fn datasets_are_judged_by_their_names_on_the_target() {
        let mut case = case();
        case.offer.request.target.datasets.insert(name("data/zones/dbbackup"), name("data/zones/db"));
        assert_eq!(case.refusals(), "");
        let config = ZoneConfig::parse(&case.offer.survey.zone.config).unwrap();
        let offered = [name("data/zones/db/pkgsrc"), name("data/zones/db/tank")];
        let said = judge_config(&config, &case.accept, &offered);
        assert_eq!(said.len(), 2, "{said:?}");
    }
}
