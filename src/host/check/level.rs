//! Brand, operating system and the way of attaching: can this zone live on this host at all?
//!
//! Not asked: `zoneadm detach -n` there and `zoneadm attach -n` here. The fact sheet of the zones
//! (2.5, 2.6) has one brand whose dry run can be trusted, `native` on Solaris 10, and this program
//! can't be built for that. The hooks of ipkg, lipkg, sparse, pkgsrc (OmniOS) and of Tribblix leave
//! at once with 0 ("just pretend everything will be ok", their attach scripts); `illumos` has no
//! hook; what that of `solaris` looks at is not documented. An answer that is always yes would look
//! like a check.

use super::input::Check;
use super::judgement::Judgement;
use super::text::shown;
use crate::host::brand::{Brand, instead};
use crate::host::comparison::{Comparison, compare};
use crate::host::os::updated_by;
use crate::job::code::Code;
use crate::job::request::Attach;

/// Judges brand, level and `attach`.
pub(super) fn judge(check: &Check<'_>, judgement: &mut Judgement) {
    let zone = &check.offer.request.zone;
    let kind = check.offer.survey.zone.brand.as_str();
    let attach = check.offer.request.target.attach;
    let Some(brand) = Brand::carried(kind) else {
        let instead = instead(kind);
        judgement.refuse(
            Code::Brand,
            format!(
                "zone '{zone}' has brand '{}', which is not carried in this version; {instead}",
                shown(kind)
            ),
        );
        return;
    };
    if attach == Attach::Force && brand.has_boot_environments {
        judgement.refuse(
            Code::Brand,
            format!(
                "zone '{zone}' of brand '{kind}' can't boot after a forced attach; write attach = \"update\""
            ),
        );
    }
    if attach == Attach::UpdateAll && !brand.has_update_all {
        judgement.refuse(
            Code::Brand,
            format!("zone '{zone}' of brand '{kind}': its attach has no -U; write attach = \"update\""),
        );
    }
    level(check, brand, judgement);
}

/// Strict wants the level at which a plain attach succeeds: the same one, or for brands that bring
/// all their software a newer one. An older target is never right: nothing on it can read a newer
/// zone's software back.
fn level(check: &Check<'_>, brand: &Brand, judgement: &mut Judgement) {
    let request = &check.offer.request;
    let zone = &request.zone;
    let kind = check.offer.survey.zone.brand.as_str();
    let (theirs, os) = (&check.offer.survey.os, &check.world.os);
    let forced = request.target.attach == Attach::Force;
    let updated = matches!(request.target.attach, Attach::Update | Attach::UpdateAll);
    let by = updated_by(&os.version);
    let warn = |why: &str| format!("warning: {why}; attach = \"force\" compares nothing");
    if theirs.brands != os.brands {
        let version = |level: &Option<String>| level.as_deref().map_or("none".to_owned(), shown);
        let (from, to) = (version(&theirs.brands), version(&os.brands));
        judgement.note(format!("the zone brands' packages differ: source {from}, target {to}"));
    }
    match compare(theirs, os) {
        Comparison::Equal => {
            judgement.note(format!(
                "both hosts run {} {} {} {}",
                os.system, os.release, os.version, os.processor
            ));
        }
        Comparison::Different(why) => judgement.refuse(Code::Level, format!("zone '{zone}' can't run on the target: {why}")),
        Comparison::TargetOlder(why) if forced => judgement.note(warn(&format!("the target is older: {why}"))),
        Comparison::TargetOlder(why) => judgement.refuse(Code::Level, format!(
            "the target is older than the source: {why}; no attach brings a zone back to an older level: \
             bring the target to the source's first, by {by}, or send the zone to another host"
        )),
        Comparison::TargetNewer(why) if forced => judgement.note(warn(&format!("the target is newer: {why}"))),
        Comparison::TargetNewer(why) if brand.is_self_contained => {
            judgement.note(format!("the target is newer, which is fine for a zone of brand '{kind}': {why}"));
        }
        Comparison::TargetNewer(why) => match brand.update {
            Some(does) if updated => {
                judgement.note(format!("the target is newer, the zone is updated at its attach: {why}; {does}"));
            }
            Some(does) => judgement.refuse(Code::Level, format!(
                "the target is newer than the source: {why}; write attach = \"update\" to update the zone at its \
                 attach ({does}), or bring the source to the target's level first, by {by}"
            )),
            None => judgement.refuse(Code::Level, format!(
                "the target is newer than the source: {why}; attach = \"update\" does nothing for a zone of brand \
                 '{kind}': bring the source to the target's level first, by {by}"
            )),
        },
        Comparison::Unordered(why) if forced => judgement.note(warn(&format!("the levels differ: {why}"))),
        Comparison::Unordered(why) if updated => {
            judgement.note(format!("the levels differ, the zone is updated at its attach: {why}"));
        }
        Comparison::Unordered(why) => judgement.refuse(Code::Level, format!(
            "the hosts' patch levels differ, and nothing shows which side is older: {why}; bring them to one level, or write \
             attach = \"update\""
        )),
        Comparison::Unknown(why) => {
            let does = match brand.update {
                Some(does) if !updated => format!("; should it refuse, attach = \"update\": {does}"),
                _ => String::new(),
            };
            judgement
                .note(format!("the hosts' levels can't be compared beforehand, the attach will: {why}{does}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::host::check::fixture::case;
    use crate::job::request::Attach;

    #[test]
    fn a_brand_that_is_not_carried_is_refused_with_the_tool_to_use() {
        for (brand, tool) in
            [("bhyve", "zadm"), ("joyent", "vmadm"), ("solaris-kz", "zoneadm migrate"), ("a\nb", "a\\nb")]
        {
            let mut case = case();
            case.offer.survey.zone.brand = brand.to_owned();
            let said = case.refusals();
            assert!(said.contains(tool) && said.contains("is not carried"), "{said}");
        }
    }

    #[test]
    #[rustfmt::skip]
    fn the_levels_must_fit_the_way_of_attaching() {
        let (older, same, newer) = ("omnios-r151044-aaaa", "omnios-r151046-aaaa", "omnios-r151048-aaaa");
        for (brand, attach, target, refused, noted) in [
            ("sparse", Attach::Strict, same, None, "both hosts run"),
            ("sparse", Attach::Strict, newer, Some("attach = \"update\""), ""),
            ("sparse", Attach::Update, newer, None, "updated at its attach"),
            ("illumos", Attach::Strict, newer, None, "which is fine"),
            ("illumos", Attach::Force, newer, None, "warning: the target is newer"),
            ("sparse", Attach::Strict, newer, Some("installs the target's `entire`"), ""),
            ("sparse", Attach::Strict, newer, Some("the source to the target's level first, by pkg update"), ""),
            ("sparse-root", Attach::Update, newer, Some("does nothing for a zone of brand 'sparse-root'"), ""),
            ("whole-root", Attach::Update, newer, None, "which is fine"),
            ("sparse", Attach::Strict, older, Some("the target to the source's first, by pkg update"), ""),
            ("sparse", Attach::Strict, older, Some("target is older"), ""),
            ("sparse", Attach::Update, older, Some("target is older"), ""),
            ("illumos", Attach::Force, older, None, "warning: the target is older"),
            ("sparse", Attach::Strict, "omnios-r151046-bbbb", None, "can't be compared"),
            ("sparse", Attach::Update, "11.4.42.111.0", Some("the systems differ"), ""),
            ("illumos", Attach::Force, "11.4.42.111.0", Some("the systems differ"), ""),
            ("sparse", Attach::Force, same, Some("can't boot after a forced attach"), ""),
            ("sparse", Attach::UpdateAll, same, Some("has no -U"), ""),
        ] {
            let mut case = case();
            case.offer.survey.zone.brand = brand.to_owned();
            case.offer.survey.zone.config = case.offer.survey.zone.config.replace("brand=sparse", &format!("brand={brand}"));
            case.offer.request.target.attach = attach;
            case.offer.survey.os.version = same.to_owned();
            case.world.os.version = target.to_owned();
            let (said, findings) = (case.refusals(), case.judge().findings.join("\n"));
            match refused {
                Some(why) => assert!(said.contains(why), "{brand} {attach:?} {target}: {said}"),
                None => assert_eq!(said, "", "{brand} {attach:?} {target}"),
            }
            assert!(findings.contains(noted), "{findings}");
        }
    }

    #[test]
    fn kernel_patches_without_order_are_refused_unless_the_zone_is_updated() {
        let mut case = case();
        for os in [&mut case.offer.survey.os, &mut case.world.os] {
            os.release = "5.10".to_owned();
        }
        case.offer.survey.zone.brand = "native".to_owned();
        case.offer.survey.zone.config = case.offer.survey.zone.config.replace("set brand=sparse\n", "");
        case.offer.survey.os.version = "Generic_147440-01".to_owned();
        case.world.os.version = "Generic_147147-26".to_owned();
        assert!(case.refusals().contains("patch levels differ"));
        case.offer.request.target.attach = Attach::UpdateAll;
        assert_eq!(case.refusals(), "");
    }

    #[test]
    #[rustfmt::skip]
    fn each_release_says_which_side_is_older_and_what_an_update_would_do() {
        for (brand, release, from, to, words) in [
            ("solaris", "5.11", "11.4.42.111.0", "11.4.45.119.2", ["the target is newer than the source", "-U everything"]),
            ("solaris", "5.11", "11.4.45.119.2", "11.4.42.111.0", ["the target is older than the source", "by pkg update"]),
            ("sparse-root", "5.11", "tribblix-m34", "tribblix-m35", ["the target is newer than the source", "by zap upgrade"]),
            ("sparse-root", "5.11", "tribblix-m35", "tribblix-m34", ["the target is older than the source", "by zap upgrade"]),
            ("native", "5.10", "Generic_147147-25", "Generic_147147-26", ["the target is newer than the source", "packages that must match"]),
            ("native", "5.10", "Generic_147440-01", "Generic_147147-26", ["nothing shows which side is older", "attach = \"update\""]),
        ] {
            let mut case = case();
            let zone = &mut case.offer.survey.zone;
            zone.brand = brand.to_owned();
            zone.config = zone.config.replace("set brand=sparse\n", &format!("set brand={brand}\n"));
            for (os, version) in [(&mut case.offer.survey.os, from), (&mut case.world.os, to)] {
                (os.release, os.version) = (release.to_owned(), version.to_owned());
            }
            let said = case.refusals();
            for word in words {
                assert!(said.contains(word), "{brand} {from} -> {to}: no {word:?} in {said}");
            }
        }
        let mut case = case();
        case.world.os.brands = Some("0.19.0".to_owned());
        assert!(case.findings().contains("the zone brands' packages differ: source none, target 0.19.0"));
    }
}
