//! SIGTERM at every step of a job: the daemon exits with 0 within [`BOUND`], or the deadline of the command at hand, and leaves no
//! command behind; started again it goes on, and the end is the one that it would have been, in full (see `harness/ending.rs`).
//!
//! Each line of a journal is a step: the signal comes at every one. Within a step the lab's n-th command sends it to its caller
//! before its effect, and then goes on, takes its time, or hangs; `cargo test --test stop` runs every [`STRIDE`]-th n of these, from a
//! start that it prints. `ZMIGRATE_STOP=all` runs every one, `ZMIGRATE_STOP=17` the 17th alone.

#[path = "harness/mod.rs"]
mod harness;

use std::fs;
use std::time::{Duration, Instant};

use harness::ending::{Ending, Quarantine};
use harness::nth::Nth;
use harness::{HOSTS, Plan, SOURCE, Scene, TARGET, VERIFY};
use serde_json::{Value, json};

/// The longest that a daemon may take to end, but for the deadline of the command that it waits for.
const BOUND: Duration = Duration::from_secs(10);
/// Nothing takes this long but a job that hangs.
const LIMIT: Duration = Duration::from_secs(90);
/// Of commands; a job has hundreds.
const STRIDE: u64 = 23;

/// What is asked for, and what has to come of it.
#[derive(Clone, Copy)]
enum Way {
    /// The zone moves.
    There,
    /// The gate never opens on the target.
    AndBack,
}

impl Way {
    fn request(self) -> String {
        match self {
            Way::There => Scene::good(),
            Way::AndBack => Scene::bad(),
        }
    }

    /// Nothing but the daemon's life has failed: there was no reason for another end.
    fn judge(self, scene: &Scene) -> Result<(), String> {
        let (quarantine, wanted) = match self {
            Way::There => (Quarantine::Empty, Ending::Migrated),
            Way::AndBack => (Quarantine::Kept, Ending::AsFound),
        };
        match scene.ending(quarantine)? {
            ending if ending == wanted => Ok(()),
            other => Err(format!("it ended {other:?}")),
        }
    }
}

/// The n-th command, whatever it is.
fn nth(n: u64) -> Value {
    let then = if n.is_multiple_of(2) { "goes-on" } else { "goes-on-slowly" };
    json!({ "command": "*", "call": n, "action": { "do": "term-parent", "then": then } })
}

/// The first command of this kind, which then hangs or takes its time.
fn first(command: &str, word: &str, then: &str) -> Value {
    json!({
        "command": command, "contains": [word], "call": 1,
        "action": { "do": "term-parent", "then": then, "bytes": 20_000 }
    })
}

/// Both hosts, for the n-th run.
fn scene(n: u64) -> Scene {
    // Each brand has its own way to attach and detach.
    let brand = if n % 4 == 3 { "ipkg" } else { "sparse" };
    Scene::new(&Plan { brand: brand.into(), ..Plan::default() })
}

/// Starts both daemons and drops the request.
fn begin(scene: &mut Scene, request: &str) {
    scene.start_daemon(SOURCE);
    scene.start_daemon(TARGET);
    scene.drop_request(request);
}

fn begun(n: u64, way: Way, prepare: impl FnOnce(&Scene)) -> Scene {
    let mut scene = scene(n);
    prepare(&scene);
    begin(&mut scene, &way.request());
    scene
}

/// Waits until the daemon has ended after its signal, which `signalled` tells of, has `ended` look at the host, and starts
/// it again; `false` when everything was over without a signal.
fn ends_well(
    scene: &mut Scene,
    i: usize,
    mut signalled: impl FnMut(&Scene) -> bool,
    ended: impl FnOnce(&Scene),
) -> Result<bool, String> {
    let host = HOSTS[i];
    let mut since = None;
    let mut status = None;
    scene.wait_for(&format!("the daemon on {host} to end"), LIMIT, |scene| {
        status = scene.reap(i);
        if since.is_none() && signalled(scene) {
            since = Some(Instant::now());
        }
        if status.is_none() && since.is_some_and(|since: Instant| since.elapsed() > BOUND) {
            return Err(format!("zmigrated on {host} still runs {} s after SIGTERM", BOUND.as_secs()));
        }
        Ok(status.is_some() || since.is_none() && scene.is_over())
    })?;
    let Some(status) = status else { return Ok(false) };
    if status.code() != Some(0) {
        return Err(format!("zmigrated on {host} ended with {status}"));
    }
    // A whole group was killed, and the daemon waits for its leader alone.
    let left = |scene: &mut Scene| Ok(scene.running(i).is_empty());
    scene
        .wait_for("its commands to be gone", Duration::from_secs(2), left)
        .map_err(|why| format!("{why} from {host}: {:?}", scene.running(i)))?;
    ended(scene);
    scene.start_daemon(i);
    Ok(true)
}

/// Sends the signal once it is so; what [`ends_well`] is told by.
fn terminated_once(i: usize, mut is_so: impl FnMut(&Scene) -> bool) -> impl FnMut(&Scene) -> bool {
    let mut sent = false;
    move |scene| {
        if !sent && is_so(scene) {
            scene.terminate(i);
            sent = true;
        }
        sent
    }
}

/// Carries a scene whose daemon was stopped to its end, and checks it.
fn goes_on(mut scene: Scene, way: Way, stopped: Result<bool, String>) -> Result<bool, String> {
    let ended = stopped.and_then(|stopped| scene.wait_ended(LIMIT).map(|()| stopped));
    let judged = ended.and_then(|stopped| way.judge(&scene).map(|()| stopped));
    judged.map_err(|why| format!("{why}\n{}", scene.dump()))
}

fn stopped_by(
    i: usize,
    rule: &Value,
    n: u64,
    way: Way,
    prepare: impl FnOnce(&Scene),
) -> Result<bool, String> {
    let mut scene = begun(n, way, |scene| {
        prepare(scene);
        scene.fault(i, rule);
    });
    let stopped = ends_well(&mut scene, i, |scene| scene.fired(i), |_| {});
    goes_on(scene, way, stopped)
}

/// The daemon is stopped as soon as its journal has n lines.
fn stopped_at_line(i: usize, n: u64, way: Way) -> Result<bool, String> {
    let mut scene = begun(n, way, |_| {});
    let is_there = |scene: &Scene| {
        let jobs = scene.jobs(i, "active");
        let journals = jobs.iter().filter_map(|job| fs::read_to_string(job.join("journal")).ok());
        // One that has gone past the n-th line before it was seen there is stopped all the same.
        journals.map(|text| text.lines().count() as u64).max().unwrap_or(0) >= n
    };
    let stopped = ends_well(&mut scene, i, terminated_once(i, is_there), |_| {});
    goes_on(scene, way, stopped)
}

fn each(what: &str, stride: u64, run: &harness::nth::Run) {
    Nth::from_env("ZMIGRATE_STOP", stride).until_one_survives(what, run);
}

#[test]
fn a_source_stopped_at_its_nth_command_goes_on() {
    each("source", STRIDE, &|n| stopped_by(SOURCE, &nth(n), n, Way::There, |_| {}));
}

#[test]
fn a_target_stopped_at_its_nth_command_goes_on() {
    each("target", STRIDE, &|n| stopped_by(TARGET, &nth(n), n, Way::There, |_| {}));
}

#[test]
fn a_daemon_stopped_on_the_way_back_goes_on() {
    for (i, host) in HOSTS.iter().enumerate() {
        each(&format!("{host}, way back"), STRIDE, &move |n| stopped_by(i, &nth(n), n, Way::AndBack, |_| {}));
    }
}

#[test]
fn a_daemon_stopped_at_any_journal_line_goes_on() {
    for (i, host) in HOSTS.iter().enumerate() {
        each(&format!("{host}, journal"), 1, &move |n| stopped_at_line(i, n, Way::There));
    }
}

/// Every command has two seconds here.
fn short_deadlines(scene: &Scene) {
    for i in [SOURCE, TARGET] {
        let file = scene.configuration(i);
        let text = fs::read_to_string(&file).expect("the configuration");
        assert!(text.contains("timeout = \"2m\""), "{text}");
        fs::write(file, text.replace("timeout = \"2m\"", "timeout = \"2s\"")).expect("the configuration");
    }
}

/// The daemon was stopped, and all went well. The story of one that did not is many lines.
#[track_caller]
fn assert_went(went: &Result<bool, String>) {
    assert_eq!(*went, Ok(true), "{}", went.as_ref().err().map_or("", String::as_str));
}

#[track_caller]
fn long(i: usize, command: &str, word: &str, then: &str) {
    let went = stopped_by(i, &first(command, word, then), 1, Way::There, short_deadlines);
    assert_went(&went);
}

#[test]
fn a_send_that_does_not_end_is_ended_with_the_daemon() {
    long(SOURCE, "zfs", "send", "hangs");
}

#[test]
fn a_receive_that_does_not_end_is_ended_with_the_daemon() {
    long(TARGET, "zfs", "receive", "hangs");
}

#[test]
fn a_shutdown_that_does_not_end_is_waited_for_until_its_deadline() {
    long(SOURCE, "zlogin", "shutdown", "hangs");
}

#[test]
fn a_shutdown_that_takes_its_time_is_waited_for() {
    long(SOURCE, "zlogin", "shutdown", "goes-on-slowly");
}

#[test]
fn a_boot_that_does_not_end_is_waited_for_until_its_deadline() {
    long(TARGET, "zoneadm", "boot", "hangs");
}

#[test]
fn a_boot_that_takes_its_time_is_waited_for() {
    long(TARGET, "zoneadm", "boot", "goes-on-slowly");
}

#[test]
fn of_several_verify_commands_none_is_begun_after_the_signal() {
    let request = Scene::request(&format!("[verify]\ncommands = [\"{VERIFY}\", \"echo second\"]\n"));
    let mut scene = scene(1);
    scene.fault(TARGET, &first("zlogin", "mysqladmin", "goes-on-slowly"));
    begin(&mut scene, &request);
    let mut seconds = None;
    let stopped = ends_well(
        &mut scene,
        TARGET,
        |scene| scene.fired(TARGET),
        |scene| {
            seconds = Some(scene.calls(TARGET).matches("echo second").count());
        },
    );
    let went = goes_on(scene, Way::There, stopped);
    assert_went(&went);
    assert_eq!(seconds, Some(0));
}

/// The command is over, and the zone on its way.
fn on_its_way(i: usize, knobs: &Value, is_so: impl Fn(&Scene) -> bool) {
    let mut scene = begun(1, Way::There, |scene| scene.knobs(i, knobs));
    let stopped = ends_well(&mut scene, i, terminated_once(i, is_so), |_| {});
    let went = goes_on(scene, Way::There, stopped);
    assert_went(&went);
}

#[test]
fn a_zone_on_its_way_down_is_not_waited_for() {
    on_its_way(SOURCE, &json!({"shutdown_ms": 1500}), |scene| {
        scene.zone_state(SOURCE).is_some_and(|state| state == "shutting_down" || state == "down")
    });
}

#[test]
fn a_zone_on_its_way_up_is_not_waited_for() {
    on_its_way(TARGET, &json!({"boot_ms": 1500}), |scene| {
        scene.zone_state(TARGET).as_deref() == Some("running")
    });
}
