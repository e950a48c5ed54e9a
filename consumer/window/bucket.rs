//! The counts of one bucket: small, for there are 168 of them and each may count every caller.
//!
//! What was counted lately stands in a table, the rest sorted and packed: the distance to the key before and the
//! count, both as varints, some three bytes a count. A count may stand in both places; they add up.

use hashbrown::HashMap;

/// A table below this is not worth packing.
const PACK_AT_LEAST: usize = 4096;

/// Counts by key.
#[derive(Default)]
pub struct Bucket {
    packed: Vec<u8>,
    packed_counts: usize,
    recent: HashMap<u32, u32>,
}

impl Bucket {
    /// Adds to a count.
    pub fn add(&mut self, key: u32, count: u32) {
        let sum = self.recent.entry(key).or_default();
        // A caller's calls in one bucket and since the last packing: below 4 billion, or said to be that many.
        *sum = sum.saturating_add(count);
    }

    /// All counts; a key may come twice.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u32)> {
        let recent = self.recent.iter().map(|(key, count)| (*key, *count));
        Packed { bytes: &self.packed, key: 0 }.chain(recent)
    }

    /// Packs the table once it has grown to a quarter of what is packed: each count is then packed anew a few times
    /// at most.
    pub fn settle(&mut self) {
        if self.recent.len() > PACK_AT_LEAST.max(self.packed_counts / 4) {
            self.pack();
        }
    }

    fn pack(&mut self) {
        let mut recent: Vec<(u32, u32)> = std::mem::take(&mut self.recent).into_iter().collect();
        recent.sort_unstable();
        let mut packed = Packing::with_capacity(self.packed.len() + recent.len() * 4);
        let mut recent = recent.into_iter().peekable();
        for (key, count) in (Packed { bytes: &self.packed, key: 0 }) {
            while let Some(before) = recent.next_if(|(other, _)| *other < key) {
                packed.push(before.0, before.1);
            }
            let more = recent.next_if(|(other, _)| *other == key).map_or(0, |(_, count)| count);
            packed.push(key, count.saturating_add(more));
        }
        recent.for_each(|(key, count)| packed.push(key, count));
        packed.bytes.shrink_to_fit();
        (self.packed, self.packed_counts) = (packed.bytes, packed.counts);
    }
}

struct Packing {
    bytes: Vec<u8>,
    counts: usize,
    last: u32,
}

impl Packing {
    fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), counts: 0, last: 0 }
    }

    fn push(&mut self, key: u32, count: u32) {
        write_varint(&mut self.bytes, key - self.last);
        write_varint(&mut self.bytes, count);
        self.last = key;
        self.counts += 1;
    }
}

fn write_varint(bytes: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

struct Packed<'a> {
    bytes: &'a [u8],
    key: u32,
}

impl Iterator for Packed<'_> {
    type Item = (u32, u32);

    fn next(&mut self) -> Option<(u32, u32)> {
        self.key += read_varint(&mut self.bytes)?;
        Some((self.key, read_varint(&mut self.bytes)?))
    }
}

fn read_varint(bytes: &mut &[u8]) -> Option<u32> {
    let (mut value, mut shift) = (0, 0);
    loop {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
        shift += 7;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn packed_or_not_the_counts_are_the_same(
            steps in proptest::collection::vec((any::<u32>(), 0u32..70_000, proptest::bool::weighted(0.1)), 0..200)
        ) {
            let (mut bucket, mut expect) = (Bucket::default(), BTreeMap::<u32, u64>::new());
            for (key, count, pack) in steps {
                // Near and far keys, and some again and again.
                let key = if key % 3 == 0 { key % 50 } else { key };
                bucket.add(key, count);
                *expect.entry(key).or_default() += u64::from(count);
                if pack {
                    bucket.pack();
                }
            }
            let mut sums = BTreeMap::<u32, u64>::new();
            bucket.iter().for_each(|(key, count)| *sums.entry(key).or_default() += u64::from(count));
            prop_assert_eq!(sums, expect);
        }
    }

    #[test]
    fn a_large_table_is_packed() {
        let mut bucket = Bucket::default();
        (0..100_000).for_each(|key| {
            bucket.add(key * 32, 1);
            bucket.settle();
        });
        assert!(bucket.recent.len() <= bucket.packed_counts / 4 + PACK_AT_LEAST);
        assert!(bucket.packed.capacity() <= bucket.packed_counts * 3, "{} bytes", bucket.packed.capacity());
    }
}
