//! `svcs`: the states of SMF services, asked inside a zone by way of zlogin.
//!
//! `svcs -x` is not used: it exits with 0 whatever it finds. Early in a boot `svcs` itself fails, because its
//! repository is not there yet.

use std::collections::BTreeMap;
use std::fmt;

use super::{CmdError, ParseError, parse, zlogin};
use crate::job::name::ZoneName;
use crate::process::{Argv, Programs};

/// What says that a zone is up.
pub const MULTI_USER_SERVER: &str = "svc:/milestone/multi-user-server:default";

/// A service's state (smf(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SvcState {
    /// Not yet looked at by its restarter.
    Uninitialized,
    /// Enabled, not yet running.
    Offline,
    /// Running.
    Online,
    /// Running with less than all of it.
    Degraded,
    /// Given up; a person must act.
    Maintenance,
    /// Not to be run.
    Disabled,
    /// An old rc script that was run.
    LegacyRun,
}

impl SvcState {
    const ALL: [(&'static str, SvcState); 7] = [
        ("uninitialized", Self::Uninitialized),
        ("offline", Self::Offline),
        ("online", Self::Online),
        ("degraded", Self::Degraded),
        ("maintenance", Self::Maintenance),
        ("disabled", Self::Disabled),
        ("legacy_run", Self::LegacyRun),
    ];
}

impl fmt::Display for SvcState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::ALL.iter().find(|(_, state)| state == self).map_or("", |&(word, _)| word))
    }
}

/// A state, and whether it is just about to change (svcs marks it with a `*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The state.
    pub state: SvcState,
    /// Whether a method is running that will change it.
    pub moving: bool,
}

impl Standing {
    /// Online and to stay so.
    pub fn is_online(self) -> bool {
        self.state == SvcState::Online && !self.moving
    }

    fn read(word: &str) -> Option<Self> {
        let (word, moving) = word.strip_suffix('*').map_or((word, false), |word| (word, true));
        let state = SvcState::ALL.iter().find(|(text, _)| *text == word)?.1;
        Some(Self { state, moving })
    }
}

/// Asks in a zone for one service's state.
pub fn state_argv(zone: &ZoneName, fmri: &str) -> Argv {
    zlogin::command(zone, &["svcs", "-H", "-o", "state", fmri])
}

/// Asks in a zone for every service's state, disabled ones included.
pub fn all_argv(zone: &ZoneName) -> Argv {
    zlogin::command(zone, &["svcs", "-a", "-H", "-o", "state,fmri"])
}

/// The state of one service in a running zone.
///
/// # Errors
/// When zlogin or svcs fails, as they do early in a boot, or the answer isn't understood.
pub fn state(programs: &Programs, zone: &ZoneName, fmri: &str) -> Result<Standing, CmdError> {
    let argv = state_argv(zone, fmri);
    parse_state(&programs.ok(&argv)?.stdout).map_err(CmdError::unreadable(&argv))
}

/// The states of all services in a running zone, by FMRI.
///
/// # Errors
/// As [`state`].
pub fn all(programs: &Programs, zone: &ZoneName) -> Result<BTreeMap<String, Standing>, CmdError> {
    let argv = all_argv(zone);
    parse_all(&programs.ok(&argv)?.stdout).map_err(CmdError::unreadable(&argv))
}

/// Reads `svcs -H -o state FMRI`: one word, perhaps padded with blanks.
///
/// # Errors
/// On anything but one known state.
pub fn parse_state(text: &str) -> Result<Standing, ParseError> {
    let word = parse::one_line(text)?;
    Standing::read(word).ok_or_else(|| ParseError::at(0, word, "is not a service's state"))
}

/// Reads `svcs -a -H -o state,fmri`.
///
/// # Errors
/// On a line that isn't a known state and an FMRI.
pub fn parse_all(text: &str) -> Result<BTreeMap<String, Standing>, ParseError> {
    let read = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(|(index, line)| {
        let fault = |why: &str| ParseError::at(index, line, why);
        let (word, fmri) = line.trim().split_once(char::is_whitespace).ok_or_else(|| fault("has no FMRI"))?;
        let standing = Standing::read(word).ok_or_else(|| fault("is not a service's state"))?;
        let fmri = fmri.trim_start();
        if !fmri.starts_with("svc:/") && !fmri.starts_with("lrc:/") {
            return Err(fault("has no FMRI"));
        }
        Ok((fmri.to_owned(), standing))
    });
    read.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::sample::sample;

    #[test]
    fn states_are_trimmed_and_a_star_means_moving() {
        let standing = |state, moving| Ok(Standing { state, moving });
        assert_eq!(parse_state("online         \n"), standing(SvcState::Online, false));
        assert_eq!(parse_state("offline*\n"), standing(SvcState::Offline, true));
        for bad in ["", "on\n", "online\nonline\n", "svcs: Could not bind\n"] {
            assert!(parse_state(bad).is_err(), "{bad:?}");
        }
        assert!(
            parse_state("online\n").unwrap().is_online() && !parse_state("online*\n").unwrap().is_online()
        );
    }

    #[test]
    fn all_services_are_read() {
        let all = parse_all(sample!("svcs/a-H-state-fmri.txt")).unwrap();
        assert_eq!(all.len(), 5);
        assert!(all[MULTI_USER_SERVER].is_online());
        assert_eq!(all["svc:/application/database/mysql:version_50"].state, SvcState::Maintenance);
        assert!(all["svc:/network/smtp:sendmail"].moving);
        assert!(parse_all("online\n").is_err());
    }

    #[test]
    fn the_question_is_asked_through_zlogin() {
        let argv = state_argv(&ZoneName::new("web").unwrap(), MULTI_USER_SERVER);
        assert_eq!(argv.to_string(), format!("zlogin web 'svcs -H -o state {MULTI_USER_SERVER}'"));
    }
}
