//! What a login at a peer needs on this side: ssh, a key, the peer's host key.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::User;

use super::finding::{Finding, Level};
use crate::cmd::settings::Settings;
use crate::cmd::{known_hosts, ssh_config};
use crate::config::Sftp;
use crate::job::name::HostName;
use crate::process::Programs;

/// Looks at everything that a login needs here; says whether it may be tried.
pub fn look(programs: &Programs, peer: &HostName, sftp: &Sftp, findings: &mut Vec<Finding>) -> bool {
    let what = format!("peer {peer}");
    if !programs.has("ssh") {
        let remedy = "add its directory to [commands] path, or install OpenSSH's client";
        findings.push(Finding::fault(what, "no ssh found", remedy));
        return false;
    }
    let settings = match ssh_config::effective(programs, &sftp.ssh_options, &sftp.user, &sftp.address) {
        Ok(settings) => settings,
        Err(error) => {
            let remedy = format!("see ssh_options in [peer.{peer}], and ssh's own configuration");
            findings.push(Finding::fault(what, error.to_string(), remedy));
            return false;
        }
    };
    let before = [key(&what, peer, &settings), host_key(programs, &what, peer, &settings)];
    let ready = before.iter().all(|finding| finding.level != Level::Fault);
    findings.extend(before);
    ready
}

/// One of the keys that ssh would offer must be there, and nobody else's to read.
fn key(what: &str, peer: &HostName, settings: &Settings) -> Finding {
    let files: Vec<_> = settings.values("identityfile").iter().map(|file| at_home(file)).collect();
    let there: Vec<_> = files.iter().filter_map(|file| Some((file, fs::metadata(file).ok()?))).collect();
    for (file, meta) in &there {
        let (name, mode) = (file.display(), meta.mode() & 0o7777);
        if mode & 0o077 != 0 {
            let says = format!("key {name} can be read by others (mode {mode:04o}): ssh refuses it");
            return Finding::fault(what, says, format!("chmod 600 {name}"));
        }
        if let Err(error) = fs::File::open(file) {
            return Finding::fault(what, format!("key {name} can't be read: {error}"), "try it as root");
        }
    }
    match there.first() {
        Some((file, _)) => Finding::ok(what, format!("key {}", file.display())),
        None if !settings.value("identityagent").is_empty() => {
            Finding::warn(what, "no key in a file: it is an agent's", "see that zmigrated reaches the agent")
        }
        None => {
            let all: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
            let remedy = format!("zmigrate peer {peer} --role send --write");
            Finding::fault(what, format!("no key: none of {} is there", all.join(", ")), remedy)
        }
    }
}

/// A key that nobody has looked at is no key: it must be known before the first login.
fn host_key(programs: &Programs, what: &str, peer: &HostName, settings: &Settings) -> Finding {
    let name = ssh_config::known_as(settings);
    let files = ["userknownhostsfile", "globalknownhostsfile"].map(|keyword| settings.value(keyword));
    let files: Vec<_> = files
        .iter()
        .flat_map(|files| files.split(' '))
        .filter(|file| !file.is_empty())
        .map(at_home)
        .collect();
    let known = files
        .iter()
        .filter(|file| file.is_file())
        .find(|file| programs.run(&known_hosts::find(&name, file)).is_ok_and(|output| output.status.is_ok()));
    match known {
        Some(file) => Finding::ok(what, format!("host key of {name} is known in {}", file.display())),
        None => Finding::fault(
            what,
            format!("host key of {name} is not known"),
            format!(
                "on {peer} itself: {}; put the line that it prints into {} here",
                known_hosts::print_line(&name, ""),
                known_hosts::FILE
            ),
        ),
    }
}

/// `~/` as ssh reads it: the user's own directory, not the environment's.
fn at_home(file: &str) -> PathBuf {
    let home = || User::from_uid(nix::unistd::geteuid()).ok().flatten().map(|user| user.dir);
    match file.strip_prefix("~/").map(|rest| (home(), rest)) {
        Some((Some(home), rest)) => home.join(rest),
        _ => Path::new(file).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::settings::parse;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    fn peer() -> HostName {
        "zhost2".parse().unwrap()
    }

    #[test]
    fn a_key_must_be_there_and_nobody_elses_to_read() {
        let tmp = tempfile::tempdir().unwrap();
        let file = tmp.path().join("id");
        let settings =
            parse(&format!("identityfile ~/.ssh/no_such_key\nidentityfile {}\n", file.display())).unwrap();
        let found = key("x", &peer(), &settings);
        assert_eq!(found.level, Level::Fault);
        assert_eq!(found.remedy.as_deref(), Some("zmigrate peer zhost2 --role send --write"));
        fs::write(&file, "key").unwrap();
        for (mode, level) in
            [(0o600, Level::Ok), (0o400, Level::Ok), (0o640, Level::Fault), (0o644, Level::Fault)]
        {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(key("x", &peer(), &settings).level, level, "{mode:o}");
        }
    }

    #[test]
    fn a_host_key_must_be_known_before_the_first_login() {
        let programs = Programs::new(vec!["/usr/bin".into(), "/bin".into()], Duration::from_secs(60));
        let tmp = tempfile::tempdir().unwrap();
        let file = tmp.path().join("known");
        let settings =
            format!("hostname zhost2\nport 22\nuserknownhostsfile {} /nonexistent\n", file.display());
        let settings = parse(&settings).unwrap();
        let found = host_key(&programs, "x", &peer(), &settings);
        assert_eq!(found.level, Level::Fault);
        assert!(found.remedy.unwrap().contains("/etc/ssh/ssh_known_hosts here"));
        if !programs.has("ssh-keygen") {
            eprintln!("skipped: no ssh-keygen");
            return;
        }
        fs::write(
            &file,
            "zhost2 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJvfWp0Cq3R2aoqD1mVQeA1XYQ2dT0pPq7h9sJ6hZ0aB\n",
        )
        .unwrap();
        assert_eq!(host_key(&programs, "x", &peer(), &settings).level, Level::Ok);
    }
}
