//! What was counted since the last commit.
//!
//! The hot path writes here only: a small table of the callers since then, which stays in the processor's cache,
//! and one count per minute, caller and versions. Budget: two table look-ups and no allocation for a call whose
//! caller and minute were seen since the last commit (measured in benches/pipeline.rs).

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

use super::callers::{CallerName, VERSION_BITS, hash_name};
use super::piece::Piece;
use super::{HOUR_S, HOURS_KEPT, MINUTE_S, Versions, bucket};

/// Who called, and how.
#[derive(Clone, Copy, Debug)]
pub struct CallKey<'a> {
    /// The account that called.
    pub account_id: &'a str,
    /// The principal.
    pub principal: &'a str,
    /// The caller is outside the organisation.
    pub is_outside: bool,
    /// Signature and TLS version.
    pub versions: Versions,
}

struct Entry {
    start: u32,
    account_len: u32,
    end: u32,
    is_outside: bool,
}

/// Counts since the last commit.
#[derive(Default)]
pub struct Delta {
    names: String,
    callers: Vec<Entry>,
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// By minute (high half), the caller's number here, and versions.
    counts: HashMap<u64, u32>,
}

/// A stored name longer than this is cut: principals are at most 2 KiB in AWS, the text is the caller's.
const MAX_NAME_BYTES: usize = 4096;

impl Delta {
    /// Counts a call at `time_s` when the newest event of the lineage is at `newest_s`. False if it is late: older
    /// than all that the windows keep.
    pub fn count(&mut self, key: CallKey<'_>, time_s: i64, newest_s: i64) -> bool {
        if bucket(time_s, HOUR_S) <= bucket(newest_s, HOUR_S) - HOURS_KEPT {
            return false;
        }
        let caller = self.caller(key);
        let minute = u64::from(bucket(time_s, MINUTE_S).cast_unsigned()) << 32;
        let slot = minute | u64::from(caller << VERSION_BITS) | u64::from(key.versions.code());
        let count = self.counts.entry(slot).or_default();
        // A caller's calls in one minute and since the last commit: far below 4 billion.
        *count = count.saturating_add(1);
        true
    }

    /// Roughly the bytes that it takes in memory and, a little less, in the state.
    pub fn bytes(&self) -> usize {
        self.names.len() + self.callers.len() * 24 + self.counts.len() * 16
    }

    /// Nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// As it is stored and merged.
    pub fn piece(&self) -> Piece<'_> {
        let callers = self.callers.iter().enumerate().map(|(number, entry)| {
            let name = name_of(&self.names, entry);
            (number as u32, name.account_id, name.principal, entry.is_outside)
        });
        let counts = self.counts.iter().map(|(slot, count)| {
            let minute = ((slot >> 32) as u32).cast_signed();
            (minute, *slot as u32, *count)
        });
        Piece { callers: callers.collect(), counts: counts.collect(), ..Piece::default() }
    }

    /// Empties it; the memory is used again.
    pub fn clear(&mut self) {
        self.names.clear();
        self.callers.clear();
        self.table.clear();
        self.counts.clear();
    }

    fn caller(&mut self, key: CallKey<'_>) -> u32 {
        let name = CallerName { account_id: cut_name(key.account_id), principal: cut_name(key.principal) };
        let hash = hash_name(&self.hasher, name);
        let (names, callers) = (&self.names, &self.callers);
        if let Some(&found) =
            self.table.find(hash, |&number| name_of(names, &callers[number as usize]) == name)
        {
            return found;
        }
        let (start, number) = (self.names.len() as u32, self.callers.len() as u32);
        self.names.push_str(name.account_id);
        self.names.push_str(name.principal);
        let account_len = name.account_id.len() as u32;
        let end = self.names.len() as u32;
        self.callers.push(Entry { start, account_len, end, is_outside: key.is_outside });
        let (names, callers, hasher) = (&self.names, &self.callers, &self.hasher);
        let rehash = |&number: &u32| hash_name(hasher, name_of(names, &callers[number as usize]));
        self.table.insert_unique(hash, number, rehash);
        number
    }
}

fn name_of<'a>(names: &'a str, entry: &Entry) -> CallerName<'a> {
    let (account_id, principal) =
        names[entry.start as usize..entry.end as usize].split_at(entry.account_len as usize);
    CallerName { account_id, principal }
}

/// An account id or principal as it is stored: not longer than any that AWS has.
pub fn cut_name(name: &str) -> &str {
    &name[..name.floor_char_boundary(MAX_NAME_BYTES)]
}
