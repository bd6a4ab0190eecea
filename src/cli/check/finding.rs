//! One thing that was looked at, how it is, and what can be done about it.

use std::fmt;

use serde::Serialize;

use crate::cli::shown::clean;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Nothing works worse for it now, but somebody should know.
    Warn,
    /// A migration would fail, or could not be trusted.
    Fault,
}

/// One finding; also the JSON of `zmigrate check --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What was looked at.
    pub what: String,
    /// How it is.
    pub says: String,
    /// What can be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Finding {
    /// As it should be.
    pub fn ok(what: impl Into<String>, says: impl Into<String>) -> Self {
        Self { level: Level::Ok, what: what.into(), says: says.into(), remedy: None }
    }

    /// Worth knowing.
    pub fn warn(what: impl Into<String>, says: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level: Level::Warn, what: what.into(), says: says.into(), remedy: Some(remedy.into()) }
    }

    /// Wrong.
    pub fn fault(what: impl Into<String>, says: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level: Level::Fault, ..Self::warn(what, says, remedy) }
    }
}

impl fmt::Display for Finding {
    /// One line, and another for the remedy, each with its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Ok => "ok",
            Level::Warn => "warn",
            Level::Fault => "fault",
        };
        writeln!(f, "{level:<6}{}: {}", clean(&self.what), clean(&self.says))?;
        match &self.remedy {
            Some(remedy) => writeln!(f, "      → {}", clean(remedy)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_a_line_and_its_remedy_another() {
        assert_eq!(
            Finding::ok("command", "zfs is /sbin/zfs").to_string(),
            "ok    command: zfs is /sbin/zfs\n"
        );
        assert_eq!(Finding::fault("zone", "a\nb", "c").to_string(), "fault zone: a\\nb\n      → c\n");
    }
}
