//! `ssh … -l zmigrate-FROM -s HOST sftp`: the SFTP subsystem of another host of the lab, in the
//! dropbox that this host has there. One link connects the hosts. It is down while `.lab/link-down`
//! exists: running sessions end as if the network had been cut.

use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::sftp;
use crate::world::{Host, Lab};

/// ssh's own failures, whatever they are.
const FAILED: i32 = 255;

pub fn main(host: &Host, args: &[String]) -> Result<i32> {
    let mut words = args.iter().map(String::as_str);
    let (mut user, mut rest) = (None, Vec::new());
    while let Some(word) = words.next() {
        match word {
            "-l" => user = words.next(),
            "-o" | "-i" | "-p" | "-F" | "-J" => drop(words.next()),
            _ if word.starts_with("-o") || ["-a", "-x", "-T", "-v", "-s"].contains(&word) => {}
            _ if word.starts_with('-') => {
                err!("zmigrate-lab: ssh: option {word} is not emulated");
                return Ok(crate::LAB_FAILED);
            }
            _ => rest.push(word),
        }
    }
    let [address, "sftp"] = rest[..] else {
        err!("zmigrate-lab: ssh: only `-s HOST sftp` is emulated");
        return Ok(crate::LAB_FAILED);
    };
    let down = host.state_dir().join("link-down");
    if down.exists() {
        err!("ssh: connect to host {address} port 22: No route to host");
        return Ok(FAILED);
    }
    let lab = Lab::open(host.root.parent().unwrap_or(&host.root))?;
    let Ok(peer) = lab.host(address) else {
        err!("ssh: Could not resolve hostname {address}: Name or service not known");
        return Ok(FAILED);
    };
    let user = user.unwrap_or("root");
    if user.strip_prefix("zmigrate-") != Some(&host.name()) {
        err!("{user}@{address}: Permission denied (publickey).");
        return Ok(FAILED);
    }
    thread::spawn(move || {
        while !down.exists() {
            thread::sleep(Duration::from_millis(10));
        }
        err!("client_loop: send disconnect: Broken pipe");
        std::process::exit(FAILED);
    });
    let root = peer.file("export/scratch/zmigrate/dropbox").join(host.name());
    sftp::serve(&root, &peer.state_dir())?;
    Ok(0)
}
