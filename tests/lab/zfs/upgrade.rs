//! `zfs upgrade`, as far as it reports versions.

use super::command::{Fail, Outcome, Session, print};
use super::options;

const VERSIONS: &[&str] = &[
    "Initial ZFS filesystem version",
    "Enhanced directory entries",
    "Case insensitive and File system unique identifier (FUID)",
    "userquota, groupquota properties",
    "System attributes",
    "Multilevel file system support",
];

/// `zfs upgrade` · `zfs upgrade -v`
pub fn run(session: &Session, args: &[String]) -> Outcome {
    let parsed = options::parse(args, "vraV:")?;
    let newest = session.release.newest_version();
    if parsed.has('v') {
        let mut text = "The following filesystem versions are supported:\n\nVER  DESCRIPTION\n".to_owned();
        text += "---  --------------------------------------------------------\n";
        for (version, words) in (1..=newest).zip(VERSIONS) {
            text += &format!(" {version}   {words}\n");
        }
        text += "\nFor more information on a particular version, including supported releases, see:\n\n";
        text +=
            "http://www.opensolaris.org/os/community/zfs/version/zpl/N\n\nWhere 'N' is the version number.\n";
        print(&text);
        return Ok(0);
    }
    if !args.is_empty() {
        return Err(Fail::Text("zfs upgrade of filesystems is not emulated in this lab".into()));
    }
    let mut text = format!("This system is currently running ZFS filesystem version {newest}.\n\n");
    let state = session.read()?;
    let old: Vec<String> = state
        .datasets
        .iter()
        .filter(|(_, dataset)| dataset.version < newest)
        .map(|(name, dataset)| format!("{:>2}   {name}\n", dataset.version))
        .collect();
    if old.is_empty() {
        text += "All filesystems are formatted with the current version.\n";
    } else {
        text += "The following filesystems are out of date, and can be upgraded.  After being\n";
        text += "upgraded, these filesystems (and any 'zfs send' streams generated from\n";
        text += "subsequent snapshots) will no longer be accessible by older software versions.\n\n\n";
        text += "VER  FILESYSTEM\n---  ------------\n";
        text += &old.concat();
    }
    print(&text);
    Ok(0)
}
