//! What rules matched since the last commit, in one shard.
//!
//! Budget: a call of which a rule with `first_seen` knows the value costs a hash over the value and one look-up, less if one
//! like it came since the last commit, and allocates nothing.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use trailmeter_rules::field::Field;
use trailmeter_rules::output;
use trailmeter_rules::stateful::{self, FirstSeen};
use trailmeter_rules::values::{self, Value};
use trailmeter_rules::{Rule, RuleSet};

use super::{Call, Taken};

/// Values that are known to be known. Beyond this many the table begins anew, which costs time and nothing else.
const KEPT: usize = 262_144;
/// Bytes of a value; a longer one is told apart by a hash of it.
const MAX_VALUE_BYTES: usize = 512;

/// What a rule matched.
pub struct RuleDelta {
    /// The rule.
    pub rule: Arc<Rule>,
    /// The hash of the set that it is of.
    pub ruleset: u64,
    /// Calls that met its condition.
    pub met: u64,
    /// Event time of the first of them, in seconds since 1970.
    pub first_s: i64,
    /// Of a rule that remembers nothing: the calls, up to the cap.
    pub found: Vec<Taken>,
    /// Of a rule with `first_seen`: values, by their hash.
    pub seen: Values<Seen>,
    /// Of a rule with a threshold: groups, by their hash.
    pub groups: Values<Group>,
}

/// Values by their hash, in the order of their first calls.
pub struct Values<V> {
    all: Vec<(u64, V)>,
    places: HashTable<u32>,
}

impl<V> Values<V> {
    fn new() -> Self {
        Self { all: Vec::new(), places: HashTable::new() }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &(u64, V)> {
        self.all.iter()
    }

    /// The place of a value, which is made if there is none.
    fn place(&mut self, hash: u64, make: impl FnOnce() -> V) -> u32 {
        if let Some(place) = self.places.find(hash, |place| self.all[*place as usize].0 == hash) {
            return *place;
        }
        let place = self.all.len() as u32;
        self.all.push((hash, make()));
        self.places.insert_unique(hash, place, |place| self.all[*place as usize].0);
        place
    }

    fn at(&mut self, place: u32) -> &mut V {
        &mut self.all[place as usize].1
    }
}

/// What is kept of a rule that events which are alike meet.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memo {
    /// The hash of the value that it remembers them by; none if it is not known yet.
    hash: Option<u64>,
    /// Of the values since the last commit, as told by the number of commits, the place of this one.
    place: Option<(u64, u32)>,
}

/// A value that was seen.
pub struct Seen {
    /// The value, as it is stored.
    pub value: String,
    /// Who learns it, as it is stored, by its first sighting; empty if the rule learns as a whole.
    pub learner: String,
    /// The greatest event time that is to be remembered, in seconds since 1970.
    pub last_s: i64,
    /// Calls by which it may be new, in their order.
    pub sightings: Vec<Sighting>,
}

impl Seen {
    /// A call that has the value at this time. Whether the value was known then: there is nothing to tell.
    fn comes_again(&mut self, rule: &FirstSeen, time_s: i64) -> bool {
        let before_s = self.last_s;
        if before_s == i64::MIN || rule.is_forgotten(stateful::Seen { last_s: before_s }, time_s) {
            return false;
        }
        self.last_s = before_s.max(rule.remembered_s(time_s));
        true
    }
}

/// A call by which a value may be new.
pub struct Sighting {
    /// The greatest event time of the value before it, as far as this shard knows since the last commit.
    pub before_s: i64,
    /// What is told of it.
    pub found: Taken,
}

/// A group whose events are counted.
pub struct Group {
    /// The group's values, as they are stored.
    pub value: String,
    /// Its events, in their order.
    pub events: Vec<Occurrence>,
}

/// Events of a group that came one after the other in the same second.
pub struct Occurrence {
    /// Event time, in seconds since 1970.
    pub time_s: i64,
    /// How many.
    pub count: u64,
    /// The newest event time of the shard up to it, in seconds since 1970.
    pub newest_s: i64,
    /// The hash of the distinct value, if such are counted.
    pub distinct: Option<u64>,
    /// What is told of it; none if it lies too near a match to be one.
    pub found: Option<Taken>,
}

/// What all rules of a shard matched.
#[derive(Default)]
pub struct Delta {
    /// By the rule's number in the set in force.
    current: Vec<Option<RuleDelta>>,
    /// Of sets that are no longer in force.
    earlier: Vec<RuleDelta>,
    /// Of each rule of the set in force, the minute in which matches were last made ready to be told, and how many.
    told: Vec<(u64, u32)>,
    ruleset: u64,
    per_minute: u32,
    hasher: DefaultHashBuilder,
    /// Values that are known, by their hash, with the greatest event time that is remembered; and groups, with that of
    /// their last match.
    known: HashMap<u64, i64>,
    has_news: bool,
    bytes: usize,
    /// How often everything was taken.
    taken: u64,
}

impl Delta {
    /// Nothing yet, and no rules. Values are known by hashes that this makes.
    pub fn new(hasher: DefaultHashBuilder) -> Self {
        Self { hasher, ..Self::default() }
    }

    /// From now on the rules are those of this set, and so many matches of one are kept.
    pub fn begin(&mut self, set: &RuleSet, per_minute: u32) {
        self.earlier.extend(std::mem::take(&mut self.current).into_iter().flatten());
        self.current.resize_with(set.rules().len(), || None);
        self.told = vec![(0, 0); set.rules().len()];
        (self.ruleset, self.per_minute) = (set.hash(), per_minute);
        self.known.clear();
        self.taken += 1;
    }

    /// A call met the condition of this rule. `memo` is what was kept of calls like it. Returns until when nothing is to
    /// be made of them, in seconds of event time since 1970.
    pub fn add(&mut self, number: u32, rule: &Arc<Rule>, call: &Call<'_>, memo: &mut Memo) -> Option<i64> {
        let Self { current, told, ruleset, per_minute, hasher, known, has_news, bytes, .. } = self;
        let delta =
            current[number as usize].get_or_insert_with(|| RuleDelta::of(rule, *ruleset, call.time_s));
        delta.met += 1;
        let added = match (&rule.first_seen, &rule.threshold) {
            (Some(first_seen), _) => {
                if let Some((taken, place)) = memo.place
                    && taken == self.taken
                    && delta.seen.at(place).comes_again(first_seen, call.time_s)
                {
                    return None;
                }
                let hash = match memo.hash {
                    Some(hash) => hash,
                    None => hash_of(hasher, rule, &first_seen.by, call)?,
                };
                memo.hash = Some(hash);
                let known_s = known.get(&hash).copied();
                if known_s.is_some_and(|known_s| call.time_s <= known_s) {
                    return known_s;
                }
                let (place, added) = delta.see(hash, first_seen, call, known_s, *per_minute > 0);
                memo.place = Some((self.taken, place));
                added
            }
            (None, Some(threshold)) => {
                let hash = hash_of(hasher, rule, &threshold.by, call)?;
                let distinct = match &threshold.distinct {
                    Some(field) => Some(distinct(field, call)?),
                    None => None,
                };
                let matched_s = known.get(&hash);
                let may_match = matched_s.is_none_or(|at_s| (call.time_s - at_s).abs() >= rule.repeat_s);
                let about = may_match.then(|| taken(rule, call, *per_minute > 0));
                *bytes += delta.count(hash, &threshold.by, distinct, about, call);
                // It may be the one that reaches the number.
                *has_news |= may_match;
                return None;
            }
            (None, None) if may_tell(&mut told[number as usize], call.minute, *per_minute) => {
                let found = Taken::of(rule, call);
                let added = found.bytes();
                delta.found.push(found);
                Some(added)
            }
            (None, None) => None,
        };
        if let Some(added) = added {
            *bytes += added;
            *has_news = true;
        }
        None
    }

    /// Roughly the bytes that it takes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether something was found since this was last asked.
    pub fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.has_news)
    }

    /// Everything since the last commit.
    pub fn take(&mut self) -> Vec<RuleDelta> {
        (self.bytes, self.has_news) = (0, false);
        self.taken += 1;
        let current = self.current.iter_mut().filter_map(Option::take);
        std::mem::take(&mut self.earlier).into_iter().chain(current).collect()
    }

    /// These values, by their hash, are known up to this event time; these groups matched then.
    pub fn remember(&mut self, known: &[(u64, i64)]) {
        if self.known.len() > KEPT {
            self.known.clear();
        }
        for (hash, last_s) in known {
            let known_s = self.known.entry(*hash).or_insert(*last_s);
            *known_s = (*known_s).max(*last_s);
        }
    }
}

/// Whether a rule may tell of one more match in this minute: beyond the cap a match is only counted, which costs next to
/// nothing.
fn may_tell(told: &mut (u64, u32), minute: u64, per_minute: u32) -> bool {
    if told.0 != minute {
        *told = (minute, 0);
    }
    told.1 += 1;
    told.1 <= per_minute
}

impl RuleDelta {
    fn of(rule: &Arc<Rule>, ruleset: u64, first_s: i64) -> Self {
        Self {
            rule: Arc::clone(rule),
            ruleset,
            met: 0,
            first_s,
            found: Vec::new(),
            seen: Values::new(),
            groups: Values::new(),
        }
    }

    /// A call has this value. Returns its place, and the bytes of what is to be told if it may be new.
    fn see(
        &mut self,
        hash: u64,
        rule: &FirstSeen,
        call: &Call<'_>,
        known_s: Option<i64>,
        is_told: bool,
    ) -> (u32, Option<usize>) {
        let place = self.seen.place(hash, || Seen {
            value: stored(&rule.by, call),
            learner: String::new(),
            last_s: known_s.unwrap_or(i64::MIN),
            sightings: Vec::new(),
        });
        let seen = self.seen.at(place);
        if seen.comes_again(rule, call.time_s) {
            return (place, None);
        }
        let before_s = seen.last_s;
        seen.last_s = before_s.max(rule.remembered_s(call.time_s));
        if seen.sightings.is_empty() {
            seen.learner = stored(&rule.learn_by, call);
        }
        let found = taken(&self.rule, call, is_told);
        let bytes = found.bytes() + seen.value.len();
        seen.sightings.push(Sighting { before_s, found });
        (place, Some(bytes))
    }

    /// A call is one of this group; if it can't be the one that matches, nothing was found. Returns roughly the bytes
    /// that are added.
    fn count(
        &mut self,
        hash: u64,
        by: &[Field],
        distinct: Option<u64>,
        found: Option<Taken>,
        call: &Call<'_>,
    ) -> usize {
        let place = self.groups.place(hash, || Group { value: stored(by, call), events: Vec::new() });
        let group = self.groups.at(place);
        let Call { time_s, newest_s, .. } = *call;
        if found.is_none()
            && let Some(last) = group.events.last_mut()
            && (last.time_s, last.newest_s, last.distinct) == (time_s, newest_s, distinct)
        {
            last.count += 1;
            return 0;
        }
        let bytes = size_of::<Occurrence>() + found.as_ref().map_or(0, Taken::bytes);
        group.events.push(Occurrence { time_s, count: 1, newest_s, distinct, found });
        bytes
    }
}

/// What is taken of a call that a rule met: where no match is kept, its time and no more.
fn taken(rule: &Rule, call: &Call<'_>, is_told: bool) -> Taken {
    if is_told { Taken::of(rule, call) } else { Taken::untold(call.time_s) }
}

/// The hash of the values of these fields; none if the event lacks one.
fn hash_of(hasher: &DefaultHashBuilder, rule: &Rule, fields: &[Field], call: &Call<'_>) -> Option<u64> {
    let mut state = hasher.build_hasher();
    std::ptr::hash(rule, &mut state);
    for field in fields {
        let mut is_there = false;
        values::any_of_field(field, call, &mut |value| {
            is_there = true;
            match value {
                Value::Text(text) => text.hash(&mut state),
                // As it is told apart: by its network.
                value => value.shown().hash(&mut state),
            }
            false
        });
        if !is_there {
            return None;
        }
    }
    Some(state.finish())
}

/// The hash of a distinct value, the same in every process.
fn distinct(field: &Field, call: &Call<'_>) -> Option<u64> {
    let mut hash = None;
    values::any_of_field(field, call, &mut |value| {
        let one = xxhash_rust::xxh3::xxh3_64(value.shown().as_bytes());
        hash = Some(hash.unwrap_or(0u64).rotate_left(1) ^ one);
        false
    });
    hash
}

/// The values of these fields as one text that no other values give.
fn stored(fields: &[Field], call: &Call<'_>) -> String {
    let mut all = output::Values::default();
    fields.iter().for_each(|field| all.add_field(field, call));
    let mut stored = String::with_capacity(64);
    for at in 0..fields.len() {
        let value = all.get(at).unwrap_or_default();
        let cut = &value[..value.floor_char_boundary(MAX_VALUE_BYTES)];
        stored.push_str(&value.len().to_string());
        stored.push(':');
        stored.push_str(cut);
        if cut.len() < value.len() {
            stored.push_str(&format!("#{:016x}", xxhash_rust::xxh3::xxh3_64(value.as_bytes())));
        }
    }
    stored
}
