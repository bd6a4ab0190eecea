//! `sshd -T`: what the configuration of this host's sshd comes to for one account.

use std::path::{Path, PathBuf};

use super::CmdError;
use super::settings::{self, Settings};
use crate::process::{Argv, Programs};

/// Where sshd is besides the usual path: Solaris 11.4 and OpenIndiana have it here, OmniOS in /usr/sbin.
pub const DIRECTORY: &str = "/usr/lib/ssh";

/// sshd's configuration.
pub const FILE: &str = "/etc/ssh/sshd_config";

/// What this configuration comes to for this account, from whatever address. It only looks; root alone may.
pub fn argv(file: &Path, account: &str, host: &str) -> Argv {
    // All three must be given, or sshd refuses (sshd(8), -C). An address of RFC 5737, since no real one is meant.
    let connection = format!("user={account},host={host},addr=192.0.2.1");
    Argv::new("sshd").args(["-T", "-f", &file.display().to_string(), "-C", &connection])
}

/// Asks this host's sshd, with its own configuration or one that it might get.
///
/// # Errors
/// When there is none, it refuses the configuration, or what it says isn't understood.
pub fn effective(programs: &Programs, file: &Path, account: &str, host: &str) -> Result<Settings, CmdError> {
    let argv = argv(file, account, host);
    settings::parse(&programs.ok(&argv)?.stdout).map_err(CmdError::unreadable(&argv))
}

/// The programs with sshd's own directory behind theirs.
pub fn programs(path: &[PathBuf], timeout: std::time::Duration) -> Programs {
    let mut path = path.to_vec();
    path.push(DIRECTORY.into());
    Programs::new(path, timeout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sshd_is_asked_for_one_account() {
        assert_eq!(
            argv(FILE.as_ref(), "zmigrate-zhost1", "zhost1").to_string(),
            "sshd -T -f /etc/ssh/sshd_config -C user=zmigrate-zhost1,host=zhost1,addr=192.0.2.1"
        );
    }
}
