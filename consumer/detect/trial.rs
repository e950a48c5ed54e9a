//! Rules on trial: over events that are at hand, without a state. For `trailmeter rules test`.
//!
//! Enters: records, through the same decoder and judgement as a stream's. Leaves: how many events there were, and how
//! often each rule matched.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::convert::Infallible;
use std::sync::Arc;

use hashbrown::DefaultHashBuilder;
use trailmeter_rules::RuleSet;

use super::decide::{Deciding, LATE, Memory, RuleRow, StoredMatch, ValueKey, ValueRow, decide};
use super::{ActiveRules, Call, Detector};
use crate::decode::json::Value;
use crate::decode::{Decoder, EventRejection, Limits, RecordOutcome, Sink};
use crate::duplicates::number_of;
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
    /// Events and records that rules were not asked about, by reason.
    passed_over: BTreeMap<&'static str, u64>,
    newest_s: i64,
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
            passed_over: BTreeMap::new(),
            newest_s: i64::MIN,
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

    /// How many events rules were not asked about, and records without events, by reason: their names in
    /// [`crate::totals`].
    pub fn passed_over(&self) -> &BTreeMap<&'static str, u64> {
        &self.judging.passed_over
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

impl Judging {
    fn pass_over(&mut self, reason: &'static str) {
        *self.passed_over.entry(reason).or_default() += 1;
    }
}

impl Sink for Judging {
    fn event(&mut self, event: &Event<'_>, json: Value<'_>, _: &[u8]) {
        self.events += 1;
        let ids = &mut self.ids;
        let is_duplicate = |id: &str| !ids.insert(number_of(id));
        let time_s = match judge::judge(event, &self.policy, self.now_s, is_duplicate) {
            Verdict::Call { time_s } => time_s,
            Verdict::Rejected(reason) => return self.pass_over(reason.label()),
            Verdict::Dropped(reason) => return self.pass_over(reason.label()),
            Verdict::NotCall(category) => return self.pass_over(category.label()),
        };
        self.newest_s = self.newest_s.max(time_s);
        let principal = principal::principal(event, &mut self.scratch);
        let account_id = event.account_id();
        let texts = &Texts::of(event, account_id, principal, &self.hasher);
        let newest_s = self.newest_s;
        self.detector.call(Call { event, json, texts, time_s, newest_s, minute: 0, number: 0 });
    }

    fn rejected(&mut self, reason: EventRejection, _: &[u8]) {
        self.events += 1;
        self.pass_over(reason.label());
    }

    fn record(&mut self, outcome: RecordOutcome, _: &[u8]) {
        if let RecordOutcome::Rejected(reason) = outcome {
            self.pass_over(reason.label());
        }
    }
}

/// What rules remember, in memory.
#[derive(Default)]
pub struct Remembered {
    rules: HashMap<String, RuleRow>,
    values: HashMap<ValueKey, Row>,
}

/// A [`ValueRow`] in little room: most are times.
enum Row {
    Seen(i64),
    Other(Box<ValueRow>),
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
        Ok(self.values.get(key).map(|row| match row {
            Row::Seen(last_s) => ValueRow::Seen { last_s: *last_s },
            Row::Other(row) => (**row).clone(),
        }))
    }

    fn put_value(&mut self, key: &ValueKey, row: &ValueRow, _: i64) -> Result<(), Infallible> {
        let row = match row {
            ValueRow::Seen { last_s } => Row::Seen(*last_s),
            row => Row::Other(Box::new(row.clone())),
        };
        match self.values.get_mut(key) {
            Some(known) => *known = row,
            None => _ = self.values.insert(key.clone(), row),
        }
        Ok(())
    }

    fn has_room(&mut self) -> Result<bool, Infallible> {
        Ok(true)
    }

    fn keep(&mut self, _: StoredMatch) -> Result<(), Infallible> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use trailmeter_rules::{Matching, SourceFile};

    use super::*;

    const RULES: &str = "
- {rule: Counted, desc: d, condition: ct.name exists, output: x, priority: INFO, source: aws_cloudtrail,
   threshold: {count: 2, within: 5m, by: [ct.region]}, repeat: 10m}
- {rule: Different, desc: d, condition: ct.name exists, output: x, priority: INFO, source: aws_cloudtrail,
   threshold: {count: 2, within: 5m, by: [ct.region], distinct: ct.name}, repeat: 0s}
- {rule: Seen, desc: d, condition: ct.name exists, output: x, priority: INFO, source: aws_cloudtrail,
   first_seen: {by: [ct.name, ct.region], forget_after: 1h}}
- {rule: Learned, desc: d, condition: ct.name exists, output: x, priority: INFO, source: aws_cloudtrail,
   first_seen: {by: [ct.name, ct.region], learn_for: 20m, learn_by: [ct.region]}}
";

    #[test]
    fn a_path_leads_through_lists_wherever_they_stand() {
        let rule = "
title: Issuer
logsource: {product: aws, service: cloudtrail}
detection: {selection: {userIdentity.sessionContext.sessionIssuer.type: Role}, condition: selection}
level: low
";
        for (identity, matches) in [
            (r#"{"sessionContext": {"sessionIssuer": {"type": "Role"}}}"#, 1),
            (r#"{"sessionContext": {"sessionIssuer": [{"type": "User"}, {"type": "Role"}]}}"#, 1),
            (r#"{"sessionContext": [{"sessionIssuer": {"type": "Role"}}]}"#, 1),
            (r#"[{"sessionContext": {"sessionIssuer": {"type": "Role"}}}]"#, 1),
            (r#"{"sessionContext": {"sessionIssuer": {"type": ["Role"]}}}"#, 1),
            (r#"{"sessionContext": {"sessionIssuer": {"type": "User"}}}"#, 0),
            (r#"{"sessionContext": [{"sessionIssuer": {"type": "User"}}]}"#, 0),
            (r#"{"type": "Role"}"#, 0),
        ] {
            let rules = RuleSet::load(&[SourceFile::new("issuer.yml", rule)], Matching::All).rules.unwrap();
            let limits = Limits { decompressed_bytes: 10_000, event_bytes: 10_000, depth: 100 };
            let mut trial = Trial::new(rules, limits, Policy::default(), 1_700_000_000_000);
            let event = format!(
                r#"{{"eventSource": "s3.amazonaws.com", "eventName": "GetObject", "eventTime": "2023-07-10T12:00:00Z",
                    "userIdentity": {identity}}}"#
            );
            // The third is read by its layout.
            (0..3).for_each(|_| trial.take(&Payload::Bytes(event.clone().into())));
            assert_eq!(trial.matches("Issuer"), 3 * matches, "{identity}");
        }
    }

    /// What rules remember, and their matches.
    #[derive(Default)]
    struct Kept {
        remembered: Remembered,
        matches: Vec<(String, String, Option<u64>)>,
    }

    impl Memory for Kept {
        type Error = Infallible;

        fn rule(&mut self, name: &str) -> Result<RuleRow, Infallible> {
            self.remembered.rule(name)
        }

        fn put_rule(&mut self, name: &str, row: &RuleRow) -> Result<(), Infallible> {
            self.remembered.put_rule(name, row)
        }

        fn value(&mut self, key: &ValueKey) -> Result<Option<ValueRow>, Infallible> {
            self.remembered.value(key)
        }

        fn put_value(&mut self, key: &ValueKey, row: &ValueRow, until_s: i64) -> Result<(), Infallible> {
            self.remembered.put_value(key, row, until_s)
        }

        fn has_room(&mut self) -> Result<bool, Infallible> {
            Ok(true)
        }

        fn keep(&mut self, matched: StoredMatch) -> Result<(), Infallible> {
            self.matches.push((matched.rule, matched.found.event_id, matched.count));
            Ok(())
        }
    }

    /// What becomes of a call.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum After {
        Nothing,
        Commit,
        /// A commit, and a process that begins anew.
        Restart,
    }

    fn matches(calls: &[(i64, u8, bool, After)], is_disturbed: bool) -> Vec<(String, String, Option<u64>)> {
        let loaded = RuleSet::load(&[SourceFile::new("rules.yaml", RULES)], Matching::All);
        let active = ActiveRules { per_minute: u32::MAX, ..ActiveRules::of(Arc::new(loaded.rules.unwrap())) };
        let limits = Limits { decompressed_bytes: 10_000, event_bytes: 10_000, depth: 100 };
        let mut trial = Trial::new(RuleSet::empty(), limits, Policy::default(), 1_700_000_000_000);
        trial.judging.detector = Detector::new(&active);
        let mut kept = Kept::default();
        let deciding = Deciding { per_minute: u32::MAX, ..Deciding::default() };
        let mut time_s = 1_690_000_000;
        for (number, (later_s, name, is_here, after)) in calls.iter().enumerate() {
            // Most come in their order, some do not.
            time_s += later_s;
            let event = serde_json::json!({
                "eventID": number.to_string(), "eventSource": "s3.amazonaws.com", "eventName": format!("Get{name}"),
                "eventTime": crate::event::time::format(time_s), "awsRegion": if *is_here { "a" } else { "b" },
                "userIdentity": {"type": "AWSService", "invokedBy": "x"},
            });
            trial.decoder.decode(&Payload::Bytes(event.to_string().into()), &mut trial.judging);
            let is_last = number + 1 == calls.len();
            if is_last || is_disturbed && *after != After::Nothing {
                let (outcomes, _) = decide(&trial.judging.detector.take(), &deciding, &mut kept).unwrap();
                outcomes.iter().for_each(|outcome| trial.judging.detector.remember(&outcome.known));
            }
            if is_disturbed && *after == After::Restart {
                trial.judging.detector = Detector::new(&active);
            }
        }
        kept.matches.sort();
        kept.matches
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        /// Which calls match does not depend on where commits and restarts fall.
        #[test]
        fn commits_and_restarts_change_nothing(
            calls in proptest::collection::vec(
                (
                    prop_oneof![4 => 0i64..8, 4 => 0i64..200, 2 => -1500i64..0, 1 => 3590i64..3610],
                    0u8..3,
                    any::<bool>(),
                    prop_oneof![Just(After::Nothing), Just(After::Commit), Just(After::Restart)],
                ),
                1..80,
            ),
        ) {
            let undisturbed = matches(&calls, false);
            // A first call is new.
            prop_assert!(!undisturbed.is_empty());
            prop_assert_eq!(matches(&calls, true), undisturbed);
        }
    }
}
