//! ifconfig(8): logical interfaces of the global zone, and the addresses that zones hold.

use anyhow::Result;

use super::{Interface, Net, address, physical};
use crate::world::{Host, Profile, Settings};
use crate::zones::Zones;

/// The command.
pub fn main(host: &Host, args: &[String]) -> Result<i32> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => {
            err!("usage: ifconfig <interface> | -a[ 4 | 6 | D ][ u | d ][ Z ]");
            Ok(1)
        }
        ["-a" | "-a4" | "-aZ"] => show(host, None),
        ["-au" | "-a4u"] => show(host, None),
        [name] => show(host, Some(name)),
        [name, rest @ ..] => change(host, name, rest),
    }
}

fn show(host: &Host, only: Option<&str>) -> Result<i32> {
    let settings = host.settings()?;
    let net = Net::load(host)?;
    let zones = Zones::look(host)?;
    let held = zones.kernel.zones.iter().flat_map(|alive| {
        alive.addresses.iter().map(|held| Interface {
            name: held.interface.clone(),
            address: Some(held.address.clone()),
            up: true,
            object: None,
            zone: Some(alive.name.clone()),
        })
    });
    let mut all: Vec<Interface> = net.interfaces.iter().cloned().chain(held).collect();
    all.sort_by_key(|interface| {
        let (nic, number) = interface.name.split_once(':').unwrap_or((&interface.name, "0"));
        (nic.to_owned(), number.parse::<u32>().unwrap_or(0))
    });
    if let Some(name) = only
        && name != "lo0"
        && !all.iter().any(|interface| interface.name == name)
    {
        err!("ifconfig: status: SIOCGLIFFLAGS: {name}: no such interface");
        return Ok(1);
    }
    if only.is_none_or(|name| name == "lo0") {
        out!("lo0: flags=2001000849<UP,LOOPBACK,RUNNING,MULTICAST,IPv4,VIRTUAL> mtu 8232 index 1");
        out!("\tinet 127.0.0.1 netmask ff000000 ");
    }
    for interface in all.iter().filter(|interface| only.is_none_or(|name| name == interface.name)) {
        print(&settings, interface);
    }
    Ok(0)
}

fn print(settings: &Settings, interface: &Interface) {
    let nic = settings.nics.iter().position(|nic| nic.name == physical(&interface.name));
    let flags = if interface.up {
        "1000843<UP,BROADCAST,RUNNING,MULTICAST,IPv4>"
    } else {
        "1000842<BROADCAST,RUNNING,MULTICAST,IPv4>"
    };
    out!("{}: flags={flags} mtu 1500 index {}", interface.name, nic.unwrap_or(0) + 2);
    if let Some(zone) = &interface.zone {
        out!("\tzone {zone}");
    }
    let address = interface.address.as_deref().unwrap_or("0.0.0.0/0");
    if let Some((own, length)) = address::parse(address) {
        let mask = address::mask(length);
        let broadcast = std::net::Ipv4Addr::from(u32::from(own) | !mask);
        if interface.address.is_some() {
            out!("\tinet {own} netmask {mask:x} broadcast {broadcast}");
        } else {
            out!("\tinet 0.0.0.0 netmask 0 ");
        }
    }
    if !interface.name.contains(':')
        && let Some(nic) = nic
        && nix::unistd::geteuid().is_root()
    {
        out!("\tether {} ", settings.nics[nic].ether);
    }
}

/// Applies the words in order. If one fails, the effects of the earlier words remain.
fn change(host: &Host, name: &str, words: &[&str]) -> Result<i32> {
    let settings = host.settings()?;
    let zones = Zones::look(host)?;
    Net::change(host, |net| {
        let mut words = words.iter().copied();
        // `addif` makes an interface; the words after it (`up`, `netmask`) apply to that interface.
        let mut meant = name.to_owned();
        while let Some(word) = words.next() {
            let failed = match word {
                "inet" => None,
                "plumb" => plumb(net, &settings, name),
                "unplumb" => unplumb(net, &settings, &zones, name),
                "addif" => {
                    let address = words.next().unwrap_or_default();
                    match add_logical(net, &zones, name, address) {
                        Ok(logical) => {
                            meant = logical;
                            None
                        }
                        Err(status) => Some(status),
                    }
                }
                "removeif" => {
                    let address = words.next().unwrap_or_default();
                    remove_logical(net, name, address)
                }
                _ => configure(net, &zones, &meant, word, &mut words),
            };
            if let Some(status) = failed {
                return Ok(status);
            }
        }
        Ok(0)
    })
}

fn fresh(name: &str) -> Interface {
    Interface { name: name.to_owned(), address: None, up: false, object: None, zone: None }
}

fn plumb(net: &mut Net, settings: &Settings, name: &str) -> Option<i32> {
    let nic = physical(name);
    // So on illumos and Solaris 11 (the fact sheet of the zones, 7.3).
    let illumos = settings.profile != Profile::Solaris10;
    if !settings.nics.iter().any(|known| known.name == nic) {
        err!("ifconfig: cannot open link \"{nic}\": No such device or address");
        return Some(1);
    }
    if net.interface(name).is_some() {
        if name.contains(':') {
            // Silent, and a trap: the interface may be a zone's.
            return None;
        }
        if illumos {
            err!("ifconfig: cannot plumb {name}: Interface already exists");
            return Some(0);
        }
        err!("ifconfig: SIOCSLIFNAME for ip: {name}: already exists");
        return Some(1);
    }
    if name.contains(':') && net.interface(nic).is_none() {
        err!("ifconfig: plumb: SIOCLIFADDIF: {name}: no such interface");
        return Some(1);
    }
    net.interfaces.push(fresh(name));
    None
}

fn unplumb(net: &mut Net, settings: &Settings, zones: &Zones, name: &str) -> Option<i32> {
    if net.interface(name).is_none() {
        let held = zones.kernel.zones.iter().any(|alive| alive.addresses.iter().any(|a| a.interface == name));
        if held {
            err!("ifconfig: the lab does not let {name} be taken from its running zone");
        } else if name.contains(':') {
            err!("ifconfig: unplumb: SIOCLIFREMOVEIF: {name}: no such interface");
        } else if settings.profile != Profile::Solaris10 {
            err!("ifconfig: cannot unplumb {name}: Interface does not exist");
        } else {
            err!("ifconfig: unplumb: SIOCGLIFFLAGS: {name}: no such interface");
        }
        return Some(1);
    }
    // A physical interface takes its logical ones with it.
    let goes = |old: &str| old == name || physical(old) == name;
    net.interfaces.retain(|old| !goes(&old.name));
    // Routes that are tied to it go with it; those without -ifp stay, which is the trick of 2007.
    net.routes.retain(|route| route.ifp.as_deref() != Some(name));
    None
}

fn add_logical(net: &mut Net, zones: &Zones, name: &str, address: &str) -> Result<String, i32> {
    if net.interface(name).is_none() {
        err!("ifconfig: addif: SIOCLIFADDIF: {name}: no such interface");
        return Err(1);
    }
    if address::parse(address).is_none() {
        err!("ifconfig: {address}: bad address");
        return Err(1);
    }
    let held = |candidate: &str| {
        let addresses = zones.kernel.zones.iter().flat_map(|alive| &alive.addresses);
        net.interface(candidate).is_some() || addresses.into_iter().any(|a| a.interface == candidate)
    };
    let logical =
        (1..).map(|number| format!("{name}:{number}")).find(|candidate| !held(candidate)).ok_or(1)?;
    out!("Created new logical interface {logical}");
    let address = Some(address::with_length(address));
    net.interfaces.push(Interface { address, ..fresh(&logical) });
    Ok(logical)
}

fn remove_logical(net: &mut Net, name: &str, address: &str) -> Option<i32> {
    let before = net.interfaces.len();
    net.interfaces.retain(|old| {
        let own = old.address.as_deref().map(address::plain);
        !(physical(&old.name) == name && old.name.contains(':') && own == Some(address::plain(address)))
    });
    if net.interfaces.len() == before {
        err!("ifconfig: removeif: SIOCLIFREMOVEIF: {name}: no such interface");
        return Some(1);
    }
    None
}

fn configure<'a>(
    net: &mut Net,
    zones: &Zones,
    name: &str,
    word: &str,
    words: &mut impl Iterator<Item = &'a str>,
) -> Option<i32> {
    let Some(interface) = net.interfaces.iter_mut().find(|interface| interface.name == name) else {
        err!("ifconfig: status: SIOCGLIFFLAGS: {name}: no such interface");
        return Some(1);
    };
    match word {
        "up" => interface.up = true,
        "down" => interface.up = false,
        "broadcast" => drop(words.next()),
        "-zone" => interface.zone = None,
        "zone" => {
            let zone = words.next().unwrap_or_default();
            if zones.alive(zone).is_none() {
                err!("ifconfig: unknown zone '{zone}'");
                return Some(1);
            }
            interface.zone = Some(zone.to_owned());
        }
        "netmask" => {
            let mask = words.next().unwrap_or_default();
            let own = interface.address.clone().unwrap_or_else(|| "0.0.0.0/0".into());
            if mask == "+" {
                let (_, length) = address::parse(address::plain(&own))?;
                let shown = std::net::Ipv4Addr::from(address::mask(length));
                out!("Setting netmask of {name} to {shown}");
                interface.address = Some(format!("{}/{length}", address::plain(&own)));
                return None;
            }
            let Some(length) = address::length_of_mask(mask) else {
                err!("ifconfig: {mask}: bad address");
                return Some(1);
            };
            interface.address = Some(format!("{}/{length}", address::plain(&own)));
        }
        other => {
            if address::parse(other).is_none() {
                err!("ifconfig: {other}: bad address");
                return Some(1);
            }
            interface.address = Some(address::with_length(other));
        }
    }
    None
}
