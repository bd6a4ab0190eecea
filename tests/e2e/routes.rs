//! The route workaround of 2007: what this job added goes on the way back, what was there before stays.

use serde_json::{Value, json};

use crate::lab::ends::{Before, assert_outcomes};
use crate::lab::{Host, Lab, Request};

/// With the route of 2007.
pub fn with_route(request: Request) -> Request {
    request
        .set("target.route", "interface", "\"nge0:99\"")
        .set("target.route", "address", "\"192.0.2.9\"")
        .set("target.route", "netmask", "\"255.255.255.0\"")
        .set("target.route", "gateway", "\"192.0.2.1\"")
}

/// A request whose zone does not come up over there: the target goes back.
fn in_vain() -> Request {
    let request = Request::new().set("verify", "timeout", "\"1s\"");
    with_route(request.set("verify", "commands", "[\"/opt/mysql/bin/nosuch\"]"))
}

fn has_route(host: &Host) -> bool {
    let routes = host.run("netstat", &["-rn"]);
    routes.lines().any(|line| line.starts_with("default") && line.contains("192.0.2.1 "))
}

fn assert_no_interface(host: &Host) {
    let interfaces = host.run("ifconfig", &["-a"]);
    assert!(!interfaces.contains("nge0:99") && !interfaces.contains("192.0.2.9 "), "{interfaces}");
}

#[test]
fn the_workaround_adds_the_route_and_leaves_no_interface_behind() {
    let lab = Lab::started();
    lab.migrate(&with_route(Request::new()));
    assert_outcomes(&lab, "ok", &[]);
    assert!(has_route(&lab.target));
    assert_no_interface(&lab.target);
}

/// It comes back, and a route that this job added has gone again.
fn goes_back_without_the_route(fault: Option<Value>) {
    let lab = Lab::new();
    if let Some(fault) = &fault {
        lab.target.fault(fault);
    }
    let before = Before::of(&lab.source);
    lab.start();
    lab.submit(&in_vain());
    if fault.is_some() {
        lab.target.wait_killed();
        lab.target.start();
    }
    lab.outcomes();
    assert_outcomes(&lab, "failed", &["step=verify", "undone=yes"]);
    before.assert_at_home(&lab.source);
    assert!(!has_route(&lab.target), "the route is left");
    assert_no_interface(&lab.target);
}

#[test]
fn on_the_way_back_it_is_taken_away() {
    goes_back_without_the_route(None);
}

#[test]
fn on_the_way_back_it_is_taken_away_by_a_daemon_that_was_killed_when_it_had_just_been_added() {
    let kill = json!({"do": "kill-parent", "when": "after"});
    goes_back_without_the_route(Some(
        json!({"command": "route", "contains": ["add"], "call": 1, "action": kill}),
    ));
}

#[test]
fn a_route_that_was_there_before_stays() {
    let lab = Lab::new();
    lab.target.run("ifconfig", &["nge0:98", "plumb"]);
    lab.target.run("ifconfig", &["nge0:98", "192.0.2.8", "netmask", "255.255.255.0", "up"]);
    lab.target.run("route", &["-n", "add", "default", "192.0.2.1"]);
    let before = Before::of(&lab.source);
    lab.start();
    lab.migrate(&in_vain());
    assert_outcomes(&lab, "failed", &["step=verify", "undone=yes"]);
    before.assert_at_home(&lab.source);
    assert!(has_route(&lab.target), "the route has gone");
    assert_no_interface(&lab.target);
}
