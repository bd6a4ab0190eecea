//! One PID and mount namespace around a whole lab. The verbs that need hosts run inside it. When
//! called from outside, they start the lab's program again inside and exit with its status.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::disk;
use crate::running::wait_for;

/// Set for a lab that runs inside.
const INSIDE: &str = "LAB_INSIDE";

/// Where mountpoints are made; it is hidden inside, but must be there to be hidden.
const EXPORT: &str = "/export";

/// A lab that stays: `LAB/outside.json`.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Outside {
    /// The process whose end ends the lab.
    pid: i32,
    /// Its start time, which distinguishes it from a later process with the same ID.
    started: u64,
    /// /export was made for this lab.
    made_export: bool,
}

/// Are we inside already?
pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs the lab's program inside, in a namespace of its own that ends with it.
pub fn run_inside(args: &[String]) -> Result<i32> {
    let made_export = make_export()?;
    let status = unshare(args)?.status().context("start unshare")?;
    if made_export {
        let _ = fs::remove_dir(EXPORT);
    }
    Ok(crate::inner::status_of(status))
}

/// Starts a lab that outlives us, and waits until it says that it is up.
pub fn stay_inside(dir: &Path, args: &[String]) -> Result<()> {
    let made_export = make_export()?;
    let log = fs::File::create(dir.join("up.log"))?;
    let mut child = Command::new("setsid")
        .arg(program()?)
        .arg("outside")
        .args(args)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("start setsid")?;
    let pid = child.id() as i32;
    let started = started(pid).context("the lab has ended at once")?;
    disk::store(&outside(dir), &Outside { pid, started, made_export })?;
    let mut ended = None;
    wait_for("the lab to be up", Duration::from_secs(300), || {
        ended = child.try_wait().ok().flatten();
        ended.is_some() || up(dir).exists()
    })?;
    if let Some(status) = ended {
        bail!(
            "the lab did not come up ({status}): {}",
            fs::read_to_string(dir.join("up.log")).unwrap_or_default().trim_end()
        );
    }
    Ok(())
}

/// The process that stays outside: it holds the namespace.
pub fn hold(args: &[String]) -> Result<i32> {
    Ok(crate::inner::status_of(unshare(args)?.status()?))
}

/// Says that the lab is up, and waits for its end.
pub fn is_up(dir: &Path) -> Result<()> {
    disk::replace(&up(dir), b"")?;
    loop {
        std::thread::park();
    }
}

/// Is there a lab that stays in this directory?
pub fn stays(dir: &Path) -> bool {
    outside(dir).exists()
}

/// Runs the lab's program in the lab that stays in this directory.
pub fn enter(dir: &Path, args: &[String]) -> Result<i32> {
    let lab: Outside = disk::load(&outside(dir))?;
    ensure!(started(lab.pid) == Some(lab.started), "the lab in {} does not run any more", dir.display());
    let first = descendants(lab.pid).into_iter().find(|pid| is_first(*pid)).context("the lab has no init")?;
    let status = Command::new("nsenter")
        .args(["-t", &first.to_string(), "--mount", "--pid", "--"])
        .arg(program()?)
        .args(args)
        .env(INSIDE, "1")
        .status()
        .context("start nsenter")?;
    Ok(crate::inner::status_of(status))
}

/// Ends the lab that stays in this directory.
pub fn end(dir: &Path) -> Result<()> {
    let lab: Outside = disk::load(&outside(dir))?;
    let runs = || started(lab.pid) == Some(lab.started);
    if runs() {
        let all = descendants(lab.pid);
        if let Some(first) = all.iter().find(|pid| is_first(**pid)) {
            kill(Pid::from_raw(*first), Signal::SIGKILL).context("end the lab's init")?;
        }
        wait_for("the lab to end", Duration::from_secs(30), || !runs())?;
    }
    if lab.made_export {
        let _ = fs::remove_dir(EXPORT);
    }
    Ok(())
}

/// The first process inside: starts the lab, waits for orphans, and exits with the lab's status.
pub fn init(args: &[String]) -> Result<i32> {
    let path = std::env::var("PATH").unwrap_or_default();
    let child = Command::new(program()?)
        .args(args)
        .env(INSIDE, "1")
        // Not everybody's PATH has the daemons.
        .env("PATH", format!("{path}:/usr/sbin:/usr/bin:/sbin:/bin"))
        .spawn()
        .context("start the lab")?;
    let lab = Pid::from_raw(child.id() as i32);
    loop {
        match waitpid(None, None) {
            Ok(WaitStatus::Exited(pid, status)) if pid == lab => return Ok(status),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == lab => {
                return Ok(crate::inner::status_of(ExitStatus::from_raw(signal as i32)));
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(why) => return Err(why).context("wait for the lab"),
        }
    }
}

fn unshare(args: &[String]) -> Result<Command> {
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"])
        .arg(program()?)
        .arg("init")
        .args(args);
    Ok(command)
}

fn make_export() -> Result<bool> {
    ensure!(nix::unistd::geteuid().is_root(), "hosts on real parts need root");
    match fs::create_dir(EXPORT) {
        Ok(()) => Ok(true),
        Err(why) if why.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(why) => Err(why).context(EXPORT),
    }
}

fn program() -> Result<PathBuf> {
    std::env::current_exe().context("find our own program")
}

fn outside(dir: &Path) -> PathBuf {
    dir.join("outside.json")
}

fn up(dir: &Path) -> PathBuf {
    dir.join("up")
}

/// When a process was started, in clock ticks since the machine's boot; `None` where it has ended.
pub fn started(pid: i32) -> Option<u64> {
    let stat = Stat::of(pid)?;
    (stat.state != 'Z').then_some(stat.started)
}

/// What proc(5) tells of a process in `stat`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// Its name, at most 15 bytes.
    pub name: String,
    /// `Z` for one that has ended and was not waited for.
    pub state: char,
    /// Its parent.
    pub parent: i32,
    /// CPU time of its own, in clock ticks.
    pub own: u64,
    /// CPU time of children that it has waited for.
    pub children: u64,
    /// When it was started, in clock ticks since boot.
    pub started: u64,
}

impl Stat {
    /// Of a process that there is.
    pub fn of(pid: i32) -> Option<Self> {
        Self::read_from(&format!("/proc/{pid}/stat"))
    }

    /// Of a process or a thread.
    pub fn read_from(path: &str) -> Option<Self> {
        Self::read(&fs::read_to_string(path).ok()?)
    }

    // proc(5): pid (comm) state ppid … utime(14) stime cutime cstime … starttime(22)
    fn read(text: &str) -> Option<Self> {
        let (head, tail) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = tail.split(' ').collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        Some(Self {
            name: head.split_once(" (")?.1.to_owned(),
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            own: number(11)? + number(12)?,
            children: number(13)? + number(14)?,
            started: number(19)?,
        })
    }
}

/// All processes that can be seen.
pub fn processes() -> Vec<i32> {
    numbers("/proc")
}

/// Entries of a directory whose names are numbers.
pub fn numbers(dir: &str) -> Vec<i32> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn descendants(pid: i32) -> Vec<i32> {
    let mut found = vec![pid];
    let parents: Vec<(i32, i32)> =
        processes().into_iter().filter_map(|pid| Some((pid, Stat::of(pid)?.parent))).collect();
    let mut at = 0;
    while at < found.len() {
        let parent = found[at];
        found.extend(parents.iter().filter(|pair| pair.1 == parent).map(|pair| pair.0));
        at += 1;
    }
    found.remove(0);
    found
}

/// Is it the first process of a PID namespace below ours? proc(5): NSpid has its number in each of them.
fn is_first(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
    let numbers: Vec<&str> = numbers.split_whitespace().collect();
    numbers.len() > 1 && numbers.last() == Some(&"1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_brackets_does_not_shift_the_fields() {
        let text = "7 (a) (b c) S 3 7 7 0 -1 4194560 1 0 0 0 11 12 13 14 20 0 1 0 15 16 17";
        let stat = Stat::read(text).unwrap();
        assert_eq!(
            stat,
            Stat { name: "a) (b c".into(), state: 'S', parent: 3, own: 23, children: 27, started: 15 }
        );
    }
}
