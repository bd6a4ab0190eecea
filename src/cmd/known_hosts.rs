//! The host keys that ssh knows, and how one gets there that nobody on the way has exchanged.

use std::path::Path;

use crate::process::Argv;

/// Where ssh looks for the host keys of all users, root's daemon among them.
pub const FILE: &str = "/etc/ssh/ssh_known_hosts";

/// This host's own key, for others to know it by.
pub const OWN_KEY: &str = "/etc/ssh/ssh_host_ed25519_key.pub";

/// The command that prints a host's line for a file of known hosts. It is for that host itself: over the network, by
/// `ssh-keyscan`, whoever stands between would answer, and behind a jump host nobody. `name` is the host as ssh looks for
/// it, `kind` its key's, such as `ED25519`. Without a quotation mark, which a line of syslog would show escaped.
pub fn print_line(name: &str, kind: &str) -> String {
    let kind = if kind.is_empty() { "ed25519".to_owned() } else { kind.to_ascii_lowercase() };
    format!("sed 's/^/{name} /' /etc/ssh/ssh_host_{kind}_key.pub")
}

/// Whether `host` is in a file of known hosts, hashed names included: exit status 0, 1 without it.
pub fn find(host: &str, file: &Path) -> Argv {
    Argv::new("ssh-keygen").args(["-F", host, "-f", &file.display().to_string()])
}

/// Takes the keys of `host` out of a file of known hosts.
pub fn remove(host: &str, file: &Path) -> Argv {
    Argv::new("ssh-keygen").args(["-f", &file.display().to_string(), "-R", host])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_name_that_ssh_looks_for() {
        assert_eq!(print_line("[h]:2", "RSA"), "sed 's/^/[h]:2 /' /etc/ssh/ssh_host_rsa_key.pub");
        assert_eq!(print_line("h", ""), "sed 's/^/h /' /etc/ssh/ssh_host_ed25519_key.pub");
        assert_eq!(find("[h]:2", Path::new("/etc/k")).to_string(), "ssh-keygen -F '[h]:2' -f /etc/k");
    }
}
