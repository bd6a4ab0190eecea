//! The zone's name on the target: is it free?

use super::input::Check;
use super::judgement::Judgement;
use crate::cmd::zoneadm::ZoneState;
use crate::job::code::Code;

/// Judges the name.
pub(super) fn judge(check: &Check<'_>, judgement: &mut Judgement) {
    let zone = &check.offer.request.zone;
    let zones = &check.world.zones;
    match zones.find(zone.as_str()).map(|line| line.state) {
        Some(ZoneState::Configured) => judgement.refuse(
            Code::Zone,
            format!(
                "zone '{zone}' is configured on the target; if an earlier migration took it away from there, \
             `zmigrate finish JOB` there removes what it left, else `zonecfg -z {zone} delete`"
            ),
        ),
        Some(state) => judgement.refuse(Code::Zone, format!("zone '{zone}' exists on the target ({state})")),
        None => {}
    }
    if !zones.is_complete() {
        judgement.refuse(Code::Zone, format!(
            "zoneadm on the target could not list all of its zones, so '{zone}' may exist there: {}; fix that zone first",
            zones.complaint()
        ));
    }
    if let Some(other) = check.reserved.iter().find(|other| other.zone == *zone) {
        judgement.refuse(Code::Zone, format!("zone '{zone}' is coming to the target by job {}", other.job));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::check::fixture::{Case, case, reserved, zone_line};
    use crate::host::check::reserved::Reserved;
    use crate::job::name::ZoneName;

    fn refused(why: &str, spoil: impl Fn(&mut Case)) {
        let mut case = case();
        spoil(&mut case);
        let said = case.refusals();
        assert!(said.contains(why), "{why}: {said}");
    }

    #[test]
    fn the_zones_name_must_be_free_and_that_must_be_known() {
        for (state, why) in [
            (ZoneState::Running, "exists on the target (running)"),
            (ZoneState::Incomplete, "exists on the target (incomplete)"),
            (ZoneState::Configured, "zmigrate finish JOB"),
        ] {
            refused(why, |c| {
                c.world.zones.zones.push(zone_line("dbbackup", state, "/export/zones/dbbackup"))
            });
        }
        refused("could not list all of its zones", |c| {
            c.world.zones.complaints = "zoneadm: web: Invalid document\n".to_owned();
        });
        refused("is coming to the target by job web-", |c| {
            let zone = ZoneName::new("dbbackup").unwrap();
            c.reserved.push(Reserved { zone, ..reserved() });
        });
    }
}
