//! Names that cannot hold nonsense: each type is made by parsing, and what it holds is then safe as a
//! file name, a command's argument or a syslog value, as its documentation says.

use std::borrow::Borrow;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Why a text is not the name it should be. A lower-case fragment that names the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NameError(String);

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks a text.
            ///
            /// # Errors
            /// Says in words what is not legal in it.
            pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
                let text = text.into();
                match $check(&text) {
                    Ok(()) => Ok(Self(text)),
                    Err(why) => Err(NameError(format!("'{}' {why}", text.escape_debug()))),
                }
            }

            /// The name's text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_type!(
    /// A zone's name as zonecfg(8) takes it: a letter or digit, then letters, digits, `-`, `_`, `.`;
    /// at most 63 bytes; not `global`, nothing that begins with `SUNW`.
    ZoneName,
    check_zone
);

name_type!(
    /// A host's or peer's name: a file name and a syslog value. Letters, digits, `-`, `_`, `.`; begins
    /// with a letter or digit; at most 253 bytes.
    HostName,
    check_host
);

name_type!(
    /// A ZFS filesystem's or volume's full name, `pool/a/b`. At most 255 bytes; each component holds
    /// letters, digits, `-`, `_`, `.`, `:` and blank (illumos `zfs_namecheck.c`).
    DatasetName,
    check_dataset
);

name_type!(
    /// The part of a snapshot's name behind the `@`: one component, legal as a dataset's is, without
    /// a blank at either end.
    SnapshotName,
    check_component
);

name_type!(
    /// A job's id, `<zone>-<UTC time as 20070518T033600Z>-<4 hex digits>`: legal as a file name, as a
    /// snapshot's name and as a syslog value.
    JobId,
    check_job
);

fn check_zone(text: &str) -> Result<(), &'static str> {
    if text.is_empty() || text.len() > 63 {
        return Err("is not a zone's name: it must have 1 to 63 characters");
    }
    if text == "global" {
        return Err("is the global zone, which can't be migrated");
    }
    if text.starts_with("SUNW") {
        return Err("is not a zone's name: names that begin with SUNW are reserved");
    }
    plain_word(text)
        .ok_or("is not a zone's name: letters, digits, '-', '_' and '.', the first a letter or digit")
}

fn check_host(text: &str) -> Result<(), &'static str> {
    if text.is_empty() || text.len() > 253 {
        return Err("is not a host's name: it must have 1 to 253 characters");
    }
    plain_word(text)
        .ok_or("is not a host's name: letters, digits, '-', '_' and '.', the first a letter or digit")
}

fn plain_word(text: &str) -> Option<()> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (text.bytes().all(legal) && text.as_bytes().first()?.is_ascii_alphanumeric()).then_some(())
}

fn check_component(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("has an empty component");
    }
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':' | b' ');
    if !text.bytes().all(legal) {
        return Err(
            "has a character that ZFS does not allow (letters, digits, '-', '_', '.', ':' and blank)",
        );
    }
    if text.starts_with(' ') || text.ends_with(' ') {
        return Err("begins or ends with a blank");
    }
    if text == "." || text == ".." {
        return Err("is no name");
    }
    if text.len() > 255 {
        return Err("is longer than ZFS's 255 bytes");
    }
    Ok(())
}

fn check_dataset(text: &str) -> Result<(), &'static str> {
    if text.len() > 255 {
        return Err("is longer than ZFS's 255 bytes");
    }
    let (pool, _) = text.split_once('/').unwrap_or((text, ""));
    if !pool.bytes().next().is_some_and(|b| b.is_ascii_alphabetic()) {
        return Err("is not a dataset: a pool's name begins with a letter");
    }
    text.split('/').try_for_each(check_component)
}

fn check_job(text: &str) -> Result<(), &'static str> {
    let why = "is not a job's id (ZONE-20070518T033600Z-7f3a)";
    let mut pieces = text.rsplitn(3, '-');
    let (Some(hex), Some(time), Some(zone)) = (pieces.next(), pieces.next(), pieces.next()) else {
        return Err(why);
    };
    let hex_ok = hex.len() == 4 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let time_ok = chrono::NaiveDateTime::parse_from_str(time, "%Y%m%dT%H%M%SZ").is_ok() && time.len() == 16;
    if hex_ok && time_ok && check_zone(zone).is_ok() { Ok(()) } else { Err(why) }
}

impl JobId {
    /// The id of a job for `zone` that was taken up at `at`; `salt` tells jobs of one second apart.
    pub fn for_zone(zone: &ZoneName, at: DateTime<Utc>, salt: u16) -> Self {
        Self(format!("{zone}-{}-{salt:04x}", at.format("%Y%m%dT%H%M%SZ")))
    }

    /// The zone that it is about.
    pub fn zone(&self) -> ZoneName {
        let zone = self.0.rsplitn(3, '-').last().unwrap_or_default();
        ZoneName(zone.to_owned())
    }

    /// When it was taken up, as it stands in the id: jobs' times compare as these do.
    pub fn time(&self) -> &str {
        self.0.rsplit('-').nth(1).unwrap_or_default()
    }
}

impl DatasetName {
    /// The dataset above this one, or `None` for a pool's own.
    pub fn parent(&self) -> Option<DatasetName> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.to_owned()))
    }

    /// The pool, as text.
    pub fn pool(&self) -> &str {
        self.0.split('/').next().unwrap_or(&self.0)
    }

    /// The last component.
    pub fn leaf(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// Whether this dataset is `other` or lies below it.
    pub fn is_within(&self, other: &DatasetName) -> bool {
        self.below(other).is_some()
    }

    /// The path from `ancestor` down to this dataset: empty for the ancestor itself, `None` when this
    /// one does not lie within it.
    pub fn below(&self, ancestor: &DatasetName) -> Option<&str> {
        let rest = self.0.strip_prefix(&ancestor.0)?;
        if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
    }

    /// The dataset `rest` levels below this one; `rest` may be empty.
    ///
    /// # Errors
    /// When the name gets too long or `rest` is not legal.
    pub fn join(&self, rest: &str) -> Result<DatasetName, NameError> {
        if rest.is_empty() { Ok(self.clone()) } else { Self::new(format!("{}/{rest}", self.0)) }
    }

    /// `dataset@snapshot`, as the zfs command takes it.
    pub fn at(&self, snapshot: &SnapshotName) -> String {
        format!("{}@{snapshot}", self.0)
    }
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    /// As a person reads it, powers of 1024: `3.1 GiB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        if self.0 < 1024 {
            return write!(f, "{} B", self.0);
        }
        let mut value = self.0 as f64 / 1024.0;
        let mut unit = 0;
        while value >= 1023.95 && unit + 1 < UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        write!(f, "{value:.1} {}", UNITS[unit])
    }
}

/// A ZFS guid: of a snapshot it travels in the stream and proves that a receive is complete; of a
/// dataset it proves that a name still means the same dataset. In JSON a string of decimal digits,
/// because numbers above 2^53 do not survive every reader.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Guid(pub u64);

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl From<Guid> for String {
    fn from(guid: Guid) -> String {
        guid.0.to_string()
    }
}

impl TryFrom<String> for Guid {
    type Error = std::num::ParseIntError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_take_what_the_grammar_allows_and_nothing_else() {
        for good in ["dbbackup", "web-1.example_x", "0zone"] {
            assert!(ZoneName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "global", "SUNWx", "-a", "a b", "a/b", "é", "a\n"] {
            assert!(ZoneName::new(bad).is_err(), "{bad:?}");
        }
        for good in ["data", "data/zones/a b:c_d-e.f"] {
            assert!(DatasetName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "/x", "a//b", "a/", "a@b", "a/..", "a/b+c", "1pool", "a/ b"] {
            assert!(DatasetName::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_job_id_is_made_and_read_back() {
        let zone = ZoneName::new("db-backup").unwrap();
        let at = "2007-05-18T03:36:00Z".parse().unwrap();
        let id = JobId::for_zone(&zone, at, 0x7f3a);
        assert_eq!(id.as_str(), "db-backup-20070518T033600Z-7f3a");
        assert_eq!(JobId::new(id.as_str()), Ok(id));
        for bad in
            ["x-20070518T033600Z-7F3A", "x-2007-7f3a", "../x-20070518T033600Z-7f3a", "-20070518T033600Z-7f3a"]
        {
            assert!(JobId::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn below_goes_by_components_not_by_letters() {
        let top = DatasetName::new("data/zones").unwrap();
        let name = |s| DatasetName::new(s).unwrap();
        assert_eq!(name("data/zones/a/b").below(&top), Some("a/b"));
        assert_eq!(name("data/zones").below(&top), Some(""));
        assert_eq!(name("data/zones2/a").below(&top), None);
    }

    #[test]
    fn sizes_read_as_a_person_writes_them() {
        assert_eq!(Bytes(0).to_string(), "0 B");
        assert_eq!(Bytes(1536).to_string(), "1.5 KiB");
        assert_eq!(Bytes(43_378_540_544).to_string(), "40.4 GiB");
    }
}
