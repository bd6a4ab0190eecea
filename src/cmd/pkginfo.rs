//! `pkginfo -l`: a package's version, where packages are SVR4's: Tribblix, and Solaris 10, on which the product itself can't run.

use super::{CmdError, ParseError};
use crate::process::{Argv, Programs, Status};

/// The package of Tribblix's zone brands: what attaches a zone there (tribblix/tribblix-zones).
pub const TRIBBLIX_ZONES: &str = "TRIBblix-zones";

/// `pkginfo -l PACKAGE`.
pub fn argv(package: &str) -> Argv {
    Argv::new("pkginfo").args(["-l", package])
}

/// A package's version, or `None` if it isn't installed.
///
/// # Errors
/// When the command fails otherwise or its output isn't understood.
pub fn version(programs: &Programs, package: &str) -> Result<Option<String>, CmdError> {
    let argv = argv(package);
    let output = programs.run(&argv)?;
    if output.status == Status::Exit(1) && output.stderr.contains("was not found") {
        return Ok(None);
    }
    let output = output.into_ok(&argv)?;
    parse_version(&output.stdout).map(Some).map_err(CmdError::unreadable(&argv))
}

/// Reads the line `VERSION:  11.10.0,REV=2005.01.21.16.34`.
///
/// # Errors
/// When there is none.
pub fn parse_version(text: &str) -> Result<String, ParseError> {
    let version = text.lines().find_map(|line| line.trim_start().strip_prefix("VERSION:"));
    let version = version.map(str::trim).filter(|version| !version.is_empty());
    version.map(str::to_owned).ok_or_else(|| ParseError::at(0, text, "begins no package with a VERSION"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::sample::sample;

    #[test]
    fn the_version_is_read() {
        let version = parse_version(sample!("pkginfo/l-SUNWcsr.txt"));
        assert_eq!(version.unwrap(), "11.10.0,REV=2005.01.21.16.34");
        assert_eq!(parse_version(sample!("pkginfo/l-TRIBblix-zones.txt")).unwrap(), "0.19.0");
        assert!(parse_version("ERROR: information for \"x\" was not found\n").is_err());
    }
}
