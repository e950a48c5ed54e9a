//! Rules at work: which calls match, and what is made of it.
//!
//! Enters: the calls of a shard, one at a time, into a [`Detector`], which asks the rules about them and keeps what they
//! did since the last commit. Leaves: [`RuleDelta`]s, of which the commit makes matches and alerts ([`decide`]): what
//! rules remember and count is one for all shards, so that is decided where all shards meet. Rules come from
//! [`source`] and may be replaced at any time between two batches.

pub mod decide;
mod delta;
mod event;
mod found;
pub mod packs;
pub mod source;
pub mod trial;

use std::collections::HashSet;
use std::sync::Arc;

use hashbrown::DefaultHashBuilder;
use trailmeter_rules::index::Asker;
use trailmeter_rules::{Matching, RuleSet};

pub use delta::{Group, Occurrence, RuleDelta, Seen, Sighting};
pub use event::Call;
pub use found::{Found, Taken};

use delta::Delta;

/// Rules in force, and the bounds of what they make.
#[derive(Clone, Debug)]
pub struct ActiveRules {
    /// The rules.
    pub set: Arc<RuleSet>,
    /// What they remember by: whatever else is remembered makes room first.
    pub state_ids: Arc<HashSet<u64>>,
    /// Matches of one rule in a minute that are kept (`rules.max_matches_per_minute`).
    pub per_minute: u32,
    /// Values and groups that rules remember (`limits.rule_values`).
    pub values: u64,
    /// Matches that are kept (`limits.matches`).
    pub matches: u64,
}

impl Default for ActiveRules {
    fn default() -> Self {
        Self {
            set: Arc::new(RuleSet::empty()),
            state_ids: Arc::default(),
            per_minute: 100,
            values: 1_000_000,
            matches: 10_000,
        }
    }
}

impl ActiveRules {
    /// These, under the default bounds.
    pub fn of(set: Arc<RuleSet>) -> Self {
        Self::default().with(set)
    }

    /// These, under the same bounds.
    pub fn with(self, set: Arc<RuleSet>) -> Self {
        let state_ids = set.rules().iter().map(|rule| rule.state_id()).collect();
        Self { set, state_ids: Arc::new(state_ids), ..self }
    }
}

/// The same rules under the same bounds.
impl PartialEq for ActiveRules {
    fn eq(&self, other: &Self) -> bool {
        let bounds = |rules: &Self| (rules.set.hash(), rules.per_minute, rules.values, rules.matches);
        bounds(self) == bounds(other)
    }
}

impl Eq for ActiveRules {}

/// Asks the rules about one shard's calls.
pub struct Detector {
    /// None if there is nothing to ask.
    asker: Option<Asker>,
    delta: Delta,
    met: Vec<u32>,
    calls: u64,
}

impl Detector {
    /// With these rules.
    pub fn new(rules: &ActiveRules) -> Self {
        Self::with_hasher(rules, DefaultHashBuilder::default())
    }

    /// The same; values are known by hashes that this makes.
    pub fn with_hasher(rules: &ActiveRules, hasher: DefaultHashBuilder) -> Self {
        let mut detector = Self { asker: None, delta: Delta::new(hasher), met: Vec::new(), calls: 0 };
        detector.set_rules(rules);
        detector
    }

    /// Takes up other rules. What the earlier ones matched stays pending, and stays theirs.
    pub fn set_rules(&mut self, rules: &ActiveRules) {
        let is_same = self.asker.as_ref().is_some_and(|asker| Arc::ptr_eq(asker.rules(), &rules.set));
        if !is_same {
            self.asker = (!rules.set.is_idle()).then(|| Asker::new(Arc::clone(&rules.set)));
        }
        self.delta.begin(&rules.set, rules.per_minute);
    }

    /// Asks about a call. Its number is given to it here.
    pub fn call(&mut self, call: Call<'_>) {
        let Some(asker) = &mut self.asker else { return };
        self.calls += 1;
        let call = &Call { number: self.calls, ..call };
        let like = asker.ask(call, &mut self.met);
        if asker.rules().matching() == Matching::First {
            // Whether a rule that remembers or counts matches is decided later: it neither hides nor is hidden.
            let mut has_first = false;
            self.met.retain(|rule| {
                asker.rules().rules()[*rule as usize].is_stateful()
                    || !std::mem::replace(&mut has_first, true)
            });
        }
        if self.met.is_empty() {
            return;
        }
        let mut quiet_until_s = Some(i64::MAX);
        for &rule in &self.met {
            let until_s = self.delta.add(rule, &asker.rules().rules()[rule as usize], call);
            quiet_until_s = quiet_until_s.zip(until_s).map(|(all_s, until_s)| all_s.min(until_s));
        }
        if let (Some(like), Some(until_s)) = (like, quiet_until_s) {
            asker.set_quiet(like, until_s);
        }
    }

    /// Roughly the bytes that are pending.
    pub fn bytes(&self) -> usize {
        self.delta.bytes()
    }

    /// Whether something was found of which people may be told, since this was last asked.
    pub fn take_news(&mut self) -> bool {
        self.delta.take_news()
    }

    /// Everything since the last commit, which makes it durable.
    pub fn take(&mut self) -> Vec<RuleDelta> {
        self.delta.take()
    }

    /// These values, by their hash, are known up to this event time.
    pub fn remember(&mut self, known: &[(u64, i64)]) {
        self.delta.remember(known);
    }
}
