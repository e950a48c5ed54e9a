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

use delta::{Delta, Memo};

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
    asker: Option<Asker<Memo>>,
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
            self.asker = (!rules.set.is_idle()).then(|| Asker::keeping(Arc::clone(&rules.set)));
        }
        self.delta.begin(&rules.set, rules.per_minute);
    }

    /// Whether there is nothing to ask.
    pub fn is_idle(&self) -> bool {
        self.asker.is_none()
    }

    /// Asks about a call. Its number is given to it here.
    pub fn call(&mut self, call: Call<'_>) {
        let Some(asker) = &mut self.asker else { return };
        self.calls += 1;
        let (call, delta) = (&Call { number: self.calls, ..call }, &mut self.delta);
        if asker.rules().matching() == Matching::All {
            asker.each(call, |number, rule, memo| delta.add(number, rule, call, memo));
            return;
        }
        asker.ask(call, &mut self.met);
        // Whether a rule that remembers or counts matches is decided later: it neither hides nor is hidden.
        let mut has_first = false;
        for &number in &self.met {
            let rule = &asker.rules().rules()[number as usize];
            if rule.is_stateful() || !std::mem::replace(&mut has_first, true) {
                delta.add(number, rule, call, &mut Memo::default());
            }
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
