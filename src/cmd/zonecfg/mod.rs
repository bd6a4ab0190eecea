//! `zonecfg`: a zone's configuration, read as a whole and changed by scripts.
//!
//! Exit codes mislead: a failed `create -a` exits with 0, and a script that fails half-way commits what came
//! before. So a script goes into a file, ends with `verify` and `commit`, and afterwards the export is
//! compared with what was meant.

pub mod export;
pub mod named;
pub mod script;

use std::path::Path;

use super::CmdError;
use crate::job::name::{DatasetName, ZoneName};
use crate::process::{Argv, Programs, Status};
pub use export::{Property, Resource, ZoneConfig};
pub use script::{Script, ScriptError};

/// `zonecfg -z Z export`.
pub fn export_argv(zone: &ZoneName) -> Argv {
    zonecfg(zone).arg("export")
}

/// `zonecfg -z Z -f FILE`: stops at the first error and commits what came before it. The path must be
/// absolute.
pub fn run_file(zone: &ZoneName, file: &Path) -> Argv {
    zonecfg(zone).args(["-f", &file.to_string_lossy()])
}

/// `zonecfg -z Z 'set autoboot=…'`. Possible in every state, also while the zone runs.
pub fn set_autoboot(zone: &ZoneName, on: bool) -> Argv {
    zonecfg(zone).arg(format!("set autoboot={on}"))
}

/// `zonecfg -z Z delete -F`: removes the configuration, **also of an installed zone**; the data stays.
pub fn delete(zone: &ZoneName) -> Argv {
    zonecfg(zone).args(["delete", "-F"])
}

fn zonecfg(zone: &ZoneName) -> Argv {
    Argv::new("zonecfg").args(["-z", zone.as_str()])
}

/// A zone's configuration, or `None` if this host has no zone of that name.
///
/// # Errors
/// When the command fails or a line isn't understood.
pub fn export(programs: &Programs, zone: &ZoneName) -> Result<Option<ZoneConfig>, CmdError> {
    let argv = export_argv(zone);
    let output = programs.run(&argv)?;
    if output.status == Status::Exit(1) && says_no_such_zone(&output.stderr, zone) {
        return Ok(None);
    }
    let output = output.into_ok(&argv)?;
    ZoneConfig::parse(&output.stdout).map(Some).map_err(CmdError::unreadable(&argv))
}

/// The datasets that a zone's configuration names; none if this host has no zone of that name.
///
/// # Errors
/// When the command fails.
pub fn named_datasets(programs: &Programs, zone: &ZoneName) -> Result<Vec<DatasetName>, CmdError> {
    let argv = export_argv(zone);
    let output = programs.run(&argv)?;
    if output.status == Status::Exit(1) && says_no_such_zone(&output.stderr, zone) {
        return Ok(Vec::new());
    }
    Ok(named::datasets(&output.into_ok(&argv)?.stdout))
}

/// Whether zonecfg says that there is no zone of this name: `X: No such zone configured`.
pub fn says_no_such_zone(stderr: &str, zone: &ZoneName) -> bool {
    let wanted = format!("{zone}: No such zone configured");
    stderr.lines().any(|line| line == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_name_the_zone_and_hold_one_command() {
        let zone = ZoneName::new("web").unwrap();
        let cases: [(Argv, &[&str]); 4] = [
            (export_argv(&zone), &["-z", "web", "export"]),
            (run_file(&zone, Path::new("/var/x y")), &["-z", "web", "-f", "/var/x y"]),
            (set_autoboot(&zone, false), &["-z", "web", "set autoboot=false"]),
            (delete(&zone), &["-z", "web", "delete", "-F"]),
        ];
        for (argv, wanted) in cases {
            assert_eq!(argv.program(), "zonecfg");
            assert_eq!(argv.arguments(), wanted);
        }
    }

    #[test]
    fn a_missing_zone_is_told_by_the_whole_line() {
        let zone = ZoneName::new("web").unwrap();
        assert!(says_no_such_zone("web: No such zone configured\n", &zone));
        assert!(!says_no_such_zone("myweb: No such zone configured\n", &zone));
    }
}
