//! Weak callers in the state's file: a row each, and their lists. One set for all shards, so a reshard moves nothing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use redb::{ReadOnlyTable, ReadableTable, Table, TableDefinition, WriteTransaction};

use super::{EmbeddedState, META, not_written};
use crate::callers::{CallerKey, Detail, Entry, OwnedKey, Row};
use crate::event::judge::Weakness;
use crate::source::ShardId;
use crate::state::{StateError, WeakCommit};
use crate::window::{CallerLimits, OVERFLOW, OVERFLOW_OUTSIDE};

/// By weakness, account and principal.
pub(super) const CALLERS: TableDefinition<'_, (u8, &str, &str), &[u8]> = TableDefinition::new("callers");
/// By the caller's number, list and text: the last day that the text was seen on.
pub(super) const DETAILS: TableDefinition<'_, (u64, u8, &str), i32> = TableDefinition::new("caller_details");

/// Keys of `meta`.
const NEXT_NUMBER: &str = "next_caller";
const OWN: &str = "own_callers";
const OUTSIDE: &str = "outside_callers";

/// Who is being decided on, and by which shard. Only one process has the file open, so claims live in memory: those
/// of a process that ended are void, and what it did not commit is decided anew.
#[derive(Default)]
pub(super) struct Claims(Mutex<HashMap<OwnedKey, ShardId>>);

/// How many weak callers are remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallerCounts {
    /// Of our own.
    pub own: u64,
    /// Outside the organisation, when they were first seen.
    pub outside: u64,
}

/// Callers that found no room since this was last asked.
#[derive(Default)]
pub(super) struct Forgone {
    own: AtomicU64,
    outside: AtomicU64,
}

/// A caller with its lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedCaller {
    /// Who.
    pub key: OwnedKey,
    /// What is remembered.
    pub row: Row,
    /// The texts of each list, in their order.
    pub details: [Vec<String>; Detail::COUNT],
}

impl EmbeddedState {
    /// Claims the right to decide on a caller. False if another shard has it, or this one has it already.
    pub fn claim(&self, shard: &ShardId, key: CallerKey<'_>) -> bool {
        let mut claims = self.claims.0.lock();
        match claims.entry(key.to_owned()) {
            std::collections::hash_map::Entry::Occupied(_) => false,
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(shard.clone());
                true
            }
        }
    }

    /// Gives a claim back.
    pub fn release(&self, key: &OwnedKey) {
        self.claims.0.lock().remove(key);
    }

    /// Gives back all claims of a shard: what it decided is durable.
    pub fn release_all(&self, shard: &ShardId) {
        self.claims.0.lock().retain(|_, owner| owner != shard);
    }

    /// Commits of callers that found no room, since this was last asked.
    pub fn take_forgone(&self) -> CallerCounts {
        let take = |count: &AtomicU64| count.swap(0, Ordering::Relaxed);
        CallerCounts { own: take(&self.forgone.own), outside: take(&self.forgone.outside) }
    }

    /// The rows of these callers, and how many there are in all.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn caller_rows<'k>(
        &self,
        keys: impl Iterator<Item = CallerKey<'k>>,
    ) -> Result<(Vec<Option<Row>>, CallerCounts), StateError> {
        self.read(|read| {
            let rows = read.open_table(CALLERS)?;
            let found: Result<Vec<_>, redb::Error> = keys.map(|key| row_of(&rows, key)).collect();
            let meta = read.open_table(META)?;
            let get =
                |key| -> Result<u64, redb::Error> { Ok(meta.get(key)?.map_or(0, |found| found.value())) };
            Ok((found?, CallerCounts { own: get(OWN)?, outside: get(OUTSIDE)? }))
        })
    }

    /// At most `limit` callers behind `after`, by weakness, account and principal; of one weakness, or all. The second
    /// value tells whether more follow.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn list_callers(
        &self,
        weakness: Option<Weakness>,
        after: Option<CallerKey<'_>>,
        limit: usize,
    ) -> Result<(Vec<ListedCaller>, bool), StateError> {
        self.read(|read| {
            let rows = read.open_table(CALLERS)?;
            let details = read.open_table(DETAILS)?;
            let first = match (after, weakness) {
                (Some(after), _) => stored_key(after),
                (None, Some(weakness)) => (weakness as u8, "", ""),
                (None, None) => (0, "", ""),
            };
            let mut listed = Vec::new();
            for entry in rows.range(first..)? {
                let (key, value) = entry?;
                let Some(key) = read_key(key.value()) else { continue };
                if after == Some(key) {
                    continue;
                }
                if weakness.is_some_and(|weakness| weakness != key.weakness) {
                    break;
                }
                if listed.len() == limit {
                    return Ok((listed, true));
                }
                let Some(row) = read_row(value.value()) else { continue };
                let details = lists_of(&details, row.number)?;
                listed.push(ListedCaller { key: key.to_owned(), row, details });
            }
            Ok((listed, false))
        })
    }

    /// Hands every caller to `visit`, without its lists.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn visit_callers(&self, mut visit: impl FnMut(CallerKey<'_>, Row)) -> Result<(), StateError> {
        self.read(|read| {
            for entry in read.open_table(CALLERS)?.iter()? {
                let (key, value) = entry?;
                if let (Some(key), Some(row)) = (read_key(key.value()), read_row(value.value())) {
                    visit(key, row);
                }
            }
            Ok(())
        })
    }
}

/// Adds what a commit counted of weak callers.
pub(super) fn merge(
    write: &WriteTransaction,
    weak: &WeakCommit,
    forgone: &Forgone,
) -> Result<(), redb::Error> {
    if weak.callers.is_empty() {
        return Ok(());
    }
    let (mut rows, mut details) = (write.open_table(CALLERS)?, write.open_table(DETAILS)?);
    let mut meta = write.open_table(META)?;
    for entry in &weak.callers {
        let mut key = entry.key.borrow();
        let mut row = row_of(&rows, key)?;
        let is_overflow =
            entry.is_overflow || (row.is_none() && !has_room(&counts(&meta)?, entry.is_outside, weak.room));
        if is_overflow {
            let count = if entry.is_outside { &forgone.outside } else { &forgone.own };
            count.fetch_add(1, Ordering::Relaxed);
            key = overflow_key(key.weakness, entry.is_outside);
            row = row_of(&rows, key)?;
        }
        let mut row = match row {
            Some(row) => row,
            None => {
                let kind = if entry.is_outside { OUTSIDE } else { OWN };
                count_up(&mut meta, kind)?;
                Row::new(count_up(&mut meta, NEXT_NUMBER)?)
            }
        };
        row.add(entry);
        if !is_overflow {
            merge_lists(&mut details, &mut row, entry, weak.values)?;
        }
        let bytes = postcard::to_stdvec(&row).map_err(not_written)?;
        rows.insert(stored_key(key), bytes.as_slice())?;
    }
    Ok(())
}

/// Forgets the callers that last called before `before_s`. Returns how many.
pub(super) fn forget(write: &WriteTransaction, before_s: i64) -> Result<u64, redb::Error> {
    let (mut rows, mut details) = (write.open_table(CALLERS)?, write.open_table(DETAILS)?);
    let mut meta = write.open_table(META)?;
    let mut silent = Vec::new();
    for entry in rows.iter()? {
        let (key, value) = entry?;
        let Some(row) = read_row(value.value()).filter(|row| row.last_s < before_s) else { continue };
        if let Some(key) = read_key(key.value()) {
            silent.push((key.to_owned(), row));
        }
    }
    for (key, row) in &silent {
        rows.remove(stored_key(key.borrow()))?;
        details.retain_in((row.number, 0, "")..(row.number + 1, 0, ""), |_, _| false)?;
        let is_outside = row.state == Some(crate::callers::CallerState::Outside);
        let kind = if is_outside { OUTSIDE } else { OWN };
        let count = meta.get(kind)?.map_or(0, |found| found.value());
        meta.insert(kind, count.saturating_sub(1))?;
    }
    Ok(silent.len() as u64)
}

/// Whether one more weak caller is remembered.
pub fn has_room(counts: &CallerCounts, is_outside: bool, room: CallerLimits) -> bool {
    if is_outside { counts.outside < room.outside as u64 } else { counts.own < room.own as u64 }
}

/// The row of all callers that found no room.
pub fn overflow_key(weakness: Weakness, is_outside: bool) -> CallerKey<'static> {
    let name = if is_outside { OVERFLOW_OUTSIDE } else { OVERFLOW };
    CallerKey { weakness, account_id: name, principal: name }
}

fn merge_lists(
    details: &mut Table<'_, (u64, u8, &str), i32>,
    row: &mut Row,
    entry: &Entry,
    values: usize,
) -> Result<(), redb::Error> {
    for (list, texts) in entry.details.iter().enumerate() {
        for (text, day) in texts {
            let slot = (row.number, list as u8, &**text);
            let last = details.get(slot)?.map(|last| last.value());
            row.details[list] += u32::from(last.is_none());
            if last.is_none_or(|last| last < *day) {
                details.insert(slot, day)?;
            }
        }
        if row.details[list] as usize > values {
            trim(details, row.number, list as u8, values)?;
            row.details[list] = values as u32;
        }
    }
    Ok(())
}

/// Keeps the texts of the newest days, of one day the first by name: whatever the order in which they came.
fn trim(
    details: &mut Table<'_, (u64, u8, &str), i32>,
    number: u64,
    list: u8,
    values: usize,
) -> Result<(), redb::Error> {
    let mut texts = Vec::new();
    for entry in details.range((number, list, "")..(number, list + 1, ""))? {
        let (key, day) = entry?;
        texts.push((std::cmp::Reverse(day.value()), key.value().2.to_owned()));
    }
    texts.sort_unstable();
    for (_, text) in texts.iter().skip(values) {
        details.remove((number, list, text.as_str()))?;
    }
    Ok(())
}

fn lists_of(
    details: &ReadOnlyTable<(u64, u8, &str), i32>,
    number: u64,
) -> Result<[Vec<String>; Detail::COUNT], redb::Error> {
    let mut lists: [Vec<String>; Detail::COUNT] = Default::default();
    for entry in details.range((number, 0, "")..(number + 1, 0, ""))? {
        let (key, _) = entry?;
        let (_, list, text) = key.value();
        if let Some(list) = lists.get_mut(usize::from(list)) {
            list.push(text.to_owned());
        }
    }
    Ok(lists)
}

fn row_of(
    rows: &impl ReadableTable<(u8, &'static str, &'static str), &'static [u8]>,
    key: CallerKey<'_>,
) -> Result<Option<Row>, redb::Error> {
    Ok(rows.get(stored_key(key))?.and_then(|value| read_row(value.value())))
}

fn read_row(bytes: &[u8]) -> Option<Row> {
    postcard::from_bytes(bytes).ok()
}

fn stored_key(key: CallerKey<'_>) -> (u8, &str, &str) {
    (key.weakness as u8, key.account_id, key.principal)
}

fn read_key<'k>((code, account_id, principal): (u8, &'k str, &'k str)) -> Option<CallerKey<'k>> {
    Some(CallerKey { weakness: Weakness::from_code(code)?, account_id, principal })
}

fn counts(meta: &Table<'_, &str, u64>) -> Result<CallerCounts, redb::Error> {
    let get = |key| -> Result<u64, redb::Error> { Ok(meta.get(key)?.map_or(0, |found| found.value())) };
    Ok(CallerCounts { own: get(OWN)?, outside: get(OUTSIDE)? })
}

/// Adds one to a number. Returns what it was.
pub(super) fn count_up(meta: &mut Table<'_, &str, u64>, key: &str) -> Result<u64, redb::Error> {
    let count = meta.get(key)?.map_or(0, |found| found.value());
    meta.insert(key, count + 1)?;
    Ok(count)
}
