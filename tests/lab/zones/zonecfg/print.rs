//! What `export` and `info` print.

use super::create;
use super::global::ALIASES;
use crate::world::Profile;
use crate::zones::config::{Config, GLOBALS, INFO_ORDER, KINDS, Resource};

/// A value as info quotes it, and export of Solaris: only where it holds a blank.
fn quoted(value: &str) -> String {
    if value.contains(' ') { format!("\"{value}\"") } else { value.to_owned() }
}

/// A resource's value in an export: illumos quotes all but numbers (recorded).
fn exported(kind: &str, value: &str, profile: Profile) -> String {
    if profile != Profile::Omnios {
        return quoted(value);
    }
    if matches!(kind, "capped-memory" | "dedicated-cpu") { value.to_owned() } else { format!("\"{value}\"") }
}

/// `zonecfg export`, one command a line. Solaris 11.4 leaves out what has its default, the zonepath too, and has the brand
/// first (the documents' export of an earlier 11 has it there).
pub fn export(config: &Config, profile: Profile) -> String {
    let eleven = profile == Profile::Solaris11;
    let mut lines = vec!["create -b".to_owned()];
    let mut set = |name: &str, value: &str, default: &str| {
        let shown = !(value.is_empty() || eleven && value == default);
        if shown {
            // illumos prints all of these as they are, blanks and all, and so does Solaris bootargs.
            let bare = name == "bootargs" || profile == Profile::Omnios;
            let shown = if bare { value.to_owned() } else { quoted(value) };
            lines.push(format!("set {name}={shown}"));
        }
    };
    let zonepath = create::default_zonepath(&config.name);
    if eleven {
        set("brand", &config.brand, "solaris");
    }
    set("zonepath", &config.zonepath, &zonepath);
    if config.brand != "native" && !eleven {
        set("brand", &config.brand, "");
    }
    set("autoboot", if config.autoboot { "true" } else { "false" }, "false");
    let global = |name: &str| config.globals.get(name).map_or("", String::as_str);
    for &name in &GLOBALS[..4] {
        set(name, global(name), "");
    }
    set("ip-type", &config.ip_type, "exclusive");
    for &name in &GLOBALS[4..] {
        set(name, global(name), "");
    }
    for kind in KINDS {
        for resource in config.all(kind.name) {
            export_resource(&mut lines, resource, profile);
        }
    }
    lines.join("\n")
}

fn export_resource(lines: &mut Vec<String>, resource: &Resource, profile: Profile) {
    lines.push(format!("add {}", resource.kind.name));
    for (name, _) in resource.kind.properties {
        let value = resource.get(name);
        if !value.is_empty() {
            lines.push(format!("set {name}={}", exported(resource.kind.name, value, profile)));
        }
    }
    for item in &resource.list {
        let shown = if resource.kind.name == "fs" && item.contains('=') {
            format!("\"{item}\"")
        } else {
            item.clone()
        };
        lines.push(format!("add {} {shown}", resource.kind.list.unwrap_or_default()));
    }
    lines.push("end".into());
}

/// `zonecfg info`: all of it, or one property or kind of resource; `with` picks resources by property. Asked for all, Solaris
/// 11.4 shows only what differs from the default, and gives resources their number.
pub fn info(config: &Config, what: Option<&str>, with: &[(String, String)], profile: Profile) -> Vec<String> {
    let brief = profile == Profile::Solaris11 && what.is_none();
    let mut lines = Vec::new();
    let wanted = |name: &str| what.is_none_or(|what| what == name);
    let mut show = |name: &str, value: &str, default: &str| {
        if wanted(name) && !(brief && value == default) {
            lines.push(format!("{name}: {value}"));
        }
    };
    let global = |name: &str| config.globals.get(name).map_or("", String::as_str);
    show("zonename", &config.name, "");
    show("zonepath", &config.zonepath, &create::default_zonepath(&config.name));
    show("brand", &config.brand, "solaris");
    show("autoboot", if config.autoboot { "true" } else { "false" }, "false");
    for &name in &GLOBALS[..4] {
        show(name, global(name), "");
    }
    show("ip-type", &config.ip_type, "exclusive");
    if profile != Profile::Solaris10 {
        for &name in &GLOBALS[4..] {
            show(name, global(name), "");
        }
    }
    if profile == Profile::Omnios {
        lines.extend(aliases(config).filter(|(name, _)| wanted(name)).map(|(_, line)| line));
    }
    for kind in INFO_ORDER.iter().filter(|kind| wanted(kind)) {
        for (number, resource) in config.all(kind).enumerate() {
            if with.iter().all(|(name, value)| resource.get(name) == value) {
                let mut shown = info_resource(config, resource, profile);
                if profile == Profile::Solaris11 {
                    shown[0] = format!("{kind} {number}:");
                    shown.retain(|line| !brief || !line.ends_with(" not specified"));
                }
                lines.extend(shown);
            }
        }
    }
    lines
}

/// The resource controls that have a short name: `[cpu-shares: 20]`.
fn aliases(config: &Config) -> impl Iterator<Item = (&'static str, String)> {
    ALIASES.iter().filter_map(|(alias, _)| {
        let full = format!("zone.{alias}");
        let rctl = config.all("rctl").find(|rctl| rctl.get("name") == full)?;
        let limit = rctl.list.first()?.split(',').find_map(|part| part.strip_prefix("limit="))?;
        Some((*alias, format!("[{alias}: {limit}]")))
    })
}

/// Whether `info` knows this word.
pub fn is_shown(what: &str, profile: Profile) -> bool {
    ["zonename", "zonepath", "brand", "autoboot", "ip-type"].contains(&what)
        || GLOBALS.contains(&what)
        || INFO_ORDER.contains(&what)
        || profile == Profile::Omnios && ALIASES.iter().any(|(alias, _)| *alias == what)
}

/// One resource, as info shows it.
pub fn info_resource(config: &Config, resource: &Resource, profile: Profile) -> Vec<String> {
    let name = resource.kind.name;
    let mut lines = vec![format!("{name}:")];
    let mut properties: Vec<&str> = resource.kind.properties.iter().map(|(name, _)| *name).collect();
    let all_of_net = name == "net" && profile == Profile::Omnios;
    if all_of_net {
        properties.sort_unstable();
    }
    for property in properties {
        let value = resource.get(property);
        // Properties that a release or zone does not have are not mentioned when they are not set.
        let rare = !all_of_net && matches!(property, "global-nic" | "mac-addr" | "vlan-id")
            || !all_of_net
                && property == "allowed-address"
                && (profile == Profile::Solaris10 || config.shared_ip());
        match (value.is_empty(), rare) {
            (true, true) => {}
            (true, false) => lines.push(format!("\t{property} not specified")),
            (false, _) => lines.push(format!("\t{property}: {}", quoted(value))),
        }
    }
    match resource.kind.list {
        Some("options") => lines.push(format!("\toptions: [{}]", resource.list.join(","))),
        Some(list) => lines.extend(resource.list.iter().map(|value| format!("\t{list}: {value}"))),
        None => {}
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zone_of_2007_is_exported_as_the_manual_page_has_it() {
        let mut lofs =
            Resource::of("fs", &[("dir", "/export/home"), ("special", "/export/home"), ("type", "lofs")]);
        lofs.list = vec!["ro".into(), "nodevices".into()];
        let mut rctl = Resource::of("rctl", &[("name", "zone.cpu-shares")]);
        rctl.list = vec!["(priv=privileged,limit=20,action=none)".into()];
        let config = Config {
            name: "dbbackup".into(),
            zonepath: "/export/zones/dbbackup".into(),
            autoboot: true,
            brand: "native".into(),
            ip_type: "shared".into(),
            resources: vec![
                Resource::of("dataset", &[("name", "data/zones/dbbackup/tank")]),
                Resource::of(
                    "attr",
                    &[("name", "comment"), ("type", "string"), ("value", "database backup")],
                ),
                rctl,
                Resource::of(
                    "net",
                    &[("address", "192.0.2.10/24"), ("physical", "nge0"), ("defrouter", "192.0.2.1")],
                ),
                lofs,
            ],
            ..Config::default()
        };
        let expected = "create -b\nset zonepath=/export/zones/dbbackup\nset autoboot=true\nset ip-type=shared\n\
            add fs\nset dir=/export/home\nset special=/export/home\nset type=lofs\nadd options ro\n\
            add options nodevices\nend\nadd net\nset address=192.0.2.10/24\nset physical=nge0\n\
            set defrouter=192.0.2.1\nend\nadd rctl\nset name=zone.cpu-shares\n\
            add value (priv=privileged,limit=20,action=none)\nend\nadd attr\nset name=comment\nset type=string\n\
            set value=\"database backup\"\nend\nadd dataset\nset name=data/zones/dbbackup/tank\nend";
        assert_eq!(export(&config, Profile::Solaris10), expected);
        let shown = info(&config, None, &[], Profile::Solaris10).join("\n");
        assert!(shown.contains("scheduling-class: \nip-type: shared\nfs:\n\tdir: /export/home\n"), "{shown}");
        assert!(shown.contains("\traw not specified\n\ttype: lofs\n\toptions: [ro,nodevices]\n"), "{shown}");
        assert_eq!(
            info(&config, Some("zonepath"), &[], Profile::Solaris10),
            ["zonepath: /export/zones/dbbackup"]
        );
        assert!(info(&config, Some("device"), &[], Profile::Solaris10).is_empty());
    }

    #[test]
    fn solaris_11_4_leaves_out_what_has_its_default() {
        let mut config = create::blank(Profile::Solaris11, "web");
        config.name = "web".into();
        assert_eq!(export(&config, Profile::Solaris11), "create -b");
        assert_eq!(info(&config, None, &[], Profile::Solaris11), ["zonename: web"]);
        assert_eq!(info(&config, Some("zonepath"), &[], Profile::Solaris11), ["zonepath: /system/zones/web"]);
        config.zonepath = "/zones/web".into();
        config.ip_type = "shared".into();
        config.resources = vec![Resource::of("dataset", &[("name", "rpool/db")])];
        let wanted =
            "create -b\nset zonepath=/zones/web\nset ip-type=shared\nadd dataset\nset name=rpool/db\nend";
        assert_eq!(export(&config, Profile::Solaris11), wanted);
        assert!(info(&config, None, &[], Profile::Solaris11).contains(&"dataset 0:".to_owned()));
    }
}
