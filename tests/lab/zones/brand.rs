//! The hooks of the brands that keep their root as `P-ds/ROOT/zbe`: ipkg, lipkg, nlipkg, sparse,
//! pkgsrc.
//!
//! They follow OmniOS's brand scripts (omniosorg/pkg5,
//! src/brand/{ipkg,sparse}/{attach,detach,common.ksh}). Their complaints go to stdout as `ERROR:
//! …`; dated copies of all messages and pkg's own output go to a log. User properties mark the
//! active dataset: its parentbe is the global zone's boot environment, and its active is on. Brand
//! solaris is in [`super::solaris`].

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::attach::Options;
use super::attach_log::AttachLog;
use super::config::Config;
use super::{solaris, zfs};
use crate::world::{Host, Settings};

/// The boot environment of the global zone to which a zone's root belongs.
pub const PARENT: &str = "org.opensolaris.libbe:parentbe";
/// Whether it is the one that is used there.
pub const ACTIVE: &str = "org.opensolaris.libbe:active";
/// The datasets of sparse zones that lie over what comes from the global zone: name, place below the root.
const OVERLAYS: &[(&str, &str)] = &[("svc", "lib/svc"), ("fm", "usr/lib/fm")];
const NOT_A_DATASET: &str = "the zonepath must be a ZFS dataset.\n\
    The parent directory of the zonepath must be a ZFS dataset so that the\n\
    zonepath ZFS dataset can be created properly.";

/// What a hook ends with when it does not succeed: it has said all there is to say.
pub struct Refused;

/// The hook's last word.
pub fn fatal<T>(message: &str) -> Hook<T> {
    AttachLog::say(&format!("ERROR: {message}"))?;
    Ok(Err(Refused))
}

macro_rules! hook {
    ($step:expr) => {
        match $step? {
            Ok(value) => value,
            Err(refused) => return Ok(Err(refused)),
        }
    };
}
pub(super) use hook;

/// What a hook gives, or that it has refused.
pub type Hook<T> = Result<Result<T, Refused>>;

/// Sets one property, or fails as the hooks do.
pub fn configure(host: &Host, dataset: &str, setting: &str) -> Hook<()> {
    let done = match setting.strip_prefix("inherit ") {
        Some(property) => zfs::inherit(host, property, dataset)?,
        None => zfs::set(host, setting, dataset)?,
    };
    if done {
        Ok(Ok(()))
    } else {
        fatal(&format!("Failed to configure dataset {dataset}: could not set {setting}."))
    }
}

/// The dataset whose mountpoint is this path.
pub fn zonepath_dataset(host: &Host, path: &str) -> Hook<String> {
    match zfs::with_mountpoint(host, path)? {
        Some(dataset) => Ok(Ok(dataset)),
        None => fatal(NOT_A_DATASET),
    }
}

/// The zone root that belongs to the running boot environment.
pub fn active_dataset(host: &Host, settings: &Settings, root: &str) -> Hook<String> {
    let child = |name: &str| {
        name.strip_prefix(root)
            .and_then(|rest| rest.strip_prefix('/'))
            .is_some_and(|rest| !rest.contains('/'))
    };
    let parents = zfs::get_below(host, root, PARENT)?;
    let ours: Vec<_> = zfs::get_below(host, root, ACTIVE)?
        .into_iter()
        .filter(|(name, active)| {
            let parent = parents.iter().find(|(other, _)| other == name);
            child(name) && active == "on" && parent.is_some_and(|(_, be)| *be == settings.boot_environment)
        })
        .collect();
    match ours.as_slice() {
        [(name, _)] => Ok(Ok(name.clone())),
        [] => fatal("no active dataset."),
        _ => fatal("multiple active datasets."),
    }
}

/// The overlays that the zone has. The hooks of 2017 insist on both; here a zone may do without.
fn overlays<'a>(host: &Host, config: &Config, active: &'a str) -> Result<Vec<(String, &'a str)>> {
    let mut found = Vec::new();
    if config.brand == "sparse" || config.brand == "pkgsrc" {
        for (name, place) in OVERLAYS {
            let dataset = format!("{active}/{name}");
            if zfs::exists(host, &dataset)? {
                found.push((dataset, *place));
            }
        }
    }
    Ok(found)
}

fn mount_all(host: &Host, config: &Config, active: &str) -> Hook<()> {
    let root = format!("{}/root", config.zonepath);
    let mut wanted = vec![(active.to_owned(), root.clone())];
    for (dataset, place) in overlays(host, config, active)? {
        wanted.push((dataset, format!("{root}/{place}")));
    }
    for (dataset, path) in wanted {
        if zfs::mounted_at(host, &path)?.as_deref() == Some(dataset.as_str()) {
            continue;
        }
        fs::create_dir_all(host.path(&path))?;
        if let Err(why) = zfs::mount_at(host, &dataset, &path) {
            err!("mount: {why:#}");
            return fatal(&format!("Unable to mount the zone's ZFS dataset: {dataset}"));
        }
    }
    Ok(Ok(()))
}

/// prestate and poststate: the active dataset is mounted at P/root.
pub fn ensure_root_mounted(host: &Host, config: &Config) -> Hook<()> {
    if config.is_solaris() {
        return solaris::ensure_root_mounted(host, config);
    }
    let settings = host.settings()?;
    let zone_dataset = hook!(zonepath_dataset(host, &config.zonepath));
    let active = hook!(active_dataset(host, &settings, &format!("{zone_dataset}/ROOT")));
    mount_all(host, config, &active)
}

/// detach: leaves the root mounted by a mountpoint of its own, for the ease of migration.
pub fn detach(host: &Host, config: &Config) -> Hook<()> {
    if config.is_solaris() {
        return solaris::detach(host, config);
    }
    let settings = host.settings()?;
    let path = &config.zonepath;
    let zone_dataset = hook!(zonepath_dataset(host, path));
    let active = hook!(active_dataset(host, &settings, &format!("{zone_dataset}/ROOT")));
    hook!(configure(host, &active, "zoned=off"));
    hook!(configure(host, &active, "canmount=on"));
    hook!(configure(host, &active, &format!("mountpoint={path}/root")));
    for (dataset, place) in overlays(host, config, &active)? {
        hook!(configure(host, &dataset, "canmount=on"));
        hook!(configure(host, &dataset, &format!("mountpoint={path}/root/{place}")));
    }
    let linked = host.path(&format!("{path}/root/var/pkg/linked"));
    if linked.is_dir() {
        fs::remove_dir_all(linked)?;
    }
    let document = host.file("etc/zones").join(format!("{}.xml", config.name));
    fs::copy(document, host.path(path).join("SUNWdetached.xml"))?;
    Ok(Ok(()))
}

/// attach: takes what is mounted at P/root as the zone's root and binds it to this boot environment.
pub fn attach(host: &Host, config: &Config, options: &Options) -> Hook<()> {
    if config.is_solaris() {
        return solaris::attach(host, config, options);
    }
    let path = AttachLog::open(host, &format!("var/tmp/{}.attach_log.{}", config.name, six_letters()?))?;
    // As the hook of 2017 does. That of r151054 prints nothing but pkg's progress (omniosorg/omnios-build #4152).
    AttachLog::say(&format!("Log File: {path}"))?;
    let mut active = None;
    let done = attach_dataset(host, config, options.update, &mut active)?;
    if done.is_err() {
        if let Some(active) = active {
            zfs::set(host, "zoned=off", &active)?;
            zfs::set(host, "canmount=on", &active)?;
            zfs::set(host, &format!("mountpoint={}/root", config.zonepath), &active)?;
        }
        AttachLog::say("                    Result: Attach Failed.")?;
    }
    Ok(done)
}

/// What mktemp puts in the place of `XXXXXX`.
fn six_letters() -> Result<String> {
    Ok(super::new_uuid()?.chars().filter(char::is_ascii_alphanumeric).take(6).collect())
}

fn attach_dataset(host: &Host, config: &Config, update: bool, taken: &mut Option<String>) -> Hook<()> {
    let settings = host.settings()?;
    let path = &config.zonepath;
    let parent = match path.rsplit_once('/') {
        Some(("", _)) | None => "/",
        Some((parent, _)) => parent,
    };
    let parent_dataset = hook!(zonepath_dataset(host, parent));
    if parent_dataset == "rpool/ROOT" || parent_dataset.starts_with("rpool/ROOT/") {
        return fatal("Installing a zone inside of the root pool's 'ROOT' dataset is unsupported.");
    }
    let root = format!("{path}/root");
    let Some(active) = zfs::mounted_at(host, &root)? else {
        return fatal(&format!(
            "Failed to locate any dataset mounted at {root}.  Attach requires a mounted dataset."
        ));
    };
    *taken = Some(active.clone());
    let zone_dataset = hook!(zonepath_dataset(host, path));
    let be_root = format!("{zone_dataset}/ROOT");
    if !zfs::exists(host, &be_root)? {
        return fatal("no active dataset.");
    }
    hook!(bind_to_boot_environment(host, config, &settings, &be_root, &active));
    hook!(mount_all(host, config, &active));
    AttachLog::say(&format!("               Attach Path: {root}"))?;
    AttachLog::say(&format!("        Attach ZFS Dataset: {active}\n"))?;
    AttachLog::say("                Installing: Using pre-existing data in zonepath")?;
    bring_into_sync(host, config, &settings, update)
}

fn bind_to_boot_environment(
    host: &Host,
    config: &Config,
    settings: &Settings,
    be_root: &str,
    active: &str,
) -> Hook<()> {
    hook!(configure(host, be_root, "zoned=off"));
    for (dataset, _) in overlays(host, config, active)? {
        hook!(configure(host, &dataset, "canmount=noauto"));
        hook!(configure(host, &dataset, "inherit mountpoint"));
    }
    hook!(configure(host, be_root, "mountpoint=legacy"));
    hook!(configure(host, be_root, "zoned=on"));
    let parent = format!("{PARENT}={}", settings.boot_environment);
    let active_on = format!("{ACTIVE}=on");
    // zfs-fuse mounts by the property only: there the root keeps a mountpoint of its own (zfs::mount_at).
    let handed_over: &[&str] = if settings.real_zfs { &[] } else { &["inherit mountpoint", "inherit zoned"] };
    for setting in
        [&parent, &active_on, "canmount=noauto", "zoned=off"].into_iter().chain(handed_over.iter().copied())
    {
        hook!(configure(host, active, setting));
    }
    Ok(Ok(()))
}

/// The image of a zone's root, as far as attach asks for it: `var/pkg/pkg5.image`, here in two lines.
fn bring_into_sync(host: &Host, config: &Config, settings: &Settings, update: bool) -> Hook<()> {
    let image = host.path(&format!("{}/root/var/pkg/pkg5.image", config.zonepath));
    let text = fs::read_to_string(&image).unwrap_or_default();
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).map(str::to_owned);
    match value("variant.opensolaris.zone=").as_deref() {
        Some("nonglobal") => {}
        Some(other) => {
            return fatal(&format!(
                "  Sanity Check: FAILED, appears to be a global zone (variant.opensolaris.zone={other})."
            ));
        }
        None => {
            return fatal("  Sanity Check: FAILED, couldn't determine variant.opensolaris.zone from image.");
        }
    }
    let entire = value("entire=").unwrap_or_default();
    let short = |fmri: &str| fmri.rsplit_once('/').map_or(fmri.to_owned(), |(_, name)| name.to_owned());
    AttachLog::say(&format!("       Global zone version: {}", short(&settings.entire)))?;
    AttachLog::say(&format!("   Non-Global zone version: {}", short(&entire)))?;
    AttachLog::say("                     Cache: Using /var/pkg/publisher.")?;
    AttachLog::say("  Updating non-global zone: Output follows")?;
    if entire != settings.entire && !update {
        AttachLog::say(&format!(
            "\n                Evaluation: Packages in zone {} are out of sync with the global zone. \
             To proceed, retry with the -u flag.",
            config.name
        ))?;
        return Ok(Err(Refused));
    }
    if update {
        if !hook!(install_entire(&image, settings, &entire)) {
            return fatal("Could not update attaching zone");
        }
        AttachLog::say("\n  Updating non-global zone: Zone updated.")?;
        AttachLog::say("                    Result: Attach Succeeded.")?;
    } else {
        AttachLog::say("\n                    Result: Attach Succeeded.")?;
    }
    Ok(Ok(()))
}

/// `pkg install --accept --no-refresh entire@…` in the zone's image. What pkg has to say against it stands in the log alone;
/// words as captured in omniosorg/omnios-build #4152.
pub fn install_entire(image: &Path, settings: &Settings, entire: &str) -> Hook<bool> {
    let fmri = settings.entire.rsplit_once(':').map_or(settings.entire.as_str(), |(fmri, _)| fmri);
    out!("Creating Plan (Solver setup): /");
    if !settings.missing_package.is_empty() && entire != settings.entire {
        AttachLog::note(&format!(
            "pkg install: No matching version of entire can be installed:\n  Reject:  {fmri}\n  \
             Reason:  No version matching 'require' dependency {} can be installed",
            settings.missing_package
        ))?;
        return Ok(Ok(false));
    }
    let text = fs::read_to_string(image).unwrap_or_default();
    fs::write(image, text.replace(&format!("entire={entire}\n"), &format!("entire={}\n", settings.entire)))?;
    Ok(Ok(true))
}

/// What `pkg` finds in a zone's image.
pub fn image(settings: &Settings) -> String {
    format!("variant.opensolaris.zone=nonglobal\nentire={}\n", settings.entire)
}
