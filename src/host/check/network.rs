//! The zone's `net` and `anet` resources: which addresses, links and routes it would have on this
//! host.
//!
//! A zone with shared IP gets addresses on interfaces of the global zone and nothing more, but
//! zoneadmd adds its `defrouter` to the global zone's routes. A zone with an IP stack of its own
//! gets a link, sees all that passes there and sends whatever it likes; its routes are its own.

use super::text::{listed, shown, words};
use crate::cmd::zonecfg::{Resource, ZoneConfig};
use crate::config::{Accept, Network};

/// The word by which the system chooses the link itself.
const AUTO: &str = "auto";

/// Why these resources are beyond what is accepted, as fragments that follow `zone 'x'`.
pub(super) fn refusals(config: &ZoneConfig, accept: &Accept) -> Vec<String> {
    let nets = config.resources.iter().filter(|resource| is_net(resource));
    nets.flat_map(|net| Net { net, is_shared: is_shared(config), accept }.refusals()).collect()
}

/// What the zone would have, a line for each resource.
pub(super) fn findings(config: &ZoneConfig) -> Vec<String> {
    let stack = if is_shared(config) { "shared IP" } else { "an IP stack of its own" };
    let nets = config.resources.iter().filter(|resource| is_net(resource));
    let line = |net: &Resource| {
        let properties = net.properties.iter().map(|p| format!("{}={}", p.name, p.value)).collect::<Vec<_>>();
        format!("network of the zone ({}, {stack}): {}", net.kind, listed(&properties))
    };
    nets.map(line).collect()
}

fn is_net(resource: &Resource) -> bool {
    matches!(resource.kind.as_str(), "net" | "anet")
}

/// Where zonecfg says nothing, the IP stack is shared.
fn is_shared(config: &ZoneConfig) -> bool {
    config.global("ip-type").is_none_or(|kind| kind == "shared")
}

struct Net<'a> {
    net: &'a Resource,
    is_shared: bool,
    accept: &'a Accept,
}

impl<'a> Net<'a> {
    fn refusals(&self) -> Vec<String> {
        let mut refusals: Vec<String> = self.links().filter_map(|link| self.link(link)).collect();
        refusals.extend(self.addresses());
        if self.is_shared {
            refusals.extend(self.values("defrouter").filter_map(|router| self.router(router)));
        }
        refusals
    }

    /// Every value of a property, however often it stands there and however it is listed.
    fn values(&self, name: &'static str) -> impl Iterator<Item = &'a str> {
        let properties = self.net.properties.iter().filter(move |property| property.name == name);
        properties.flat_map(|property| words(&property.value))
    }

    /// The links that the resource uses: for a VNIC that is made at boot, the link below it.
    fn links(&self) -> impl Iterator<Item = &'a str> {
        let below: Vec<_> = self.values("global-nic").chain(self.values("lower-link")).collect();
        let itself: Vec<_> = if below.is_empty() { self.values("physical").collect() } else { Vec::new() };
        below.into_iter().chain(itself)
    }

    fn link(&self, link: &str) -> Option<String> {
        let fits = |allowed: &String| match allowed.strip_suffix('*') {
            Some(begin) => link.starts_with(begin),
            None => allowed == link,
        };
        let allowed = match &self.accept.links {
            Some(links) => links.iter().any(fits),
            None => self.is_shared || link == AUTO,
        };
        (!allowed).then(|| {
            let links = self.accept.links.as_deref().map_or("none by name".to_owned(), listed);
            let how = if self.is_shared { "" } else { ", with an IP stack of its own" };
            format!("uses the link {}{how}; the target accepts {links} ([accept] links)", shown(link))
        })
    }

    fn addresses(&self) -> Vec<String> {
        let Some(accepted) = &self.accept.addresses else { return Vec::new() };
        let named: Vec<_> = accepted.iter().map(Network::to_string).collect();
        let given: Vec<_> = self.values("address").chain(self.values("allowed-address")).collect();
        if given.is_empty() {
            return vec![format!(
                "may use any address on its {}; the target accepts {} ([accept] addresses); set allowed-address",
                self.net.kind,
                listed(&named)
            )];
        }
        let fits = |text: &str| {
            Network::parse(text).is_ok_and(|host| accepted.iter().any(|network| network.has_host(&host)))
        };
        let beyond = given.into_iter().filter(|text| !fits(text));
        let line = |text: &str| {
            format!(
                "has the address {}; the target accepts {} ([accept] addresses)",
                shown(text),
                listed(&named)
            )
        };
        beyond.map(line).collect()
    }

    fn router(&self, router: &str) -> Option<String> {
        let fits = Network::parse(router)
            .is_ok_and(|host| self.accept.defrouters.iter().any(|network| network.has_host(&host)));
        (!fits).then(|| {
            let named: Vec<_> = self.accept.defrouters.iter().map(Network::to_string).collect();
            format!(
                "has defrouter={}, which would add a route in the global zone; the target accepts {} ([accept] defrouters)",
                shown(router),
                listed(&named)
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::check::fixture::{Case, case};

    const OWN: &str = "set ip-type=exclusive\n";

    /// What is said about the zone of 2007 with this network instead of its own.
    fn with(net: &str, accept: impl FnOnce(&mut Accept)) -> String {
        let mut case = case();
        accept(&mut case.accept);
        set(&mut case, net);
        case.refusals()
    }

    fn set(case: &mut Case, net: &str) {
        let config = &mut case.offer.survey.zone.config;
        let (start, rest) = config.split_once("add net\n").unwrap();
        let (_, end) = rest.split_once("end\n").unwrap();
        let start = if net.starts_with(OWN) {
            start.replace("ip-type=shared", "ip-type=exclusive")
        } else {
            start.to_owned()
        };
        *config = format!("{start}{}{end}", net.strip_prefix(OWN).unwrap_or(net));
    }

    fn networks(all: &[&str]) -> Vec<Network> {
        all.iter().map(|text| Network::parse(text).unwrap()).collect()
    }

    #[test]
    fn by_default_a_zone_gets_addresses_and_no_link_by_name() {
        for (net, why) in [
            ("add net\nset address=192.0.2.10/24\nset physical=nge0\nend\n", None),
            (
                "add net\nset address=192.0.2.10/24\nset physical=nge0\nset defrouter=192.0.2.1\nend\n",
                Some("has defrouter=192.0.2.1"),
            ),
            (
                "set ip-type=exclusive\nadd net\nset physical=nge0\nend\n",
                Some("uses the link nge0, with an IP stack"),
            ),
            (
                "set ip-type=exclusive\nadd net\nset allowed-address=192.0.2.10/24\nset physical=web0\nset global-nic=nge0\nend\n",
                Some("uses the link nge0"),
            ),
            (
                "set ip-type=exclusive\nadd net\nset allowed-address=192.0.2.10/24\nset physical=web0\nset global-nic=auto\nset defrouter=192.0.2.1\nend\n",
                None,
            ),
            ("set ip-type=exclusive\nadd anet\nset linkname=net0\nset lower-link=auto\nend\n", None),
            (
                "set ip-type=exclusive\nadd anet\nset linkname=net0\nset lower-link=net1\nend\n",
                Some("uses the link net1"),
            ),
        ] {
            let said = with(net, |_| ());
            match why {
                Some(why) => assert!(said.contains(why), "{net}: {said}"),
                None => assert_eq!(said, "", "{net}"),
            }
        }
    }

    #[test]
    fn links_addresses_and_routers_are_within_the_accepted_ones() {
        let accept = |accept: &mut Accept| {
            accept.links = Some(vec!["nge0".to_owned(), "web*".to_owned()]);
            accept.addresses = Some(networks(&["192.0.2.0/24"]));
            accept.defrouters = networks(&["192.0.2.1"]);
        };
        for (net, why) in [
            ("add net\nset address=192.0.2.10/24\nset physical=nge0\nset defrouter=192.0.2.1\nend\n", ""),
            (
                "add net\nset address=192.0.2.10/24\nset physical=nge1\nend\n",
                "uses the link nge1; the target accepts nge0, web*",
            ),
            (
                "add net\nset address=198.51.100.1/24\nset physical=nge0\nend\n",
                "has the address 198.51.100.1/24",
            ),
            ("add net\nset address=myhost\nset physical=nge0\nend\n", "has the address myhost"),
            (
                "add net\nset address=192.0.2.10/24\nset physical=nge0\nset defrouter=192.0.2.2\nend\n",
                "defrouter=192.0.2.2",
            ),
            ("set ip-type=exclusive\nadd net\nset physical=web7\nend\n", "may use any address on its net"),
            (
                "set ip-type=exclusive\nadd net\nset allowed-address=192.0.2.10/24,198.51.100.1/24\nset physical=web7\nend\n",
                "the address 198.51.100.1/24",
            ),
            (
                "set ip-type=exclusive\nadd net\nset allowed-address=192.0.2.10/24\nset physical=web7\nset global-nic=auto\nend\n",
                "uses the link auto",
            ),
        ] {
            let said = with(net, accept);
            assert!(said.is_empty() == why.is_empty() && said.contains(why), "{net}: {said}");
        }
    }

    #[test]
    fn the_networks_of_the_zone_are_shown() {
        let mut case = case();
        set(&mut case, "add net\nset address=192.0.2.10/24\nset physical=nge0\nset vlan-id=7\nend\n");
        let line = "network of the zone (net, shared IP): address=192.0.2.10/24, physical=nge0, vlan-id=7";
        assert!(case.findings().contains(line), "{}", case.findings());
    }
}
