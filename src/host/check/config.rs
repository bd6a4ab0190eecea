//! The zone's configuration: all by which a zone can reach out of itself into this host.
//!
//! What isn't known to be harmless is refused, by name. Settled here, where the manual leaves it to the
//! administrator:
//!
//! - `admin` is refused: its commit changes this host's user_attr (unverified).
//! - `fs-allowed` may name what every zone may mount (hsfs and network file systems); others let the zone's root feed the
//!   kernel a file system of his own making.
//! - `scheduling-class` may be one that shares the processor; `RT` does not.
//! - `pool`, `security-flags`, rctls and caps pass: they bound the zone. A pool is named in the findings, as it must exist here.
//! - `inherit-pkg-dir` passes on Solaris 10 for the four directories of its default template; others are lofs
//!   mounts of the global zone and need `[accept.PEER] lofs`.

use std::collections::{BTreeMap, BTreeSet};

use super::{Check, Judgement, brand, edits, listed, shown};
use crate::cmd::zonecfg::{Resource, ZoneConfig};
use crate::config::Accept;
use crate::job::layout::Layout;
use crate::job::name::DatasetName;
use crate::job::path;

/// Properties of the zone that stay within it, or that zmigrate sets itself. `cpu-shares` and `max-…` are other
/// words for rctls (zonecfg(8); unverified).
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
/// What a zone may mount by default: hsfs and network file systems (zonecfg(8), `fs-allowed`; unverified). That a
/// file system of a zone's own making can harm the kernel is why others have to be allowed.
const MOUNTABLE: [&str; 4] = ["hsfs", "nfs", "smbfs", "autofs"];
/// The classes of priocntl(1) that share the processor (unverified).
const SHARING: [&str; 4] = ["FSS", "TS", "IA", "FX"];
/// Solaris 10's SUNWdefault.
const INHERITED: [&str; 4] = ["/lib", "/platform", "/sbin", "/usr"];

/// Judges the configuration that came with the survey, as it will be: datasets by their names on the target, and
/// the request's edits done.
pub(super) fn judge(check: &Check<'_>, judgement: &mut Judgement) {
    let zone = &check.offer.request.zone;
    let mut config = match ZoneConfig::parse(&check.offer.survey.zone.config) {
        Ok(config) => config,
        Err(why) => {
            judgement.refuse(format!("zone '{zone}' has a configuration that can't be read: {why}"));
            return;
        }
    };
    if config.brand() != check.offer.survey.zone.brand {
        let (said, configured) = (shown(&check.offer.survey.zone.brand), shown(config.brand()));
        judgement.refuse(format!(
            "zone '{zone}' is said to have brand '{said}' and is configured with '{configured}'"
        ));
    }
    let offered: Vec<DatasetName> = match check.layout {
        Ok(layout) => {
            on_target(&mut config, layout);
            layout.datasets.iter().map(|placed| placed.target.clone()).collect()
        }
        Err(_) => check.offer.survey.datasets.iter().map(|dataset| dataset.name.clone()).collect(),
    };
    judgement.refusals.extend(edits::apply(&mut config, &check.offer.request.target.zonecfg));
    let refusals = refusals(&config, check.accept, &offered);
    judgement.refusals.extend(refusals.iter().map(|why| format!("zone '{zone}' {why}")));
    findings(&config, judgement);
}

/// Why a zone with this configuration must not be attached on this host. `offered` are the zone's datasets, by the names
/// that the configuration has for them.
pub fn judge_config(config: &ZoneConfig, accept: &Accept, offered: &[DatasetName]) -> Vec<String> {
    refusals(config, accept, offered).iter().map(|why| format!("the zone {why}")).collect()
}

/// The reasons, as fragments that go behind `zone 'x'`.
fn refusals(config: &ZoneConfig, accept: &Accept, offered: &[DatasetName]) -> Vec<String> {
    let offered = offered.iter().map(DatasetName::as_str).collect();
    let judge = Judge { accept, offered, brand: config.brand() };
    let mut refusals: Vec<String> = Vec::new();
    // That of the survey has been judged already; another one would have been refused.
    if !brand::is_carried(config.brand()) {
        refusals.push(format!("is configured with brand '{}', which is not carried", shown(config.brand())));
    }
    let limitpriv = config.global("limitpriv").unwrap_or_default();
    refusals.extend(judge.limitpriv(limitpriv));
    let globals = config.globals.iter().filter(|(name, _)| *name != "limitpriv");
    refusals.extend(globals.filter_map(|(name, value)| judge.global(name, value)));
    refusals.extend(config.resources.iter().filter_map(|resource| judge.resource(resource)));
    refusals
}

/// What one property or resource is judged by. Each judgement is a fragment that goes behind `zone 'x'`.
struct Judge<'a> {
    accept: &'a Accept,
    offered: BTreeSet<&'a str>,
    brand: &'a str,
}

impl Judge<'_> {
    fn global(&self, name: &str, value: &str) -> Option<String> {
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

    /// A zone without limitpriv has `default`.
    fn limitpriv(&self, value: &str) -> Option<String> {
        let wanted = if value.is_empty() { "default" } else { value };
        let accepted = self.accept.limitpriv.as_str();
        (!no_wider(wanted, accepted)).then(|| {
            format!(
                "has limitpriv={}, the target accepts {accepted}; set limitpriv to that in [target.zonecfg]",
                shown(wanted)
            )
        })
    }

    fn resource(&self, resource: &Resource) -> Option<String> {
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
            Some(format!("{what}, which is no path"))
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
        if self.brand != "native" {
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

/// Whether the privileges `wanted` are within `accepted`, both as zonecfg's limitpriv spells them: names and sets, `!x` or `-x`
/// takes one away (priv_str_to_set(3C); unverified). Read from left to right there, so a list that grants after it takes away is only known
/// when it is the very same.
fn no_wider(wanted: &str, accepted: &str) -> bool {
    let read = |list: &str| {
        let list = list.to_ascii_lowercase();
        let (taken, granted): (Vec<_>, Vec<_>) =
            words(&list).map(str::to_owned).partition(|word| word.starts_with(['!', '-']));
        let in_order = words(&list).skip_while(|word| !word.starts_with(['!', '-'])).count() == taken.len();
        let taken: BTreeSet<_> = taken.iter().map(|word| word[1..].to_owned()).collect();
        in_order.then(|| (granted.into_iter().collect::<BTreeSet<_>>(), taken))
    };
    wanted.eq_ignore_ascii_case(accepted)
        || read(wanted).zip(read(accepted)).is_some_and(|((granted, taken), (may, must_not))| {
            granted.is_subset(&may) && must_not.is_subset(&taken)
        })
}

fn text<'a>(resource: &'a Resource, property: &str) -> &'a str {
    resource.get(property).unwrap_or_default()
}

/// The words of a list, `a,b` or `[a,b]`.
fn words(list: &str) -> impl Iterator<Item = &str> {
    let list = list.trim_start_matches('[').trim_end_matches(']');
    list.split(',').map(str::trim).filter(|word| !word.is_empty())
}

/// Gives the zone's datasets their names on the target.
fn on_target(config: &mut ZoneConfig, layout: &Layout) {
    let places: BTreeMap<_, _> =
        layout.datasets.iter().map(|placed| (placed.source.as_str(), &placed.target)).collect();
    for resource in &mut config.resources {
        let is_zfs = resource.kind == "fs" && resource.get("type") == Some("zfs");
        let names = match resource.kind.as_str() {
            "dataset" => "name",
            "fs" if is_zfs => "special",
            _ => continue,
        };
        for property in resource.properties.iter_mut().filter(|property| property.name == names) {
            if let Some(target) = places.get(property.value.as_str()) {
                property.value = target.to_string();
            }
        }
    }
}

/// What the target's administrator may want to know.
fn findings(config: &ZoneConfig, judgement: &mut Judgement) {
    let mut of_kind = |kind: &str, property: &str, what: &str| {
        let named: Vec<_> = config.of_kind(kind).filter_map(|resource| resource.get(property)).collect();
        if !named.is_empty() {
            judgement.note(format!("{what}: {}", listed(&named)));
        }
    };
    of_kind("net", "physical", "network interfaces that must exist on the target");
    of_kind("anet", "lower-link", "links that must exist on the target");
    of_kind("inherit-pkg-dir", "dir", "directories of the global zone that the zone inherits");
    of_kind("device", "match", "devices of the global zone");
    let lofs = config.of_kind("fs").filter(|fs| fs.get("type") == Some("lofs"));
    let lofs: Vec<_> = lofs.filter_map(|fs| fs.get("special")).collect();
    if !lofs.is_empty() {
        judgement.note(format!("directories of the global zone that the zone mounts: {}", listed(&lofs)));
    }
    if let Some(pool) = config.global("pool").filter(|pool| !pool.is_empty()) {
        judgement.note(format!("resource pool that must exist on the target: {}", shown(pool)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::check::fixture::{case, name};

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
                "which is no path",
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

    #[test]
    fn a_brand_in_the_configuration_other_than_the_one_surveyed_is_refused() {
        let mut case = case();
        case.offer.survey.zone.config = case.offer.survey.zone.config.replace("=sparse", "=bhyve");
        let said = case.refusals();
        assert!(
            said.contains("is configured with 'bhyve'")
                && said.contains("brand 'bhyve', which is not carried"),
            "{said}"
        );
    }

    #[test]
    fn privileges_are_within_the_accepted_ones() {
        for (wanted, accepted, fine) in [
            ("", "default", true),
            ("default", "default", true),
            ("DEFAULT", "default", true),
            ("default,!net_rawaccess", "default", true),
            ("default,dtrace_user", "default,dtrace_user,dtrace_proc", true),
            ("default,dtrace_user", "default", false),
            ("all", "default", false),
            ("", "basic", false),
            ("default", "default,!sys_time", false),
            ("default,!sys_time", "default,-sys_time", true),
            // Taken away, then granted with all others.
            ("!sys_time,default", "default,!sys_time", false),
            ("default,!sys_time,sys_time", "default,!sys_time", false),
            ("!sys_time,default", "!sys_time,default", true),
        ] {
            let mut case = case();
            case.accept.limitpriv = accepted.to_owned();
            case.offer.survey.zone.config =
                case.offer.survey.zone.config.replace("limitpriv=default", &format!("limitpriv={wanted}"));
            assert_eq!(case.refusals().is_empty(), fine, "{wanted} of {accepted}: {}", case.refusals());
        }
    }

    #[test]
    fn datasets_are_judged_by_their_names_on_the_target() {
        let mut case = case();
        case.offer.request.target.datasets.insert(name("data/zones/dbbackup"), name("data/zones/db"));
        assert_eq!(case.refusals(), "");
        let config = ZoneConfig::parse(&case.offer.survey.zone.config).unwrap();
        let offered = [name("data/zones/db/pkgsrc"), name("data/zones/db/tank")];
        let said = judge_config(&config, &case.accept, &offered);
        assert_eq!(said.len(), 2, "{said:?}");
    }
}
