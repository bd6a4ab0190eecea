//! Room in the pools for the datasets, after what other accepted jobs hold.

use std::collections::BTreeMap;

use super::input::Check;
use super::judgement::Judgement;
use super::properties::size;
use super::reserved::{Reserved, zonepath};
use super::room::scratch_need;
use crate::job::code::Code;
use crate::job::layout::Layout;
use crate::job::message::Offer;
use crate::job::name::{Bytes, DatasetName, JobId};

/// What an accepted job with this offer holds. The offer must have been judged sound.
pub fn reservation(job: &JobId, offer: &Offer, layout: &Layout) -> Reserved {
    let mut pools: BTreeMap<String, Bytes> = BTreeMap::new();
    for (target, need) in needs(offer, layout) {
        add(pools.entry(target.pool().to_owned()).or_default(), need);
    }
    Reserved {
        job: job.clone(),
        zone: offer.request.zone.clone(),
        zonepath: zonepath(offer).to_owned(),
        datasets: layout.datasets.iter().map(|placed| placed.target.clone()).collect(),
        holders: layout.holders.clone(),
        pools,
        scratch: scratch_need(&offer.survey.datasets, offer.part),
    }
}

/// Judges the room in the pools.
pub(super) fn judge(check: &Check<'_>, judgement: &mut Judgement) {
    if let Ok(layout) = check.layout {
        pools(check, layout, judgement);
    }
}

/// Room that each dataset which lands by itself will use, with the datasets below it, by the root's
/// name on the target. Room for metadata on top; a reservation counts where it is larger.
fn needs<'a>(offer: &Offer, layout: &'a Layout) -> Vec<(&'a DatasetName, Bytes)> {
    let index: BTreeMap<_, _> =
        layout.datasets.iter().enumerate().map(|(i, placed)| (&placed.target, i)).collect();
    let mut total: Vec<Bytes> = vec![Bytes(0); layout.datasets.len()];
    let mut roots = Vec::new();
    // Children before parents.
    for (i, placed) in layout.datasets.iter().enumerate().rev() {
        let Some(dataset) = offer.survey.datasets.get(i) else { continue };
        let limit = |property: &str| {
            let wanted = offer.request.target.properties.get(&dataset.name).and_then(|own| own.get(property));
            wanted.map(String::as_str).or(dataset.value(property)).and_then(size).unwrap_or_default()
        };
        let stored = dataset.stored().0;
        let data = Bytes(stored.saturating_add(stored / 20));
        add(&mut total[i], data.max(limit("refreservation")));
        total[i] = total[i].max(limit("reservation"));
        let need = total[i];
        let parent = placed.target.parent().and_then(|parent| index.get(&parent).copied());
        match parent.filter(|_| !placed.root) {
            Some(parent) => add(&mut total[parent], need),
            None => roots.push((&placed.target, need)),
        }
    }
    roots
}

fn add(total: &mut Bytes, more: Bytes) {
    total.0 = total.0.saturating_add(more.0);
}

/// At each place where something lands, and where all of a pool is received before: the quarantine
/// may have a quota of its own above it.
fn pools(check: &Check<'_>, layout: &Layout, judgement: &mut Judgement) {
    let mut places: BTreeMap<DatasetName, Bytes> = BTreeMap::new();
    let mut received: BTreeMap<DatasetName, Bytes> = BTreeMap::new();
    for (target, need) in needs(check.offer, layout) {
        let home = layout.holders.iter().find(|holder| holder.pool() == target.pool());
        let above = home.and_then(DatasetName::parent).and_then(|top| check.world.existing(&top));
        if let Some(above) = above {
            add(received.entry(above).or_default(), need);
        }
        if let Some(parent) = target.parent() {
            add(places.entry(parent).or_default(), need);
        }
    }
    for (place, need) in received {
        let at = places.entry(place).or_default();
        *at = (*at).max(need);
    }
    for (place, need) in places {
        // A place that isn't there or isn't accepted has been refused.
        let Some(&available) = check.world.available.get(&place) else { continue };
        let held = held(check, place.pool());
        let room = Bytes(available.0.saturating_sub(held.0));
        // What has been received here already is no longer available and no longer wanted.
        let own = layout
            .holders
            .iter()
            .filter(|holder| holder.pool() == place.pool() && check.world.own.contains(holder));
        let here: u64 = own.filter_map(|holder| check.world.used.get(holder)).map(|used| used.0).sum();
        let need = Bytes(need.0.saturating_sub(here));
        let also = if held.0 > 0 { format!(" beside {held} for other jobs") } else { String::new() };
        let said = format!(
            "dataset '{place}' on the target has {room} available{also}, the zone's datasets need {need}"
        );
        if need > room {
            judgement.refuse(Code::Space, format!("{said}; make room, or see [target.datasets]"));
        } else {
            judgement.note(said);
        }
    }
}

/// What other jobs hold in a pool beyond what they have received there.
fn held(check: &Check<'_>, pool: &str) -> Bytes {
    let outstanding = check.reserved.iter().map(|other| {
        let holders = other.holders.iter().filter(|holder| holder.pool() == pool);
        let here: u64 = holders.filter_map(|holder| check.world.used.get(holder)).map(|used| used.0).sum();
        other.pools.get(pool).map_or(0, |all| all.0.saturating_sub(here))
    });
    Bytes(outstanding.fold(0, u64::saturating_add))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::check::fixture::{Case, GIB, case, local, name, reserved};

    fn with(spoil: impl Fn(&mut Case)) -> String {
        let mut case = case();
        spoil(&mut case);
        case.refusals()
    }

    #[test]
    fn the_pool_must_hold_the_datasets_beside_what_others_wait_for() {
        let available = |gib| {
            move |c: &mut Case| {
                c.world.available.insert(name("data/zones"), Bytes(gib * GIB));
            }
        };
        assert_eq!(with(available(42)), "");
        assert!(with(available(41)).contains(
            "'data/zones' on the target has 41.0 GiB available, the zone's datasets need 42.0 GiB"
        ));
        let beside = |c: &mut Case| {
            available(50)(c);
            c.reserved.push(reserved());
        };
        assert!(with(beside).contains("has 40.0 GiB available beside 10.0 GiB for other jobs"));
        let half_here = |c: &mut Case| {
            beside(c);
            c.world.used.insert(reserved().holders[0].clone(), Bytes(9 * GIB));
        };
        assert_eq!(with(half_here), "");
    }

    #[test]
    fn what_this_job_has_received_is_not_wanted_again() {
        let holder = case().layout().unwrap().holders[0].clone();
        let received = |own: bool| {
            with(|c| {
                c.world.available.insert(name("data/zones"), Bytes(GIB));
                c.world.used.insert(holder.clone(), Bytes(42 * GIB));
                c.world.datasets.insert(holder.clone(), "none".to_owned());
                c.world.own.extend(own.then(|| holder.clone()));
            })
        };
        assert_eq!(received(true), "");
        assert!(received(false).contains("make room"));
    }

    #[test]
    fn a_reservation_counts_where_it_is_larger_than_the_data() {
        let set = |at: usize, property: &'static str, gib: u64| {
            with(move |c| local(&mut c.offer.survey.datasets[at], property, &(gib * GIB).to_string()))
        };
        assert_eq!(set(0, "reservation", 90), "");
        assert!(set(0, "reservation", 120).contains("need 120.0 GiB"));
        assert!(set(3, "refreservation", 100).contains("need 103.1 GiB"));
        let wanted = with(|c| {
            let own = [("reservation".to_owned(), "200G".to_owned())].into();
            c.offer.request.target.properties.insert(name("data/zones/dbbackup/tank"), own);
        });
        assert!(wanted.contains("need 203.1 GiB"), "{wanted}");
    }

    #[test]
    fn each_place_and_the_quarantine_is_asked_for_its_own_room() {
        let split = |c: &mut Case| {
            c.accept.datasets.push(name("data/other"));
            c.offer.request.target.datasets.insert(name("data/zones/dbbackup/tank"), name("data/other/tank"));
        };
        let narrow = with(|c| {
            split(c);
            c.world.available.insert(name("data/other"), Bytes(10 * GIB));
        });
        assert!(
            narrow.contains(
                "'data/other' on the target has 10.0 GiB available, the zone's datasets need 38.8 GiB"
            ),
            "{narrow}"
        );
        // All is received below data/zones first.
        let quota = with(|c| {
            split(c);
            c.world.available.insert(name("data/other"), Bytes(100 * GIB));
            c.world.available.insert(name("data/zones"), Bytes(10 * GIB));
        });
        assert!(
            quota.contains(
                "'data/zones' on the target has 10.0 GiB available, the zone's datasets need 42.0 GiB"
            ),
            "{quota}"
        );
    }

    #[test]
    fn a_reservation_names_all_that_the_job_will_take() {
        let case = case();
        let held = reservation(&case.job, &case.offer, &case.layout().unwrap());
        assert_eq!(held.zonepath, "/export/zones/dbbackup");
        assert_eq!(held.datasets.len(), 4);
        assert_eq!(held.holders, [name("data/zones/zmigrate").join(case.job.as_str()).unwrap()]);
        assert_eq!(held.pools.keys().collect::<Vec<_>>(), ["data"]);
        assert_eq!(held.pools["data"].to_string(), "42.0 GiB");
        assert!(held.scratch > Bytes(38 * GIB));
        // A job's own reservation is not among the others'; another job with these names is
        // refused.
        let mut again = super::super::fixture::case();
        again.reserved.push(Reserved { job: reserved().job, ..held });
        assert!(again.refusals().contains("is reserved on the target"));
    }
}
