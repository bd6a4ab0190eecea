//! What `export` and `info` print.

use crate::zones::config::{Config, GLOBALS, INFO_ORDER, KINDS, Resource};

/// A value as export quotes it: only where it holds a blank.
fn quoted(value: &str) -> String {
    if value.contains(' ') { format!("\"{value}\"") } else { value.to_owned() }
}

/// `zonecfg export`, one command a line.
pub fn export(config: &Config) -> String {
    let mut lines = vec!["create -b".to_owned()];
    let mut set = |name: &str, value: &str| {
        if !value.is_empty() {
            // bootargs are printed as they are, blanks and all.
            let shown = if name == "bootargs" { value.to_owned() } else { quoted(value) };
            lines.push(format!("set {name}={shown}"));
        }
    };
    set("zonepath", &config.zonepath);
    if config.brand != "native" {
        set("brand", &config.brand);
    }
    set("autoboot", if config.autoboot { "true" } else { "false" });
    let global = |name: &str| config.globals.get(name).map_or("", String::as_str);
    for &name in &GLOBALS[..4] {
        set(name, global(name));
    }
    set("ip-type", &config.ip_type);
    for &name in &GLOBALS[4..] {
        set(name, global(name));
    }
    for kind in KINDS {
        for resource in config.all(kind.name) {
            export_resource(&mut lines, resource);
        }
    }
    lines.join("\n")
}

fn export_resource(lines: &mut Vec<String>, resource: &Resource) {
    lines.push(format!("add {}", resource.kind.name));
    for (name, _) in resource.kind.properties {
        let value = resource.get(name);
        if !value.is_empty() {
            lines.push(format!("set {name}={}", quoted(value)));
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

/// `zonecfg info`: all of it, or one property or kind of resource; `with` picks resources by property.
pub fn info(config: &Config, what: Option<&str>, with: &[(String, String)], illumos: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let wanted = |name: &str| what.is_none_or(|what| what == name);
    let mut show = |name: &str, value: &str| {
        if wanted(name) {
            lines.push(format!("{name}: {value}"));
        }
    };
    let global = |name: &str| config.globals.get(name).map_or("", String::as_str);
    show("zonename", &config.name);
    show("zonepath", &config.zonepath);
    show("brand", &config.brand);
    show("autoboot", if config.autoboot { "true" } else { "false" });
    for &name in &GLOBALS[..4] {
        show(name, global(name));
    }
    show("ip-type", &config.ip_type);
    if illumos {
        for &name in &GLOBALS[4..] {
            show(name, global(name));
        }
    }
    for kind in INFO_ORDER.iter().filter(|kind| wanted(kind)) {
        for resource in config.all(kind) {
            if with.iter().all(|(name, value)| resource.get(name) == value) {
                lines.extend(info_resource(config, resource, illumos));
            }
        }
    }
    lines
}

/// One resource, as info shows it.
pub fn info_resource(config: &Config, resource: &Resource, illumos: bool) -> Vec<String> {
    let name = resource.kind.name;
    let mut lines = vec![format!("{name}:")];
    for (property, _) in resource.kind.properties {
        let value = resource.get(property);
        // Properties that a release or zone does not have are not mentioned when they are not set.
        let rare = matches!(*property, "global-nic" | "mac-addr" | "vlan-id")
            || *property == "allowed-address" && (!illumos || config.shared_ip());
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
        assert_eq!(export(&config), expected);
        let shown = info(&config, None, &[], false).join("\n");
        assert!(shown.contains("scheduling-class: \nip-type: shared\nfs:\n\tdir: /export/home\n"), "{shown}");
        assert!(shown.contains("\traw not specified\n\ttype: lofs\n\toptions: [ro,nodevices]\n"), "{shown}");
        assert_eq!(info(&config, Some("zonepath"), &[], false), ["zonepath: /export/zones/dbbackup"]);
        assert!(info(&config, Some("device"), &[], false).is_empty());
    }
}
