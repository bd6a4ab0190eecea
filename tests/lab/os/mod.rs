//! What a host says about itself: uname, pkg, showrev, pkginfo, beadm, zonename, svcs, getent, auths.

pub mod svcs;
mod users;

use anyhow::Result;

use crate::world::{Host, Profile, Settings};

/// One of the small commands.
pub fn main(host: &Host, command: &str, args: &[String]) -> Result<i32> {
    let settings = host.settings()?;
    let solaris10 = settings.profile == Profile::Solaris10;
    match command {
        "uname" => uname(host, &settings.name, args),
        "hostname" => {
            out!("{}", settings.name);
            Ok(0)
        }
        "zonename" => {
            // -t (illumos): the type of the IP stack; the global zone's is shared.
            out!("{}", if args.first().is_some_and(|arg| arg == "-t") { "shared" } else { "global" });
            Ok(0)
        }
        "isainfo" => {
            out!("{}", if settings.architecture == "sparc" { "sparcv9 sparc" } else { "amd64 i386" });
            Ok(0)
        }
        "pkg" | "beadm" if solaris10 => not_here(command),
        "showrev" | "pkginfo" if !solaris10 => not_here(command),
        "pkg" => pkg(&settings, args),
        "beadm" => beadm(&settings, args),
        "showrev" => showrev(&settings, args),
        "pkginfo" => pkginfo(&settings, args),
        "getent" => users::getent(&settings, args),
        "auths" => users::auths(&settings, args),
        _ => not_here(command),
    }
}

/// The link is there, the system has no such command: what a shell says.
fn not_here(command: &str) -> Result<i32> {
    err!("{command}: not found");
    Ok(127)
}

/// uname, in the global zone or in a zone with the node name `node`.
pub fn uname(host: &Host, node: &str, args: &[String]) -> Result<i32> {
    let settings = host.settings()?;
    let machine = if settings.architecture == "sparc" { "sun4v" } else { "i86pc" };
    let letters: String = args.iter().map(|arg| arg.trim_start_matches('-')).collect();
    let letters = match letters.as_str() {
        "" => "s".to_owned(),
        letters if letters.contains('a') => "snrvmpi".to_owned(),
        letters => letters.to_owned(),
    };
    if let Some(letter) = letters.chars().find(|letter| !"snrvmpi".contains(*letter)) {
        err!("uname: illegal option -- {letter}");
        err!("usage: uname [-snrvmapiX]\n       uname [-S system name]");
        return Ok(1);
    }
    // The order is fixed, whatever that of the letters.
    let words: Vec<&str> = "snrvmpi"
        .chars()
        .filter(|letter| letters.contains(*letter))
        .map(|letter| match letter {
            's' => "SunOS",
            'n' => node,
            'r' => settings.release.as_str(),
            'v' => settings.kernel.as_str(),
            'p' => settings.architecture.as_str(),
            _ => machine,
        })
        .collect();
    out!("{}", words.join(" "));
    Ok(0)
}

fn pkg(settings: &Settings, args: &[String]) -> Result<i32> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["list", options @ .., "entire"] => {
            let letters: String = options.iter().map(|option| option.trim_start_matches('-')).collect();
            if settings.entire.is_empty() {
                err!("pkg list: no packages matching the following patterns are installed:\n  entire");
                return Ok(1);
            }
            let verbose = letters.contains('v');
            if !letters.contains('H') {
                let name = if verbose { "FMRI" } else { "NAME (PUBLISHER)" };
                out!("{name:<76} IFO");
            }
            if verbose {
                out!("{:<76} i--", settings.entire);
            } else {
                let version = settings.entire.rsplit_once('@').map_or("", |(_, version)| version);
                let version = version.split(':').next().unwrap_or_default();
                out!("{:<49} {version:<26} i--", "entire");
            }
            Ok(0)
        }
        ["publisher", ..] => {
            let name = settings.entire.trim_start_matches("pkg://").split('/').next().unwrap_or_default();
            out!("PUBLISHER                   TYPE     STATUS P LOCATION");
            out!("{name:<27} origin   online F https://pkg.{name}.example/");
            Ok(0)
        }
        _ => {
            err!("pkg: the lab knows `pkg list [-Hv] entire` and `pkg publisher`");
            Ok(1)
        }
    }
}

fn beadm(settings: &Settings, args: &[String]) -> Result<i32> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["list", "-H"] => {
            // name;uuid;active;mountpoint;space;policy;created
            let name = settings.root_dataset().and_then(|root| root.rsplit('/').next()).unwrap_or_default();
            out!("{name};{};NR;/;2147483648;static;1706816668", settings.boot_environment);
            for other in &settings.other_boot_environments {
                out!("{other};{name}-{other};-;-;4194304;static;1696816668");
            }
            Ok(0)
        }
        _ => {
            err!("beadm: the lab knows `beadm list -H`");
            Ok(1)
        }
    }
}

fn showrev(settings: &Settings, args: &[String]) -> Result<i32> {
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["-p"] => {
            for patch in &settings.patches {
                out!("Patch: {patch} Obsoletes:  Requires:  Incompatibles:  Packages: SUNWcsr, SUNWcsu");
            }
            Ok(0)
        }
        [] => {
            out!("Hostname: {}\nRelease: {}", settings.name, settings.release);
            out!("Kernel version: SunOS {} {}", settings.release, settings.kernel);
            Ok(0)
        }
        _ => {
            err!("showrev: the lab knows `showrev` and `showrev -p`");
            Ok(1)
        }
    }
}

fn pkginfo(settings: &Settings, args: &[String]) -> Result<i32> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let found = |name: &str| settings.packages.iter().find(|package| package.name == name);
    match words.as_slice() {
        ["-l", name] => match found(name) {
            Some(package) => {
                out!("   PKGINST:  {}\n  CATEGORY:  system", package.name);
                out!("   VERSION:  {}\n    STATUS:  completely installed", package.version);
                Ok(0)
            }
            None => {
                err!("ERROR: information for \"{name}\" was not found");
                Ok(1)
            }
        },
        ["-q", name] => Ok(i32::from(found(name).is_none())),
        [] => {
            for package in &settings.packages {
                out!("{:<11} {:<16} {}", "system", package.name, package.version);
            }
            Ok(0)
        }
        _ => {
            err!("pkginfo: the lab knows `pkginfo`, `pkginfo -l NAME` and `pkginfo -q NAME`");
            Ok(1)
        }
    }
}
