//! Faults on command: which call of which command fails, hangs, dies, lies or kills its caller.
//!
//! `.lab/faults.json` holds rules, each with its own count of the calls that it matched, so that "the
//! third `zfs receive`" means the same whatever else runs. Every call is written to `.lab/calls.log` as it
//! begins and as it ends; one that has no end was killed. Calls are counted under a lock; the command
//! itself runs without it.
//!
//! A command that a command runs (zoneadm's zfs) is a part of it: not counted, not logged, never faulty.

use std::io::{self, Read, Write};
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid, getppid};
use serde::{Deserialize, Serialize};

use crate::disk;
use crate::inner;
use crate::world::Host;

/// Long enough for a daemon that does not wait to be gone.
const SLOWNESS: Duration = Duration::from_millis(800);
/// Long enough for a daemon to be started again and to look.
const ORPHAN_LAGS: Duration = Duration::from_millis(150);

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The command's name, or `*` for any.
    #[serde(default = "any")]
    pub command: String,
    /// Each of these must be a part of some argument.
    #[serde(default)]
    pub contains: Vec<String>,
    /// The n-th matching call, from 1, and then never again; none: every one.
    #[serde(default)]
    pub call: Option<u64>,
    /// What happens.
    pub action: Action,
    /// Calls that matched so far.
    #[serde(default)]
    pub seen: u64,
    /// Whether it has struck.
    #[serde(default)]
    pub fired: bool,
}

fn any() -> String {
    "*".into()
}

fn half() -> u64 {
    64 * 1024
}

/// What a rule does to a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Action {
    /// Says `text` and ends with `status`; the effect is left out, or happens silently first.
    Fail {
        /// What it says, without the last newline; empty: nothing.
        #[serde(default)]
        text: String,
        /// Its exit status.
        status: i32,
        /// Where it says it.
        #[serde(default)]
        to: Stream,
        /// The effect happens all the same.
        #[serde(default)]
        after_effect: bool,
    },
    /// Never answers, without effect, or with a stream half through. One whose caller is gone gives up within a
    /// minute, so that no lab leaves processes behind for good.
    Hang {
        /// How much of a stream passes first; none: it does not even begin.
        bytes: Option<u64>,
    },
    /// SIGKILL to itself: `zfs send` and `zfs receive` after `bytes` of the stream, all others after the
    /// effect and before any answer.
    DieHalfway {
        /// How much of a stream passes; default 64 KiB.
        #[serde(default = "half")]
        bytes: u64,
    },
    /// SIGKILL to the process that called.
    KillParent {
        /// At which moment.
        when: When,
        /// How much of a stream passes before `halfway`; default 64 KiB.
        #[serde(default = "half")]
        bytes: u64,
    },
    /// SIGTERM to the process that called, which is to wait for the command or to end it.
    TermParent {
        /// What the command does from then on.
        then: Then,
        /// How much of a stream passes before; default 64 KiB.
        #[serde(default = "half")]
        bytes: u64,
    },
    /// Ends with 0, without effect and without a word.
    Lie,
}

/// A standard stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Most commands' complaints.
    #[default]
    Stderr,
    /// Those of route and of the brands' attach.
    Stdout,
}

/// When the caller is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// Before the effect, which does not happen.
    Before,
    /// In the middle of a send's or receive's stream; the command goes on as an orphan. Others: after.
    Halfway,
    /// When the effect is complete on disk.
    After,
    /// Before the effect, which happens all the same, a moment later: whoever takes over from the caller
    /// looks at the world while the orphan is still at work.
    Orphan,
}

/// What becomes of a command whose caller was told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Then {
    /// It has its effect and answers, as ever.
    GoesOn,
    /// The same, a moment later.
    GoesOnSlowly,
    /// It never ends; `zfs send` and `zfs receive` after so much of the stream, all others without effect.
    Hangs,
}

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

/// A call that a rule has struck.
struct Struck<'a> {
    host: &'a Host,
    command: &'a str,
    args: &'a [String],
}

impl Struck<'_> {
    fn act(&self, action: &Action) -> Result<i32> {
        match action {
            Action::Fail { text, status, to, after_effect } => {
                if *after_effect {
                    self.silently()?;
                }
                match to {
                    _ if text.is_empty() => {}
                    Stream::Stderr => err!("{text}"),
                    Stream::Stdout => out!("{text}"),
                }
                Ok(*status)
            }
            Action::Hang { bytes } => {
                // Lives until we end, with its end of our pipe.
                let _begun = bytes.map(|bytes| self.halfway(bytes)).transpose()?;
                Ok(hang())
            }
            Action::Lie => {
                if self.streams_in() {
                    io::copy(&mut io::stdin().lock(), &mut io::sink())?;
                }
                Ok(0)
            }
            Action::DieHalfway { bytes } => {
                let mut child = self.halfway(*bytes)?;
                if self.streams() {
                    // Ours first, or it would end of itself on the closed pipe and tidy up.
                    child.kill()?;
                }
                child.wait()?;
                kill(getpid(), Signal::SIGKILL)?;
                Ok(crate::LAB_FAILED)
            }
            Action::TermParent { then: Then::Hangs, bytes } => self.hanging(*bytes),
            Action::TermParent { .. } => {
                signal_parent(Signal::SIGTERM)?;
                std::thread::sleep(SLOWNESS);
                Ok(inner::status_of(inner::command(self.host, self.command, self.args).status()?))
            }
            Action::KillParent { when: When::Before, .. } => {
                kill_parent()?;
                Ok(crate::LAB_FAILED)
            }
            Action::KillParent { when: When::Orphan, .. } => {
                kill_parent()?;
                std::thread::sleep(ORPHAN_LAGS);
                self.silently()
            }
            Action::KillParent { when: When::Halfway, bytes } if self.streams() => self.orphaned(*bytes),
            Action::KillParent { .. } => {
                let status = self.silently()?;
                kill_parent()?;
                Ok(status)
            }
        }
    }

    fn streams_in(&self) -> bool {
        // An ssh that is cut off half-way is cut off in what it carries to the other host.
        self.command == "ssh"
            || self.command == "zfs"
                && self.args.first().is_some_and(|verb| verb == "receive" || verb == "recv")
    }

    fn streams(&self) -> bool {
        self.streams_in() || self.command == "zfs" && self.args.first().is_some_and(|verb| verb == "send")
    }

    /// The effect with its streams, but without its answer: whoever is to be killed must not have acted on it.
    fn silently(&self) -> Result<i32> {
        let mut command = inner::command(self.host, self.command, self.args);
        if !self.streams() {
            command.stdout(Stdio::null()).stderr(Stdio::null());
        }
        Ok(inner::status_of(command.status().context("start the command itself")?))
    }

    /// The effect begun: `bytes` of a stream have passed, or a command without one is let run.
    fn halfway(&self, bytes: u64) -> Result<Child> {
        let mut command = inner::command(self.host, self.command, self.args);
        if self.streams_in() {
            let mut child = command.stdin(Stdio::piped()).spawn()?;
            if let Some(to) = child.stdin.as_mut() {
                pass(&mut io::stdin().lock().take(bytes), to)?;
            }
            return Ok(child);
        }
        command.stdout(if self.streams() { Stdio::piped() } else { Stdio::null() });
        if !self.streams() {
            command.stderr(Stdio::null());
        }
        let mut child = command.spawn()?;
        if let Some(from) = child.stdout.as_mut() {
            pass(&mut from.take(bytes), &mut io::stdout().lock())?;
        }
        Ok(child)
    }

    /// Tells the caller to end, and does not end itself.
    fn hanging(&self, bytes: u64) -> Result<i32> {
        let _stream = if self.streams() { Some(self.halfway(bytes)?) } else { None };
        signal_parent(Signal::SIGTERM)?;
        Ok(hang())
    }

    /// Kills the caller with the stream half through, then lets the rest of it take its course.
    fn orphaned(&self, bytes: u64) -> Result<i32> {
        let mut child = self.halfway(bytes)?;
        kill_parent()?;
        if let Some(mut to) = child.stdin.take() {
            pass(&mut io::stdin().lock(), &mut to)?;
        }
        if let Some(from) = child.stdout.as_mut() {
            pass(from, &mut io::stdout().lock())?;
            // With the reading end gone the sender must see that, not a pipe that nobody empties.
            drop(child.stdout.take());
        }
        Ok(inner::status_of(child.wait()?))
    }
}

/// Copies until the end or until the other side has gone, which is no failure of ours.
fn pass(from: &mut impl Read, to: &mut impl Write) -> Result<()> {
    match io::copy(from, to).and_then(|_| to.flush()) {
        Err(why) if why.kind() != io::ErrorKind::BrokenPipe => Err(why.into()),
        _ => Ok(()),
    }
}

fn kill_parent() -> Result<()> {
    signal_parent(Signal::SIGKILL)
}

fn signal_parent(signal: Signal) -> Result<()> {
    let parent = getppid();
    // An orphan's parent is init or a reaper that did not call us.
    if parent > Pid::from_raw(1) {
        kill(parent, signal).with_context(|| format!("{signal} to the caller, process {parent}"))?;
    }
    Ok(())
}

fn hang() -> i32 {
    let caller = getppid();
    let mut alone = 0;
    while alone < 60 {
        std::thread::sleep(Duration::from_secs(1));
        alone = if getppid() == caller { 0 } else { alone + 1 };
    }
    crate::LAB_FAILED
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
