//! Event ids that were seen, by all threads: exact.
//!
//! Each id takes 16 bytes of a table in memory. Once all tables take what they may, full ones are written to disk
//! (`spill`), and what stays of their ids in memory is a filter of 12 bits each.

mod spill;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use memmap2::MmapMut;
use parking_lot::Mutex;

use crate::duplicates::hash;
use crate::prefetch;
use spill::Spilled;

/// The ids.
pub struct Ids {
    /// Parts by the hash of the id, so that threads seldom wait for each other.
    parts: Box<[Mutex<Part>]>,
    /// Where the tables of the parts are, for a hint that need not be right.
    tables: Box<[Whereabouts]>,
    /// What tables may take, in bytes, and what they take.
    memory: u64,
    taken: AtomicU64,
    folder: PathBuf,
    failure: Mutex<Option<io::Error>>,
}

#[derive(Default)]
struct Part {
    table: Table,
    spilled: Spilled,
}

/// Where a table is, and its length.
#[derive(Default)]
struct Whereabouts {
    start: AtomicPtr<u8>,
    places: AtomicUsize,
}

/// Parts for each thread: few, for large tables take large pages.
const PARTS_PER_THREAD: usize = 2;
/// Places of a large page.
const PAGE_PLACES: usize = (2 << 20) / PLACE_BYTES;
/// Ids for which there is room from the start.
const MOST_ROOM: usize = 64 << 20;

impl Ids {
    /// None yet, and room for about so many, for so many threads. Tables take up to `memory` bytes; beyond that ids are
    /// kept in files in `folder`, which vanish with the process.
    pub fn new(about: usize, threads: usize, memory: u64, folder: PathBuf) -> Self {
        let parts = (threads * PARTS_PER_THREAD).next_power_of_two().min(256);
        let ids = Self {
            parts: (0..parts).map(|_| Mutex::default()).collect(),
            tables: (0..parts).map(|_| Whereabouts::default()).collect(),
            memory,
            taken: AtomicU64::new(0),
            folder,
            failure: Mutex::default(),
        };
        let places = Table::places_for(about.min(MOST_ROOM) / parts);
        if (places * PLACE_BYTES * parts) as u64 <= memory {
            for (number, part) in ids.parts.iter().enumerate() {
                ids.grow(number, &mut part.lock().table, places);
            }
        }
        ids
    }

    /// Has the memory that [`Ids::is_known`] will look at for this number brought near, while there is something else to
    /// do.
    #[inline]
    pub fn prefetch(&self, id: u128) {
        let hash = hash(id);
        let Whereabouts { start, places } = &self.tables[self.part_of(hash)];
        let (start, places) = (start.load(Ordering::Relaxed), places.load(Ordering::Relaxed));
        // The table may be another one meanwhile.
        prefetch::line(start.wrapping_add(place_of(hash, places) * PLACE_BYTES));
    }

    /// Remembers an id by its number ([`crate::duplicates::number_of`]). True if it was known. After a failure of the disk,
    /// which [`Ids::failure`] tells, nothing is.
    pub fn is_known(&self, id: u128) -> bool {
        let hash = hash(id);
        let number = self.part_of(hash);
        let mut part = self.parts[number].lock();
        let Part { table, spilled } = &mut *part;
        if table.is_full() && !self.grow(number, table, table.len() + table.len() / 2) {
            // A first table is had in any case: there is no going on without one.
            let written = match table.len() {
                0 => self.resize(number, table, Table::FIRST),
                _ => spilled.write(table.take(), &self.folder),
            };
            self.note(written);
        }
        if table.is_full() {
            return false;
        }
        if !table.insert(id, hash) {
            return true;
        }
        match spilled.holds(id) {
            Ok(is_known) => is_known,
            Err(error) => {
                self.note(Err(error));
                false
            }
        }
    }

    /// Why ids could not be written or read. The counts are then not to be trusted.
    pub fn failure(&self) -> Option<io::Error> {
        self.failure.lock().take()
    }

    /// Whether there is such a failure.
    pub fn has_failed(&self) -> bool {
        self.failure.lock().is_some()
    }

    fn part_of(&self, hash: u64) -> usize {
        // The table takes its places from the upper half of the hash.
        hash as u32 as usize % self.parts.len()
    }

    /// Makes the table of a part larger, if there is memory for it.
    fn grow(&self, part: usize, table: &mut Table, places: usize) -> bool {
        let places = places.max(Table::FIRST);
        let more = ((places - table.len()) * PLACE_BYTES) as u64;
        if self.taken.fetch_add(more, Ordering::Relaxed) + more > self.memory {
            self.taken.fetch_sub(more, Ordering::Relaxed);
            return false;
        }
        self.resize(part, table, places).is_ok()
    }

    fn resize(&self, part: usize, table: &mut Table, places: usize) -> io::Result<()> {
        table.resize(places)?;
        let Whereabouts { start, places } = &self.tables[part];
        start.store(table.places_mut().as_mut_ptr().cast(), Ordering::Relaxed);
        places.store(table.len(), Ordering::Relaxed);
        Ok(())
    }

    fn note(&self, result: io::Result<()>) {
        if let Err(error) = result {
            self.failure.lock().get_or_insert(error);
        }
    }
}

/// Ids side by side, each at the place of its hash or the next that is free: a look-up is one look into memory, which is
/// all that it costs where there are many.
#[derive(Default)]
struct Table {
    /// 16 bytes a place, zero: free. Less than 2^32 in number.
    places: Option<MmapMut>,
    taken: usize,
    has_zero: bool,
}

/// Bytes of an id.
const PLACE_BYTES: usize = 16;

/// The place of a hash among so many: a share of them as large as the hash's of all.
#[inline]
fn place_of(hash: u64, places: usize) -> usize {
    (((hash >> 32) * places as u64) >> 32) as usize
}

impl Table {
    /// Places of the smallest.
    const FIRST: usize = 256;

    /// How many places hold so many ids, and some more: it is estimated how many there will be.
    fn places_for(ids: usize) -> usize {
        let places = (ids + ids / 2).max(Self::FIRST);
        if places < PAGE_PLACES { places } else { places.next_multiple_of(PAGE_PLACES) }
    }

    fn places(&self) -> &[[u8; PLACE_BYTES]] {
        self.places.as_deref().unwrap_or_default().as_chunks().0
    }

    fn places_mut(&mut self) -> &mut [[u8; PLACE_BYTES]] {
        self.places.as_deref_mut().unwrap_or_default().as_chunks_mut().0
    }

    fn len(&self) -> usize {
        self.places().len()
    }

    fn is_full(&self) -> bool {
        self.taken * 4 >= self.len() * 3
    }

    /// False if the id was in it. There is a free place.
    fn insert(&mut self, id: u128, hash: u64) -> bool {
        if id == 0 {
            return !std::mem::replace(&mut self.has_zero, true);
        }
        let mut place = place_of(hash, self.len());
        let places = self.places_mut();
        loop {
            let found = &mut places[place];
            match u128::from_ne_bytes(*found) {
                0 => {
                    *found = id.to_ne_bytes();
                    self.taken += 1;
                    return true;
                }
                known if known == id => return false,
                _ => place = if place + 1 == places.len() { 0 } else { place + 1 },
            }
        }
    }

    fn resize(&mut self, places: usize) -> io::Result<()> {
        let memory = MmapMut::map_anon(places * PLACE_BYTES)?;
        // Of many small pages each look-up would wait for another one; a system that knows no large ones goes without.
        #[cfg(target_os = "linux")]
        memory.advise(memmap2::Advice::HugePage).ok();
        let old = std::mem::replace(self, Self { places: Some(memory), taken: 0, has_zero: self.has_zero });
        for id in old.ids() {
            self.insert(id, hash(id));
        }
        Ok(())
    }

    fn ids(&self) -> impl Iterator<Item = u128> {
        self.places().iter().map(|place| u128::from_ne_bytes(*place)).filter(|id| *id != 0)
    }

    /// All ids but zero, which is kept; the table is then empty and as large as before.
    fn take(&mut self) -> Vec<u128> {
        let ids = self.ids().collect();
        self.places_mut().fill([0; PLACE_BYTES]);
        self.taken = 0;
        ids
    }
}

#[cfg(test)]
mod tests;
