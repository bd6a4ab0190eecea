//! What `sshd -T` and `ssh -G` print: the settings as they come to be, a keyword and its value on each line.

use std::collections::BTreeMap;

use super::ParseError;

/// Keywords in lower case, each with its values in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings(BTreeMap<String, Vec<String>>);

impl Settings {
    /// A keyword's first value; `""` for one that this version does not know.
    pub fn value(&self, keyword: &str) -> &str {
        self.0.get(keyword).and_then(|values| values.first()).map_or("", String::as_str)
    }

    /// All values of a keyword that comes once for each.
    pub fn values(&self, keyword: &str) -> &[String] {
        self.0.get(keyword).map_or(&[], Vec::as_slice)
    }
}

/// Reads them.
///
/// # Errors
/// With the first line that begins with no keyword.
pub fn parse(text: &str) -> Result<Settings, ParseError> {
    let mut all = BTreeMap::<String, Vec<String>>::new();
    for (n, line) in text.lines().enumerate() {
        let (keyword, value) = line.split_once(' ').unwrap_or((line, ""));
        if keyword.is_empty() || !keyword.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(ParseError::at(n, line, "begins with no keyword"));
        }
        // `ssh -G` of OpenSSH 9.2 has one `canonicalizePermittedcnames` among its small letters.
        all.entry(keyword.to_ascii_lowercase()).or_default().push(value.trim().to_owned());
    }
    Ok(Settings(all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::sample::sample;

    #[test]
    fn keywords_have_their_values_and_one_that_is_not_there_has_none() {
        let sshd = parse(sample!("sshd/T-account.txt")).unwrap();
        assert_eq!(sshd.value("chrootdirectory"), "/export/scratch/zmigrate/dropbox/zhost1");
        assert_eq!(sshd.value("permittty"), "no");
        assert_eq!(sshd.values("allowusers"), ["root", "zmigrate-zhost1"]);
        assert_eq!((sshd.value("nosuchkeyword"), sshd.values("nosuchkeyword").len()), ("", 0));
    }

    #[test]
    fn a_line_that_begins_with_no_keyword_is_refused() {
        assert_eq!(
            parse("canonicalizePermittedcnames none\n").unwrap().value("canonicalizepermittedcnames"),
            "none"
        );
        let error = parse("port 22\n/etc/ssh/sshd_config: bad\n").unwrap_err();
        assert_eq!(error.line, 2);
    }
}
