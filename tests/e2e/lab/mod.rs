//! Two hosts in a directory of their own, the shipped daemons on them, and a zone to move. A scenario that fails
//! prints both hosts' transcripts; every scenario ends with the proof that no zone ever ran on both.

pub mod ends;
mod host;
mod liar;
pub mod profile;
mod request;

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

pub use ends::Picture;
pub use host::Host;
pub use liar::Lies;
pub use request::Request;

/// The zone of 2007.
pub const ZONE: &str = "dbbackup";
/// Its top dataset.
pub const TOP: &str = "data/zones/dbbackup";
/// The longest that a scenario waits for one state.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Both hosts.
pub struct Lab {
    /// Where the zone is.
    pub source: Host,
    /// Where it goes.
    pub target: Host,
    /// An operator has vouched for a host's end: until that one is back the zone is attached on both.
    pub declared_gone: Cell<bool>,
    dir: TempDir,
}

impl Lab {
    /// Small data and small parts, on the system that [`profile`] names.
    pub fn new() -> Self {
        Self::with(json!({}))
    }

    /// As the plan of `zmigrate-lab scene` says.
    pub fn with(plan: Value) -> Self {
        let dir = tempfile::Builder::new().prefix("zmigrate-e2e-").tempdir().expect("a directory");
        let root = dir.path().canonicalize().expect("the directory");
        let mut all = json!({"bytes": 2 << 20, "part": "1M", "brand": profile::brand()});
        merge(&mut all, plan);
        let lab = |args: &[&str]| run_lab(&root, args);
        lab(&["scene", "--plan", &all.to_string()]);
        let [source, target] = ["zhost1", "zhost2"].map(|name| Host::new(&root, name));
        Self { source, target, declared_gone: Cell::new(false), dir }
    }

    /// Both daemons run.
    pub fn started() -> Self {
        let lab = Self::new();
        lab.start();
        lab
    }

    /// Starts both daemons.
    pub fn start(&self) {
        self.source.start();
        self.target.start();
    }

    /// Both hosts.
    pub fn hosts(&self) -> [&Host; 2] {
        [&self.source, &self.target]
    }

    /// The lab's directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Builds another zone on a host.
    pub fn add_zone(&self, on: &Host, zone: &str) {
        let plan = json!({"bytes": 2 << 20, "zone": zone, "brand": profile::brand()}).to_string();
        run_lab(&on.lab, &["scene-on", &on.name, "--zone", "--plan", &plan]);
        for host in self.hosts() {
            host.manners(zone, json!({"writes_on_boot": false}));
        }
    }

    /// Drops the request on the source and returns the job that it became.
    pub fn submit(&self, request: &Request) -> String {
        self.source.submit(request)
    }

    /// Drops the request and waits for both outcome lines.
    pub fn migrate(&self, request: &Request) -> (String, String) {
        self.submit(request);
        self.outcomes()
    }

    /// As [`Self::migrate`], on a source that has told so many outcomes already.
    pub fn migrate_after(&self, known: usize, request: &Request) {
        self.submit(request);
        self.source.wait_outcome(known);
        self.rest();
    }

    /// The first outcome line on each side.
    pub fn outcomes(&self) -> (String, String) {
        let first =
            |host: &Host| wait(&format!("the outcome on {}", host.name), || host.outcomes().first().cloned());
        let lines = (first(&self.source), first(&self.target));
        self.rest();
        lines
    }

    /// Waits until neither host has anything to do.
    pub fn rest(&self) {
        for host in self.hosts() {
            wait(&format!("{} to come to rest", host.name), || host.jobs("active").is_empty().then_some(()));
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let twice = ends::twice(&self.hosts(), !self.declared_gone.get());
        let failed = std::thread::panicking();
        if failed || twice.is_some() {
            for host in self.hosts() {
                eprintln!("{}", host.transcript());
            }
        }
        if let Some(twice) = twice {
            assert!(failed, "never two: {twice}");
            eprintln!("never two: {twice}");
        }
    }
}

fn merge(all: &mut Value, more: Value) {
    if let (Some(all), Value::Object(more)) = (all.as_object_mut(), more) {
        all.extend(more);
    }
}

/// A rule for [`Host::fault`]: the command fails, saying this, whenever its arguments contain all of these.
pub fn failing(command: &str, contains: &[&str], text: &str) -> Value {
    json!({"command": command, "contains": contains, "action": {"do": "fail", "text": text, "status": 1}})
}

/// `zmigrate-lab ARGS --dir LAB`; it must succeed.
pub fn run_lab(lab: &Path, args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_zmigrate-lab"))
        .args(&args[..1])
        .arg("--dir")
        .arg(lab)
        .args(&args[1..])
        .stdin(Stdio::null())
        .output()
        .expect("zmigrate-lab starts");
    must(&format!("zmigrate-lab {}", args.join(" ")), &output)
}

/// A command's stdout; it must have succeeded.
pub fn must(what: &str, output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{what}: {}\n{}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// Waits for a state, with a deadline.
#[track_caller]
pub fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "waited {} s for {what}", PATIENCE.as_secs());
        std::thread::park_timeout(Duration::from_millis(15));
    }
}

/// All files below a directory, by their paths relative to it.
pub fn tree(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(at) = open.pop() {
        for entry in std::fs::read_dir(&at).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(path);
            } else {
                found.push(path.strip_prefix(dir).unwrap_or(&path).to_path_buf());
            }
        }
    }
    found.sort();
    found
}
