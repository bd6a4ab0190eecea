//! `sshd -T`: what the configuration of this host's sshd comes to for one account.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{Argv, CmdError, ParseError, Programs};

/// Where sshd is besides the usual path: Solaris 11.4 and OpenIndiana have it here, OmniOS in /usr/sbin.
pub const DIRECTORY: &str = "/usr/lib/ssh";

/// The configuration as it is for this account, from whatever address. It only looks; root alone may.
pub fn effective(account: &str, host: &str) -> Argv {
    // All three must be given, or sshd refuses (sshd(8), -C). An address of RFC 5737, since no real one is meant.
    Argv::new("sshd").args(["-T", "-C", &format!("user={account},host={host},addr=192.0.2.1")])
}

/// What sshd would do: keywords in lower case, each with its values in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Effective(BTreeMap<String, Vec<String>>);

impl Effective {
    /// Asks this host's sshd.
    ///
    /// # Errors
    /// When there is none, it refuses its configuration, or what it says isn't understood.
    pub fn ask(programs: &Programs, account: &str, host: &str) -> Result<Self, CmdError> {
        let argv = effective(account, host);
        parse(&programs.ok(&argv)?.stdout).map_err(CmdError::unreadable(&argv))
    }

    /// A keyword's first value; `""` for one that this sshd does not know.
    pub fn value(&self, keyword: &str) -> &str {
        self.0.get(keyword).and_then(|values| values.first()).map_or("", String::as_str)
    }

    /// All values of a keyword that comes once for each.
    pub fn values(&self, keyword: &str) -> &[String] {
        self.0.get(keyword).map_or(&[], Vec::as_slice)
    }
}

/// Reads what `sshd -T` prints: a keyword and its value on each line.
///
/// # Errors
/// With the first line that is not so.
pub fn parse(text: &str) -> Result<Effective, ParseError> {
    let mut all = BTreeMap::<String, Vec<String>>::new();
    for (n, line) in text.lines().enumerate() {
        let (keyword, value) = line.split_once(' ').unwrap_or((line, ""));
        if keyword.is_empty() || !keyword.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
            return Err(ParseError::at(n, line, "is no keyword of sshd_config"));
        }
        all.entry(keyword.to_owned()).or_default().push(value.trim().to_owned());
    }
    Ok(Effective(all))
}

/// The programs with sshd's own directory behind theirs.
pub fn programs(path: &[PathBuf], timeout: std::time::Duration) -> Programs {
    let mut path = path.to_vec();
    path.push(DIRECTORY.into());
    Programs::new(path, timeout)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::sample::sample;

    #[test]
    fn sshd_is_asked_for_one_account() {
        assert_eq!(
            effective("zmigrate-zhost1", "zhost1").to_string(),
            "sshd -T -C user=zmigrate-zhost1,host=zhost1,addr=192.0.2.1"
        );
    }

    #[test]
    fn what_sshd_says_is_keywords_with_their_values() {
        let sshd = parse(sample!("sshd/T-account.txt")).unwrap();
        assert_eq!(sshd.value("chrootdirectory"), "/export/scratch/zmigrate/dropbox/zhost1");
        assert_eq!(sshd.value("permittty"), "no");
        assert_eq!(sshd.values("allowusers"), ["root", "zmigrate-zhost1"]);
        assert_eq!((sshd.value("nosuchkeyword"), sshd.values("nosuchkeyword").len()), ("", 0));
    }

    #[test]
    fn a_line_that_is_no_keyword_is_refused() {
        let error = parse("port 22\n/etc/ssh/sshd_config: bad\n").unwrap_err();
        assert_eq!(error.line, 2);
    }
}
