//! One command line: a program's name, its arguments, and how long it may take.
//!
//! Pure. Built by the modules of the single commands, run by [`Programs`](super::Programs), and shown to
//! people the way they would have to type it.

use std::fmt;
use std::time::Duration;

/// The longest text of one command line in an error or a log line, in bytes. A `zfs set` may name hundreds of
/// datasets.
const BRIEF: usize = 512;

/// A program and its arguments, never a shell's line: nothing in it is expanded or split again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argv {
    program: &'static str,
    args: Vec<String>,
    within: Option<Duration>,
}

impl Argv {
    /// A command without arguments. The program is a plain name; it is looked up on the configured path.
    pub fn new(program: &'static str) -> Self {
        Self { program, args: Vec::new(), within: None }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets the time after which the command is killed, in place of the configured one.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.within = Some(limit);
        self
    }

    /// The program's name.
    pub fn program(&self) -> &'static str {
        self.program
    }

    /// The arguments behind the program's name.
    pub fn arguments(&self) -> &[String] {
        &self.args
    }

    /// The command's own time limit, if it has one.
    pub fn limit(&self) -> Option<Duration> {
        self.within
    }

    /// The command line, shell-quoted and cut to a length that fits into a message.
    pub fn brief(&self) -> String {
        cut(&self.to_string(), BRIEF)
    }
}

impl fmt::Display for Argv {
    /// As a person would type it into a shell.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.program)?;
        self.args.iter().try_for_each(|arg| write!(f, " {}", quoted(arg)))
    }
}

/// Quotes one word for a Bourne shell. Words of harmless characters stay as they are.
pub fn quoted(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:=@,+%".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    if word.chars().any(char::is_control) {
        // Only ever shown: no argument that the product builds holds a control character.
        return format!("$'{}'", word.escape_debug());
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Cuts a text to at most `limit` bytes, at a character's border, and shows that it did.
pub(crate) fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = (0..=limit).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_shown_as_a_person_would_type_it() {
        let argv = Argv::new("zfs").args(["set", "a:b=it's", "data/zones/web db"]).arg("").arg("x\ny");
        assert_eq!(argv.to_string(), r"zfs set 'a:b=it'\''s' 'data/zones/web db' '' $'x\ny'");
    }

    #[test]
    fn a_long_command_line_is_cut_at_a_characters_border() {
        let brief = Argv::new("zfs").arg("é".repeat(BRIEF)).brief();
        assert!(brief.len() <= BRIEF + '…'.len_utf8() && brief.ends_with('…'), "{}", brief.len());
    }
}
