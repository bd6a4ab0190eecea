//! The network as far as the route step and a zone's boot use it: addresses, routes, and the
//! gateways that can be reached. `.lab/net.json` holds the state that a reboot loses; persistent
//! routes are where Solaris keeps them.

pub mod address;
pub mod dladm;
pub mod ifconfig;
pub mod ipadm;
pub mod netstat;
pub mod route;
mod sftp;
pub mod ssh;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::disk;
use crate::world::Host;
use crate::zones::Zones;
use crate::zones::config::Config;
use crate::zones::kernel::Address;

/// A logical interface of the global zone, plumbed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// `nge0`, `nge0:99`
    pub name: String,
    /// `192.0.2.9/24`; none: 0.0.0.0
    #[serde(default)]
    pub address: Option<String>,
    /// Marked up.
    #[serde(default)]
    pub up: bool,
    /// ipadm's name for the address, where it made it.
    #[serde(default)]
    pub object: Option<String>,
    /// The zone that it was given to by `ifconfig IF zone Z`.
    #[serde(default)]
    pub zone: Option<String>,
}

/// A route in the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// `default` or `198.51.100.0/24`
    pub destination: String,
    /// The gateway.
    pub gateway: String,
    /// The interface it is bound to: it goes when that goes.
    #[serde(default)]
    pub ifp: Option<String>,
    /// The zone whose boot added it.
    #[serde(default)]
    pub zone: Option<String>,
}

/// What a reboot loses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Net {
    /// The global zone's interfaces.
    pub interfaces: Vec<Interface>,
    /// Routes, in the order in which they were added.
    pub routes: Vec<Route>,
}

impl Net {
    /// As it is now; routes of zones that have gone down are left out.
    pub fn load(host: &Host) -> Result<Self> {
        let mut net: Self = disk::load(&host.state_dir().join("net.json"))?;
        if net.routes.iter().any(|route| route.zone.is_some()) {
            let zones = Zones::look(host)?;
            net.routes.retain(|route| route.zone.as_deref().is_none_or(|zone| zones.alive(zone).is_some()));
        }
        Ok(net)
    }

    /// Changes it in one piece.
    pub fn change<T>(host: &Host, by: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let _lock = disk::lock(&host.state_dir().join("net.lock"))?;
        let mut net = Self::load(host)?;
        let done = by(&mut net)?;
        disk::store(&host.state_dir().join("net.json"), &net)?;
        Ok(done)
    }

    /// An interface by name.
    pub fn interface(&self, name: &str) -> Option<&Interface> {
        self.interfaces.iter().find(|interface| interface.name == name)
    }

    /// Whether the kernel takes a route by this gateway: an address that is up, of the global zone or of
    /// a running shared-IP zone, must cover it (ip_rt_add in ip_if.c).
    pub fn reaches(&self, zones: &Zones, gateway: &str) -> bool {
        let own = self.interfaces.iter().filter(|interface| interface.up);
        let own = own.filter_map(|interface| interface.address.as_deref());
        let held = zones.kernel.zones.iter().flat_map(|alive| &alive.addresses);
        own.chain(held.map(|held| held.address.as_str())).any(|address| address::covers(address, gateway))
    }
}

/// The physical interface of a logical one.
pub fn physical(name: &str) -> &str {
    name.split(':').next().unwrap_or(name)
}

/// The network after the host has come up: what is plumbed, /etc/defaultrouter, persistent routes. A
/// persistent route whose gateway nobody reaches is not set, which is why the trick of 2007 does not
/// survive a reboot.
pub fn boot(host: &Host) -> Result<()> {
    let settings = host.settings()?;
    let zones = Zones::look(host)?;
    let mut net = Net::default();
    for nic in &settings.nics {
        net.interfaces.push(Interface {
            name: nic.name.clone(),
            address: nic.address.clone(),
            up: nic.address.is_some(),
            object: nic.address.as_ref().map(|_| format!("{}/v4", nic.name)),
            zone: None,
        });
    }
    let persistent = route::persistent(host)?;
    let default = settings.default_router.iter().map(|gateway| ("default".to_owned(), gateway.clone()));
    for (destination, gateway) in default.chain(persistent) {
        if net.reaches(&zones, &gateway) {
            net.routes.push(Route { destination, gateway, ifp: None, zone: None });
        }
    }
    let _lock = disk::lock(&host.state_dir().join("net.lock"))?;
    disk::store(&host.state_dir().join("net.json"), &net)
}

/// Brings up a zone's network. Gives a shared-IP zone's addresses, or `None` where the zone can't boot, and
/// what zoneadmd says about it. A shared-IP zone boots without an interface that is missing, as in every
/// release since Solaris 10 8/07; an exclusive-IP zone does not boot.
pub fn bring_up(host: &Host, config: &Config) -> Result<(Option<Vec<Address>>, Vec<String>)> {
    let (mut addresses, mut says) = (Vec::new(), Vec::new());
    if !config.shared_ip() {
        if !dladm::missing(&host.settings()?, config).is_empty() {
            // vplat.c, read: what errno says here is left from elsewhere, so the text after the colon is unverified.
            says.push("failed to add network device: No such file or directory".into());
            return Ok((None, says));
        }
        return Ok((Some(addresses), says));
    }
    let zones = Zones::look(host)?;
    Net::change(host, |net| {
        for resource in config.all("net") {
            let (nic, address) = (resource.get("physical"), resource.get("address"));
            if net.interface(nic).is_none() {
                continue;
            }
            let address = address::with_length(address);
            let plain = address::plain(&address);
            let holder = zones.kernel.zones.iter().find(|alive| {
                alive.name != config.name
                    && alive.addresses.iter().any(|held| address::plain(&held.address) == plain)
            });
            let taken = |name: &str| {
                net.interface(name).is_some()
                    || zones.kernel.zones.iter().any(|alive| {
                        alive.name != config.name && alive.addresses.iter().any(|held| held.interface == name)
                    })
                    || addresses.iter().any(|held: &Address| held.interface == name)
            };
            let free = (1..).map(|number| format!("{nic}:{number}")).find(|name| !taken(name));
            let interface = free.unwrap_or_default();
            if let Some(holder) = holder {
                says.push(format!(
                    "{interface}: could not bring network interface up: address in use by zone '{}': \
                     Cannot assign requested address",
                    holder.name
                ));
                return Ok((None, says));
            }
            let router = resource.get("defrouter");
            if !router.is_empty() {
                let route = Route {
                    destination: "default".into(),
                    gateway: router.to_owned(),
                    ifp: Some(nic.to_owned()),
                    zone: Some(config.name.clone()),
                };
                if !address::covers(&address, router) {
                    says.push(format!("Unable to set route for interface {interface} to {router}"));
                } else if !net.routes.contains(&route) {
                    net.routes.push(route);
                }
            }
            addresses.push(Address { interface, address });
        }
        Ok((Some(addresses), says))
    })
}
