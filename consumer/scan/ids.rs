//! Event ids that were seen, by all threads: exact, 16 bytes each.

use hashbrown::HashTable;
use parking_lot::Mutex;

use crate::duplicates::{hash, number_of};

/// Parts, so that threads seldom wait for each other.
const PARTS: usize = 256;

/// The ids.
pub struct Ids([Mutex<HashTable<u128>>; PARTS]);

impl Default for Ids {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }
}

impl Ids {
    /// Remembers an id. True if it was known.
    pub fn is_known(&self, id: &str) -> bool {
        let id = number_of(id);
        // The table takes its places from the ends of the hash, the part is from between them.
        let mut part = self.0[(hash(id) >> 32) as usize % PARTS].lock();
        let entry = part.entry(hash(id), |known| *known == id, |known| hash(*known));
        match entry {
            hashbrown::hash_table::Entry::Occupied(_) => true,
            hashbrown::hash_table::Entry::Vacant(slot) => {
                slot.insert(id);
                false
            }
        }
    }
}
