//! The datasets that a zone's export names.
//!
//! This reader protects a zone's data from other zones' jobs, so it must not fail where
//! [`ZoneConfig`](super::ZoneConfig) does: it passes over every line that it does not understand.

use crate::job::name::DatasetName;

/// Where the nodes of volumes are. Solaris 11 writes them as storage URIs.
const VOLUMES: [&str; 6] = [
    "/dev/zvol/rdsk/",
    "/dev/zvol/dsk/",
    "dev:/dev/zvol/rdsk/",
    "dev:/dev/zvol/dsk/",
    "dev:zvol/rdsk/",
    "dev:zvol/dsk/",
];

/// Delegated datasets, datasets of `fs` resources of type zfs, and volumes: those of `device`
/// resources and those that the bhyve brands of illumos name in an `attr` (`bootdisk`, `disk0`, …).
pub fn datasets(export: &str) -> Vec<DatasetName> {
    let mut found = Vec::new();
    let mut open: Option<Open<'_>> = None;
    for line in export.lines().map(str::trim) {
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        match (command, &mut open) {
            ("add", None) => open = Some(Open { kind: rest.trim(), values: Vec::new() }),
            ("set", Some(resource)) => resource.values.extend(rest.split_once('=')),
            ("end", _) => found.extend(open.take().and_then(|resource| resource.dataset())),
            _ => {}
        }
    }
    found
}

struct Open<'a> {
    kind: &'a str,
    values: Vec<(&'a str, &'a str)>,
}

impl Open<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        let found = self.values.iter().find(|(known, _)| known.trim() == name);
        found.map(|(_, value)| value.trim().trim_matches('"'))
    }

    fn dataset(&self) -> Option<DatasetName> {
        let text = match self.kind {
            "dataset" => self.get("name")?,
            "fs" if self.get("type") == Some("zfs") => self.get("special")?,
            "device" => {
                let node = self.get("match").or_else(|| self.get("storage"))?;
                VOLUMES.iter().find_map(|place| node.strip_prefix(place))?
            }
            "attr" if self.get("name").is_some_and(is_disk) => self.get("value")?,
            _ => return None,
        };
        DatasetName::new(text).ok()
    }
}

fn is_disk(name: &str) -> bool {
    let number = name.strip_prefix("bootdisk").or_else(|| name.strip_prefix("disk"));
    number.is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::sample::sample;

    #[test]
    fn an_export_names_datasets_file_systems_and_volumes() {
        let names = |text: &str| datasets(text).iter().map(DatasetName::to_string).collect::<Vec<_>>();
        assert_eq!(names(sample!("zonecfg/export-s10.txt")).last().unwrap(), "data/zones/dbbackup/tank");
        let text = "create -b\nset zonepath=/z\nadd fs\nset dir=\"/d\"\nset special=\"data/shared\"\nset type=\"zfs\"\n\
                    add options ro\nend\nadd fs\nset dir=/e\nset special=/data/b\nset type=lofs\nend\n\
                    add device\nset match=\"/dev/zvol/rdsk/tank/v1\"\nadd property (name=model,value=\"virtio blk\")\nend\n\
                    add device\nset storage=dev:/dev/zvol/dsk/rpool/kz/disk0\nset id=0\nend\n\
                    add attr\nset name=bootdisk\nset type=string\nset value=tank/vm\nend\n\
                    add attr\nset name=comment\nset type=string\nset value=tank\nend\n";
        assert_eq!(names(text), ["data/shared", "tank/v1", "rpool/kz/disk0", "tank/vm"]);
    }

    #[test]
    fn lines_that_are_not_understood_hide_no_dataset() {
        let text = "what is this\nset x\nadd net\nset physical=\"a\nend now\nend\nadd dataset\nset name=data/x\nend\n";
        assert_eq!(datasets(text), [DatasetName::new("data/x").unwrap()]);
    }
}
