//! `sshd -T`: what the configuration of this host's sshd comes to for one account.

use std::path::PathBuf;

use super::settings::{self, Settings};
use super::{Argv, CmdError, Programs};

/// Where sshd is besides the usual path: Solaris 11.4 and OpenIndiana have it here, OmniOS in /usr/sbin.
pub const DIRECTORY: &str = "/usr/lib/ssh";

/// The configuration as it is for this account, from whatever address. It only looks; root alone may.
pub fn argv(account: &str, host: &str) -> Argv {
    // All three must be given, or sshd refuses (sshd(8), -C). An address of RFC 5737, since no real one is meant.
    Argv::new("sshd").args(["-T", "-C", &format!("user={account},host={host},addr=192.0.2.1")])
}

/// Asks this host's sshd.
///
/// # Errors
/// When there is none, it refuses its configuration, or what it says isn't understood.
pub fn effective(programs: &Programs, account: &str, host: &str) -> Result<Settings, CmdError> {
    let argv = argv(account, host);
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
            argv("zmigrate-zhost1", "zhost1").to_string(),
            "sshd -T -C user=zmigrate-zhost1,host=zhost1,addr=192.0.2.1"
        );
    }
}
