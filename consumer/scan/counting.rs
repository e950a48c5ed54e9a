//! What a thread counts.
//!
//! Budget: a call of a group that was seen costs its key, a hash over it and two look-ups, one of them for its id.

use std::cell::LazyCell;
use std::collections::BTreeMap;

use hashbrown::DefaultHashBuilder;
use trailmeter_rules::Asker;

use super::groups::{END, Groups};
use super::ids::Ids;
use super::matching::Asking;
use super::{Hours, Options, Part, Sum};
use crate::callers::{self, CallerPolicy};
use crate::decode::json::Value;
use crate::decode::{EventRejection, RecordOutcome, Sink};
use crate::detect;
use crate::duplicates::number_of;
use crate::event::judge::{self, Verdict, Weakness};
use crate::event::{Event, Texts, principal};
use crate::totals::{NotCall, Totals};
use crate::window::{HOUR_S, Versions, bucket};

/// Bytes of a UUID.
const UUID: usize = 36;

/// Counts what the decoder finds.
pub struct Counting<'a> {
    options: &'a Options,
    ids: &'a Ids,
    asker: Option<Asker>,
    asking: Option<Asking>,
    /// The newest event time of the file at hand.
    newest_s: i64,
    met: Vec<u32>,
    groups: Groups,
    hours: Hours,
    totals: Totals,
    weak: callers::Delta,
    policy: CallerPolicy,
    events: u64,
    /// What was wrong in the file at hand.
    reasons: BTreeMap<&'static str, u64>,
    /// The ids of this event and of the next, as far as they were told before, and their numbers.
    ahead: [Option<([u8; UUID], u128)>; 2],
    key: Vec<u8>,
    scratch: String,
    hasher: DefaultHashBuilder,
}

impl<'a> Counting<'a> {
    /// Nothing was counted yet.
    pub fn new(options: &'a Options, ids: &'a Ids, asking: Option<Asking>) -> Self {
        Self {
            options,
            ids,
            asker: options.only.clone().map(Asker::new),
            asking,
            newest_s: i64::MIN,
            met: Vec::new(),
            groups: Groups::default(),
            hours: Hours::default(),
            totals: Totals::default(),
            weak: callers::Delta::default(),
            policy: CallerPolicy { values: options.caller_values, ..CallerPolicy::default() },
            events: 0,
            reasons: BTreeMap::new(),
            ahead: [None; 2],
            key: Vec::new(),
            scratch: String::new(),
            hasher: DefaultHashBuilder::default(),
        }
    }

    /// What was wrong since this was last asked.
    pub fn take_reasons(&mut self) -> BTreeMap<&'static str, u64> {
        std::mem::take(&mut self.reasons)
    }

    /// Events since this was last asked.
    pub fn take_events(&mut self) -> u64 {
        std::mem::take(&mut self.events)
    }

    /// The file at hand is done.
    pub fn end_file(&mut self) {
        self.newest_s = i64::MIN;
    }

    /// Whoever asks the rules.
    pub fn asking(&mut self) -> Option<&mut Asking> {
        self.asking.as_mut()
    }

    /// Everything.
    pub fn finish(mut self) -> Part {
        Part { groups: self.groups, hours: self.hours, totals: self.totals, weak: self.weak.take() }
    }

    fn call(&mut self, event: &Event<'_>, json: Value<'_>, principal: &str, time_s: i64) {
        judge::count_call(event, &mut self.totals);
        let Options { since_s, until_s, .. } = *self.options;
        if since_s.is_some_and(|since_s| time_s < since_s) || until_s.is_some_and(|until_s| time_s >= until_s)
        {
            return;
        }
        let account_id = event.account_id();
        // Most calls are not weak, and need them for rules only.
        let texts = LazyCell::new(|| Texts::of(event, account_id, principal, &self.hasher));
        if self.asker.is_some() || self.asking.is_some() {
            let newest_s = self.newest_s.max(time_s);
            self.newest_s = newest_s;
            let call = detect::Call { event, json, texts: &texts, time_s, newest_s, minute: 0, number: 0 };
            if let Some(asker) = &mut self.asker {
                asker.ask(&call, &mut self.met);
                if self.met.is_empty() {
                    return;
                }
            }
            if let Some(asking) = &mut self.asking {
                asking.call(call);
            }
        }
        self.key.clear();
        for field in &self.options.group_by {
            self.key.extend_from_slice(field.value(event, principal).as_bytes());
            self.key.push(END);
        }
        self.groups.count(&self.key, Sum { calls: 1, first_s: time_s, last_s: time_s });
        let versions = Versions::new(event.signature.code(), event.tls.code());
        let hour = self.hours.entry(bucket(time_s, HOUR_S)).or_insert([0; Versions::COUNT]);
        hour[usize::from(versions.code())] += 1;
        if Weakness::is_any_of(event) {
            let is_outside = judge::is_outside(event, &self.options.policy);
            let call = callers::Call { event, texts: &texts, time_s, account_id, principal, is_outside };
            self.weak.count(&call, &self.policy);
        }
    }

    fn note(&mut self, reason: &'static str) {
        *self.reasons.entry(reason).or_default() += 1;
    }
}

impl Sink for Counting<'_> {
    fn ahead(&mut self, id: &str) {
        // Of many ids each lies in memory that is far away. It is on its way while the event before it is counted.
        let number = number_of(id);
        self.ids.prefetch(number);
        let text = id.as_bytes().try_into().ok();
        self.ahead = [self.ahead[1], text.map(|text| (text, number))];
    }

    fn event(&mut self, event: &Event<'_>, json: Value<'_>, _: &[u8]) {
        self.events += 1;
        let (ids, ahead) = (self.ids, &self.ahead);
        let number = |id: &str| {
            let uuid: Option<&[u8; UUID]> = id.as_bytes().try_into().ok();
            let known = uuid.and_then(|uuid| ahead.iter().flatten().find(|(text, _)| text == uuid));
            known.map_or_else(|| number_of(id), |(_, number)| *number)
        };
        match judge::judge(event, &self.options.policy, self.options.now_s, |id| ids.is_known(number(id))) {
            Verdict::Call { time_s } => {
                let mut scratch = std::mem::take(&mut self.scratch);
                self.call(event, json, principal::principal(event, &mut scratch), time_s);
                self.scratch = scratch;
            }
            Verdict::Dropped(dropped) => self.totals.dropped[dropped as usize] += 1,
            Verdict::NotCall(category) => {
                self.totals.not_calls[category as usize] += 1;
                if category == NotCall::Digest {
                    self.note(category.label());
                }
            }
            Verdict::Rejected(reason) => self.rejected(reason, &[]),
        }
    }

    fn rejected(&mut self, reason: EventRejection, _: &[u8]) {
        self.totals.rejected[reason as usize] += 1;
        self.note(reason.label());
    }

    fn record(&mut self, outcome: RecordOutcome, _: &[u8]) {
        match outcome {
            RecordOutcome::Decoded => self.totals.records_decoded += 1,
            RecordOutcome::Control => self.totals.records_control += 1,
            RecordOutcome::Rejected(rejection) => {
                self.totals.records_rejected[rejection as usize] += 1;
                self.note(rejection.label());
            }
        }
    }
}
