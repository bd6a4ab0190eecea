//! zlogin without a terminal: `zlogin [options] Z command…`.
//!
//! The arguments are joined with blanks, and a shell in the zone splits them again. The lab answers
//! for the zone's system commands. Any other program is searched below the zone's root and run with
//! the lab's shell, in the zone's root, with `$ZONEROOT` set to it. There is no chroot: an absolute
//! path among the arguments is one of the lab's machine.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::config::Config;
use super::kernel::{Phase, State};
use super::{Zones, configuration, life};
use crate::inner::INNER;
use crate::os;
use crate::world::Host;

/// The command.
pub fn main(host: &Host, args: &[String]) -> Result<i32> {
    let mut rest = args;
    while let [option, tail @ ..] = rest {
        match option.as_str() {
            "-l" | "-e" => rest = tail.get(1..).unwrap_or_default(),
            "-S" | "-E" | "-n" | "-Q" | "-nQ" | "-Qn" => rest = tail,
            "-C" => {
                err!("zlogin: the lab's zones have no console");
                return Ok(1);
            }
            option if option.starts_with('-') => return Ok(usage()),
            _ => break,
        }
    }
    let [zone, command @ ..] = rest else { return Ok(usage()) };
    if zone == "global" {
        err!("zlogin: 'zlogin' not applicable to the global zone");
        return Ok(1);
    }
    match Zones::look(host)?.state(host, zone)? {
        None => {
            err!("zlogin: zone '{zone}' unknown");
            return Ok(1);
        }
        Some(state @ (State::Configured | State::Incomplete)) => {
            err!("zlogin: cannot login to a zone which is '{}'", state.word());
            return Ok(1);
        }
        Some(State::Running) => {}
        Some(state) => {
            err!("zlogin: login allowed only to running zones ({zone} is '{}').", state.word());
            return Ok(1);
        }
    }
    let Some(config) = configuration(host, zone)? else {
        err!("zlogin: could not get zone root: Invalid document");
        return Ok(1);
    };
    if command.is_empty() {
        return shell(host, &config, None);
    }
    let line = command.join(" ");
    // Only a plain line is ours to answer; with a shell's signs in it, it is a shell's.
    if !line.contains(|c: char| "|&;<>()$`\\\"'*?[#~{}!\n".contains(c)) {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        if let Some((name, args)) = words.split_first()
            && let Some(status) = emulated(host, &config, name, args)?
        {
            return Ok(status);
        }
    }
    shell(host, &config, Some(&line))
}

/// The commands of the zone's own system that are answered here.
fn emulated(host: &Host, config: &Config, name: &str, args: &[String]) -> Result<Option<i32>> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let base = ["/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"]
        .iter()
        .find_map(|dir| name.strip_prefix(dir))
        .unwrap_or(name);
    if base.contains('/') {
        return Ok(None);
    }
    let status = match base {
        "shutdown" => shutdown(host, config, &words)?,
        "init" => init(host, config, words.first().copied().unwrap_or(""))?,
        "halt" | "poweroff" => init(host, config, "0")?,
        "svcs" => os::svcs::in_zone(host, config, args)?,
        "svcprop" => os::svcs::svcprop_in_zone(host, config, args)?,
        "zonename" | "hostname" if words.is_empty() => {
            out!("{}", config.name);
            0
        }
        "uname" => os::uname(host, &config.name, args)?,
        "true" => 0,
        // /usr/bin/false of Solaris gives 255.
        "false" => 255,
        _ => return Ok(None),
    };
    Ok(Some(status))
}

fn shutdown(host: &Host, config: &Config, args: &[&str]) -> Result<i32> {
    let mut level = "s".to_owned();
    let mut sure = false;
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match *arg {
            "-y" => sure = true,
            "-i" => level = rest.next().copied().unwrap_or_default().to_owned(),
            "-g" => drop(rest.next()),
            arg if arg.starts_with("-i") => level = arg[2..].to_owned(),
            arg if arg.starts_with("-g") => {}
            _ => {
                err!("Usage: shutdown [ -y ] [ -g<grace> ] [ -i<initstate> ] [ message ]");
                return Ok(1);
            }
        }
    }
    out!("\nShutdown started.    {}\n", chrono::Utc::now().format("%a %b %e %H:%M:%S UTC %Y"));
    if !sure {
        // Without -y it asks, and stdin has no answer.
        out!("Do you want to continue? (y or n):   False Alarm:  The system will not be brought down.");
        return Ok(1);
    }
    out!("Changing to init state {level} - please wait");
    init(host, config, &level)
}

/// init only signals: the zone goes down after we have returned.
fn init(host: &Host, config: &Config, level: &str) -> Result<i32> {
    match level {
        "0" | "5" => life::begin_shutdown(host, &config.name, Phase::Halting)?,
        "6" => life::begin_shutdown(host, &config.name, Phase::Rebooting)?,
        "s" | "S" | "1" | "2" | "3" => {}
        _ => {
            err!("Usage: init [0123456SsQqabc]");
            return Ok(1);
        }
    }
    Ok(0)
}

/// Runs a line as su does, by a shell whose world is the zone's root.
fn shell(host: &Host, config: &Config, line: Option<&str>) -> Result<i32> {
    let root = host.path(&format!("{}/root", config.zonepath));
    let mut command = Command::new("/bin/sh");
    match line {
        Some(line) => match in_root(&root, line) {
            Ok(line) => command.args(["-c", &line]),
            Err(missing) => {
                err!("sh: {missing}: not found");
                return Ok(1);
            }
        },
        None => &mut command,
    };
    let below = |dir: &str| root.join(dir).display().to_string();
    command
        .current_dir(&root)
        .env_clear()
        .env("PATH", format!("{}:{}:{}:/usr/bin:/bin", below("usr/sbin"), below("usr/bin"), below("bin")))
        .env("HOME", "/root")
        .env("LOGNAME", "root")
        .env("LC_ALL", "C")
        .env("ZONEROOT", &root)
        .env_remove(INNER);
    let status = command.status().context("start /bin/sh")?;
    if status.signal().is_some() {
        // zlogin takes a killed command for a good one.
        return Ok(0);
    }
    let code = status.code().unwrap_or(1);
    // Solaris's shell gives 1 where others give 127 and 126.
    Ok(if matches!(code, 126 | 127) { 1 } else { code })
}

/// The line with its program, where that is an absolute path, as it lies below the zone's root.
fn in_root(root: &Path, line: &str) -> Result<String, String> {
    let Some(program) = line.split_whitespace().next().filter(|word| word.starts_with('/')) else {
        return Ok(line.to_owned());
    };
    let real: PathBuf = root.join(program.trim_start_matches('/'));
    if !real.exists() {
        return Err(program.to_owned());
    }
    let real = real.display().to_string().replace('\'', "'\\''");
    Ok(line.replacen(program, &format!("'{real}'"), 1))
}

fn usage() -> i32 {
    err!("usage: zlogin [ -dnQCES ] [ -e cmdchar ] [-l user] zonename [command [args ...] ]");
    2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absolute_program_is_looked_for_below_the_zones_root() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("opt/it's")).unwrap();
        std::fs::write(root.path().join("opt/it's/x"), "").unwrap();
        assert_eq!(in_root(root.path(), "/bin/no such"), Err("/bin/no".into()));
        assert_eq!(in_root(root.path(), "echo /bin/no"), Ok("echo /bin/no".into()));
        let line = in_root(root.path(), "/opt/it's/x -v").unwrap();
        assert!(line.ends_with("/opt/it'\\''s/x' -v"), "{line}");
    }
}
