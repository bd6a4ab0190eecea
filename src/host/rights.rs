//! Who may submit: a user whom auths(1) says to hold [`SUBMIT`]. Root may, and whoever the daemon runs as; about them nobody is
//! asked.
//!
//! Asked anew for each request, by processes with a short deadline, because whatever name service is behind them may not
//! answer. What can't be found out is an error and no refusal: the caller asks again.

use std::time::Duration;

use super::os;
use crate::cmd::{CmdError, auths, getent, uname};
use crate::process::{Argv, Programs};

/// The authorization that a request's owner must hold.
pub const SUBMIT: &str = "solaris.zmigrate.submit";

/// The deadline of each of at most three commands; a daemon that stops waits for them.
const WITHIN: Duration = Duration::from_secs(3);

/// Whether a user may submit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Right {
    /// He holds the authorization.
    Held,
    /// He does not, and what would help: a fragment that goes behind whatever belongs to him.
    Missing(String),
}

/// Asks this host about a user who is neither root nor the daemon's.
///
/// # Errors
/// When it can't be said: a command failed, did not end in time, or is not understood.
pub fn may_submit(programs: &Programs, uid: u32) -> Result<Right, CmdError> {
    if !programs.has("auths") {
        return Ok(Right::Missing(format!(
            "belongs to user {uid}, and on a host without the program `auths` only root may submit"
        )));
    }
    let nobody = format!(
        "belongs to user {uid}, who is not known on this host: only a user who holds {SUBMIT} may submit"
    );
    let passwd = getent::passwd(uid).within(WITHIN);
    let Some(user) = getent::user_name(programs, &passwd, uid)? else { return Ok(Right::Missing(nobody)) };
    let Some(argv) = auths::of(&user) else {
        return Ok(Right::Missing(format!(
            "belongs to user {}, and auths(1) may take that name for an option or a word of its own: submit as somebody else",
            shown(&user)
        )));
    };
    match auths::held(programs, &argv.within(WITHIN), &user)? {
        Some(held) if held.covers(SUBMIT) => Ok(Right::Held),
        Some(_) => Ok(Right::Missing(format!(
            "belongs to user {}, who does not hold {SUBMIT}; {}",
            shown(&user),
            granted_by(programs, &user)
        ))),
        None => Ok(Right::Missing(nobody)),
    }
}

/// The command that would grant it here.
fn granted_by(programs: &Programs, user: &str) -> String {
    let version = programs.ok(&uname::argv("-v").within(WITHIN)).map(|output| output.stdout);
    let usermod = |list: &str| Argv::new("usermod").args(["-A", list, user]);
    if version.is_ok_and(|version| os::is_solaris11(version.trim())) {
        return format!("to grant it: {}", usermod(&format!("+{SUBMIT}")));
    }
    // usermod(8) of illumos knows no `+`: "This replaces any existing authorization setting".
    format!(
        "to grant it: {} (this replaces his authorizations: name those that he has in /etc/user_attr, too)",
        usermod(SUBMIT)
    )
}

fn shown(user: &str) -> String {
    user.escape_debug().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_auths_nobody_else_may_and_nothing_is_run() {
        let programs = Programs::new(vec!["/nonexistent".into()], WITHIN);
        let Right::Missing(why) = may_submit(&programs, 1001).unwrap() else { panic!() };
        assert_eq!(
            why,
            "belongs to user 1001, and on a host without the program `auths` only root may submit"
        );
    }
}
