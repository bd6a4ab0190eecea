//! The records of a send stream: headers of 312 bytes, payloads, and the checksum over all of it.
//!
//! The layout is that of illumos `sys/zfs_ioctl.h` (dmu_replay_record), little endian only. A file
//! of the lab's ZFS is one OBJECT record, whose bonus payload holds what ZFS would keep in its
//! dnode and directories, and WRITE records with its contents. Record checksums are zero, as
//! zfs-fuse writes them.

use super::files::{Entry, Kind};

/// Length of a header.
pub const HEADER: usize = 312;
/// Contents travel in blocks of this size.
pub const BLOCK: usize = 128 << 10;
/// The longest bonus payload that receivers take.
pub const LONGEST_BONUS: usize = 16 << 10;
/// A header's checksum of itself stands from here to its end, in all types but BEGIN.
pub const OWN_CHECKSUM: usize = 280;

const MAGIC: u64 = 0x2_f5ba_cbac;
/// Bit 2 of the feature flags: filesystem version 5.
pub const SA_SPILL: u64 = 1 << 2;
/// One of the bits that belong to Solaris 11, in a stream without `-s nocheck`; which one it is, is not public.
pub const PER_BLOCK_CHECKSUMS: u64 = 1 << 3;

/// A header's bytes.
pub type Header = [u8; HEADER];

/// The running checksum of a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fletcher4([u64; 4]);

impl Fletcher4 {
    /// Feeds bytes; their number must be a multiple of 4, which every header and payload is.
    pub fn update(&mut self, bytes: &[u8]) {
        let [mut a, mut b, mut c, mut d] = self.0;
        for word in bytes.as_chunks::<4>().0 {
            a = a.wrapping_add(u64::from(u32::from_le_bytes(*word)));
            b = b.wrapping_add(a);
            c = c.wrapping_add(b);
            d = d.wrapping_add(c);
        }
        self.0 = [a, b, c, d];
    }

    /// As it stands in a record.
    pub fn bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (place, word) in bytes.chunks_exact_mut(8).zip(self.0) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}

/// What a BEGIN record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begin {
    /// 1: a stream of one snapshot.
    pub kind: u64,
    /// Feature flags.
    pub features: u64,
    /// Seconds since 1970.
    pub creation: u64,
    /// 2: a filesystem's.
    pub objset: u32,
    /// The snapshot's guid.
    pub toguid: u64,
    /// The base's guid; 0 for a full stream.
    pub fromguid: u64,
    /// `pool/fs@snapshot` of the sender.
    pub toname: String,
}

impl Begin {
    /// As a header.
    pub fn header(&self) -> Header {
        let mut header = begin(0);
        put64(&mut header, 8, MAGIC);
        put64(&mut header, 16, self.kind | self.features << 2);
        put64(&mut header, 24, self.creation);
        put32(&mut header, 32, self.objset);
        put64(&mut header, 40, self.toguid);
        put64(&mut header, 48, self.fromguid);
        let name = &self.toname.as_bytes()[..self.toname.len().min(255)];
        header[56..56 + name.len()].copy_from_slice(name);
        header
    }

    /// Reads one; `None` without the magic number.
    pub fn parse(header: &Header) -> Option<Self> {
        if get64(header, 8) != MAGIC || get32(header, 0) != 0 {
            return None;
        }
        let name = &header[56..];
        let name = &name[..name.iter().position(|&byte| byte == 0).unwrap_or(name.len())];
        Some(Self {
            kind: get64(header, 16) & 3,
            features: get64(header, 16) >> 2,
            creation: get64(header, 24),
            objset: get32(header, 32),
            toguid: get64(header, 40),
            fromguid: get64(header, 48),
            toname: String::from_utf8_lossy(name).into_owned(),
        })
    }
}

/// An OBJECT record; `bonus` is the length of its payload before it is padded to 8.
pub fn object(toguid: u64, object: u64, entry: &Entry, bonus: usize) -> Header {
    let mut header = begin(1);
    put64(&mut header, 8, object);
    // DMU_OT_PLAIN_FILE_CONTENTS, DMU_OT_DIRECTORY_CONTENTS; the bonus is DMU_OT_SA.
    put32(&mut header, 16, if entry.kind == Kind::Directory { 20 } else { 19 });
    put32(&mut header, 20, 44);
    let block = entry.size.next_multiple_of(512).clamp(512, BLOCK as u64);
    put32(&mut header, 24, u32::try_from(block).unwrap_or(512));
    put32(&mut header, 28, u32::try_from(bonus).unwrap_or(0));
    put64(&mut header, 40, toguid);
    header
}

/// A WRITE record.
pub fn write(toguid: u64, object: u64, offset: u64, length: usize) -> Header {
    let mut header = begin(3);
    put64(&mut header, 8, object);
    put32(&mut header, 16, 19);
    put64(&mut header, 24, offset);
    put64(&mut header, 32, length as u64);
    put64(&mut header, 40, toguid);
    header
}

/// A FREE record: nothing from `offset` to the end.
pub fn free(toguid: u64, object: u64, offset: u64) -> Header {
    let mut header = begin(4);
    put64(&mut header, 8, object);
    put64(&mut header, 16, offset);
    put64(&mut header, 24, u64::MAX);
    put64(&mut header, 32, toguid);
    header
}

/// A FREEOBJECTS record: no such objects.
pub fn freeobjects(toguid: u64, first: u64, count: u64) -> Header {
    let mut header = begin(2);
    put64(&mut header, 8, first);
    put64(&mut header, 16, count);
    put64(&mut header, 24, toguid);
    header
}

/// The END record.
pub fn end(toguid: u64, sums: Fletcher4) -> Header {
    let mut header = begin(5);
    header[8..40].copy_from_slice(&sums.bytes());
    put64(&mut header, 40, toguid);
    header
}

/// A record as it comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// A file, with this much payload.
    Object {
        /// Its number.
        object: u64,
        /// Bytes of the payload, padded.
        payload: usize,
    },
    /// Contents.
    Write {
        /// Of this object.
        object: u64,
        /// From here on.
        offset: u64,
        /// Bytes of the payload.
        payload: usize,
    },
    /// FREE or FREEOBJECTS, which a new filesystem has no use for.
    Free,
    /// The end, with the checksum of all before it.
    End([u8; 32]),
}

impl Record {
    /// Reads a header other than BEGIN. Lengths are bounded here; `None`: not a record that the lab accepts.
    pub fn parse(header: &Header) -> Option<Self> {
        match get32(header, 0) {
            1 => {
                let bonus = usize::try_from(get32(header, 28)).ok()?;
                let block = get32(header, 24);
                let sound =
                    bonus <= LONGEST_BONUS && (512..=BLOCK as u32).contains(&block) && get32(header, 36) == 0;
                sound.then(|| Self::Object { object: get64(header, 8), payload: bonus.next_multiple_of(8) })
            }
            2 | 4 => Some(Self::Free),
            3 => {
                let payload = usize::try_from(get64(header, 32)).ok()?;
                let sound = payload <= BLOCK && payload > 0 && payload % 8 == 0 && header[50] == 0;
                sound.then(|| Self::Write { object: get64(header, 8), offset: get64(header, 24), payload })
            }
            5 => header[8..40].try_into().ok().map(Self::End),
            _ => None,
        }
    }
}

fn begin(kind: u32) -> Header {
    let mut header = [0; HEADER];
    put32(&mut header, 0, kind);
    header
}

fn put32(header: &mut Header, at: usize, value: u32) {
    header[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

fn put64(header: &mut Header, at: usize, value: u64) {
    header[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

/// 32 bits at an offset.
pub fn get32(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

/// 64 bits at an offset.
pub fn get64(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_fletcher_4_over_words() {
        let mut sums = Fletcher4::default();
        sums.update(&[1, 0, 0, 0, 2, 0, 0, 0]);
        assert_eq!(sums.0, [3, 4, 5, 6]);
    }

    #[test]
    fn a_begin_record_reads_as_it_was_written() {
        let begin = Begin {
            kind: 1,
            features: SA_SPILL,
            creation: 1_179_459_360,
            objset: 2,
            toguid: 7,
            fromguid: 0,
            toname: "data/zones/dbbackup@migrate".into(),
        };
        let header = begin.header();
        assert_eq!(header[8..16], [0xac, 0xcb, 0xba, 0xf5, 2, 0, 0, 0]);
        assert_eq!(header[16], 0x11);
        assert_eq!(Begin::parse(&header), Some(begin));
    }

    #[test]
    fn lengths_are_bounded_before_anything_is_read() {
        let mut header = write(1, 1, 0, BLOCK);
        assert!(Record::parse(&header).is_some());
        put64(&mut header, 32, 1 << 40);
        assert_eq!(Record::parse(&header), None);
    }
}
