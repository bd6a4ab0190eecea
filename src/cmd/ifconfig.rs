//! `ifconfig`: the address that is lent to the global zone while a route is added.
//!
//! `plumb` of a logical interface that exists is silent and takes over what may be a zone's: ask
//! [`parse_all`] first.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use super::{CmdError, ParseError};
use crate::process::{Argv, Programs};

/// A logical interface, `nge0:99`; number 0 is the physical one's own, `nge0`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interface {
    /// `nge0`.
    pub physical: String,
    /// `99`.
    pub number: u32,
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.physical)?;
        if self.number == 0 { Ok(()) } else { write!(f, ":{}", self.number) }
    }
}

/// A text that names no interface.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an interface (as nge0 or nge0:99)")]
pub struct InterfaceError(String);

impl FromStr for Interface {
    type Err = InterfaceError;

    /// At most 31 bytes (LIFNAMSIZ), the physical part beginning with a letter and ending with a digit.
    fn from_str(text: &str) -> Result<Self, InterfaceError> {
        let fault = || InterfaceError(text.escape_debug().to_string());
        let (physical, number) = text.split_once(':').map_or((text, None), |(a, b)| (a, Some(b)));
        let bytes = physical.as_bytes();
        let legal = bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"_.".contains(b))
            && bytes.first().is_some_and(u8::is_ascii_alphabetic)
            && bytes.last().is_some_and(u8::is_ascii_digit);
        let number = match number {
            None => Some(0),
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok(),
            Some(_) => None,
        };
        match number {
            Some(number) if legal && text.len() <= 31 => Ok(Self { physical: physical.to_owned(), number }),
            _ => Err(fault()),
        }
    }
}

/// One interface of `ifconfig -a`, of either address family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceLine {
    /// Which.
    pub interface: Interface,
    /// The zone that it is lent to.
    pub zone: Option<String>,
    /// Its IPv4 address.
    pub address: Option<Ipv4Addr>,
}

/// Makes a logical interface.
pub fn plumb(interface: &Interface) -> Argv {
    ifconfig(interface, &["plumb"])
}

/// Gives it an address and brings it up.
pub fn up(interface: &Interface, address: Ipv4Addr, netmask: Ipv4Addr) -> Argv {
    ifconfig(interface, &[&address.to_string(), "netmask", &netmask.to_string(), "up"])
}

/// Takes it down and away.
pub fn unplumb(interface: &Interface) -> Argv {
    ifconfig(interface, &["down", "unplumb"])
}

/// Lists all interfaces that are plumbed, the zones' included.
pub fn list() -> Argv {
    Argv::new("ifconfig").arg("-a")
}

fn ifconfig(interface: &Interface, words: &[&str]) -> Argv {
    Argv::new("ifconfig").arg(interface.to_string()).args(words.iter().copied())
}

/// All interfaces of this host that are plumbed.
///
/// # Errors
/// When the command fails or a line isn't understood.
pub fn interfaces(programs: &Programs) -> Result<Vec<InterfaceLine>, CmdError> {
    let argv = list();
    parse_all(&programs.ok(&argv)?.stdout).map_err(CmdError::unreadable(&argv))
}

/// Reads `ifconfig -a`: a line for each interface, and lines behind a TAB with its details, of which most are
/// passed over.
///
/// # Errors
/// On an interface's line without a name and flags, a detail before the first interface, or an address that
/// is none.
pub fn parse_all(text: &str) -> Result<Vec<InterfaceLine>, ParseError> {
    let mut read: Vec<InterfaceLine> = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let fault = |why: &str| ParseError::at(index, line, why);
        if !line.starts_with([' ', '\t']) {
            let (name, _) = line.split_once(": flags=").ok_or_else(|| fault("names no interface"))?;
            let interface = name.parse().map_err(|_| fault("names no interface"))?;
            read.push(InterfaceLine { interface, zone: None, address: None });
            continue;
        }
        let last = read.last_mut().ok_or_else(|| fault("belongs to no interface"))?;
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some("zone"), Some(zone)) => last.zone = Some(zone.to_owned()),
            (Some("inet"), Some(address)) => {
                let address = address.split('/').next().unwrap_or_default();
                last.address = Some(address.parse().map_err(|_| fault("has no address"))?);
            }
            _ => {}
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::sample::sample;

    #[test]
    fn interfaces_are_read_with_their_zones_and_addresses() {
        let lines = parse_all(sample!("ifconfig/a.txt")).unwrap();
        let told: Vec<_> = lines
            .iter()
            .map(|line| {
                (line.interface.to_string(), line.zone.as_deref(), line.address.map(|a| a.to_string()))
            })
            .collect();
        let wanted = [
            ("lo0", None, Some("127.0.0.1")),
            ("nge0", None, Some("198.51.100.5")),
            ("nge0:1", Some("dbbackup"), Some("192.0.2.10")),
            ("lo0", None, None),
        ];
        let wanted: Vec<_> = wanted.map(|(a, b, c)| (a.to_owned(), b, c.map(str::to_owned))).into();
        assert_eq!(told, wanted);
        for bad in ["\tinet 1.2.3.4\n", "nge0 flags\n", "nge0: flags=1\n\tinet x\n"] {
            assert!(parse_all(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_are_checked() {
        for good in ["nge0", "nge0:99", "e1000g0:1", "web_0"] {
            assert_eq!(good.parse::<Interface>().unwrap().to_string(), good);
        }
        for bad in ["", "nge", "0nge0", "nge0:", "nge0:x", "nge0:1:2", "nge0 up", "nge0:-1", "-a0"] {
            assert!(bad.parse::<Interface>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_is_lent_and_taken_back() {
        let interface: Interface = "nge0:99".parse().unwrap();
        let (address, mask) = (Ipv4Addr::new(192, 0, 2, 9), Ipv4Addr::new(255, 255, 255, 0));
        assert_eq!(plumb(&interface).to_string(), "ifconfig nge0:99 plumb");
        assert_eq!(
            up(&interface, address, mask).to_string(),
            "ifconfig nge0:99 192.0.2.9 netmask 255.255.255.0 up"
        );
        assert_eq!(unplumb(&interface).to_string(), "ifconfig nge0:99 down unplumb");
        assert_eq!(list().to_string(), "ifconfig -a");
    }
}
