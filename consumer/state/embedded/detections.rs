//! What rules remember, and their matches, in the state's file. One set for all shards, so a reshard moves nothing.

use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};

use super::callers::count_up;
use super::{EmbeddedState, META, not_written};
use crate::alert::Alert;
use crate::detect::decide::{Memory, Outcome, RuleRow, StoredMatch, ValueKey, ValueRow, decide};
use crate::state::{DetectionCommit, StateError};

/// By the rule's name.
pub(super) const RULES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("rules");
/// By rule and definition, kind and value: until which event time it is needed, and what is remembered.
pub(super) const VALUES: TableDefinition<'_, (u64, u8, &str), (i64, &[u8])> =
    TableDefinition::new("rule_values");
/// By number, which begins at 1.
pub(super) const MATCHES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("rule_matches");

/// Keys of `meta`.
const VALUES_KEPT: &str = "rule_values";
const MATCHES_MADE: &str = "rule_matches";
const CLEANED_MS: &str = "rule_values_cleaned_ms";
/// Between two times that values are looked through for what is no longer needed, once there is no room.
const CLEAN_EVERY_MS: u64 = 60_000;

impl EmbeddedState {
    /// At most `limit` matches before the number `before`, the newest first, with their numbers; of one rule, or all.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn matches(
        &self,
        rule: Option<&str>,
        before: u64,
        limit: usize,
    ) -> Result<Vec<(u64, StoredMatch)>, StateError> {
        self.read(|read| {
            let mut matches = Vec::new();
            for entry in read.open_table(MATCHES)?.range(..before)?.rev() {
                let (number, value) = entry?;
                // Only a damaged file holds anything else.
                let Ok(stored) = postcard::from_bytes::<StoredMatch>(value.value()) else { continue };
                if rule.is_none_or(|rule| rule == stored.rule) {
                    matches.push((number.value(), stored));
                }
                if matches.len() == limit {
                    break;
                }
            }
            Ok(matches)
        })
    }

    /// How often each rule matched, ever, by name.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn rule_matches(&self) -> Result<Vec<(String, u64)>, StateError> {
        self.read(|read| {
            let mut counts = Vec::new();
            for entry in read.open_table(RULES)?.iter()? {
                let (name, value) = entry?;
                counts.push((
                    name.value().to_owned(),
                    read_row::<RuleRow>(value.value()).unwrap_or_default().matches,
                ));
            }
            Ok(counts)
        })
    }
}

/// Decides what a commit matched, and keeps it.
pub(super) fn merge(
    write: &WriteTransaction,
    commit: &DetectionCommit,
) -> Result<(Vec<Outcome>, Vec<Alert>), redb::Error> {
    if commit.deltas.is_empty() {
        return Ok(Default::default());
    }
    let mut tables = Tables {
        rules: write.open_table(RULES)?,
        values: write.open_table(VALUES)?,
        matches: write.open_table(MATCHES)?,
        meta: write.open_table(META)?,
        commit,
    };
    decide(&commit.deltas, &commit.deciding, &mut tables)
}

/// What is remembered, while a commit is written.
struct Tables<'w, 'c> {
    rules: Table<'w, &'static str, &'static [u8]>,
    values: Table<'w, (u64, u8, &'static str), (i64, &'static [u8])>,
    matches: Table<'w, u64, &'static [u8]>,
    meta: Table<'w, &'static str, u64>,
    commit: &'c DetectionCommit,
}

impl Memory for Tables<'_, '_> {
    type Error = redb::Error;

    fn rule(&mut self, name: &str) -> Result<RuleRow, redb::Error> {
        Ok(self.rules.get(name)?.and_then(|value| read_row(value.value())).unwrap_or_default())
    }

    fn put_rule(&mut self, name: &str, row: &RuleRow) -> Result<(), redb::Error> {
        self.rules.insert(name, postcard::to_stdvec(row).map_err(not_written)?.as_slice())?;
        Ok(())
    }

    fn value(&mut self, key: &ValueKey) -> Result<Option<ValueRow>, redb::Error> {
        let stored = self.values.get((key.state_id, key.kind, key.value.as_str()))?;
        Ok(stored.and_then(|value| read_row(value.value().1)))
    }

    fn put_value(&mut self, key: &ValueKey, row: &ValueRow, until_s: i64) -> Result<(), redb::Error> {
        let bytes = postcard::to_stdvec(row).map_err(not_written)?;
        let key = (key.state_id, key.kind, key.value.as_str());
        if self.values.insert(key, (until_s, bytes.as_slice()))?.is_none() {
            count_up(&mut self.meta, VALUES_KEPT)?;
        }
        Ok(())
    }

    fn has_room(&mut self) -> Result<bool, redb::Error> {
        let kept = self.number(VALUES_KEPT)?;
        if kept < self.commit.values {
            return Ok(true);
        }
        let now_ms = self.commit.deciding.now_ms;
        if now_ms.saturating_sub(self.number(CLEANED_MS)?) < CLEAN_EVERY_MS {
            return Ok(false);
        }
        self.meta.insert(CLEANED_MS, now_ms)?;
        let (newest_s, mut left) = (self.commit.newest_s, 0);
        let state_ids = &self.commit.state_ids;
        self.values.retain(|(state_id, _, _), (until_s, _)| {
            let is_needed = until_s >= newest_s && state_ids.contains(&state_id);
            left += u64::from(is_needed);
            is_needed
        })?;
        self.meta.insert(VALUES_KEPT, left)?;
        Ok(left < self.commit.values)
    }

    fn keep(&mut self, matched: StoredMatch) -> Result<(), redb::Error> {
        let number = count_up(&mut self.meta, MATCHES_MADE)? + 1;
        self.matches.insert(number, postcard::to_stdvec(&matched).map_err(not_written)?.as_slice())?;
        let surplus = number.saturating_sub(self.commit.matches);
        self.matches.retain_in(..=surplus, |_, _| false)?;
        Ok(())
    }
}

impl Tables<'_, '_> {
    fn number(&self, key: &str) -> Result<u64, redb::Error> {
        Ok(self.meta.get(key)?.map_or(0, |found| found.value()))
    }
}

fn read_row<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    postcard::from_bytes(bytes).ok()
}
