//! One run of zonecfg: which zone, what has changed, whether something went wrong, and the end, at which
//! whatever changed is committed, errors or not.

use std::fs;

use anyhow::Result;

use super::edit::Misuse;
use super::lexer::Word;
use super::{Mode, edit, help, print, verify};
use crate::world::{Host, Profile};
use crate::zones::config::{Config, Resource};
use crate::zones::kernel::State;
use crate::zones::{Zones, configuration, configure, rename};

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
    /// An error was flagged.
    pub failed: bool,
    /// The statement's line, and the last one that a complaint named.
    line: usize,
    told: usize,
}

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
            line: 0,
            told: 0,
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

    /// Goes to a line.
    pub fn at(&mut self, line: usize) {
        self.line = line;
    }

    /// Complains without flagging it. A file's line is named once, before the first complaint of it.
    pub fn complain(&mut self, message: &str) {
        if let Mode::File(file) = &self.mode
            && self.line > self.told
        {
            err!("On line {} of {file}:", self.line);
            self.told = self.line;
        }
        err!("{message}");
    }

    /// Complains and flags it.
    pub fn fail(&mut self, message: &str) {
        self.complain(message);
        self.failed = true;
    }

    /// The grammar fails at this token.
    pub fn syntax_error(&mut self, token: &str) {
        match &self.mode {
            Mode::CommandLine => err!("syntax error at '{token}'"),
            _ => err!("syntax error on line {} at '{token}'", self.line),
        }
        err!("{}", help::syntax().trim_end());
        self.failed = true;
    }

    /// The command was used wrongly.
    pub fn usage(&mut self, command: &str) {
        if let Mode::File(file) = &self.mode {
            err!("syntax error on line {} of {file}", self.line);
        }
        err!("{}", help::usage(command).trim_end());
        self.failed = true;
    }

    /// Carries out one statement.
    pub fn run(&mut self, command: &str, args: &[Word], line: usize) -> Result<Flow> {
        self.line = line;
        match command {
            "create" => self.create(args)?,
            "exit" => return Ok(Flow::Exit),
            "help" => out!("{}", help::help().strip_suffix('\n').unwrap_or_default()),
            "delete" => return self.delete(args),
            _ if self.config.is_none() => {
                self.fail(&format!("{}: No such zone configured", self.zone));
            }
            "info" => self.info(args),
            "export" => self.export(args)?,
            "verify" => drop(self.verify(false)),
            "commit" => self.commit()?,
            "revert" => {
                self.scope = None;
                self.reload()?;
            }
            _ => match edit::run(self, command, args) {
                Ok(()) => {}
                Err(Misuse::Usage) => self.usage(command),
                Err(Misuse::Syntax(token)) => self.syntax_error(&token),
            },
        }
        Ok(Flow::On)
    }

    fn info(&mut self, args: &[Word]) {
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
                self.usage("info");
                return;
            }
        };
        if what.is_some_and(|what| !print::is_shown(what, self.profile)) {
            self.usage("info");
            return;
        }
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

    /// Checks the configuration; `saving` is a commit's.
    fn verify(&mut self, saving: bool) -> bool {
        let (faults, why) = match &self.config {
            _ if self.scope.is_some() => {
                (vec!["resource specification incomplete".to_owned()], "Insufficient specification")
            }
            Some(config) => match verify::faults(config) {
                Some(found) => found,
                None if verify::is_unknown_brand(config, self.profile) => {
                    self.fail(&format!("{}: unknown brand.\n", self.zone));
                    err!("{}: Invalid document", self.zone);
                    return false;
                }
                None => return true,
            },
            None => return false,
        };
        for fault in faults {
            self.fail(&fault);
        }
        if saving {
            err!("Zone {} failed to verify", self.zone);
        }
        err!("{}: {why}", self.zone);
        false
    }

    /// Writes the document and the index.
    fn commit(&mut self) -> Result<()> {
        if !self.verify(true) {
            return Ok(());
        }
        if let Some(config) = &self.config {
            if config.name != self.zone && self.state.is_some() {
                rename(self.host, self.zone, &config.name)?;
            }
            configure(self.host, config)?;
            self.state = Zones::look(self.host)?.state(self.host, &config.name)?;
            self.changed = false;
        }
        Ok(())
    }

    /// The end: commits what changed, and gives the exit status.
    pub fn finish(&mut self) -> Result<i32> {
        if self.scope.is_some() && !self.failed {
            self.complain("Resource incomplete.");
            return Ok(1);
        }
        if self.changed && self.config.is_some() {
            self.commit()?;
            if self.changed {
                err!("Configuration not saved.");
                return Ok(1);
            }
        }
        Ok(i32::from(self.failed))
    }
}
