//! The request that `submit` and `plan` are given: a file, or a zone, a peer and options, which become one.
//!
//! Options are judged by the very reader that judges files ([`Request::parse`]), so both know the same rules,
//! and every fault is told at once, by the option's name.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};

use chrono::{DateTime, Utc};
use clap::Args;

use crate::config::Config;
use crate::job::fault::Fault;
use crate::job::name::DatasetName;
use crate::job::request::Request;
use crate::spool::incoming::MAX_REQUEST;

use super::context::Context;
use super::error::CliError;

/// The first of the two lines that a request needs, or a file that has them, and what else may be asked for.
#[derive(Debug, Args)]
pub struct RequestArgs {
    /// The zone on this host; or, without PEER, a request's file ('-': standard input)
    #[arg(value_name = "ZONE|FILE")]
    what: String,
    /// The host that it moves to, as [peer.NAME] of the configuration calls it
    peer: Option<String>,
    /// Echoed in every log line and in the outcome
    #[arg(long, requires = "peer", value_name = "TEXT")]
    ticket: Option<String>,
    /// Do nothing before this moment, such as 2007-05-18T03:00:00Z
    #[arg(long, requires = "peer", value_name = "MOMENT")]
    not_before: Option<String>,
    /// Undo when the job has not come to the handoff after this time [default: 4h]
    #[arg(long, requires = "peer", value_name = "TIME")]
    give_up: Option<String>,
    /// Undo when the zone has been down for this time before the handoff [default: no limit]
    #[arg(long, requires = "peer", value_name = "TIME")]
    max_outage: Option<String>,
    /// Name of the final snapshot [default: zmigrate-JOB]
    #[arg(long, requires = "peer", value_name = "NAME")]
    snapshot: Option<String>,
    /// How long to wait for the zone to shut down [default: 10m]
    #[arg(long, requires = "peer", value_name = "TIME")]
    shutdown_timeout: Option<String>,
    /// Halt the zone when that time is over, instead of giving up
    #[arg(long, requires = "peer")]
    force: bool,
    /// The zonepath on the peer [default: as here]
    #[arg(long, requires = "peer", value_name = "PATH")]
    zonepath: Option<String>,
    /// How the zone is attached: strict, update (-u), update-all (-U) or force (-F) [default: strict]
    #[arg(long, requires = "peer", value_name = "HOW")]
    attach: Option<String>,
    /// Datasets that begin with FROM land below TO on the peer; may be repeated, the longest FROM wins
    #[arg(long, requires = "peer", value_name = "FROM=TO")]
    map: Vec<String>,
    /// Boot the zone on the peer, even if it is down here
    #[arg(long, requires = "peer", conflicts_with = "no_boot")]
    boot: bool,
    /// Leave the zone down on the peer, even if it runs here
    #[arg(long, requires = "peer")]
    no_boot: bool,
    /// Run CMD in the zone after its boot, again and again until it exits 0. May be repeated
    #[arg(long, requires = "peer", value_name = "CMD")]
    verify: Vec<String>,
    /// How long boot and verify commands may take together [default: 5m]
    #[arg(long, requires = "peer", value_name = "TIME")]
    verify_timeout: Option<String>,
    /// When that fails: return (to this host, by itself) or stay (on the peer, running) [default: return]
    #[arg(long, requires = "peer", value_name = "WHAT")]
    on_failure: Option<String>,
    /// Take the old copy away after this time, such as 7d [default: forever]
    #[arg(long, requires = "peer", value_name = "TIME")]
    keep: Option<String>,
}

/// A request that is legal in itself and names a peer of this host.
#[derive(Debug)]
pub struct Wanted {
    /// The request.
    pub request: Request,
    /// Its text: the file's own, or one made of the options.
    pub text: String,
}

impl RequestArgs {
    /// Reads the request and looks its peer up in the configuration. Touches nothing.
    ///
    /// # Errors
    /// All its faults: a bad request.
    pub fn read(&self, context: &Context) -> Result<Wanted, CliError> {
        let wanted = match &self.peer {
            Some(peer) => self.made(peer),
            None => self.read_file(),
        };
        let wanted = wanted.map_err(CliError::bad)?;
        known_peer(&context.config, &wanted.request)
            .map_err(|why| CliError::bad([format!("{why} ({})", context.file.display())]))?;
        Ok(wanted)
    }

    fn read_file(&self) -> Result<Wanted, Vec<String>> {
        let text = read_text(&self.what).map_err(|why| {
            let mut fault = format!("{}: {why}", self.what.escape_debug());
            if !self.what.contains('/') && !self.what.ends_with(".toml") {
                fault.push_str("; to move a zone of this name, say to which peer: ZONE PEER");
            }
            vec![fault]
        })?;
        match Request::parse(&self.what, &text) {
            Ok(request) => Ok(Wanted { request, text }),
            Err(faults) => Err(faults.iter().map(ToString::to_string).collect()),
        }
    }

    fn made(&self, peer: &str) -> Result<Wanted, Vec<String>> {
        let (text, mut faults) = self.toml(peer);
        match Request::parse("", &text) {
            Ok(request) if faults.is_empty() => {
                let text = request.to_toml();
                Ok(Wanted { request, text })
            }
            Ok(_) => Err(faults),
            Err(found) => {
                faults.extend(found.iter().map(by_option));
                Err(faults)
            }
        }
    }

    /// The options as a request's text, and the faults of those that can't even be written there.
    fn toml(&self, peer: &str) -> (String, Vec<String>) {
        let mut faults = Vec::new();
        let mut sheet = Sheet::default();
        sheet.put("zone", Some(&self.what));
        sheet.put("to", Some(peer));
        sheet.put("ticket", self.ticket.as_deref());
        if let Some(moment) = &self.not_before {
            // A moment is not quoted in TOML, so nothing but a moment may stand there.
            match DateTime::parse_from_rfc3339(moment) {
                Ok(at) => sheet.raw("not_before", &at.with_timezone(&Utc).to_rfc3339()),
                Err(_) => faults.push(format!(
                    "--not-before: '{}' is not a moment: write it as 2007-05-18T03:00:00Z",
                    moment.escape_debug()
                )),
            }
        }
        sheet.put("give_up", self.give_up.as_deref());
        sheet.put("max_outage", self.max_outage.as_deref());
        sheet.put("snapshot", self.snapshot.as_deref());
        sheet.put("shutdown.timeout", self.shutdown_timeout.as_deref());
        if self.force {
            sheet.raw("shutdown.force", "true");
        }
        sheet.put("target.zonepath", self.zonepath.as_deref());
        sheet.put("target.attach", self.attach.as_deref());
        if self.boot || self.no_boot {
            sheet.raw("target.boot", if self.boot { "true" } else { "false" });
        }
        let mut mapped = BTreeSet::new();
        for map in &self.map {
            match mapping(map) {
                Ok((from, to)) if mapped.insert(from.clone()) => {
                    sheet.put(&format!("target.datasets.{}", quoted(from.as_str())), Some(to));
                }
                Ok((from, _)) => faults.push(format!("--map: '{from}' is mapped twice")),
                Err(why) => faults.push(format!("--map: {why}")),
            }
        }
        if !self.verify.is_empty() {
            sheet.raw("verify.commands", &toml::Value::from(self.verify.clone()).to_string());
        }
        sheet.put("verify.timeout", self.verify_timeout.as_deref());
        sheet.put("verify.on_failure", self.on_failure.as_deref());
        sheet.put("source.keep", self.keep.as_deref());
        (sheet.text, faults)
    }
}

/// FROM=TO. A key is judged before it is written: not every text can be one.
fn mapping(map: &str) -> Result<(DatasetName, &str), String> {
    let not_two = || format!("'{}' is not FROM=TO", map.escape_debug());
    let (from, to) = map.split_once('=').ok_or_else(not_two)?;
    Ok((DatasetName::new(from).map_err(|why| why.to_string())?, to))
}

/// TOML with dotted keys, which may stand in any order.
#[derive(Default)]
struct Sheet {
    text: String,
}

impl Sheet {
    fn put(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.raw(key, &quoted(value));
        }
    }

    fn raw(&mut self, key: &str, value: &str) {
        self.text.push_str(&format!("{key} = {value}\n"));
    }
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// A fault of the text that was made, as one of the option that it came from.
fn by_option(fault: &Fault) -> String {
    const OPTIONS: [(&str, &str); 16] = [
        ("zone", "ZONE"),
        ("to", "PEER"),
        ("ticket", "--ticket"),
        ("not_before", "--not-before"),
        ("give_up", "--give-up"),
        ("max_outage", "--max-outage"),
        ("snapshot", "--snapshot"),
        ("shutdown.timeout", "--shutdown-timeout"),
        ("target.zonepath", "--zonepath"),
        ("target.attach", "--attach"),
        ("target.boot", "--boot"),
        ("target.datasets", "--map"),
        ("verify.commands", "--verify"),
        ("verify.timeout", "--verify-timeout"),
        ("verify.on_failure", "--on-failure"),
        ("source.keep", "--keep"),
    ];
    let within = |key: &str| {
        fault.key.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    let Some((_, option)) = OPTIONS.iter().find(|(key, _)| within(key)) else {
        return fault.message.clone();
    };
    // Of --map the key is worth keeping: it says which one.
    let message = fault.message.strip_prefix(&format!("`{}`: ", fault.key)).filter(|_| *option != "--map");
    let message = message.unwrap_or(&fault.message);
    format!("{option}: {message}")
}

fn read_text(file: &str) -> Result<String, String> {
    let unreadable = |error: io::Error| format!("cannot be read: {error}");
    let mut bytes = Vec::new();
    let read = if file == "-" {
        io::stdin().take(MAX_REQUEST + 1).read_to_end(&mut bytes)
    } else {
        File::open(file).and_then(|file| file.take(MAX_REQUEST + 1).read_to_end(&mut bytes))
    };
    read.map_err(unreadable)?;
    if bytes.len() as u64 > MAX_REQUEST {
        return Err(format!("has more than {MAX_REQUEST} bytes"));
    }
    String::from_utf8(bytes)
        .map_err(|error| format!("is not UTF-8 from byte {} on", error.utf8_error().valid_up_to()))
}

/// Whether the configuration knows the request's peer; else what to do about it.
fn known_peer(config: &Config, request: &Request) -> Result<(), String> {
    if config.peers.contains_key(&request.to) {
        return Ok(());
    }
    let cannot = format!("cannot migrate zone '{}' to {}", request.zone, request.to);
    if request.to == config.host {
        return Err(format!("{cannot}: it is this host"));
    }
    let known: Vec<&str> = config.peers.keys().map(AsRef::as_ref).collect();
    let known = if known.is_empty() { "no peer at all".to_owned() } else { known.join(", ") };
    Err(format!("{cannot}: there is no [peer.{}] in the configuration, which has {known}", request.to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: RequestArgs,
    }

    fn args(line: &[&str]) -> RequestArgs {
        Line::try_parse_from(["submit"].iter().chain(line)).unwrap().args
    }

    fn faults(line: &[&str]) -> Vec<String> {
        let args = args(line);
        args.made(args.peer.as_ref().unwrap()).unwrap_err()
    }

    #[test]
    fn zone_and_peer_make_the_two_lines() {
        let wanted = args(&["dbbackup", "zhost2"]).made("zhost2").unwrap();
        assert_eq!(wanted.text, "zone = \"dbbackup\"\nto = \"zhost2\"\n");
    }

    #[test]
    fn every_option_reaches_its_key() {
        let line = [
            "db",
            "zhost2",
            "--ticket",
            "OPS-1 \"x\"",
            "--not-before",
            "2007-05-18T05:00:00+02:00",
            "--give-up",
            "8h",
            "--max-outage",
            "2h",
            "--snapshot",
            "migrate",
            "--shutdown-timeout",
            "20m",
            "--force",
            "--zonepath",
            "/zones/db",
            "--attach",
            "update",
            "--map",
            "data=tank/z",
            "--no-boot",
            "--verify",
            "/bin/true 'a\\b'",
            "--verify",
            "id",
            "--verify-timeout",
            "9m",
            "--on-failure",
            "stay",
            "--keep",
            "7d",
        ];
        let wanted = args(&line).made("zhost2").unwrap();
        let file = r#"
            zone = "db"
            to = "zhost2"
            ticket = 'OPS-1 "x"'
            not_before = 2007-05-18T03:00:00Z
            give_up = "8h"
            max_outage = "2h"
            snapshot = "migrate"
            [shutdown]
            timeout = "20m"
            force = true
            [target]
            zonepath = "/zones/db"
            attach = "update"
            boot = false
            [target.datasets]
            data = "tank/z"
            [verify]
            commands = ["/bin/true 'a\\b'", "id"]
            timeout = "9m"
            on_failure = "stay"
            [source]
            keep = "7d"
        "#;
        assert_eq!(wanted.request, Request::parse("", file).unwrap());
        assert_eq!(Request::parse("", &wanted.text).unwrap(), wanted.request);
    }

    #[test]
    fn all_faults_of_the_options_come_at_once_by_their_names() {
        let said = faults(
            &[
                "-global",
                "z 2",
                "--ticket",
                "é",
                "--give-up",
                "soon",
                "--not-before",
                "tomorrow",
                "--map",
                "data",
                "--map",
                "a b/c\"=x y/",
                "--attach",
                "hard",
                "--verify",
                "ok",
                "--verify",
                "",
            ]
            .map(|word| if word == "-global" { "global" } else { word }),
        );
        for want in [
            "ZONE: 'global' is the global zone",
            "PEER: 'z 2' is not a host's name",
            "--ticket: 'é' is not a ticket",
            "--give-up: 'soon' is not a length of time",
            "--not-before: 'tomorrow' is not a moment",
            "--map: 'data' is not FROM=TO",
            "--map: 'a b/c\\\"' has a character",
            "--attach: ",
            "--verify: ",
        ] {
            assert!(said.iter().any(|fault| fault.starts_with(want)), "{want}\n{said:#?}");
        }
    }

    #[test]
    fn an_option_can_not_smuggle_another_key_in() {
        let said = faults(&["db", "zhost2", "--ticket", "x\"\nmode = \"warm", "--map", "a\"\nx = \"b=c"]);
        assert!(said.iter().all(|fault| !fault.contains("not in this version")), "{said:?}");
        assert_eq!(said.len(), 2, "{said:?}");
    }

    #[test]
    fn options_do_not_go_with_a_file() {
        Line::try_parse_from(["submit", "r.toml", "--ticket", "x"]).unwrap_err();
        Line::try_parse_from(["submit", "db", "zhost2", "--boot", "--no-boot"]).unwrap_err();
    }
}
