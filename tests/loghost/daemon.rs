//! A zmigrated without zones. What is dropped into its spool is rejected, which is an outcome.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait;

/// The daemon and its directory.
pub struct Daemon {
    child: Option<Child>,
    dir: tempfile::TempDir,
}

impl Daemon {
    /// Runs, with these lines in `[syslog]`.
    pub fn with(syslog: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("zmigrate-loghost-").tempdir().unwrap();
        let mut daemon = Self { child: None, dir };
        daemon.configure(syslog);
        daemon.start();
        daemon
    }

    pub fn configure(&self, syslog: &str) {
        let dir = self.dir.path().display();
        let text = format!(
            "[host]\nname = \"zhost1\"\n[spool]\ndir = \"{dir}/spool\"\n[scratch]\ndir = \"{dir}/scratch\"\n\
             [commands]\npath = [\"{dir}\"]\n[syslog]\n{syslog}\n"
        );
        fs::write(self.path("zmigrate.toml"), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn start(&mut self) {
        let before = self.told().matches(" event=ready ").count();
        let stderr = File::options().append(true).create(true).open(self.path("stderr")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_zmigrated"))
            .arg("-c")
            .arg(self.path("zmigrate.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .unwrap();
        self.child = Some(child);
        wait("daemon that is ready", || {
            let told = self.told();
            if told.matches(" event=ready ").count() > before { Ok(()) } else { Err(told) }
        });
    }

    /// SIGTERM, and its end.
    pub fn stop(&mut self) {
        self.signal(Signal::SIGTERM);
        let status = self.child.take().unwrap().wait().unwrap();
        assert!(status.success(), "{status}\n{}", self.told());
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// SIGHUP, and the line that says that it was heeded.
    pub fn refresh(&self) {
        let before = self.told().matches(" event=refreshed").count();
        self.signal(Signal::SIGHUP);
        wait("refresh", || {
            let told = self.told();
            if told.matches(" event=refreshed").count() > before { Ok(()) } else { Err(told) }
        });
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child.as_ref().unwrap().id();
        kill(Pid::from_raw(pid.cast_signed()), signal).unwrap();
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Drops a file that is no request, waits until that was told here, and returns the outcome line's text.
    pub fn reject(&self, name: &str, text: &str) -> String {
        let (before, incoming) = (self.outcomes().len(), self.path("spool/incoming"));
        fs::write(incoming.join(".new"), text).unwrap();
        // Final: it is looked at without a wait.
        fs::set_permissions(incoming.join(".new"), fs::Permissions::from_mode(0o400)).unwrap();
        fs::rename(incoming.join(".new"), incoming.join(name)).unwrap();
        wait("outcome here", || {
            let outcomes = self.outcomes();
            if outcomes.len() > before { Ok(outcomes[before].clone()) } else { Err(self.told()) }
        })
    }

    /// All that it said on stderr.
    pub fn told(&self) -> String {
        fs::read_to_string(self.path("stderr")).unwrap_or_default()
    }

    /// The texts of the outcome lines among it.
    pub fn outcomes(&self) -> Vec<String> {
        let told = self.told();
        let texts = told.lines().filter(|line| line.contains(" result=") || line.contains(": result="));
        texts.map(|line| line.split_once("]: ").unwrap().1.to_owned()).collect()
    }

    /// Outcomes that wait on disk.
    pub fn outbox(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("spool/outbox")).unwrap().map(|entry| entry.unwrap());
        let names = entries.map(|entry| entry.file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name != "held" && !name.starts_with('.')).collect();
        names.sort();
        names
    }

    #[track_caller]
    pub fn wait_outbox(&self, count: usize) {
        wait(&format!("outbox of {count}"), || {
            let outbox = self.outbox();
            if outbox.len() == count { Ok(()) } else { Err(format!("{outbox:?}\n{}", self.told())) }
        });
    }

    /// Puts a file into the outbox.
    pub fn plant(&self, name: &str, text: &str) {
        fs::write(self.path("spool/outbox").join(name), text).unwrap();
    }

    pub fn zmigrate(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zmigrate"));
        command.arg("-c").arg(self.path("zmigrate.toml")).args(args).stdin(Stdio::null());
        command.output().unwrap()
    }

    /// What `zmigrate ARGS` says on stdout.
    pub fn says(&self, args: &[&str]) -> String {
        String::from_utf8(self.zmigrate(args).stdout).unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- zmigrated\n{}", self.told());
        }
        self.kill();
    }
}
