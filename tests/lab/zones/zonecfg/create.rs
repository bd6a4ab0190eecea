//! What `zonecfg create` begins with.

use std::fs;

use anyhow::Result;

use crate::world::{Host, Profile};
use crate::zones::config::{Config, Resource};
use crate::zones::xml;

/// `create -b`: nothing but the system's plain brand. What a zone of Solaris 11.4 has then, its export leaves out.
pub fn blank(profile: Profile, zone: &str) -> Config {
    let (brand, ip_type, zonepath) = match profile {
        // Recorded, and the same as its template.
        Profile::Omnios => ("lipkg", "exclusive", String::new()),
        Profile::Solaris10 => ("native", "shared", String::new()),
        Profile::Solaris11 => ("solaris", "exclusive", default_zonepath(zone)),
    };
    Config { brand: brand.into(), ip_type: ip_type.into(), zonepath, ..Config::default() }
}

/// `/system/zones/%{zonename}`, the zonepath of a zone of Solaris 11 that has been given none.
pub fn default_zonepath(zone: &str) -> String {
    format!("/system/zones/{zone}")
}

/// `create`. illumos: the default brand's template, exclusive IP; Solaris 10: SUNWdefault, a sparse root.
pub fn default_template(profile: Profile) -> Config {
    if profile == Profile::Omnios {
        return blank(profile, "");
    }
    let inherited = ["/lib", "/platform", "/sbin", "/usr"];
    let resources = inherited.map(|dir| Resource::of("inherit-pkg-dir", &[("dir", dir)])).into();
    Config { resources, ..blank(Profile::Solaris10, "") }
}

/// `create -a PATH`: the document that detach left, with its zonepath replaced. `P/root` must be a
/// directory: the data must be received and mounted first.
pub fn detached(host: &Host, path: &str) -> Result<Result<Config, &'static str>> {
    let document = host.path(path).join("SUNWdetached.xml");
    let root = host.path(&format!("{path}/root"));
    let text = match fs::read_to_string(document) {
        Ok(text) if path.starts_with('/') && root.is_dir() => text,
        _ => return Ok(Err("invalid path to detached zone")),
    };
    Ok(match xml::read(&text) {
        Ok((config, _)) => Ok(Config { zonepath: path.to_owned(), ..config }),
        Err(xml::Invalid::Syntax) => Err("invalid path to detached zone"),
        Err(xml::Invalid::Unknown(_)) => Err("Cannot attach to an earlier release of the operating system"),
    })
}
