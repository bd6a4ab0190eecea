//! What a command's contract is called, and what becomes of the command.

use std::fmt;

/// What becomes of a command when the daemon dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::process) enum Terms {
    /// The kernel kills it, where it can.
    Stream,
    /// It goes on.
    Command,
}

/// Which contract. Numbers begin anew with each boot and may come again before, so its birth is a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::process) struct Id {
    pub(super) number: i32,
    /// A word of the system's own.
    pub(super) born: String,
}

impl Id {
    /// Reads what [`Display`](fmt::Display) wrote.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (number, born) = text.split_once('@')?;
        let number = number.parse().ok().filter(|number| *number > 1)?;
        (!born.is_empty()).then(|| Self { number, born: born.to_owned() })
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.number, self.born)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_read_as_it_was_written_and_nothing_else_is_one() {
        let id = Id { number: 4711, born: "1179459361.000000042".into() };
        assert_eq!(Id::read(&id.to_string()), Some(id));
        // A group of 0 or 1, or a negative one, would be anybody's.
        for text in ["", "4711", "4711@", "@x", "1@x", "0@x", "-1@x", "x@x"] {
            assert_eq!(Id::read(text), None, "{text}");
        }
    }
}
