//! `netstat -rn`: which default routes this host has. Changes nothing, unlike `route`, which can only try.

use std::net::Ipv4Addr;

use super::{CmdError, ParseError};
use crate::process::{Argv, Programs};

/// The routing tables, addresses as numbers.
pub fn routes() -> Argv {
    Argv::new("netstat").arg("-rn")
}

/// The gateways of this host's default routes.
///
/// # Errors
/// When the command fails or says something that is not understood.
pub fn default_gateways(programs: &Programs) -> Result<Vec<Ipv4Addr>, CmdError> {
    let argv = routes();
    parse_default_gateways(&programs.ok(&argv)?.stdout).map_err(CmdError::unreadable(&argv))
}

/// Reads the lines `default  GATEWAY  …` of the table of IPv4; several are allowed. Its cells are padded, and the
/// last one is empty on Solaris 10 for a route that is tied to no interface.
///
/// # Errors
/// Without that table, or with a default route whose gateway is no address.
pub fn parse_default_gateways(text: &str) -> Result<Vec<Ipv4Addr>, ParseError> {
    let mut lines = text.lines().enumerate();
    if !lines.any(|(_, line)| line.trim() == "Routing Table: IPv4") {
        return Err(ParseError::at(0, text, "begins no table of IPv4"));
    }
    let table = lines.take_while(|(_, line)| !line.starts_with("Routing Table: "));
    let defaults = table.filter(|(_, line)| line.split_whitespace().next() == Some("default"));
    defaults
        .map(|(index, line)| {
            let gateway = line.split_whitespace().nth(1).and_then(|word| word.parse().ok());
            gateway.ok_or_else(|| ParseError::at(index, line, "names no gateway"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::sample::sample;

    #[test]
    fn the_default_routes_of_ipv4_are_read() {
        let found = parse_default_gateways(sample!("netstat/rn.txt")).unwrap();
        assert_eq!(found, [Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(198, 51, 100, 1)]);
        assert_eq!(parse_default_gateways("\nRouting Table: IPv4\n").unwrap(), [Ipv4Addr::LOCALHOST; 0]);
        for bad in ["", "default 192.0.2.1 UG 1 1\n", "Routing Table: IPv4\ndefault nge0 U 1 1\n"] {
            assert!(parse_default_gateways(bad).is_err(), "{bad:?}");
        }
    }
}
