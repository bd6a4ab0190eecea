//! `pkginfo -l`: a package's version on a Solaris 10 host. Kept for the samples' sake: the product itself
//! can't run there.

use super::{Argv, ParseError};

/// `pkginfo -l PACKAGE`.
pub fn argv(package: &str) -> Argv {
    Argv::new("pkginfo").args(["-l", package])
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
        assert!(parse_version("ERROR: information for \"x\" was not found\n").is_err());
    }
}
