//! What `zmigrate check` found out about one subject, and what the administrator can do about it.

use std::fmt;

use serde::Serialize;

use crate::cli::shown::clean;
use crate::cli::trust::{Level, Seen};

/// One finding; also the JSON of `zmigrate check --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// The subject.
    pub what: String,
    /// The fact, in words.
    pub says: String,
    /// What the administrator can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Finding {
    /// A fact about a subject.
    pub fn of(what: impl Into<String>, seen: Seen) -> Self {
        let Seen { level, says, remedy } = seen;
        Self { level, what: what.into(), says, remedy }
    }

    /// As it should be.
    pub fn ok(what: impl Into<String>, says: impl Into<String>) -> Self {
        Self::of(what, Seen::ok(says))
    }

    /// Worth knowing.
    pub fn warn(what: impl Into<String>, says: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::of(what, Seen::warn(says, remedy))
    }

    /// Wrong.
    pub fn fault(what: impl Into<String>, says: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::of(what, Seen::fault(says, remedy))
    }

    /// Whether a migration would fail, or could not be trusted.
    pub fn is_fault(&self) -> bool {
        self.level == Level::Fault
    }
}

impl fmt::Display for Finding {
    /// One line, and a second one for the remedy.
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
    fn a_remedy_has_a_line_of_its_own() {
        assert_eq!(
            Finding::ok("command", "zfs is /sbin/zfs").to_string(),
            "ok    command: zfs is /sbin/zfs\n"
        );
        assert_eq!(Finding::fault("zone", "a\nb", "c").to_string(), "fault zone: a\\nb\n      → c\n");
    }
}
