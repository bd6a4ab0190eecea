//! One property or resource of a zone's configuration: does it stay within the zone?

use std::collections::BTreeSet;

use super::text::{listed, shown, words};
use crate::cmd::zonecfg::Resource;
use crate::config::Accept;
use crate::host::brand::Brand;
use crate::job::path;

/// Properties of the zone that stay within it, or that zmigrate sets itself. `cpu-shares` and
/// `max-…` are other words for rctls (zonecfg(8); unverified).
const HARMLESS: [&str; 19] = [
    "autoboot",
    "autoshutdown",
    "boot-priority",
    "bootargs",
    "brand",
    "cpu-shares",
    "file-mac-profile",
    "hostid",
    "ip-type",
    "max-lwps",
    "max-msg-ids",
    "max-processes",
    "max-sem-ids",
    "max-shm-ids",
    "max-shm-memory",
    "pool",
    "version",
    "zonename",
    "zonepath",
];
/// Resources that stay within the zone, or that bound it.
const HARMLESS_KINDS: [&str; 8] =
    ["net", "anet", "attr", "rctl", "capped-cpu", "capped-memory", "dedicated-cpu", "security-flags"];
/// What a zone may mount by default: hsfs and network file systems (zonecfg(8), `fs-allowed`;
/// unverified). That a file system of a zone's own making can harm the kernel is why others have to
/// be allowed.
const MOUNTABLE: [&str; 4] = ["hsfs", "nfs", "smbfs", "autofs"];
/// The classes of priocntl(1) that share the processor (unverified).
const SHARING: [&str; 4] = ["FSS", "TS", "IA", "FX"];
/// Solaris 10's SUNWdefault.
const INHERITED: [&str; 4] = ["/lib", "/platform", "/sbin", "/usr"];

/// What one property or resource is judged by. Each judgement is a fragment that follows `zone
/// 'x'`.
pub(super) struct Judge<'a> {
    pub accept: &'a Accept,
    pub offered: BTreeSet<&'a str>,
    pub brand: Option<&'static Brand>,
}

impl Judge<'_> {
    pub fn global(&self, name: &str, value: &str) -> Option<String> {
        let shown_value = shown(value);
        match name {
            _ if HARMLESS.contains(&name) || value.is_empty() => None,
            "fs-allowed" => {
                let beyond: Vec<_> = words(value).filter(|kind| !MOUNTABLE.contains(kind)).collect();
                (!beyond.is_empty()).then(|| {
                    format!(
                        "may mount file systems of type {} (fs-allowed), which is not accepted; clear it",
                        listed(&beyond)
                    )
                })
            }
            "scheduling-class" => (!SHARING.contains(&value)).then(|| {
                format!("has scheduling-class {shown_value}, which is not accepted ({})", SHARING.join(", "))
            }),
            _ => Some(format!("has {}={shown_value}, which is not accepted; clear it", shown(name))),
        }
    }

    pub fn resource(&self, resource: &Resource) -> Option<String> {
        match resource.kind.as_str() {
            kind if HARMLESS_KINDS.contains(&kind) => None,
            "fs" => self.fs(resource),
            "dataset" => {
                let name = text(resource, "name");
                (!self.offered.contains(name)).then(|| {
                    format!("delegates dataset '{}', which does not come with it; remove it", shown(name))
                })
            }
            "device" if self.accept.devices => None,
            "device" => {
                let device = resource.get("match").or(resource.get("storage")).unwrap_or_default();
                Some(format!(
                    "has device {}, the target accepts none ([accept] devices); remove it",
                    shown(device)
                ))
            }
            "inherit-pkg-dir" => self.inherited(text(resource, "dir")),
            "admin" => Some(format!(
                "lets user '{}' administer it, which would change the target's own user_attr; remove that admin resource",
                shown(text(resource, "user"))
            )),
            kind => Some(format!("has a resource '{}', which is not accepted; remove it", shown(kind))),
        }
    }

    fn fs(&self, fs: &Resource) -> Option<String> {
        let (dir, special, kind) = (text(fs, "dir"), text(fs, "special"), text(fs, "type"));
        let what = format!("mounts {} at {}", shown(special), shown(dir));
        let options = fs.properties.iter().filter(|property| property.added);
        let devices = options.flat_map(|option| words(&option.value)).any(|option| option == "devices");
        if path::absolute(dir).is_err() {
            Some(format!("{what}, which is not an absolute path"))
        } else if fs.get("raw").is_some_and(|raw| !raw.is_empty()) {
            Some(format!("{what} by a raw device, which is not accepted; remove it"))
        } else if devices && !self.accept.devices {
            Some(format!("{what} with devices, the target accepts none ([accept] devices)"))
        } else {
            match kind {
                "lofs" if self.may_lofs(special) => None,
                "lofs" => {
                    let lofs = listed(&self.accept.lofs);
                    Some(format!(
                        "{what} from the global zone, the target accepts {lofs} ([accept] lofs); remove it"
                    ))
                }
                "zfs" if self.offered.contains(special) => None,
                "zfs" => Some(format!("{what}, a dataset which does not come with it; remove it")),
                _ => Some(format!("{what} with type '{}', which is not carried; remove it", shown(kind))),
            }
        }
    }

    fn may_lofs(&self, special: &str) -> bool {
        path::absolute(special).is_ok() && self.accept.lofs.iter().any(|top| path::is_within(special, top))
    }

    fn inherited(&self, dir: &str) -> Option<String> {
        let default = INHERITED.iter().any(|top| path::is_within(dir, top)) && path::absolute(dir).is_ok();
        let dir_shown = shown(dir);
        if !self.brand.is_some_and(|brand| brand.inherits) {
            Some(format!("inherits {dir_shown}, which only brand 'native' can; remove it"))
        } else if default || self.may_lofs(dir) {
            None
        } else {
            let lofs = listed(&self.accept.lofs);
            Some(format!(
                "inherits {dir_shown} of the global zone, the target accepts {lofs} ([accept] lofs); remove it"
            ))
        }
    }
}

fn text<'a>(resource: &'a Resource, property: &str) -> &'a str {
    resource.get(property).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::host::check::fixture::case;

    /// What is said about the zone of 2007 with `more` in its configuration.
    fn with(more: &str) -> String {
        let mut case = case();
        case.offer.survey.zone.config += more;
        case.refusals()
    }

    #[test]
    fn what_stays_within_the_zone_or_bounds_it_passes() {
        for more in [
            "set pool=batch\nset hostid=1234\nset bootargs=-m verbose\nset scheduling-class=FSS\nset fs-allowed=nfs,hsfs\n",
            "add rctl\nset name=zone.cpu-shares\nadd value (priv=privileged,limit=20,action=none)\nend\n",
            "add capped-memory\nset physical=1G\nend\nadd security-flags\nset lower=none\nend\n",
        ] {
            assert_eq!(with(more), "", "{more}");
        }
    }

    #[test]
    fn what_reaches_into_the_global_zone_is_refused() {
        for (more, why) in [
            (
                "add fs\nset dir=/mnt\nset special=/etc\nset type=lofs\nend\n",
                "mounts /etc at /mnt from the global zone, the target accepts nothing",
            ),
            (
                "add fs\nset dir=/mnt\nset special=data/other\nset type=zfs\nend\n",
                "a dataset which does not come with it",
            ),
            ("add fs\nset dir=/mnt\nset special=/dev/dsk/c0\nset type=ufs\nend\n", "type 'ufs'"),
            (
                "add fs\nset dir=/../mnt\nset special=data/zones/dbbackup/pkgsrc\nset type=zfs\nend\n",
                "which is not an absolute path",
            ),
            ("add fs\nset dir=/mnt\nset special=/a\nset raw=/dev/r\nset type=lofs\nend\n", "raw device"),
            (
                "add fs\nset dir=/mnt\nset special=data/zones/dbbackup/pkgsrc\nset type=zfs\nadd options [ro,devices]\nend\n",
                "with devices",
            ),
            ("add dataset\nset name=rpool/data\nend\n", "delegates dataset 'rpool/data'"),
            ("add device\nset match=/dev/rdsk/*\nend\n", "has device /dev/rdsk/*"),
            ("add inherit-pkg-dir\nset dir=/usr\nend\n", "only brand 'native'"),
            ("add admin\nset user=joe\nset auths=manage\nend\n", "user 'joe'"),
            ("add rootzpool\nset storage=dev:dsk/c0\nend\n", "a resource 'rootzpool'"),
            ("set fs-allowed=ufs,nfs\n", "file systems of type ufs (fs-allowed)"),
            ("set scheduling-class=RT\n", "scheduling-class RT"),
            ("set global-time=true\n", "has global-time=true"),
            ("add net\n", "can't be read"),
        ] {
            let said = with(more);
            assert!(said.contains(why), "{more}: {said}");
        }
    }

    #[test]
    fn what_the_target_accepts_passes() {
        let mut case = case();
        case.accept.devices = true;
        case.accept.lofs = vec!["/export/share".to_owned()];
        for (special, fine) in [
            ("/export/share", true),
            ("/export/share/a", true),
            ("/export/share2", false),
            ("/export/share/../x", false),
        ] {
            let mut case = super::super::fixture::case();
            case.accept.lofs = vec!["/export/share".to_owned()];
            case.offer.survey.zone.config +=
                &format!("add fs\nset dir=/mnt\nset special={special}\nset type=lofs\nend\n");
            assert_eq!(case.refusals().is_empty(), fine, "{special}: {}", case.refusals());
        }
        case.offer.survey.zone.config += "add device\nset match=/dev/x\nend\n";
        assert_eq!(case.refusals(), "");
        assert!(case.findings().contains("devices of the global zone: /dev/x"));
    }

    #[test]
    fn a_sparse_root_zone_of_solaris_10_inherits_the_default_directories() {
        let mut case = case();
        case.offer.survey.zone.brand = "native".to_owned();
        case.offer.survey.zone.config = case.offer.survey.zone.config.replace("set brand=sparse\n", "");
        let native = case.offer.survey.zone.config.clone();
        for (dir, fine) in
            [("/usr", true), ("/lib", true), ("/opt", false), ("/usr/../etc", false), ("/etc", false)]
        {
            case.offer.survey.zone.config = format!("{native}add inherit-pkg-dir\nset dir={dir}\nend\n");
            assert_eq!(case.refusals().is_empty(), fine, "{dir}: {}", case.refusals());
        }
    }
}
