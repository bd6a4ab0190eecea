//! Fletcher-4, the checksum of ZFS streams: four wrapping 64-bit sums over the bytes as 32-bit words in
//! the stream's own byte order.
//!
//! Owns only the arithmetic; which bytes count is the [checker](super::check)'s matter. Guarantees the
//! same sums for every way of slicing the input. Never allocates, can't fail.

use super::kind::ByteOrder;

/// The four sums, as END and record checksums carry them.
pub type Sums = [u64; 4];

/// A running Fletcher-4.
#[derive(Debug, Clone)]
pub struct Fletcher4 {
    order: ByteOrder,
    sums: Sums,
    /// The first bytes of a word that the last slice cut through.
    rest: [u8; 4],
    rest_len: usize,
}

impl Fletcher4 {
    /// Starts with all sums zero.
    pub fn new(order: ByteOrder) -> Self {
        Self { order, sums: [0; 4], rest: [0; 4], rest_len: 0 }
    }

    /// Adds bytes, in slices of any length.
    pub fn update(&mut self, mut bytes: &[u8]) {
        if self.rest_len > 0 {
            let wanted = bytes.len().min(4 - self.rest_len);
            let (head, tail) = bytes.split_at(wanted);
            self.rest[self.rest_len..self.rest_len + wanted].copy_from_slice(head);
            self.rest_len += wanted;
            bytes = tail;
            if self.rest_len < 4 {
                return;
            }
            self.rest_len = 0;
            let word = self.rest;
            self.add_words(&word);
        }
        let (words, cut) = bytes.split_at(bytes.len() & !3);
        self.add_words(words);
        self.rest[..cut.len()].copy_from_slice(cut);
        self.rest_len = cut.len();
    }

    /// The sums over all whole words so far. A stream's records are multiples of four bytes, so at the
    /// end of a record, and 280 bytes into its header, no bytes wait for the rest of their word.
    pub fn sums(&self) -> Sums {
        self.sums
    }

    fn add_words(&mut self, words: &[u8]) {
        self.sums = match self.order {
            ByteOrder::Little => {
                add(self.sums, words, u64::from_le_bytes, |two| (two as u32, (two >> 32) as u32))
            }
            ByteOrder::Big => {
                add(self.sums, words, u64::from_be_bytes, |two| ((two >> 32) as u32, two as u32))
            }
        };
    }
}

/// Adds whole words, two to a load: the chain of four additions, not the memory, is what takes time.
#[inline(always)]
fn add(
    [mut a, mut b, mut c, mut d]: Sums,
    words: &[u8],
    load: impl Fn([u8; 8]) -> u64,
    split: impl Fn(u64) -> (u32, u32),
) -> Sums {
    let mut one = |word: u32| {
        a = a.wrapping_add(u64::from(word));
        b = b.wrapping_add(a);
        c = c.wrapping_add(b);
        d = d.wrapping_add(c);
    };
    let (blocks, tail) = words.as_chunks::<32>();
    for block in blocks {
        let (pairs, _) = block.as_chunks::<8>();
        for pair in pairs {
            let (first, second) = split(load(*pair));
            one(first);
            one(second);
        }
    }
    let (singles, _) = tail.as_chunks::<4>();
    for single in singles {
        // The word stands where it is first in either order; the other half is not looked at.
        let mut pair = [0; 8];
        pair[..4].copy_from_slice(single);
        one(split(load(pair)).0);
    }
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, word by word.
    fn plain(bytes: &[u8], order: ByteOrder) -> Sums {
        let mut sums = [0u64; 4];
        for word in bytes.chunks_exact(4) {
            let word: [u8; 4] = word.try_into().unwrap();
            let word = match order {
                ByteOrder::Little => u32::from_le_bytes(word),
                ByteOrder::Big => u32::from_be_bytes(word),
            };
            sums[0] = sums[0].wrapping_add(u64::from(word));
            for n in 1..4 {
                sums[n] = sums[n].wrapping_add(sums[n - 1]);
            }
        }
        sums
    }

    #[test]
    fn the_unrolled_loop_is_the_definition_in_both_orders_and_for_every_slicing() {
        let bytes: Vec<u8> = (0..4 * 211u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for order in [ByteOrder::Little, ByteOrder::Big] {
            for len in (0..bytes.len()).step_by(4) {
                let mut sum = Fletcher4::new(order);
                sum.update(&bytes[..len]);
                assert_eq!(sum.sums(), plain(&bytes[..len], order), "{len} bytes, {order:?}");
            }
            for slice in 1..70 {
                let mut sum = Fletcher4::new(order);
                bytes.chunks(slice).for_each(|piece| sum.update(piece));
                assert_eq!(sum.sums(), plain(&bytes, order), "slices of {slice}, {order:?}");
            }
        }
    }

    #[test]
    fn the_sums_wrap_and_do_not_panic() {
        let mut sum = Fletcher4::new(ByteOrder::Little);
        (0..64).for_each(|_| sum.update(&[0xff; 65536]));
        assert_eq!(sum.sums(), plain(&vec![0xff; 64 * 65536], ByteOrder::Little));
    }

    #[test]
    fn known_sums_are_met() {
        let mut sum = Fletcher4::new(ByteOrder::Big);
        sum.update(&[0, 0, 0, 1, 0, 0, 0, 2]);
        assert_eq!(sum.sums(), [3, 4, 5, 6]);
    }
}
