//! zonecfg's commands on a whole configuration: create and delete.

use std::fs;

use anyhow::Result;

use super::create;
use super::lexer::Word;
use super::session::{Flow, Session};
use crate::disk;
use crate::world::Profile;
use crate::zones::kernel::State;
use crate::zones::{change, configuration};

impl Session<'_> {
    /// `create`, alone or with -b, -t or -a.
    pub fn create(&mut self, args: &[Word]) -> Result<()> {
        let words: Vec<&str> = args
            .iter()
            .filter_map(|word| if let Word::Plain(text) = word { Some(text.as_str()) } else { None })
            .collect();
        let force = words.contains(&"-F");
        let words: Vec<&str> = words.into_iter().filter(|word| *word != "-F").collect();
        if self.state.is_some_and(|state| state != State::Configured) {
            // Not flagged: alone on the command line this ends with 0.
            self.complain(&format!("Zone {} already installed; create not allowed.", self.zone));
            return Ok(());
        }
        if self.config.is_some() {
            if !force {
                self.complain("Zone exists, input not from terminal and -F not specified:");
                err!("create command ignored, exiting.");
                self.failed = true;
                return Ok(());
            }
            out!("Zone {} already exists; overwriting.", self.zone);
        }
        let made = match words.as_slice() {
            [] if self.profile == Profile::Solaris11 => {
                self.fail("create: the lab's Solaris 11 has no template with an anet; use create -b");
                None
            }
            [] => Some(create::default_template(self.profile)),
            ["-b"] => Some(create::blank(self.profile, self.zone)),
            ["-t", template] => match configuration(self.host, template)? {
                Some(config) => Some(config),
                None => {
                    // Recorded: the template's name has this in front.
                    let system = if self.profile == Profile::Omnios { "OMNI" } else { "" };
                    self.fail(&format!("{system}{template}: No such zone configured"));
                    None
                }
            },
            ["-a", path] => match create::detached(self.host, path)? {
                Ok(config) => Some(config),
                // None of its refusals flags an error, so alone it ends with 0.
                Err(why) => {
                    err!("{why}");
                    None
                }
            },
            _ => {
                self.usage("create");
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

    /// `delete`; without -F it only says why not.
    pub fn delete(&mut self, args: &[Word]) -> Result<Flow> {
        let force = args.contains(&Word::Plain("-F".into()));
        if self.state.is_none() {
            self.complain(&format!("{}: No such zone configured", self.zone));
            err!("{}: No such zone configured", self.zone);
            self.failed = true;
            return Ok(Flow::On);
        }
        if !force {
            self.complain("Input not from terminal and -F not specified:");
            err!("delete command ignored, exiting.");
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
            self.fail(&format!("{}: Zone state is invalid for the requested operation", self.zone));
            return Ok(Flow::On);
        }
        let document = self.host.file("etc/zones").join(format!("{}.xml", self.zone));
        if document.exists() {
            fs::remove_file(document)?;
        }
        (self.state, self.config, self.scope, self.changed) = (None, None, None, false);
        Ok(Flow::On)
    }
}
