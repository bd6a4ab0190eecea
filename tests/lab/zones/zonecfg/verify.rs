//! zonecfg's own verify: it checks the configuration, not the host. That is zoneadm verify's.

use crate::world::Profile;
use crate::zones::config::Config;

/// The brands that an OmniOS host may have, and OpenIndiana's nlipkg.
const BRANDS: &[&str] =
    &["bhyve", "emu", "illumos", "ipkg", "kvm", "lipkg", "lx", "nlipkg", "pkgsrc", "s10", "sparse"];

/// What is wrong: each fault, and libzonecfg's word for the first of them.
pub fn faults(config: &Config) -> Option<(Vec<String>, &'static str)> {
    let mut found: Vec<(String, &str)> = Vec::new();
    if config.zonepath.is_empty() {
        found.push(("zonepath cannot be empty.".into(), "Required resource missing"));
    }
    let shares = config.all("rctl").any(|rctl| rctl.get("name") == "zone.cpu-shares");
    if shares && config.all("dedicated-cpu").next().is_some() {
        let text = "rctl zone.cpu-shares and dedicated-cpu are incompatible.";
        found.push((text.into(), "Incompatible settings"));
    }
    let class = config.globals.get("scheduling-class").filter(|class| !class.is_empty() && *class != "FSS");
    if let Some(class) = class.filter(|_| shares) {
        let text = format!("WARNING: rctl zone.cpu-shares and scheduling-class={class} are incompatible");
        found.push((text, "Incompatible settings"));
    }
    for net in config.all("net") {
        let shared = config.shared_ip();
        if shared && net.get("address").is_empty() {
            found.push(("net: address not specified".into(), "Required property missing"));
        }
        let stray = if shared { "allowed-address" } else { "address" };
        if !net.get(stray).is_empty() {
            let ip_type = if shared { "a shared" } else { "an exclusive" };
            let text = format!("net: {stray} cannot be specified for {ip_type} IP type");
            found.push((text, "Invalid argument"));
        }
    }
    if config.datasets().any(|name| name.starts_with('/') || name.contains("//")) {
        found.push(("dataset: name invalid".into(), "Bad document property"));
    }
    let first = found.first()?.1;
    Some((found.into_iter().map(|(text, _)| text).collect(), first))
}

/// Whether the host has no such brand.
pub fn is_unknown_brand(config: &Config, profile: Profile) -> bool {
    profile == Profile::Omnios && !BRANDS.contains(&config.brand.as_str())
}
