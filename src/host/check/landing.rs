//! Where the zone would live: its name, its zonepath and the route that the request wants.

use std::path::Path;

use super::input::Check;
use super::judgement::Judgement;
use super::reserved::zonepath;
use super::text::{listed, shown};
use super::zonepath::ZonepathState;
use crate::host::brand::Brand;
use crate::job::code::Code;
use crate::job::path;

/// Judges name, zonepath and route.
pub(super) fn judge(check: &Check<'_>, judgement: &mut Judgement) {
    match path::zonepath(zonepath(check.offer)) {
        Ok(zonepath) => place(check, &zonepath, judgement),
        Err(why) => judgement.refuse(Code::Zonepath, format!("zonepath {why}")),
    }
    if let Some(route) = &check.offer.request.target.route {
        let said = format!("a default route by {} on {}", route.gateway(), route.interface());
        if check.accept.route {
            judgement.note(format!("the request sets {said}"));
        } else {
            judgement.refuse(
                Code::Route,
                format!("the request sets {said}, which the target does not accept; remove [target.route]"),
            );
        }
    }
}

fn place(check: &Check<'_>, zonepath: &str, judgement: &mut Judgement) {
    let zone = &check.offer.request.zone;
    let accept = check.accept;
    if !accept.zonepaths.iter().any(|top| zonepath != top && path::is_within(zonepath, top)) {
        judgement.refuse(
            Code::Zonepath,
            format!(
                "zonepath {} is outside what the target accepts ({}); see [target] zonepath",
                shown(zonepath),
                listed(&accept.zonepaths)
            ),
        );
        // Whatever else is there is not for this peer to know.
        return;
    }
    judgement.note(format!(
        "zone '{zone}' (brand {}) lands at zonepath {zonepath}",
        shown(&check.offer.survey.zone.brand)
    ));
    for other in
        check.world.zones.zones.iter().filter(|other| other.name != "global" && other.name != zone.as_str())
    {
        if overlap(Path::new(zonepath), &other.zonepath) {
            let theirs = shown(&other.zonepath.to_string_lossy());
            judgement.refuse(
                Code::Zonepath,
                format!(
                    "zonepath {zonepath} overlaps with that of zone '{}' on the target, {theirs}",
                    shown(&other.name)
                ),
            );
        }
    }
    for other in check.reserved.iter().filter(|other| other.zone != *zone) {
        if overlap(Path::new(zonepath), Path::new(&other.zonepath)) {
            judgement.refuse(
                Code::Zonepath,
                format!(
                    "zonepath {zonepath} overlaps with {}, where job {} lands",
                    other.zonepath, other.job
                ),
            );
        }
    }
    let mut foreign = check.world.datasets.iter().filter(|(name, _)| !check.world.is_own(name));
    if let Some((name, at)) = foreign.find(|(_, at)| path::is_within(at, zonepath)) {
        judgement.refuse(
            Code::Zonepath,
            format!("zonepath {zonepath} is in use: dataset '{name}' has the mountpoint {at} on the target"),
        );
    }
    let why = match &check.world.zonepath {
        ZonepathState::Absent | ZonepathState::Empty => None,
        ZonepathState::NotEmpty => Some("is a directory with something in it; move that away".to_owned()),
        ZonepathState::NotADirectory => Some("is not a directory; move it away".to_owned()),
        ZonepathState::Link(to) => Some(format!(
            "leads to {} by a symbolic link, which zoneadm refuses; see [target] zonepath",
            shown(&to.to_string_lossy())
        )),
    };
    if let Some(why) = why {
        judgement.refuse(Code::Zonepath, format!("zonepath {zonepath} on the target {why}"));
    }
    parent(check, zonepath, judgement);
}

/// The hooks of ipkg and its kin look for a dataset whose mountpoint **is** the parent directory,
/// and refuse one in the root pool's ROOT (the fact sheet of the zones, 2.6).
fn parent(check: &Check<'_>, zonepath: &str, judgement: &mut Judgement) {
    let brand = &check.offer.survey.zone.brand;
    if !Brand::carried(brand).is_some_and(|brand| brand.wants_parent_dataset) {
        return;
    }
    let above =
        zonepath.rsplit_once('/').map_or("/", |(above, _)| if above.is_empty() { "/" } else { above });
    match check.world.datasets.iter().find(|(_, mountpoint)| *mountpoint == above) {
        None => judgement.refuse(Code::Zonepath, format!(
            "zonepath {zonepath}: brand '{}' wants its parent directory {above} to be a dataset's mountpoint on the target; \
             make one, or see [target] zonepath",
            shown(brand)
        )),
        Some((dataset, _)) if dataset.as_str().split('/').nth(1) == Some("ROOT") => judgement.refuse(Code::Zonepath, format!(
            "zonepath {zonepath}: its parent directory is in the boot environment '{dataset}', where brand '{}' can't be; \
             see [target] zonepath",
            shown(brand)
        )),
        Some(_) => {}
    }
}

fn overlap(a: &Path, b: &Path) -> bool {
    // A configured zone may have no zonepath yet; a kernel zone shows `-`.
    b.is_absolute() && (a.starts_with(b) || b.starts_with(a))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::zoneadm::ZoneState;
    use crate::host::check::fixture::{Case, case, name, reserved, zone_line};
    use crate::job::request::Request;

    fn refused(why: &str, spoil: impl Fn(&mut Case)) {
        let mut case = case();
        spoil(&mut case);
        let said = case.refusals();
        assert!(said.contains(why), "{why}: {said}");
    }

    #[test]
    fn the_zonepath_must_lie_below_an_accepted_one() {
        for zonepath in ["/zones/dbbackup", "/export/zones", "/export/zones2/dbbackup", "/export"] {
            refused("outside what the target accepts (/export/zones)", |c| {
                c.offer.request.target.zonepath = Some(zonepath.to_owned());
            });
        }
    }

    #[test]
    fn the_zonepath_must_be_free() {
        for theirs in ["/export/zones/dbbackup", "/export/zones/dbbackup/root/x", "/export/zones"] {
            refused("overlaps with that of zone 'web'", |c| {
                c.world.zones.zones.push(zone_line("web", ZoneState::Installed, theirs));
            });
        }
        refused("where job web-", |c| {
            let zonepath = "/export/zones/dbbackup/in".to_owned();
            c.reserved.push(crate::host::check::reserved::Reserved { zonepath, ..reserved() });
        });
        for at in ["/export/zones/dbbackup", "/export/zones/dbbackup/root"] {
            refused("dataset 'data/old' has the mountpoint", |c| {
                c.world.datasets.insert(name("data/old"), at.to_owned());
            });
        }
        for (state, why) in [
            (ZonepathState::NotEmpty, "something in it"),
            (ZonepathState::NotADirectory, "not a directory"),
            (ZonepathState::Link("/etc".into()), "leads to /etc by a symbolic link"),
        ] {
            refused(why, |c| c.world.zonepath = state.clone());
        }
    }

    #[test]
    fn neighbours_and_what_is_this_jobs_own_are_not_in_the_way() {
        let mut case = case();
        case.world.zones.zones.push(zone_line("web", ZoneState::Installed, "/export/zones/dbbackup2"));
        case.world.zones.zones.push(zone_line("kz", ZoneState::Configured, "-"));
        let holder = case.layout().unwrap().holders[0].clone();
        case.world.datasets.insert(holder.join("0").unwrap(), "/export/zones/dbbackup".to_owned());
        case.world.datasets.insert(holder.clone(), "none".to_owned());
        case.world.own.push(holder);
        case.world.zonepath = ZonepathState::Empty;
        case.reserved.push(reserved());
        assert_eq!(case.refusals(), "");
    }

    #[test]
    fn a_brand_with_boot_environments_wants_a_dataset_above_its_zonepath() {
        let below =
            |c: &mut Case| c.offer.request.target.zonepath = Some("/export/zones/deep/dbbackup".to_owned());
        refused("to be a dataset's mountpoint", below);
        refused("in the boot environment 'rpool/ROOT/be'", |c| {
            below(c);
            c.world.datasets.insert(name("rpool/ROOT/be"), "/export/zones/deep".to_owned());
        });
        let mut case = case();
        below(&mut case);
        case.offer.survey.zone.brand = "illumos".to_owned();
        case.offer.survey.zone.config = case.offer.survey.zone.config.replace("=sparse", "=illumos");
        assert_eq!(case.refusals(), "");
    }

    #[test]
    fn a_route_needs_leave() {
        let text = "zone = \"dbbackup\"\nto = \"zhost2\"\n[target.route]\ninterface = \"nge0:99\"\naddress = \"192.0.2.9\"\n\
                    netmask = \"255.255.255.0\"\ngateway = \"192.0.2.1\"\n";
        let request = Request::parse("r.toml", text).unwrap();
        refused("remove [target.route]", |c| c.offer.request = request.clone());
        let mut case = case();
        case.offer.request = request;
        case.accept.route = true;
        assert_eq!(case.refusals(), "");
    }
}
