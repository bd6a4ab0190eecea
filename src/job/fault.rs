//! What is wrong with a file that an operator wrote: where, and what to write instead.
//!
//! A file is refused with all its faults at once. Nothing here fails or grows without bound: text from the
//! file is escaped and cut before it is shown, and after [`Faults::MOST`] faults the rest is only counted.

use std::fmt;

/// One fault of a request or a configuration. Shown as `dbbackup.toml:4:1: unknown key `traget`, …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file's name as the operator knows it.
    pub file: String,
    /// The line, from 1; 0 when the fault is the whole file's (it can't be read).
    pub line: usize,
    /// The column in characters, from 1; 0 with line 0.
    pub column: usize,
    /// The key with its sections, `target.route.address`; empty when the fault is no key's.
    pub key: String,
    /// The sentence, complete: it names the key.
    pub message: String,
}

impl Fault {
    /// A fault of the whole file.
    pub fn of_file(file: &str, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: 0, column: 0, key: String::new(), message: message.into() }
    }

    /// A fault at a byte of the file's text.
    pub(super) fn at(file: &str, text: &str, offset: usize, key: &str, message: String) -> Self {
        let (line, column) = position(text, offset);
        Self { file: file.to_owned(), line, column, key: bounded(key), message: bounded(&message) }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.escape_debug();
        if self.line == 0 {
            return write!(f, "{file}: {}", self.message);
        }
        write!(f, "{file}:{}:{}: {}", self.line, self.column, self.message)
    }
}

/// All faults of one file, in the order of its lines, one a line when shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    /// How many faults of one file are kept; one more says that there are others.
    pub const MOST: usize = 100;
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, fault) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl From<Vec<Fault>> for Faults {
    fn from(faults: Vec<Fault>) -> Self {
        Self(faults)
    }
}

/// Line and column of a byte, both from 1, the column in characters. An offset inside of a character or past the
/// end counts as the character's or the text's own.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// A sentence of at most some 400 characters: what is too long loses its middle, which is the outside text that
/// it quotes, and keeps the reason at its end.
fn bounded(sentence: &str) -> String {
    const KEPT: usize = 200;
    let count = sentence.chars().count();
    if count <= 2 * KEPT {
        return sentence.to_owned();
    }
    let head: String = sentence.chars().take(KEPT).collect();
    let tail: String = sentence.chars().skip(count - KEPT).collect();
    format!("{head}…{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_counts_lines_and_characters_from_one() {
        let text = "ab\né=1\n";
        for (offset, expected) in
            [(0, (1, 1)), (2, (1, 3)), (3, (2, 1)), (4, (2, 1)), (5, (2, 2)), (8, (3, 1)), (99, (3, 1))]
        {
            assert_eq!(position(text, offset), expected, "{offset}");
        }
    }

    #[test]
    fn a_long_text_keeps_the_reason_at_its_end() {
        let fault =
            Fault::at("r.toml", "", 0, "zone", format!("`zone`: '{}' is too long", "é".repeat(5_000)));
        assert!(fault.message.chars().count() <= 401);
        assert!(fault.message.starts_with("`zone`: 'é") && fault.message.ends_with("é' is too long"));
    }

    #[test]
    fn a_fault_of_the_file_has_no_line_and_a_file_name_can_not_forge_one() {
        assert_eq!(Fault::of_file("a\nb.toml", "is too long").to_string(), "a\\nb.toml: is too long");
        let two = Faults(vec![Fault::of_file("a", "x"), Fault::at("a", "", 0, "", "y".to_owned())]);
        assert_eq!(two.to_string(), "a: x\na:1:1: y");
    }
}
