//! Rules on trial: over events that are at hand, without a state. For `trailmeter rules test`.
//!
//! Enters: records, through the same decoder and judgement as a stream's. Leaves: how many events there were, and how
//! often each rule matched.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::sync::Arc;

use hashbrown::DefaultHashBuilder;
use trailmeter_rules::RuleSet;

use super::decide::{Deciding, LATE, Memory, RuleRow, StoredMatch, ValueKey, ValueRow, decide};
use super::{ActiveRules, Call, Detector};
use crate::decode::json::Value;
use crate::decode::{Decoder, EventRejection, Limits, RecordOutcome, Sink};
use crate::event::judge::{self, Policy, Verdict};
use crate::event::{Event, Texts, principal};
use crate::source::Payload;

/// Rules, and what they have met so far.
pub struct Trial {
    decoder: Decoder,
    judging: Judging,
    remembered: Remembered,
    matches: HashMap<String, u64>,
    late: u64,
}

struct Judging {
    detector: Detector,
    policy: Policy,
    now_s: i64,
    ids: HashSet<u128>,
    events: u64,
    scratch: String,
    hasher: DefaultHashBuilder,
}

impl Trial {
    /// With these rules; the time is `now_ms`.
    pub fn new(rules: RuleSet, limits: Limits, policy: Policy, now_ms: u64) -> Self {
        let active = ActiveRules { per_minute: u32::MAX, ..ActiveRules::of(Arc::new(rules)) };
        let judging = Judging {
            detector: Detector::new(&active),
            policy,
            now_s: (now_ms / 1000).cast_signed(),
            ids: HashSet::new(),
            events: 0,
            scratch: String::new(),
            hasher: DefaultHashBuilder::default(),
        };
        let decoder = Decoder::new(limits);
        Self { decoder, judging, remembered: Remembered::default(), matches: HashMap::new(), late: 0 }
    }

    /// Takes a record.
    pub fn take(&mut self, payload: &Payload) {
        self.decoder.decode(payload, &mut self.judging);
        let deciding = Deciding { per_minute: u32::MAX, ..Deciding::default() };
        let Ok((outcomes, _)) = decide(&self.judging.detector.take(), &deciding, &mut self.remembered);
        for outcome in outcomes {
            *self.matches.entry(outcome.rule.name.clone()).or_default() += outcome.matches;
            self.late += outcome.withheld[LATE];
        }
    }

    /// Events so far, whatever became of them.
    pub fn events(&self) -> u64 {
        self.judging.events
    }

    /// Calls that came too late to be counted by a threshold.
    pub fn late(&self) -> u64 {
        self.late
    }

    /// How often a rule matched.
    pub fn matches(&self, rule: &str) -> u64 {
        self.matches.get(rule).copied().unwrap_or(0)
    }
}

impl Sink for Judging {
    fn event(&mut self, event: &Event<'_>, json: Value<'_, '_>, _: &[u8]) {
        self.events += 1;
        let ids = &mut self.ids;
        let is_duplicate = |id: &str| !ids.insert(xxhash_rust::xxh3::xxh3_128(id.as_bytes()));
        let Verdict::Call { time_s } = judge::judge(event, &self.policy, self.now_s, is_duplicate) else {
            return;
        };
        let principal = principal::principal(event, &mut self.scratch);
        let account_id = event.account_id();
        let texts = &Texts::of(event, account_id, principal, &self.hasher);
        self.detector.call(Call { event, json, texts, time_s, minute: 0, number: 0 });
    }

    fn rejected(&mut self, _: EventRejection, _: &[u8]) {
        self.events += 1;
    }

    fn record(&mut self, _: RecordOutcome, _: &[u8]) {}
}

/// What rules remember, in memory.
#[derive(Default)]
struct Remembered {
    rules: HashMap<String, RuleRow>,
    values: HashMap<ValueKey, ValueRow>,
}

impl Memory for Remembered {
    type Error = Infallible;

    fn rule(&mut self, name: &str) -> Result<RuleRow, Infallible> {
        Ok(self.rules.get(name).cloned().unwrap_or_default())
    }

    fn put_rule(&mut self, name: &str, row: &RuleRow) -> Result<(), Infallible> {
        self.rules.insert(name.to_owned(), row.clone());
        Ok(())
    }

    fn value(&mut self, key: &ValueKey) -> Result<Option<ValueRow>, Infallible> {
        Ok(self.values.get(key).cloned())
    }

    fn put_value(&mut self, key: &ValueKey, row: &ValueRow, _: i64) -> Result<(), Infallible> {
        self.values.insert(key.clone(), row.clone());
        Ok(())
    }

    fn has_room(&mut self) -> Result<bool, Infallible> {
        Ok(true)
    }

    fn keep(&mut self, _: StoredMatch) -> Result<(), Infallible> {
        Ok(())
    }
}
