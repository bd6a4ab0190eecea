//! What the lab's streams say of a file, in an OBJECT record's bonus.

use std::os::unix::ffi::OsStrExt;
use std::path::Component;

use super::files::{Entry, Kind, path_of};
use super::record::{get32, get64};

/// What an OBJECT's bonus payload says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bonus {
    /// The file; `linked` is an object's place in the stream.
    pub entry: Entry,
    /// Its contents are those of the base snapshot's file of this path: none follow.
    pub same: bool,
}

const TAG: &[u8; 8] = b"zmlab\0\0\x01";
const FIXED: usize = 80;

impl Bonus {
    /// As bytes, not padded.
    pub fn bytes(&self) -> Vec<u8> {
        let entry = &self.entry;
        let (path, target) = (entry.path.as_os_str().as_bytes(), entry.target.as_os_str().as_bytes());
        let mut bytes = TAG.to_vec();
        bytes.extend([kind_number(entry.kind), u8::from(self.same), 0, 0]);
        for word in [entry.mode, entry.uid, entry.gid] {
            bytes.extend(word.to_le_bytes());
        }
        for word in [entry.mtime.0, entry.mtime.1] {
            bytes.extend(word.to_le_bytes());
        }
        for word in [entry.size, entry.rdev, entry.linked.map_or(0, |place| place as u64 + 1)] {
            bytes.extend(word.to_le_bytes());
        }
        for length in [path.len(), target.len(), 0, 0] {
            bytes.extend(u32::try_from(length).unwrap_or(0).to_le_bytes());
        }
        debug_assert_eq!(bytes.len(), FIXED);
        bytes.extend(path);
        bytes.extend(target);
        bytes
    }

    /// Reads one. `None`: damaged, or a path that leaves its place.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < FIXED || bytes[..8] != *TAG {
            return None;
        }
        let (path_length, target_length) = (get32(bytes, 64) as usize, get32(bytes, 68) as usize);
        let rest = &bytes[FIXED..];
        let path = path_of(rest.get(..path_length)?);
        let target = path_of(rest.get(path_length..path_length.checked_add(target_length)?)?);
        if !path.components().all(|part| matches!(part, Component::Normal(_))) {
            return None;
        }
        let entry = Entry {
            path,
            kind: kind_of(bytes[8])?,
            mode: get32(bytes, 12) & 0o7777,
            uid: get32(bytes, 16),
            gid: get32(bytes, 20),
            mtime: (get64(bytes, 24).cast_signed(), get64(bytes, 32).cast_signed()),
            size: get64(bytes, 40),
            rdev: get64(bytes, 48),
            target,
            linked: get64(bytes, 56).checked_sub(1).and_then(|place| usize::try_from(place).ok()),
        };
        Some(Self { entry, same: bytes[9] != 0 })
    }
}

const KINDS: [Kind; 7] =
    [Kind::File, Kind::Directory, Kind::Link, Kind::Fifo, Kind::Socket, Kind::Character, Kind::Block];

fn kind_number(kind: Kind) -> u8 {
    KINDS.iter().zip(0..).find(|(other, _)| **other == kind).map_or(0, |(_, number)| number)
}

fn kind_of(number: u8) -> Option<Kind> {
    KINDS.get(usize::from(number)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bonus_whose_path_leaves_its_place_is_refused() {
        let entry = |path: &str| Entry {
            path: path.into(),
            kind: Kind::Link,
            mode: 0o4755,
            uid: 1,
            gid: 2,
            mtime: (-3, 4),
            size: 0,
            rdev: 0,
            target: "../x".into(),
            linked: Some(5),
        };
        let good = Bonus { entry: entry("a/b"), same: true };
        assert_eq!(Bonus::parse(&good.bytes()), Some(good));
        for path in ["../a", "/a", "a/../../b"] {
            assert_eq!(Bonus::parse(&Bonus { entry: entry(path), same: false }.bytes()), None, "{path}");
        }
    }
}
