//! What can be wrong with a stream, where, and what follows from it.
//!
//! A [`Fault`] is what was seen; its [`StreamErrorKind`] is what it means to the image: send it again,
//! or don't try. Names from the stream are escaped and bounded by the header's 256 bytes.

use std::fmt;

use super::feature::FeatureSet;
use super::kind::RecordKind;
use crate::job::name::Guid;

/// Why a stream was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamError {
    /// Where the record with the fault begins, in bytes from the stream's start; for a stream that ends early,
    /// where it ends.
    pub offset: u64,
    /// The number of that record; BEGIN is 0.
    pub record: u64,
    /// What was seen.
    pub fault: Fault,
}

/// What a fault means to the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamErrorKind {
    /// The bytes are not what the sender made, or never were a stream: send the image again.
    Damaged,
    /// The stream ends before its end: send the image again.
    Truncated,
    /// A sound stream, as far as one can see, that this target or zmigrate does not take. It will be the
    /// same the next time.
    Unsupported,
    /// Of a format that is not public or too new, so that nothing can be said about it. Not a sign of
    /// damage.
    CannotVerify,
}

impl StreamError {
    /// What the fault means to the image.
    pub fn kind(&self) -> StreamErrorKind {
        self.fault.kind()
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, record, fault } = self;
        match self.kind() {
            StreamErrorKind::Damaged => write!(
                f,
                "ZFS stream is damaged at byte {offset}, record {record}: {fault}; the image must be sent again"
            ),
            StreamErrorKind::Truncated => write!(
                f,
                "ZFS stream is cut off after {offset} bytes, in or before record {record}: {fault}; the image must \
                 be sent again"
            ),
            StreamErrorKind::Unsupported => {
                write!(f, "ZFS stream is not supported, byte {offset}, record {record}: {fault}")
            }
            StreamErrorKind::CannotVerify => write!(
                f,
                "cannot verify ZFS stream at byte {offset}, record {record}: {fault}; that does not mean that it is \
                 damaged, but zmigrate does not pass on what it cannot read: move this dataset by hand"
            ),
        }
    }
}

impl std::error::Error for StreamError {}

/// What was seen in a stream. The texts are fragments for [`StreamError`]'s.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The first bytes are no BEGIN in either byte order.
    #[error("it does not begin with a BEGIN record and its magic number")]
    NoMagic,
    /// The header type is neither of the two.
    #[error("its header type is {0}, which is neither a stream (1) nor a package of streams (2)")]
    HeaderType(u64),
    /// A compound stream.
    #[error(
        "it is a package of streams (zfs send -R, -p or -I); zmigrate takes one stream for each dataset, made \
         by zfs send or zfs send -i"
    )]
    Package,
    /// Feature bits without a public meaning.
    #[error("it has features of unknown meaning ({0})")]
    UnknownFeatures(FeatureSet),
    /// Features that the target's ZFS does not take.
    #[error(
        "it needs features that the target's ZFS does not have ({0}); send it without them or update the target"
    )]
    Features(FeatureSet),
    /// Neither a filesystem nor a volume.
    #[error("its object set is of type {0}, neither a filesystem (2) nor a volume (3)")]
    ObjectSet(u32),
    /// `toname` is not the name of a snapshot; escaped.
    #[error("its name '{0}' is not that of a snapshot")]
    Name(String),
    /// `toguid` is zero, which is no snapshot's.
    #[error("its snapshot's guid is zero")]
    NoGuid,
    /// BEGIN has a payload that old receivers would read as records.
    #[error("its BEGIN record has a payload, which only resumed, redacted and raw streams have")]
    BeginPayload,
    /// A record type with no public meaning: its length is unknown, so nothing behind it can be read.
    #[error("record type {0} is unknown")]
    UnknownRecord(u32),
    /// A second BEGIN.
    #[error("a BEGIN record stands inside the stream")]
    NestedBegin,
    /// A record or field that the stream's own features rule out.
    #[error("{0} record needs feature {1}, which the stream does not declare")]
    Undeclared(RecordKind, FeatureSet),
    /// A length out of its bounds.
    #[error("{record} record has a {field} of {value} bytes, allowed are {min} to {max}")]
    Length {
        /// The record.
        record: RecordKind,
        /// The field, in words.
        field: &'static str,
        /// What it says.
        value: u64,
        /// The least that is legal.
        min: u64,
        /// The most that is legal.
        max: u64,
    },
    /// A payload that is no multiple of four bytes.
    #[error("{0} record has a payload of {1} bytes, which is no multiple of 4")]
    Unaligned(RecordKind, u64),
    /// A record of another snapshot.
    #[error("{record} record is of the snapshot with guid {found}, the stream of guid {wanted}")]
    Guid {
        /// The record.
        record: RecordKind,
        /// Its `toguid`.
        found: Guid,
        /// The stream's.
        wanted: Guid,
    },
    /// A record's own checksum differs.
    #[error("the record's checksum differs")]
    RecordChecksum,
    /// END's checksum differs.
    #[error("the stream's checksum differs")]
    StreamChecksum,
    /// END has bytes where every sender leaves zeros.
    #[error("the END record has data where zeros belong")]
    EndPadding,
    /// Bytes behind END.
    #[error("data follows behind the END record")]
    Trailing,
    /// No END before the input's end.
    #[error("there is no END record")]
    Cut,
}

impl Fault {
    /// What the fault means to the image.
    pub fn kind(&self) -> StreamErrorKind {
        match self {
            Self::Package | Self::Features(_) | Self::BeginPayload => StreamErrorKind::Unsupported,
            Self::UnknownFeatures(_) | Self::UnknownRecord(_) | Self::ObjectSet(_) => {
                StreamErrorKind::CannotVerify
            }
            Self::Cut => StreamErrorKind::Truncated,
            Self::NoMagic
            | Self::HeaderType(_)
            | Self::Name(_)
            | Self::NoGuid
            | Self::NestedBegin
            | Self::Undeclared(..)
            | Self::Length { .. }
            | Self::Unaligned(..)
            | Self::Guid { .. }
            | Self::RecordChecksum
            | Self::StreamChecksum
            | Self::EndPadding
            | Self::Trailing => StreamErrorKind::Damaged,
        }
    }
}
