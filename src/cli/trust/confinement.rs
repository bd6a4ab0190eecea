//! The rules by which sshd confines a peer's account to SFTP in its dropbox: the block for sshd_config, and what
//! `sshd -T` must print afterwards. Pure.

use crate::cmd::settings::Settings;

use super::side::Side;

/// Requests that the SFTP server refuses: links that lead elsewhere, and other modes or owners for the peer's own files.
/// A version that does not know one of these names ignores it (sftp-server(8), -P).
const DENIED: &str = "symlink,hardlink,setstat,fsetstat,lsetstat";

/// What the account may not do. OpenSSH 7.4 knows all these keywords (`DisableForwarding` is the newest), so Solaris 11.4
/// and illumos do too. All are allowed in a `Match` block (sshd_config(5)).
const CLOSED: [(&str, &str); 11] = [
    ("AuthenticationMethods", "publickey"),
    ("PasswordAuthentication", "no"),
    ("KbdInteractiveAuthentication", "no"),
    ("DisableForwarding", "yes"),
    ("AllowTcpForwarding", "no"),
    ("AllowStreamLocalForwarding", "no"),
    ("AllowAgentForwarding", "no"),
    ("X11Forwarding", "no"),
    ("PermitTunnel", "no"),
    ("PermitTTY", "no"),
    ("PermitUserRC", "no"),
];

/// The block for sshd_config.
pub fn block(side: &Side) -> String {
    let mut text = format!("Match User {}\n", side.account());
    let mut line = |keyword: &str, value: &str| text.push_str(&format!("    {keyword} {value}\n"));
    line("ChrootDirectory", &side.dropbox().display().to_string());
    line("ForceCommand", &format!("internal-sftp -u 0077 -P {DENIED}"));
    line("AuthorizedKeysFile", &side.keys_dir().join("%u").display().to_string());
    for (keyword, value) in CLOSED {
        line(keyword, value);
    }
    text
}

/// Whether a configuration already has a block for the account, in any spelling that sshd_config(5) allows.
pub fn has_block(configuration: &str, account: &str) -> bool {
    configuration.lines().any(|line| {
        let mut words = line.split_ascii_whitespace();
        let is =
            |word: Option<&str>, keyword: &str| word.is_some_and(|word| word.eq_ignore_ascii_case(keyword));
        is(words.next(), "match") && is(words.next(), "user") && words.next() == Some(account)
    })
}

/// Where sshd's settings for the account differ from the block: fragments that name the keyword.
pub fn faults(sshd: &Settings, side: &Side) -> Vec<String> {
    let account = side.account();
    let expand = |value: &str| value.replace("%u", &account).replace("%%", "%");
    let mut faults = Vec::new();
    let mut want = |right: bool, keyword: &str, wanted: &str| {
        if !right {
            let is = sshd.value(&keyword.to_ascii_lowercase());
            let is = if is.is_empty() { "unknown to this sshd" } else { is };
            faults.push(format!("{keyword} is {is}, not {wanted}"));
        }
    };
    let dropbox = side.dropbox().display().to_string();
    let chroot = expand(sshd.value("chrootdirectory"));
    want(chroot.trim_end_matches('/') == dropbox, "ChrootDirectory", &dropbox);
    let command = sshd.value("forcecommand").split(' ').next();
    want(command == Some("internal-sftp"), "ForceCommand", "internal-sftp");
    let keys = side.authorized_keys().display().to_string();
    let files = expand(sshd.value("authorizedkeysfile"));
    want(files.split(' ').all(|file| file == keys), "AuthorizedKeysFile", &keys);
    let disabled = sshd.value("disableforwarding") == "yes";
    for (keyword, value) in CLOSED {
        let is = sshd.value(&keyword.to_ascii_lowercase());
        let right = match keyword {
            // DisableForwarding covers all of these.
            "AllowTcpForwarding"
            | "AllowStreamLocalForwarding"
            | "AllowAgentForwarding"
            | "X11Forwarding" => disabled || is == value,
            "DisableForwarding" => true,
            // Where only keys are accepted, sshd never asks for a password.
            "PasswordAuthentication" | "KbdInteractiveAuthentication" => {
                sshd.value("authenticationmethods") == "publickey" || is == value
            }
            "AuthenticationMethods" => ["publickey", "any", ""].contains(&is),
            _ => is == value,
        };
        want(right, keyword, value);
    }
    want(sshd.value("pubkeyauthentication") == "yes", "PubkeyAuthentication", "yes");
    // Without a subsystem sshd refuses the request before it reads ForceCommand (seen with OpenSSH 9.2). The program
    // does not matter. The keyword is not allowed in a Match block.
    if !sshd.values("subsystem").iter().any(|subsystem| subsystem.starts_with("sftp ")) {
        faults.push("there is no `Subsystem sftp internal-sftp`".to_owned());
    }
    faults
}

/// Whether sshd refuses the account by name. Patterns in `AllowUsers` are assumed to match.
pub fn is_kept_out(sshd: &Settings, account: &str) -> bool {
    let plain = |user: &String| !user.contains(['*', '?', '@', '!']);
    let allowed = sshd.values("allowusers");
    let kept_out =
        !allowed.is_empty() && allowed.iter().all(plain) && !allowed.iter().any(|user| user == account);
    kept_out || sshd.values("denyusers").iter().any(|user| user == account)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::settings::parse;

    const SAMPLE: &str =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/samples/sshd/T-account.txt"));

    fn side() -> Side {
        Side {
            host: "zhost2".parse().unwrap(),
            peer: "zhost1".parse().unwrap(),
            config: "/etc/opt/zmigrate/zmigrate.toml".into(),
            scratch: "/export/scratch/zmigrate".into(),
        }
    }

    /// What sshd said, with some lines changed.
    fn said(changes: &[(&str, &str)]) -> Settings {
        let mut text: String = SAMPLE.lines().skip(1).map(|line| format!("{line}\n")).collect();
        for (from, to) in changes {
            assert!(text.contains(from), "{from}");
            text = text.replace(from, to);
        }
        parse(&text).unwrap()
    }

    #[test]
    fn the_block_allows_only_sftp_in_the_dropbox() {
        assert_eq!(
            block(&side()),
            "Match User zmigrate-zhost1\n    \
             ChrootDirectory /export/scratch/zmigrate/dropbox/zhost1\n    \
             ForceCommand internal-sftp -u 0077 -P symlink,hardlink,setstat,fsetstat,lsetstat\n    \
             AuthorizedKeysFile /etc/opt/zmigrate/keys/%u\n    \
             AuthenticationMethods publickey\n    \
             PasswordAuthentication no\n    \
             KbdInteractiveAuthentication no\n    \
             DisableForwarding yes\n    \
             AllowTcpForwarding no\n    \
             AllowStreamLocalForwarding no\n    \
             AllowAgentForwarding no\n    \
             X11Forwarding no\n    \
             PermitTunnel no\n    \
             PermitTTY no\n    \
             PermitUserRC no\n"
        );
    }

    #[test]
    fn every_difference_from_the_block_is_named() {
        assert_eq!(faults(&said(&[]), &side()), [""; 0]);
        // What an sshd of 7.3 would print.
        assert_eq!(faults(&said(&[("disableforwarding yes\n", "")]), &side()), [""; 0]);
        let tcp = "allowtcpforwarding no\n";
        for (changes, fault) in [
            (
                &[("chrootdirectory /export/scratch/zmigrate/dropbox/zhost1", "chrootdirectory none")][..],
                "ChrootDirectory is none, not /export/scratch/zmigrate/dropbox/zhost1",
            ),
            (
                &[("dropbox/zhost1", "dropbox/zhost9")],
                "ChrootDirectory is /export/scratch/zmigrate/dropbox/zhost9, not",
            ),
            (
                &[("forcecommand internal-sftp", "forcecommand /usr/bin/internal-sftp")],
                "ForceCommand is /usr/bin/",
            ),
            (
                &[("keys/%u", "keys/%u .ssh/authorized_keys")],
                "AuthorizedKeysFile is /etc/opt/zmigrate/keys/%u .ssh",
            ),
            (
                &[("disableforwarding yes", "disableforwarding no"), (tcp, "allowtcpforwarding yes\n")],
                "AllowTcpForwarding is yes, not no",
            ),
            (&[("permittty no", "permittty yes")], "PermitTTY is yes, not no"),
            (&[("permittunnel no", "permittunnel yes")], "PermitTunnel is yes, not no"),
            (
                &[
                    ("authenticationmethods publickey", "authenticationmethods any"),
                    ("passwordauthentication no", "passwordauthentication yes"),
                ],
                "PasswordAuthentication is yes, not no",
            ),
            (
                &[("authenticationmethods publickey", "authenticationmethods password")],
                "AuthenticationMethods is password",
            ),
            (
                &[("pubkeyauthentication yes", "pubkeyauthentication no")],
                "PubkeyAuthentication is no, not yes",
            ),
            (&[("subsystem sftp internal-sftp\n", "")], "there is no `Subsystem sftp internal-sftp`"),
        ] {
            let found = faults(&said(changes), &side());
            assert_eq!(found.len(), 1, "{changes:?}: {found:?}");
            assert!(found[0].starts_with(fault), "{found:?}");
        }
    }

    #[test]
    fn a_block_is_found_in_any_spelling() {
        assert!(has_block(&block(&side()), "zmigrate-zhost1"));
        assert!(has_block("# x\nmatch  user\tzmigrate-zhost1\n", "zmigrate-zhost1"));
        for other in
            ["Match User zmigrate-zhost10", "# Match User zmigrate-zhost1", "User zmigrate-zhost1", ""]
        {
            assert!(!has_block(other, "zmigrate-zhost1"), "{other}");
        }
    }

    #[test]
    fn the_block_may_use_the_accounts_name_in_its_paths() {
        let changes = [("keys/%u", "keys/zmigrate-zhost1")];
        assert_eq!(faults(&said(&changes), &side()), [""; 0]);
    }

    #[test]
    fn an_account_missing_from_allowusers_is_refused() {
        assert!(!is_kept_out(&said(&[]), "zmigrate-zhost1"));
        assert!(is_kept_out(&said(&[]), "zmigrate-zhost7"));
        assert!(!is_kept_out(&said(&[("allowusers root", "allowusers zmigrate-*")]), "zmigrate-zhost7"));
        assert!(is_kept_out(&said(&[("allowusers root", "denyusers zmigrate-zhost1")]), "zmigrate-zhost1"));
    }
}
