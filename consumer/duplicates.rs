//! The memory of event ids: an event counts once within a shard's lineage.
//!
//! Ids are kept for a time of arrival and up to a number, whichever ends first; what the number cuts off early is
//! counted. An id is a UUID, kept as its 16 bytes; any other text is kept as a 128-bit hash of it.

use std::collections::VecDeque;

use hashbrown::HashTable;
use serde::{Deserialize, Serialize};

/// How long and how many ids are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DuplicateLimits {
    /// Seconds of arrival time (`limits.duplicates.for`).
    pub for_s: i64,
    /// Ids (`limits.duplicates.ids`).
    pub ids: usize,
}

/// The ids of a stretch, as they are stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdsPiece {
    /// Arrival second and how many ids arrived in it, in order.
    pub arrivals: Vec<(i64, u32)>,
    /// The ids, 16 bytes each.
    #[serde(with = "crate::state::bytes")]
    pub ids: Vec<u8>,
}

/// The ids that were seen, the oldest first.
#[derive(Default)]
pub struct Duplicates {
    ids: VecDeque<u128>,
    /// Arrival second and how many of the ids arrived in it.
    arrivals: VecDeque<(i64, u32)>,
    /// Positions in `ids`, counted from the first id that ever was.
    table: HashTable<u32>,
    first: u32,
    uncommitted: usize,
    evicted: u64,
}

impl Duplicates {
    /// Remembers the id of an event that arrived at `arrival_s`; true if it was known.
    pub fn is_duplicate(&mut self, id: &str, arrival_s: i64, limits: DuplicateLimits) -> bool {
        let known = self.remember(number_of(id), arrival_s, limits);
        self.uncommitted += usize::from(!known);
        known
    }

    fn remember(&mut self, id: u128, arrival_s: i64, limits: DuplicateLimits) -> bool {
        self.forget_before(arrival_s.saturating_sub(limits.for_s));
        let (ids, first) = (&self.ids, self.first);
        let at = |&position: &u32| ids[position.wrapping_sub(first) as usize];
        let slot =
            match self.table.entry(hash(id), |position| at(position) == id, |position| hash(at(position))) {
                hashbrown::hash_table::Entry::Occupied(_) => return true,
                hashbrown::hash_table::Entry::Vacant(slot) => slot,
            };
        slot.insert(first.wrapping_add(ids.len() as u32));
        self.ids.push_back(id);
        match self.arrivals.back_mut() {
            // Arrival times may step back a little; the order of arrival is what counts.
            Some((second, count)) if *second >= arrival_s => *count += 1,
            _ => self.arrivals.push_back((arrival_s, 1)),
        }
        while self.ids.len() > limits.ids.max(1) {
            self.forget_oldest();
            self.evicted += 1;
        }
        false
    }

    fn forget_before(&mut self, arrival_s: i64) {
        while self.arrivals.front().is_some_and(|(second, _)| *second < arrival_s) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(id) = self.ids.pop_front() else { return };
        let first = self.first;
        if let Ok(slot) = self.table.find_entry(hash(id), |&position| position == first) {
            slot.remove();
        }
        self.first = first.wrapping_add(1);
        self.uncommitted = self.uncommitted.min(self.ids.len());
        if let Some((_, count)) = self.arrivals.front_mut() {
            *count -= 1;
            if *count == 0 {
                self.arrivals.pop_front();
            }
        }
    }

    /// Ids that were forgotten early since this was last asked, because there were too many.
    pub fn take_evicted(&mut self) -> u64 {
        std::mem::take(&mut self.evicted)
    }

    /// How many ids are remembered.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// No id is remembered.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// How many ids the next commit makes durable.
    pub fn uncommitted(&self) -> usize {
        self.uncommitted
    }

    /// The ids since the last commit, which this one makes durable.
    pub fn take_uncommitted(&mut self) -> IdsPiece {
        let count = std::mem::take(&mut self.uncommitted);
        self.piece(self.ids.len() - count..self.ids.len())
    }

    /// All ids as pieces of at most `ids_per_piece`.
    pub fn pieces(&self, ids_per_piece: usize) -> impl Iterator<Item = IdsPiece> {
        let starts = (0..self.ids.len()).step_by(ids_per_piece);
        starts.map(move |start| self.piece(start..(start + ids_per_piece).min(self.ids.len())))
    }

    /// Adds ids that were stored. They count as committed.
    pub fn load(&mut self, piece: &IdsPiece, limits: DuplicateLimits) {
        let mut ids = piece.ids.as_chunks::<16>().0.iter().map(|bytes| u128::from_le_bytes(*bytes));
        for &(second, count) in &piece.arrivals {
            for id in ids.by_ref().take(count as usize) {
                self.remember(id, second, limits);
            }
        }
        self.evicted = 0;
    }

    /// The memories of several parents as one, in the order of arrival.
    pub fn merge(parents: &[Self], limits: DuplicateLimits) -> Self {
        let mut all: Vec<(i64, u128)> = Vec::new();
        for parent in parents {
            let seconds =
                parent.arrivals.iter().flat_map(|(second, count)| (0..*count).map(move |_| *second));
            all.extend(seconds.zip(parent.ids.iter().copied()));
        }
        all.sort_by_key(|(second, _)| *second);
        let mut merged = Self::default();
        for (second, id) in all {
            merged.remember(id, second, limits);
        }
        merged.evicted = 0;
        merged
    }

    fn piece(&self, range: std::ops::Range<usize>) -> IdsPiece {
        let mut piece = IdsPiece { arrivals: Vec::new(), ids: Vec::with_capacity(range.len() * 16) };
        let mut at = self.ids.len();
        for &(second, count) in self.arrivals.iter().rev() {
            let end = at.min(range.end);
            at -= count as usize;
            let start = at.max(range.start);
            if start < end {
                piece.arrivals.push((second, (end - start) as u32));
            }
            if at <= range.start {
                break;
            }
        }
        piece.arrivals.reverse();
        self.ids.range(range).for_each(|id| piece.ids.extend_from_slice(&id.to_le_bytes()));
        piece
    }
}

/// The 16 bytes of a lower-case UUID, else a hash of the text. The two cannot be told apart, and need not be: a
/// collision would take some 2^64 ids.
pub fn number_of(id: &str) -> u128 {
    parse_uuid(id.as_bytes()).unwrap_or_else(|| xxhash_rust::xxh3::xxh3_128(id.as_bytes()))
}

/// Of a UUID in small letters, its digits eight at a time.
fn parse_uuid(text: &[u8]) -> Option<u128> {
    let text: &[u8; 36] = text.try_into().ok()?;
    if [text[8], text[13], text[18], text[23]] != *b"----" {
        return None;
    }
    let eight = |from: usize| -> [u8; 8] { std::array::from_fn(|at| text[from + at]) };
    let halves = |first: usize, second: usize| -> [u8; 8] {
        std::array::from_fn(|at| text[if at < 4 { first + at } else { second + at - 4 }])
    };
    let words = [eight(0), halves(9, 14), halves(19, 24), eight(28)];
    let mut value = 0u128;
    for word in words {
        value = value << 32 | u128::from(hexadecimal(word)?);
    }
    Some(value)
}

/// The number that eight digits in small letters write.
fn hexadecimal(digits: [u8; 8]) -> Option<u32> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let text = u64::from_be_bytes(digits);
    // Bit 6 tells a letter from a digit.
    let mut values = (text & (0x0f * ONES)) + (text >> 6 & ONES) * 9;
    let is_letter = (values + 6 * ONES) >> 4 & ONES;
    let written = values + u64::from(b'0') * ONES + is_letter * u64::from(b'a' - b'9' - 1);
    if values & (0xf0 * ONES) != 0 || written != text {
        return None;
    }
    values = (values | values >> 4) & 0x00ff_00ff_00ff_00ff;
    values = (values | values >> 8) & 0x0000_ffff_0000_ffff;
    Some((values | values >> 16) as u32)
}

/// Ids are random already; a multiplication spreads those that are not.
pub fn hash(id: u128) -> u64 {
    let folded = (id as u64) ^ ((id >> 64) as u64);
    folded.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(26)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: DuplicateLimits = DuplicateLimits { for_s: 100, ids: 5 };

    #[test]
    fn uuids_and_other_texts_differ() {
        let ids = [
            "293ba626-3be5-4a26-ab1b-0f4c54f49959",
            "293ba626-3be5-4a26-ab1b-0f4c54f4995a",
            "293BA626-3be5-4a26-ab1b-0f4c54f49959",
            "293ba6263be54a26ab1b0f4c54f49959",
            "293ba626-3be5-4a26-ab1b-0f4c54f4995-",
            "-",
        ];
        let numbers: std::collections::HashSet<u128> = ids.iter().map(|id| number_of(id)).collect();
        assert_eq!(numbers.len(), ids.len());
        assert_eq!(number_of(ids[0]), 0x293b_a626_3be5_4a26_ab1b_0f4c_54f4_9959);
    }

    #[test]
    fn every_digit_of_a_uuid_is_told_from_every_other_byte() {
        let id = *b"293ba626-3be5-4a26-ab1b-0f4c54f49959";
        for at in (0..36).filter(|at| !matches!(at, 8 | 13 | 18 | 23)) {
            for byte in 0..=255 {
                let mut text = id;
                text[at] = byte;
                let plainly = std::str::from_utf8(&text)
                    .ok()
                    .filter(|_| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase());
                let plainly = plainly.and_then(|text| u128::from_str_radix(&text.replace('-', ""), 16).ok());
                assert_eq!(parse_uuid(&text), plainly, "{}", text.escape_ascii());
            }
        }
    }

    #[test]
    fn too_many_ids_push_out_the_oldest_and_say_so() {
        let mut duplicates = Duplicates::default();
        for id in ["a", "b", "c", "d", "e", "f"] {
            assert!(!duplicates.is_duplicate(id, 0, LIMITS));
        }
        assert_eq!(duplicates.take_evicted(), 1);
        assert!(duplicates.is_duplicate("b", 0, LIMITS) && !duplicates.is_duplicate("a", 0, LIMITS));
    }

    #[test]
    fn an_id_is_forgotten_after_its_time() {
        let mut duplicates = Duplicates::default();
        duplicates.is_duplicate("a", 0, LIMITS);
        assert!(duplicates.is_duplicate("a", 100, LIMITS));
        assert!(!duplicates.is_duplicate("a", 101, LIMITS));
        assert_eq!(duplicates.take_evicted(), 0);
    }

    proptest! {
        /// Against a plain list: the same verdicts, also after everything was stored and loaded.
        #[test]
        fn as_a_plain_list(steps in proptest::collection::vec((0u8..12, 0i64..40, proptest::bool::weighted(0.1)), 0..80)) {
            let (mut duplicates, mut list, mut stored) = (Duplicates::default(), Vec::<(i64, String)>::new(), Vec::new());
            let mut now = 0;
            for (id, wait, restart) in steps {
                now += wait;
                let id = id.to_string();
                list.retain(|(second, _)| *second >= now - LIMITS.for_s);
                let known = list.iter().any(|(_, other)| *other == id);
                prop_assert_eq!(duplicates.is_duplicate(&id, now, LIMITS), known);
                if !known {
                    list.push((now, id));
                    let surplus = list.len().saturating_sub(LIMITS.ids);
                    list.drain(..surplus);
                }
                stored.push(duplicates.take_uncommitted());
                if restart {
                    duplicates = Duplicates::default();
                    stored.iter().for_each(|piece| duplicates.load(piece, LIMITS));
                    stored = duplicates.pieces(2).collect();
                }
            }
        }
    }
}
