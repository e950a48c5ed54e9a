//! Detection rules: what the file says, checked. The rules themselves are read by [`crate::detect::source`].

use std::time::Duration;

use trailmeter_rules::Matching;
use trailmeter_rules::diagnostic::nearest;

use super::raw::{RawConfig, RawMatching};
use super::{Problems, Span};
use crate::detect::ActiveRules;
use crate::detect::packs::PACKS;
use crate::detect::source::{Place, RuleSources};

/// Where rules come from.
pub fn sources(raw: &RawConfig, problems: &mut Problems) -> RuleSources {
    let rules = &raw.rules;
    for (at, name) in rules.packs.iter().enumerate() {
        let names = || PACKS.iter().map(|(name, _)| *name);
        if !names().any(|known| known == name) {
            let near =
                nearest(name, names()).map(|near| format!(", did you mean `{near}`?")).unwrap_or_default();
            let all = names().collect::<Vec<_>>().join(", ");
            problems
                .add(&format!("rules.packs[{at}]"), format!("{name:?} is no pack{near}: there are {all}"));
        }
    }
    let mut places = Vec::new();
    for (at, text) in rules.files.iter().enumerate() {
        match Place::parse(text) {
            Ok(place) => places.push(place),
            Err(why) => problems.add(&format!("rules.files[{at}]"), why),
        }
    }
    RuleSources { packs: rules.packs.clone(), places, matching: rules.matching.into() }
}

/// No rules yet, under the bounds that the file sets.
pub fn bounds(raw: &RawConfig, problems: &mut Problems) -> ActiveRules {
    let (rules, limits) = (&raw.rules, &raw.limits);
    for (key, value) in [
        ("rules.max_matches_per_minute", u64::from(rules.max_matches_per_minute)),
        ("limits.rule_values", limits.rule_values),
        ("limits.matches", limits.matches),
    ] {
        if !(1..=100_000_000).contains(&value) {
            problems.add(key, format!("{value} is out of bounds: write 1 to 100000000"));
        }
    }
    ActiveRules {
        per_minute: rules.max_matches_per_minute,
        values: limits.rule_values,
        matches: limits.matches,
        ..ActiveRules::default()
    }
}

/// Between two looks whether the files have changed.
pub fn check_interval(raw: &RawConfig, problems: &mut Problems) -> Duration {
    let interval = raw.rules.check_interval;
    if !(Span(100)..=Span(86_400_000)).contains(&interval) {
        problems.add("rules.check_interval", format!("{interval} is out of bounds: write 100ms to 1d"));
    }
    Duration::from_millis(interval.0)
}

impl From<RawMatching> for Matching {
    fn from(raw: RawMatching) -> Self {
        match raw {
            RawMatching::All => Self::All,
            RawMatching::First => Self::First,
        }
    }
}
