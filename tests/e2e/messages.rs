//! Words between the hosts that get lost, come damaged, come twice or come late.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use zmigrate::job::message::{self, Message, Offer};
use zmigrate::job::name::JobId;

use crate::lab::ends::{Before, assert_outcomes};
use crate::lab::{Host, Lab, Request, ZONE, failing, wait};

/// Something meddles with one message while a migration runs. Some messages live for a millisecond only: where
/// one was read before it was met, the migration is a plain one, and another is tried.
fn meddled(side: &str, message: &str, meddle: impl Fn(&Path, usize) -> bool + Send + Sync) {
    let met = (0..8).any(|_| meets(side, message, &meddle));
    assert!(met, "{message} was never met");
}

/// One migration; whether the message was met.
fn meets(side: &str, message: &str, meddle: &(impl Fn(&Path, usize) -> bool + Send + Sync)) -> bool {
    let lab = Lab::started();
    let before = Before::of(&lab.source);
    let times = watched(&lab, side, message, meddle, || {
        lab.submit(&Request::new());
        lab.outcomes();
    });
    assert_outcomes(&lab, "ok", &[]);
    before.assert_moved(&lab.source, &lab.target);
    times > 0
}

/// Runs a scenario while something meddles with a message wherever it lies; how often it did.
fn watched(
    lab: &Lab,
    side: &str,
    message: &str,
    meddle: &(impl Fn(&Path, usize) -> bool + Send + Sync),
    scenario: impl FnOnce(),
) -> usize {
    let (over, times) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let place = lab.target.dropbox().join(side);
        let (over, times) = (&over, &times);
        scope.spawn(move || {
            while !over.load(Ordering::Relaxed) {
                for job in fs::read_dir(&place).into_iter().flatten().flatten() {
                    let path = job.path().join(message);
                    if path.exists() && meddle(&path, times.load(Ordering::Relaxed)) {
                        times.fetch_add(1, Ordering::Relaxed);
                    }
                }
                std::thread::park_timeout(Duration::from_micros(200));
            }
        });
        // The thread must end when a wait fails, or the scope waits for it for ever.
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(scenario));
        over.store(true, Ordering::Relaxed);
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    times.load(Ordering::Relaxed)
}

/// Gone right after it was put, twice at most.
fn lost(side: &str, message: &str) {
    meddled(side, message, |path, times| times < 2 && fs::remove_file(path).is_ok());
}

/// Cut in the middle, once.
fn torn(side: &str, message: &str) {
    meddled(side, message, |path, times| {
        times < 1 && fs::read(path).is_ok_and(|bytes| fs::write(path, &bytes[..bytes.len() / 2]).is_ok())
    });
}

#[test]
fn a_lost_offer() {
    lost("in", "offer");
}

#[test]
fn a_lost_answer() {
    lost("out", "answer");
}

#[test]
fn a_lost_handoff() {
    lost("in", "handoff");
}

#[test]
fn a_lost_receipt() {
    lost("out", "receipt");
}

#[test]
fn a_lost_result() {
    lost("out", "result");
}

#[test]
fn a_lost_ack() {
    lost("in", "ack");
}

#[test]
fn a_torn_offer() {
    torn("in", "offer");
}

#[test]
fn a_torn_handoff() {
    torn("in", "handoff");
}

#[test]
fn a_torn_result() {
    torn("out", "result");
}

#[test]
fn a_torn_ack() {
    torn("in", "ack");
}

/// What the target says when it has everything is what the source waits for.
#[test]
fn an_old_progress_in_the_place_of_the_last_one() {
    let first = Mutex::new(None::<Vec<u8>>);
    let known = Mutex::new(HashMap::<Vec<u8>, u32>::new());
    meddled("out", "progress", |path, _| {
        let Ok(bytes) = fs::read(path) else { return false };
        let mut first = first.lock().expect("the first");
        if !first.as_ref().is_some_and(|first| String::from_utf8_lossy(first).contains(job_of(path))) {
            *first = Some(bytes);
            return false;
        }
        let old = first.as_ref().expect("the first");
        if *old == bytes {
            return false;
        }
        // Receiving puts its last one twice at once; what is put again and again stays.
        let mut known = known.lock().expect("what is known");
        let times = known.entry(bytes).or_default();
        *times += 1;
        if *times <= 3 {
            put(path, old);
        }
        *times <= 3
    });
}

/// As a host of another version would write it.
fn of_another_version(job: &str, kind: &str) -> Vec<u8> {
    let body = json!({"of": "another version"});
    json!({"v": message::VERSION + 1, "kind": kind, "job": job, "digest": "", "body": body})
        .to_string()
        .into_bytes()
}

/// What a host says about it.
fn differs(kind: &str) -> String {
    let (next, ours) = (message::VERSION + 1, message::VERSION);
    format!("{kind} has version {next}, this zmigrate reads {ours}; bring both hosts to one version")
}

#[test]
fn an_answer_of_another_version_is_told_to_the_source() {
    let lab = Lab::new();
    let before = Before::of(&lab.source);
    lab.start();
    wait("the dropbox", || lab.target.told().contains("event=ready").then_some(()));
    lab.target.kill();
    let job = lab.submit(&Request::new());
    lab.source.wait_event(&job, "surveyed", "");
    let answer = lab.target.dropbox().join("out").join(&job).join("answer");
    put(&answer, &of_another_version(&job, "answer"));
    let words = differs("answer");
    wait("it to be told", || lab.source.told().contains(&words).then_some(()));
    wait("it to be shown", || lab.source.ask(&["status", &job]).contains(&words).then_some(()));
    assert_eq!(lab.source.told().matches(&words).count(), 1, "once");
    fs::remove_file(&answer).expect("the answer");
    lab.target.start();
    lab.outcomes();
    assert_outcomes(&lab, "ok", &[]);
    before.assert_moved(&lab.source, &lab.target);
}

#[test]
fn a_progress_of_another_version_is_told_to_the_source() {
    let lab = Lab::new();
    lab.target.fault(&failing("zfs", &["receive"], "cannot receive: out of space"));
    let before = Before::of(&lab.source);
    lab.start();
    let job = lab.submit(&Request::new());
    wait("the receive", || lab.target.told().contains("event=deferred step=receive").then_some(()));
    lab.target.kill();
    let progress = lab.target.dropbox().join("out").join(&job).join("progress");
    put(&progress, &of_another_version(&job, "progress"));
    let words = differs("progress");
    wait("it to be told", || lab.source.told().contains(&words).then_some(()));
    assert_eq!(lab.source.told().matches(&words).count(), 1, "once");
    lab.target.no_faults();
    lab.target.start();
    lab.outcomes();
    assert_outcomes(&lab, "ok", &[]);
    before.assert_moved(&lab.source, &lab.target);
}

#[test]
fn a_withdraw_of_another_version_is_told_to_the_target_and_stays() {
    let lab = Lab::new();
    lab.target.fault(&failing("zfs", &["receive"], "cannot receive: out of space"));
    let before = Before::of(&lab.source);
    lab.start();
    let job = lab.submit(&Request::new());
    lab.source.wait_event(&job, "snapshotted", "");
    let withdraw = lab.target.dropbox().join("in").join(&job).join("withdraw");
    put(&withdraw, &of_another_version(&job, "withdraw"));
    let words = differs("withdraw");
    wait("it to be told", || lab.target.told().contains(&words).then_some(()));
    assert!(withdraw.exists());
    lab.target.no_faults();
    fs::remove_file(&withdraw).expect("the withdraw");
    lab.target.ask(&["retry", &job]);
    lab.outcomes();
    assert_outcomes(&lab, "ok", &[]);
    before.assert_moved(&lab.source, &lab.target);
}

#[test]
fn an_offer_of_another_version_is_told_by_the_target_and_stays() {
    let lab = Lab::new();
    lab.target.start();
    let job = "dbbackup-20261126T100000Z-0001";
    let offer = lab.target.dropbox().join("in").join(job).join("offer");
    fs::create_dir(offer.parent().expect("a folder")).expect("the job's folder");
    put(&offer, &of_another_version(job, "offer"));
    let words = differs("offer");
    wait("it to be told", || lab.target.told().contains(&words).then_some(()));
    // Another look.
    lab.target.drop_file("one.toml", "zone = 1\n");
    lab.target.reason("one.toml");
    assert!(offer.exists());
    assert_eq!(lab.target.told().matches(&words).count(), 1, "once");
}

#[test]
fn an_answer_of_another_version_is_told_by_plan() {
    let lab = Lab::started();
    let words = format!("zhost2 can't be asked: {}", differs("answer"));
    let other = |path: &Path, _| {
        let Ok(bytes) = fs::read(path) else { return false };
        let other = of_another_version(job_of(path), "answer");
        bytes != other && {
            put(path, &other);
            true
        }
    };
    let told = (0..8).any(|_| {
        let mut said = String::new();
        watched(&lab, "out", "answer", &other, || {
            let output = lab.source.zmigrate(&["plan", ZONE, "zhost2"]);
            said = String::from_utf8_lossy(&output.stdout).into_owned();
        });
        said.contains(&words)
    });
    assert!(told, "never told");
}

/// A hostile source: what was sent by one offer is not left behind by a worse one.
#[test]
fn an_offer_anew_behind_the_first_part_ends_the_job() {
    let lab = Lab::new();
    lab.target.fault(&failing("zfs", &["receive", "tank/mysql"], "cannot receive: out of space"));
    let before = Before::of(&lab.source);
    lab.start();
    let job = lab.submit(&Request::new());
    wait("the receive", || lab.target.told().contains("event=deferred step=receive").then_some(()));
    lab.source.kill();
    assert!(!lab.target.datasets().is_empty(), "something has been received");
    let journal = lab.target.of_job(&job, "journal");
    let lines = journal.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let offers = lines.map(|line| line["event"]["offer"].clone()).filter(|offer| !offer.is_null());
    let last = offers.collect::<Vec<_>>().pop().expect("an offer");
    let mut offer: Offer = serde_json::from_value(last).expect("an offer");
    offer.serial += 1;
    offer.request.target.zonepath = Some("/export/elsewhere/dbbackup".into());
    let id = JobId::new(&job).expect("a job");
    put(&lab.target.dropbox().join("in").join(&job).join(Offer::NAME), &message::seal(&id, offer));
    lab.target.ask(&["retry", &job]);
    lab.target.wait_event(&job, "result-failed", "");
    assert_eq!(lab.target.datasets(), [""; 0]);
    lab.source.start();
    lab.outcomes();
    assert_outcomes(&lab, "failed", &["offered anew"]);
    before.assert_as_found(&lab.source, &lab.target);
}

/// A cancel whose withdraw is lost, twice: the target hears of it all the same.
#[test]
fn a_lost_withdraw() {
    let met = (0..8).any(|_| {
        let lab = Lab::new();
        lab.source.fault(&json!({"command": "zfs", "contains": ["snapshot"],
            "action": {"do": "fail", "text": "cannot snapshot: dataset is busy", "status": 1}}));
        let before = Before::of(&lab.source);
        lab.start();
        let gone = |path: &Path, times: usize| times < 2 && fs::remove_file(path).is_ok();
        let times = watched(&lab, "in", "withdraw", &gone, || {
            let job = lab.submit(&Request::new());
            lab.source.wait_event(&job, "recaptured", "");
            lab.source.ask(&["cancel", &job]);
            lab.outcomes();
        });
        assert_outcomes(&lab, "cancelled", &["cancelled by uid"]);
        before.assert_as_found(&lab.source, &lab.target);
        times > 0
    });
    assert!(met, "withdraw was never met");
}

/// Puts a file as the hosts do: whole or not at all.
fn put(path: &Path, bytes: &[u8]) {
    let dot = path.with_file_name(".late");
    fs::create_dir_all(path.parent().expect("a directory")).expect("the job's side");
    fs::write(&dot, bytes).expect("a message");
    fs::rename(&dot, path).expect("its name");
}

/// The first message of a name that comes by, and where it lay.
type Kept = Mutex<Option<(PathBuf, Vec<u8>)>>;

fn keep(kept: &Kept) -> impl Fn(&Path, usize) -> bool + Send + Sync + '_ {
    move |path, _| {
        let mut kept = kept.lock().expect("what is kept");
        if kept.is_none() {
            *kept = fs::read(path).ok().map(|bytes| (path.to_owned(), bytes));
        }
        true
    }
}

/// A message comes once more, after a later event of the migration, whatever lies in its place by then.
fn late(side: &str, message: &str, on: fn(&Lab) -> &Host, event: (&str, &str)) {
    let met = (0..8).any(|_| {
        let lab = Lab::started();
        let before = Before::of(&lab.source);
        let kept = Kept::default();
        watched(&lab, side, message, &keep(&kept), || {
            let job = lab.submit(&Request::new());
            on(&lab).wait_event(&job, event.0, event.1);
            // Only while the job is at work does it have a place to lie in.
            if let Some((path, bytes)) = &*kept.lock().expect("what is kept")
                && path.parent().is_some_and(Path::exists)
            {
                put(path, bytes);
            }
            lab.outcomes();
        });
        assert_outcomes(&lab, "ok", &[]);
        before.assert_moved(&lab.source, &lab.target);
        kept.into_inner().expect("what is kept").is_some()
    });
    assert!(met, "{message} was never met");
}

fn source(lab: &Lab) -> &Host {
    &lab.source
}

fn target(lab: &Lab) -> &Host {
    &lab.target
}

#[test]
fn an_offer_that_comes_twice() {
    late("in", "offer", source, ("started", ""));
    late("in", "offer", source, ("snapshotted", ""));
    late("in", "offer", target, ("installed", "properties"));
}

#[test]
fn an_answer_that_comes_twice() {
    late("out", "answer", source, ("started", ""));
    late("out", "answer", source, ("detached", ""));
}

#[test]
fn a_handoff_that_comes_twice() {
    late("in", "handoff", target, ("handoff-taken", ""));
    late("in", "handoff", target, ("installed", "attach"));
    late("in", "handoff", source, ("result-ok", ""));
}

#[test]
fn a_receipt_that_comes_twice() {
    late("out", "receipt", target, ("installed", "rename"));
    late("out", "receipt", source, ("result-ok", ""));
}

#[test]
fn a_result_that_comes_twice() {
    late("out", "result", source, ("result-ok", ""));
    late("out", "result", target, ("acked", ""));
}

/// The first offer once more, in the moment in which the second one is put: it must not stand for the second.
#[test]
fn an_old_offer_in_the_place_of_a_new_one() {
    replaced("in", "offer");
}

#[test]
fn an_old_answer_in_the_place_of_a_new_one() {
    replaced("out", "answer");
}

/// The result as it was before the ack was read, once more in the place of the one that confirms the ack.
#[test]
fn an_old_result_in_the_place_of_a_new_one() {
    replaced("out", "result");
}

/// The first message of a name replaces the first one that differs from it.
fn replaced(side: &str, message: &str) {
    let first: Mutex<Option<Vec<u8>>> = Mutex::new(None);
    meddled(side, message, |path, times| {
        let Ok(bytes) = fs::read(path) else { return false };
        let mut first = first.lock().expect("the first");
        match &*first {
            Some(old) if *old != bytes && times == 0 => {
                // Another migration's.
                let same_job = String::from_utf8_lossy(old).contains(job_of(path));
                if same_job {
                    put(path, old)
                } else {
                    *first = Some(bytes)
                }
                same_job
            }
            Some(_) => false,
            None => {
                *first = Some(bytes);
                false
            }
        }
    });
}

fn job_of(path: &Path) -> &str {
    path.parent().and_then(Path::file_name).and_then(|name| name.to_str()).expect("a job")
}

/// Another job's ack lies where this one's is to be: it is no ack.
#[test]
fn a_stale_ack_is_no_ack() {
    let old = Kept::default();
    let first = Lab::started();
    watched(&first, "in", "ack", &keep(&old), || drop(first.migrate(&Request::new())));
    let Some((_, stale)) = old.into_inner().expect("what is kept") else { panic!("the ack was never met") };

    let lab = Lab::new();
    // The true ack can't come before the source runs again.
    lab.target.manners(ZONE, json!({"milestone": "offline", "writes_on_boot": false}));
    let before = Before::of(&lab.source);
    lab.start();
    let job = lab.submit(&Request::new().set("verify", "timeout", "\"10m\""));
    lab.target.wait_event(&job, "installed", "boot");
    lab.source.kill();
    put(&lab.target.dropbox().join("in").join(&job).join("ack"), &stale);
    lab.target.manners(ZONE, json!({"milestone": "online", "writes_on_boot": false}));
    lab.target.wait_event(&job, "result-ok", "");
    wait("the stale ack to be taken away", || {
        (!lab.target.dropbox().join("in").join(&job).join("ack").exists()).then_some(())
    });
    assert!(!lab.target.of_job(&job, "journal").contains("{\"event\":\"acked\""));
    lab.source.start();
    lab.outcomes();
    assert_outcomes(&lab, "ok", &[]);
    before.assert_moved(&lab.source, &lab.target);
}

/// Words of a job that has ended on both hosts: the same answer as before, and nothing else happens.
#[test]
fn what_comes_after_the_end_changes_nothing() {
    let met = (0..8).any(|_| {
        let lab = Lab::new();
        let before = Before::of(&lab.source);
        lab.start();
        let [offer, handoff, ack] = [const { Kept::new(None) }; 3];
        watched(&lab, "in", "offer", &keep(&offer), || {
            watched(&lab, "in", "handoff", &keep(&handoff), || {
                watched(&lab, "in", "ack", &keep(&ack), || drop(lab.migrate(&Request::new())));
            });
        });
        before.assert_moved(&lab.source, &lab.target);
        let kept = [offer, handoff, ack].map(|kept| kept.into_inner().expect("what is kept"));
        let [Some(offer), Some(handoff), Some(ack)] = kept else { return false };
        for (restarted, message) in [(false, &offer), (true, &offer), (false, &handoff), (true, &handoff)] {
            comes_after_the_end(&lab, message, restarted);
        }
        comes_after_the_end(&lab, &ack, true);
        true
    });
    assert!(met, "not all of offer, handoff and ack were met");
}

fn comes_after_the_end(lab: &Lab, (path, bytes): &(PathBuf, Vec<u8>), restarted: bool) {
    put(path, bytes);
    if restarted {
        lab.target.stop();
        lab.target.start();
    }
    let inbox = path.parent().expect("the source's side");
    let outbox = lab.target.dropbox().join("out").join(job_of(path));
    if path.ends_with("offer") {
        // It answers a question that came later, about a zone that is not there, so it has seen this, too.
        let question = inbox.with_file_name("another-20070518T033600Z-7f3a");
        put(&question.join("handoff"), b"");
        let answer = lab.target.dropbox().join("out/another-20070518T033600Z-7f3a");
        wait("an answer to the question", || answer.join("result").exists().then_some(()));
        fs::remove_dir_all(&question).expect("the question");
        wait("that answer to be taken away", || (!answer.exists()).then_some(()));
    } else {
        wait("the same result again", || outbox.join("result").exists().then_some(()));
    }
    fs::remove_dir_all(inbox).expect("the source's side");
    wait("the answers to be taken away", || (!outbox.exists()).then_some(()));
    assert_eq!([lab.source.outcomes().len(), lab.target.outcomes().len()], [1, 1], "{}", path.display());
    assert_eq!(lab.target.jobs("active"), [""; 0], "{}", path.display());
    assert_eq!(lab.target.state(ZONE).as_deref(), Some("running"));
    assert_eq!(lab.source.state(ZONE).as_deref(), Some("configured"));
}
