//! One run of zonecfg: which zone, what has changed, whether something went wrong, and the end, at which
//! whatever changed is committed, errors or not.

use std::fs;

use anyhow::Result;

use super::lexer::Word;
use super::{Mode, create, edit, print};
use crate::disk;
use crate::world::{Host, Profile};
use crate::zones::config::{Config, Resource};
use crate::zones::kernel::State;
use crate::zones::{Zones, change, configuration, configure};

/// Whether the run goes on.
#[derive(Debug, PartialEq, Eq)]
pub enum Flow {
    /// With the next statement.
    On,
    /// It ends here.
    Exit,
}

/// The resource that is being added or edited.
pub struct Scope {
    /// As it is so far.
    pub resource: Resource,
    /// Where it came from, when it was selected.
    pub selected: Option<usize>,
}

/// The run.
pub struct Session<'a> {
    pub host: &'a Host,
    pub zone: &'a str,
    pub profile: Profile,
    /// The zone's state, or `None` for one that isn't configured on disk.
    pub state: Option<State>,
    /// The configuration as it is so far.
    pub config: Option<Config>,
    /// Inside a resource.
    pub scope: Option<Scope>,
    /// Something is to be committed.
    pub changed: bool,
    mode: Mode,
    failed: bool,
}

const COMMANDS: &[&str] = &[
    "add", "cancel", "clear", "commit", "create", "delete", "end", "exit", "export", "help", "info",
    "remove", "revert", "select", "set", "verify",
];

impl<'a> Session<'a> {
    /// Begins with what is on disk.
    pub fn open(host: &'a Host, zone: &'a str, mode: Mode) -> Result<Self> {
        let mut session = Self {
            host,
            zone,
            profile: host.profile()?,
            state: None,
            config: None,
            scope: None,
            changed: false,
            mode,
            failed: false,
        };
        session.reload()?;
        if session.state.is_none() && session.mode == Mode::Interactive {
            err!("{zone}: No such zone configured");
            out!("Use 'create' to begin configuring a new zone.");
        }
        Ok(session)
    }

    fn reload(&mut self) -> Result<()> {
        self.state = Zones::look(self.host)?.state(self.host, self.zone)?;
        self.config = if self.state.is_some() { configuration(self.host, self.zone)? } else { None };
        self.changed = false;
        Ok(())
    }

    /// Where the commands come from.
    pub fn mode(&self) -> &Mode {
        &self.mode
    }

    /// Whether an error was flagged.
    pub fn failed(&self) -> bool {
        self.failed
    }

    /// Complains without flagging it.
    pub fn complain(&self, message: &str, line: usize) {
        if let Mode::File(file) = &self.mode {
            err!("On line {line} of {file}:");
        }
        err!("{message}");
    }

    /// Complains and flags it.
    pub fn fail(&mut self, message: &str, line: usize) {
        self.complain(message, line);
        self.failed = true;
    }

    /// A statement that is none.
    pub fn syntax_error(&mut self, token: &str, line: usize) -> Flow {
        match &self.mode {
            Mode::CommandLine => err!("syntax error at '{token}'"),
            _ => err!("syntax error on line {line} at '{token}'"),
        }
        err!("{}", COMMANDS.join("\n"));
        self.failed = true;
        Flow::On
    }

    fn usage(&mut self, command: &str, line: usize) -> Flow {
        if let Mode::File(file) = &self.mode {
            err!("syntax error on line {line} of {file}");
        }
        err!("usage:\n\t{command} …");
        self.failed = true;
        Flow::On
    }

    /// Carries out one statement.
    pub fn run(&mut self, words: &[Word], line: usize) -> Result<Flow> {
        let [Word::Plain(command), args @ ..] = words else {
            let token = match words.first() {
                Some(Word::Property(name, _)) => name.clone(),
                _ => "(".into(),
            };
            return Ok(self.syntax_error(&token, line));
        };
        match command.as_str() {
            "create" => self.create(args, line)?,
            "exit" => return Ok(Flow::Exit),
            "help" => out!("{}", COMMANDS.join("\n")),
            "delete" => return self.delete(args, line),
            known if COMMANDS.contains(&known) => {
                if self.config.is_none() {
                    self.fail(&format!("{}: No such zone configured", self.zone), line);
                    return Ok(Flow::On);
                }
                match known {
                    "info" => self.info(args, line),
                    "export" => self.export(args)?,
                    "verify" => drop(self.verify(line)),
                    "commit" => self.commit(line)?,
                    "revert" => {
                        self.scope = None;
                        self.reload()?;
                    }
                    _ => {
                        if !edit::run(self, known, args, line) {
                            return Ok(self.usage(known, line));
                        }
                    }
                }
            }
            other => return Ok(self.syntax_error(other, line)),
        }
        Ok(Flow::On)
    }

    fn create(&mut self, args: &[Word], line: usize) -> Result<()> {
        let words: Vec<&str> = args
            .iter()
            .filter_map(|word| if let Word::Plain(text) = word { Some(text.as_str()) } else { None })
            .collect();
        let force = words.contains(&"-F");
        let words: Vec<&str> = words.into_iter().filter(|word| *word != "-F").collect();
        if self.state.is_some_and(|state| state != State::Configured) {
            // Not flagged: alone on the command line this ends with 0.
            self.complain(&format!("Zone {} already installed; create not allowed.", self.zone), line);
            return Ok(());
        }
        if self.config.is_some() {
            if !force {
                self.complain("Zone exists, input not from terminal and -F not specified:", line);
                err!("create command ignored, exiting.");
                self.failed = true;
                return Ok(());
            }
            out!("Zone {} already exists; overwriting.", self.zone);
        }
        let made = match words.as_slice() {
            [] if self.profile == Profile::Solaris11 => {
                self.fail("create: the lab's Solaris 11 has no template with an anet; use create -b", line);
                None
            }
            [] => Some(create::default_template(self.profile)),
            ["-b"] => Some(create::blank(self.profile, self.zone)),
            ["-t", template] => match configuration(self.host, template)? {
                Some(config) => Some(config),
                None => {
                    self.fail(&format!("{template}: No such zone configured"), line);
                    None
                }
            },
            ["-a", path] => match create::detached(self.host, path)? {
                Ok(config) => Some(config),
                // None of its refusals flags an error, so alone it ends with 0.
                Err(why) => {
                    self.complain(why, line);
                    None
                }
            },
            _ => {
                self.usage("create", line);
                None
            }
        };
        if let Some(mut config) = made {
            self.zone.clone_into(&mut config.name);
            self.config = Some(config);
            self.scope = None;
            self.changed = true;
        }
        Ok(())
    }

    fn delete(&mut self, args: &[Word], line: usize) -> Result<Flow> {
        let force = args.contains(&Word::Plain("-F".into()));
        let Some(state) = self.state else {
            self.complain(&format!("{}: No such zone configured", self.zone), line);
            err!("{}: No such zone configured", self.zone);
            self.failed = true;
            return Ok(Flow::On);
        };
        if !force {
            if state == State::Configured {
                self.complain("Input not from terminal and -F not specified:", line);
                err!("delete command ignored, exiting.");
            } else {
                let text = "not in configured state; delete not allowed.  Use -F to force delete.";
                self.complain(&format!("Zone {} {text}", self.zone), line);
            }
            self.failed = true;
            return Ok(Flow::Exit);
        }
        let gone = change(self.host, |zones| {
            // Looked at again with the lock held: it may have been booted meanwhile.
            let known = zones.alive(self.zone).is_some();
            if !known {
                zones.index.retain(|entry| entry.name != self.zone);
                zones.event(self.host, disk::now_ms(), self.zone, "delete");
            }
            Ok(!known)
        })?
        .0;
        if !gone {
            self.fail(&format!("{}: Zone state is invalid for the requested operation", self.zone), line);
            return Ok(Flow::On);
        }
        let document = self.host.file("etc/zones").join(format!("{}.xml", self.zone));
        if document.exists() {
            fs::remove_file(document)?;
        }
        (self.state, self.config, self.scope, self.changed) = (None, None, None, false);
        Ok(Flow::On)
    }

    fn info(&mut self, args: &[Word], line: usize) {
        let Some(config) = &self.config else { return };
        if let Some(scope) = &self.scope
            && args.is_empty()
        {
            for text in print::info_resource(config, &scope.resource, self.profile) {
                out!("{text}");
            }
            return;
        }
        let what = match args.first() {
            Some(Word::Plain(what)) => Some(what.as_str()),
            None => None,
            Some(_) => {
                self.usage("info", line);
                return;
            }
        };
        let with = edit::properties(args.get(1..).unwrap_or_default());
        let lines = print::info(config, what, &with, self.profile);
        if let Some(what) = what
            && lines.is_empty()
            && !with.is_empty()
        {
            // On stdout, and no error.
            out!("No such {what} resource.");
        }
        for text in lines {
            out!("{text}");
        }
    }

    fn export(&mut self, args: &[Word]) -> Result<()> {
        let Some(config) = &self.config else { return Ok(()) };
        let text = print::export(config, self.profile);
        match args {
            [Word::Plain(option), Word::Plain(path)] if option == "-f" => {
                fs::write(super::host_or_real(self.host, path), format!("{text}\n"))?;
            }
            _ => out!("{text}"),
        }
        Ok(())
    }

    /// Checks the document, not the host: that is zoneadm verify's.
    fn verify(&mut self, line: usize) -> bool {
        let Some(config) = &self.config else { return false };
        let mut missing = Vec::new();
        if config.zonepath.is_empty() {
            missing.push("zonepath not specified".to_owned());
        }
        for net in config.all("net").filter(|_| !config.shared_ip()) {
            if !net.get("address").is_empty() {
                missing.push("net: address cannot be specified for an exclusive IP type".into());
            }
        }
        for net in config.all("net").filter(|_| config.shared_ip()) {
            if net.get("address").is_empty() {
                missing.push("net: address must be specified for a shared IP type".into());
            }
        }
        if missing.is_empty() {
            return true;
        }
        for text in missing {
            self.fail(&text, line);
        }
        err!("{}: Required resource missing", self.zone);
        false
    }

    /// Writes the document and the index.
    fn commit(&mut self, line: usize) -> Result<()> {
        if self.scope.is_some() {
            self.fail("commit: not allowed inside a resource", line);
            return Ok(());
        }
        if !self.verify(line) {
            err!("Zone {} failed to verify", self.zone);
            return Ok(());
        }
        if let Some(config) = &self.config {
            configure(self.host, config)?;
            self.state = Zones::look(self.host)?.state(self.host, self.zone)?;
            self.changed = false;
        }
        Ok(())
    }

    /// The end: commits what changed, and gives the exit status.
    pub fn finish(&mut self) -> Result<i32> {
        if self.scope.is_some() {
            err!("Resource incomplete.");
            return Ok(1);
        }
        if self.changed && self.config.is_some() {
            self.commit(0)?;
            if self.changed {
                err!("Configuration not saved.");
                return Ok(1);
            }
        }
        Ok(i32::from(self.failed))
    }
}
