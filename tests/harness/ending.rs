//! The only two ends that there are, checked in full: *migrated* or *as found*.

use super::{HOSTS, SOURCE, Scene, Snapshot, TARGET};

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The zone runs on the target.
    Migrated,
    /// Everything is as it was before the request.
    AsFound,
}

/// What a failed way back after the handoff may leave: the received datasets, kept in quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quarantine {
    /// Nothing may be there.
    Empty,
    /// The zone may have run on the target: its data is kept.
    Kept,
}

impl Scene {
    /// Which end this is; every way in which it is neither.
    ///
    /// # Errors
    /// All that is wrong, a line each.
    pub fn ending(&self, quarantine: Quarantine) -> Result<Ending, String> {
        let mut wrong = Vec::new();
        let now = [self.snapshot(SOURCE), self.snapshot(TARGET)];
        let ending = if now[TARGET].zone.is_some() { Ending::Migrated } else { Ending::AsFound };
        match ending {
            Ending::Migrated => self.migrated(&now, &mut wrong),
            Ending::AsFound => self.as_found(&now, quarantine, &mut wrong),
        }
        self.outcomes_agree(ending, &mut wrong);
        one_owner(&self.events(), &mut wrong);
        wrong
            .extend(self.left_in_scratch().iter().map(|path| format!("left in scratch: {}", path.display())));
        if wrong.is_empty() { Ok(ending) } else { Err(wrong.join("\n")) }
    }

    fn migrated(&self, now: &[Snapshot; 2], wrong: &mut Vec<String>) {
        let before = self.before(SOURCE);
        let target = &now[TARGET];
        let wanted = [("running", Some(true)), ("configured", Some(false))];
        for (i, (state, autoboot)) in [TARGET, SOURCE].into_iter().zip(wanted) {
            if now[i].zone.as_deref() != Some(state) || now[i].autoboot != autoboot {
                let (zone, on) = (&now[i].zone, now[i].autoboot);
                wrong.push(format!("{}: the zone is {zone:?}, autoboot {on:?}, not {state}", HOSTS[i]));
            }
        }
        if target.datasets != before.datasets {
            wrong.push(format!("the target's datasets are {:#?}", target.datasets));
        }
        different("the zone on the target", &before.picture, &target.picture, wrong);
        // The old copy stays, with the final snapshot that `finish` will ask for.
        let old: Vec<_> = now[SOURCE].datasets.iter().filter(|name| !name.contains('@')).collect();
        if old != before.datasets.iter().collect::<Vec<_>>() {
            wrong.push(format!("the old copy's datasets are {old:#?}"));
        }
    }

    fn as_found(&self, now: &[Snapshot; 2], quarantine: Quarantine, wrong: &mut Vec<String>) {
        for i in [SOURCE, TARGET] {
            let (before, now) = (self.before(i), &now[i]);
            if (&before.zone, before.autoboot) != (&now.zone, now.autoboot) {
                wrong.push(format!("{}: the zone is {:?}, autoboot {:?}", HOSTS[i], now.zone, now.autoboot));
            }
            let kept = |name: &String| {
                i == TARGET && quarantine == Quarantine::Kept && name.starts_with("data/zones/zmigrate")
            };
            let datasets: Vec<_> = now.datasets.iter().filter(|name| !kept(name)).collect();
            if datasets != before.datasets.iter().collect::<Vec<_>>() {
                wrong.push(format!("{}: the datasets are {datasets:#?}", HOSTS[i]));
            }
            different(HOSTS[i], &before.picture, &now.picture, wrong);
        }
        let document = self.host(TARGET).join("etc/zones").join(format!("{}.xml", super::ZONE));
        if document.exists() {
            wrong.push("a configuration is left on the target".to_owned());
        }
    }

    fn outcomes_agree(&self, ending: Ending, wrong: &mut Vec<String>) {
        for i in [SOURCE, TARGET] {
            let results = self.results(i);
            let ok = results.iter().all(|result| result == "ok");
            let had_a_job = ["done", "failed"].iter().any(|place| !self.jobs(i, place).is_empty());
            if had_a_job && results.is_empty() {
                wrong.push(format!("{}: no outcome", HOSTS[i]));
            }
            if !results.is_empty() && ok != (ending == Ending::Migrated) {
                wrong.push(format!("{}: {ending:?}, but the outcomes are {results:?}", HOSTS[i]));
            }
            if results.iter().any(|result| *result != results[0]) {
                wrong.push(format!("{}: the outcomes contradict each other: {results:?}", HOSTS[i]));
            }
        }
    }
}

fn different(
    what: &str,
    before: &Option<serde_json::Value>,
    now: &Option<serde_json::Value>,
    wrong: &mut Vec<String>,
) {
    if before == now {
        return;
    }
    let (Some(before), Some(now)) = (before, now) else {
        wrong.push(format!("{what}: the datasets are there only before or after"));
        return;
    };
    for kind in ["files", "properties"] {
        let empty = serde_json::Map::new();
        let of =
            |value: &serde_json::Value| value[kind].as_object().cloned().unwrap_or_else(|| empty.clone());
        let (a, b) = (of(before), of(now));
        let keys: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).collect();
        for key in keys.into_iter().filter(|key| a.get(*key) != b.get(*key)).take(20) {
            wrong.push(format!("{what}: {key}: {:?} became {:?}", a.get(key), b.get(key)));
        }
    }
}

/// Rule 1: never running, and never attached, on two hosts.
fn one_owner(events: &[(u64, usize, String)], wrong: &mut Vec<String>) {
    let (mut runs, mut attached) = ([false; 2], [false; 2]);
    for (at, i, what) in events {
        match what.as_str() {
            "boot" => runs[*i] = true,
            "halt" => runs[*i] = false,
            "attach" => attached[*i] = true,
            "detach" => attached[*i] = false,
            _ => {}
        }
        for (how, where_) in [("runs", &runs), ("is attached", &attached)] {
            if where_.iter().all(|on| *on) {
                wrong.push(format!("at {at} the zone {how} on both hosts"));
            }
        }
    }
}

#[test]
fn the_check_of_one_owner_sees_two() {
    let event = |at, i, what: &str| (at, i, what.to_owned());
    let mut wrong = Vec::new();
    one_owner(&[event(1, 0, "boot"), event(2, 0, "halt"), event(3, 1, "boot")], &mut wrong);
    assert!(wrong.is_empty());
    one_owner(&[event(1, 0, "boot"), event(3, 1, "boot"), event(4, 0, "halt")], &mut wrong);
    assert_eq!(wrong, ["at 3 the zone runs on both hosts"]);
}
