//! ipadm, as far as a person or the check of a zone's interfaces uses it.

use anyhow::Result;

use super::{Interface, Net, address, physical};
use crate::world::Host;

/// ipadm: show-addr, show-if, create-addr, delete-addr.
pub fn ipadm(host: &Host, args: &[String]) -> Result<i32> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["show-addr"] => {
            out!("{:<18}{:<9}{:<13}{}", "ADDROBJ", "TYPE", "STATE", "ADDR");
            for (object, state, address) in objects(&Net::load(host)?) {
                out!("{object:<18}{:<9}{state:<13}{address}", "static");
            }
            Ok(0)
        }
        ["show-addr", "-p", "-o", "ADDROBJ,STATE,ADDR" | "addrobj,state,addr"] => {
            for (object, state, address) in objects(&Net::load(host)?) {
                out!("{object}:{state}:{}", address.replace(':', "\\:"));
            }
            Ok(0)
        }
        ["create-addr", options @ .., object] => create(host, options, object),
        ["delete-addr", object] => Net::change(host, |net| {
            let before = net.interfaces.len();
            net.interfaces.retain(|interface| interface.object.as_deref() != Some(object));
            if net.interfaces.len() == before {
                err!("ipadm: could not delete address: Object not found");
                return Ok(1);
            }
            Ok(0)
        }),
        _ => {
            err!("ipadm: the lab knows show-addr, create-addr -t -T static -a ADDR OBJ, delete-addr OBJ");
            Ok(1)
        }
    }
}

fn objects(net: &Net) -> Vec<(String, &'static str, String)> {
    let mut found = vec![("lo0/v4".to_owned(), "ok", "127.0.0.1/8".to_owned())];
    for interface in &net.interfaces {
        if let (Some(address), Some(object)) = (&interface.address, &interface.object) {
            let state = if interface.up { "ok" } else { "down" };
            found.push((object.clone(), state, address.clone()));
        }
    }
    found
}

fn create(host: &Host, options: &[&str], object: &str) -> Result<i32> {
    let wanted = options.iter().position(|word| *word == "-a").and_then(|at| options.get(at + 1));
    let Some(wanted) = wanted.filter(|wanted| address::parse(wanted).is_some()) else {
        err!("ipadm: could not create address: Invalid argument");
        return Ok(1);
    };
    let nic = object.split('/').next().unwrap_or(object);
    Net::change(host, |net| {
        let why =
            if net.interface(physical(nic)).is_none() {
                Some("Interface does not exist")
            } else if net.interfaces.iter().any(|interface| interface.object.as_deref() == Some(object)) {
                Some("Address object already exists")
            } else if net.interfaces.iter().any(|interface| {
                interface.address.as_deref().map(address::plain) == Some(address::plain(wanted))
            }) {
                Some("Address already in use")
            } else {
                None
            };
        if let Some(why) = why {
            err!("ipadm: Could not create address: {why}");
            return Ok(1);
        }
        let free = (1..).map(|number| format!("{nic}:{number}")).find(|name| net.interface(name).is_none());
        net.interfaces.push(Interface {
            name: free.unwrap_or_default(),
            address: Some(address::with_length(wanted)),
            up: true,
            object: Some(object.to_owned()),
            zone: None,
        });
        Ok(0)
    })
}
