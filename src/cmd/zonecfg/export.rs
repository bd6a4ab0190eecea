//! Reader of `zonecfg export`: one command a line, in the order of `export_func` in `zonecfg.c`.

use std::collections::BTreeMap;

use crate::cmd::ParseError;
use crate::cmd::zoneadm::ZoneLine;

/// A zone's configuration. What has its default may be missing (Solaris 11.4), as `brand` is for `native`
/// zones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ZoneConfig {
    /// Properties of the zone itself: `zonepath`, `brand`, `autoboot`, `ip-type`, …
    pub globals: BTreeMap<String, String>,
    /// `fs`, `net`, `dataset`, … in the order of the export.
    pub resources: Vec<Resource>,
}

/// One `add KIND … end`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resource {
    /// `fs`, `net`, `device`, `rctl`, `attr`, `dataset`, …
    pub kind: String,
    /// Its properties in order; those of `add` may stand there several times.
    pub properties: Vec<Property>,
}

/// One property of a resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Property {
    /// Its name.
    pub name: String,
    /// Its value without quotes; a complex one as it is written: `(priv=privileged,limit=20,action=none)`, or
    /// `(name=gateway,value="192.0.2.1")` on OmniOS and SmartOS.
    pub value: String,
    /// Whether it is a list's member, made by `add NAME VALUE` and not by `set NAME=VALUE`.
    pub added: bool,
}

impl ZoneConfig {
    /// Reads an export.
    ///
    /// # Errors
    /// On a line that isn't `create -b`, `set`, `add` or `end` in its place, a property set twice, or a
    /// resource without `end`.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut config = Self::default();
        let mut open: Option<Resource> = None;
        let mut created = false;
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let fault = |why: &str| ParseError::at(index, line, why);
            let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
            if !created {
                created = line == "create -b";
                if !created {
                    return Err(fault("is not `create -b`"));
                }
                continue;
            }
            match (command, &mut open) {
                ("set", resource) => {
                    let (name, value) = rest.split_once('=').ok_or_else(|| fault("sets no property"))?;
                    let (name, value) = (plain(name).ok_or_else(|| fault("has no property's name"))?, value);
                    let value = unquoted(value).ok_or_else(|| fault("has an unbalanced quote"))?.to_owned();
                    let twice = match resource {
                        None => config.globals.insert(name, value).is_some(),
                        Some(resource) => {
                            let twice = resource.get(&name).is_some();
                            resource.properties.push(Property { name, value, added: false });
                            twice
                        }
                    };
                    if twice {
                        return Err(fault("sets a property again"));
                    }
                }
                ("add", Some(resource)) => {
                    let (name, value) = rest.split_once(' ').ok_or_else(|| fault("adds no value"))?;
                    let name = plain(name).ok_or_else(|| fault("has no property's name"))?;
                    let value = unquoted(value).ok_or_else(|| fault("has an unbalanced quote"))?.to_owned();
                    resource.properties.push(Property { name, value, added: true });
                }
                ("add", none) => {
                    let kind = plain(rest).ok_or_else(|| fault("adds no resource"))?;
                    *none = Some(Resource { kind, properties: Vec::new() });
                }
                ("end", resource) if rest.is_empty() => {
                    config.resources.push(resource.take().ok_or_else(|| fault("ends no resource"))?);
                }
                _ => return Err(fault("is not known")),
            }
        }
        match open {
            None if created => Ok(config),
            None => Err(ParseError::at(0, text, "is missing")),
            Some(resource) => Err(ParseError::at(text.lines().count(), &resource.kind, "lacks an `end`")),
        }
    }

    /// Fills in what Solaris 11.4 leaves out because it is the default there, from the zone's line of `zoneadm list`; and the zonepath
    /// that it may write as a template. What others always write stays as it is.
    pub fn complete(&mut self, line: &ZoneLine) {
        self.globals.entry("autoboot".to_owned()).or_insert_with(|| "false".to_owned());
        for (name, value) in told(line) {
            let left_out = self.global(name).is_none_or(|value| value.contains("%{"));
            if left_out {
                self.globals.insert(name.to_owned(), value);
            }
        }
    }

    /// The text of this configuration, as exported, with the same filled in: another host has other defaults.
    pub fn completed(&self, text: &str, line: &ZoneLine) -> String {
        let mut lines: Vec<String> = Vec::new();
        let mut missing: Vec<_> =
            told(line).into_iter().filter(|(name, _)| self.global(name).is_none()).collect();
        for old in text.lines() {
            let template = old.starts_with("set zonepath=") && old.contains("%{");
            lines.push(if template {
                format!("set zonepath={}", line.zonepath.display())
            } else {
                old.to_owned()
            });
            if old == "create -b" {
                lines.extend(missing.drain(..).map(|(name, value)| format!("set {name}={value}")));
            }
        }
        lines.join("\n") + "\n"
    }

    /// Whether both say the same. The order of resources has no meaning: zonecfg moves an edited one to the end of its
    /// kind (libzonecfg unlinks and appends it), and zoneadmd sorts file systems by directory before it mounts them.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let sorted = |config: &Self| {
            let mut resources = config.resources.clone();
            resources.sort();
            resources
        };
        self.globals == other.globals && sorted(self) == sorted(other)
    }

    /// A property of the zone itself.
    pub fn global(&self, name: &str) -> Option<&str> {
        self.globals.get(name).map(String::as_str)
    }

    /// The resources of one kind.
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Resource> {
        self.resources.iter().filter(move |resource| resource.kind == kind)
    }

    /// Whether the zone boots with the host. zonecfg's default is false.
    pub fn autoboot(&self) -> bool {
        self.global("autoboot") == Some("true")
    }

    /// The brand: Solaris 10 and illumos leave out `native`.
    pub fn brand(&self) -> &str {
        self.global("brand").unwrap_or("native")
    }
}

impl Resource {
    /// The value of a property that is `set`.
    pub fn get(&self, name: &str) -> Option<&str> {
        let property = self.properties.iter().find(|property| property.name == name && !property.added);
        property.map(|property| property.value.as_str())
    }
}

/// What `zoneadm list -p` tells of the properties that an export may leave out. `native` is no default of Solaris 11, and where it
/// is left out it is the only one that can be.
fn told(line: &ZoneLine) -> Vec<(&'static str, String)> {
    let mut told = vec![("zonepath", line.zonepath.display().to_string())];
    told.extend(line.brand.clone().filter(|brand| brand != "native").map(|brand| ("brand", brand)));
    told.extend(
        line.ip_type.as_deref().filter(|ip| *ip == "excl").map(|_| ("ip-type", "exclusive".to_owned())),
    );
    told
}

fn plain(word: &str) -> Option<String> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    (!word.is_empty() && word.bytes().all(legal)).then(|| word.to_owned())
}

/// Removes the quotes of a simple value. There is no way to write a quote inside of them (`zonecfg_lex.l`). A complex
/// value keeps the quotes of its parts.
fn unquoted(value: &str) -> Option<&str> {
    if value.starts_with('(') {
        let is_whole = value.ends_with(')') && value.matches('"').count().is_multiple_of(2);
        return is_whole.then_some(value);
    }
    let inner = match value.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"')?,
        None => value,
    };
    (!inner.contains('"')).then_some(inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::sample::sample;

    #[test]
    fn a_solaris_10_export_is_read() {
        let config = ZoneConfig::parse(sample!("zonecfg/export-s10.txt")).unwrap();
        assert_eq!(config.global("zonepath"), Some("/export/zones/dbbackup"));
        assert_eq!(config.global("bootargs"), Some("-m verbose"));
        assert!(config.autoboot());
        assert_eq!(config.brand(), "native");
        let kinds: Vec<_> = config.resources.iter().map(|resource| resource.kind.as_str()).collect();
        assert_eq!(kinds, ["inherit-pkg-dir", "fs", "fs", "net", "rctl", "attr", "dataset"]);
        let options: Vec<_> =
            config.resources[2].properties.iter().filter(|p| p.added).map(|p| p.value.as_str()).collect();
        assert_eq!(options, ["ro", "nodevices"]);
        assert_eq!(config.resources[4].properties[1].value, "(priv=privileged,limit=20,action=none)");
        assert_eq!(config.of_kind("attr").next().unwrap().get("value"), Some("database backup"));
        assert_eq!(config.of_kind("dataset").next().unwrap().get("name"), Some("data/zones/dbbackup/tank"));
    }

    #[test]
    fn a_solaris_11_export_is_read() {
        let config = ZoneConfig::parse(sample!("zonecfg/export-s11.txt")).unwrap();
        assert_eq!(config.brand(), "solaris");
        assert_eq!(config.of_kind("anet").next().unwrap().get("lower-link"), Some("auto"));
    }

    #[test]
    fn what_solaris_11_4_leaves_out_is_filled_in_from_the_zones_line() {
        let text = "-:web:installed:/system/zones/web::solaris:excl:-:::\n";
        let line = crate::cmd::zoneadm::parse_list(text).unwrap().remove(0);
        for (export, wanted) in [
            (
                "create -b\nset autoboot=true\n",
                "create -b\nset zonepath=/system/zones/web\nset brand=solaris\nset ip-type=exclusive\nset autoboot=true\n",
            ),
            (
                "create -b\nset brand=solaris\nset zonepath=/system/zones/%{zonename}\nset ip-type=exclusive\n",
                "create -b\nset brand=solaris\nset zonepath=/system/zones/web\nset ip-type=exclusive\n",
            ),
        ] {
            let mut config = ZoneConfig::parse(export).unwrap();
            let completed = config.completed(export, &line);
            assert_eq!(completed, wanted);
            config.complete(&line);
            let mut again = ZoneConfig::parse(&completed).unwrap();
            again.complete(&line);
            assert_eq!(config, again);
            assert_eq!((config.brand(), config.global("zonepath")), ("solaris", Some("/system/zones/web")));
        }
        let whole = sample!("zonecfg/export-s10.txt");
        let line =
            crate::cmd::zoneadm::parse_list("3:dbbackup:running:/export/zones/dbbackup::native:shared\n")
                .unwrap()
                .remove(0);
        assert_eq!(ZoneConfig::parse(whole).unwrap().completed(whole, &line), whole);
    }

    /// [real] zonecfg of OmniOS, export of a zone with net and device properties.
    const NET_PROPERTIES: &str = "create -b\nset zonepath=/export/zones/web\nset brand=sparse\nset ip-type=exclusive\n\
        add net\nset physical=\"web0\"\nadd property (name=primary,value=\"true\")\n\
        add property (name=gateway,value=\"192.0.2.1\")\nend\n\
        add device\nset match=\"/dev/zvol/rdsk/tank/v1\"\nadd property (name=model,value=\"virtio blk\")\nend\n";

    #[test]
    fn net_properties_survive_a_round_trip() {
        let config = ZoneConfig::parse(NET_PROPERTIES).unwrap();
        let net = config.of_kind("net").next().unwrap();
        let values: Vec<_> =
            net.properties.iter().filter(|p| p.name == "property").map(|p| p.value.as_str()).collect();
        assert_eq!(values, [r#"(name=primary,value="true")"#, r#"(name=gateway,value="192.0.2.1")"#]);
        let script = crate::cmd::zonecfg::Script::new().create(&config).unwrap();
        assert!(
            script.text().contains("add property (name=model,value=\"virtio blk\")\n"),
            "{}",
            script.text()
        );
        assert_eq!(ZoneConfig::parse(&script.text()).unwrap(), config);
    }

    #[test]
    fn the_order_of_resources_does_not_matter() {
        let text = |blocks: [&str; 3]| format!("create -b\nset zonepath=/z\n{}", blocks.concat());
        let (pkgsrc, mnt) = ("add fs\nset dir=/opt\nend\n", "add fs\nset dir=/mnt\nadd options ro\nend\n");
        let tank = "add dataset\nset name=tank/a\nend\n";
        let read = |blocks| ZoneConfig::parse(&text(blocks)).unwrap();
        assert!(read([pkgsrc, mnt, tank]).says_the_same(&read([mnt, pkgsrc, tank])));
        assert!(!read([pkgsrc, mnt, tank]).says_the_same(&read([pkgsrc, mnt, mnt])));
        assert!(!read([pkgsrc, mnt, tank]).says_the_same(&read([pkgsrc, pkgsrc, tank])));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for (bad, line) in [
            ("", 1),
            ("set a=b\n", 1),
            ("create -b\nselect net\n", 2),
            ("create -b\nset zonepath\n", 2),
            ("create -b\nset a=b\nset a=c\n", 3),
            ("create -b\nset a=\"b\n", 2),
            ("create -b\nset a=\"b\"c\"\n", 2),
            ("create -b\nset a=(b=\"c)\n", 2),
            ("create -b\nset a=(b=c\n", 2),
            ("create -b\nend\n", 2),
            ("create -b\nadd net\nadd fs\n", 3),
            ("create -b\nadd net\nset a=b\n", 4),
            ("create -b\nend now\n", 2),
        ] {
            assert_eq!(ZoneConfig::parse(bad).unwrap_err().line, line, "{bad:?}");
        }
    }
}
