//! What arrives damaged is not received, and what is killed goes on where it was.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use serde_json::json;

use crate::lab::ends::{Before, assert_outcomes};
use crate::lab::{Lab, Request, ZONE, failing, tree, wait};

/// The parts of a job in the target's dropbox, with their inodes.
fn parts(lab: &Lab, job: &str) -> Vec<(PathBuf, u64)> {
    let dir = lab.target.dropbox().join("in").join(job);
    let files = tree(&dir).into_iter().map(|name| dir.join(name));
    let is_part = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        !name.starts_with('.') && name.contains('@') && !name.ends_with(".entry")
    };
    files.filter(is_part).filter_map(|path| Some((path.clone(), fs::metadata(&path).ok()?.ino()))).collect()
}

/// All images have arrived on a target whose receives do not work, and its daemon is stopped; then somebody meddles
/// with what has arrived, and it goes on.
fn damaged(meddle: impl FnOnce(&Lab, &str)) {
    let lab = Lab::new();
    lab.target.fault(&failing("zfs", &["receive"], "cannot receive: out of space"));
    let before = Before::of(&lab.source);
    lab.start();
    let job = lab.submit(&Request::new());
    wait("all images to arrive", || (parts(&lab, &job).len() >= 8).then_some(()));
    lab.target.stop();
    lab.target.no_faults();
    meddle(&lab, &job);
    lab.target.start();
    lab.outcomes();
    assert_outcomes(&lab, "ok", &[]);
    before.assert_moved(&lab.source, &lab.target);
}

#[test]
fn only_a_part_with_a_flipped_byte_travels_again() {
    damaged(|lab, job| {
        let all = parts(lab, job);
        let (path, _) = all.iter().find(|(path, _)| path.to_string_lossy().contains("db2")).expect("a part");
        let mut bytes = fs::read(path).expect("a part");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x20;
        fs::write(path, bytes).expect("a part");
        let log = |lab: &Lab| lab.target.of_job(job, "log");
        let known = log(lab).len();
        lab.target.start();
        let named = path.file_name().expect("a name").to_string_lossy().into_owned();
        wait("the damage to be seen", || {
            let again = parts(lab, job);
            let changed: Vec<_> =
                all.iter().filter(|old| again.iter().any(|new| new.0 == old.0 && new.1 != old.1)).collect();
            let gone = lab.target.of_job(job, "journal").contains("handoff-taken");
            assert!(
                changed.iter().all(|(path, _)| path.ends_with(&named)),
                "others travelled again: {changed:?}"
            );
            (!changed.is_empty() || gone).then_some(())
        });
        let said = log(lab)[known..].to_owned();
        assert!(said.contains(&named) || said.contains("digest"), "{said}");
        lab.target.stop();
    });
}

#[test]
fn a_part_that_was_cut_off_travels_again() {
    damaged(|lab, job| {
        let (path, _) = parts(lab, job).into_iter().next_back().expect("a part");
        let bytes = fs::read(&path).expect("a part");
        fs::write(path, &bytes[..bytes.len() / 2]).expect("a part");
    });
}

#[test]
fn an_entry_that_can_not_be_read_is_put_again() {
    damaged(|lab, job| {
        let (path, _) = parts(lab, job).into_iter().next().expect("a part");
        let entry =
            path.with_file_name(format!("{}.entry", path.file_name().unwrap_or_default().to_string_lossy()));
        assert!(entry.exists(), "{}", entry.display());
        fs::write(entry, "{\"v\":1,\"ki").expect("an entry");
    });
}

#[test]
fn a_part_that_is_gone_travels_again() {
    damaged(|lab, job| {
        let (path, _) = parts(lab, job).into_iter().next().expect("a part");
        fs::remove_file(path).expect("a part");
    });
}

/// Kills both daemons again and again at moments of a small generator's choice.
#[test]
fn daemons_killed_at_random_moments_end_well() {
    let mut seed: u64 = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20070518);
    for _ in 0..3 {
        eprintln!("-- SEED={seed}");
        let lab = Lab::started();
        let before = Before::of(&lab.source);
        let job = lab.submit(&Request::new());
        for _ in 0..5 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let host = lab.hosts()[(seed >> 40) as usize % 2];
            // Counted in commands, not in time: a slow machine meets the same moments.
            let calls = host.calls("") + (seed >> 50) as usize % 25;
            wait("some more calls", || {
                let over = host.jobs("active").is_empty() && !host.outcomes().is_empty();
                (host.calls("") >= calls || over).then_some(())
            });
            host.kill();
            host.start();
        }
        lab.outcomes();
        assert!(lab.source.of_job(&job, "journal").contains("result-ok"), "{job}");
        before.assert_moved(&lab.source, &lab.target);
        assert_eq!(lab.target.state(ZONE).as_deref(), Some("running"));
    }
}

/// The kernel ends a hanging `zfs receive` with its daemon only where there are process contracts. Here the next one does.
#[test]
fn a_receive_that_outlives_its_daemon_is_ended_by_the_next() {
    let lab = Lab::new();
    let hang = json!({"do": "hang", "bytes": 20_000});
    lab.target
        .fault(&json!({"command": "zfs", "contains": ["receive", "tank/mysql"], "call": 1, "action": hang}));
    let before = Before::of(&lab.source);
    lab.start();
    lab.submit(&Request::new());
    wait("the receive to be under way", || {
        lab.target.datasets().iter().any(|name| name.ends_with("tank/mysql")).then_some(())
    });
    let streams = lab.target.jobs("streams");
    let [pid] = &streams[..] else { panic!("{streams:?}") };
    let runs = || {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.contains("receive") && line.contains("tank/mysql")
    };
    lab.target.kill();
    assert!(runs(), "it has ended by itself");
    lab.target.start();
    wait("the next daemon to be ready", || {
        let told = lab.target.told();
        (told.matches("event=ready").count() == 2).then_some(())
    });
    assert!(!runs(), "it still runs");
    let told = lab.target.told();
    let orphan = told.find("event=orphan").expect("it was not told");
    assert!(Some(orphan) < told.rfind("event=ready"), "a job may have gone on before: {told}");
    let line = told[orphan..].lines().next().unwrap_or_default();
    assert!(line.contains(&format!("pid={pid} command=\"zfs receive ")), "{line}");
    lab.outcomes();
    assert_outcomes(&lab, "ok", &[]);
    before.assert_moved(&lab.source, &lab.target);
    assert_eq!(lab.target.jobs("streams"), Vec::<String>::new());
}
