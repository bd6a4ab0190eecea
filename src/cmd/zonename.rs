//! `zonename`: whether this is the global zone, the only place to migrate zones from.

use super::{CmdError, parse};
use crate::process::{Argv, Programs};

/// `zonename`.
pub fn argv() -> Argv {
    Argv::new("zonename")
}

/// The name of the zone that this process is in: `global` where it should be.
///
/// # Errors
/// When the command fails or doesn't answer with one line.
pub fn zonename(programs: &Programs) -> Result<String, CmdError> {
    let argv = argv();
    let output = programs.ok(&argv)?;
    parse::one_line(&output.stdout).map(str::to_owned).map_err(CmdError::unreadable(&argv))
}
