//! Zones for demo and tests, made without an installer.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result, bail};

use super::config::Config;
use super::kernel::State;
use super::zoneadm::Call;
use super::{attach, brand, configure, life};
use crate::world::Host;

/// A zone to be made.
#[derive(Debug, Clone)]
pub struct ZoneSpec {
    /// Its configuration, with the name, brand and zonepath.
    pub config: Config,
    /// Boot it?
    pub boot: bool,
}

/// Configures, installs and perhaps boots a zone whose datasets are there: the zonepath's mounted at P
/// and, for brands with boot environments, P-ds/ROOT/zbe mounted at P/root by a mountpoint of its own,
/// as detach leaves it (brand solaris: P-ds/rpool/ROOT/solaris, mounted or not). Gives the root what an installed zone's root has (`var/pkg/pkg5.image`,
/// `var/log`) and goes the way of attach from there.
pub fn install_zone(host: &Host, spec: &ZoneSpec) -> Result<()> {
    let settings = host.settings()?;
    let config = &spec.config;
    let path = host.path(&config.zonepath);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700))
        .with_context(|| format!("zonepath {}, which is {}", config.zonepath, path.display()))?;
    if config.is_solaris() && brand::ensure_root_mounted(host, config)?.is_err() {
        bail!("the root of zone '{}' could not be mounted on {}", config.name, host.name());
    }
    // Each by its own path: `var` may be a dataset.
    let path = |below: &str| host.path(&format!("{}/root/{below}", config.zonepath));
    fs::create_dir_all(path("var/log"))?;
    if config.has_boot_environments() {
        fs::create_dir_all(path("var/pkg"))?;
        fs::write(path("var/pkg/pkg5.image"), brand::image(&settings))?;
    }
    configure(host, config)?;
    let call = Call { host, zone: &config.name, profile: settings.profile };
    let attached = if config.has_boot_environments() {
        attach::main(&call, config, &[])?
    } else {
        // Never detached, so there is no inventory to compare.
        attach::main(&call, config, &["-F".to_owned()])?
    };
    if attached != 0 {
        bail!("zone '{}' could not be attached on {}", config.name, host.name());
    }
    if spec.boot && life::boot(&call, config, State::Running)? != 0 {
        bail!("zone '{}' could not be booted on {}", config.name, host.name());
    }
    Ok(())
}
