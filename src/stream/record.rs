//! One record's 312-byte header: decoded, and its lengths bounded.
//!
//! Offsets are those of `dmu_replay_record_t` (OpenZFS `include/sys/zfs_ioctl.h`; illumos
//! `usr/src/uts/common/fs/zfs/sys/zfs_ioctl.h`), the bounds those of OpenZFS's receiver
//! (`module/zfs/dmu_recv.c`, `recv_check_drr_*`), which older receivers lack: one WRITE of 2^40 bytes ends
//! zfs-fuse, and 4 MiB overruns its buffer unnoticed (observed).
//!
//! Guarantees that a decoded header's payload is at most 16 MiB and a multiple of four bytes, and that receivers
//! of any age agree with us on its length: a field that only newer ones read must be covered by a
//! declared feature. Otherwise a stream could hide records from one reader in another's payload.
//! Fields of no concern to that are not decoded.

use super::error::Fault;
use super::feature::FeatureSet;
use super::fletcher::Sums;
use super::kind::{ByteOrder, RecordKind};
use crate::job::name::Guid;

/// The length of every record's header, in bytes.
pub const HEADER_LEN: usize = 312;
/// Where the record's own checksum stands, in all records but BEGIN.
pub(super) const CHECKSUM_AT: usize = 280;

/// DMU_BACKUP_MAGIC.
const MAGIC: u64 = 0x2_F5BA_CBAC;
/// SPA_MINBLOCKSIZE.
const MIN_BLOCK: u64 = 512;
/// SPA_OLD_MAXBLOCKSIZE: the largest block without LARGE_BLOCKS.
const OLD_MAX_BLOCK: u64 = 128 << 10;
/// SPA_MAXBLOCKSIZE.
const MAX_BLOCK: u64 = 16 << 20;
/// DNODE_MAX_SIZE: no bonus buffer is longer.
const MAX_BONUS: u64 = 16 << 10;
/// BPE_PAYLOAD_SIZE: what fits into a block pointer.
const MAX_EMBEDDED: u64 = 112;
/// Raw keys, a resume point and redaction guids take some KiB. Our bound: OpenZFS's receiver takes
/// 256 MiB, and allocates it at once.
const MAX_BEGIN_PAYLOAD: u64 = 1 << 20;

/// What a stream's dataset is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectSet {
    /// A filesystem.
    Filesystem,
    /// A volume.
    Volume,
}

/// A stream's first record: what it is a stream of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begin {
    /// The sender's byte order.
    pub order: ByteOrder,
    /// The features that a receiver must have.
    pub features: FeatureSet,
    /// When the snapshot was made, in seconds since 1970, as its property `creation`.
    pub creation_time: u64,
    /// Whether it is of a filesystem or a volume.
    pub object_set: ObjectSet,
    /// DRR_FLAG_*: 1 clone, 2 case-insensitive, 4 with free records, 8 spill blocks.
    pub flags: u32,
    /// The snapshot's guid. A receive is complete when the received snapshot has it.
    pub toguid: Guid,
    /// The guid of the snapshot that the target must have, `None` in a full stream. With the clone
    /// flag it is the clone's origin.
    pub fromguid: Option<Guid>,
    /// `dataset@snapshot` as the sender names it: printable, with one `@`, at most 255 bytes. A peer's
    /// word, not a name to act on.
    pub toname: String,
}

/// A header behind BEGIN's.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub kind: RecordKind,
    /// Zero from senders before 2009-11.
    pub toguid: Guid,
    /// Bytes that follow the header; bounded.
    pub payload: u64,
}

/// A header's bytes with the order to read them in.
pub(super) struct Header<'a> {
    pub bytes: &'a [u8; HEADER_LEN],
    pub order: ByteOrder,
}

impl Header<'_> {
    fn u32_at(&self, at: usize) -> u32 {
        let bytes = std::array::from_fn(|n| self.bytes[at + n]);
        match self.order {
            ByteOrder::Little => u32::from_le_bytes(bytes),
            ByteOrder::Big => u32::from_be_bytes(bytes),
        }
    }

    fn u64_at(&self, at: usize) -> u64 {
        let bytes = std::array::from_fn(|n| self.bytes[at + n]);
        match self.order {
            ByteOrder::Little => u64::from_le_bytes(bytes),
            ByteOrder::Big => u64::from_be_bytes(bytes),
        }
    }

    fn sums_at(&self, at: usize) -> Sums {
        std::array::from_fn(|n| self.u64_at(at + 8 * n))
    }

    /// The record's own checksum; all zero where the sender makes none.
    pub fn record_checksum(&self) -> Sums {
        self.sums_at(CHECKSUM_AT)
    }

    /// END's checksum: the sums over all bytes before END.
    pub fn end_checksum(&self) -> Sums {
        self.sums_at(8)
    }

    /// Whether END's fields that no checksum covers are zero, as every sender whose code is public
    /// leaves them. toguid (40 to 48) and the record checksum are looked at elsewhere.
    pub fn end_padding_is_zero(&self) -> bool {
        self.bytes[4..8].iter().chain(&self.bytes[48..CHECKSUM_AT]).all(|byte| *byte == 0)
    }
}

impl Begin {
    /// Decodes a stream's first header; with it the length of BEGIN's payload in bytes, bounded.
    ///
    /// # Errors
    /// When it begins no stream that can be taken, the target taking `accepted`.
    pub(super) fn decode(bytes: &[u8; HEADER_LEN], accepted: FeatureSet) -> Result<(Self, u64), Fault> {
        let order = [ByteOrder::Little, ByteOrder::Big]
            .into_iter()
            .find(|order| Header { bytes, order: *order }.u64_at(8) == MAGIC)
            .ok_or(Fault::NoMagic)?;
        let header = Header { bytes, order };
        if header.u32_at(0) != 0 {
            return Err(Fault::NoMagic);
        }
        let versioninfo = header.u64_at(16);
        match versioninfo & 3 {
            1 => {}
            2 => return Err(Fault::Package),
            other => return Err(Fault::HeaderType(other)),
        }
        let features = FeatureSet::from_versioninfo(versioninfo);
        if !features.unknown().is_empty() {
            return Err(Fault::UnknownFeatures(features.unknown()));
        }
        if !accepted.contains(features) {
            return Err(Fault::Features(features.without(accepted)));
        }
        let object_set = match header.u32_at(32) {
            2 => ObjectSet::Filesystem,
            3 => ObjectSet::Volume,
            other => return Err(Fault::ObjectSet(other)),
        };
        let toguid = Guid(header.u64_at(40));
        if toguid == Guid(0) {
            return Err(Fault::NoGuid);
        }
        let payload = u64::from(header.u32_at(4));
        let reasons = FeatureSet::RESUMING.with(FeatureSet::REDACTED).with(FeatureSet::RAW);
        if payload != 0 && !features.intersects(reasons) {
            return Err(Fault::BeginPayload);
        }
        let payload =
            aligned(RecordKind::Begin, within(RecordKind::Begin, "payload", payload, 0, MAX_BEGIN_PAYLOAD)?)?;
        let begin = Self {
            order,
            features,
            creation_time: header.u64_at(24),
            object_set,
            flags: header.u32_at(36),
            toguid,
            fromguid: Some(Guid(header.u64_at(48))).filter(|guid| *guid != Guid(0)),
            toname: snapshot_name(&bytes[56..])?,
        };
        Ok((begin, payload))
    }
}

/// The text of BEGIN's toname field, without its terminating NUL.
fn snapshot_name(field: &[u8]) -> Result<String, Fault> {
    let end = field.iter().position(|byte| *byte == 0);
    let text = String::from_utf8_lossy(&field[..end.unwrap_or(field.len())]);
    let sound = end.is_some()
        && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
        && text.split_once('@').is_some_and(|(dataset, snapshot)| {
            !dataset.is_empty() && !snapshot.is_empty() && !snapshot.contains('@')
        });
    if sound { Ok(text.into_owned()) } else { Err(Fault::Name(text.escape_debug().to_string())) }
}

impl Record {
    /// Decodes a header behind BEGIN's, in a stream that declares `features`.
    ///
    /// # Errors
    /// When the type is unknown, is not among the features, or a length is out of bounds.
    pub(super) fn decode(header: &Header<'_>, features: FeatureSet) -> Result<Self, Fault> {
        let record = |kind, guid_at, payload| {
            Ok(Self { kind, toguid: Guid(header.u64_at(guid_at)), payload: aligned(kind, payload)? })
        };
        let declared = |kind, feature| {
            if features.contains(feature) { Ok(()) } else { Err(Fault::Undeclared(kind, feature)) }
        };
        let max_block = if features.contains(FeatureSet::LARGE_BLOCKS) { MAX_BLOCK } else { OLD_MAX_BLOCK };
        match header.u32_at(0) {
            0 => Err(Fault::NestedBegin),
            1 => record(RecordKind::Object, 40, object_payload(header, features, max_block)?),
            2 => record(RecordKind::FreeObjects, 24, 0),
            3 => record(RecordKind::Write, 40, write_payload(header, features, max_block)?),
            4 => record(RecordKind::Free, 32, 0),
            5 => record(RecordKind::End, 40, 0),
            6 => {
                declared(RecordKind::WriteByref, FeatureSet::DEDUP)?;
                record(RecordKind::WriteByref, 32, 0)
            }
            7 => {
                declared(RecordKind::Spill, FeatureSet::SA_SPILL)?;
                record(RecordKind::Spill, 24, spill_payload(header, features, max_block)?)
            }
            8 => {
                declared(RecordKind::WriteEmbedded, FeatureSet::EMBED_DATA)?;
                record(RecordKind::WriteEmbedded, 32, embedded_payload(header, max_block)?)
            }
            9 => {
                declared(RecordKind::ObjectRange, FeatureSet::RAW)?;
                record(RecordKind::ObjectRange, 24, 0)
            }
            10 => {
                declared(RecordKind::Redact, FeatureSet::REDACTED)?;
                record(RecordKind::Redact, 32, 0)
            }
            other => Err(Fault::UnknownRecord(other)),
        }
    }
}

fn object_payload(header: &Header<'_>, features: FeatureSet, max_block: u64) -> Result<u64, Fault> {
    let kind = RecordKind::Object;
    within(kind, "block size", u64::from(header.u32_at(24)), 0, max_block)?;
    let bonus = within(kind, "bonus buffer", u64::from(header.u32_at(28)), 0, MAX_BONUS)?;
    let raw = within(kind, "raw bonus buffer", u64::from(header.u32_at(36)), 0, MAX_BONUS)?;
    match raw {
        0 => Ok(bonus.next_multiple_of(8)),
        raw if features.contains(FeatureSet::RAW) => Ok(raw),
        _ => Err(Fault::Undeclared(kind, FeatureSet::RAW)),
    }
}

fn write_payload(header: &Header<'_>, features: FeatureSet, max_block: u64) -> Result<u64, Fault> {
    let kind = RecordKind::Write;
    let logical = within(kind, "block", header.u64_at(32), MIN_BLOCK, max_block)?;
    if header.bytes[50] == 0 {
        return Ok(logical);
    }
    if !features.intersects(FeatureSet::COMPRESSED.with(FeatureSet::RAW)) {
        return Err(Fault::Undeclared(kind, FeatureSet::COMPRESSED));
    }
    within(kind, "compressed block", header.u64_at(96), 1, logical)
}

fn spill_payload(header: &Header<'_>, features: FeatureSet, max_block: u64) -> Result<u64, Fault> {
    let kind = RecordKind::Spill;
    let logical = within(kind, "block", header.u64_at(16), MIN_BLOCK, max_block)?;
    match header.u64_at(40) {
        0 => Ok(logical),
        raw if features.contains(FeatureSet::RAW) => within(kind, "compressed block", raw, 1, logical),
        _ => Err(Fault::Undeclared(kind, FeatureSet::RAW)),
    }
}

fn embedded_payload(header: &Header<'_>, max_block: u64) -> Result<u64, Fault> {
    let kind = RecordKind::WriteEmbedded;
    let length = within(kind, "block", header.u64_at(24), 0, max_block)?;
    let logical = within(kind, "logical size", u64::from(header.u32_at(48)), 0, length)?;
    let most = logical.min(MAX_EMBEDDED);
    Ok(within(kind, "payload", u64::from(header.u32_at(52)), 0, most)?.next_multiple_of(8))
}

fn within(record: RecordKind, field: &'static str, value: u64, min: u64, max: u64) -> Result<u64, Fault> {
    if (min..=max).contains(&value) {
        Ok(value)
    } else {
        Err(Fault::Length { record, field, value, min, max })
    }
}

fn aligned(record: RecordKind, payload: u64) -> Result<u64, Fault> {
    if payload.is_multiple_of(4) { Ok(payload) } else { Err(Fault::Unaligned(record, payload)) }
}
