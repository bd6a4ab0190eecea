//! Digests of an image's parts: one BLAKE3 for a person, a list of them for a receiver.
//!
//! A part's digest is the plain BLAKE3 of its bytes, what `b3sum` prints. BLAKE3 is a tree, and a
//! part's chunks of [`CHUNK`] bytes are whole subtrees of it; their values merge to the digest. So a receiver
//! reads a chunk into memory, verifies it there, and feeds these very bytes to `zfs receive`: what was
//! verified is what is received, even if the file changes meanwhile.
//!
//! Guarantees: when [`PartDigest::is_consistent`] holds and every chunk verifies, the bytes have the digest.
//! Neither says anything about who made them. Memory: 32 bytes for each chunk.

use std::fmt;
use std::str::FromStr;

use blake3::hazmat::{ChainingValue, HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};
use serde::{Deserialize, Serialize};

/// The length of a chunk in bytes; a part's last one may be shorter. A power of two, as BLAKE3's tree needs.
pub const CHUNK: usize = 1 << 20;

/// A BLAKE3 digest or chaining value; in text and JSON 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

/// Why a text is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a digest: 64 hex digits in lower case are wanted")]
pub struct DigestError;

impl Digest {
    /// The digest of bytes, what `b3sum` prints for them.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Its 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = DigestError;
    fn from_str(text: &str) -> Result<Self, DigestError> {
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(DigestError);
        }
        blake3::Hash::from_hex(text).map(|hash| Self(*hash.as_bytes())).map_err(|_| DigestError)
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;
    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}

/// What a part must be, as a whole and chunk by chunk.
///
/// A chunk's value is the chaining value of its subtree (BLAKE3 paper, section 2.1), which depends on where
/// the chunk stands. A part of a single chunk has no subtree: the chunk's value is the digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartDigest {
    /// The part's length in bytes, at least 1.
    pub bytes: u64,
    /// The BLAKE3 of the whole part.
    pub digest: Digest,
    /// The value of each chunk, in order.
    pub chunks: Vec<Digest>,
}

impl PartDigest {
    /// Whether the chunks' number fits the length and their values merge to the digest. Ask this once
    /// for a peer's word; without it verified chunks prove nothing about the digest. A part of no bytes
    /// is not consistent.
    pub fn is_consistent(&self) -> bool {
        let digest = match self.chunks.as_slice() {
            [] => return false,
            [only] => *only,
            several => merged(several),
        };
        digest == self.digest && self.chunks.len() as u64 == self.bytes.div_ceil(CHUNK as u64)
    }

    /// The length of chunk `index` in bytes, `None` when the part has no such chunk.
    pub fn chunk_len(&self, index: usize) -> Option<usize> {
        let left = self.bytes.checked_sub((index as u64).checked_mul(CHUNK as u64)?)?;
        let len = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        (len > 0 && index < self.chunks.len()).then_some(len)
    }

    /// Whether these are the bytes of chunk `index`, all of them.
    pub fn verify_chunk(&self, index: usize, bytes: &[u8]) -> bool {
        if self.chunk_len(index) != Some(bytes.len()) {
            return false;
        }
        let mut hasher = chunk_hasher(index as u64);
        hasher.update(bytes);
        let value =
            if self.chunks.len() == 1 { *hasher.finalize().as_bytes() } else { hasher.finalize_non_root() };
        self.chunks[index] == Digest(value)
    }
}

/// Makes a [`PartDigest`] from a part's bytes as they pass.
#[derive(Debug)]
pub struct PartHasher {
    bytes: u64,
    /// The values of the chunks that are complete and have a successor.
    chunks: Vec<ChainingValue>,
    /// The chunk at hand; complete only while nobody knows whether another one follows.
    chunk: blake3::Hasher,
}

impl Default for PartHasher {
    fn default() -> Self {
        Self::new()
    }
}

impl PartHasher {
    /// Waits for a part's first byte.
    pub fn new() -> Self {
        Self { bytes: 0, chunks: Vec::new(), chunk: chunk_hasher(0) }
    }

    /// Takes the next bytes of the part, in slices of any length.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let have = self.chunk.count() as usize;
            if have == CHUNK {
                self.chunks.push(self.chunk.finalize_non_root());
                self.chunk = chunk_hasher(self.chunks.len() as u64);
                continue;
            }
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK - have));
            self.chunk.update(now);
            self.bytes += now.len() as u64;
            bytes = later;
        }
    }

    /// How many bytes were taken.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Ends the part. One without any byte is no part: its digest is not consistent.
    pub fn finish(self) -> PartDigest {
        let mut chunks: Vec<Digest> = self.chunks.into_iter().map(Digest).collect();
        if chunks.is_empty() {
            let digest = Digest(*self.chunk.finalize().as_bytes());
            let chunks = if self.bytes == 0 { Vec::new() } else { vec![digest] };
            return PartDigest { bytes: self.bytes, digest, chunks };
        }
        chunks.push(Digest(self.chunk.finalize_non_root()));
        PartDigest { bytes: self.bytes, digest: merged(&chunks), chunks }
    }
}

fn chunk_hasher(index: u64) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new();
    hasher.set_input_offset(index * CHUNK as u64);
    hasher
}

/// The digest of a part of two chunks or more.
fn merged(chunks: &[Digest]) -> Digest {
    let (left, right) = halves(chunks);
    Digest(*merge_subtrees_root(&subtree(left), &subtree(right), Mode::Hash).as_bytes())
}

fn subtree(chunks: &[Digest]) -> ChainingValue {
    if let [only] = chunks {
        return only.0;
    }
    let (left, right) = halves(chunks);
    merge_subtrees_non_root(&subtree(left), &subtree(right), Mode::Hash)
}

/// BLAKE3's tree: the left subtree is the largest power of two that leaves something for the right one.
/// Takes two chunks or more.
fn halves(chunks: &[Digest]) -> (&[Digest], &[Digest]) {
    chunks.split_at(chunks.len().next_power_of_two() / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that differ everywhere, so that no two chunks are alike.
    fn bytes(len: usize) -> Vec<u8> {
        (0..len as u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
    }

    fn digest(bytes: &[u8]) -> PartDigest {
        let mut hasher = PartHasher::new();
        hasher.update(bytes);
        hasher.finish()
    }

    const LENGTHS: [usize; 13] = [
        1,
        1023,
        1025,
        CHUNK - 1,
        CHUNK,
        CHUNK + 1,
        2 * CHUNK,
        2 * CHUNK + 1,
        3 * CHUNK,
        4 * CHUNK - 1,
        5 * CHUNK,
        7 * CHUNK + 77,
        8 * CHUNK + 1,
    ];

    #[test]
    fn the_digest_is_what_b3sum_prints_and_the_chunks_merge_to_it() {
        let bytes = bytes(9 * CHUNK);
        for len in LENGTHS {
            let part = digest(&bytes[..len]);
            assert_eq!(part.digest, Digest::of(&bytes[..len]), "{len}");
            assert_eq!(part.bytes, len as u64);
            assert!(part.is_consistent(), "{len}");
            for (n, chunk) in bytes[..len].chunks(CHUNK).enumerate() {
                assert_eq!(part.chunk_len(n), Some(chunk.len()));
                assert!(part.verify_chunk(n, chunk), "chunk {n} of {len}");
            }
            assert_eq!(part.chunk_len(len.div_ceil(CHUNK)), None);
        }
    }

    #[test]
    fn the_digest_does_not_depend_on_how_the_bytes_came() {
        let bytes = bytes(2 * CHUNK + 12_345);
        let whole = digest(&bytes);
        for slice in [1000, 65_536, 100_003, CHUNK - 1, CHUNK, CHUNK + 1] {
            let mut hasher = PartHasher::new();
            bytes.chunks(slice).for_each(|piece| hasher.update(piece));
            hasher.update(&[]);
            assert_eq!(hasher.finish(), whole, "slices of {slice}");
        }
    }

    #[test]
    fn a_changed_moved_or_cut_chunk_does_not_verify() {
        let bytes = bytes(3 * CHUNK + 5);
        let part = digest(&bytes);
        let chunks: Vec<&[u8]> = bytes.chunks(CHUNK).collect();
        for at in [0, 1, 4096, CHUNK - 1] {
            let mut changed = chunks[1].to_vec();
            changed[at] ^= 0x10;
            assert!(!part.verify_chunk(1, &changed), "byte {at}");
        }
        assert!(!part.verify_chunk(0, chunks[1]));
        assert!(!part.verify_chunk(1, chunks[0]));
        assert!(!part.verify_chunk(1, &chunks[1][..CHUNK - 1]));
        assert!(!part.verify_chunk(3, &chunks[3][..4]));
        assert!(!part.verify_chunk(3, &[]));
        assert!(!part.verify_chunk(4, &[]));
        assert!(!part.verify_chunk(usize::MAX, chunks[0]));
        // The bytes of a single chunk are not those of the first of several: the tree's root is marked.
        let single = digest(chunks[0]);
        assert_ne!(single.chunks[0], part.chunks[0]);
    }

    #[test]
    fn a_list_that_does_not_make_the_digest_is_not_consistent() {
        let good = digest(&bytes(4 * CHUNK + 9));
        let broken = |change: &dyn Fn(&mut PartDigest)| {
            let mut part = good.clone();
            change(&mut part);
            assert_ne!(part, good);
            assert!(!part.is_consistent(), "{part:?}");
        };
        broken(&|part| part.chunks[2].0[31] ^= 1);
        broken(&|part| part.digest.0[0] ^= 1);
        broken(&|part| part.chunks.swap(0, 1));
        broken(&|part| part.chunks.truncate(4));
        broken(&|part| part.chunks.push(part.digest));
        broken(&|part| part.chunks.clear());
        broken(&|part| part.bytes = 4 * CHUNK as u64);
        broken(&|part| part.bytes = 5 * CHUNK as u64 + 1);
        broken(&|part| part.bytes = u64::MAX);
        broken(&|part| {
            part.bytes = 0;
            part.chunks.clear();
        });
    }

    #[test]
    fn a_part_without_bytes_is_none() {
        let part = PartHasher::new().finish();
        assert_eq!((part.bytes, part.chunks.len()), (0, 0));
        assert!(!part.is_consistent());
        assert!(!part.verify_chunk(0, &[]));
    }

    #[test]
    fn digests_are_written_and_read_as_lower_case_hex() {
        // BLAKE3's published test vector for no bytes at all.
        let text = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(Digest::of(&[]).to_string(), text);
        assert_eq!(text.parse(), Ok(Digest::of(&[])));
        for bad in ["", &text[1..], &text.to_uppercase(), &format!("{text}0"), &text.replace('a', "g")] {
            assert_eq!(bad.parse::<Digest>(), Err(DigestError), "{bad}");
        }
        let part = digest(b"abc");
        let json = serde_json::to_string(&part).unwrap();
        let value = Digest::of(b"abc");
        assert_eq!(json, format!(r#"{{"bytes":3,"digest":"{value}","chunks":["{value}"]}}"#));
        assert_eq!(serde_json::from_str::<PartDigest>(&json).unwrap(), part);
    }
}
