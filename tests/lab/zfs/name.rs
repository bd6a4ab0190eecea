//! Which names ZFS accepts, in its words (illumos `zfs_namecheck.c`, `libzfs_dataset.c`
//! zfs_validate_name; the texts are those that zfs-fuse printed).

/// Names with their `@snapshot` have at most this many bytes.
pub const LONGEST: usize = 255;

/// What a name is meant to name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A filesystem.
    Filesystem,
    /// A snapshot.
    Snapshot,
    /// Either.
    Any,
}

/// Checks a name; the error is the reason as ZFS words it.
pub fn check(name: &str, kind: Kind) -> Result<(), String> {
    if name.len() > LONGEST {
        return Err("name is too long".into());
    }
    if name.starts_with('/') {
        return Err("leading slash in name".into());
    }
    if name.is_empty() {
        return Err("empty component in name".into());
    }
    let (dataset, snapshot) = match name.split_once('@') {
        Some((dataset, snapshot)) => (dataset, Some(snapshot)),
        None => (name, None),
    };
    for component in dataset.split('/').chain(snapshot) {
        if component.is_empty() && dataset.ends_with('/') && snapshot.is_none() {
            return Err("trailing slash in name".into());
        }
        if component.is_empty() {
            return Err("empty component in name".into());
        }
        match component.chars().find(|&c| !legal(c)) {
            Some('@') => return Err("multiple '@' delimiters in name".into()),
            Some('%') => return Err("invalid character % in name".into()),
            Some(c) => return Err(format!("invalid character '{}' in name", c.escape_debug())),
            None => {}
        }
    }
    match (kind, snapshot) {
        (Kind::Filesystem, Some(_)) => Err("snapshot delimiter '@' in filesystem name".into()),
        (Kind::Snapshot, None) => Err("missing '@' delimiter in snapshot name".into()),
        _ => Ok(()),
    }
}

fn legal(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | ' ')
}

/// Whether a pool may have this name (`zfs_namecheck.c` pool_namecheck: disks' names and vdev words are
/// reserved).
pub fn pool_is_reserved(name: &str) -> bool {
    let mut chars = name.chars();
    (chars.next() == Some('c') && chars.next().is_some_and(|c| c.is_ascii_digit()))
        || ["mirror", "raidz", "spare"].iter().any(|word| name.starts_with(word))
        || name == "log"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_of_a_name_has_its_words() {
        let table = [
            ("p/+x", Kind::Filesystem, "invalid character '+' in name"),
            ("p/x@y", Kind::Filesystem, "snapshot delimiter '@' in filesystem name"),
            ("p/x/", Kind::Filesystem, "trailing slash in name"),
            ("/p", Kind::Filesystem, "leading slash in name"),
            ("p//x", Kind::Filesystem, "empty component in name"),
            ("p/x", Kind::Snapshot, "missing '@' delimiter in snapshot name"),
            ("p/x@", Kind::Snapshot, "empty component in name"),
            ("p/x@a@b", Kind::Snapshot, "multiple '@' delimiters in name"),
            ("p/x%y@a", Kind::Snapshot, "invalid character % in name"),
        ];
        for (name, kind, reason) in table {
            assert_eq!(check(name, kind), Err(reason.into()), "{name}");
        }
    }

    #[test]
    fn a_name_of_255_bytes_is_legal_and_one_of_256_is_not() {
        let name = |length: usize| format!("p/{}", "n".repeat(length - 2));
        assert_eq!(check(&name(255), Kind::Filesystem), Ok(()));
        assert_eq!(check(&name(256), Kind::Filesystem), Err("name is too long".into()));
        assert_eq!(check("src/zones/web@a b", Kind::Snapshot), Ok(()));
    }
}
