//! `pkg` (IPS): the version of the package `entire`, which stands for the level of the whole system.
//!
//! Solaris 11 and OmniOS. OpenIndiana and Tribblix may have no `entire`, or no `pkg`.

use std::cmp::Ordering;
use std::fmt;

use super::{CmdError, ParseError, parse};
use crate::process::{Argv, Programs, Status};

/// A version in an FMRI: `pkg://omnios/entire@11-151046.0:20240201T194428Z`. Compared as pkg(7) does:
/// release, then branch, both as dotted numbers, then the time stamp. The build number (`,5.11`) does not
/// count.
#[derive(Debug, Clone)]
pub struct Version {
    text: String,
    release: Vec<u64>,
    branch: Vec<u64>,
    timestamp: String,
}

impl Version {
    /// Reads what stands behind the `@`.
    pub fn parse(text: &str) -> Option<Self> {
        let (rest, timestamp) = text.split_once(':').unwrap_or((text, ""));
        let (release, branch) = rest.split_once('-').unwrap_or((rest, ""));
        let release = release.split_once(',').map_or(release, |(release, _)| release);
        let stamped = timestamp.bytes().all(|b| b.is_ascii_digit() || b == b'T' || b == b'Z');
        let branch = if branch.is_empty() { Vec::new() } else { dotted(branch)? };
        let version = Self {
            text: text.to_owned(),
            release: dotted(release)?,
            branch,
            timestamp: timestamp.to_owned(),
        };
        stamped.then_some(version)
    }

    fn key(&self) -> (&[u64], &[u64], &str) {
        (&self.release, &self.branch, &self.timestamp)
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Version {}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn dotted(text: &str) -> Option<Vec<u64>> {
    text.split('.').map(|number| number.parse().ok()).collect()
}

/// `pkg list -Hv entire`: installed packages only.
pub fn list_entire() -> Argv {
    Argv::new("pkg").args(["list", "-Hv", "entire"])
}

/// The installed version of `entire`, or `None` if it isn't installed.
///
/// # Errors
/// When the command fails otherwise or its output isn't understood.
pub fn entire(programs: &Programs) -> Result<Option<Version>, CmdError> {
    let argv = list_entire();
    let output = programs.run(&argv)?;
    // unverified: the words of a package that isn't installed
    let absent = "no packages matching";
    if output.status == Status::Exit(1) && output.stderr.to_lowercase().contains(absent) {
        return Ok(None);
    }
    let output = output.into_ok(&argv)?;
    parse_list(&output.stdout).map(Some).map_err(CmdError::unreadable(&argv))
}

/// Reads `pkg list -Hv entire`.
///
/// # Errors
/// On anything but one line that begins with the FMRI of `entire`.
pub fn parse_list(text: &str) -> Result<Version, ParseError> {
    let line = parse::one_line(text)?;
    let fault = || ParseError::at(0, line, "is not the FMRI of `entire`");
    let fmri = line.split_whitespace().next().ok_or_else(fault)?;
    let (name, version) = fmri.split_once('@').ok_or_else(fault)?;
    if name.rsplit('/').next() != Some("entire") {
        return Err(fault());
    }
    Version::parse(version).ok_or_else(fault)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::sample::sample;

    #[test]
    fn the_version_of_entire_is_read() {
        let omnios = parse_list(sample!("pkg/list-Hv-entire-omnios.txt")).unwrap();
        assert_eq!(omnios.to_string(), "11-151046.0:20240201T194428Z");
        let solaris = parse_list(sample!("pkg/list-Hv-entire-s11.txt")).unwrap();
        assert_eq!(solaris.branch, [11, 4, 42, 0, 1, 113, 1]);
        for bad in
            ["", "entire   11.4-11.4.42   i--\n", "pkg://x/other@1-2:3Z i--\n", "pkg://x/entire@1-a:3Z i--\n"]
        {
            assert!(parse_list(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn versions_are_compared_by_number_and_by_time_last() {
        let ordered = [
            "0.5.11,5.11-0.175.3.1:20160101T000000Z",
            "0.5.11,5.11-0.175.3.10:20150101T000000Z",
            "11-151044.0:20230501T000000Z",
            "11-151046.0:20230501T000000Z",
            "11-151046.0:20240201T194428Z",
            "11.4-11.4.9:20180101T000000Z",
            "11.4-11.4.42.0.1.113.1:20220113T193900Z",
        ];
        let versions: Vec<_> = ordered.iter().map(|text| Version::parse(text).unwrap()).collect();
        assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
        assert_eq!(Version::parse("1,5.11-2:3Z"), Version::parse("1-2:3Z"));
    }
}
