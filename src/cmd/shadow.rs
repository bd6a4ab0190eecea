//! `/etc/shadow`, as shadow(5) has it: whether an account is locked.

/// Where it is.
pub const FILE: &str = "/etc/shadow";

/// Whether the account is locked, so that sshd refuses it whatever its key: `*LK*` before its password (illumos
/// passwdutil, `LOCKSTRING`). `None` when it has no line here.
pub fn is_locked(text: &str, account: &str) -> Option<bool> {
    let line = text.lines().find_map(|line| line.strip_prefix(account)?.strip_prefix(':'))?;
    Some(line.starts_with("*LK*"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locked_account_is_told_from_one_without_a_password() {
        let text = "root:$5$x$y:19000::::::\nzmigrate-a:*LK*:::::::\nzmigrate-b:*LK*NP:19000::::::\n\
                    zmigrate-c:NP:19000::::::\nzmigrate-cc:*LK*:::::::\n";
        for (account, locked) in [
            ("zmigrate-a", Some(true)),
            ("zmigrate-b", Some(true)),
            ("zmigrate-c", Some(false)),
            ("zmigrate", None),
        ] {
            assert_eq!(is_locked(text, account), locked, "{account}");
        }
    }
}
