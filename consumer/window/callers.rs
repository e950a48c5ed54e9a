//! The names of callers, each stored once and known by a number.

use std::hash::{BuildHasher, Hasher};

use hashbrown::{DefaultHashBuilder, HashTable};

/// How many callers the windows may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallerLimits {
    /// Callers of our own (`limits.callers`).
    pub own: usize,
    /// Callers outside the organisation (`limits.outside_callers`): they cannot use up the room of our own.
    pub outside: usize,
}

/// Bits of a count's key that hold the versions; the rest is the caller's number.
pub const VERSION_BITS: u32 = 5;
/// Numbers of callers stay below this, so that a key fits 32 bits.
pub const MAX_CALLERS: usize = 1 << (32 - VERSION_BITS);

/// The account and the principal of what no longer found room.
pub const OVERFLOW: &str = "(overflow)";
/// The same for callers outside the organisation.
pub const OVERFLOW_OUTSIDE: &str = "(overflow outside)";

/// A caller: account and principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallerName<'a> {
    /// The account that called.
    pub account_id: &'a str,
    /// The principal.
    pub principal: &'a str,
}

struct Entry {
    /// Account, a tab, principal; empty when the number is free.
    name: Box<str>,
    account_len: u16,
    is_outside: bool,
    /// The newest hour bucket that counts it.
    last_hour: i32,
}

/// All callers that a bucket counts.
#[derive(Default)]
pub struct Callers {
    entries: Vec<Entry>,
    free: Vec<u32>,
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
    outside: usize,
}

impl Callers {
    /// The number of a caller, new if it has none; the number of the overflow when there is no more room, which the
    /// second value tells.
    pub fn number(&mut self, name: CallerName<'_>, is_outside: bool, limits: CallerLimits) -> (u32, bool) {
        if let Some(number) = self.find(name) {
            return (number, false);
        }
        let own = self.len() - self.outside;
        let is_full = if is_outside { self.outside >= limits.outside } else { own >= limits.own };
        if is_full || self.entries.len() >= MAX_CALLERS - 2 {
            let overflow = if is_outside { OVERFLOW_OUTSIDE } else { OVERFLOW };
            let name = CallerName { account_id: overflow, principal: overflow };
            return (self.find(name).unwrap_or_else(|| self.insert(name, is_outside)), true);
        }
        (self.insert(name, is_outside), false)
    }

    /// The name of a number in use.
    pub fn name(&self, number: u32) -> CallerName<'_> {
        self.entries.get(number as usize).map_or(CallerName { account_id: "", principal: "" }, Entry::caller)
    }

    /// Whether the caller is outside the organisation.
    pub fn is_outside(&self, number: u32) -> bool {
        self.entries.get(number as usize).is_some_and(|entry| entry.is_outside)
    }

    /// How many callers there are.
    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Notes that `hour` counts the caller.
    pub fn touch(&mut self, number: u32, hour: i32) {
        if let Some(entry) = self.entries.get_mut(number as usize) {
            entry.last_hour = entry.last_hour.max(hour);
        }
    }

    /// Forgets the callers that no bucket from `first_hour` on counts.
    pub fn forget_before(&mut self, first_hour: i32) {
        for number in 0..self.entries.len() {
            let entry = &mut self.entries[number];
            if entry.last_hour >= first_hour || entry.name.is_empty() {
                continue;
            }
            let hash = hash_name(&self.hasher, entry.caller());
            self.outside -= usize::from(entry.is_outside);
            *entry = Entry { name: Box::default(), account_len: 0, is_outside: false, last_hour: i32::MIN };
            if let Ok(slot) = self.table.find_entry(hash, |&other| other as usize == number) {
                slot.remove();
            }
            self.free.push(number as u32);
        }
    }

    /// All numbers in use with their names and whether they are outside.
    pub fn iter(&self) -> impl Iterator<Item = (u32, CallerName<'_>, bool)> {
        let in_use = self.entries.iter().enumerate().filter(|(_, entry)| !entry.name.is_empty());
        in_use.map(|(number, entry)| (number as u32, entry.caller(), entry.is_outside))
    }

    /// The number of a caller, if it has one.
    pub fn find(&self, name: CallerName<'_>) -> Option<u32> {
        let hash = hash_name(&self.hasher, name);
        self.table.find(hash, |&number| self.entries[number as usize].caller() == name).copied()
    }

    fn insert(&mut self, name: CallerName<'_>, is_outside: bool) -> u32 {
        let entry = Entry {
            name: format!("{}\t{}", name.account_id, name.principal).into_boxed_str(),
            account_len: name.account_id.len().min(usize::from(u16::MAX)) as u16,
            is_outside,
            last_hour: i32::MIN,
        };
        let number = match self.free.pop() {
            Some(number) => {
                self.entries[number as usize] = entry;
                number
            }
            None => {
                self.entries.push(entry);
                (self.entries.len() - 1) as u32
            }
        };
        let hash = hash_name(&self.hasher, name);
        let (entries, hasher) = (&self.entries, &self.hasher);
        self.table.insert_unique(hash, number, |&other| hash_name(hasher, entries[other as usize].caller()));
        self.outside += usize::from(is_outside);
        number
    }
}

/// The hash of a caller's name, the same wherever it stands.
pub fn hash_name(hasher: &DefaultHashBuilder, name: CallerName<'_>) -> u64 {
    let mut hasher = hasher.build_hasher();
    hasher.write(name.account_id.as_bytes());
    hasher.write(b"\t");
    hasher.write(name.principal.as_bytes());
    hasher.finish()
}

impl Entry {
    fn caller(&self) -> CallerName<'_> {
        let account_len = usize::from(self.account_len);
        let principal = self.name.get(account_len + 1..).unwrap_or_default();
        CallerName { account_id: self.name.get(..account_len).unwrap_or_default(), principal }
    }
}
