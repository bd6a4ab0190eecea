//! `zmigrate-lab fault`.

use anyhow::{Context, Result};
use clap::Subcommand;

use super::Rule;
use crate::world::Host;

/// Faults of a host's commands, as a person or a test sets them.
#[derive(Debug, Subcommand)]
pub enum FaultVerb {
    /// Add a rule, as JSON: {"command":"zfs","contains":["receive"],"call":2,"action":{"do":"hang"}}
    ///
    /// Actions: {"do":"fail","text":…,"status":1,"to":"stdout","after_effect":true}, {"do":"hang"},
    /// {"do":"die-halfway","bytes":65536}, {"do":"kill-parent","when":"before"|"halfway"|"after"}, {"do":"lie"}
    Add {
        /// The rule
        rule: String,
    },
    /// Show the rules, with how often each matched
    List,
    /// Take all rules away
    Clear,
    /// Show the calls so far
    Calls,
}

impl FaultVerb {
    /// Carries it out.
    pub fn run(&self, host: &Host) -> Result<()> {
        match self {
            Self::Add { rule } => {
                let rule: Rule = serde_json::from_str(rule).context("the rule")?;
                super::add_rule(host, rule)?;
            }
            Self::List => {
                for rule in super::rules(host)? {
                    out!("{}", serde_json::to_string(&rule)?);
                }
            }
            Self::Clear => super::set_rules(host, &[])?,
            Self::Calls => {
                for call in super::calls(host)? {
                    let end = call.status.map_or("-".to_owned(), |status| status.to_string());
                    out!("{:>5} {end:>4}  {}", call.seq, call.argv);
                }
            }
        }
        Ok(())
    }
}
