//! The hot path: judges an event, drops what was counted before, classifies and counts the rest.

use std::cell::LazyCell;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::{DefaultHashBuilder, HashMap};

use super::{DeadLetter, Settings};
use crate::callers;
use crate::decode::json::Value;
use crate::decode::{EventRejection, RecordOutcome, RecordRejection, Sink};
use crate::detect::{self, Detector};
use crate::duplicates::Duplicates;
use crate::event::judge::{self, Verdict, Weakness};
use crate::event::{Event, Texts, principal};
use crate::metrics::{Metrics, Observations};
use crate::totals::Totals;
use crate::window::{CallKey, Delta, Versions};

/// Event sources that get a label of their own; there are some 300 services.
const MAX_EVENT_SOURCES: usize = 600;
/// The label of the others.
const OTHER_SOURCES: &str = "(other)";

/// What was counted since the last commit.
#[derive(Default)]
pub struct Pending {
    /// Calls by minute, caller and versions.
    pub delta: Delta,
    /// The accounting.
    pub totals: Totals,
    /// Weak callers.
    pub weak: callers::Delta,
    /// From event time to now.
    pub delays: Observations,
    by_source: HashMap<Box<str>, [u64; Versions::COUNT]>,
}

impl Pending {
    /// Adds everything that moves with a commit to the metrics.
    pub fn count_into(&mut self, metrics: &Metrics, source: &str, now_ms: u64) {
        metrics.count(source, &self.totals);
        metrics.event_delay.add(&mut self.delays, now_ms);
        for (event_source, counts) in &mut self.by_source {
            for versions in Versions::all() {
                let count = std::mem::take(&mut counts[usize::from(versions.code())]);
                if count > 0 {
                    let labels = [versions.signature(), versions.tls(), event_source];
                    metrics.calls.with_label_values(&labels).inc_by(count);
                }
            }
        }
        self.totals = Totals::default();
        self.delta.clear();
    }

    fn count_source(&mut self, event_source: &str, versions: Versions) -> bool {
        let slot = usize::from(versions.code());
        if let Some(counts) = self.by_source.get_mut(event_source) {
            counts[slot] += 1;
            return true;
        }
        let has_room = self.by_source.len() < MAX_EVENT_SOURCES;
        let label = if has_room { event_source } else { OTHER_SOURCES };
        self.by_source.entry(label.into()).or_default()[slot] += 1;
        has_room
    }
}

/// Counts the events of one shard.
pub struct Counter {
    /// What is not committed yet.
    pub pending: Pending,
    /// The rules at work.
    pub detector: Detector,
    /// The ids that were seen.
    pub duplicates: Duplicates,
    /// The newest event time of the lineage, committed or not.
    pub newest_s: Option<i64>,
    settings: Arc<Settings>,
    metrics: Arc<Metrics>,
    dead_letter: Option<Arc<DeadLetter>>,
    /// When the record at hand arrived (milliseconds since 1970).
    arrival_ms: u64,
    now_ms: u64,
    scratch: String,
    /// Of texts by which calls are told apart.
    hasher: DefaultHashBuilder,
}

impl Counter {
    /// A counter that goes on with these ids.
    pub fn new(
        settings: Arc<Settings>,
        metrics: Arc<Metrics>,
        dead_letter: Option<Arc<DeadLetter>>,
        duplicates: Duplicates,
        newest_s: Option<i64>,
    ) -> Self {
        Self {
            pending: Pending::default(),
            detector: Detector::new(&settings.rules),
            duplicates,
            newest_s,
            settings,
            metrics,
            dead_letter,
            arrival_ms: 0,
            now_ms: 0,
            scratch: String::new(),
            hasher: DefaultHashBuilder::default(),
        }
    }

    /// Takes up a new config.
    pub fn set_settings(&mut self, settings: Arc<Settings>) {
        self.detector.set_rules(&settings.rules);
        self.settings = settings;
        self.pending.weak.ask_again();
    }

    /// The next events stand in a record that arrived at `arrival_ms`; it is `now_ms`.
    pub fn begin_record(&mut self, arrival_ms: u64, now_ms: u64) {
        (self.arrival_ms, self.now_ms) = (arrival_ms, now_ms);
    }

    fn call(&mut self, event: &Event<'_>, json: Value<'_>, time_s: i64) {
        let newest_s = self.newest_s.map_or(time_s, |newest_s| newest_s.max(time_s));
        self.newest_s = Some(newest_s);
        let versions = Versions::new(event.signature.code(), event.tls.code());
        let key = CallKey {
            account_id: event.account_id(),
            principal: principal::principal(event, &mut self.scratch),
            is_outside: judge::is_outside(event, &self.settings.policy),
            versions,
        };
        let pending = &mut self.pending;
        let is_in_windows = pending.delta.count(key, time_s, newest_s);
        let CallKey { account_id, principal, is_outside, .. } = key;
        // Without rules few calls need them.
        let texts = LazyCell::new(|| Texts::of(event, account_id, principal, &self.hasher));
        if Weakness::is_any_of(event) {
            let call = callers::Call { event, texts: &texts, time_s, account_id, principal, is_outside };
            pending.weak.count(&call, &self.settings.weak_callers);
        }
        if !self.detector.is_idle() {
            let minute = self.now_ms / 60_000;
            let call = detect::Call { event, json, texts: &texts, time_s, newest_s, minute, number: 0 };
            self.detector.call(call);
        }
        let totals = &mut pending.totals;
        judge::count_call(event, totals);
        totals.late += u64::from(!is_in_windows);
        let delay_ms = self.now_ms.saturating_sub(time_s.max(0).cast_unsigned() * 1000);
        pending.delays.observe(Duration::from_millis(delay_ms));
        if !pending.count_source(event.source.unwrap_or_default(), versions) {
            self.metrics.limit_hits.with_label_values(&["event_sources"]).inc();
        }
    }

    fn reject(&mut self, reason: EventRejection, text: &[u8]) {
        self.pending.totals.rejected[reason as usize] += 1;
        match reason {
            EventRejection::TooLarge => self.metrics.limit_hits.with_label_values(&["event_bytes"]).inc(),
            EventRejection::TooDeep => self.metrics.limit_hits.with_label_values(&["depth"]).inc(),
            _ => {}
        }
        self.sample(reason.label(), text);
    }

    fn sample(&self, reason: &'static str, text: &[u8]) {
        if let Some(dead_letter) = &self.dead_letter {
            dead_letter.take(reason, text, self.now_ms, &self.metrics);
        }
    }
}

impl Sink for Counter {
    fn event(&mut self, event: &Event<'_>, json: Value<'_>, text: &[u8]) {
        let arrival_s = (self.arrival_ms / 1000).cast_signed();
        let (duplicates, limits) = (&mut self.duplicates, self.settings.duplicates);
        let verdict = judge::judge(event, &self.settings.policy, arrival_s, |id| {
            duplicates.is_duplicate(id, arrival_s, limits)
        });
        match verdict {
            Verdict::Call { time_s } => self.call(event, json, time_s),
            Verdict::Dropped(dropped) => self.pending.totals.dropped[dropped as usize] += 1,
            Verdict::NotCall(category) => self.pending.totals.not_calls[category as usize] += 1,
            Verdict::Rejected(reason) => self.reject(reason, text),
        }
    }

    fn rejected(&mut self, reason: EventRejection, text: &[u8]) {
        self.reject(reason, text);
    }

    fn record(&mut self, outcome: RecordOutcome, data: &[u8]) {
        let totals = &mut self.pending.totals;
        match outcome {
            RecordOutcome::Decoded => totals.records_decoded += 1,
            RecordOutcome::Control => totals.records_control += 1,
            RecordOutcome::Rejected(rejection) => {
                totals.records_rejected[rejection as usize] += 1;
                if rejection == RecordRejection::TooLarge {
                    self.metrics.limit_hits.with_label_values(&["decompressed_bytes"]).inc();
                }
                self.sample(rejection.label(), data);
            }
        }
    }
}
