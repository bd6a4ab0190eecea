//! The native properties: which exist, which values they accept, their defaults, and whether
//! children inherit them.
//!
//! Values and refusals are worded as in zfs-fuse. Values are kept in the form that `get -p` prints.

use super::natives::NATIVE;
use super::number;
use super::release::Release;

/// What a property takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// One of these, as the usage text lists them.
    Index(&'static str),
    /// Bytes; 0 is shown as `none`.
    Size,
    /// A count; no limit is shown as `none`, but as 2^64 - 1 by -p (libzfs zfs_prop_get).
    Limit,
    /// A block size.
    Block,
    /// A path, `none` or `legacy`.
    Mountpoint,
    /// Any text.
    Text,
    /// The filesystem version.
    Version,
    /// Only at creation.
    Once(&'static str),
    /// Never set; a number that is shown as a size.
    Bytes,
    /// Never set; a number that is shown as it is, but mangled as a size by `list`.
    Number,
    /// Never set.
    Fact,
}

/// A native property.
#[derive(Debug, Clone, Copy)]
pub struct Native {
    /// As in `zfs get`.
    pub name: &'static str,
    /// What it takes.
    pub values: Values,
    /// Whether children inherit it.
    pub inherits: bool,
    /// Value where nobody set one.
    pub default: &'static str,
    /// Filesystems have it.
    pub filesystems: bool,
    /// Snapshots have it.
    pub snapshots: bool,
    /// Who knows it.
    pub since: Since,
    /// `get all` shows it.
    pub shown: bool,
}

/// In which releases a property is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// In all.
    Always,
    /// Since ON of 2009 and 2010: in all but Solaris 10 10/08.
    On2010,
    /// In illumos alone.
    Illumos,
    /// In Oracle Solaris 11 alone.
    Solaris11,
}

/// A limit that nobody set.
pub const UNLIMITED: &str = "18446744073709551615";

/// The property of this name in a release, or of its short form (`avail`, `refer`, `compress`, …).
pub fn native(name: &str, release: Release) -> Option<&'static Native> {
    any(name).filter(|native| native.is_of(release))
}

/// The same in whatever release.
pub fn any(name: &str) -> Option<&'static Native> {
    let name = match name {
        "avail" => "available",
        "refer" => "referenced",
        "ratio" => "compressratio",
        "reserv" => "reservation",
        "recsize" => "recordsize",
        "compress" => "compression",
        "rdonly" => "readonly",
        "case" => "casesensitivity",
        "norm" => "normalization",
        "refreserv" => "refreservation",
        "usedsnap" => "usedbysnapshots",
        "usedds" => "usedbydataset",
        "usedchild" => "usedbychildren",
        other => other,
    };
    NATIVE.iter().find(|native| native.name == name)
}

/// Whether this may be a user property's name (libzfs `zfs_prop_user`).
pub fn is_user(name: &str) -> bool {
    name.len() <= 256
        && name.contains(':')
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b':' | b'-' | b'.' | b'_'))
}

/// Whether it is `written@SNAPSHOT`, counted from an older snapshot.
pub fn written_since(name: &str) -> Option<&str> {
    name.strip_prefix("written@").filter(|snapshot| !snapshot.is_empty())
}

/// A value as it is kept, or why it can't be (the text after `cannot set property for 'X': `).
/// `creating`: the properties that are settled at creation may be given.
pub fn accept(property: &str, value: &str, release: Release, creating: bool) -> Result<String, String> {
    if is_user(property) {
        return match value.len() {
            0..=1023 => Ok(value.to_owned()),
            _ => Err(format!("property value '{}...' too long", value.chars().take(32).collect::<String>())),
        };
    }
    let Some(native) = native(property, release) else {
        return Err(format!("invalid property '{}'", property.escape_debug()));
    };
    let name = native.name;
    if name == "keylocation" && !creating || name == "pbkdf2iters" {
        return Err(format!("setting '{name}' is not emulated in this lab"));
    }
    match native.values {
        Values::Index(choices) => among(name, value, choices),
        Values::Once(choices) if creating => among(name, value, choices),
        Values::Size if value == "none" => Ok("0".into()),
        Values::Limit if value == "none" && !native.is_readonly() => Ok(UNLIMITED.into()),
        Values::Size => match number::parse(value)? {
            0 if matches!(name, "quota" | "refquota") => Err("use 'none' to disable quota/refquota".into()),
            bytes => Ok(bytes.to_string()),
        },
        Values::Limit if !native.is_readonly() => Ok(number::parse(value)?.to_string()),
        Values::Block => match number::parse(value)? {
            bytes @ 512..=131_072 if bytes.is_power_of_two() => Ok(bytes.to_string()),
            // With the pool's feature, which is judged elsewhere.
            bytes @ 262_144..=1_048_576 if release.is_illumos() && bytes.is_power_of_two() => {
                Ok(bytes.to_string())
            }
            _ if release.is_illumos() => Err(format!("'{name}' must be power of 2 from 512B to 1024KB")),
            _ => Err(format!("'{name}' must be power of 2 from 512 to 128k")),
        },
        Values::Mountpoint if value == "none" || value == "legacy" || value.starts_with('/') => {
            Ok(value.into())
        }
        Values::Mountpoint => Err(format!("'{name}' must be an absolute path, 'none', or 'legacy'")),
        Values::Text => Ok(value.to_owned()),
        Values::Version => match number::parse(value)? {
            version if version >= 1 && version <= u64::from(release.newest_version()) => {
                Ok(version.to_string())
            }
            _ => Err(format!("'{name}' must be one of '1 | 2 | 3 | 4 | 5 | current'")),
        },
        Values::Once(_) | Values::Limit | Values::Bytes | Values::Number | Values::Fact => {
            Err(format!("'{name}' is readonly"))
        }
    }
}

fn among(name: &str, value: &str, choices: &'static str) -> Result<String, String> {
    let gzip = |choice: &str| {
        choice == "gzip-[1-9]"
            && value.len() == 6
            && value.starts_with("gzip-")
            && matches!(value.as_bytes()[5], b'1'..=b'9')
    };
    let verify =
        |choice: &str| choice == "sha256[,verify]" && (value == "sha256" || value == "sha256,verify");
    if choices.split(" | ").any(|choice| choice == value || gzip(choice) || verify(choice)) {
        return Ok(value.to_owned());
    }
    Err(format!("'{name}' must be one of '{choices}'"))
}

impl Native {
    /// Whether a release has it.
    pub fn is_of(&self, release: Release) -> bool {
        match self.since {
            Since::Always => true,
            Since::On2010 => release != Release::Solaris10,
            Since::Illumos => release.is_illumos(),
            Since::Solaris11 => release == Release::Solaris11,
        }
    }

    /// Whether nobody can set it.
    pub fn is_readonly(&self) -> bool {
        matches!(self.values, Values::Bytes | Values::Number | Values::Fact) || self.name.ends_with("_count")
    }

    /// A kept value as it is shown; `exact` is `-p`.
    pub fn show(&self, value: &str, exact: bool) -> String {
        if exact || value == "-" {
            return value.to_owned();
        }
        let number = value.parse::<u64>();
        match (self.values, number) {
            (Values::Size, Ok(0)) | (Values::Limit, Ok(u64::MAX)) => "none".into(),
            (Values::Size | Values::Block | Values::Bytes, Ok(bytes)) => number::nice(bytes),
            (Values::Number, Ok(bytes)) => number::nice(bytes),
            (_, Ok(seconds)) if self.name == "creation" => number::date(seconds),
            _ => value.to_owned(),
        }
    }

    /// The column's title in `zfs list`.
    pub fn title(&self) -> String {
        match self.name {
            "available" => "AVAIL".into(),
            "referenced" => "REFER".into(),
            "compressratio" => "RATIO".into(),
            "reservation" => "RESERV".into(),
            "recordsize" => "RECSIZE".into(),
            "compression" => "COMPRESS".into(),
            "readonly" => "RDONLY".into(),
            "casesensitivity" => "CASE".into(),
            "normalization" => "NORM".into(),
            "refreservation" => "REFRESERV".into(),
            "usedbysnapshots" => "USEDSNAP".into(),
            "usedbydataset" => "USEDDS".into(),
            "usedbychildren" => "USEDCHILD".into(),
            "usedbyrefreservation" => "USEDREFRESERV".into(),
            other => other.to_uppercase(),
        }
    }

    /// Whether `zfs list` sets it flush right.
    pub fn is_number(&self) -> bool {
        matches!(self.values, Values::Size | Values::Limit | Values::Block | Values::Bytes | Values::Number)
            || matches!(self.name, "compressratio" | "copies" | "version")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_taken_and_refused_in_zfs_words() {
        let table = [
            ("quota", "10m", Ok("10485760")),
            ("quota", "none", Ok("0")),
            ("quota", "0", Err("use 'none' to disable quota/refquota")),
            ("recordsize", "8K", Ok("8192")),
            ("recordsize", "1M", Ok("1048576")),
            ("recordsize", "1000", Err("'recordsize' must be power of 2 from 512B to 1024KB")),
            ("mountpoint", "abc", Err("'mountpoint' must be an absolute path, 'none', or 'legacy'")),
            ("canmount", "foo", Err("'canmount' must be one of 'on | off | noauto'")),
            ("compression", "gzip-9", Ok("gzip-9")),
            ("type", "foo", Err("'type' is readonly")),
            ("casesensitivity", "mixed", Err("'casesensitivity' is readonly")),
            ("foo", "1", Err("invalid property 'foo'")),
            ("zmigrate:job", "x", Ok("x")),
        ];
        for (name, value, wanted) in table {
            let got = accept(name, value, Release::Illumos, false);
            assert_eq!(got.as_deref().map_err(String::as_str), wanted, "{name}={value}");
        }
    }

    #[test]
    fn capital_letters_make_no_user_property() {
        assert!(is_user("com.foo:x_1-2") && !is_user("UP:b") && !is_user("plain"));
    }
}
