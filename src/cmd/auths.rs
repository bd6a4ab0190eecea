//! `auths`: the authorizations that a user holds, by user_attr(5), his rights profiles and the defaults of
//! policy.conf(5).
//!
//! Solaris 10, illumos and Solaris 11 print one list for `auths USER`, without blanks between (illumos
//! cmd/auths/auths.c):
//!
//! ```text
//! solaris.mail.mailq,solaris.zmigrate.submit
//! ```

use super::{CmdError, ParseError};
use crate::process::{Argv, Output, Programs, Status};

/// Words that `auths` of Solaris 11 takes for itself (its auths(1)): `auths info` prints all that there are, and `auths list`
/// those of the caller, which is root.
const WORDS: [&str; 6] = ["add", "check", "info", "list", "modify", "remove"];

/// The authorizations that somebody holds, some of them patterns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Held(Vec<String>);

impl Held {
    /// Whether one of them is, or covers, this authorization.
    pub fn covers(&self, authorization: &str) -> bool {
        self.0.iter().any(|held| held == authorization || matches(held, authorization))
    }
}

/// As libsecdb's `_auth_match` has it for chkauthattr(3SECDB): only a `*` at the end counts, and it does not cover the right to
/// grant.
fn matches(pattern: &str, authorization: &str) -> bool {
    let Some(begin) = pattern.strip_suffix('*') else { return false };
    let last = authorization.rsplit_once('.').map(|(_, last)| last);
    authorization.starts_with(begin) && last.is_some_and(|last| !last.starts_with("grant"))
}

/// `auths USER`; `None` for a user who is called so that some `auths` would take the name for a word of its own.
pub fn of(user: &str) -> Option<Argv> {
    let is_name = !user.is_empty() && !user.starts_with('-') && !WORDS.contains(&user);
    is_name.then(|| Argv::new("auths").arg(user))
}

/// What the user holds; `None` when there is no such user.
///
/// # Errors
/// When the command fails otherwise, or says what is not understood.
pub fn held(programs: &Programs, argv: &Argv, user: &str) -> Result<Option<Held>, CmdError> {
    let output = programs.run(argv)?;
    match refusal(&output) {
        Some(Refusal::NoSuchUser) => Ok(None),
        Some(Refusal::Nothing) => Ok(Some(Held::default())),
        None => {
            let output = output.into_ok(argv)?;
            read(&output.stdout, user).map(Some).map_err(CmdError::unreadable(argv))
        }
    }
}

/// Answers that come with exit status 1, as failures do.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    NoSuchUser,
    Nothing,
}

fn refusal(output: &Output) -> Option<Refusal> {
    // auths: joe : No such user
    let said = output.stderr.trim_end();
    match output.status {
        Status::Exit(1) if said.ends_with(" : No such user") => Some(Refusal::NoSuchUser),
        Status::Exit(1) if said.ends_with(" : No authorizations") => Some(Refusal::Nothing),
        _ => None,
    }
}

fn read(text: &str, user: &str) -> Result<Held, ParseError> {
    let mut held = Vec::new();
    for (n, line) in text.lines().enumerate() {
        // With several users each has his name before his list.
        let list = line.strip_prefix(user).and_then(|rest| rest.strip_prefix(" :")).unwrap_or(line);
        for one in list.split(',').map(str::trim).filter(|one| !one.is_empty()) {
            // An object may follow: solaris.zone.manage/web.
            if !one.bytes().all(|b| b.is_ascii_alphanumeric() || b".*-_/".contains(&b)) {
                return Err(ParseError::at(n, line, "is no list of authorizations"));
            }
            held.push(one.to_owned());
        }
    }
    Ok(Held(held))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBMIT: &str = "solaris.zmigrate.submit";

    fn covered(list: &str) -> bool {
        read(list, "joe").unwrap().covers(SUBMIT)
    }

    #[test]
    fn a_right_is_held_by_its_name_or_by_a_pattern_that_ends_with_a_star() {
        for list in [
            "solaris.zmigrate.submit\n",
            "solaris.mail.mailq,solaris.zmigrate.submit\n",
            "solaris.*\n",
            "solaris.mail.mailq,solaris.zmigrate.*\n",
            "*\n",
            "joe : solaris.zmigrate.submit\n",
            "solaris.mail.mailq\nsolaris.zmigrate.submit\n",
        ] {
            assert!(covered(list), "{list}");
        }
        for list in [
            "",
            "\n",
            "solaris.mail.mailq\n",
            "solaris.zmigrate.submit/web\n",
            "solaris.zmigrate.submitter\n",
            "solaris.zmigrate\n",
            "solaris.*.submit\n",
            "solaris.smf.manage.zmigrate,solaris.zone.*\n",
        ] {
            assert!(!covered(list), "{list}");
        }
    }

    #[test]
    fn a_star_does_not_cover_the_right_to_grant() {
        let all = read("solaris.*\n", "joe").unwrap();
        assert!(!all.covers("solaris.zmigrate.grant") && !all.covers("solaris.grant"));
    }

    #[test]
    fn nobody_is_asked_about_by_a_name_that_auths_takes_for_its_own() {
        assert_eq!(of("joe").unwrap().to_string(), "auths joe");
        for name in ["info", "list", "check", "-u", ""] {
            assert_eq!(of(name), None, "{name}");
        }
    }

    #[test]
    fn no_user_and_no_authorizations_are_answers_and_all_else_that_fails_is_none() {
        let output = |status, stderr: &str| Output {
            status: Status::Exit(status),
            stdout: String::new(),
            stderr: stderr.to_owned(),
            stderr_cut: false,
        };
        assert_eq!(refusal(&output(1, "auths: joe : No such user\n")), Some(Refusal::NoSuchUser));
        assert_eq!(refusal(&output(1, "auths: joe : No authorizations\n")), Some(Refusal::Nothing));
        assert_eq!(refusal(&output(1, "ld.so.1: auths: fatal: libsecdb.so.1: open failed\n")), None);
        assert_eq!(refusal(&output(0, "")), None);
        assert!(read("Segmentation fault (core dumped)\n", "joe").is_err());
    }
}
