//! What the parsers of command output share: the error that names a line which is not understood.
//!
//! A parser that guesses is worse than one that fails: what is read here decides what gets renamed and
//! destroyed.

use crate::process::argv::cut;

/// The longest piece of a refused line that is repeated in the error, in bytes.
const SHOWN: usize = 120;

/// A line of a command's output that its parser does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} {why}: \"{text}\"")]
pub struct ParseError {
    /// The line's number, from 1.
    pub line: usize,
    /// What was expected, as a fragment that goes behind `line 3`.
    pub why: String,
    /// The line itself, escaped and cut.
    pub text: String,
}

impl ParseError {
    /// A fault in line `index` (counted from 0, as `enumerate` does).
    pub fn at(index: usize, text: &str, why: impl Into<String>) -> Self {
        let text = cut(&text.escape_debug().to_string(), SHOWN);
        Self { line: index + 1, why: why.into(), text }
    }
}

/// The only line of an output, without the blanks around it.
///
/// # Errors
/// When there is none, or more than one that isn't blank.
pub fn one_line(text: &str) -> Result<&str, ParseError> {
    let mut lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty());
    match (lines.next(), lines.next()) {
        (Some((_, line)), None) => Ok(line),
        (None, _) => Err(ParseError::at(0, text, "is missing")),
        (_, Some((index, line))) => Err(ParseError::at(index, line, "is one too many")),
    }
}
