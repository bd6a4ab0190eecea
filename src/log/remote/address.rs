//! Where a log host listens: `udp://loghost:514`, `tcp://192.0.2.7`, `tcp://[2001:db8::7]:1514`.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use crate::job::name::HostName;

/// syslog/udp by IANA. TCP without TLS has no port of its own (RFC 6587, 3.4.1); receivers listen on 514, too.
const PORT: u16 = 514;

/// How a log host is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// A datagram for each message (RFC 5426).
    Udp,
    /// A stream (RFC 6587).
    Tcp,
}

/// A log host's address, as configured. The name is looked up whenever it is needed: it may move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// How it is spoken to.
    pub protocol: Protocol,
    /// A host's name, or an IPv4 or IPv6 address.
    pub host: String,
    /// Never 0.
    pub port: u16,
}

/// A text that is no address of a log host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' {why}, expected such as \"udp://loghost:514\" or \"tcp://loghost\"")]
pub struct AddressError {
    text: String,
    why: &'static str,
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read(text).map_err(|why| AddressError { text: text.escape_debug().take(80).collect(), why })
    }
}

fn read(text: &str) -> Result<Address, &'static str> {
    let (protocol, rest) = match text.split_once("://") {
        Some(("udp", rest)) => (Protocol::Udp, rest),
        Some(("tcp", rest)) => (Protocol::Tcp, rest),
        _ => return Err("begins with neither udp:// nor tcp://"),
    };
    let (host, port) = match rest.strip_prefix('[') {
        Some(bracketed) => {
            let (host, port) = bracketed.split_once(']').ok_or("has no ] behind its address")?;
            host.parse::<Ipv6Addr>().map_err(|_| "has no IPv6 address in its brackets")?;
            (host, port)
        }
        None => {
            let end = rest.find(':').unwrap_or(rest.len());
            let (host, port) = rest.split_at(end);
            host.parse::<HostName>().map_err(|_| "has no host's name")?;
            (host, port)
        }
    };
    let port = match port.strip_prefix(':') {
        Some(digits) => digits.parse().ok().filter(|port| *port > 0).ok_or("has no port from 1 to 65535")?,
        None if port.is_empty() => PORT,
        None => return Err("has something behind its host"),
    };
    Ok(Address { protocol, host: host.to_owned(), port })
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.protocol {
            Protocol::Udp => "udp",
            Protocol::Tcp => "tcp",
        };
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{protocol}://{open}{}{close}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_protocol_a_host_and_a_port() {
        for (text, shown) in [
            ("udp://loghost:514", "udp://loghost:514"),
            ("tcp://loghost", "tcp://loghost:514"),
            ("tcp://log-1.example.com:65535", "tcp://log-1.example.com:65535"),
            ("udp://192.0.2.7:1514", "udp://192.0.2.7:1514"),
            ("tcp://[2001:db8::7]:1514", "tcp://[2001:db8::7]:1514"),
            ("udp://[::1]", "udp://[::1]:514"),
        ] {
            assert_eq!(text.parse::<Address>().map(|address| address.to_string()), Ok(shown.to_owned()));
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_reason() {
        for (text, why) in [
            ("loghost", "'loghost' begins with neither udp:// nor tcp://"),
            ("tls://loghost", "begins with neither"),
            ("UDP://loghost", "begins with neither"),
            ("udp://", "has no host's name"),
            ("udp://:514", "has no host's name"),
            ("udp://joe@loghost", "has no host's name"),
            ("udp://loghost/x", "has no host's name"),
            ("udp://a b", "has no host's name"),
            ("udp://loghost:", "has no port"),
            ("udp://loghost:0", "has no port"),
            ("udp://loghost:65536", "has no port"),
            ("udp://loghost:514/", "has no port"),
            ("udp://::1", "has no host's name"),
            ("udp://[::1", "has no ]"),
            ("udp://[loghost]", "has no IPv6 address"),
            ("udp://[::1]514", "has something behind its host"),
            ("udp://log\nhost", "'udp://log\\nhost' has no host's name"),
        ] {
            let said = text.parse::<Address>().unwrap_err().to_string();
            assert!(said.contains(why) && said.contains("expected such as"), "{text}: {said}");
        }
    }
}
