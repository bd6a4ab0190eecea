//! `beadm list -H`: the boot environments of this host. Solaris 10 and SmartOS have none.

use super::mount::Mounted;
use super::{CmdError, ParseError};
use crate::process::{Argv, Programs};

/// `beadm list -H`.
pub fn list() -> Argv {
    Argv::new("beadm").args(["list", "-H"])
}

/// The names of those that do not run now; none on a host without beadm.
///
/// # Errors
/// When the command fails or a line isn't understood.
pub fn others(programs: &Programs) -> Result<Vec<String>, CmdError> {
    if !programs.has("beadm") {
        return Ok(Vec::new());
    }
    let argv = list();
    parse(&programs.ok(&argv)?.stdout).map_err(CmdError::unreadable(&argv))
}

/// Reads the list: name, UUID, `N` for the one that runs and `R` for the one at the next boot,
/// mountpoint, space, policy, time of creation.
///
/// ```text
/// omnios-r151046;5a1a5e05-…;NR;/;3110000000;static;1683000000
/// ```
///
/// # Errors
/// On a line with less than three fields.
pub fn parse(text: &str) -> Result<Vec<String>, ParseError> {
    let mut others = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let mut fields = line.split(';');
        match (fields.next(), fields.nth(1)) {
            (Some(name), Some(active)) if active.contains('N') || name.is_empty() => {}
            (Some(name), Some(_)) => others.push(name.to_owned()),
            _ => return Err(ParseError::at(index, line, "has less than three fields")),
        }
    }
    Ok(others)
}

/// The pool and the name of the boot environment that a file system belongs to: `POOL/ROOT/NAME`
/// (beadm(8)), and what is below it, as `/var` is on Solaris 11.
pub fn holding(mounted: &Mounted) -> Option<(&str, &str)> {
    let mut parts = mounted.special.split('/');
    let (pool, root, name) = (parts.next()?, parts.next()?, parts.next()?);
    (mounted.kind == "zfs" && root == "ROOT").then_some((pool, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_those_that_do_not_run() {
        let text = "omnios-r151046;5a1a;N;/;3110;static;1683000000\nomnios-r151048;6b2b;R;-;4;static;1684000000\n\
                    backup;7c3c;-;-;4;static;1682000000\n";
        assert_eq!(parse(text).unwrap(), ["omnios-r151048", "backup"]);
        assert_eq!(parse("be;1;NR;/;1;static;1\n").unwrap(), [""; 0]);
        assert!(parse("be;1\n").is_err());
    }

    #[test]
    fn a_boot_environment_holds_what_is_below_root() {
        let held = |special: &str, kind: &str| {
            let mounted =
                Mounted { special: special.to_owned(), mountpoint: "/".into(), kind: kind.to_owned() };
            holding(&mounted).map(|(pool, name)| format!("{pool} {name}"))
        };
        assert_eq!(held("rpool/ROOT/solaris/var", "zfs").as_deref(), Some("rpool solaris"));
        for (special, kind) in
            [("rpool/zmigrate", "zfs"), ("rpool/ROOT", "zfs"), ("/dev/dsk/c0t0d0s0", "ufs")]
        {
            assert_eq!(held(special, kind), None, "{special}");
        }
    }
}
