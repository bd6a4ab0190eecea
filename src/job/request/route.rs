//! The route workaround of 2007: a shared-IP zone's network may have no address of the target's own on it, and
//! then a default route can only be added while a borrowed address lies on a logical interface.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// `[target.route]`: put `address` on `interface`, add the default route by `gateway`, take the address away.
/// One that exists has been checked: the gateway is on the address's network, so that the kernel can take the route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", deny_unknown_fields)]
pub struct Route {
    interface: String,
    address: Ipv4Addr,
    netmask: Ipv4Addr,
    gateway: Ipv4Addr,
}

/// The four fields before they are checked together.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    interface: String,
    address: Ipv4Addr,
    netmask: Ipv4Addr,
    gateway: Ipv4Addr,
}

impl TryFrom<Written> for Route {
    type Error = String;
    fn try_from(route: Written) -> Result<Self, String> {
        let interface = interface(&route.interface)?;
        let address = host(route.address)?;
        let netmask = contiguous(route.netmask)?;
        let gateway = host(route.gateway)?;
        Self::new(interface, address, netmask, gateway)
    }
}

impl Route {
    /// Puts the checked fields together.
    ///
    /// # Errors
    /// When the gateway is the address itself, or not on its network.
    pub(super) fn new(
        interface: String,
        address: Ipv4Addr,
        netmask: Ipv4Addr,
        gateway: Ipv4Addr,
    ) -> Result<Self, String> {
        if gateway == address {
            return Err(format!("{gateway} is the address itself"));
        }
        if address & netmask != gateway & netmask {
            return Err(format!("{gateway} is not on the network of {address}, netmask {netmask}"));
        }
        Ok(Self { interface, address, netmask, gateway })
    }

    /// The logical interface, `nge0:99`.
    pub fn interface(&self) -> &str {
        &self.interface
    }

    /// The address that is borrowed for the moment.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The address's netmask.
    pub fn netmask(&self) -> Ipv4Addr {
        self.netmask
    }

    /// The default route's gateway.
    pub fn gateway(&self) -> Ipv4Addr {
        self.gateway
    }
}

/// Checks a logical interface, `nge0:99`: a link's name that ends in its number, and a unit above 0, since unit 0 is the
/// physical interface with the host's own address.
pub(super) fn interface(text: &str) -> Result<String, String> {
    // LIFNAMSIZ of illumos net/if.h is 32, with the end of string.
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.');
    let is_link = |link: &str| {
        link.bytes().all(legal)
            && link.starts_with(|c: char| c.is_ascii_alphabetic())
            && link.ends_with(|c: char| c.is_ascii_digit())
    };
    let is_unit = |unit: &str| {
        unit.len() <= 5
            && !unit.starts_with('0')
            && unit.bytes().all(|b| b.is_ascii_digit())
            && !unit.is_empty()
    };
    match text.split_once(':') {
        Some((link, unit)) if is_link(link) && is_unit(unit) && text.len() < 32 => Ok(text.to_owned()),
        _ => Err(format!("'{}' is not a logical interface such as nge0:99", text.escape_debug())),
    }
}

/// Reads an IPv4 address in dotted form.
pub(super) fn ipv4(text: &str) -> Result<Ipv4Addr, String> {
    text.parse().map_err(|_| format!("'{}' is not an IPv4 address", text.escape_debug()))
}

/// Checks that an address can be one host's.
pub(super) fn host(address: Ipv4Addr) -> Result<Ipv4Addr, String> {
    let this_network = address.octets()[0] == 0;
    // From 240 on: reserved (RFC 1112), and the limited broadcast.
    let reserved = address.octets()[0] >= 240;
    if this_network || reserved || address.is_loopback() || address.is_multicast() {
        return Err(format!("{address} is not an address that a host can have"));
    }
    Ok(address)
}

/// Checks that a netmask is ones and then zeros, and has some of both.
pub(super) fn contiguous(netmask: Ipv4Addr) -> Result<Ipv4Addr, String> {
    let bits = netmask.to_bits();
    if bits.leading_ones() + bits.trailing_zeros() != 32 || bits == 0 || bits == u32::MAX {
        return Err(format!("{netmask} is not a netmask such as 255.255.255.0"));
    }
    Ok(netmask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_a_logical_one() {
        for good in ["nge0:99", "e1000g0:1", "net0:12345", "vlan_a.1:7"] {
            assert_eq!(interface(good).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "nge0",
            "nge0:0",
            "nge0:",
            "nge:1",
            "0:1",
            "nge0:1:2",
            "-a0:1",
            "nge0:01",
            "nge0:+1",
            "nge0:123456",
        ] {
            assert!(interface(bad).is_err(), "{bad}");
        }
        assert!(interface(&format!("{}0:1", "a".repeat(29))).is_err());
    }

    #[test]
    fn addresses_are_ones_that_a_route_can_have() {
        for bad in ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "0.1.2.3"] {
            assert!(host(bad.parse().unwrap()).is_err(), "{bad}");
        }
        for bad in ["0.0.0.0", "255.255.255.255", "255.0.255.0", "0.0.0.255"] {
            assert!(contiguous(bad.parse().unwrap()).is_err(), "{bad}");
        }
        assert!(contiguous("255.255.255.254".parse().unwrap()).is_ok());
    }

    #[test]
    fn a_route_from_json_is_checked_as_one_from_a_request() {
        let json = |gateway: &str| {
            format!(
                r#"{{"interface":"nge0:99","address":"192.0.2.9","netmask":"255.255.255.0","gateway":"{gateway}"}}"#
            )
        };
        let route: Route = serde_json::from_str(&json("192.0.2.1")).unwrap();
        assert_eq!(serde_json::to_string(&route).unwrap(), json("192.0.2.1"));
        for (bad, why) in [
            ("192.0.2.9", "address itself"),
            ("192.0.3.1", "not on the network"),
            ("127.0.0.1", "a host can have"),
        ] {
            let said = serde_json::from_str::<Route>(&json(bad)).unwrap_err().to_string();
            assert!(said.contains(why), "{said}");
        }
    }
}
