//! Where the datasets would land, and which names there are in use.

use std::collections::{BTreeMap, BTreeSet};

use super::input::Check;
use super::judgement::Judgement;
use super::text::listed;
use crate::host::claim::{self, Claim};
use crate::job::code::Code;
use crate::job::layout::{Layout, Placed};
use crate::job::name::{DatasetName, JobId};

/// Judges the places.
pub(super) fn judge(check: &Check<'_>, judgement: &mut Judgement) {
    let Ok(layout) = check.layout else { return };
    landing(check, layout, judgement);
    in_the_way(check, layout, judgement);
    claimed(check, layout, judgement);
    reserved(check, layout, judgement);
}

fn landing(check: &Check<'_>, layout: &Layout, judgement: &mut Judgement) {
    let accept = check.accept;
    let inside = |name: &DatasetName| accept.datasets.iter().any(|top| name != top && name.is_within(top));
    let ours: BTreeSet<_> = layout.datasets.iter().map(|placed| &placed.target).collect();
    for root in layout.roots() {
        let Placed { source, target, quarantine, .. } = root;
        if !inside(target) {
            judgement.refuse(Code::Place, format!(
                "dataset '{source}' lands at '{target}', outside what the target accepts ({}); see [target.datasets]",
                listed(&accept.datasets)
            ));
            continue;
        }
        if layout.holders.iter().filter_map(DatasetName::parent).any(|top| target.is_within(&top)) {
            judgement.refuse(
                Code::Place,
                format!("dataset '{source}' lands at '{target}', in the quarantine; see [target.datasets]"),
            );
        }
        let parent = target.parent().filter(|parent| !ours.contains(parent));
        if let Some(parent) = parent.filter(|parent| !check.world.datasets.contains_key(parent)) {
            judgement.refuse(Code::Place, format!(
                "dataset '{source}' lands at '{target}', but '{parent}' does not exist on the target; make it, or see [target.datasets]"
            ));
        }
        if quarantine.pool() != target.pool() {
            judgement.refuse(Code::Place, format!(
                "dataset '{source}' would be received in pool '{}' and can't be renamed into '{target}' from there; \
                 fix the quarantine in the target's [accept.{}]",
                quarantine.pool(),
                check.offer.from
            ));
        }
        judgement.note(format!("dataset '{source}' lands at '{target}', with what comes along below it"));
    }
    for holder in layout.holders.iter().filter(|holder| !inside(holder)) {
        judgement.refuse(
            Code::Place,
            format!(
                "quarantine '{holder}' is outside what the target accepts ({}); fix its [accept.{}]",
                listed(&accept.datasets),
                check.offer.from
            ),
        );
    }
}

fn in_the_way(check: &Check<'_>, layout: &Layout, judgement: &mut Judgement) {
    let world = check.world;
    let zone = &check.offer.request.zone;
    // The zone's configuration stays where the zone came from until `finish`; so do its datasets.
    let was_here = world.zones.find(zone.as_str()).is_some();
    let exists = |name: &DatasetName| world.datasets.contains_key(name) && !world.is_own(name);
    for placed in layout.datasets.iter().filter(|placed| exists(&placed.target)) {
        let target = &placed.target;
        if !placed.root && target.parent().is_some_and(|parent| exists(&parent)) {
            // Said for the one above.
            continue;
        }
        judgement.refuse(Code::Place, if was_here {
            format!(
                "dataset '{target}' is in the way on the target; it may be what an earlier migration of zone '{zone}' left, \
                 which `zmigrate finish JOB` there removes"
            )
        } else {
            format!("dataset '{target}' is in the way on the target; rename it there, or see [target.datasets]")
        });
    }
    for holder in layout.holders.iter().filter(|holder| exists(holder)) {
        judgement.refuse(Code::Place, format!(
            "dataset '{holder}' is in the way on the target and does not carry this job's mark; rename or destroy it by hand"
        ));
    }
}

/// Names at, above and below what a zone of the target has, whether it is mounted or not.
fn claimed(check: &Check<'_>, layout: &Layout, judgement: &mut Judgement) {
    let zone = &check.offer.request.zone;
    for name in layout.roots().map(|root| &root.target).chain(&layout.holders) {
        // Where the peer may put nothing, the answer does not say which zone has what.
        if !check.accept.datasets.iter().any(|top| name.is_within(top)) {
            continue;
        }
        if let Some(Claim { zone: other, dataset }) = claim::of_another(&check.world.claims, zone, name) {
            judgement.refuse(Code::Place, format!(
                "dataset '{name}' would land in the tree of zone '{other}' on the target, which has '{dataset}'; \
                 see [target.datasets]"
            ));
        }
    }
}

/// Names at, above and below those that another job will make: it may be anywhere between its
/// receive and its undo.
fn reserved(check: &Check<'_>, layout: &Layout, judgement: &mut Judgement) {
    let mut taken: BTreeMap<&DatasetName, &JobId> = BTreeMap::new();
    let mut above: BTreeMap<DatasetName, &JobId> = BTreeMap::new();
    for other in check.reserved {
        for name in other.datasets.iter().chain(&other.holders) {
            taken.insert(name, &other.job);
            above.extend(
                std::iter::successors(name.parent(), DatasetName::parent).map(|name| (name, &other.job)),
            );
        }
    }
    let roots = layout.roots().map(|root| &root.target);
    for name in roots.chain(&layout.holders) {
        let within = std::iter::successors(Some(name.clone()), DatasetName::parent);
        let other = within.filter_map(|name| taken.get(&name)).next().or_else(|| above.get(name));
        if let Some(other) = other {
            judgement
                .refuse(Code::Place, format!("dataset '{name}' is reserved on the target by job {other}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::zoneadm::ZoneState;
    use crate::host::check::fixture::{Case, case, name, reserved, zone_line};
    use crate::host::check::reserved::Reserved;

    fn refused(why: &str, spoil: impl Fn(&mut Case)) {
        let mut case = case();
        spoil(&mut case);
        let said = case.refusals();
        assert!(said.contains(why), "{why}: {said}");
    }

    #[test]
    fn datasets_land_below_the_accepted_ones_and_nowhere_else() {
        for to in ["data", "data/zones", "data/zones2/x", "data/other/x"] {
            refused("outside what the target accepts (data/zones)", |c| {
                c.offer.request.target.datasets.insert(name("data/zones/dbbackup"), name(to));
            });
        }
        refused("in the quarantine", |c| {
            c.offer
                .request
                .target
                .datasets
                .insert(name("data/zones/dbbackup"), name("data/zones/zmigrate/x"));
        });
        refused("'data/zones/deep' does not exist", |c| {
            c.offer.request.target.datasets.insert(name("data/zones"), name("data/zones/deep"));
        });
        refused("where nothing is accepted", |c| {
            c.offer.request.target.datasets.insert(name("data"), name("tank"));
        });
        refused("quarantine 'data/q/", |c| c.accept.quarantine = name("data/q"));
    }

    #[test]
    fn what_is_in_the_way_is_said_once_for_each_tree() {
        let mut case = case();
        for there in ["data/zones/dbbackup", "data/zones/dbbackup/tank", "data/zones/dbbackup/tank/mysql"] {
            case.world.datasets.insert(name(there), "none".to_owned());
        }
        let refusals = case.judge().refusals;
        assert_eq!(refusals.len(), 1, "{refusals:?}");
        assert!(refusals[0].text.contains("rename it there"));
        case.world.zones.zones.push(zone_line("dbbackup", ZoneState::Configured, ""));
        assert!(
            case.refusals()
                .contains("'data/zones/dbbackup' is in the way on the target; it may be what an earlier")
        );
    }

    #[test]
    fn a_holder_is_in_the_way_unless_it_is_this_jobs_own() {
        let holder = case().layout().unwrap().holders[0].clone();
        refused("does not carry this job's mark", |c| {
            c.world.datasets.insert(holder.clone(), "none".to_owned());
        });
        let mut case = case();
        case.world.datasets.insert(holder.clone(), "none".to_owned());
        case.world.own.push(holder);
        assert_eq!(case.refusals(), "");
    }

    #[test]
    fn names_that_another_job_holds_are_reserved_with_all_above_and_below() {
        for theirs in ["data/zones/dbbackup", "data/zones/dbbackup/tank/mysql"] {
            refused("'data/zones/dbbackup' is reserved on the target by job web-", |c| {
                c.reserved.push(Reserved { datasets: vec![name(theirs)], ..reserved() });
            });
        }
        refused("'data/zones/web/x' is reserved", |c| {
            c.world.datasets.insert(name("data/zones/web"), "none".to_owned());
            c.reserved.push(reserved());
            c.offer.request.target.datasets.insert(name("data/zones/dbbackup"), name("data/zones/web/x"));
        });
        let holder = case().layout().unwrap().holders[0].clone();
        refused("7f3a' is reserved", |c| {
            c.reserved.push(Reserved { holders: vec![holder.clone()], ..reserved() });
        });
    }

    #[test]
    fn nothing_lands_in_the_tree_of_another_zone() {
        for theirs in
            ["data/zones/victim/tank", "data/zones/victim/tank/zones", "data/zones/victim/tank/zones/x/y"]
        {
            refused("'data/zones/victim/tank/zones/x' would land in the tree of zone 'victim'", |c| {
                for there in ["data/zones/victim/tank/zones", theirs] {
                    c.world.datasets.insert(name(there), "none".to_owned());
                }
                c.world.claims.push(Claim { zone: "victim".to_owned(), dataset: name(theirs) });
                let to = name("data/zones/victim/tank/zones/x");
                c.offer.request.target.datasets.insert(name("data/zones/dbbackup"), to);
            });
        }
        refused("'data/zones/zmigrate/dbbackup-20070518T033600Z-7f3a' would land in the tree", |c| {
            c.world.claims.push(Claim { zone: "victim".to_owned(), dataset: name("data/zones/zmigrate") });
        });
    }
}
