//! Reading ZFS streams as they pass: nothing that a peer sends reaches `zfs receive` unread.
//!
//! Owns the format of a `zfs send` stream (records, Fletcher-4, feature flags) and the digests of the
//! parts that an image travels in. Two guarantees follow. [`Checker`] sees every byte before it is
//! forwarded and bounds every length in it, because a stream's lengths are a peer's word and receivers
//! have died of one. [`PartDigest`] lets a receiver verify a part piece by piece in memory, so that a byte flipped
//! on the way is found before it is fed to anything.
//!
//! Never holds more than one record's header: memory does not depend on the image's size or on any
//! length in it. Never touches a file, process or clock. On failure the checker says where and why,
//! and takes no further byte.

mod check;
mod digest;
mod error;
mod feature;
mod fletcher;
mod kind;
mod record;

pub use check::{Accepts, Checker, Summary};
pub use digest::{CHUNK, Digest, DigestError, PartDigest, PartHasher};
pub use error::{Fault, StreamError, StreamErrorKind};
pub use feature::FeatureSet;
pub use fletcher::{Fletcher4, Sums};
pub use kind::{ByteOrder, RecordKind};
pub use record::{Begin, HEADER_LEN, ObjectSet};

#[cfg(test)]
mod tests;
