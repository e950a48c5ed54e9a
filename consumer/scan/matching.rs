//! What rules match: asked by all threads, decided in the order of the files.
//!
//! What a rule remembers and counts depends on what came before; so the deltas of a file wait until those of the files
//! before it are decided, and the result is the same for any number of threads.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use trailmeter_rules::RuleSet;

use crate::detect::decide::{Deciding, LATE, decide};
use crate::detect::trial::Remembered;
use crate::detect::{ActiveRules, Detector, RuleDelta};

/// The rules, and what became of them so far.
pub struct Matching {
    rules: ActiveRules,
    decided: Mutex<Decided>,
}

#[derive(Default)]
struct Decided {
    /// The next file whose turn it is.
    next: usize,
    waiting: BTreeMap<usize, Vec<RuleDelta>>,
    remembered: Remembered,
    matches: HashMap<String, u64>,
    late: u64,
}

impl Matching {
    /// With these rules.
    pub fn new(rules: Arc<RuleSet>) -> Self {
        // Matches are counted, and none is kept.
        let rules = ActiveRules { per_minute: 0, ..ActiveRules::of(rules) };
        Self { rules, decided: Mutex::default() }
    }

    /// Whoever asks the rules about a thread's calls.
    pub fn detector(&self) -> Detector {
        Detector::new(&self.rules)
    }

    /// Takes what was met in a file.
    pub fn take(&self, file: usize, deltas: Vec<RuleDelta>) {
        let mut decided = self.decided.lock();
        decided.waiting.insert(file, deltas);
        while let Some(deltas) = {
            let next = decided.next;
            decided.waiting.remove(&next)
        } {
            decided.next += 1;
            decided.decide(&deltas);
        }
    }

    /// How often each rule matched, in their order; and how many calls came too late to be counted by a threshold.
    pub fn matches(&self) -> (Vec<(String, u64)>, u64) {
        let mut decided = self.decided.lock();
        // Of a scan that was ended early, those whose turn did not come.
        for (_, deltas) in std::mem::take(&mut decided.waiting) {
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
        }
    }
}
