//! `ssh-keygen`: a key by which this host logs in at a peer, and what a public key looks like.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::process::Argv;

/// Makes a key without a passphrase: the daemon has nobody to ask for one. Never overwrites: with a file of that
/// name `ssh-keygen` asks, and gets no answer.
pub fn key(file: &Path, comment: &str) -> Argv {
    let file = file.display().to_string();
    Argv::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", &file])
}

/// One public key, as a `.pub` file or a line of authorized_keys has it: type, base64, and perhaps a comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(String);

impl PublicKey {
    /// Type and key, without the comment: what two copies of one key have in common.
    pub fn bare(&self) -> &str {
        let mut blanks = self.0.match_indices(' ').map(|(at, _)| at);
        blanks.nth(1).map_or(self.0.as_str(), |end| &self.0[..end])
    }
}

impl FromStr for PublicKey {
    type Err = String;

    /// Takes one line and nothing that could become options or a second one in authorized_keys.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let words: Vec<_> = text.split(' ').collect();
        let kind = |word: &str| {
            ["ssh-", "ecdsa-", "sk-"].iter().any(|start| word.starts_with(start))
                && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-@.".contains(&b))
        };
        let base64 = |word: &str| {
            word.len() >= 40 && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b))
        };
        let whole = text.len() <= 4096 && !text.chars().any(char::is_control);
        if whole && words.len() >= 2 && kind(words[0]) && base64(words[1]) {
            return Ok(Self(text.to_owned()));
        }
        Err("is not one line of a public key, `ssh-ed25519 AAAA… comment`".to_owned())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJvfWp0Cq3R2aoqD1mVQeA1XYQ2dT0pPq7h9sJ6hZ0aB zmigrate@zhost1";

    #[test]
    fn the_key_has_no_passphrase_and_a_comment_that_tells_whose_it_is() {
        assert_eq!(
            key(Path::new("/etc/opt/zmigrate/id_ed25519_zhost2"), "zmigrate@zhost1").to_string(),
            "ssh-keygen -q -t ed25519 -N '' -C zmigrate@zhost1 -f /etc/opt/zmigrate/id_ed25519_zhost2"
        );
    }

    #[test]
    fn a_public_key_is_one_line_and_nothing_else() {
        let key: PublicKey = format!("{KEY}\n").parse().unwrap();
        assert_eq!(key.to_string(), KEY);
        assert_eq!(key.bare(), KEY.strip_suffix(" zmigrate@zhost1").unwrap());
        let plain: PublicKey = key.bare().parse().unwrap();
        assert_eq!(plain.bare(), key.bare());
        for bad in
            ["", "ssh-ed25519", "ssh-ed25519 short", "-----BEGIN OPENSSH PRIVATE KEY-----", "/etc/id.pub"]
        {
            bad.parse::<PublicKey>().unwrap_err();
        }
        format!("command=\"sh\" {KEY}").parse::<PublicKey>().unwrap_err();
        format!("{KEY}\n{KEY}").parse::<PublicKey>().unwrap_err();
    }
}
