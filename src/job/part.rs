//! The files in which an image travels: parts of one size, and after each part its entry.

use serde::{Deserialize, Serialize};

use super::image::Image;
use super::name::{Bytes, DatasetName, Guid, SnapshotName};
use crate::stream::PartDigest;

/// The version of part entries, which are not in an envelope.
pub const ENTRY_VERSION: u32 = 2;

/// A part's file name: `dbbackup-tank-mysql@migrate.000042`.
pub fn part_name(stem: &str, number: u32) -> String {
    format!("{stem}.{number:06}")
}

/// The name of a part's entry.
pub fn entry_name(stem: &str, number: u32) -> String {
    format!("{stem}.{number:06}.entry")
}

/// Whether this is the name of a part or of an entry, whole or half-put: with a dot before it and, where
/// it is put by a path, `.new` after it.
pub fn is_image_file(name: &str) -> bool {
    let whole = name.strip_prefix('.').and_then(|half| half.strip_suffix(".new")).unwrap_or(name);
    let part = whole.strip_suffix(".entry").unwrap_or(whole);
    let number = part.rsplit_once('.').map_or("", |(_, number)| number);
    number.len() == 6 && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// What a part is, in the file `PART.entry`. Not in an envelope; the part's own digest guards it, and
/// [`Entry::is_part`] its shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The format's version.
    pub v: u32,
    /// The dataset's name on the source.
    pub dataset: DatasetName,
    /// The snapshot that the image builds on, if it is not a full stream.
    #[serde(default)]
    pub from: Option<SnapshotName>,
    /// The snapshot that the image ends at.
    pub to: SnapshotName,
    /// The guid of `to` on the source, by which a receive is known to be complete.
    pub guid: Guid,
    /// Which attempt at sending this image: a higher one replaces all parts of a lower one.
    pub attempt: u32,
    /// The part's number, from 0.
    pub number: u32,
    /// Whether it is the image's last part.
    pub last: bool,
    /// Bytes and digests.
    #[serde(flatten)]
    pub digest: PartDigest,
}

impl Entry {
    /// Whether this can be the entry of that part of the image: the image's names, a size within `part`,
    /// chunks that fit the digest.
    pub fn is_part(&self, image: &Image, number: u32, part: Bytes) -> bool {
        self.v == ENTRY_VERSION
            && (&self.dataset, &self.from, &self.to) == (&image.dataset, &image.from, &image.to)
            && self.number == number
            && self.attempt > 0
            && self.digest.bytes > 0
            && self.digest.bytes <= part.0
            && (self.last || self.digest.bytes == part.0)
            && self.digest.is_consistent()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::PartHasher;

    #[test]
    fn parts_and_entries_are_told_from_messages() {
        let (part, entry) = (part_name("db@m", 1), entry_name("db@m", 999_999));
        for name in [format!(".{part}"), format!(".{entry}"), format!(".{entry}.new"), part, entry] {
            assert!(is_image_file(&name), "{name}");
        }
        for name in
            ["offer", ".offer", "withdraw", "db@m.12345", "db@m.entry", "db@m.00000x", ".offer.new", ""]
        {
            assert!(!is_image_file(name), "{name}");
        }
    }

    #[test]
    fn an_entry_fits_only_its_own_part() {
        let snapshot = |name: &str| SnapshotName::new(name).unwrap();
        let image = Image {
            index: 0,
            dataset: DatasetName::new("p/z").unwrap(),
            from: None,
            to: snapshot("m"),
            guid: None,
            stem: "z@m".to_owned(),
        };
        let digest = |bytes: &[u8]| {
            let mut hasher = PartHasher::new();
            hasher.update(bytes);
            hasher.finish()
        };
        let entry = Entry {
            v: ENTRY_VERSION,
            dataset: image.dataset.clone(),
            from: None,
            to: image.to.clone(),
            guid: Guid(7),
            attempt: 1,
            number: 3,
            last: false,
            digest: digest(b"1234"),
        };
        let fits = |entry: &Entry| entry.is_part(&image, 3, Bytes(4));
        assert!(fits(&entry));
        for (what, other) in [
            ("version", Entry { v: 1, ..entry.clone() }),
            ("dataset", Entry { dataset: DatasetName::new("p/y").unwrap(), ..entry.clone() }),
            ("to", Entry { to: snapshot("n"), ..entry.clone() }),
            ("from", Entry { from: Some(snapshot("l")), ..entry.clone() }),
            ("number", Entry { number: 2, ..entry.clone() }),
            ("attempt", Entry { attempt: 0, ..entry.clone() }),
            ("short", Entry { digest: digest(b"123"), ..entry.clone() }),
            ("long", Entry { digest: digest(b"12345"), last: true, ..entry.clone() }),
            ("empty", Entry { digest: digest(b""), last: true, ..entry.clone() }),
        ] {
            assert!(!fits(&other), "{what}");
        }
        assert!(fits(&Entry { digest: digest(b"123"), last: true, ..entry }));
    }
}
