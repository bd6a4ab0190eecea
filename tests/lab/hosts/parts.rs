//! Real parts of a zone host besides its ZFS and its zmigrated: the namespaces, sshd and rsyslogd.

use std::path::{Path, PathBuf};
use std::process::Child;

use anyhow::Result;

use super::loghost::{self, Takes};
use super::place::Place;
use super::sshd;

/// A host's namespaces and daemons.
#[derive(Debug)]
pub struct Parts {
    sshd: Option<Child>,
    syslogd: Option<Child>,
    /// Its namespaces; the last to go.
    pub place: Place,
    /// `LAB/<host>/sys`
    pub sys: PathBuf,
    /// The other host's name.
    pub peer: String,
}

impl Parts {
    /// What is not running yet.
    pub fn at(place: Place, root: &Path, peer: &str) -> Self {
        Self { sshd: None, syslogd: None, place, sys: root.join("sys"), peer: peer.to_owned() }
    }

    /// Starts what does not run.
    pub fn start(&mut self) -> Result<()> {
        if self.syslogd.is_none() {
            self.syslogd = Some(loghost::start(&self.place, &self.sys.join("log"), Takes::Local)?);
        }
        if self.sshd.is_none() {
            self.sshd = Some(sshd::start(&self.place, &self.sys)?);
        }
        Ok(())
    }

    /// sshd's process id.
    pub fn sshd_pid(&self) -> Option<u32> {
        self.sshd.as_ref().map(Child::id)
    }

    /// Ends sshd with every connection that it has, and starts it again.
    pub fn restart_sshd(&mut self) -> Result<()> {
        let of_sshd =
            |pid: &i32| super::alone::Stat::of(*pid).is_some_and(|stat| stat.name.starts_with("sshd"));
        for pid in self.place.processes().into_iter().filter(of_sshd) {
            let _ =
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
        bury(self.sshd.take());
        self.sshd = Some(sshd::start(&self.place, &self.sys)?);
        Ok(())
    }

    /// The power goes: no process is left.
    pub fn kill(&mut self) -> Result<()> {
        self.place.kill_all()?;
        bury(self.sshd.take());
        bury(self.syslogd.take());
        Ok(())
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// Waits for a process that has been killed.
fn bury(child: Option<Child>) {
    if let Some(mut child) = child {
        let _ = child.kill();
        let _ = child.wait();
    }
}
