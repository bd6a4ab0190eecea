//! Faults on demand: a given call of a given command fails, hangs, dies, lies or kills its caller.
//!
//! `.lab/faults.json` holds rules. Each rule counts the calls that it matched, so "the third `zfs
//! receive`" means the same whatever else runs. Every call writes a line to `.lab/calls.log` when
//! it begins and when it ends; a call without an end was killed. Calls are counted under a lock;
//! the command itself runs without it.
//!
//! A command that another command runs (zoneadm's zfs) is part of that command: it is not counted,
//! not logged and never struck by a rule.

mod rule;
mod strike;
pub mod verb;

use std::io;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

pub use rule::{Action, Rule, Stream, Then, When};
use strike::{Struck, signal_parent};

use crate::disk;
use crate::inner;
use crate::world::Host;

/// One line of the calls' log, begun and perhaps ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its number on this host, from 1.
    pub seq: u64,
    /// The command and its arguments, quoted for a shell.
    pub argv: String,
    /// Its exit status; none when it was killed or still runs.
    pub status: Option<i32>,
}

/// The rules in force.
pub fn rules(host: &Host) -> Result<Vec<Rule>> {
    disk::load(&host.state_dir().join("faults.json"))
}

/// Puts these rules in force, instead of those before.
pub fn set_rules(host: &Host, rules: &[Rule]) -> Result<()> {
    let _lock = disk::lock(&host.state_dir().join("faults.lock"))?;
    disk::store(&host.state_dir().join("faults.json"), &rules)
}

/// Adds a rule.
pub fn add_rule(host: &Host, rule: Rule) -> Result<()> {
    let _lock = disk::lock(&host.state_dir().join("faults.lock"))?;
    let mut rules = rules(host)?;
    rules.push(rule);
    disk::store(&host.state_dir().join("faults.json"), &rules)
}

/// The calls so far, by number.
pub fn calls(host: &Host) -> Result<Vec<Call>> {
    let path = host.state_dir().join("calls.log");
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(read_log(&text)),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(why) => Err(why).with_context(|| path.display().to_string()),
    }
}

fn read_log(text: &str) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    for line in text.lines() {
        let mut words = line.splitn(3, ' ');
        let (Some(Ok(seq)), Some(mark), Some(rest)) =
            (words.next().map(str::parse::<u64>), words.next(), words.next())
        else {
            continue;
        };
        match mark {
            ">" => calls.push(Call { seq, argv: rest.to_owned(), status: None }),
            "=" => {
                if let Some(call) = calls.iter_mut().rev().find(|call| call.seq == seq) {
                    call.status = rest.parse().ok();
                }
            }
            _ => {}
        }
    }
    calls
}

/// Runs a command's effect as the rules will have it, and gives its exit status.
pub fn guarded(host: &Host, command: &str, args: &[String], effect: impl FnOnce() -> i32) -> i32 {
    if std::env::var_os(inner::INNER).is_some() {
        return effect();
    }
    let (seq, action) = match begin(host, command, args) {
        Ok(begun) => begun,
        Err(why) => {
            err!("zmigrate-lab: {why:#}");
            return crate::LAB_FAILED;
        }
    };
    let status = match action {
        None => effect(),
        Some(Action::TermParent { then: Then::GoesOn, .. }) => {
            signal_parent(Signal::SIGTERM).map_or(crate::LAB_FAILED, |()| effect())
        }
        Some(action) => Struck { host, command, args }.act(&action).unwrap_or_else(|why| {
            err!("zmigrate-lab: {why:#}");
            crate::LAB_FAILED
        }),
    };
    if let Err(why) = disk::append(&host.state_dir().join("calls.log"), &format!("{seq} = {status}")) {
        err!("zmigrate-lab: {why:#}");
    }
    status
}

fn begin(host: &Host, command: &str, args: &[String]) -> Result<(u64, Option<Action>)> {
    let dir = host.state_dir();
    let _lock = disk::lock(&dir.join("faults.lock"))?;
    let seq = disk::load::<u64>(&dir.join("calls.json"))? + 1;
    disk::store(&dir.join("calls.json"), &seq)?;
    let mut rules = rules(host)?;
    let action = choose(&mut rules, command, args);
    if !rules.is_empty() {
        disk::store(&dir.join("faults.json"), &rules)?;
    }
    let mut line = format!("{seq} > {command}");
    for arg in args {
        line.push(' ');
        line.push_str(&quoted(arg));
    }
    disk::append(&dir.join("calls.log"), &line)?;
    Ok((seq, action))
}

/// Counts a call in every rule that it matches; the first one that is due strikes.
fn choose(rules: &mut [Rule], command: &str, args: &[String]) -> Option<Action> {
    let mut struck = None;
    for rule in rules {
        let named = rule.command == "*" || rule.command == command;
        if !named || !rule.contains.iter().all(|part| args.iter().any(|arg| arg.contains(part.as_str()))) {
            continue;
        }
        rule.seen += 1;
        let due = rule.call.is_none_or(|call| call == rule.seen);
        if due && struck.is_none() {
            rule.fired = true;
            struck = Some(rule.action.clone());
        }
    }
    struck
}

/// An argument as a shell would take it, on one line.
fn quoted(arg: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+#".contains(c);
    if !arg.is_empty() && arg.chars().all(plain) {
        return arg.to_owned();
    }
    format!("'{}'", arg.replace('\'', "'\\''").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(command: &str, contains: &[&str], call: Option<u64>) -> Rule {
        let contains = contains.iter().map(|&part| part.to_owned()).collect();
        Rule {
            command: command.into(),
            contains,
            call,
            action: Action::Hang { bytes: None },
            seen: 0,
            fired: false,
        }
    }

    fn args(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn the_nth_matching_call_strikes_once() {
        let mut rules = [rule("zfs", &["receive", "tank"], Some(2))];
        assert_eq!(choose(&mut rules, "zfs", &args(&["receive", "data/tank"])), None);
        assert_eq!(choose(&mut rules, "zfs", &args(&["list", "data/tank"])), None);
        assert_eq!(choose(&mut rules, "zpool", &args(&["receive", "tank"])), None);
        assert_eq!(
            choose(&mut rules, "zfs", &args(&["receive", "data/tank"])),
            Some(Action::Hang { bytes: None })
        );
        assert_eq!(choose(&mut rules, "zfs", &args(&["receive", "data/tank"])), None);
        assert!(rules[0].fired);
        assert_eq!(rules[0].seen, 3);
    }

    #[test]
    fn any_command_counts_for_the_star_even_when_another_rule_strikes() {
        let mut rules = [rule("zfs", &[], None), rule("*", &[], Some(3))];
        assert_eq!(choose(&mut rules, "zfs", &args(&["list"])), Some(Action::Hang { bytes: None }));
        assert_eq!(choose(&mut rules, "uname", &args(&["-a"])), None);
        assert_eq!(choose(&mut rules, "uname", &args(&["-a"])), Some(Action::Hang { bytes: None }));
    }

    #[test]
    fn rules_are_written_as_a_person_would() {
        let text = r#"{"command":"route","contains":["add"],"call":1,
            "action":{"do":"fail","text":"add net default: gateway 192.0.2.1: entry exists","status":17,"to":"stdout"}}"#;
        let rule: Rule = serde_json::from_str(text).unwrap();
        assert!(matches!(
            rule.action,
            Action::Fail { status: 17, to: Stream::Stdout, after_effect: false, .. }
        ));
        let text = r#"{"call":7,"action":{"do":"kill-parent","when":"after"}}"#;
        let rule: Rule = serde_json::from_str(text).unwrap();
        assert_eq!(rule.command, "*");
    }

    #[test]
    fn the_log_tells_a_killed_call_from_one_that_ended() {
        let calls = read_log("1 > zfs list\n2 > zfs send 'a b@c'\n1 = 0\n3 > zoneadm list\n3 = 1\n");
        let ends: Vec<_> = calls.iter().map(|call| call.status).collect();
        assert_eq!(ends, [Some(0), None, Some(1)]);
        assert_eq!(calls[1].argv, "zfs send 'a b@c'");
    }
}
