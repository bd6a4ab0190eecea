//! The command `zmigrate` as people and scripts run it: against a spool of its own, without a daemon or with one
//! that this test plays. What is said, where, and the exit status.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use notify::{RecursiveMode, Watcher};
use zmigrate::job::code::{Code, Reason};
use zmigrate::job::event::{Cause, Event};
use zmigrate::job::message::{Failure, Handoff};
use zmigrate::job::name::{Bytes, HostName, JobId, SnapshotName, ZoneName};
use zmigrate::job::request::Request;
use zmigrate::job::status::{self, ImageStatus, Status};
use zmigrate::job::survey::{OsLevel, Survey, Zone};
use zmigrate::spool::incoming::{Incoming, Taking};
use zmigrate::spool::journal::Journal;
use zmigrate::spool::{JobDir, Place, Spool};

const ID: &str = "db-20070518T033600Z-7f3a";

/// A host's configuration and spool.
struct Host {
    tmp: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        let host = Self { tmp: tempfile::tempdir().unwrap() };
        for dir in ["scratch", "bin", "zhost2/in", "zhost2/out"] {
            fs::create_dir_all(host.at(dir)).unwrap();
        }
        let text = format!(
            "[host]\nname = \"zhost1\"\n[spool]\ndir = {:?}\n[scratch]\ndir = {:?}\n\
             [commands]\npath = [{:?}]\n\
             [peer.zhost2]\ntransport = \"directory\"\ndropbox = {:?}\n",
            host.at("spool"),
            host.at("scratch"),
            host.at("bin"),
            host.at("zhost2"),
        );
        fs::write(host.at("zmigrate.toml"), text).unwrap();
        host
    }

    fn at(&self, name: &str) -> PathBuf {
        self.tmp.path().join(name)
    }

    /// The spool as a daemon opens it; without the daemon when it is dropped.
    fn spool(&self) -> Spool {
        Spool::open(&self.at("spool")).unwrap()
    }

    fn run(&self, args: &[&str]) -> Said {
        self.command(args).output().map(Said::of).unwrap()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zmigrate"));
        command.arg("-c").arg(self.at("zmigrate.toml")).args(args).stdin(Stdio::null());
        command
    }

    fn incoming(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.at("spool/incoming")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// A source's job, with these events after the first two.
    fn job(&self, spool: &Spool, id: &str, events: &[Event]) -> JobDir {
        let id = JobId::new(id).unwrap();
        let dir = spool.create_job(&id, &[]).unwrap();
        let mut journal = Journal::open(&dir.journal(), |_| {}).unwrap();
        for (minute, event) in (0..).zip(begun(&id).iter().chain(events)) {
            journal.append(at(minute), event).unwrap();
        }
        dir
    }
}

/// What the command said.
struct Said {
    out: String,
    err: String,
    status: i32,
}

impl Said {
    fn of(output: Output) -> Self {
        Self {
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
            status: output.status.code().unwrap(),
        }
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}", self.out))
    }

    #[track_caller]
    fn expect(self, status: i32, err: &[&str]) -> Self {
        assert_eq!(self.status, status, "out: {}\nerr: {}", self.out, self.err);
        for want in err {
            assert!(self.err.contains(want), "wanted {want:?} in: {}", self.err);
        }
        self
    }
}

fn at(minute: i64) -> DateTime<Utc> {
    let begun: DateTime<Utc> = "2007-05-18T03:36:00Z".parse().unwrap();
    begun + chrono::TimeDelta::minutes(minute)
}

fn host(name: &str) -> HostName {
    HostName::new(name).unwrap()
}

fn begun(id: &JobId) -> [Event; 2] {
    let zone = Zone {
        name: ZoneName::new("db").unwrap(),
        brand: "sparse".into(),
        zonepath: "/zones/db".into(),
        running: true,
        autoboot: false,
        config: String::new(),
    };
    let survey = Survey { os: OsLevel::default(), zone, datasets: Vec::new(), maintenance: Vec::new() };
    let mut request = Request::new(ZoneName::new("db").unwrap(), host("zhost2"));
    request.ticket = Some("OPS-1138".into());
    [
        Event::Admitted {
            job: id.clone(),
            host: host("zhost1"),
            request: Box::new(request),
            snapshot: SnapshotName::new("migrate").unwrap(),
            part: Bytes(1 << 20),
        },
        Event::Surveyed { survey: Box::new(survey) },
    ]
}

/// The way from the first offer to the running images.
fn to_send() -> Vec<Event> {
    vec![
        Event::Accepted { serial: 1 },
        Event::Started,
        begun(&JobId::new(ID).unwrap())[1].clone(),
        Event::Accepted { serial: 2 },
        Event::AutobootCleared,
        Event::ShutDown,
        Event::Detached,
        Event::Recaptured { datasets: Vec::new() },
        Event::Snapshotted { guids: [].into() },
    ]
}

/// … and through the door.
fn to_handoff() -> Vec<Event> {
    let handoff = Handoff { guids: [].into(), changed: [].into(), entries: String::new(), ran: true };
    let mut events = to_send();
    events.push(Event::Delivered { bytes: Bytes(0), entries: String::new(), took: [].into() });
    events.push(Event::HandedOff { handoff: Box::new(handoff) });
    events
}

fn status_file(dir: &JobDir, alert: Option<&str>) {
    let image = ImageStatus {
        dataset: "data/zones/db".into(),
        size: Bytes(4 << 20),
        sent: Bytes(3 << 20),
        copied: Bytes(2 << 20),
        received: Bytes(1 << 20),
        done: false,
    };
    let status = Status {
        v: status::VERSION,
        job: dir.id.clone(),
        role: "source".into(),
        zone: ZoneName::new("db").unwrap(),
        from: host("zhost1"),
        to: host("zhost2"),
        ticket: None,
        step: "send".into(),
        since: at(0),
        begun: at(0),
        updated: at(0),
        waiting: Some("scratch is full\u{1b}[2J".into()),
        waiting_since: None,
        error: None,
        failures: 0,
        alert: alert.map(str::to_owned),
        down_since: None,
        result: None,
        images: vec![image],
    };
    fs::write(dir.status(), serde_json::to_vec(&status).unwrap()).unwrap();
}

#[test]
fn usage_that_is_wrong_exits_2_and_help_0() {
    let host = Host::new();
    host.run(&["move", "db"]).expect(2, &["unrecognized subcommand 'move'"]);
    host.run(&["submit"]).expect(2, &["<ZONE|FILE>"]);
    host.run(&["submit", "db", "--ticket", "x"]).expect(2, &["PEER"]);
    host.run(&["status", "--all", "db"]).expect(2, &["cannot be used with"]);
    let help = host.run(&["help", "rollback"]).expect(0, &[]);
    assert!(help.out.contains("--target-is-gone <NAME>") && help.out.contains("zmigrate rollback dbbackup"));
    let no_configuration = Command::new(env!("CARGO_BIN_EXE_zmigrate"))
        .args(["-c", "/nonexistent.toml", "status"])
        .output()
        .map(Said::of)
        .unwrap();
    no_configuration.expect(1, &["zmigrate: /nonexistent.toml: can't be read"]);
}

#[test]
fn completions_need_no_configuration_and_bash_completes_with_its_own() {
    let tmp = tempfile::tempdir().unwrap();
    let script = |shell| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zmigrate"));
        command.args(["-c", "/nonexistent.toml", "completions", shell]);
        command.output().map(Said::of).unwrap().expect(0, &[]).out
    };
    for shell in ["zsh", "fish"] {
        let script = script(shell);
        assert!(script.contains("rollback") && script.contains("target-is-gone"), "{shell}: {script}");
    }
    let file = tmp.path().join("zmigrate.bash");
    fs::write(&file, script("bash")).unwrap();
    let completed = |words: &str| {
        let typed = format!(
            ". {}; COMP_WORDS=({words}); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 )); word=${{COMP_WORDS[-1]}}
             _zmigrate zmigrate \"$word\" \"${{COMP_WORDS[-2]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            file.display()
        );
        let said = Command::new("bash").args(["--norc", "-c", &typed]).output().map(Said::of).unwrap();
        said.expect(0, &[]).out
    };
    assert_eq!(completed("zmigrate roll"), "rollback\n");
    assert_eq!(completed("zmigrate rollback --tar"), "--target-is-gone\n");
    assert_eq!(completed("zmigrate peer --role r"), "receive\n");
}

#[test]
fn a_bad_request_file_is_refused_with_all_faults_at_once_and_nothing_is_dropped() {
    let host = Host::new();
    drop(host.spool());
    let file = host.at("db.toml");
    fs::write(&file, "zone = \"global\"\ntraget = 1\nto = \"zhost2\"\ngive_up = \"soon\"\n").unwrap();
    let said = host
        .run(&["submit", file.to_str().unwrap()])
        .expect(2, &["db.toml:1:8: ", "db.toml:2:1: unknown key `traget`", "db.toml:4:11: "]);
    assert!(said.err.lines().all(|line| line.starts_with("zmigrate: ")), "{}", said.err);
    assert_eq!(said.err.lines().count(), 3);
    assert_eq!(said.out, "");
    host.run(&["submit", "db", "zhost9"]).expect(2, &[
        "cannot migrate zone 'db' to zhost9: there is no [peer.zhost9] in the configuration, which has zhost2",
    ]);
    host.run(&["submit", "db", "zhost1"]).expect(2, &["it is this host"]);
    host.run(&["submit", "db"]).expect(2, &["db: cannot be read", "say to which peer"]);
    host.run(&["submit", "d b", "zhost2", "--keep", "long"]).expect(2, &["ZONE: 'd b'", "--keep: 'long'"]);
    assert_eq!(host.incoming(), [] as [PathBuf; 0]);
}

#[test]
fn without_a_daemon_the_request_stays_in_the_spool_and_that_is_said() {
    let host = Host::new();
    host.run(&["submit", "db", "zhost2"]).expect(1, &["svcadm enable zmigrate"]);
    drop(host.spool());
    let said =
        host.run(&["submit", "db", "zhost2", "--ticket", "OPS-1"]).expect(0, &["no zmigrated runs on"]);
    let [dropped] = &host.incoming()[..] else { panic!("{:?}", host.incoming()) };
    assert_eq!(said.out.trim_end(), dropped.to_str().unwrap());
    assert_eq!(fs::metadata(dropped).unwrap().mode() & 0o777, 0o400);
    let request = Request::parse("", &fs::read_to_string(dropped).unwrap()).unwrap();
    assert_eq!(request.ticket.as_deref(), Some("OPS-1"));
    // The daemon need not wait for it to settle.
    let scan = Incoming::new(host.spool()).scan(SystemTime::now()).unwrap();
    assert_eq!((scan.ready.len(), scan.again_in), (1, None));

    let said = host.run(&["submit", "db", "zhost2", "--json", "--no-wait"]).expect(0, &[]);
    assert_eq!(said.json()["state"], "waiting");
    assert_eq!(host.incoming().len(), 2);
}

/// Plays the daemon for one request: `decide` is handed what was dropped.
fn daemon(spool: Spool, decide: impl FnOnce(&Spool, &mut Incoming, Taking) + Send + 'static) {
    let (rung, bell) = mpsc::channel();
    let mut watcher = notify::recommended_watcher(move |_| {
        let _ = rung.send(());
    })
    .unwrap();
    watcher.watch(&spool.incoming_dir(), RecursiveMode::NonRecursive).unwrap();
    std::thread::spawn(move || {
        let _watcher = watcher;
        let mut incoming = Incoming::new(spool.clone());
        loop {
            let scan = incoming.scan(SystemTime::now()).unwrap();
            if let Some(name) = scan.ready.first() {
                let taking = incoming.take(name, &|_| zmigrate::spool::incoming::May::NotYet).unwrap();
                return decide(&spool, &mut incoming, taking);
            }
            bell.recv_timeout(Duration::from_secs(60)).unwrap();
        }
    });
}

#[test]
fn a_daemons_decision_is_told_the_job_or_the_reason() {
    let host = Host::new();
    let spool = host.spool();
    // Another job of the zone, which is not the request's.
    host.job(&spool, "db-20070101T000000Z-0000", &[]);
    daemon(spool.clone(), |spool, _, taking| {
        let Taking::Request(taken) = taking else { panic!("{taking:?}") };
        spool.admit(&taken, &JobId::new(ID).unwrap()).unwrap();
    });
    let said = host.run(&["submit", "db", "zhost2"]).expect(0, &[]);
    assert_eq!((said.out.as_str(), said.err.as_str()), (format!("{ID}\n").as_str(), ""));

    daemon(spool.clone(), |_, incoming, taking| {
        let Taking::Request(taken) = taking else { panic!("{taking:?}") };
        incoming.reject(taken, &format!("zone 'db' is moved by {ID} already")).unwrap();
    });
    let said = host.run(&["submit", "db", "zhost2", "--json"]);
    let said = said.expect(2, &[&format!("zmigrate: rejected: zone 'db' is moved by {ID} already\n")]);
    assert_eq!(said.json()["state"], "rejected");
    drop(spool);
}

#[test]
fn status_tells_the_jobs_by_their_journals_and_without_a_daemon() {
    let host = Host::new();
    let spool = host.spool();
    let job = host.job(&spool, ID, &to_send());
    status_file(&job, None);
    let failure = Failure::new("survey", Code::Zone, "no such zone");
    let turned = Event::TurnedBack { cause: Cause::Failed, failure };
    let old = "db-20070101T000000Z-0000";
    host.job(&spool, old, &[turned, Event::Tidied, Event::Released]);
    spool.end(&JobId::new(old).unwrap(), Place::Failed).unwrap();
    drop(spool);

    let said = host.run(&["status"]).expect(0, &["no zmigrated runs on"]);
    let line = said.out.lines().nth(1).unwrap();
    assert!(line.starts_with(&format!("{ID}  source  zhost1  zhost2  send  2007-05-18T03:46:00Z")), "{line}");
    assert!(said.out.contains("waiting: scratch is full\\u{1b}[2J, for "), "{}", said.out);
    assert_eq!(said.out.lines().count(), 3, "{}", said.out);

    let said = host.run(&["status", "--all", "--json"]).expect(0, &[]);
    let json = said.json();
    assert_eq!(json["daemon"], serde_json::Value::Null);
    let job = json["jobs"].as_array().unwrap().iter().find(|job| job["job"] == ID).unwrap();
    assert_eq!((&job["step"], &job["ticket"]), (&"send".into(), &"OPS-1138".into()));
    assert_eq!(job["down_since"], "2007-05-18T03:42:00Z");
    assert_eq!(job["images"][0]["received"], 1 << 20);
    let ended = json["jobs"].as_array().unwrap().iter().find(|job| job["job"] == old).unwrap();
    assert_eq!((&ended["result"], &ended["place"]), (&"failed".into(), &"failed".into()));

    // A part of the id, or the zone, is enough; the zone means its active job.
    for word in ["db", "db-20070518", ID] {
        let said = host.run(&["status", word]).expect(0, &[]);
        assert!(said.out.contains("data/zones/db  4.0 MiB  3.0 MiB  2.0 MiB  1.0 MiB"), "{}", said.out);
        assert!(said.out.contains("2007-05-18T03:42:00Z  autoboot-cleared"), "{}", said.out);
    }
    host.run(&["status", "web"]).expect(2, &["no job is called 'web'"]);
}

#[test]
fn a_journal_that_can_not_be_true_is_shown_as_set_aside() {
    let host = Host::new();
    let spool = host.spool();
    host.job(&spool, ID, &[Event::Snapshotted { guids: [].into() }]);
    drop(spool);
    let said = host.run(&["status"]).expect(0, &[]);
    assert!(said.out.contains("set aside: line 3: "), "{}", said.out);
    host.run(&["cancel", "db"]).expect(1, &["is set aside: line 3"]);
}

#[test]
fn behind_the_handoff_cancel_is_refused_and_rollback_wants_the_targets_name() {
    let host = Host::new();
    let spool = host.spool();
    host.job(&spool, ID, &to_handoff());
    drop(spool);
    host.run(&["cancel", "db"]).expect(
        1,
        &[
            "the zone is handed off, and only the result of zhost2 decides now\n",
            &format!("on zhost2: zmigrate rollback {ID}\n"),
            "--target-is-gone zhost2",
        ],
    );
    host.run(&["rollback", "db"]).expect(1, &["it is for zhost2 to give it back"]);
    host.run(&["rollback", "db", "--target-is-gone", "zhost3"]).expect(1, &["not to 'zhost3'"]);
    host.run(&["finish", "db"]).expect(1, &["has not ended yet"]);
    assert_eq!(fs::read_dir(host.at("spool/asks")).unwrap().count(), 0);

    let said = host.run(&["rollback", "db", "--target-is-gone", "zhost2"]).expect(0, &["no zmigrated runs"]);
    assert_eq!(said.out, format!("{ID}: rollback asked\n"));
    let (asks, rejected) = host.spool().asks().unwrap();
    assert_eq!(rejected, []);
    assert_eq!(asks[0].verb, "rollback");
    assert_eq!(asks[0].args["target-is-gone"], "zhost2");
}

#[test]
fn an_ask_is_waited_for_until_the_daemon_has_taken_it() {
    let host = Host::new();
    let spool = host.spool();
    let dir = host.job(&spool, ID, &to_send());
    let (rung, bell) = mpsc::channel();
    let mut watcher = notify::recommended_watcher(move |_| {
        let _ = rung.send(());
    })
    .unwrap();
    watcher.watch(&spool.asks_dir(), RecursiveMode::NonRecursive).unwrap();
    let daemon = std::thread::spawn(move || {
        loop {
            if let [ask] = &spool.asks().unwrap().0[..] {
                let mut journal = Journal::open(&dir.journal(), |_| {}).unwrap();
                let failure = Failure::new("send", Code::Other, "cancelled");
                let event = Event::TurnedBack { cause: Cause::Cancelled, failure };
                journal.append(at(60), &event).unwrap();
                spool.answered(ask).unwrap();
                return;
            }
            bell.recv_timeout(Duration::from_secs(60)).unwrap();
        }
    });
    let said = host.run(&["cancel", "db"]).expect(0, &[]);
    assert_eq!(said.out, format!("{ID}: cancel taken, now at undo\n"));
    daemon.join().unwrap();
}

#[test]
fn watching_ends_with_the_job_and_says_how_it_ended() {
    let host = Host::new();
    let spool = host.spool();
    let mut refused = host.job(
        &spool,
        ID,
        &[Event::Refused {
            serial: 1,
            reasons: vec![Reason::new(Code::Space, "no room"), Reason::new(Code::Zone, "name taken")],
        }],
    );
    let mut watching = host.command(&["watch"]).stdout(Stdio::piped()).spawn().unwrap();
    // It has found the job, as its first line says, before the job ends.
    let mut out = BufReader::new(watching.stdout.take().unwrap());
    let mut text = String::new();
    out.read_line(&mut text).unwrap();
    assert!(text.ends_with(&format!("{ID}: release\n")), "{text}");
    let mut journal = Journal::open(&refused.journal(), |_| {}).unwrap();
    journal.append(at(9), &Event::Released).unwrap();
    refused = spool.end(&refused.id, Place::Failed).unwrap();
    out.read_to_string(&mut text).unwrap();
    assert_eq!(watching.wait().unwrap().code(), Some(1));
    let end = format!("{}: refused\n  no room\n  name taken\n", refused.id);
    assert!(text.ends_with(&end), "{text}");
    // One that ended before is told at once.
    host.run(&["watch", "db"]).expect(1, &[]);
}

fn executable(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn check_finds_what_is_missing_and_leaves_no_trace() {
    let host = Host::new();
    let said = host.run(&["check", "--json"]).expect(1, &[]);
    let json = said.json();
    let findings = json["findings"].as_array().unwrap();
    let found = |level: &str, what: &str, says: &str| {
        findings.iter().any(|finding| {
            finding["level"] == level
                && finding["what"] == what
                && finding["says"].as_str().unwrap().contains(says)
        })
    };
    for name in ["zfs", "zoneadm", "zonecfg", "zlogin", "svcs", "uname", "zonename"] {
        assert!(found("fault", "command", &format!("{name} is not in")), "{name}: {}", said.out);
    }
    assert!(!findings.iter().any(|f| f["says"].as_str().unwrap().contains("ifconfig")), "{}", said.out);
    assert!(found("warn", "zmigrated", "does not run"));
    assert!(found("warn", "spool", "does not exist"));
    assert!(found("ok", "peer zhost2", "can be reached, written and read"));
    assert!(found("warn", "peer zhost2", "zmigrated on zhost2 has not answered within"));
    assert_eq!(json["faults"], 7);
    assert!(!host.at("spool").exists());
    assert_eq!(fs::read_dir(host.at("zhost2/in")).unwrap().count(), 0);

    for name in ["zfs", "zoneadm", "zonecfg", "zlogin", "svcs", "uname"] {
        executable(&host.at("bin").join(name), "#!/bin/sh\nexit 1\n");
    }
    executable(&host.at("bin/zonename"), "#!/bin/sh\necho web\n");
    let _running = host.spool();
    fs::remove_dir(host.at("zhost2/out")).unwrap();
    fs::set_permissions(host.at("scratch"), fs::Permissions::from_mode(0o777)).unwrap();
    let said = host.run(&["check"]).expect(1, &[]);
    for want in [
        "fault zone: this is zone 'web'",
        "fault peer zhost2: the dropbox ",
        "mode 0777)\n      → chmod go-w ",
        "ok    zmigrated: runs, pid ",
        "3 faults, 0 warnings\n",
    ] {
        assert!(said.out.contains(want), "wanted {want:?} in {}", said.out);
    }

    executable(&host.at("bin/zonename"), "#!/bin/sh\necho global\n");
    fs::create_dir(host.at("zhost2/out")).unwrap();
    fs::set_permissions(host.at("scratch"), fs::Permissions::from_mode(0o755)).unwrap();
    let said = host.run(&["check"]).expect(0, &[]);
    // zhost2 is a directory.
    assert!(said.out.ends_with("0 faults, 1 warning\n"), "{}", said.out);
}

#[test]
fn a_configuration_with_faults_is_told_by_check_in_full() {
    let host = Host::new();
    fs::write(host.at("zmigrate.toml"), "[spool]\ndir = \"here\"\n[jobs]\nparalel = 2\n").unwrap();
    let said = host.run(&["check"]).expect(1, &[]);
    assert!(said.out.contains("zmigrate.toml:2:7: ") && said.out.contains("unknown key `jobs.paralel`"));
    assert!(said.out.ends_with("2 faults, 0 warnings\n"), "{}", said.out);
    host.run(&["status"]).expect(1, &["zmigrate.toml:2:7: ", "unknown key `jobs.paralel`"]);
}
