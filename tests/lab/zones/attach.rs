//! `zoneadm attach`, of the brands with hooks, of Solaris 10's native one, and the built-in.

use std::fs;
use std::io::Read;

use anyhow::Result;

use super::config::Config;
use super::detach::inventory;
use super::index::Stored;
use super::xml::{self, Invalid, Inventory};
use super::zoneadm::Call;
use super::{brand, set_stored, verify};
use crate::world::{Host, Profile};

/// The options of attach.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    force: bool,
    /// `-u`, or a `-U` of a system that has it.
    pub update: bool,
    /// `-x deny-zbe-clone`, Solaris 11.3 and later.
    pub deny_clone: bool,
}

/// Attaches a zone that is configured.
pub fn main(call: &Call, config: &Config, args: &[String]) -> Result<i32> {
    let Some(options) = options(call, config, args) else { return Ok(2) };
    let host = call.host;
    let detached = host.path(&config.zonepath).join("SUNWdetached.xml");
    if options.force {
        // No hook, no comparison: only the state. What was needed to boot stays undone.
        if !zonepath(call, config)? {
            return Ok(1);
        }
        if detached.is_file() {
            fs::rename(&detached, detached.with_file_name("SUNWattached.xml"))?;
        }
        set_stored(host, call.zone, Stored::Installed, Some("attach"))?;
        return Ok(0);
    }
    if !verify::details(host, config, verify::For::Attach)? {
        return Ok(1);
    }
    if config.has_boot_environments() {
        if brand::attach(host, config, &options)?.is_err() {
            return Ok(1);
        }
    } else if config.brand == "native"
        && call.profile == Profile::Solaris10
        && !native(call, config, &options)?
    {
        return Ok(1);
    }
    if !zonepath(call, config)? {
        return Ok(1);
    }
    for left in ["SUNWdetached.xml", "SUNWattached.xml"] {
        let path = detached.with_file_name(left);
        if path.is_file() {
            fs::remove_file(path)?;
        }
    }
    set_stored(host, call.zone, Stored::Installed, Some("attach"))?;
    Ok(0)
}

/// The zonepath's checks come at the end; here it must exist.
fn zonepath(call: &Call, config: &Config) -> Result<bool> {
    let path = &config.zonepath;
    if !call.host.path(path).is_dir() {
        err!("zoneadm: {path}: No such file or directory");
        err!("could not verify zonepath {path} because of the above errors.");
        return Ok(false);
    }
    if !verify::zonepath(call.host, config, verify::For::Attach)? {
        err!("could not verify zonepath {path} because of the above errors.");
        return Ok(false);
    }
    Ok(true)
}

fn options(call: &Call, config: &Config, args: &[String]) -> Option<Options> {
    let mut options = Options::default();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match arg.as_str() {
            "-F" => options.force = true,
            "-u" => options.update = true,
            "-x" if config.is_solaris() => match rest.next().map(String::as_str) {
                Some("deny-zbe-clone") => options.deny_clone = true,
                other => {
                    err!(
                        "zoneadm: zone '{}': attach -x {} is not in this lab",
                        call.zone,
                        other.unwrap_or("")
                    );
                    return None;
                }
            },
            // illumos's zoneadm hands it to the hook as -u (recorded).
            "-U" => options.update = true,
            "-a" | "-d" | "-r" => {
                err!("zoneadm: zone '{}': attach {arg} is not in this lab", call.zone);
                return None;
            }
            _ if config.has_boot_environments() || call.profile == Profile::Solaris10 => {
                err!("usage:\tzoneadm -z <zone> attach [-F] [-n <path>] [brand-specific options]");
                return None;
            }
            // Brands without a hook ignore what they don't know.
            _ => {}
        }
    }
    Some(options)
}

/// The native brand of Solaris 10: the same packages and patches, or not at all.
fn native(call: &Call, config: &Config, options: &Options) -> Result<bool> {
    let manifest = call.host.path(&config.zonepath).join("SUNWdetached.xml");
    let theirs = match fs::read_to_string(&manifest) {
        Ok(text) => match xml::read(&text) {
            Ok((_, inventory)) => inventory,
            Err(_) => {
                call.refuse("Cannot attach to an earlier release of the operating system")?;
                return Ok(false);
            }
        },
        Err(_) => {
            err!(
                "zoneadm: zone '{}': The zone was not properly detached.\n\tAttempting to attach anyway.",
                call.zone
            );
            return Ok(true);
        }
    };
    if options.update {
        out!("Getting the list of files to remove");
        out!("Removing 0 files");
        out!("Installing 0 files");
        out!("Updating editable files");
        out!(
            "The file </var/sadm/system/logs/update_log> within the zone contains a log of the zone update."
        );
        return Ok(true);
    }
    let findings = compare(&theirs, &inventory(call, config)?);
    for line in &findings {
        err!("{line}");
    }
    Ok(findings.is_empty())
}

/// Solaris 10's comparison of a zone's software with the host's (sw_cmp.c): the lines it prints.
fn compare(theirs: &Inventory, ours: &Inventory) -> Vec<String> {
    let mut lines = Vec::new();
    let mut report = |header: &str, found: Vec<String>| {
        if !found.is_empty() {
            lines.push(header.to_owned());
            lines.extend(found);
        }
    };
    let packages = theirs.packages.iter().filter_map(|package| {
        match ours.packages.iter().find(|own| own.name == package.name) {
            None => Some(format!("\t{}: not installed\n\t\t({})", package.name, package.version)),
            Some(own) if own.version != package.version => Some(format!(
                "\t{}: version mismatch\n\t\t({})\n\t\t({})",
                own.name, package.version, own.version
            )),
            Some(_) => None,
        }
    });
    report(
        "These packages installed on the source system are inconsistent with this system:",
        packages.collect(),
    );
    let added = ours.packages.iter().filter(|own| theirs.packages.iter().all(|p| p.name != own.name));
    report(
        "These packages installed on this system were not installed on the source system:",
        added.map(|own| format!("\t{} ({})", own.name, own.version)).collect(),
    );
    let base = |patch: &str| patch.split('-').next().unwrap_or_default().to_owned();
    let revision = |patch: &str| patch.split_once('-').map_or("", |(_, revision)| revision).to_owned();
    let patches = theirs.patches.iter().filter_map(|patch| {
        match ours.patches.iter().find(|own| base(own) == base(patch)) {
            None => Some(format!("\t{patch}: not installed")),
            Some(own) if own != patch => Some(format!(
                "\t{}: version mismatch\n\t\t({}) ({})",
                base(patch),
                revision(patch),
                revision(own)
            )),
            Some(_) => None,
        }
    });
    report(
        "These patches installed on the source system are inconsistent with this system:",
        patches.collect(),
    );
    let added = ours.patches.iter().filter(|own| theirs.patches.iter().all(|p| base(p) != base(own)));
    report(
        "These patches installed on this system were not installed on the source system:",
        added.map(|own| format!("\t{own}")).collect(),
    );
    lines
}

/// `attach -n MANIFEST`: no zone is needed. The hooks of the ipkg-like brands agree to everything; what that of Solaris 11
/// looks at is not known, and here it is nothing.
pub fn dry_run(host: &Host, args: &[String]) -> Result<i32> {
    let profile = host.settings()?.profile;
    let [_, path] = args else {
        err!("usage:\tzoneadm attach -n <path>");
        return Ok(2);
    };
    let mut text = String::new();
    let read = match path.as_str() {
        "-" => std::io::stdin().read_to_string(&mut text),
        path => fs::File::open(host.path(path)).and_then(|mut file| file.read_to_string(&mut text)),
    };
    if read.is_err() {
        let shown = if profile == Profile::Solaris10 { String::new() } else { format!(" {path}") };
        err!("zoneadm: could not open manifest path{shown}: No such file or directory");
        return Ok(1);
    }
    let (config, theirs) = match xml::read(&text) {
        Ok(document) => document,
        Err(Invalid::Syntax) => {
            err!("zoneadm: Input is not a valid XML file");
            return Ok(1);
        }
        Err(Invalid::Unknown(_)) => {
            err!("zoneadm: zone '{}': Cannot attach to an earlier release of the operating system", "");
            return Ok(1);
        }
    };
    if profile != Profile::Solaris10 {
        return Ok(0);
    }
    let call = Call { host, zone: &config.name, profile };
    let findings = compare(&theirs, &inventory(&call, &config)?);
    for line in &findings {
        err!("{line}");
    }
    // Datasets that have not been received yet make it fail even where the software matches.
    let verified = verify::details(host, &config, verify::For::Attach)?;
    Ok(i32::from(!(findings.is_empty() && verified)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::Package;

    fn inventory(packages: &[(&str, &str)], patches: &[&str]) -> Inventory {
        let package =
            |&(name, version): &(&str, &str)| Package { name: name.into(), version: version.into() };
        Inventory {
            packages: packages.iter().map(package).collect(),
            patches: patches.iter().map(|&patch| patch.into()).collect(),
        }
    }

    #[test]
    fn equal_software_finds_nothing_and_each_difference_has_its_header() {
        let ours = inventory(&[("SUNWcsr", "1"), ("SUNWukspfw", "2")], &["118833-36", "118669-10"]);
        assert_eq!(compare(&ours, &ours), Vec::<String>::new());
        let theirs = inventory(&[("SUNWcsr", "0"), ("NCRos86r", "9")], &["118833-17", "120081-02"]);
        let text = compare(&theirs, &ours).join("\n");
        assert!(text.contains("\tSUNWcsr: version mismatch\n\t\t(0)\n\t\t(1)"), "{text}");
        assert!(text.contains("\tNCRos86r: not installed\n\t\t(9)"), "{text}");
        assert!(text.contains("\tSUNWukspfw (2)"), "{text}");
        assert!(text.contains("\t118833: version mismatch\n\t\t(17) (36)"), "{text}");
        assert!(text.contains("\t120081-02: not installed"), "{text}");
        assert!(text.contains("\t118669-10"), "{text}");
        assert_eq!(text.matches("These ").count(), 4);
    }
}
