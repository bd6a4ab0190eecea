//! netstat: `-r`, with or without `-n`.

use anyhow::Result;

use super::{Net, address, physical};
use crate::world::Host;
use crate::zones::Zones;

/// The command.
pub fn main(host: &Host, args: &[String]) -> Result<i32> {
    let letters: String = args.iter().map(|arg| arg.trim_start_matches('-')).collect();
    if !letters.contains('r') || letters.chars().any(|letter| !"rnv".contains(letter)) {
        err!("netstat: the lab knows `netstat -rn`");
        return Ok(1);
    }
    let solaris10 = host.is_solaris10()?;
    let net = Net::load(host)?;
    let zones = Zones::look(host)?;
    out!("\nRouting Table: IPv4");
    out!("  Destination           Gateway           Flags  Ref     Use     Interface ");
    out!("-------------------- -------------------- ----- ----- ---------- --------- ");
    let row = |destination: &str, gateway: &str, flags: &str, interface: &str| {
        out!("{destination:<20} {gateway:<20} {flags:<5}  {:>4} {:>10} {interface:<9}", 1, 1);
    };
    let own = net.interfaces.iter().filter(|interface| interface.up);
    let own = own.filter_map(|interface| Some((interface.name.as_str(), interface.address.as_deref()?)));
    let held = zones.kernel.zones.iter().flat_map(|alive| &alive.addresses);
    let held = held.map(|held| (held.interface.as_str(), held.address.as_str()));
    let addresses: Vec<(&str, &str)> = own.chain(held).collect();
    for route in &net.routes {
        let outgoing = addresses.iter().find(|(_, own)| address::covers(own, &route.gateway));
        let interface = match (&route.ifp, outgoing) {
            (Some(ifp), _) => ifp.as_str(),
            // A route that isn't tied to an interface shows none on Solaris 10.
            (None, Some((name, _))) if !solaris10 => physical(name),
            _ => "",
        };
        row(&route.destination, &route.gateway, "UG", interface);
    }
    for (name, own) in &addresses {
        if let Some(subnet) = address::subnet(own) {
            row(&subnet.to_string(), address::plain(own), "U", name);
        }
    }
    row("127.0.0.1", "127.0.0.1", "UH", "lo0");
    Ok(0)
}
