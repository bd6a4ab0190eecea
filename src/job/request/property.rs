//! The ZFS properties that a request may set on top of those carried from the source.
//!
//! The name's form is checked, and whatever can't or must not be set is refused by name; whether the target's ZFS knows a
//! property and takes the value is found out there, before the zone is stopped.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::Error};

use crate::job::name::DatasetName;
use crate::job::path;

/// A property's longest name, ZAP_MAXNAMELEN with its end of string (illumos `sys/fs/zfs.h`: 256).
const LONGEST_NAME: usize = 255;

/// A value's longest form: the 1023 bytes that every release takes (ZAP_OLDMAXVALUELEN, illumos `sys/fs/zfs.h`).
const LONGEST_VALUE: usize = 1023;

/// Read-only properties (zfs(8), "Native Properties", and OpenZFS's zfsprops(7)).
const READ_ONLY: [&str; 33] = [
    "available",
    "clones",
    "compressratio",
    "createtxg",
    "creation",
    "defer_destroy",
    "encryptionroot",
    "filesystem_count",
    "guid",
    "inconsistent",
    "ivsetguid",
    "keystatus",
    "logicalreferenced",
    "logicalused",
    "mounted",
    "name",
    "objsetid",
    "origin",
    "prevsnap",
    "receive_resume_token",
    "redact_snaps",
    "refcompressratio",
    "referenced",
    "snapshot_count",
    "snapshots_changed",
    "type",
    "unique",
    "used",
    "usedbychildren",
    "usedbydataset",
    "usedbyrefreservation",
    "usedbysnapshots",
    "userrefs",
];

/// Fixed when a dataset is made, so the stream brings them (zfs(8): "may be set at creation time only").
const FROM_STREAM: [&str; 11] = [
    "casesensitivity",
    "encryption",
    "keyformat",
    "keylocation",
    "normalization",
    "pbkdf2iters",
    "pbkdf2salt",
    "utf8only",
    "version",
    "volblocksize",
    "volsize",
];

/// Steps of the migration set these at their own time.
const OURS: [&str; 2] = ["jailed", "zoned"];

/// Checks a property's name: a native one in lower case (`share.nfs` has a dot), or a user's, `module:name`.
///
/// # Errors
/// When its form is neither, or when it is not a request's to set.
pub fn name(text: &str) -> Result<String, String> {
    let legal =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b':' | b'-' | b'.' | b'_');
    let letter_first = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    // illumos zfs_prop.c, zfs_prop_user: the legal characters, and at least one colon.
    let user = text.contains(':') && !text.starts_with('-');
    let why = if text.len() > LONGEST_NAME {
        "is longer than 255 bytes"
    } else if !(text.bytes().all(legal) && (user || letter_first)) {
        "is no ZFS property: lower-case letters, digits, '-', '_', '.', and ':' in a user's own"
    } else if READ_ONLY.contains(&text) || text.starts_with("written") {
        "is read-only"
    } else if FROM_STREAM.contains(&text) {
        "is fixed when a dataset is made: it comes as it is on the source"
    } else if OURS.contains(&text) || text.starts_with("zmigrate:") {
        "is set by zmigrate itself"
    } else {
        return Ok(text.to_owned());
    };
    Err(format!("'{}' {why}", text.escape_debug()))
}

/// Checks the value for a property whose name has been checked.
///
/// # Errors
/// When it is empty, too long, has a control character, or is no mountpoint where it should be one.
pub fn value(name: &str, text: &str) -> Result<String, String> {
    let why = if text.is_empty() && !name.contains(':') {
        "is empty"
    } else if text.len() > LONGEST_VALUE {
        "is longer than 1023 bytes"
    } else if text.chars().any(char::is_control) {
        "has a control character"
    } else if name == "mountpoint" && !matches!(text, "none" | "legacy") {
        return path::absolute(text).map_err(|why| format!("{why} (nor `legacy` nor `none`)"));
    } else {
        return Ok(text.to_owned());
    };
    Err(format!("'{}' {why}", text.escape_debug()))
}

/// Properties by dataset.
pub type Properties = BTreeMap<DatasetName, BTreeMap<String, String>>;

/// As it stands in a journal or an offer: a peer's words, so checked as a request's are.
pub(super) fn from_json<'de, D: Deserializer<'de>>(from: D) -> Result<Properties, D::Error> {
    let all = Properties::deserialize(from)?;
    for (property, text) in all.values().flatten() {
        name(property).map_err(D::Error::custom)?;
        value(property, text).map_err(D::Error::custom)?;
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn native_and_user_properties_pass() {
        for good in
            ["mountpoint", "compression", "share.nfs", "org.opensolaris.libbe:uuid", "a:b", ":x", "9:a"]
        {
            assert_eq!(name(good).as_deref(), Ok(good));
        }
        for (property, good) in [
            ("mountpoint", "legacy"),
            ("mountpoint", "/a b"),
            ("a:b", ""),
            ("quota", "10G"),
            ("a:b", "é=;\""),
        ] {
            assert_eq!(value(property, good).as_deref(), Ok(good));
        }
    }

    #[test]
    fn what_a_request_must_not_set_is_refused_by_name() {
        for (bad, why) in [
            ("", "no ZFS property"),
            ("Compression", "no ZFS property"),
            ("com pression", "no ZFS property"),
            ("a=b", "no ZFS property"),
            ("userquota@joe", "no ZFS property"),
            ("-o", "no ZFS property"),
            ("-a:b", "no ZFS property"),
            ("guid", "read-only"),
            ("type", "read-only"),
            ("written", "read-only"),
            ("volsize", "fixed when"),
            ("version", "fixed when"),
            ("zoned", "zmigrate itself"),
            ("zmigrate:job", "zmigrate itself"),
        ] {
            let said = name(bad).unwrap_err();
            assert!(said.contains(why), "{bad:?}: {said}");
        }
        assert!(name(&format!("a:{}", "b".repeat(254))).is_err());
    }

    #[test]
    fn a_value_is_one_line_and_a_mountpoint_a_path() {
        for (property, bad) in [
            ("quota", ""),
            ("a:b", "x\ny"),
            ("mountpoint", "../x"),
            ("mountpoint", "/x/../y"),
            ("mountpoint", ""),
        ] {
            assert!(value(property, bad).is_err(), "{property}={bad:?}");
        }
        assert!(value("a:b", &"x".repeat(1024)).is_err());
    }
}
