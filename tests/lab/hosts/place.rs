//! The namespaces of one host. A process that does nothing keeps them open.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::alone::{processes, started};
use crate::running::wait_for;

/// A host's network, mount and UTS namespaces.
#[derive(Debug)]
pub struct Place {
    /// The host's name.
    pub name: String,
    keeper: i32,
    /// Ours to bury, where we have started it.
    child: Option<Child>,
}

impl Place {
    /// Makes namespaces, has `script` arrange them (its `$1` … are `args`), and keeps them.
    pub fn make(name: &str, script: &str, args: &[&Path]) -> Result<Self> {
        let whole = format!("set -e; hostname {name}; {script}\necho ready; exec sleep infinity >/dev/null");
        let mut child = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "--net", "--uts", "sh", "-c", &whole, name])
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("start unshare")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no stdout")?).read_line(&mut line)?;
        if line.trim_end() != "ready" {
            bail!("the namespaces of {name} could not be made ({})", child.wait()?);
        }
        Ok(Self { name: name.to_owned(), keeper: child.id() as i32, child: Some(child) })
    }

    /// The namespaces that another lab process has made.
    pub fn kept_by(name: &str, keeper: i32) -> Result<Self> {
        ensure!(started(keeper).is_some(), "{name} is not up");
        Ok(Self { name: name.to_owned(), keeper, child: None })
    }

    /// The process that keeps them.
    pub fn keeper(&self) -> i32 {
        self.keeper
    }

    /// A program, run here.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.keeper.to_string(), "--mount", "--net", "--uts", "--"]);
        command.arg(program.as_ref());
        command
    }

    /// A program that must succeed; what it prints.
    pub fn ask(&self, program: &str, args: &[&str]) -> Result<String> {
        let output = self.command(program).args(args).stdin(Stdio::null()).output()?;
        if !output.status.success() {
            bail!(
                "{program} {} on {}: {}",
                args.join(" "),
                self.name,
                String::from_utf8_lossy(&output.stderr).trim_end()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// A path of this place as another process of the lab sees it.
    pub fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.keeper)).join(path.trim_start_matches('/'))
    }

    /// Processes that run here, but for the keeper.
    pub fn processes(&self) -> Vec<i32> {
        // Our own namespace does not belong to a host; its processes must not be ended.
        let ours = namespace_of(std::process::id() as i32);
        let Some(theirs) = namespace_of(self.keeper).filter(|theirs| Some(*theirs) != ours) else {
            return Vec::new();
        };
        let here = |pid: &i32| *pid != self.keeper && namespace_of(*pid) == Some(theirs);
        processes().into_iter().filter(|pid| here(pid) && started(*pid).is_some()).collect()
    }

    /// Ends every process that runs here, but for the keeper, as a power failure does.
    pub fn kill_all(&self) -> Result<()> {
        wait_for("all processes of a host to end", Duration::from_secs(60), || {
            let left = self.processes();
            for pid in &left {
                let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
            }
            left.is_empty()
        })
        .with_context(|| self.name.clone())
    }
}

/// Which mount namespace a process is in.
pub fn namespace_of(pid: i32) -> Option<(u64, u64)> {
    fs::metadata(format!("/proc/{pid}/ns/mnt")).map(|meta| (meta.dev(), meta.ino())).ok()
}

impl Drop for Place {
    fn drop(&mut self) {
        // Who has not made them leaves them.
        let Some(mut child) = self.child.take() else { return };
        let _ = self.kill_all();
        let _ = child.kill();
        let _ = child.wait();
    }
}
