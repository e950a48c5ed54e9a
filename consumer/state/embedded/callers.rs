//! Weak callers in the state's file: a row each, and their lists. One set for all shards, so a reshard moves nothing.

use hashbrown::{HashMap, HashSet};
use redb::{ReadOnlyTable, ReadableTable, Table, TableDefinition, WriteTransaction};

use super::{EmbeddedState, META, not_written};
use crate::alert::{self, Alert};
use crate::callers::verdict::{Known, Verdict};
use crate::callers::{CallerKey, CallerPolicy, CallerState, Detail, Entry, OwnedKey, Past, Row};
use crate::event::judge::Weakness;
use crate::state::{Judge, Recalled, Remembered, StateError, WeakCommit};
use crate::window::{CallerLimits, OVERFLOW, OVERFLOW_OUTSIDE};

/// By weakness, account and principal.
pub(super) const CALLERS: TableDefinition<'_, (u8, &str, &str), &[u8]> = TableDefinition::new("callers");
/// By the caller's number, list and text: the last day that the text was seen on.
pub(super) const DETAILS: TableDefinition<'_, (u64, u8, &str), i32> = TableDefinition::new("caller_details");

/// Bytes of texts in one answer; what follows is asked for with a cursor.
const MOST_LISTED_BYTES: usize = 32 << 20;

/// Keys of `meta`.
const NEXT_NUMBER: &str = "next_caller";
const OWN: &str = "own_callers";
const OUTSIDE: &str = "outside_callers";

/// How many weak callers are remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallerCounts {
    /// Of our own.
    pub own: u64,
    /// Outside the organisation.
    pub outside: u64,
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

    /// At most `limit` callers behind `after`, by weakness, account and principal, fewer if their lists are long; of one
    /// weakness, or all. The second value tells whether more follow.
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
            let (mut listed, mut bytes) = (Vec::new(), 0);
            for entry in rows.range(first..)? {
                let (key, value) = entry?;
                let Some(key) = read_key(key.value()) else { continue };
                if after == Some(key) {
                    continue;
                }
                if weakness.is_some_and(|weakness| weakness != key.weakness) {
                    break;
                }
                if listed.len() == limit || bytes > MOST_LISTED_BYTES {
                    return Ok((listed, true));
                }
                let Some(row) = read_row(value.value()) else { continue };
                let details = lists_of(&details, row.number)?;
                bytes += details.iter().flatten().map(|text| text.len() + size_of::<String>()).sum::<usize>();
                listed.push(ListedCaller { key: key.to_owned(), row, details });
            }
            Ok((listed, false))
        })
    }

    /// The weaknesses of one caller, with their lists.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn caller(&self, account_id: &str, principal: &str) -> Result<Vec<ListedCaller>, StateError> {
        self.read(|read| {
            let (rows, details) = (read.open_table(CALLERS)?, read.open_table(DETAILS)?);
            let mut found = Vec::new();
            for weakness in Weakness::ALL {
                let key = CallerKey { weakness, account_id, principal };
                let Some(row) = row_of(&rows, key)? else { continue };
                let details = lists_of(&details, row.number)?;
                found.push(ListedCaller { key: key.to_owned(), row, details });
            }
            Ok(found)
        })
    }

    /// The lists of these callers, by number.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn caller_lists(
        &self,
        numbers: impl Iterator<Item = u64>,
    ) -> Result<Vec<[Vec<String>; Detail::COUNT]>, StateError> {
        self.read(|read| {
            let details = read.open_table(DETAILS)?;
            numbers.map(|number| lists_of(&details, number)).collect()
        })
    }

    /// The numbers of the callers that list a text which `is_wanted`.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn callers_listing(&self, is_wanted: impl Fn(&str) -> bool) -> Result<HashSet<u64>, StateError> {
        self.read(|read| {
            let mut numbers = HashSet::new();
            for entry in read.open_table(DETAILS)?.iter()? {
                let entry = entry?;
                let (number, list, text) = entry.0.value();
                if list != Detail::Hint as u8 && is_wanted(text) {
                    numbers.insert(number);
                }
            }
            Ok(numbers)
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

/// Adds what a commit counted of weak callers, and decides who is new. There is one writer, so whatever other shards
/// committed before is seen here, and what is decided here is seen by those that come after.
pub(super) fn merge(
    write: &WriteTransaction,
    weak: &WeakCommit,
) -> Result<(Remembered, Vec<Alert>), redb::Error> {
    let (mut remembered, mut alerts) = (Remembered::default(), Vec::new());
    if weak.callers.is_empty() {
        return Ok((remembered, alerts));
    }
    let (mut rows, mut details) = (write.open_table(CALLERS)?, write.open_table(DETAILS)?);
    let mut meta = write.open_table(META)?;
    for entry in &weak.callers {
        let mut key = entry.key.borrow();
        let mut row = row_of(&rows, key)?;
        let is_overflow =
            row.is_none() && !has_room(counts(&meta)?, entry.is_outside, weak.judge.policy.room);
        if is_overflow {
            let count = &mut remembered.overflow;
            *(if entry.is_outside { &mut count.outside } else { &mut count.own }) += 1;
            key = overflow_key(key.weakness, entry.is_outside);
            row = row_of(&rows, key)?;
        }
        let before = row.as_ref().map(|row| row.state);
        let mut row = decide(row, key, entry, &weak.judge, &mut remembered, &mut alerts);
        count_owner(&mut meta, before, row.state)?;
        if before.is_none() {
            row.number = count_up(&mut meta, NEXT_NUMBER)?;
        }
        row.add(entry);
        if !is_overflow {
            merge_lists(&mut details, &mut row, &entry.details, weak.judge.policy.values)?;
            let is_decided = !entry.is_outside && row.state >= CallerState::Learned;
            remembered.decided.extend(is_decided.then_some((entry.hash, row.last_s)));
        }
        let bytes = postcard::to_stdvec(&row).map_err(not_written)?;
        rows.insert(stored_key(key), bytes.as_slice())?;
    }
    Ok((remembered, alerts))
}

/// Adds weak callers of history. Who was known stays what it is; the same once more changes nothing. One that finds no
/// room is left out: nobody can tell afterwards which calls are in a row that others share.
pub(super) fn recall(
    write: &WriteTransaction,
    past: &[Past],
    policy: &CallerPolicy,
) -> Result<Recalled, redb::Error> {
    let mut recalled = Recalled::default();
    let (mut rows, mut details) = (write.open_table(CALLERS)?, write.open_table(DETAILS)?);
    let mut meta = write.open_table(META)?;
    for caller in past {
        let known = row_of(&rows, caller.key.borrow())?;
        let before = known.as_ref().map(|row| row.state);
        let state = policy.recalled(before, caller);
        let mut row = match known {
            Some(row) => Row { state, ..row },
            None if !has_room(counts(&meta)?, state == CallerState::Outside, policy.room) => {
                recalled.no_room += 1;
                continue;
            }
            None => Row::new(count_up(&mut meta, NEXT_NUMBER)?, state),
        };
        *(if before.is_some() { &mut recalled.known } else { &mut recalled.new }) += 1;
        count_owner(&mut meta, before, state)?;
        row.recall(&caller.row);
        merge_lists(&mut details, &mut row, &caller.details, policy.values)?;
        let bytes = postcard::to_stdvec(&row).map_err(not_written)?;
        rows.insert(stored_key(caller.key.borrow()), bytes.as_slice())?;
    }
    Ok(recalled)
}

/// Judges each call by which a caller may be new. Returns the row as it is before the calls are added.
fn decide(
    row: Option<Row>,
    key: CallerKey<'_>,
    entry: &Entry,
    judge: &Judge,
    remembered: &mut Remembered,
    alerts: &mut Vec<Alert>,
) -> Row {
    let mut known = row.as_ref().map(Row::known);
    let mut paged_ms = row.as_ref().and_then(|row| row.paged_ms);
    for sighting in &entry.sightings {
        let forget_after_s = judge.policy.forget_after_s;
        let is_new = known.is_none_or(|known| known.is_forgotten(sighting.time_s, forget_after_s));
        remembered.new_callers[key.weakness as usize] += u64::from(is_new);
        let state = match judge.policy.judge(known, key, sighting.time_s, judge.is_learning) {
            Verdict::Known => known.map_or(CallerState::Learned, |known| known.state),
            Verdict::Accepted => CallerState::Accepted,
            Verdict::Learned => CallerState::Learned,
            Verdict::Page => {
                paged_ms = Some(judge.now_ms);
                let link = judge.alert_link.as_deref();
                alerts.extend(link.map(|link| alert::new_caller(key, sighting, judge.now_ms, link)));
                CallerState::Paged
            }
        };
        let last_s = known.map_or(sighting.time_s, |known| known.last_s.max(sighting.time_s));
        known = Some(Known { state, last_s });
    }
    // Without a sighting: a stranger, or a caller of which the shard knew that it is decided.
    let other = if entry.is_outside { CallerState::Outside } else { CallerState::Learned };
    let state = known.map_or(other, |known| known.state);
    Row { state, paged_ms, ..row.unwrap_or_else(|| Row::new(0, state)) }
}

/// Keeps the numbers of our own and of outside callers.
fn count_owner(
    meta: &mut Table<'_, &str, u64>,
    before: Option<CallerState>,
    after: CallerState,
) -> Result<(), redb::Error> {
    let kind = |state| if state == CallerState::Outside { OUTSIDE } else { OWN };
    match before.map(kind) {
        Some(before) if before == kind(after) => return Ok(()),
        Some(before) => {
            let count = meta.get(before)?.map_or(0, |found| found.value());
            meta.insert(before, count.saturating_sub(1))?;
        }
        None => {}
    }
    count_up(meta, kind(after)).map(|_| ())
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
        let kind = if row.state == CallerState::Outside { OUTSIDE } else { OWN };
        let count = meta.get(kind)?.map_or(0, |found| found.value());
        meta.insert(kind, count.saturating_sub(1))?;
    }
    Ok(silent.len() as u64)
}

/// Whether one more weak caller is remembered.
pub fn has_room(counts: CallerCounts, is_outside: bool, room: CallerLimits) -> bool {
    if is_outside { counts.outside < room.outside as u64 } else { counts.own < room.own as u64 }
}

/// The row of all callers that found no room.
fn overflow_key(weakness: Weakness, is_outside: bool) -> CallerKey<'static> {
    let name = if is_outside { OVERFLOW_OUTSIDE } else { OVERFLOW };
    CallerKey { weakness, account_id: name, principal: name }
}

fn merge_lists(
    details: &mut Table<'_, (u64, u8, &str), i32>,
    row: &mut Row,
    more: &[HashMap<Box<str>, i32>; Detail::COUNT],
    values: usize,
) -> Result<(), redb::Error> {
    for (list, texts) in more.iter().enumerate() {
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
