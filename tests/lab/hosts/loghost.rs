//! Debian's rsyslogd. On the log host it receives UDP and TCP, on a zone host /dev/log; each
//! instance writes one file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use super::place::Place;
use super::sshd::listens;
use crate::running::wait_for;

/// What it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// UDP and TCP, port 514, of everybody.
    Network,
    /// What is written to the host's own /dev/log.
    Local,
}

/// The file that it writes.
pub fn messages(dir: &Path) -> PathBuf {
    dir.join("messages")
}

/// Starts rsyslogd in the foreground; its files are in `dir`.
pub fn start(place: &Place, dir: &Path, takes: Takes) -> Result<Child> {
    fs::create_dir_all(dir)?;
    let inputs = match takes {
        Takes::Network => {
            "module(load=\"imudp\")\nmodule(load=\"imtcp\")\ninput(type=\"imudp\" port=\"514\")\n\
             input(type=\"imtcp\" port=\"514\")\n"
        }
        Takes::Local => "module(load=\"imuxsock\")\n",
    };
    let (work, file) = (dir.display(), messages(dir));
    let text = format!(
        "global(workDirectory=\"{work}\" maxMessageSize=\"8k\")\n{inputs}\
         template(name=\"t\" type=\"string\" string=\"%pri-text% %hostname% %syslogtag%%msg:::sp-if-no-1st-sp%%msg%\\n\")\n\
         action(type=\"omfile\" file=\"{}\" template=\"t\")\n",
        file.display()
    );
    let configuration = dir.join("rsyslog.conf");
    fs::write(&configuration, text)?;
    // What a killed one has left would keep this one from starting.
    let pid = dir.join("pid");
    if pid.exists() {
        fs::remove_file(&pid)?;
    }
    let log = fs::File::options().append(true).create(true).open(dir.join("rsyslogd.log"))?;
    let child = place
        .command("/usr/sbin/rsyslogd")
        .arg("-n")
        .arg("-f")
        .arg(&configuration)
        .arg("-i")
        .arg(&pid)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("start rsyslogd")?;
    wait_for("rsyslogd to listen", Duration::from_secs(60), || match takes {
        Takes::Network => listens(place, 514),
        Takes::Local => place.path("/dev/log").exists(),
    })
    .with_context(|| fs::read_to_string(dir.join("rsyslogd.log")).unwrap_or_default())?;
    Ok(child)
}

/// Outcome lines of a job in the log host's file.
pub fn outcomes(dir: &Path, job: &str) -> Vec<String> {
    let text = fs::read_to_string(messages(dir)).unwrap_or_default();
    let wanted = format!("job={job} ");
    text.lines()
        .filter(|line| line.contains(&wanted) && line.contains(" result="))
        .map(str::to_owned)
        .collect()
}
