//! A request's TOML, key by key. The order of the keys here is the order in which a fault lists them.

use std::collections::BTreeMap;

use super::{Attach, Keep, Mode, OnFailure, Properties, Request, Route, Shutdown, Source, Target, Verify};
use super::{GIVE_UP, property, route, ticket, verify_command, zonecfg};
use crate::job::fault::Fault;
use crate::job::name::{DatasetName, HostName, SnapshotName, ZoneName};
use crate::job::sheet::{Section, Sheet};
use crate::job::{path, units};

impl Request {
    /// Reads a request. `file` is the name that faults show.
    ///
    /// # Errors
    /// All faults of the text, in the order of its lines; never none.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<Fault>> {
        let sheet = Sheet::new(file, text);
        let read = request(sheet.top());
        match (read, sheet.finish()) {
            (Some(request), faults) if faults.is_empty() => Ok(request),
            (None, faults) if faults.is_empty() => Err(vec![Fault::of_file(file, "names no zone and peer")]),
            (_, faults) => Err(faults),
        }
    }
}

/// `None` when zone or peer is absent or faulty; the fault is in the sheet.
fn request(mut top: Section<'_>) -> Option<Request> {
    let zone = top.required("zone", str::parse::<ZoneName>);
    let to = top.required("to", str::parse::<HostName>);
    let mode = mode(&mut top);
    let snapshot = top.text("snapshot", str::parse::<SnapshotName>);
    let not_before = top.moment("not_before");
    let give_up = top.text("give_up", units::duration).unwrap_or(GIVE_UP);
    let max_outage = top.text("max_outage", units::duration);
    let ticket = top.text("ticket", ticket);
    let shutdown = shutdown(top.section("shutdown"));
    let target = target(top.section("target"));
    let verify = verify(top.section("verify"));
    let source = source(top.section("source"));
    // Everything has been read before the first absent key ends it: all faults come at once.
    top.close();
    Some(Request {
        zone: zone?,
        to: to?,
        mode,
        snapshot,
        not_before,
        give_up,
        max_outage,
        ticket,
        shutdown,
        target,
        verify,
        source,
    })
}

fn mode(top: &mut Section<'_>) -> Mode {
    let read = top.text("mode", |text| match text {
        "cold" => Ok(Mode::Cold),
        "warm" => Err("\"warm\" is not in this version: use \"cold\"".to_owned()),
        other => Err(format!("'{}' is unknown, expected `cold`", other.escape_debug())),
    });
    read.unwrap_or_default()
}

fn shutdown(mut section: Section<'_>) -> Shutdown {
    let default = Shutdown::default();
    let read = Shutdown {
        timeout: section.text("timeout", units::duration).unwrap_or(default.timeout),
        force: section.flag("force").unwrap_or(default.force),
    };
    section.close();
    read
}

fn target(mut section: Section<'_>) -> Target {
    let attach = [
        ("strict", Attach::Strict),
        ("update", Attach::Update),
        ("update-all", Attach::UpdateAll),
        ("force", Attach::Force),
    ];
    let read = Target {
        zonepath: section.text("zonepath", path::zonepath),
        attach: section.word("attach", &attach).unwrap_or_default(),
        boot: section.flag("boot"),
        datasets: datasets(section.section("datasets")),
        properties: properties(section.section("properties")),
        zonecfg: zonecfg(section.section("zonecfg")),
        route: route(section.section("route")),
    };
    section.close();
    read
}

fn datasets(section: Section<'_>) -> BTreeMap<DatasetName, DatasetName> {
    let pairs = section.named();
    let read = pairs
        .iter()
        .map(|entry| (entry.key(str::parse::<DatasetName>), entry.text(str::parse::<DatasetName>)));
    read.filter_map(|(from, to)| Some((from?, to?))).collect()
}

fn properties(section: Section<'_>) -> Properties {
    let read = section.named().into_iter().map(|dataset| {
        let values = dataset.section().named().into_iter().filter_map(|entry| {
            let name = entry.key(property::name);
            let value = entry.text(|text| property::value(entry.name, text));
            Some((name?, value?))
        });
        let values: BTreeMap<String, String> = values.collect();
        (dataset.key(str::parse::<DatasetName>), values)
    });
    read.filter_map(|(dataset, values)| Some((dataset?, values)))
        .filter(|(_, values)| !values.is_empty())
        .collect()
}

fn zonecfg(mut section: Section<'_>) -> Vec<String> {
    let mut scope = zonecfg::Scope::default();
    let read = section.texts("commands", |text| scope.take(text));
    if let Err(why) = scope.close() {
        section.fault("commands", &why);
    }
    section.close();
    read.unwrap_or_default()
}

fn route(mut section: Section<'_>) -> Option<Route> {
    if !section.is_present() {
        return None;
    }
    let host = |text: &str| route::ipv4(text).and_then(route::host);
    let interface = section.required("interface", route::interface);
    let address = section.required("address", host);
    let netmask = section.required("netmask", |text| route::ipv4(text).and_then(route::contiguous));
    let gateway = section.required("gateway", host);
    let read = match (interface, address, netmask, gateway) {
        (Some(interface), Some(address), Some(netmask), Some(gateway)) => {
            let route = Route::new(interface, address, netmask, gateway);
            route.map_err(|why| section.fault("gateway", &why)).ok()
        }
        _ => None,
    };
    section.close();
    read
}

fn verify(mut section: Section<'_>) -> Verify {
    let default = Verify::default();
    let read = Verify {
        timeout: section.text("timeout", units::duration).unwrap_or(default.timeout),
        commands: section.texts("commands", verify_command).unwrap_or_default(),
        on_failure: section
            .word("on_failure", &[("return", OnFailure::Return), ("stay", OnFailure::Stay)])
            .unwrap_or_default(),
    };
    section.close();
    read
}

fn source(mut section: Section<'_>) -> Source {
    let keep = section.text("keep", |text| match text {
        "forever" => Ok(Keep::Forever),
        time => units::duration(time).map(Keep::For).map_err(|why| format!("{why}, or \"forever\"")),
    });
    section.close();
    Source { keep: keep.unwrap_or_default() }
}
