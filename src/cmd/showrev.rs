//! `showrev -p`: the patches of a Solaris 10 host. Heritage: no compiler of ours makes programs for it.

use std::collections::BTreeMap;

use super::{CmdError, ParseError};
use crate::process::{Argv, Programs};

/// `showrev -p`.
pub fn argv() -> Argv {
    Argv::new("showrev").arg("-p")
}

/// The newest revision of each patch of this host.
///
/// # Errors
/// When the command fails or its output isn't understood.
pub fn patches(programs: &Programs) -> Result<BTreeMap<u32, u32>, CmdError> {
    let argv = argv();
    parse(&programs.ok(&argv)?.stdout).map_err(CmdError::unreadable(&argv))
}

/// Reads the newest revision of each patch: `Patch: 118855-36 Obsoletes: …`.
///
/// # Errors
/// On a line that doesn't begin with a patch's number and revision.
pub fn parse(text: &str) -> Result<BTreeMap<u32, u32>, ParseError> {
    let mut newest = BTreeMap::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let patch =
            line.strip_prefix("Patch: ").and_then(|rest| rest.split_whitespace().next()?.split_once('-'));
        let numbers = patch.and_then(|(id, revision)| Some((id.parse().ok()?, revision.parse().ok()?)));
        let (id, revision): (u32, u32) =
            numbers.ok_or_else(|| ParseError::at(index, line, "names no patch"))?;
        newest.entry(id).and_modify(|known: &mut u32| *known = revision.max(*known)).or_insert(revision);
    }
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::sample::sample;

    #[test]
    fn patches_are_read_with_their_newest_revision() {
        let sample = format!("{}Patch: 118855-19 Obsoletes: \n", sample!("showrev/p.txt"));
        assert_eq!(parse(&sample), Ok(BTreeMap::from([(118_855, 36), (120_273, 4)])));
        assert!(parse("showrev: not found\n").is_err());
    }
}
