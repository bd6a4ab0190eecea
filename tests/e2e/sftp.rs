//! Between hosts that share nothing but a network: SFTP over ssh, with the link between them cut.

use std::fs;
use std::time::Instant;

use serde_json::{Value, json};

use crate::lab::ends::{Before, assert_outcomes};
use crate::lab::{Host, Lab, Request, ZONE, wait};

const UNKNOWN_KEY: &str = include_str!("../samples/ssh/unknown_key");

/// The source reaches the target by sftp.
fn lab() -> Lab {
    let lab = Lab::new();
    let directory = format!("transport = \"directory\"\ndropbox = \"{}\"", lab.target.dropbox().display());
    lab.source.configure(
        &directory,
        "transport = \"sftp\"\naddress = \"zhost2\"\nuser = \"zmigrate-zhost1\"\nssh_options = [\"-oIdentityFile=/k\"]",
    );
    lab
}

/// The link between the hosts.
fn cut(host: &Host) {
    fs::write(host.root.join(".lab/link-down"), "").unwrap();
}

fn mend(host: &Host) {
    fs::remove_file(host.root.join(".lab/link-down")).unwrap();
}

fn moves(lab: &Lab, before: &Before) {
    lab.outcomes();
    assert_outcomes(lab, "ok", &[]);
    before.assert_moved(&lab.source, &lab.target);
}

#[test]
fn a_zone_moves_and_the_job_logs_in_but_a_few_times() {
    let lab = lab();
    let before = Before::of(&lab.source);
    lab.start();
    lab.submit(&Request::new());
    moves(&lab, &before);
    // One for the questions, one for each of two parts at once, one for the look for parts that are there already.
    let logins = lab.source.calls("ssh ");
    assert!((1..=4).contains(&logins), "{logins} logins");
}

#[test]
fn a_plan_is_made_over_sftp_and_leaves_nothing() {
    let lab = lab();
    lab.start();
    let said = lab.source.ask(&["plan", ZONE, "zhost2"]);
    assert!(said.contains("zoneadm -z dbbackup attach"), "{said}");
    assert_eq!(fs::read_dir(lab.target.dropbox().join("in")).unwrap().count(), 0);
}

/// The connection is lost when so many bytes have gone through its first login, which is in this step.
fn cut_after(bytes: u64, step: &str) {
    let lab = lab();
    lab.source.configure("[\"-oIdentityFile=/k\"]", "[\"-oIdentityFile=/k\"]\nconnections = 1");
    let before = Before::of(&lab.source);
    lab.source
        .fault(&json!({ "command": "ssh", "call": 1, "action": { "do": "die-halfway", "bytes": bytes } }));
    lab.start();
    lab.submit(&Request::new());
    moves(&lab, &before);
    let rules = fs::read_to_string(lab.source.root.join(".lab/faults.json")).unwrap();
    assert!(
        rules.contains("\"fired\": true") || rules.contains("\"fired\":true"),
        "nothing was cut: {rules}"
    );
    let told = lab.source.told();
    assert!(told.contains(&format!("event=deferred step={step}")), "the break was not noticed: {told}");
}

#[test]
fn a_link_that_is_cut_in_the_middle_of_a_part() {
    cut_after(400_000, "send");
}

#[test]
fn a_link_that_is_cut_in_the_middle_of_the_offer() {
    cut_after(1_000, "offer");
}

/// The connection is lost when a file with this end of its name has come, before that is answered.
fn broken_behind(end: &str) {
    let lab = lab();
    lab.source.configure("[\"-oIdentityFile=/k\"]", "[\"-oIdentityFile=/k\"]\nconnections = 1");
    let before = Before::of(&lab.source);
    let breaks = lab.target.root.join(".lab/breaks-behind");
    fs::write(&breaks, end).unwrap();
    lab.start();
    lab.submit(&Request::new());
    moves(&lab, &before);
    assert!(!breaks.exists(), "nothing broke");
    let arrived = fs::read_to_string(lab.target.root.join(".lab/arrived.log")).unwrap();
    let mut parts: Vec<&str> =
        arrived.lines().filter(|name| name.contains('@') && !name.ends_with(".entry")).collect();
    let all = parts.len();
    parts.sort_unstable();
    parts.dedup();
    assert_eq!(parts.len(), all, "copied twice: {arrived}");
}

#[test]
fn a_part_whose_name_came_before_the_link_went_is_not_copied_again() {
    broken_behind(".000000");
}

#[test]
fn a_part_whose_entry_came_before_the_link_went_is_not_copied_again() {
    broken_behind(".000000.entry");
}

#[test]
fn a_cancel_is_heard_while_the_peer_is_silent() {
    let lab = lab();
    let before = Before::of(&lab.source);
    // In the middle of the offer.
    lab.source.fault(&json!({ "command": "ssh", "call": 1, "action": { "do": "hang", "bytes": 2_000 } }));
    lab.start();
    let job = lab.submit(&Request::new());
    let offer = lab.target.dropbox().join("in").join(&job).join(".offer");
    wait("the offer to be on its way", || offer.exists().then_some(()));
    lab.source.ask(&["cancel", &job, "--no-wait"]);
    lab.source.wait_outcome(0);
    lab.rest();
    before.assert_as_found(&lab.source, &lab.target);
    let told = lab.source.told();
    assert!(told.contains("result=cancelled") && !told.contains("no answer for"), "{told}");
}

#[test]
fn status_says_since_when_the_way_is_down_in_any_step() {
    let lab = lab();
    let before = Before::of(&lab.source);
    lab.start();
    let job = lab.submit(&Request::new());
    lab.source.wait_event(&job, "handed-off", "");
    cut(&lab.source);
    let shown = wait("the break to be shown", || {
        let status: Value = serde_json::from_str(&lab.source.ask(&["status", &job, "--json"])).unwrap();
        let job = status["jobs"][0].clone();
        job["error"].as_str().is_some_and(|why| why.contains("No route to host")).then_some(job)
    });
    assert!(shown["waiting"] == "await to succeed" && shown["waiting_since"].is_string(), "{shown}");
    mend(&lab.source);
    moves(&lab, &before);
}

#[test]
fn a_link_that_goes_in_the_last_moment_leaves_nothing_in_the_dropbox() {
    let lab = lab();
    let before = Before::of(&lab.source);
    let breaks = lab.target.root.join(".lab/breaks-at-the-end");
    fs::write(&breaks, "").unwrap();
    lab.start();
    lab.submit(&Request::new());
    moves(&lab, &before);
    assert!(!breaks.exists(), "nothing broke");
    assert_eq!(fs::read_dir(lab.target.dropbox().join("in")).unwrap().count(), 0);
}

#[test]
fn one_bandwidth_holds_over_all_copies_of_all_jobs() {
    const LIMIT: u64 = 512 << 10;
    let lab = lab();
    lab.source.configure("[jobs]", &format!("[jobs]\nparallel = 2\nbandwidth = \"{LIMIT}\""));
    // Zones that run can't have one address.
    lab.source.run("zoneadm", &["-z", ZONE, "halt"]);
    lab.add_zone(&lab.source, "web");
    lab.source.run("zoneadm", &["-z", "web", "halt"]);
    lab.start();
    let begun = Instant::now();
    for zone in [ZONE, "web"] {
        lab.submit(&Request::of(zone, "zhost2"));
    }
    wait("both outcomes", || (lab.source.outcomes().len() == 2).then_some(()));
    let took = begun.elapsed().as_secs_f64();
    let outcomes = lab.source.outcomes();
    let bytes = |line: &String| -> u64 {
        assert!(line.contains("result=ok"), "{line}");
        line.split_once(" bytes=").unwrap().1.split(' ').next().unwrap().parse().unwrap()
    };
    let bytes: u64 = outcomes.iter().map(bytes).sum();
    assert!(took >= bytes as f64 / LIMIT as f64, "{bytes} bytes in {took} s");
    lab.rest();
}

#[test]
fn a_bandwidth_that_is_lifted_counts_for_the_job_that_is_under_way() {
    let lab = lab();
    // It would take half an hour.
    lab.source.configure("[jobs]", "[jobs]\nbandwidth = \"1K\"");
    let before = Before::of(&lab.source);
    lab.start();
    let job = lab.submit(&Request::new());
    lab.source.wait_event(&job, "snapshotted", "");
    lab.source.configure("bandwidth = \"1K\"", "bandwidth = \"0\"");
    lab.source.refresh();
    moves(&lab, &before);
}

/// The link is down from one event of the source's journal until the daemon has noticed.
fn down_from(event: &str) {
    let lab = lab();
    let before = Before::of(&lab.source);
    lab.start();
    let job = lab.submit(&Request::new());
    lab.source.wait_event(&job, event, "");
    cut(&lab.source);
    wait("the break to be noticed", || lab.source.told().contains("No route to host").then_some(()));
    mend(&lab.source);
    moves(&lab, &before);
}

#[test]
fn a_link_that_goes_down_while_the_zone_is_shut_down() {
    down_from("started");
}

#[test]
fn a_link_that_goes_down_in_the_moment_of_the_handoff() {
    down_from("handed-off");
}

#[test]
fn a_peer_that_is_away_at_first_gets_the_zone_later() {
    let lab = lab();
    let before = Before::of(&lab.source);
    cut(&lab.source);
    lab.start();
    lab.submit(&Request::new());
    wait("the first try", || lab.source.told().contains("No route to host").then_some(()));
    assert_eq!(lab.source.state(ZONE).as_deref(), Some("running"));
    mend(&lab.source);
    moves(&lab, &before);
}

#[test]
fn a_target_without_room_for_parts_gets_the_zone_when_there_is_some() {
    let lab = lab();
    let before = Before::of(&lab.source);
    lab.start();
    let job = lab.submit(&Request::new());
    let full = lab.target.root.join(".lab/disk-full");
    lab.source.wait_event(&job, "started", "");
    fs::write(&full, "").unwrap();
    wait("the full disk to be told", || lab.source.told().contains("no space left over there").then_some(()));
    fs::remove_file(&full).unwrap();
    moves(&lab, &before);
}

#[test]
fn an_unknown_host_key_stops_the_job_before_anything_is_touched() {
    let lab = lab();
    let before = Before::of(&lab.source);
    lab.source
        .fault(&json!({ "command": "ssh", "action": { "do": "fail", "text": UNKNOWN_KEY, "status": 255 } }));
    lab.start();
    lab.submit(&Request::new());
    let told = lab.source.wait_outcome(0);
    for part in [
        "result=failed",
        "undone=yes",
        "SHA256:tA8pFRV50Mb7mf45rnrDDgjcnidrDj6n6hsXwIaVTnI",
        "sed 's/^/[127.0.0.1]:22822 /' /etc/ssh/ssh_host_ed25519_key.pub",
    ] {
        assert!(told.contains(part), "{told}");
    }
    lab.rest();
    before.assert_as_found(&lab.source, &lab.target);
    assert_eq!(fs::read_dir(lab.target.dropbox().join("in")).unwrap().count(), 0);
}
