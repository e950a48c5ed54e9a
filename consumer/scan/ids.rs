//! Event ids that were seen, by all threads: exact, 16 bytes each.

use std::hash::{BuildHasherDefault, Hasher};

use hashbrown::HashSet;
use parking_lot::Mutex;
use xxhash_rust::xxh3::xxh3_128;

/// Parts, so that threads seldom wait for each other.
const PARTS: usize = 256;

/// The ids.
pub struct Ids([Mutex<HashSet<u128, BuildHasherDefault<Same>>>; PARTS]);

impl Default for Ids {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }
}

impl Ids {
    /// Remembers an id. True if it was known.
    pub fn is_known(&self, id: &str) -> bool {
        let hash = xxh3_128(id.as_bytes());
        !self.0[(hash >> 120) as usize % PARTS].lock().insert(hash)
    }
}

/// What is a hash already is its own.
#[derive(Default)]
pub struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, hash: u128) {
        self.0 = hash as u64;
    }
}
