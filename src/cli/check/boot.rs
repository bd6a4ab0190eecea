//! Does the spool, or the scratch, lie in a boot environment? After `beadm activate` and a reboot it is another one's: the jobs
//! of the one before are not there any more, and those of the last time that this one ran are there again. A source could take
//! up a zone that it has handed off; a target, forget one that it has taken.
//!
//! A boot environment is `POOL/ROOT/NAME` (beadm(8)), `/var` a dataset of it on Solaris 11; shared are `rpool/export` and, on
//! Solaris 11, `rpool/VARSHARE` at `/var/share`.

use std::path::Path;

use super::finding::Finding;
use crate::cmd::mount::{self, Mounted};
use crate::cmd::{CmdError, beadm};
use crate::config::Config;
use crate::host::environment;
use crate::process::Programs;
use crate::process::argv::quoted;

/// Looks where both lie.
pub fn look(config: &Config, programs: &Programs, findings: &mut Vec<Finding>) {
    findings.extend(other_zones(programs));
    // Nothing else needs it, and a host without it can't be asked.
    if !programs.has("mount") {
        return;
    }
    match mount::all(programs) {
        Ok(mounted) => {
            findings.extend(judge("spool", &config.spool, &mounted));
            findings.extend(judge("scratch", &config.scratch.dir, &mounted));
        }
        Err(error) => findings.push(untold(&error)),
    }
}

/// Whether another boot environment could bring back a zone that has moved away.
fn other_zones(programs: &Programs) -> Option<Finding> {
    let says = match environment::with_other_zones(programs) {
        Ok(others) if others.is_empty() => return None,
        Ok(others) => format!(
            "boot environments {} have an /etc/zones of their own: booted, each boots zones that have moved away since",
            others.join(", ")
        ),
        Err(error) => format!("whether other boot environments have other zones can't be told: {error}"),
    };
    Some(Finding::warn("zones", says, environment::REMEDY))
}

fn untold(error: &CmdError) -> Finding {
    let remedy = "see by `mount -p` that spool and scratch are in no POOL/ROOT/…";
    Finding::warn("spool", format!("whether it lies in a boot environment can't be told: {error}"), remedy)
}

fn judge(what: &'static str, dir: &Path, mounted: &[Mounted]) -> Option<Finding> {
    // A directory that isn't there yet lies where the one above it does.
    let real = dir.ancestors().find_map(|dir| dir.canonicalize().ok())?;
    let holder = mount::holder(mounted, &real)?;
    let (pool, name) = beadm::holding(holder)?;
    let shown = dir.display();
    let be = format!("{pool}/ROOT/{name}");
    let says = format!(
        "{shown} lies in boot environment {be}: after `beadm activate` of another one and a reboot its jobs are gone, or old"
    );
    let place = quoted(&dir.display().to_string());
    let leaf = if what == "spool" { "zmigrate" } else { "zmigrate-scratch" };
    let remedy = format!(
        "with no job active: svcadm disable -st zmigrate; mv {place} {place}.old; zfs create -o mountpoint={place} {pool}/{leaf}; \
         cp -rp {place}.old/. {place}; svcadm enable zmigrate"
    );
    Some(Finding::warn(what, says, remedy))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(special: &str, kind: &str) -> Option<Finding> {
        let mounted = Mounted { special: special.to_owned(), mountpoint: "/".into(), kind: kind.to_owned() };
        judge("spool", Path::new("/no/such/spool"), &[mounted])
    }

    #[test]
    fn what_lies_in_a_boot_environment_is_told_with_the_way_out() {
        for special in ["rpool/ROOT/omnios-r151046", "rpool/ROOT/solaris/var"] {
            let finding = found(special, "zfs").unwrap();
            assert!(finding.says.contains("beadm activate"), "{finding:?}");
            let remedy = finding.remedy.unwrap();
            assert!(remedy.contains("zfs create -o mountpoint=/no/such/spool rpool/zmigrate"), "{remedy}");
        }
        for (special, kind) in
            [("rpool/zmigrate", "zfs"), ("rpool/ROOT", "zfs"), ("/dev/dsk/c0t0d0s0", "ufs")]
        {
            assert_eq!(found(special, kind), None, "{special}");
        }
    }
}
