//! `uname`: which operating system, release, version and processor this host has.
//!
//! Each is asked for alone: `-v` may hold blanks on other systems, and then one line of all of them can't be
//! taken apart.

use super::{CmdError, ParseError, parse};
use crate::process::{Argv, Programs};

/// What `uname` tells about a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uname {
    /// `-s`: `SunOS`.
    pub system: String,
    /// `-r`: `5.10`, or `5.11` on both Solaris 11 and illumos.
    pub release: String,
    /// `-v`: `Generic_147147-26` (kernel patch), `11.4.42.111.0`, `omnios-r151046-…`.
    pub version: String,
    /// `-p`: `i386` (also for 64 bits) or `sparc`.
    pub processor: String,
}

/// `uname` with one option.
pub fn argv(option: &'static str) -> Argv {
    Argv::new("uname").arg(option)
}

/// Asks this host.
///
/// # Errors
/// When the command fails or doesn't answer with one line.
pub fn uname(programs: &Programs) -> Result<Uname, CmdError> {
    let ask = |option| {
        let argv = argv(option);
        let output = programs.ok(&argv)?;
        read(&output.stdout).map_err(CmdError::unreadable(&argv))
    };
    Ok(Uname { system: ask("-s")?, release: ask("-r")?, version: ask("-v")?, processor: ask("-p")? })
}

fn read(text: &str) -> Result<String, ParseError> {
    parse::one_line(text).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_is_an_answer_and_two_are_none() {
        assert_eq!(read("omnios-r151046-abcdef0123\n").unwrap(), "omnios-r151046-abcdef0123");
        assert!(read("").is_err() && read("a\nb\n").is_err());
        assert_eq!(argv("-v").to_string(), "uname -v");
    }
}
