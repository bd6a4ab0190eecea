//! `ssh -G`: what the administrator's ssh configuration and our options come to for one host. It only looks.

use super::CmdError;
use super::settings::{self, Settings};
use crate::process::{Argv, Programs};

/// The settings for a peer.
pub fn argv(options: &[String], user: &str, address: &str) -> Argv {
    Argv::new("ssh").arg("-G").args(options.iter().map(String::as_str)).args(["-l", user, "--", address])
}

/// Asks ssh.
///
/// # Errors
/// When there is none, it refuses its configuration, or what it says isn't understood.
pub fn effective(
    programs: &Programs,
    options: &[String],
    user: &str,
    address: &str,
) -> Result<Settings, CmdError> {
    let argv = argv(options, user, address);
    settings::parse(&programs.ok(&argv)?.stdout).map_err(CmdError::unreadable(&argv))
}

/// The name under which ssh looks for a host's key: its alias if it has one, with the port where it is not 22.
pub fn known_as(settings: &Settings) -> String {
    let alias = settings.value("hostkeyalias");
    let name = settings.value("hostname");
    match (alias, settings.value("port")) {
        ("" | "none", "22" | "") => name.to_owned(),
        ("" | "none", port) => format!("[{name}]:{port}"),
        (alias, _) => alias.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ssh_is_asked_with_the_options_that_it_will_be_run_with() {
        let options = ["-o".to_owned(), "IdentityFile=/k".to_owned()];
        assert_eq!(
            argv(&options, "zmigrate-zhost1", "zhost2").to_string(),
            "ssh -G -o IdentityFile=/k -l zmigrate-zhost1 -- zhost2"
        );
    }

    #[test]
    fn a_host_is_known_by_its_alias_or_its_name_with_an_odd_port() {
        for (text, name) in [
            ("hostname zhost2.example.com\nport 22\n", "zhost2.example.com"),
            ("hostname 192.0.2.2\nport 2222\n", "[192.0.2.2]:2222"),
            ("hostname 192.0.2.2\nport 2222\nhostkeyalias zhost2\n", "zhost2"),
            ("hostname 192.0.2.2\nport 22\nhostkeyalias none\n", "192.0.2.2"),
        ] {
            assert_eq!(known_as(&settings::parse(text).unwrap()), name);
        }
    }
}
