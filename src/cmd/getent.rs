//! `getent`: whose a user id is, by whatever name services the host asks.
//!
//! A process and not getpwuid(3C): a name service that does not answer would hold the daemon for as long as it likes.

use super::{CmdError, ParseError, parse};
use crate::process::{Argv, Programs, Status};

/// No such entry (illumos cmd/getent/getent.h: `EXC_NAME_NOT_FOUND`).
const NOT_FOUND: Status = Status::Exit(2);

/// `getent passwd UID`.
pub fn passwd(uid: u32) -> Argv {
    Argv::new("getent").arg("passwd").arg(uid.to_string())
}

/// The name of the user with this id, or `None` when no name service has one.
///
/// # Errors
/// When the command fails, or says what is not understood.
pub fn user_name(programs: &Programs, argv: &Argv, uid: u32) -> Result<Option<String>, CmdError> {
    let output = programs.run(argv)?;
    if output.status == NOT_FOUND {
        return Ok(None);
    }
    let output = output.into_ok(argv)?;
    read(&output.stdout, uid).map_err(CmdError::unreadable(argv))
}

/// The name in a line of passwd(5).
fn read(text: &str, uid: u32) -> Result<Option<String>, ParseError> {
    let line = parse::one_line(text)?;
    let mut fields = line.split(':');
    let (name, id) = (fields.next().unwrap_or_default(), fields.nth(1));
    let id: u32 =
        id.and_then(|id| id.parse().ok()).ok_or_else(|| ParseError::at(0, line, "is no passwd(5) entry"))?;
    if name.is_empty() {
        return Err(ParseError::at(0, line, "names no user"));
    }
    // Digits that are no user's id are looked up as a user's name (cmd/getent/dogetpw.c).
    Ok((id == uid).then(|| name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_the_id_and_not_by_a_name_of_digits() {
        assert_eq!(passwd(1001).to_string(), "getent passwd 1001");
        let line = "joe:x:1001:10:Joe:/export/home/joe:/bin/bash\n";
        assert_eq!(read(line, 1001).unwrap().as_deref(), Some("joe"));
        assert_eq!(read("1001:x:2002:10::/:/bin/sh\n", 1001).unwrap(), None);
    }

    #[test]
    fn what_is_no_entry_is_refused() {
        for text in ["", "joe\n", "joe:x:one:10::/:\n", ":x:1001:10::/:\n", "a:x:1:1::/:\nb:x:1:1::/:\n"] {
            assert!(read(text, 1001).is_err(), "{text:?}");
        }
    }
}
