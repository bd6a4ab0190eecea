//! What a piece is: how it looks to a person, what a look at it finds, and how it is put there.

use serde::Serialize;

use super::shown::Shown;
use super::side::Side;
use crate::cli::context::Context;
use crate::process::Programs;

/// One thing that must be there.
pub trait Piece {
    /// How a person puts it there on the host of `side`. Pure.
    fn shown(&self, side: &Side) -> Shown;

    /// What is there now. Changes nothing.
    fn look(&self, here: &Here<'_>) -> Look;

    /// Puts it there, after [`look`](Piece::look) found it missing. Returns what was made, or `None` when only the
    /// administrator can do it.
    ///
    /// # Errors
    /// Why it failed, in words.
    fn put(&self, here: &Here<'_>) -> Result<Option<String>, Why>;
}

/// Why a piece could not be put there, in words.
pub type Why = String;

/// This host, and the peer that a piece is for.
pub struct Here<'a> {
    /// The configuration.
    pub context: &'a Context,
    /// The names that both hosts go by here.
    pub side: &'a Side,
    /// The commands.
    pub programs: &'a Programs,
    /// Whether the daemon runs; it makes the dropbox when it starts.
    pub daemon: bool,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Migrations work, but the administrator should know.
    Warn,
    /// A migration would fail, or could not be trusted.
    Fault,
}

/// One fact about a piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// How bad it is.
    pub level: Level,
    /// The fact, in words.
    pub says: String,
    /// What the administrator can do.
    pub remedy: Option<String>,
}

impl Seen {
    /// As it should be.
    pub fn ok(says: impl Into<String>) -> Self {
        Self { level: Level::Ok, says: says.into(), remedy: None }
    }

    /// Worth knowing.
    pub fn warn(says: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level: Level::Warn, says: says.into(), remedy: Some(remedy.into()) }
    }

    /// Wrong.
    pub fn fault(says: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level: Level::Fault, ..Self::warn(says, remedy) }
    }
}

/// What a look at a piece found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// The facts; at least one.
    pub seen: Vec<Seen>,
    /// Nothing is there yet, so that `--write` may put it there.
    pub missing: bool,
}

impl Look {
    /// It is there; these facts tell how.
    pub fn there(seen: Vec<Seen>) -> Self {
        Self { seen, missing: false }
    }

    /// It is not there.
    pub fn missing(seen: Seen) -> Self {
        Self { seen: vec![seen], missing: true }
    }

    /// Whether everything is as it should be.
    pub fn is_ok(&self) -> bool {
        self.seen.iter().all(|seen| seen.level == Level::Ok)
    }
}

impl From<Seen> for Look {
    fn from(seen: Seen) -> Self {
        Self::there(vec![seen])
    }
}
