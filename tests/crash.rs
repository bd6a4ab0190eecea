//! SQLite's loop: n = 1, 2, …: the daemon is killed at its n-th command, before or after the effect, or at its
//! n-th journal line; it is started again; the end must be *migrated* or *as found*, in full (see
//! `harness/ending.rs`). The loop is over when a run survives unkilled: then there was no n-th. The lab's command
//! kills its caller, so the product needs no hook.
//!
//! Every n takes minutes. `cargo test --test crash` runs every seventh, from a start that it prints;
//! `ZMIGRATE_CRASH=all` runs every one (as `.ci/run` does), `ZMIGRATE_CRASH=17` the 17th alone.
//! `ZMIGRATE_CRASH_ZFS=/usr/sbin` takes the real `zfs` of that directory.

#[path = "harness/mod.rs"]
mod harness;

use std::fs;
use std::time::Duration;

use harness::ending::{Ending, Quarantine};
use harness::nth::{Nth, Run};
use harness::{HOSTS, Plan, SOURCE, Scene, TARGET, ZONE};
use serde_json::{Value, json};

/// Nothing takes this long but a job that hangs.
const LIMIT: Duration = Duration::from_secs(90);

fn until_one_survives(what: &str, run: &Run) {
    Nth::from_env("ZMIGRATE_CRASH", 7).until_one_survives(what, run);
}

fn plan(n: u64) -> Plan {
    // Each brand has its own way to attach and detach.
    let brand = if n % 4 == 3 { "ipkg" } else { "sparse" };
    let real_zfs = std::env::var_os("ZMIGRATE_CRASH_ZFS").map(Into::into);
    Plan { brand: brand.into(), real_zfs, ..Plan::default() }
}

/// What may come of a run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// Nothing but the daemon's life has failed: there was no reason for another end.
    Only(Ending),
    /// An orphan at work may be reason enough to turn back.
    Any,
}

/// Carries a prepared scene to its end, and checks it.
fn to_the_end(
    scene: &mut Scene,
    request: &str,
    wanted: Wanted,
    quarantine: Quarantine,
) -> Result<(), String> {
    scene.start_daemon(SOURCE);
    scene.start_daemon(TARGET);
    scene.drop_request(request);
    let ended = scene.wait_ended(LIMIT);
    judged(scene, ended, wanted, quarantine)
}

fn judged(
    scene: &mut Scene,
    ended: Result<(), String>,
    wanted: Wanted,
    quarantine: Quarantine,
) -> Result<(), String> {
    ended
        .and_then(|()| match scene.ending(quarantine) {
            Ok(ending) if matches!(wanted, Wanted::Only(only) if only != ending) => {
                Err(format!("it ended {ending:?}"))
            }
            other => other.map(drop),
        })
        .map_err(|why| format!("{why}\n{}", scene.dump()))
}

/// The n-th call of a command on one host kills the daemon there.
fn killed_at(i: usize, rule: &Value, n: u64) -> Result<bool, String> {
    let mut scene = Scene::new(&plan(n));
    scene.fault(i, rule);
    to_the_end(&mut scene, &Scene::good(), Wanted::Only(Ending::Migrated), Quarantine::Empty)?;
    Ok(scene.fired(i))
}

/// As above, on the way back after the handoff.
fn killed_on_the_way_back(i: usize, rule: &Value, n: u64) -> Result<bool, String> {
    let mut scene = Scene::new(&plan(n));
    scene.fault(i, rule);
    to_the_end(&mut scene, &Scene::bad(), Wanted::Only(Ending::AsFound), Quarantine::Kept)?;
    Ok(scene.fired(i))
}

fn rule(n: u64, when: &str) -> Value {
    json!({ "command": "*", "call": n, "action": { "do": "kill-parent", "when": when } })
}

fn orphan(n: u64, verb: &str) -> Value {
    json!({
        "command": "zfs", "contains": [verb], "call": n,
        "action": { "do": "kill-parent", "when": "halfway", "bytes": 20_000 }
    })
}

/// The n-th stream outlives the daemon. The next one ends it; every other time it does not know of it, as when the first
/// was killed before it had kept it.
fn stream_orphaned(i: usize, verb: &str, n: u64) -> Result<bool, String> {
    let mut scene = Scene::new(&plan(n));
    scene.forget_streams = n.is_multiple_of(2);
    scene.fault(i, &orphan(n, verb));
    to_the_end(&mut scene, &Scene::good(), Wanted::Only(Ending::Migrated), Quarantine::Empty)?;
    Ok(scene.fired(i))
}

/// The n-th command outlives the daemon and has its effect when the next one is at work already.
fn orphaned(i: usize, request: &str, n: u64) -> Result<bool, String> {
    let mut scene = Scene::new(&plan(n));
    scene.fault(i, &rule(n, "orphan"));
    to_the_end(&mut scene, request, Wanted::Any, Quarantine::Kept)?;
    Ok(scene.fired(i))
}

/// The daemon is killed as soon as its journal has n lines.
fn killed_at_line(
    i: usize,
    request: &str,
    wanted: Wanted,
    quarantine: Quarantine,
    n: u64,
) -> Result<bool, String> {
    let mut scene = Scene::new(&plan(n));
    scene.start_daemon(SOURCE);
    scene.start_daemon(TARGET);
    scene.drop_request(request);
    let mut killed = false;
    let ended = scene.wait_for("the n-th line, or both jobs to end", LIMIT, |scene| {
        let lines = |place| {
            let jobs = scene.jobs(i, place);
            let journals = jobs.iter().filter_map(|job| fs::read_to_string(job.join("journal")).ok());
            journals.map(|text| text.lines().count() as u64).max().unwrap_or(0)
        };
        // One that has gone past the n-th line before it was seen there is killed all the same.
        if lines("active") >= n {
            scene.kill(i);
            scene.start_daemon(i);
            killed = true;
        }
        Ok(killed || scene.is_over())
    });
    let ended = ended.and_then(|()| scene.wait_ended(LIMIT));
    judged(&mut scene, ended, wanted, quarantine)?;
    Ok(killed)
}

#[test]
fn a_source_killed_before_its_nth_command_has_an_effect_goes_on() {
    until_one_survives("source, before", &|n| killed_at(SOURCE, &rule(n, "before"), n));
}

#[test]
fn a_source_killed_after_its_nth_commands_effect_goes_on() {
    until_one_survives("source, after", &|n| killed_at(SOURCE, &rule(n, "after"), n));
}

#[test]
fn a_target_killed_before_its_nth_command_has_an_effect_goes_on() {
    until_one_survives("target, before", &|n| killed_at(TARGET, &rule(n, "before"), n));
}

#[test]
fn a_target_killed_after_its_nth_commands_effect_goes_on() {
    until_one_survives("target, after", &|n| killed_at(TARGET, &rule(n, "after"), n));
}

#[test]
fn an_orphaned_zfs_send_does_no_harm() {
    until_one_survives("source, in the n-th send", &|n| stream_orphaned(SOURCE, "send", n));
}

#[test]
fn an_orphaned_zfs_receive_does_no_harm() {
    until_one_survives("target, in the n-th receive", &|n| stream_orphaned(TARGET, "receive", n));
}

#[test]
fn a_sources_command_that_outlives_its_daemon_does_no_harm() {
    until_one_survives("source, orphans", &|n| orphaned(SOURCE, &Scene::good(), n));
}

#[test]
fn a_targets_command_that_outlives_its_daemon_does_no_harm() {
    until_one_survives("target, orphans", &|n| orphaned(TARGET, &Scene::good(), n));
}

#[test]
fn a_command_that_outlives_its_daemon_on_the_way_back_does_no_harm() {
    for (i, host) in HOSTS.iter().enumerate() {
        until_one_survives(&format!("{host}, orphans, way back"), &move |n| orphaned(i, &Scene::bad(), n));
    }
}

#[test]
fn a_daemon_killed_at_its_nth_journal_line_goes_on() {
    for (i, host) in HOSTS.iter().enumerate() {
        until_one_survives(&format!("{host}, journal"), &move |n| {
            killed_at_line(i, &Scene::good(), Wanted::Only(Ending::Migrated), Quarantine::Empty, n)
        });
    }
}

#[test]
fn a_source_killed_on_the_way_back_has_its_zone_as_found() {
    until_one_survives("source, way back", &|n| killed_on_the_way_back(SOURCE, &rule(n, when(n)), n));
}

#[test]
fn a_target_killed_on_the_way_back_leaves_nothing_but_the_data_in_quarantine() {
    until_one_survives("target, way back", &|n| killed_on_the_way_back(TARGET, &rule(n, when(n)), n));
}

#[test]
fn a_daemon_killed_at_its_nth_journal_line_on_the_way_back_goes_on() {
    for (i, host) in HOSTS.iter().enumerate() {
        until_one_survives(&format!("{host}, journal, way back"), &move |n| {
            killed_at_line(i, &Scene::bad(), Wanted::Only(Ending::AsFound), Quarantine::Kept, n)
        });
    }
}

/// The check of the end would be worth nothing if it were always content.
#[test]
fn an_end_that_is_none_is_seen() {
    let wrong = |tamper: &dyn Fn(&Scene)| {
        let scene = Scene::new(&plan(1));
        assert_eq!(scene.ending(Quarantine::Empty), Ok(Ending::AsFound));
        tamper(&scene);
        scene.ending(Quarantine::Empty).expect_err("it was not seen")
    };
    let snapshot = wrong(&|scene| drop(scene.ask(TARGET, "zfs", &["snapshot", "data/zones@left"])));
    assert!(snapshot.contains("data/zones@left"), "{snapshot}");
    let down = wrong(&|scene| drop(scene.ask(SOURCE, "zoneadm", &["-z", ZONE, "halt"])));
    assert!(down.contains("zhost1: the zone is Some(\"installed\")"), "{down}");
    let quota = wrong(&|scene| {
        scene.ask(SOURCE, "zfs", &["set", "quota=41G", "data/zones/dbbackup/tank/mysql"]);
    });
    assert!(quota.contains("tank/mysql quota"), "{quota}");
    let part = wrong(&|scene| {
        let out = scene.scratch(SOURCE, "out/job");
        fs::create_dir_all(&out).and_then(|()| fs::write(out.join("a@b.000000"), "x")).expect("leave a part");
    });
    assert!(part.contains("a@b.000000"), "{part}");
}

/// Both moments in turn, where a loop for each would take too long.
fn when(n: u64) -> &'static str {
    if n.is_multiple_of(2) { "before" } else { "after" }
}
