//! dladm: the links of a host, VNICs made by hand, and what a zone's boot does without its link.

use std::fs::File;
use std::io::Read;

use anyhow::Result;

use super::Net;
use crate::disk;
use crate::world::{Host, Profile, Settings, Vnic};
use crate::zones::config::{Config, Resource};

/// show-phys, show-link and show-vnic in the parsable form; create-vnic, delete-vnic, rename-link. What
/// create and delete refuse is libdladm's text (dladm_status2str, read), rename of a busy link unverified.
pub fn dladm(host: &Host, args: &[String]) -> Result<i32> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let settings = host.settings()?;
    match words.as_slice() {
        [verb @ ("show-phys" | "show-link" | "show-vnic"), "-p", "-o", columns] => {
            for link in links(&settings).filter(|link| match *verb {
                "show-phys" => link.class == "phys",
                "show-vnic" => link.class == "vnic",
                _ => true,
            }) {
                let cell = |column: &str| match column.to_ascii_lowercase().as_str() {
                    "link" => link.name,
                    "state" => "up",
                    "class" => link.class,
                    "over" => link.over,
                    _ => "",
                };
                out!("{}", columns.split(',').map(cell).collect::<Vec<_>>().join(":"));
            }
            Ok(0)
        }
        ["create-vnic", "-l", over, name] => {
            let why = if !settings.has_link(over) {
                Some("object not found")
            } else if settings.has_link(name) {
                Some("object already exists")
            } else {
                None
            };
            if let Some(why) = why {
                return refuse(&format!("vnic creation over {over} failed: {why}"));
            }
            change(host, settings, |settings| {
                settings.vnics.push(Vnic { name: (*name).to_owned(), over: (*over).to_owned() });
            })
        }
        ["delete-vnic", name] => {
            if !settings.vnics.iter().any(|vnic| vnic.name == *name) {
                return refuse("vnic deletion failed: object not found");
            }
            change(host, settings, |settings| settings.vnics.retain(|vnic| vnic.name != *name))
        }
        ["rename-link", from, to] => {
            let plumbed = Net::load(host)?.interface(from).is_some();
            let why = match (settings.has_link(from), settings.has_link(to), plumbed) {
                (false, ..) => "object not found",
                (_, true, _) => "object already exists",
                (.., true) => "link busy",
                _ => {
                    return change(host, settings, |settings| {
                        let names = settings.nics.iter_mut().map(|nic| &mut nic.name);
                        let names = names.chain(settings.vnics.iter_mut().map(|vnic| &mut vnic.name));
                        names.filter(|name| name == from).for_each(|name| (*to).clone_into(name));
                    });
                }
            };
            refuse(&format!("rename operation failed: {why}"))
        }
        _ => {
            err!(
                "dladm: the lab knows show-phys, show-link and show-vnic with -p -o COLUMNS, create-vnic -l LINK VNIC, \
                 delete-vnic VNIC, rename-link LINK LINK"
            );
            Ok(1)
        }
    }
}

struct Link<'a> {
    name: &'a str,
    class: &'static str,
    over: &'a str,
}

fn links(settings: &Settings) -> impl Iterator<Item = Link<'_>> {
    let phys = settings.nics.iter().map(|nic| Link { name: &nic.name, class: "phys", over: "" });
    phys.chain(settings.vnics.iter().map(|vnic| Link { name: &vnic.name, class: "vnic", over: &vnic.over }))
}

fn refuse(text: &str) -> Result<i32> {
    err!("dladm: {text}");
    Ok(1)
}

fn change(host: &Host, mut settings: Settings, by: impl FnOnce(&mut Settings)) -> Result<i32> {
    by(&mut settings);
    disk::store(&host.state_dir().join("host.json"), &settings)?;
    Ok(0)
}

/// The links that keep an exclusive-IP zone from booting, because the host does not have them. OmniOS's hooks
/// make a VNIC for a net with global-nic: `auto`, or a link that must be there.
pub fn missing<'a>(settings: &Settings, config: &'a Config) -> Vec<&'a str> {
    let lacks = |net: &&'a Resource| {
        let made_over = net.get("global-nic");
        let physical = net.get("physical");
        let there = match made_over {
            "" => settings.has_link(physical),
            "auto" => !settings.nics.is_empty(),
            over => settings.has_link(over),
        };
        !there
    };
    config.all("net").filter(lacks).map(|net| net.get("physical")).collect()
}

/// OmniOS's hooks write the MAC address that a VNIC received into the zone's configuration at its first boot
/// (omniosorg/illumos-omnios, brand/shared/vnic.ksh, read): by zonecfg, so an edited net comes last.
pub fn with_macs(profile: Profile, config: &Config) -> Result<Option<Config>> {
    let lacks = |net: &Resource| {
        net.kind.name == "net" && !net.get("global-nic").is_empty() && net.get("mac-addr").is_empty()
    };
    if profile != Profile::Omnios || config.shared_ip() || !config.resources.iter().any(lacks) {
        return Ok(None);
    }
    let mut config = config.clone();
    let (edited, mut resources): (Vec<Resource>, Vec<Resource>) =
        config.resources.into_iter().partition(lacks);
    for mut net in edited {
        let mut bytes = [0; 3];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        let [a, b, c] = bytes;
        net.values.insert("mac-addr".into(), format!("2:8:20:{a:x}:{b:x}:{c:x}"));
        resources.push(net);
    }
    config.resources = resources;
    Ok(Some(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exclusive_zone_needs_its_link_or_one_to_make_it_over() {
        let mut settings = Settings::omnios("zhost1", 1);
        settings.vnics.push(Vnic { name: "web0".into(), over: "nge0".into() });
        for (physical, global, wanted) in [
            ("web0", "", &[][..]),
            ("web1", "", &["web1"]),
            ("web1", "auto", &[]),
            ("web1", "nge0", &[]),
            ("web1", "bge0", &["web1"]),
        ] {
            let net = Resource::of("net", &[("physical", physical), ("global-nic", global)]);
            let config = Config { resources: vec![net], ..Config::default() };
            assert_eq!(missing(&settings, &config), wanted, "{physical} over {global}");
        }
    }
}
