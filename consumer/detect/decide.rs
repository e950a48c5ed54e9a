//! What is made of matches when they are committed: what is new, what reaches its number, what is kept, who is told.
//!
//! Enters: what the rules of one shard matched, and what is remembered ([`Memory`]). Leaves: matches and alerts, which
//! are committed with the position that they belong to, and [`Outcome`]s for metrics. One commit is decided after the
//! other, whatever shard it is of.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use trailmeter_rules::stateful::{self, Counted, Counts};
use trailmeter_rules::{Priority, Rule};

use super::{Found, Group, RuleDelta, Seen, Taken};
use crate::alert::{self, Alert};

/// Why a match was not kept, or nobody was told of it, with its name in the metrics.
pub const WITHHELD: [&str; 3] = ["rate", "repeat", "late"];
/// More of one rule in a minute than are kept.
const RATE: usize = 0;
/// Its group was told of not long ago.
const REPEAT: usize = 1;
/// Too late for a threshold.
pub const LATE: usize = 2;

/// The value of all that find no room.
const OVERFLOW: &str = "(overflow)";
const MINUTE_MS: u64 = 60_000;

/// What is remembered of a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleRow {
    /// Its matches, ever.
    pub matches: u64,
    /// The minute (since 1970) in which matches were last kept.
    pub minute: u64,
    /// How many in it.
    pub in_minute: u32,
    /// The definition that learns, and from when on (seconds since 1970).
    pub learning: Option<(u64, i64)>,
}

/// What is remembered of a value or a group of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ValueRow {
    /// A value was last seen then.
    Seen {
        /// Event time, in seconds since 1970.
        last_s: i64,
    },
    /// A group's counts.
    Counts {
        /// Events by bucket.
        buckets: Vec<(i64, u64)>,
        /// Hashes of distinct values by bucket.
        distinct: Vec<(i64, Vec<u64>)>,
        /// Event times of the last matches.
        matched_s: Vec<i64>,
    },
    /// One that learns by itself has learned from then on.
    Learning {
        /// Event time, in seconds since 1970.
        from_s: i64,
    },
    /// A group was last told of then.
    Told {
        /// Event time, in seconds since 1970.
        last_s: i64,
    },
}

/// Names a value or a group of a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueKey {
    /// The rule and what it counts.
    pub state_id: u64,
    /// 0: what it counts or remembers; 1: who was told; 2: who learns.
    pub kind: u8,
    /// The values.
    pub value: String,
}

/// A match that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredMatch {
    /// The rule's name.
    pub rule: String,
    /// Its priority, by number in [`Priority::ALL`].
    pub priority: u8,
    /// Where the rule's events come from.
    pub source: String,
    /// The rule's tags.
    pub tags: Vec<String>,
    /// The call.
    pub found: Found,
    /// Of a threshold: the number that was reached.
    pub count: Option<u64>,
    /// The hash of the set of rules that judged it.
    pub ruleset: u64,
    /// Wall time, in milliseconds since 1970.
    pub matched_ms: u64,
    /// People were told of it.
    pub is_alerted: bool,
}

impl StoredMatch {
    /// The rule's priority.
    pub fn priority(&self) -> Priority {
        Priority::ALL.get(usize::from(self.priority)).copied().unwrap_or(Priority::Debug)
    }
}

/// By what it is decided.
#[derive(Clone, Default)]
pub struct Deciding {
    /// Wall time, in milliseconds since 1970.
    pub now_ms: u64,
    /// Values are remembered without a match.
    pub is_learning: bool,
    /// Where the page is served; none if alerts go nowhere.
    pub alert_link: Option<Arc<str>>,
    /// Matches of one rule in a minute that are kept.
    pub per_minute: u32,
    /// The newest event time of the shard that is furthest behind, of all others, in seconds since 1970: what it brings is
    /// not late.
    pub slowest_s: Option<i64>,
}

/// What is remembered, and where matches are kept.
pub trait Memory {
    /// Why it can't be read or written.
    type Error;
    /// What is remembered of a rule.
    ///
    /// # Errors
    /// It can't be read.
    fn rule(&mut self, name: &str) -> Result<RuleRow, Self::Error>;
    /// Remembers it.
    ///
    /// # Errors
    /// It can't be written.
    fn put_rule(&mut self, name: &str, row: &RuleRow) -> Result<(), Self::Error>;
    /// What is remembered of a value.
    ///
    /// # Errors
    /// It can't be read.
    fn value(&mut self, key: &ValueKey) -> Result<Option<ValueRow>, Self::Error>;
    /// Remembers it until an event time; later nothing depends on it.
    ///
    /// # Errors
    /// It can't be written.
    fn put_value(&mut self, key: &ValueKey, row: &ValueRow, until_s: i64) -> Result<(), Self::Error>;
    /// Whether one more value can be remembered.
    ///
    /// # Errors
    /// It can't be read.
    fn has_room(&mut self) -> Result<bool, Self::Error>;
    /// Keeps a match.
    ///
    /// # Errors
    /// It can't be written.
    fn keep(&mut self, matched: StoredMatch) -> Result<(), Self::Error>;
}

/// What became of a rule's matches in one commit.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The rule.
    pub rule: Arc<Rule>,
    /// Matches.
    pub matches: u64,
    /// Matches that were not kept, or of which nobody was told, by reason ([`WITHHELD`]).
    pub withheld: [u64; WITHHELD.len()],
    /// Values that found no room.
    pub overflow: u64,
    /// Values that are known now, by the hash of the shard, with their greatest event time; groups that matched, with that
    /// of their last match.
    pub known: Vec<(u64, i64)>,
}

/// Decides what a shard's rules matched.
///
/// # Errors
/// As the memory's.
pub fn decide<M: Memory>(
    deltas: &[RuleDelta],
    by: &Deciding,
    memory: &mut M,
) -> Result<(Vec<Outcome>, Vec<Alert>), M::Error> {
    let (mut outcomes, mut alerts) = (Vec::new(), Vec::new());
    for delta in deltas {
        let row = memory.rule(&delta.rule.name)?;
        let outcome = Outcome {
            rule: Arc::clone(&delta.rule),
            matches: 0,
            withheld: Default::default(),
            overflow: 0,
            known: Vec::new(),
        };
        let mut deciding = Decision { delta, by, row, outcome, alerts: &mut alerts, memory };
        deciding.decide()?;
        let Decision { row, outcome, .. } = deciding;
        memory.put_rule(&delta.rule.name, &row)?;
        outcomes.push(outcome);
    }
    Ok((outcomes, alerts))
}

/// The decision on one rule.
struct Decision<'d, M> {
    delta: &'d RuleDelta,
    by: &'d Deciding,
    row: RuleRow,
    outcome: Outcome,
    alerts: &'d mut Vec<Alert>,
    memory: &'d mut M,
}

impl<M: Memory> Decision<'_, M> {
    fn decide(&mut self) -> Result<(), M::Error> {
        let delta = self.delta;
        if delta.rule.first_seen.is_some() {
            self.learn();
            // In the order of their first calls, wherever commits fall.
            return delta.seen.iter().try_for_each(|(hash, seen)| self.see(*hash, seen));
        }
        if delta.rule.threshold.is_some() {
            return delta.groups.iter().try_for_each(|(hash, group)| self.count(*hash, group));
        }
        self.outcome.matches = delta.met;
        self.row.matches += delta.met;
        self.outcome.withheld[RATE] += delta.met - delta.found.len() as u64;
        for found in &delta.found {
            self.keep(found, None, true)?;
        }
        Ok(())
    }

    /// The rule's first event begins its learning; another definition learns anew.
    fn learn(&mut self) {
        let state_id = self.delta.rule.state_id();
        if self.row.learning.is_none_or(|(learned, _)| learned != state_id) {
            self.row.learning = Some((state_id, self.delta.first_s));
        }
    }

    fn see(&mut self, hash: u64, seen: &Seen) -> Result<(), M::Error> {
        let rule = Arc::clone(&self.delta.rule);
        let Some(first_seen) = &rule.first_seen else { return Ok(()) };
        let (key, stored, is_overflow) = self.stored(&rule, 0, &seen.value)?;
        let mut known = match stored {
            Some(ValueRow::Seen { last_s }) => Some(stateful::Seen { last_s }),
            _ => None,
        };
        let from_s = self.learns_from(&rule, seen)?;
        let learning_until_s =
            if self.by.is_learning { i64::MAX } else { from_s.saturating_add(first_seen.learn_for_s) };
        for sighting in &seen.sightings {
            if sighting.before_s > i64::MIN {
                let last_s = known.map_or(sighting.before_s, |known| known.last_s.max(sighting.before_s));
                known = Some(stateful::Seen { last_s });
            }
            let (now_known, is_match) = first_seen.see(known, sighting.found.time_s, learning_until_s);
            known = Some(now_known);
            if is_match {
                self.matched(&sighting.found, None)?;
            }
        }
        let last_s = known.map_or(seen.last_s, |known| known.last_s.max(seen.last_s));
        let until_s = last_s.saturating_add(first_seen.forget_after_s);
        // What is forgotten may only be told apart from what never was while it is still there.
        let until_s = if first_seen.fires == stateful::Fires::Both { until_s } else { i64::MAX };
        self.memory.put_value(&key, &ValueRow::Seen { last_s }, until_s)?;
        if !is_overflow {
            self.outcome.known.push((hash, last_s));
        }
        Ok(())
    }

    /// From when on the value's learner learns.
    fn learns_from(&mut self, rule: &Rule, seen: &Seen) -> Result<i64, M::Error> {
        let of_rule = self.row.learning.map_or(0, |(_, from_s)| from_s);
        let Some(first) = seen.sightings.first().filter(|_| !seen.learner.is_empty()) else {
            return Ok(of_rule);
        };
        let (key, stored, _) = self.stored(rule, 2, &seen.learner)?;
        if let Some(ValueRow::Learning { from_s }) = stored {
            return Ok(from_s);
        }
        let from_s = first.found.time_s;
        self.memory.put_value(&key, &ValueRow::Learning { from_s }, i64::MAX)?;
        Ok(from_s)
    }

    fn count(&mut self, hash: u64, group: &Group) -> Result<(), M::Error> {
        let rule = Arc::clone(&self.delta.rule);
        let Some(threshold) = &rule.threshold else { return Ok(()) };
        let (key, stored, _) = self.stored(&rule, 0, &group.value)?;
        let mut counts = counts_of(stored);
        for occurrence in &group.events {
            let slowest_s = self.by.slowest_s.unwrap_or(i64::MAX).min(occurrence.newest_s);
            for _ in 0..occurrence.count {
                let (time_s, distinct) = (occurrence.time_s, occurrence.distinct);
                match threshold.count(&mut counts, time_s, distinct, rule.repeat_s, slowest_s) {
                    Counted::Below => {}
                    Counted::Late => self.outcome.withheld[LATE] += 1,
                    Counted::Repeated => self.outcome.withheld[REPEAT] += 1,
                    Counted::Reached(count) => {
                        // There is nothing to tell only if a match near it was forgotten since.
                        if let Some(found) = &occurrence.found {
                            self.matched(found, Some(count))?;
                        }
                    }
                }
            }
        }
        self.outcome.known.extend(counts.matched_s.last().map(|matched_s| (hash, *matched_s)));
        let newest_s = threshold.newest_s(&counts).unwrap_or_default();
        let until_s = newest_s.saturating_add(threshold.within_s + stateful::LATENESS_S + rule.repeat_s);
        self.memory.put_value(&key, &row_of(counts), until_s)
    }

    /// What is remembered under a value; if there is no room for it, under the one that all such share.
    fn stored(
        &mut self,
        rule: &Rule,
        kind: u8,
        value: &str,
    ) -> Result<(ValueKey, Option<ValueRow>, bool), M::Error> {
        let key = ValueKey { state_id: rule.state_id(), kind, value: value.to_owned() };
        let stored = self.memory.value(&key)?;
        if stored.is_some() || self.memory.has_room()? {
            return Ok((key, stored, false));
        }
        self.outcome.overflow += 1;
        let key = ValueKey { value: OVERFLOW.to_owned(), ..key };
        let stored = self.memory.value(&key)?;
        Ok((key, stored, true))
    }

    /// A rule that remembers or counts matches.
    fn matched(&mut self, found: &Taken, count: Option<u64>) -> Result<(), M::Error> {
        self.outcome.matches += 1;
        self.row.matches += 1;
        self.keep(found, count, false)
    }

    /// Keeps a match, up to the cap, and tells of it, unless its group was told of not long ago.
    fn keep(&mut self, taken: &Taken, count: Option<u64>, tells_once: bool) -> Result<(), M::Error> {
        if !self.may_keep() {
            self.outcome.withheld[RATE] += 1;
            return Ok(());
        }
        self.row.in_minute += 1;
        let found = &Found::of(&self.delta.rule, taken);
        let is_repeated = tells_once && self.is_told_already(found)?;
        self.outcome.withheld[REPEAT] += u64::from(is_repeated);
        let rule = &self.delta.rule;
        if let (Some(link), false) = (&self.by.alert_link, is_repeated) {
            self.alerts.push(alert::of_match(rule, found, count, self.by.now_ms, link));
        }
        let priority =
            Priority::ALL.iter().position(|priority| *priority == rule.priority).unwrap_or_default();
        self.memory.keep(StoredMatch {
            rule: rule.name.clone(),
            priority: priority as u8,
            source: rule.source.clone(),
            tags: rule.tags.clone(),
            found: found.clone(),
            count,
            ruleset: self.delta.ruleset,
            matched_ms: self.by.now_ms,
            is_alerted: !is_repeated && self.by.alert_link.is_some(),
        })
    }

    /// Whether one more match of the rule is kept in this minute.
    fn may_keep(&mut self) -> bool {
        let minute = self.by.now_ms / MINUTE_MS;
        if self.row.minute != minute {
            (self.row.minute, self.row.in_minute) = (minute, 0);
        }
        self.row.in_minute < self.by.per_minute
    }

    /// Whether the match's group was told of within `repeat`; if not, it is now.
    fn is_told_already(&mut self, found: &Found) -> Result<bool, M::Error> {
        let rule = Arc::clone(&self.delta.rule);
        if rule.repeat_s == 0 {
            return Ok(false);
        }
        let group: String =
            found.labels.iter().map(|(name, value)| format!("{name}={}:{value}", value.len())).collect();
        let (key, stored, _) = self.stored(&rule, 1, &group)?;
        let last_s = match stored {
            Some(ValueRow::Told { last_s }) => Some(last_s),
            _ => None,
        };
        if last_s.is_some_and(|last_s| (found.time_s - last_s).abs() < rule.repeat_s) {
            return Ok(true);
        }
        let last_s = last_s.map_or(found.time_s, |last_s| last_s.max(found.time_s));
        self.memory.put_value(&key, &ValueRow::Told { last_s }, last_s.saturating_add(rule.repeat_s))?;
        Ok(false)
    }
}

fn counts_of(stored: Option<ValueRow>) -> Counts {
    match stored {
        Some(ValueRow::Counts { buckets, distinct, matched_s }) => Counts {
            buckets: buckets.into_iter().collect(),
            distinct: distinct
                .into_iter()
                .map(|(bucket, values)| (bucket, values.into_iter().collect()))
                .collect(),
            matched_s: matched_s.into_iter().collect(),
        },
        _ => Counts::default(),
    }
}

fn row_of(counts: Counts) -> ValueRow {
    ValueRow::Counts {
        buckets: counts.buckets.into_iter().collect(),
        distinct: counts
            .distinct
            .into_iter()
            .map(|(bucket, values)| (bucket, values.into_iter().collect()))
            .collect(),
        matched_s: counts.matched_s.into_iter().collect(),
    }
}
