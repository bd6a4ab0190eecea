//! Two lab hosts with the shipped daemons, for tests. Taken in by `#[path = "harness/mod.rs"] mod harness;`.
//!
//! A [`Scene`] is a directory of its own with both hosts, the zone of 2007 in small, and nothing running. A test
//! starts the daemons, drops a request, kills and restarts what it likes, waits for states with a deadline
//! (never for a time), and looks at the hosts with their own commands, behind the back of faults and of the
//! calls' log. Everything is gone when the scene is dropped; only processes that it started are ended.
//!
//! A failed test prints [`Scene::dump`]: journals, last calls, daemons' stderr, datasets of both hosts.

#![expect(dead_code, reason = "each test binary uses its own part of it")]

pub mod ending;
pub mod nth;

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Source and target, as the lab calls them.
pub const HOSTS: [&str; 2] = ["zhost1", "zhost2"];
/// The source's index.
pub const SOURCE: usize = 0;
/// The target's index.
pub const TARGET: usize = 1;
/// The zone.
pub const ZONE: &str = "dbbackup";
/// What the verify command of a good request is.
pub const VERIFY: &str = "/opt/mysql/bin/mysqladmin status";

/// What to build; what is left out is as in the demo.
#[derive(Debug, Clone)]
pub struct Plan {
    /// `sparse`, `ipkg` or `native`.
    pub brand: String,
    /// Bytes of data in all, about.
    pub bytes: u64,
    /// Size of a part.
    pub part: String,
    /// Where real `zfs` and `zpool` are; none: emulated.
    pub real_zfs: Option<PathBuf>,
}

impl Default for Plan {
    fn default() -> Self {
        Self { brand: "sparse".into(), bytes: 1_500_000, part: "1M".into(), real_zfs: None }
    }
}

/// The lab, two hosts, their daemons.
pub struct Scene {
    dir: tempfile::TempDir,
    daemons: [Option<Child>; 2],
    /// How often each daemon was started.
    pub starts: [u32; 2],
    /// A daemon that comes after one that was killed does not learn which streams that one ran.
    pub forget_streams: bool,
    before: [Snapshot; 2],
}

/// A host as it can be compared with itself later.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// `state` by zone; the global one is left out.
    pub zone: Option<String>,
    /// Of the zone.
    pub autoboot: Option<bool>,
    /// Every dataset and snapshot of the pool.
    pub datasets: Vec<String>,
    /// Files and properties of the zone's datasets.
    pub picture: Option<Value>,
}

impl Scene {
    /// Builds both hosts, the zone running on the first.
    pub fn new(plan: &Plan) -> Self {
        let dir = tempfile::Builder::new().prefix("zmigrate-").tempdir().expect("a directory for the lab");
        let mut text = json!({ "brand": plan.brand, "bytes": plan.bytes, "part": plan.part, "zone": ZONE });
        if let Some(programs) = &plan.real_zfs {
            text["real_zfs"] = json!(programs);
        }
        let mut scene = Self {
            dir,
            daemons: [None, None],
            starts: [0, 0],
            forget_streams: false,
            before: [const { Snapshot { zone: None, autoboot: None, datasets: Vec::new(), picture: None } };
                2],
        };
        let lab = scene.lab_dir();
        scene.lab(&["scene", "--dir", &lab, "--plan", &text.to_string()]);
        scene.before = [scene.snapshot(SOURCE), scene.snapshot(TARGET)];
        scene
    }

    /// A host's directory.
    pub fn host(&self, i: usize) -> PathBuf {
        self.dir.path().join(HOSTS[i])
    }

    /// A path of the host's spool.
    pub fn spool(&self, i: usize, below: &str) -> PathBuf {
        self.host(i).join("var/spool/zmigrate").join(below)
    }

    /// A path of the host's scratch.
    pub fn scratch(&self, i: usize, below: &str) -> PathBuf {
        self.host(i).join("export/scratch/zmigrate").join(below)
    }

    /// The host's configuration, to be read or rewritten.
    pub fn configuration(&self, i: usize) -> PathBuf {
        self.host(i).join("etc/opt/zmigrate/zmigrate.toml")
    }

    fn lab_dir(&self) -> String {
        self.dir.path().to_string_lossy().into_owned()
    }

    /// Runs the lab by its own name; must succeed.
    pub fn lab(&self, args: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_zmigrate-lab"))
            .args(args)
            .stdin(Stdio::null())
            .output()
            .expect("start zmigrate-lab");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "zmigrate-lab {}: {out}{err}", args.join(" "));
        out.into_owned()
    }

    /// Adds a fault to a host's commands: a rule as `zmigrate-lab fault add` takes it.
    pub fn fault(&self, i: usize, rule: &Value) {
        self.lab(&["fault", HOSTS[i], "--dir", &self.lab_dir(), "add", &rule.to_string()]);
    }

    /// Takes all faults of a host away.
    pub fn clear_faults(&self, i: usize) {
        self.lab(&["fault", HOSTS[i], "--dir", &self.lab_dir(), "clear"]);
    }

    /// The host's commands so far, one a line, with their exit status.
    pub fn calls(&self, i: usize) -> String {
        self.lab(&["fault", HOSTS[i], "--dir", &self.lab_dir(), "calls"])
    }

    /// Has any rule of this host struck?
    pub fn fired(&self, i: usize) -> bool {
        let text = fs::read_to_string(self.host(i).join(".lab/faults.json")).unwrap_or_default();
        let rules: Vec<Value> = serde_json::from_str(&text).unwrap_or_default();
        rules.iter().any(|rule| rule["fired"] == true)
    }

    /// What the zone does on one host: `{"shutdown_ms": 5000}` and its like.
    pub fn knobs(&self, i: usize, change: &Value) {
        self.lab(&["zone", HOSTS[i], ZONE, "--dir", &self.lab_dir(), &change.to_string()]);
    }

    /// Power off and on; the daemon goes with it.
    pub fn reboot(&mut self, i: usize) {
        self.kill(i);
        self.lab(&["reboot", HOSTS[i], "--dir", &self.lab_dir()]);
    }

    /// One of the host's commands, without faults and without a line in the calls' log: stdout, whatever it
    /// exits with.
    pub fn ask(&self, i: usize, command: &str, args: &[&str]) -> String {
        let output = Command::new(self.host(i).join("usr/sbin").join(command))
            .args(args)
            .env("LAB_INNER", "1")
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|why| panic!("start {command}: {why}"));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The CLI on a host.
    pub fn zmigrate(&self, i: usize, args: &[&str]) -> (ExitStatus, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_zmigrate"))
            .arg("-c")
            .arg(self.configuration(i))
            .args(args)
            .stdin(Stdio::null())
            .output()
            .expect("start zmigrate");
        let text = [output.stdout, output.stderr].concat();
        (output.status, String::from_utf8_lossy(&text).into_owned())
    }

    /// Starts the daemon; does not wait for anything.
    pub fn start_daemon(&mut self, i: usize) {
        assert!(self.daemons[i].is_none(), "the daemon on {} runs already", HOSTS[i]);
        let log =
            File::options().append(true).create(true).open(self.stderr(i)).expect("open the daemon's log");
        let child = Command::new(env!("CARGO_BIN_EXE_zmigrated"))
            .arg("-c")
            .arg(self.configuration(i))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("start zmigrated");
        self.daemons[i] = Some(child);
        self.starts[i] += 1;
    }

    /// SIGKILL to the daemon, if it runs.
    pub fn kill(&mut self, i: usize) {
        if let Some(mut child) = self.daemons[i].take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// SIGTERM to the daemon, and its exit status.
    pub fn stop(&mut self, i: usize) -> Option<ExitStatus> {
        let mut child = self.daemons[i].take()?;
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("send SIGTERM");
        child.wait().ok()
    }

    /// SIGTERM to the daemon, whose end is for [`Self::reap`] to see.
    pub fn terminate(&self, i: usize) {
        let child = self.daemons[i].as_ref().expect("a daemon");
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("send SIGTERM");
    }

    /// Commands of the host that run, whoever started them.
    pub fn running(&self, i: usize) -> Vec<String> {
        let programs = format!("{}/", self.host(i).display());
        let command = |process: PathBuf| {
            let line = fs::read(process.join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            line.starts_with(&programs).then_some(line)
        };
        fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| command(entry.path()))
            .collect()
    }

    /// How the daemon ended, if it has; it can then be started again.
    pub fn reap(&mut self, i: usize) -> Option<ExitStatus> {
        let status = self.daemons[i].as_mut()?.try_wait().ok()??;
        self.daemons[i] = None;
        Some(status)
    }

    /// Starts a daemon again that was killed by a signal.
    ///
    /// # Errors
    /// When one ended by itself, which it must not.
    pub fn revive(&mut self) -> Result<(), String> {
        for (i, host) in HOSTS.iter().enumerate() {
            if let Some(status) = self.reap(i) {
                if status.signal() != Some(9) {
                    return Err(format!("zmigrated on {host} ended with {status}"));
                }
                if self.forget_streams {
                    visible(&self.spool(i, "streams")).iter().for_each(|file| drop(fs::remove_file(file)));
                }
                self.start_daemon(i);
            }
        }
        Ok(())
    }

    /// A request for the zone, from the source to the target, with what the test adds.
    pub fn request(more: &str) -> String {
        format!("zone = \"{ZONE}\"\nto = \"{}\"\n{more}", HOSTS[TARGET])
    }

    /// One that goes well.
    pub fn good() -> String {
        Self::request(&format!("[verify]\ncommands = [\"{VERIFY}\"]\n"))
    }

    /// One whose gate never opens: the way back after the handoff.
    pub fn bad() -> String {
        Self::request("[verify]\ntimeout = \"1s\"\ncommands = [\"/bin/false\"]\n")
    }

    /// Drops a request at the source.
    pub fn drop_request(&self, text: &str) {
        let incoming = self.spool(SOURCE, "incoming");
        fs::create_dir_all(&incoming).expect("make incoming");
        let dot = incoming.join(".request");
        fs::write(&dot, text).expect("write the request");
        fs::rename(&dot, incoming.join("request.toml")).expect("drop the request");
    }

    /// The folders of jobs in a place (`active`, `done`, `failed`).
    pub fn jobs(&self, i: usize, place: &str) -> Vec<PathBuf> {
        visible(&self.spool(i, place))
    }

    /// All requests and jobs have come to rest on both hosts.
    pub fn is_over(&self) -> bool {
        let quiet = |i| visible(&self.spool(i, "incoming")).is_empty() && self.jobs(i, "active").is_empty();
        let source = ["done", "failed", "rejected"].iter().any(|place| !self.jobs(SOURCE, place).is_empty());
        // Twice the source: a job may have come to the target between the two looks.
        source && quiet(SOURCE) && quiet(TARGET) && quiet(SOURCE)
    }

    /// Waits until everything is over; daemons that were killed are started again.
    ///
    /// # Errors
    /// When `limit` passes first, or a daemon ended by itself.
    pub fn wait_ended(&mut self, limit: Duration) -> Result<(), String> {
        self.wait_for("both jobs to end", limit, |scene| scene.revive().map(|()| scene.is_over()))?;
        // The target takes its last words away at its next look, once the source has taken its side away. What
        // is left for longer the check of the end will name.
        let tidy = Duration::from_secs(60);
        let _ = self.wait_for("the scratch to be empty", tidy, |scene| {
            scene.revive().map(|()| scene.left_in_scratch().is_empty())
        });
        Ok(())
    }

    /// Waits for a state.
    ///
    /// # Errors
    /// When `limit` passes first, or the look at it fails.
    pub fn wait_for(
        &mut self,
        what: &str,
        limit: Duration,
        mut is_so: impl FnMut(&mut Self) -> Result<bool, String>,
    ) -> Result<(), String> {
        let until = Instant::now() + limit;
        while !is_so(self)? {
            if Instant::now() > until {
                return Err(format!("waited {} s for {what}", limit.as_secs()));
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        Ok(())
    }

    /// The zone's state on a host, by zoneadm; none where it isn't configured.
    pub fn zone_state(&self, i: usize) -> Option<String> {
        let listed = self.ask(i, "zoneadm", &["list", "-cp"]);
        let mut lines = listed.lines().map(|line| line.split(':').collect::<Vec<_>>());
        lines
            .find(|columns| columns.get(1) == Some(&ZONE))
            .and_then(|columns| Some((*columns.get(2)?).to_owned()))
    }

    /// The zone's autoboot on a host.
    pub fn autoboot(&self, i: usize) -> Option<bool> {
        let export = self.ask(i, "zonecfg", &["-z", ZONE, "export"]);
        export.lines().find_map(|line| line.strip_prefix("set autoboot=")).map(|value| value.trim() == "true")
    }

    /// Every dataset and snapshot of a host.
    pub fn zfs_list(&self, i: usize) -> Vec<String> {
        let listed = self.ask(i, "zfs", &["list", "-H", "-o", "name", "-t", "all", "-r", "data"]);
        listed.lines().map(str::to_owned).collect()
    }

    /// Files and properties of the zone's datasets on a host, where it has them.
    pub fn picture(&self, i: usize) -> Option<Value> {
        let top = format!("data/zones/{ZONE}");
        if !self.zfs_list(i).contains(&top) {
            return None;
        }
        let text = self.lab(&["picture", HOSTS[i], "--dir", &self.lab_dir(), &top]);
        Some(serde_json::from_str(&text).expect("a picture"))
    }

    /// Everything of a host that is compared.
    pub fn snapshot(&self, i: usize) -> Snapshot {
        Snapshot {
            zone: self.zone_state(i),
            autoboot: self.autoboot(i),
            datasets: self.zfs_list(i),
            picture: self.picture(i),
        }
    }

    /// The host before anything was started.
    pub fn before(&self, i: usize) -> &Snapshot {
        &self.before[i]
    }

    /// The daemon's stderr.
    pub fn stderr(&self, i: usize) -> PathBuf {
        self.host(i).join("var/zmigrated.stderr")
    }

    /// The outcome lines of a host.
    pub fn outcomes(&self, i: usize) -> Vec<String> {
        let text = fs::read_to_string(self.stderr(i)).unwrap_or_default();
        text.lines().filter(|line| line.contains(" result=")).map(str::to_owned).collect()
    }

    /// The value of `result=` of each outcome line of a host.
    pub fn results(&self, i: usize) -> Vec<String> {
        let word = |line: &String| line.split(" result=").nth(1)?.split(' ').next().map(str::to_owned);
        self.outcomes(i).iter().filter_map(word).collect()
    }

    /// The zones' life on both hosts, by time: (milliseconds, host, what).
    pub fn events(&self) -> Vec<(u64, usize, String)> {
        let mut events = Vec::new();
        for i in [SOURCE, TARGET] {
            let text = fs::read_to_string(self.host(i).join(".lab/zone-events.log")).unwrap_or_default();
            for line in text.lines() {
                let words: Vec<&str> = line.split(' ').collect();
                let [at, _, zone, what] = words[..] else { panic!("an event is '{line}'") };
                assert_eq!(zone, ZONE);
                events.push((at.parse().expect("milliseconds"), i, what.to_owned()));
            }
        }
        events.sort_by_key(|(at, ..)| *at);
        events
    }

    /// Files that are left below both scratches.
    pub fn left_in_scratch(&self) -> Vec<PathBuf> {
        let mut left = Vec::new();
        for i in [SOURCE, TARGET] {
            walk(&self.scratch(i, ""), &mut left);
        }
        left
    }

    /// Everything that tells what happened, for a person.
    pub fn dump(&self) -> String {
        let mut text = String::new();
        for (i, host) in HOSTS.iter().enumerate() {
            text += &format!("\n=== {host}\n");
            for place in ["active", "done", "failed", "rejected"] {
                for job in self.jobs(i, place) {
                    text += &format!("--- {place}/{}\n", name(&job));
                    let journal = fs::read_to_string(job.join("journal")).unwrap_or_default();
                    journal.lines().for_each(|line| text += &format!("  {}\n", cut(line, 160)));
                }
            }
            text += "--- calls\n";
            tail(&self.calls(i), 60).for_each(|line| text += &format!("  {}\n", cut(line, 200)));
            text += "--- zmigrated.stderr\n";
            let log = fs::read_to_string(self.stderr(i)).unwrap_or_default();
            tail(&log, 60).for_each(|line| text += &format!("  {}\n", cut(line, 400)));
            text += &format!("--- zone {:?} autoboot {:?}\n", self.zone_state(i), self.autoboot(i));
            self.zfs_list(i).iter().for_each(|line| text += &format!("  {line}\n"));
        }
        text += "=== zone events\n";
        self.events().iter().for_each(|(at, i, what)| text += &format!("  {at} {} {what}\n", HOSTS[*i]));
        let left = self.left_in_scratch();
        left.iter().for_each(|path| text += &format!("left {}\n", path.display()));
        text
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.kill(SOURCE);
        self.kill(TARGET);
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn visible(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut paths: Vec<_> = entries.filter(|path| !name(path).starts_with('.')).collect();
    paths.sort();
    paths
}

fn walk(dir: &Path, files: &mut Vec<PathBuf>) {
    for path in fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()) {
        if path.is_dir() { walk(&path, files) } else { files.push(path) }
    }
}

fn tail(text: &str, lines: usize) -> impl Iterator<Item = &str> {
    let all: Vec<&str> = text.lines().collect();
    let from = all.len().saturating_sub(lines);
    all.into_iter().skip(from)
}

fn cut(line: &str, most: usize) -> String {
    if line.chars().count() <= most {
        line.to_owned()
    } else {
        line.chars().take(most).chain(['…']).collect()
    }
}
