//! One host of the lab: its daemon, its commands, its faults, and what can be seen of it.

use std::cell::RefCell;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::{Picture, Request, ends, must, run_lab, tree, wait};

/// A host.
pub struct Host {
    /// `zhost1` or `zhost2`
    pub name: String,
    /// Its root directory.
    pub root: PathBuf,
    /// The lab that it belongs to.
    pub lab: PathBuf,
    daemon: RefCell<Option<Child>>,
}

impl Host {
    pub(super) fn new(lab: &Path, name: &str) -> Self {
        let (root, lab) = (lab.join(name), lab.to_path_buf());
        Self { name: name.to_owned(), root, lab, daemon: RefCell::default() }
    }

    fn config(&self) -> PathBuf {
        self.root.join("etc/opt/zmigrate/zmigrate.toml")
    }

    /// A place of the spool.
    pub fn spool(&self, place: &str) -> PathBuf {
        self.root.join("var/spool/zmigrate").join(place)
    }

    /// The dropbox here into which the other host puts its files.
    pub fn dropbox(&self) -> PathBuf {
        let peer = if self.name == "zhost1" { "zhost2" } else { "zhost1" };
        self.root.join("export/scratch/zmigrate/dropbox").join(peer)
    }

    // --- the daemon

    /// Starts the daemon; it has opened its spool when this returns.
    pub fn start(&self) {
        let log = File::options().append(true).create(true).open(self.stderr()).expect("a log");
        let child = Command::new(env!("CARGO_BIN_EXE_zmigrated"))
            .arg("-c")
            .arg(self.config())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("zmigrated starts");
        assert!(self.daemon.replace(Some(child)).is_none(), "a daemon runs on {} already", self.name);
        wait("zmigrated to open its spool", || self.spool("incoming").is_dir().then_some(()));
    }

    /// Ends the daemon as SMF does.
    pub fn stop(&self) {
        let mut child = self.daemon.take().expect("a daemon");
        kill(pid(&child), Signal::SIGTERM).expect("a signal");
        let status = child.wait().expect("its end");
        assert!(status.success(), "zmigrated on {} ended with {status}", self.name);
    }

    /// Lets the daemon read its configuration again, as `svcadm refresh` does.
    #[track_caller]
    pub fn refresh(&self) {
        let heeded = || self.told().matches(" event=refreshed").count();
        let before = heeded();
        self.signal_refresh();
        wait("the configuration to be read", || (heeded() > before).then_some(()));
    }

    /// As [`Host::refresh`], whatever comes of it.
    pub fn signal_refresh(&self) {
        kill(pid(self.daemon.borrow().as_ref().expect("a daemon")), Signal::SIGHUP).expect("a signal");
    }

    /// Ends it as a power failure does.
    pub fn kill(&self) {
        if let Some(mut child) = self.daemon.take() {
            child.kill().expect("a signal");
            child.wait().expect("its end");
        }
    }

    /// Waits until a fault has killed the daemon; it can then be started again.
    #[track_caller]
    pub fn wait_killed(&self) {
        wait(&format!("the daemon on {} to be killed", self.name), || {
            self.daemon.borrow_mut().as_mut().expect("a daemon").try_wait().expect("its end")
        });
        drop(self.daemon.take());
    }

    /// kill -9, power off and on, and the daemon again.
    pub fn reboot(&self) {
        self.kill();
        run_lab(&self.lab, &["reboot", &self.name]);
        self.start();
    }

    fn stderr(&self) -> PathBuf {
        self.root.join("var/zmigrated.stderr")
    }

    /// All that the daemon told.
    pub fn told(&self) -> String {
        fs::read_to_string(self.stderr()).unwrap_or_default()
    }

    /// Waits for a line in which all of these words are.
    #[track_caller]
    pub fn wait_told(&self, words: &[&str]) -> String {
        wait(&format!("{} to tell {words:?}", self.name), || {
            let told = self.told();
            told.lines().find(|line| words.iter().all(|word| line.contains(word))).map(str::to_owned)
        })
    }

    /// The outcome lines that it told.
    pub fn outcomes(&self) -> Vec<String> {
        self.told().lines().filter(|line| line.contains(" result=")).map(str::to_owned).collect()
    }

    /// Waits for the outcome line after so many.
    #[track_caller]
    pub fn wait_outcome(&self, known: usize) -> String {
        wait(&format!("the outcome {} on {}", known + 1, self.name), || self.outcomes().get(known).cloned())
    }

    // --- requests, jobs and asks

    /// Drops a file into the spool.
    pub fn drop_file(&self, name: &str, text: &str) {
        let incoming = self.spool("incoming");
        let dot = incoming.join(format!(".{name}"));
        fs::write(&dot, text).expect("a request");
        fs::set_permissions(&dot, fs::Permissions::from_mode(0o400)).expect("its mode");
        fs::rename(&dot, incoming.join(name)).expect("its name");
    }

    /// Drops a request; the job that it became.
    #[track_caller]
    pub fn submit(&self, request: &Request) -> String {
        let all = || ["active", "done", "failed"].map(|place| self.jobs(place)).concat();
        let before = all();
        let name = format!("{}.toml", request.zone);
        self.drop_file(&name, &request.text());
        let reason = self.spool("rejected").join(format!("{name}.reason"));
        let zone = format!("{}-", request.zone);
        wait("the request to be taken up", || {
            assert!(!reason.exists(), "rejected: {}", fs::read_to_string(&reason).unwrap_or_default());
            all().into_iter().find(|job| job.starts_with(&zone) && !before.contains(job))
        })
    }

    /// Why a dropped file was rejected.
    #[track_caller]
    pub fn reason(&self, name: &str) -> String {
        let reason = self.spool("rejected").join(format!("{name}.reason"));
        wait(&format!("{name} to be rejected"), || fs::read_to_string(&reason).ok())
    }

    /// The jobs in one place of the spool.
    pub fn jobs(&self, place: &str) -> Vec<String> {
        let entries = fs::read_dir(self.spool(place)).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut names: Vec<_> = names.filter(|name| !name.starts_with('.')).collect();
        names.sort();
        names
    }

    /// A file of a job, wherever its folder is.
    pub fn of_job(&self, job: &str, file: &str) -> String {
        let places = ["active", "done", "failed"].map(|place| self.spool(place).join(job).join(file));
        places.iter().find_map(|path| fs::read_to_string(path).ok()).unwrap_or_default()
    }

    /// Waits until a job's journal holds an event; a word of the line tells it from others of its kind.
    #[track_caller]
    pub fn wait_event(&self, job: &str, event: &str, word: &str) {
        let event = format!("{{\"event\":\"{event}\"");
        wait(&format!("{event} {word} on {}", self.name), || {
            self.of_job(job, "journal")
                .lines()
                .any(|line| line.contains(&event) && line.contains(word))
                .then_some(())
        });
    }

    /// `zmigrate ARGS` on this host.
    pub fn zmigrate(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zmigrate"));
        command.arg("-c").arg(self.config()).args(args).stdin(Stdio::null());
        command.output().expect("zmigrate starts")
    }

    /// As [`Self::zmigrate`], which must succeed.
    #[track_caller]
    pub fn ask(&self, args: &[&str]) -> String {
        must(&format!("zmigrate {} on {}", args.join(" "), self.name), &self.zmigrate(args))
    }

    // --- the host itself

    /// Changes a piece of the configuration; before the daemon is started, or told to read it again.
    pub fn configure(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.config()).expect("the configuration");
        assert!(text.contains(from), "the configuration has no {from:?}");
        fs::write(self.config(), text.replacen(from, to, 1)).expect("the configuration");
    }

    /// Puts a shell script in the place of one of the daemon's commands; `$REAL` is the command itself.
    pub fn replace(&self, command: &str, script: &str) {
        let (dir, real) = (self.root.join("lies"), self.root.join("usr/sbin"));
        fs::create_dir_all(&dir).expect("a directory");
        let text =
            format!("#!/bin/sh\nPATH=/usr/bin:/bin\nREAL={}\n{script}\n", real.join(command).display());
        fs::write(dir.join(command), text).expect("a script");
        fs::set_permissions(dir.join(command), fs::Permissions::from_mode(0o755)).expect("its mode");
        let real = format!("path = [{real:?}");
        self.configure(&real, &real.replace('[', &format!("[{dir:?}, ")));
    }

    /// Changes what kind of system this is.
    pub fn settings(&self, key: &str, value: Value) {
        let path = self.root.join(".lab/host.json");
        let mut settings: Value = serde_json::from_slice(&fs::read(&path).expect("settings")).expect("JSON");
        settings[key] = value;
        fs::write(path, settings.to_string()).expect("settings");
    }

    /// Adds a fault.
    pub fn fault(&self, rule: &Value) {
        run_lab(&self.lab, &["fault", &self.name, "add", &rule.to_string()]);
    }

    /// Takes all faults away.
    pub fn no_faults(&self) {
        run_lab(&self.lab, &["fault", &self.name, "clear"]);
    }

    /// Sets a zone's manners.
    pub fn manners(&self, zone: &str, change: Value) {
        run_lab(&self.lab, &["zone", &self.name, zone, &change.to_string()]);
    }

    /// One of the host's commands, without faults and trace.
    pub fn output(&self, command: &str, args: &[&str]) -> Output {
        let mut run = Command::new(self.root.join("usr/sbin").join(command));
        run.args(args).env("LAB_INNER", "1").stdin(Stdio::null());
        run.output().expect("a command of the lab")
    }

    /// What one of the host's commands says; it must succeed.
    #[track_caller]
    pub fn run(&self, command: &str, args: &[&str]) -> String {
        must(&format!("{command} {} on {}", args.join(" "), self.name), &self.output(command, args))
    }

    /// A zone's state in zoneadm's words.
    pub fn state(&self, zone: &str) -> Option<String> {
        let list = self.run("zoneadm", &["list", "-cp"]);
        let mut lines = list.lines().map(|line| line.split(':').collect::<Vec<_>>());
        lines.find(|columns| columns[1] == zone).map(|columns| columns[2].to_owned())
    }

    /// A zone's configuration.
    pub fn export(&self, zone: &str) -> String {
        self.run("zonecfg", &["-z", zone, "export"])
    }

    /// Whether a zone boots with the host.
    pub fn autoboot(&self, zone: &str) -> bool {
        self.export(zone).contains("set autoboot=true")
    }

    /// All datasets and snapshots below `data/zones`, itself not.
    pub fn datasets(&self) -> Vec<String> {
        let list = self.run("zfs", &["list", "-H", "-o", "name", "-r", "-t", "all", "data/zones"]);
        list.lines().filter(|name| *name != "data/zones").map(str::to_owned).collect()
    }

    /// Everything about a dataset tree that a migration must keep.
    pub fn picture(&self, top: &str) -> Picture {
        ends::picture(&run_lab(&self.lab, &["picture", &self.name, top]))
    }

    /// Has any fault struck?
    pub fn struck(&self) -> bool {
        let text = fs::read_to_string(self.root.join(".lab/faults.json")).unwrap_or_default();
        let rules: Vec<Value> = serde_json::from_str(&text).unwrap_or_default();
        rules.iter().any(|rule| rule["fired"] == true)
    }

    /// How often a command with this text in its line was called.
    pub fn calls(&self, text: &str) -> usize {
        let log = fs::read_to_string(self.root.join(".lab/calls.log")).unwrap_or_default();
        log.lines().filter(|line| line.contains(" > ") && line.contains(text)).count()
    }

    /// Everything that helps to see what happened.
    pub(super) fn transcript(&self) -> String {
        let cut = |line: &str| line.chars().take(320).collect::<String>();
        let mut text = format!("\n=== {} ===\n--- told\n", self.name);
        self.told().lines().for_each(|line| text += &format!("{}\n", cut(line)));
        for place in ["active", "done", "failed"] {
            for job in self.jobs(place) {
                for file in ["journal", "log"] {
                    text += &format!("--- {place}/{job}/{file}\n");
                    let lines = self.of_job(&job, file);
                    let lines: Vec<_> = lines.lines().collect();
                    lines[lines.len().saturating_sub(45)..]
                        .iter()
                        .for_each(|line| text += &format!("{}\n", cut(line)));
                }
            }
        }
        let calls = fs::read_to_string(self.root.join(".lab/calls.log")).unwrap_or_default();
        let calls: Vec<_> = calls.lines().collect();
        text += "--- the last calls\n";
        calls[calls.len().saturating_sub(30)..].iter().for_each(|line| text += &format!("{}\n", cut(line)));
        for (command, args) in [
            ("zoneadm", &["list", "-cv"][..]),
            ("zfs", &["list", "-r", "-t", "all", "-o", "name,used,mountpoint,mounted"]),
        ] {
            let output = self.output(command, args);
            text += &format!("--- {command} {}\n{}", args.join(" "), String::from_utf8_lossy(&output.stdout));
        }
        text += "--- spool and scratch\n";
        for dir in ["var/spool/zmigrate", "export/scratch/zmigrate"] {
            tree(&self.root.join(dir)).iter().for_each(|path| text += &format!("{dir}/{}\n", path.display()));
        }
        let events = fs::read_to_string(self.root.join(".lab/zone-events.log")).unwrap_or_default();
        text + "--- zone events\n" + &events
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.kill();
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().cast_signed())
}
