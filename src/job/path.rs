//! Absolute paths as text, before they are anybody's path: the grammar, and what lies below what.
//!
//! Pure: no file is looked at, no link followed. That a path of good form leads where it seems to lead is for
//! those to check who open it.

/// PATH_MAX of Solaris, illumos (`sys/limits.h`: 1024) with its end of string.
const LONGEST: usize = 1023;

/// Checks a path that stands in a request or configuration: absolute, and written in the one way that leaves
/// no doubt what lies below it (no `.`, `..`, `//`, no `/` at the end), without control characters.
///
/// # Errors
/// Says what is wrong with it, with the text.
pub fn absolute(text: &str) -> Result<String, String> {
    let why = if !text.starts_with('/') {
        "is not an absolute path"
    } else if text.len() > LONGEST {
        "is longer than a path may be (1023 bytes)"
    } else if text.chars().any(char::is_control) {
        "has a control character"
    } else if text != "/" && text.ends_with('/') {
        "ends with '/': leave that out"
    } else if text.contains("//") {
        "has '//' in it: write one '/'"
    } else if text.split('/').any(|part| part == "." || part == "..") {
        "has '.' or '..' in it: write the path without"
    } else {
        return Ok(text.to_owned());
    };
    Err(format!("'{}' {why}", text.escape_debug()))
}

/// Checks a zonepath: as [`absolute`], not `/`, and without the characters that zonecfg and
/// `zoneadm list -p` can't hold unambiguously: `"` ends a quoted value, and a backslash is not escaped
/// where it escapes a colon.
///
/// # Errors
/// As [`absolute`].
pub fn zonepath(text: &str) -> Result<String, String> {
    let path = absolute(text)?;
    if path == "/" {
        return Err("'/' is the global zone's own".to_owned());
    }
    match path.chars().find(|c| matches!(c, '"' | '\\')) {
        None => Ok(path),
        Some(c) => Err(format!("'{}' has {c} in it, which zoneadm does not escape", path.escape_debug())),
    }
}

/// Whether `path` is `top` or lies below it, by components. Both as [`absolute`] takes them.
pub fn is_within(path: &str, top: &str) -> bool {
    let top = top.strip_suffix('/').unwrap_or(top);
    path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_way_to_be_written() {
        for good in ["/", "/export/zones/dbbackup", "/a b/é", "/..a/b..", "/export/.zones"] {
            assert_eq!(absolute(good).as_deref(), Ok(good));
        }
        for (bad, why) in [
            ("", "not an absolute"),
            ("export", "not an absolute"),
            ("/a/", "ends with"),
            ("//", "ends with"),
            ("/a//b", "'//'"),
            ("/a/../b", "'..'"),
            ("/..", "'..'"),
            ("/a/./b", "'.'"),
            ("/a\nb", "control character"),
        ] {
            let said = absolute(bad).unwrap_err();
            assert!(said.contains(why), "{bad:?}: {said}");
            assert!(!said.contains('\n'), "{said:?}");
        }
        assert!(absolute(&format!("/{}", "a".repeat(1022))).is_ok());
        assert!(absolute(&format!("/{}", "a".repeat(1023))).is_err());
    }

    #[test]
    fn a_zonepath_can_be_written_for_zonecfg() {
        assert!(zonepath("/export/zones/a b").is_ok());
        for bad in ["/", "/a\"b", "/a\\b", "zones"] {
            assert!(zonepath(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn below_goes_by_components_not_by_letters() {
        for (path, top) in [("/a/b", "/a"), ("/a", "/a"), ("/a", "/"), ("/", "/")] {
            assert!(is_within(path, top), "{path} in {top}");
        }
        for (path, top) in [("/ab", "/a"), ("/", "/a"), ("/b/a", "/a")] {
            assert!(!is_within(path, top), "{path} in {top}");
        }
    }
}
