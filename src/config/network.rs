//! What `[accept.NAME]` says about addresses and links.

use std::net::IpAddr;

/// A network, or one address of it: `192.0.2.0/24`, `2001:db8::/32`, `192.0.2.10`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Reads an address with or without the length of its prefix.
    ///
    /// # Errors
    /// Says what is wrong with it, with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let read = address.parse::<IpAddr>().ok().and_then(|address| {
            let whole = if address.is_ipv4() { 32 } else { 128 };
            let prefix = prefix.map_or(Some(whole), |prefix| prefix.parse().ok())?;
            (prefix <= whole).then_some(Self { address, prefix })
        });
        read.ok_or_else(|| {
            format!("'{}' is not an address or a network such as \"192.0.2.0/24\"", text.escape_debug())
        })
    }

    /// Whether all of `other` is in this network.
    pub fn contains(&self, other: &Self) -> bool {
        let bits = |address: IpAddr| match address {
            IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
            IpAddr::V6(v6) => v6.to_bits(),
        };
        let differ = bits(self.address) ^ bits(other.address);
        self.address.is_ipv4() == other.address.is_ipv4()
            && self.prefix <= other.prefix
            && u32::from(self.prefix) <= differ.leading_zeros()
    }

    /// Whether this one address is in this network: `192.0.2.10/24` as a zone has it is one
    /// address.
    pub fn has_host(&self, host: &Self) -> bool {
        let prefix = if host.address.is_ipv4() { 32 } else { 128 };
        self.contains(&Self { prefix, ..*host })
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let whole = if self.address.is_ipv4() { 32 } else { 128 };
        if self.prefix == whole {
            write!(f, "{}", self.address)
        } else {
            write!(f, "{}/{}", self.address, self.prefix)
        }
    }
}

/// A link's name as `[accept.NAME] links` has it: `nge0`, or `web*` for all that begin so.
///
/// # Errors
/// Says what is wrong with it, with the text.
pub(super) fn link(text: &str) -> Result<String, String> {
    let name = text.strip_suffix('*').unwrap_or(text);
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"_.-/".contains(&b);
    if text.is_empty() || !name.bytes().all(legal) {
        return Err(format!("'{}' is not a link's name such as \"nge0\" or \"web*\"", text.escape_debug()));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_contains_its_addresses_and_no_others() {
        let read = |text: &str| Network::parse(text).unwrap();
        for (network, address, within) in [
            ("192.0.2.0/24", "192.0.2.10/24", true),
            ("192.0.2.0/24", "192.0.3.10/24", false),
            ("192.0.2.99/24", "192.0.2.10", true),
            ("192.0.2.10", "192.0.2.10/24", true),
            ("192.0.2.10", "192.0.2.11/24", false),
            ("0.0.0.0/0", "203.0.113.7", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:1::1/64", true),
            ("2001:db8::/32", "2001:db9::1/64", false),
            ("::/0", "::1", true),
        ] {
            assert_eq!(read(network).has_host(&read(address)), within, "{address} of {network}");
        }
        assert!(read("192.0.2.0/24").contains(&read("192.0.2.128/25")));
        assert!(!read("192.0.2.0/24").contains(&read("192.0.0.0/16")));
    }

    #[test]
    fn what_is_not_a_network_or_a_link_is_refused() {
        for bad in ["", "web", "192.0.2.0/33", "192.0.2/24", "::/129", "192.0.2.0/-1", "1.2.3.4/24/8"] {
            assert!(Network::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(link("web*").as_deref(), Ok("web*"));
        for bad in ["", "a b", "*a", "a**", "ünder"] {
            assert!(link(bad).is_err(), "{bad}");
        }
    }
}
