//! What rules match: asked by all threads, decided in the order of the files.
//!
//! What a rule remembers and counts depends on what came before; so the deltas of files wait until those of the files
//! before them are decided, and the result is the same for any number of threads. What was decided the threads are told in
//! turn: a value that a rule knows by then costs them next to nothing from there on, as in a stream after a commit.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use hashbrown::DefaultHashBuilder;
use parking_lot::Mutex;
use trailmeter_rules::RuleSet;

use crate::detect::decide::{Deciding, LATE, decide};
use crate::detect::trial::Remembered;
use crate::detect::{ActiveRules, Call, Detector, RuleDelta};

/// Values that were decided and are kept for threads that were not told of them yet. Who misses some asks about them in
/// vain, and finds the same.
const MOST_UNTOLD: usize = 1 << 16;

/// The rules, and what became of them so far.
pub struct Matching {
    rules: ActiveRules,
    /// All threads know values by the same hashes.
    hasher: DefaultHashBuilder,
    decided: Mutex<Decided>,
}

/// Asks the rules about one thread's calls.
pub struct Asking {
    detector: Detector,
    /// How many values it was told of.
    told: usize,
}

impl Asking {
    /// Asks about a call.
    pub fn call(&mut self, call: Call<'_>) {
        self.detector.call(call);
    }
}

#[derive(Default)]
struct Decided {
    /// The next file whose turn it is.
    next: usize,
    /// By the number of the first file of several: one past the last of them, and what was met in them.
    waiting: BTreeMap<usize, (usize, Vec<RuleDelta>)>,
    remembered: Remembered,
    matches: HashMap<String, u64>,
    late: u64,
    /// Values by their hash that are known up to an event time, and how many there were before them.
    known: Vec<(u64, i64)>,
    known_before: usize,
}

impl Matching {
    /// With these rules.
    pub fn new(rules: Arc<RuleSet>) -> Self {
        // Matches are counted, and none is kept.
        let rules = ActiveRules { per_minute: 0, ..ActiveRules::of(rules) };
        Self { rules, hasher: DefaultHashBuilder::default(), decided: Mutex::default() }
    }

    /// Whoever asks the rules about a thread's calls.
    pub fn asking(&self) -> Asking {
        Asking { detector: Detector::with_hasher(&self.rules, self.hasher.clone()), told: 0 }
    }

    /// Takes what a thread met in these files; tells it what was decided meanwhile.
    pub fn take(&self, files: Range<usize>, asking: &mut Asking) {
        let deltas = asking.detector.take();
        let mut decided = self.decided.lock();
        decided.waiting.insert(files.start, (files.end, deltas));
        while let Some((end, deltas)) = {
            let next = decided.next;
            decided.waiting.remove(&next)
        } {
            decided.next = end;
            decided.decide(&deltas);
        }
        // All files that were decided come before the next one of this thread.
        asking.detector.remember(decided.known_since(asking.told));
        asking.told = decided.known_before + decided.known.len();
    }

    /// How often each rule matched, in their order; and how many calls came too late to be counted by a threshold.
    pub fn matches(&self) -> (Vec<(String, u64)>, u64) {
        let mut decided = self.decided.lock();
        // Of a scan that was ended early, those whose turn did not come.
        for (_, (_, deltas)) in std::mem::take(&mut decided.waiting) {
            decided.decide(&deltas);
        }
        let rules = self.rules.set.rules().iter().filter(|rule| rule.enabled);
        let matches =
            rules.map(|rule| (rule.name.clone(), decided.matches.get(&rule.name).copied().unwrap_or(0)));
        (matches.collect(), decided.late)
    }
}

impl Decided {
    fn decide(&mut self, deltas: &[RuleDelta]) {
        let Ok((outcomes, _)) = decide(deltas, &Deciding::default(), &mut self.remembered);
        for outcome in outcomes {
            *self.matches.entry(outcome.rule.name.clone()).or_default() += outcome.matches;
            self.late += outcome.withheld[LATE];
            // When a group last matched is not told: files go back in time, where that match may be forgotten already.
            if outcome.rule.first_seen.is_some() {
                self.known.extend(outcome.known);
            }
        }
        if self.known.len() > MOST_UNTOLD {
            let dropped = self.known.len() - MOST_UNTOLD / 2;
            self.known.drain(..dropped);
            self.known_before += dropped;
        }
    }

    /// What is known, but for the first so many values.
    fn known_since(&self, told: usize) -> &[(u64, i64)] {
        &self.known[told.saturating_sub(self.known_before).min(self.known.len())..]
    }
}
