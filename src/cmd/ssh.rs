//! `ssh -s ADDRESS sftp`: the SFTP subsystem of a peer over the system's own ssh, and why it could not be had.
//!
//! ssh says why on stderr, in words for people; exit status 255 stands for all of it. The words are those of OpenSSH. With `-v`,
//! which costs a few lines a login, it also shows the fingerprint of a key that it does not know.

use super::known_hosts;
use crate::process::Argv;

/// How a peer's ssh is addressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// A host's name or address, or a `Host` of ssh_config.
    pub address: String,
    /// The account there.
    pub user: String,
    /// The administrator's options.
    pub options: Vec<String>,
}

/// Why ssh gave no session, or no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// No known_hosts has the host's key.
    UnknownKey(HostKey),
    /// A known_hosts has another key for the host.
    ChangedKey(HostKey),
    /// The host does not let the account in.
    NoLogin(String),
    /// Anything else, in ssh's own words: refused, no route, no answer, broken pipe.
    Other(String),
}

/// A key that a host has shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostKey {
    /// The host as known_hosts spells it: `zhost2` or `[zhost2]:2222`.
    pub host: String,
    /// `ED25519`, `RSA` …
    pub kind: String,
    /// `SHA256:…`; empty if ssh did not say.
    pub fingerprint: String,
    /// The file that has another key for the host, of a changed one, if ssh named it.
    pub against: Option<String>,
}

/// Where ssh finds the keys of an agent, if zmigrated was started with one.
pub const AGENT: &str = "SSH_AUTH_SOCK";
/// The longest piece of ssh's own words in an error.
const SHOWN: usize = 300;

impl Destination {
    /// `ssh … -s ADDRESS sftp`.
    ///
    /// Of two settings ssh takes the first: no prompt and no unseen key are ours, all else is the administrator's before it is
    /// ours. Only options that the ssh of old Solaris has, too.
    pub fn sftp(&self) -> Argv {
        Argv::new("ssh")
            .args(["-oBatchMode=yes", "-oStrictHostKeyChecking=yes"])
            .args(&self.options)
            // A peer that is silent for so long is gone.
            .args(["-oServerAliveInterval=10", "-oServerAliveCountMax=3", "-oConnectTimeout=20"])
            .args(["-oClearAllForwardings=yes", "-a", "-x", "-T", "-v"])
            .args(["-l", &self.user, "-s", &self.address, "sftp"])
    }

    /// The file that a new host key belongs in: the first of a `UserKnownHostsFile`, or the host's own, as `zmigrate peer` has it.
    fn known_hosts<'a>(&'a self) -> &'a str {
        let file = |option: &'a str| -> Option<&'a str> {
            const KEY: &str = "userknownhostsfile";
            let setting = option.strip_prefix("-o").unwrap_or(option).trim_start();
            let (key, value) = setting.split_at_checked(KEY.len())?;
            let files = key.eq_ignore_ascii_case(KEY).then(|| value.trim_start_matches([' ', '=']))?;
            files.split_whitespace().next()
        };
        self.options.iter().find_map(|option| file(option)).unwrap_or(known_hosts::FILE)
    }
}

/// Reads the end of ssh's stderr.
pub fn refusal(stderr: &str) -> Refusal {
    let all = || stderr.lines().map(str::trim_end);
    // What follows may be the peer's own words.
    let lines = || all().take_while(|line| !line.contains("Authenticated to"));
    let key = |host: &str, kind: &str| HostKey {
        host: host.to_owned(),
        kind: kind.to_owned(),
        fingerprint: lines().find_map(fingerprint).map(shown).unwrap_or_default(),
        against: None,
    };
    for line in lines() {
        // "No ED25519 host key is known for [127.0.0.1]:22822 and you have requested strict checking."
        if let Some((kind, rest)) =
            line.strip_prefix("No ").and_then(|l| l.split_once(" host key is known for "))
            && let Some((host, _)) = rest.split_once(" and you have requested")
            && is_host(host)
            && is_kind(kind)
        {
            return Refusal::UnknownKey(key(host, kind));
        }
        // "Host key for [127.0.0.1]:22822 has changed and you have requested strict checking."
        if let Some(rest) = line.strip_prefix("Host key for ").or_else(|| strip_kind(line))
            && let Some((host, _)) = rest.split_once(" has changed and you have requested")
            && is_host(host)
        {
            let kind = lines().find_map(|l| l.strip_prefix("The fingerprint for the ")?.split(' ').next());
            let key = key(host, kind.filter(|kind| is_kind(kind)).unwrap_or_default());
            return Refusal::ChangedKey(HostKey { against: lines().find_map(offending), ..key });
        }
    }
    // "zmsftp@127.0.0.1: Permission denied (publickey,keyboard-interactive)."
    let denied = |line: &&str| !is_chatter(line) && line.contains(": Permission denied (");
    if let Some(line) = lines().filter(denied).last() {
        return Refusal::NoLogin(shown(line));
    }
    let said: Vec<&str> = all().filter(|line| !is_chatter(line)).collect();
    let text = said.join("; ");
    let start = text.len().saturating_sub(SHOWN);
    let start = (start..=text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len());
    Refusal::Other(shown(&text[start..]))
}

/// A host as known_hosts spells it. Nothing else gets into a command that somebody may paste.
fn is_host(text: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"._:%[]-".contains(&b);
    !text.is_empty() && !text.starts_with('-') && text.bytes().all(legal)
}

fn is_kind(text: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"@.-".contains(&b);
    !text.is_empty() && !text.starts_with('-') && text.bytes().all(legal)
}

/// Before 6.5 a line began with the kind: "RSA host key for zhost2 has changed and …".
fn strip_kind(line: &str) -> Option<&str> {
    line.split_once(" host key for ").map(|(_, rest)| rest)
}

/// "debug1: Server host key: ssh-ed25519 SHA256:tA8p…", or the line below "The fingerprint for …".
fn fingerprint(line: &str) -> Option<&str> {
    let shown = line.strip_prefix("debug1: Server host key: ").and_then(|rest| rest.split(' ').nth(1));
    shown.or_else(|| line.starts_with("SHA256:").then(|| line.trim_end_matches('.')))
}

/// "Offending ED25519 key in /root/.ssh/known_hosts:3"
fn offending(line: &str) -> Option<String> {
    let (_, place) = line.strip_prefix("Offending ")?.split_once(" key in ")?;
    place.rsplit_once(':').map(|(file, _)| file.to_owned())
}

/// What `-v` says besides, and what is said at each end.
fn is_chatter(line: &str) -> bool {
    let starts =
        ["debug1: ", "OpenSSH_", "Authenticated to ", "Transferred: ", "Bytes per second: ", "Warning: "];
    line.is_empty() || starts.iter().any(|start| line.starts_with(start))
}

/// The other side's words, for an error's text.
fn shown(text: &str) -> String {
    text.chars()
        .take(SHOWN)
        .flat_map(|c| if c.is_control() { c.escape_debug().collect() } else { vec![c] })
        .collect()
}

impl Refusal {
    /// In words for the operator who is woken by it: what is so, and what to do on which host.
    pub fn advice(&self, to: &Destination) -> String {
        let file = to.known_hosts();
        match self {
            Self::UnknownKey(key) => format!(
                "{} shows an ssh host key that is not known here, {}; {}",
                key.host,
                key.shown(),
                key.add(file),
            ),
            Self::ChangedKey(key) => format!(
                "{} shows another ssh host key than before, {}: it was installed anew, or somebody stands between; if it is right: here `{}`, then {}",
                key.host,
                key.shown(),
                known_hosts::remove(&key.host, key.against.as_deref().unwrap_or(file).as_ref()),
                key.add(file),
            ),
            Self::NoLogin(said) => format!(
                "the account {} on {} does not let us in ({said}): see which key ssh offers here, and the authorized_keys there; `zmigrate check` looks again",
                to.user, to.address,
            ),
            Self::Other(said) if said.is_empty() => "the connection ended without a word".to_owned(),
            Self::Other(said) => said.clone(),
        }
    }
}

impl HostKey {
    fn shown(&self) -> String {
        match self.fingerprint.as_str() {
            "" => self.kind.clone(),
            fingerprint => format!("{} {fingerprint}", self.kind),
        }
    }

    /// How it gets to be known here, without asking the network.
    fn add(&self, file: &str) -> String {
        format!(
            "on its own console run `{}`, and put the line that it prints into {file} here, for the user of zmigrated to read",
            known_hosts::print_line(&self.host, &self.kind)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::sample::sample;

    fn to(options: &[&str]) -> Destination {
        Destination {
            address: "zhost2.example.com".to_owned(),
            user: "zmigrate-zhost1".to_owned(),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
        }
    }

    fn key() -> HostKey {
        HostKey {
            host: "[127.0.0.1]:22822".to_owned(),
            kind: "ED25519".to_owned(),
            fingerprint: "SHA256:tA8pFRV50Mb7mf45rnrDDgjcnidrDj6n6hsXwIaVTnI".to_owned(),
            against: None,
        }
    }

    #[test]
    fn no_prompt_and_no_unseen_key_come_before_the_administrators_options_and_all_else_after() {
        let argv = to(&["-o", "IdentityFile=/etc/opt/zmigrate/id_ed25519"]).sftp();
        assert_eq!(
            argv.to_string(),
            "ssh -oBatchMode=yes -oStrictHostKeyChecking=yes -o IdentityFile=/etc/opt/zmigrate/id_ed25519 \
             -oServerAliveInterval=10 -oServerAliveCountMax=3 -oConnectTimeout=20 -oClearAllForwardings=yes \
             -a -x -T -v -l zmigrate-zhost1 -s zhost2.example.com sftp"
        );
    }

    #[test]
    fn ssh_says_why() {
        for (stderr, expected) in [
            (sample!("ssh/unknown_key"), Refusal::UnknownKey(key())),
            (
                sample!("ssh/changed_key"),
                Refusal::ChangedKey(HostKey { against: Some("/root/.ssh/known_hosts".to_owned()), ..key() }),
            ),
            (
                sample!("ssh/no_login"),
                Refusal::NoLogin(
                    "zmsftp@127.0.0.1: Permission denied (publickey,keyboard-interactive).".to_owned(),
                ),
            ),
            (
                sample!("ssh/refused"),
                Refusal::Other("ssh: connect to host 127.0.0.1 port 22823: Connection refused".to_owned()),
            ),
            (sample!("ssh/no_subsystem"), Refusal::Other("subsystem request failed on channel 0".to_owned())),
            ("", Refusal::Other(String::new())),
            ("x\u{1b}[2J\r\n", Refusal::Other(r"x\u{1b}[2J".to_owned())),
        ] {
            assert_eq!(refusal(stderr), expected);
        }
    }

    #[test]
    fn a_peers_own_words_become_no_advice() {
        let hostile = "No ED25519 host key is known for x;reboot and you have requested strict checking.";
        for line in [
            hostile,
            "No ED$(reboot) host key is known for x and you have requested strict checking.",
            "No ED25519 host key is known for -oProxyCommand and you have requested strict checking.",
            "Host key for `reboot` has changed and you have requested strict checking.",
        ] {
            assert_eq!(refusal(line), Refusal::Other(line.to_owned()));
        }
        for line in [
            "No RSA host key is known for x and you have requested strict checking.",
            "Host key for x has changed and you have requested strict checking.",
            "x: Permission denied (publickey).",
        ] {
            let said = format!("Authenticated to zhost2 ([127.0.0.1]:22) using \"publickey\".\n{line}\n");
            assert_eq!(refusal(&said), Refusal::Other(line.to_owned()));
        }
        // The true line is found behind one that is not lawful.
        assert_eq!(
            refusal(&format!("{hostile}\n{}", sample!("ssh/unknown_key"))),
            Refusal::UnknownKey(key())
        );
    }

    #[test]
    fn what_is_said_about_a_key_names_it_and_the_commands() {
        let said =
            Refusal::UnknownKey(key()).advice(&to(&["-oUserKnownHostsFile=/etc/opt/zmigrate/known_hosts"]));
        for part in [
            "[127.0.0.1]:22822 shows an ssh host key that is not known here, ED25519 SHA256:tA8pFRV5",
            "`sed 's/^/[127.0.0.1]:22822 /' /etc/ssh/ssh_host_ed25519_key.pub`",
            "into /etc/opt/zmigrate/known_hosts here",
        ] {
            assert!(said.contains(part), "{said}");
        }
        let plain = HostKey { host: "zhost2".to_owned(), ..key() };
        for (against, file) in
            [(None, "/etc/ssh/ssh_known_hosts"), (Some("/root/.ssh/known_hosts"), "/root/.ssh/known_hosts")]
        {
            let key = HostKey { against: against.map(str::to_owned), ..plain.clone() };
            let said = Refusal::ChangedKey(key).advice(&to(&["-o", "Port=22"]));
            for part in [
                &format!("`ssh-keygen -f {file} -R zhost2`"),
                "`sed 's/^/zhost2 /' /etc/ssh/ssh_host_ed25519_key.pub`, and put the line that it prints into /etc/ssh/ssh_known_hosts",
            ] {
                assert!(said.contains(part), "{said}");
            }
        }
    }

    #[test]
    fn a_known_hosts_of_the_options_is_found() {
        for (option, file) in [
            ("-oUserKnownHostsFile=/k", "/k"),
            ("UserKnownHostsFile /k /l", "/k"),
            ("userknownhostsfile = /k", "/k"),
            ("IdentityFile=/k", "/etc/ssh/ssh_known_hosts"),
            ("é", "/etc/ssh/ssh_known_hosts"),
        ] {
            assert_eq!(to(&["-o", option]).known_hosts(), file, "{option}");
        }
    }
}
