//! Reading options as Solaris's getopt(3C) does: it stops at the first operand. (glibc's getopt
//! permutes, so a command line with options after operands works on Linux and fails on Solaris.)

use super::command::Fail;

/// A command line, read.
#[derive(Debug, PartialEq, Eq)]
pub struct Parsed<'a> {
    options: Vec<(char, Option<&'a str>)>,
    /// The words after the options.
    pub operands: &'a [String],
}

impl<'a> Parsed<'a> {
    /// Whether the option was given.
    pub fn has(&self, option: char) -> bool {
        self.options.iter().any(|(given, _)| *given == option)
    }

    /// The option's last value.
    pub fn value(&self, option: char) -> Option<&'a str> {
        self.values(option).last()
    }

    /// All values of an option that may be repeated.
    pub fn values(&self, option: char) -> impl Iterator<Item = &'a str> {
        self.options.iter().filter(move |(given, _)| *given == option).filter_map(|(_, value)| *value)
    }

    /// The options in their order.
    pub fn all(&self) -> impl Iterator<Item = (char, Option<&'a str>)> {
        self.options.iter().copied()
    }
}

/// Reads a command line; `spec` as getopt's: a letter, and `:` after it where a value follows.
pub fn parse<'a>(args: &'a [String], spec: &str) -> Result<Parsed<'a>, Fail> {
    let mut options = Vec::new();
    let mut rest = args;
    while let Some((first, behind)) = rest.split_first() {
        if first == "--" {
            rest = behind;
            break;
        }
        let Some(letters) = first.strip_prefix('-').filter(|letters| !letters.is_empty()) else { break };
        rest = behind;
        for (at, option) in letters.char_indices() {
            let known = option != ':' && spec.contains(option);
            if !known {
                return Err(Fail::Usage(format!("invalid option '{}'", option.escape_debug())));
            }
            if !spec.contains(&format!("{option}:")) {
                options.push((option, None));
                continue;
            }
            let inline = &letters[at + option.len_utf8()..];
            let value = if inline.is_empty() {
                let Some((value, behind)) = rest.split_first() else {
                    return Err(Fail::Usage(format!("missing argument for '{option}' option")));
                };
                rest = behind;
                value.as_str()
            } else {
                inline
            };
            options.push((option, Some(value)));
            break;
        }
    }
    Ok(Parsed { options, operands: rest })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(text: &str) -> Vec<String> {
        text.split_whitespace().map(Into::into).collect()
    }

    #[test]
    fn options_end_at_the_first_operand() {
        let line = args("-rHo name pool -p");
        let parsed = parse(&line, "rHpo:").unwrap();
        assert!(parsed.has('r') && parsed.has('H') && !parsed.has('p'));
        assert_eq!(parsed.value('o'), Some("name"));
        assert_eq!(parsed.operands, args("pool -p"));
    }

    #[test]
    fn unknown_options_and_missing_values_are_usage_faults() {
        assert!(matches!(parse(&args("-x"), "r"), Err(Fail::Usage(text)) if text == "invalid option 'x'"));
        let line = args("-o");
        let fault = parse(&line, "o:");
        assert!(matches!(fault, Err(Fail::Usage(text)) if text == "missing argument for 'o' option"));
    }
}
