//! `--write`: looks at each piece, and puts there what is missing.

use std::fmt;

use serde::Serialize;

use crate::cli::shown::clean;
use crate::cli::trust::shown::{self, Shown};
use crate::cli::trust::{Here, Level, Look, Piece, Why};

/// What became of a piece.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "became", rename_all = "kebab-case")]
pub enum Laid {
    /// It was there, as it should be.
    WasThere { what: String },
    /// It was put there now.
    Done { what: String },
    /// Something else is there, and was left as it is.
    Differs { what: String, remedy: Vec<String> },
    /// The administrator has to do it.
    Left { why: String, piece: Shown },
    /// It could not be done.
    Failed { why: String, piece: Shown },
}

impl Laid {
    /// Puts one piece there, if it is missing.
    pub fn piece(piece: &dyn Piece, here: &Here<'_>) -> Self {
        let look = piece.look(here);
        if !look.missing {
            return Self::found(look);
        }
        match piece.put(here) {
            Ok(Some(what)) => Laid::Done { what },
            Ok(None) => Laid::Left { why: "for you to do".to_owned(), piece: piece.shown(here.side) },
            Err(why) => Self::failed(why, piece, here),
        }
    }

    fn failed(why: Why, piece: &dyn Piece, here: &Here<'_>) -> Self {
        Laid::Failed { why, piece: piece.shown(here.side) }
    }

    fn found(look: Look) -> Self {
        if look.is_ok() {
            let what = look.seen.into_iter().next().map_or_else(String::new, |seen| seen.says);
            return Laid::WasThere { what };
        }
        let wrong = || look.seen.iter().filter(|seen| seen.level != Level::Ok);
        let says: Vec<_> = wrong().map(|seen| seen.says.as_str()).collect();
        Laid::Differs {
            what: says.join("; "),
            remedy: wrong().filter_map(|seen| seen.remedy.clone()).collect(),
        }
    }

    /// Whether somebody must act before the two hosts can work together.
    pub fn is_bad(&self) -> bool {
        matches!(self, Laid::Differs { .. } | Laid::Failed { .. })
    }
}

impl fmt::Display for Laid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Laid::WasThere { what } => writeln!(f, "ok      {}", clean(what)),
            Laid::Done { what } => writeln!(f, "done    {}", clean(what)),
            Laid::Differs { what, remedy } => {
                writeln!(f, "differs {}; it was left as it is", clean(what))?;
                remedy.iter().try_for_each(|remedy| writeln!(f, "      → {}", clean(remedy)))
            }
            Laid::Left { why, piece } => write!(f, "left    {}\n{}", clean(why), shown::one("   ", piece)),
            Laid::Failed { why, piece } => write!(f, "failed  {}\n{}", clean(why), shown::one("   ", piece)),
        }
    }
}
