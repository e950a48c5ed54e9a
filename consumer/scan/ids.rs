//! Event ids that were seen, by all threads: exact, 16 bytes each.

use parking_lot::Mutex;

use crate::duplicates::{hash, number_of};

/// Parts, so that threads seldom wait for each other.
const PARTS: usize = 256;

/// The ids.
pub struct Ids([Mutex<Table>; PARTS]);

impl Ids {
    /// None yet, and room for about so many.
    pub fn with_room(ids: usize) -> Self {
        Self(std::array::from_fn(|_| Mutex::new(Table::with_room(ids / PARTS))))
    }

    /// Has the memory that [`Ids::is_known`] will look at brought near, while there is something else to do.
    #[inline]
    pub fn prefetch(&self, id: &str) {
        let hash = hash(number_of(id));
        self.0[hash as usize % PARTS].lock().prefetch(hash);
    }

    /// Remembers an id. True if it was known.
    pub fn is_known(&self, id: &str) -> bool {
        let id = number_of(id);
        let hash = hash(id);
        // The table takes its places from the upper end of the hash.
        !self.0[hash as usize % PARTS].lock().insert(id, hash)
    }
}

/// Ids side by side: a look-up is one look into memory, which is all that it costs where there are many.
#[derive(Default)]
struct Table {
    /// 0: free. A power of two in number, or none.
    places: Vec<u128>,
    len: usize,
    has_zero: bool,
}

const FIRST_PLACES: usize = 64;

impl Table {
    fn with_room(ids: usize) -> Self {
        let places = (ids * 4 / 3).next_power_of_two().max(FIRST_PLACES);
        Self { places: vec![0; places], ..Self::default() }
    }

    #[allow(unsafe_code)]
    fn prefetch(&self, hash: u64) {
        #[cfg(target_arch = "x86_64")]
        if let Some(place) = self.places.get((hash >> 32) as usize & self.places.len().wrapping_sub(1)) {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // SAFETY: a hint about memory that is there; nothing is read. Without it each id of a large history waits
            // for memory (benches/decode.rs).
            unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(place).cast()) };
        }
    }

    /// False if the id was in it.
    fn insert(&mut self, id: u128, hash: u64) -> bool {
        if id == 0 {
            return !std::mem::replace(&mut self.has_zero, true);
        }
        if self.len * 4 >= self.places.len() * 3 {
            self.grow();
        }
        let place = self.place(id, hash);
        let is_new = self.places[place] == 0;
        self.places[place] = id;
        self.len += usize::from(is_new);
        is_new
    }

    /// Where it is, or the free place where it belongs.
    fn place(&self, id: u128, hash: u64) -> usize {
        let mask = self.places.len() - 1;
        let mut place = (hash >> 32) as usize & mask;
        while self.places[place] != 0 && self.places[place] != id {
            place = (place + 1) & mask;
        }
        place
    }

    fn grow(&mut self) {
        let more = (self.places.len() * 2).max(FIRST_PLACES);
        let ids = std::mem::replace(&mut self.places, vec![0; more]);
        for id in ids.into_iter().filter(|id| *id != 0) {
            let place = self.place(id, hash(id));
            self.places[place] = id;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn as_a_set_has_it(ids in proptest::collection::vec(0u128..300, 0..600)) {
            let (mut table, mut set) = (Table::default(), HashSet::new());
            for id in ids {
                // Also ids whose hashes are alike.
                prop_assert_eq!(table.insert(id, hash(id)), set.insert(id));
                prop_assert_eq!(table.insert(id << 64, hash(id << 64)), set.insert(id << 64));
            }
        }
    }

    #[test]
    fn texts_that_are_no_uuids_are_ids_too() {
        let ids = Ids::with_room(0);
        for id in ["a", "b", "00000000-0000-0000-0000-000000000000", "293ba626-3be5-4a26-ab1b-0f4c54f49959"] {
            assert!(!ids.is_known(id) && ids.is_known(id), "{id}");
        }
    }
}
