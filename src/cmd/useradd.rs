//! `useradd` and `passwd`: an account that can log in by a key and by nothing else.

use crate::process::Argv;

/// Makes the account: no home of its own (in its chroot it is `/`), and a shell that ends at once.
pub fn account(name: &str, comment: &str) -> Argv {
    // illumos useradd makes no home without -m, and a shadow entry with `*LK*` (passmgmt.c: lkstring).
    Argv::new("useradd").args(["-c", comment, "-d", "/", "-s", "/usr/bin/false", name])
}

/// Gives it a password that is none, `NP`: no password fits, and yet the account is not locked, as `*LK*` is, which
/// sshd and pam_unix_account(7) refuse to a key as well (illumos passwdutil, `ATTR_NOLOGIN_ACCOUNT`).
pub fn no_password(name: &str) -> Argv {
    Argv::new("passwd").args(["-N", name])
}

/// Unlocks it. On Solaris 11.4 `passwd -N` leaves a locked account locked (Oracle, "Securing Users and Processes in
/// Oracle Solaris 11.4", Troubleshooting Passwords).
pub fn unlock(name: &str) -> Argv {
    Argv::new("passwd").args(["-u", name])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines() {
        assert_eq!(
            account("zmigrate-zhost1", "zmigrate for zhost1").to_string(),
            "useradd -c 'zmigrate for zhost1' -d / -s /usr/bin/false zmigrate-zhost1"
        );
        assert_eq!(no_password("zmigrate-zhost1").to_string(), "passwd -N zmigrate-zhost1");
        assert_eq!(unlock("zmigrate-zhost1").to_string(), "passwd -u zmigrate-zhost1");
    }
}
