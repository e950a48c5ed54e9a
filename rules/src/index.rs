//! Which rules an event may meet: found by its source and name, not by asking each rule.
//!
//! Of each condition it is known which event names, or sources, it asks for; a rule that asks for none is looked at for
//! every event. For a shape of event that comes ([`SHAPE`]: source, name, type, error and so on), the conditions of
//! these rules are worked through as far as the shape decides them; and what is left of them for whatever else an event
//! knows (caller, client, region …), as far as that decides them. Both are remembered: callers do the same thing again
//! and again. Rules that depend on different things are remembered apart, so that one which looks at the address does not
//! make each address a case of its own for all others. So most events cost few look-ups, however many rules there are, and
//! only rules that depend on more (request parameters, say) are asked each time. Budget: 60 ns.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hashbrown::HashMap;

use crate::ast::{Case, Check, Expr, Op, Quantifier, Right, Term};
use crate::event::{Event, JUDGED, Known, Lookup, MANIFOLD, SHAPE};
use crate::field::{Field, Made, Place};
use crate::pattern::{Pattern, Shape};
use crate::program::{At, MET, known_of_field};
use crate::rule::Rule;
use crate::ruleset::RuleSet;

/// Rules that shapes remember, over all that differ, four bytes each; then it begins anew.
const MOST_REMEMBERED: usize = 1 << 22;
/// Shapes that are remembered; then it begins anew.
const MOST_SHAPES: usize = 1 << 16;
/// Events that are told apart, but for what they don't depend on; then it begins anew.
const MOST_ALIKE: usize = 1 << 16;
/// Rules that ask for the same field are looked up by its value from this many on.
const TABLED_FROM: usize = 8;

/// What a condition asks of an event's source and name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// In small letters: one of these names; none if it asks for no name.
    pub names: Option<BTreeSet<String>>,
    /// In small letters: one of these sources; none if it asks for no source.
    pub sources: Option<BTreeSet<String>>,
}

impl Keys {
    /// Of a condition.
    pub fn of(condition: &Expr) -> Self {
        Self { names: keys(condition, Dimension::Name), sources: keys(condition, Dimension::Source) }
    }

    /// How many sources and names.
    pub fn count(&self) -> usize {
        [&self.names, &self.sources].into_iter().flatten().map(BTreeSet::len).sum()
    }

    /// Whether every event that has what is asked for here has what the other asks for.
    pub fn are_within(&self, other: &Self) -> bool {
        let within = |inner: &Option<BTreeSet<String>>, outer: &Option<BTreeSet<String>>| match (inner, outer)
        {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(inner), Some(outer)) => inner.is_subset(outer),
        };
        within(&self.names, &other.names) && within(&self.sources, &other.sources)
    }

    /// Whether no event can have what is asked for.
    pub fn are_impossible(&self) -> bool {
        [&self.names, &self.sources].into_iter().any(|keys| keys.as_ref().is_some_and(BTreeSet::is_empty))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Dimension {
    Name,
    Source,
}

/// Values of which an event must have one to meet the condition; none if any will do.
fn keys(condition: &Expr, dimension: Dimension) -> Option<BTreeSet<String>> {
    match condition {
        Expr::And(parts) => {
            let each = parts.iter().filter_map(|part| keys(part, dimension));
            each.reduce(|left, right| left.intersection(&right).cloned().collect())
        }
        Expr::Or(parts) => {
            let each: Option<Vec<_>> = parts.iter().map(|part| keys(part, dimension)).collect();
            each.map(|each| each.into_iter().flatten().collect())
        }
        Expr::Check(check) => keys_of_check(check, dimension),
        Expr::Not(_) | Expr::Macro(..) => None,
    }
}

fn keys_of_check(check: &Check, dimension: Dimension) -> Option<BTreeSet<String>> {
    let is_short = match &check.left {
        Term::Field(Field::Named(spec)) => match (&spec.place, dimension) {
            (Place::Known(Known::EventName, _), Dimension::Name) => false,
            (Place::Known(Known::EventSource, _), Dimension::Source) => false,
            (Place::Made(Made::ShortSource), Dimension::Source) => true,
            _ => return None,
        },
        Term::Field(Field::Pointer { path: keys, .. } | Field::Path { keys, .. }) => {
            match (keys.as_slice(), dimension) {
                ([key], Dimension::Name) if key == "eventName" => false,
                ([key], Dimension::Source) if key == "eventSource" => false,
                _ => return None,
            }
        }
        _ => return None,
    };
    let texts: Vec<&str> = match (&check.right, check.op) {
        (Right::Text(text), Op::Eq | Op::Like(_)) => vec![text],
        (Right::List(items, Quantifier::Any), Op::Eq | Op::In | Op::Intersects | Op::Like(_)) => {
            items.iter().map(|item| item.text.as_str()).collect()
        }
        _ => return None,
    };
    let mut keys = BTreeSet::new();
    for text in texts {
        let pattern = if let Op::Like(_) = check.op { Pattern::parse(text) } else { Pattern::literal(text) };
        let Shape::Equal(text) = pattern.shape() else { return None };
        // What Sigma ignores beyond ASCII's case is not found by a key.
        if check.op == Op::Like(Case::Ignored) && !text.is_ascii() {
            return None;
        }
        let small = text.to_ascii_lowercase();
        if is_short {
            keys.insert(format!("{small}.amazonaws.com"));
        }
        keys.insert(small);
    }
    Some(keys)
}

/// Rules by what they ask for.
#[derive(Debug, Default)]
pub struct Index {
    by_name: HashMap<String, Vec<u32>>,
    by_source: HashMap<String, Vec<u32>>,
    always: Vec<u32>,
}

impl Index {
    /// Of rules, by their numbers.
    pub fn new<'k>(rules: impl Iterator<Item = (u32, &'k Keys)>) -> Self {
        let mut index = Self::default();
        for (rule, keys) in rules {
            let (map, keys) = match (&keys.names, &keys.sources) {
                (Some(names), _) => (&mut index.by_name, names),
                (None, Some(sources)) => (&mut index.by_source, sources),
                (None, None) => {
                    index.always.push(rule);
                    continue;
                }
            };
            for key in keys {
                map.entry(key.clone()).or_default().push(rule);
            }
        }
        index
    }

    /// Rules that an event of this source and name may meet, in their order.
    fn candidates(&self, source: &str, name: &str) -> Vec<u32> {
        let found = |map: &HashMap<String, Vec<u32>>, key: &str| {
            map.get(&key.to_ascii_lowercase()).cloned().unwrap_or_default()
        };
        let mut rules =
            [found(&self.by_name, name), found(&self.by_source, source), self.always.clone()].concat();
        rules.sort_unstable();
        rules
    }
}

/// Asks events which rules they meet, and remembers what it learns. `M` is what is kept of a rule for events that are
/// alike.
pub struct Asker<M = ()> {
    rules: Arc<RuleSet>,
    /// What events know on which the rules depend, a bit each of [`Known`].
    known: u32,
    /// By the hash of a shape what is left to ask: 64 bits of this process' own tell all shapes apart.
    shapes: HashMap<u64, u32>,
    /// What is left to ask, by its number.
    open: Vec<Vec<Group>>,
    /// Shapes of which the same is left to ask share it: the rules, and the questions of each.
    same: HashMap<Vec<u32>, u32>,
    remembered: usize,
    /// How many groups there were.
    groups: u64,
    /// By the hash of a group and of all that its rules depend on and an event may know.
    alike: HashMap<u64, Alike<M>>,
}

/// A rule and the first of its questions that is open.
type OpenRule = (u32, At);

/// Rules by the value of a field that the event knows.
type Table = (Known, HashMap<Box<str>, Vec<OpenRule>>);

/// What is left to ask of a rule.
#[derive(Clone, Copy)]
struct Left {
    open: OpenRule,
    /// On what that depends of what an event may know, a bit each of [`Known`].
    known: u32,
    /// Whether it depends on anything else.
    has_others: bool,
}

/// Rules of which something is left to ask events of a shape, and which depend on about the same.
#[derive(Default)]
struct Group {
    /// Its own number.
    number: u64,
    rules: Vec<OpenRule>,
    /// Rules that ask for one of these values.
    tables: Vec<Table>,
    /// What an event may know on which they depend, or by which they remember, a bit each of [`Known`].
    known: u32,
    /// Whether they depend on anything else: then an event like another may meet others.
    has_others: bool,
    /// Whether all that they remember by is known: then an event like another has the same values.
    remembers_known: bool,
}

/// What is left to ask of a group's rules if an event knows this.
struct Alike<M> {
    /// Most often nothing.
    left: Box<[(OpenRule, M)]>,
    /// Up to this event time nothing is to be made of the rules that are met, in seconds since 1970.
    quiet_until_s: i64,
}

impl Asker {
    /// Over these rules.
    pub fn new(rules: Arc<RuleSet>) -> Self {
        Self::keeping(rules)
    }
}

impl<M: Default> Asker<M> {
    /// Over these rules, for who keeps something of events that are alike.
    pub fn keeping(rules: Arc<RuleSet>) -> Self {
        Self {
            known: rules.known(),
            rules,
            shapes: HashMap::new(),
            open: Vec::new(),
            same: HashMap::new(),
            remembered: 0,
            groups: 0,
            alike: HashMap::new(),
        }
    }

    /// The rules.
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// The rules that an event meets, by their numbers, in their order. `met` is emptied first.
    pub fn ask<E: Event>(&mut self, event: &E, met: &mut Vec<u32>) {
        met.clear();
        self.each(event, |rule, _, _| {
            met.push(rule);
            None
        });
        met.sort_unstable();
    }

    /// Hands the rules that an event meets to `visit`, in any order: number, rule, and what is kept of it for events like
    /// this one. If the rule remembers values, these have the same. `visit` returns up to when nothing is to be made of the
    /// rule if such an event meets it, in seconds of event time since 1970: until then it may be left out.
    pub fn each<E: Event>(
        &mut self,
        event: &E,
        mut visit: impl FnMut(u32, &Arc<Rule>, &mut M) -> Option<i64>,
    ) {
        let shape = self.shape(event);
        let open = shape.map(|shape| match self.shapes.get(&shape) {
            Some(open) => *open,
            None => self.learn(shape, event),
        });
        let Self { rules, open: all, alike, .. } = self;
        let mut visit = |rule: u32, memo: &mut M| visit(rule, &rules.rules()[rule as usize], memo);
        let Some(open) = open else {
            let (everything, mut met) = (Group::of_all(rules), Vec::new());
            everything.ask(rules, event, &mut met);
            met.into_iter().for_each(|rule| _ = visit(rule, &mut M::default()));
            return;
        };
        for group in &all[open as usize] {
            let Some(known) = hash_known(group.known, event) else {
                let mut met = Vec::new();
                group.ask(rules, event, &mut met);
                met.into_iter().for_each(|rule| _ = visit(rule, &mut M::default()));
                continue;
            };
            let like = group.number.wrapping_mul(0xd6e8_feb8_6659_fd93).rotate_left(23).wrapping_add(known);
            if alike.len() >= MOST_ALIKE && !alike.contains_key(&like) {
                alike.clear();
            }
            let alike = alike.entry(like).or_insert_with(|| group.alike(rules, event));
            if event.time_s() <= alike.quiet_until_s {
                continue;
            }
            let mut quiet_until_s = Some(i64::MAX).filter(|_| !group.has_others && group.remembers_known);
            for ((rule, at), memo) in &mut alike.left {
                if *at != MET && !rules.program(*rule).is_met(*at, event) {
                    continue;
                }
                let until_s = match group.remembers_known {
                    true => visit(*rule, memo),
                    false => visit(*rule, &mut M::default()),
                };
                quiet_until_s = quiet_until_s.zip(until_s).map(|(all_s, until_s)| all_s.min(until_s));
            }
            alike.quiet_until_s = quiet_until_s.unwrap_or(i64::MIN);
        }
    }

    /// The hash of an event's shape, as far as the rules depend on it; none if some of it only the JSON tells.
    fn shape<E: Event>(&self, event: &E) -> Option<u64> {
        hash_known(self.known & SHAPE, event)
    }

    /// Learns what is left to ask events of this one's shape.
    #[cold]
    fn learn<E: Event>(&mut self, hash: u64, event: &E) -> u32 {
        if self.remembered > MOST_REMEMBERED || self.shapes.len() >= MOST_SHAPES {
            (self.shapes, self.open, self.same) = Default::default();
            self.remembered = 0;
        }
        let text = |known| match event.known(known) {
            Lookup::Text(text) => text,
            _ => "",
        };
        let candidates = self.rules.index().candidates(text(Known::EventSource), text(Known::EventName));
        let (mut left, mut same) = (Vec::new(), Vec::new());
        for rule in candidates {
            let program = self.rules.program(rule);
            let Some(at) = program.narrowed(program.entry, SHAPE, event) else { continue };
            same.push(rule);
            let (known, has_others) = program.left(at, SHAPE, event, &mut same);
            left.push(Left { open: (rule, at), known, has_others });
        }
        let open = match self.same.get(&same) {
            Some(open) => *open,
            None => {
                let number = self.open.len() as u32;
                self.open.push(Group::each_of(&self.rules, &left, &mut self.groups));
                self.remembered += same.len() * 4 + left.len() * 4 + 16;
                self.same.insert(same, number);
                number
            }
        };
        self.shapes.insert(hash, open);
        open
    }
}

/// A hash of these of what an event may know; none if some of it only the JSON tells. Each has a hash of its own kind, so
/// that their sum tells them all apart.
#[inline]
fn hash_known<E: Event>(known: u32, event: &E) -> Option<u64> {
    let (mut left, mut sum) = (known & !JUDGED, 0u64);
    while left != 0 {
        let known = Known::ALL[left.trailing_zeros() as usize];
        left &= left - 1;
        sum = sum.wrapping_add(event.hash_of(known)?);
    }
    let judged = if known & JUDGED == 0 { 0 } else { event.judged() };
    Some(sum ^ u64::from(judged).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Adds the rules of these that an event meets.
fn meet<E: Event>(rules: &RuleSet, open: &[OpenRule], event: &E, met: &mut Vec<u32>) {
    for (rule, at) in open {
        if rules.program(*rule).is_met(*at, event) {
            met.push(*rule);
        }
    }
}

impl Group {
    /// What is left, by what it depends on. `groups` counts all groups that ever were.
    fn each_of(rules: &RuleSet, left: &[Left], groups: &mut u64) -> Vec<Self> {
        let mut by_what: BTreeMap<(u32, bool, bool), Vec<Left>> = BTreeMap::new();
        for &Left { open, mut known, has_others } in left {
            let mut remembers_known = true;
            let first_seen = &rules.rules()[open.0 as usize].first_seen;
            for field in first_seen.iter().flat_map(|first_seen| &first_seen.by) {
                match known_of_field(field) {
                    Some(of_field) => known |= of_field,
                    None => remembers_known = false,
                }
            }
            let what = (known & MANIFOLD, has_others, remembers_known);
            by_what.entry(what).or_default().push(Left { open, known, has_others });
        }
        let of = |((_, has_others, remembers_known), left): (_, Vec<Left>)| {
            *groups += 1;
            let known = left.iter().fold(0, |all, left| all | left.known);
            let open = left.into_iter().map(|left| left.open);
            Self { number: *groups, known, has_others, remembers_known, ..Self::of(rules, open) }
        };
        by_what.into_iter().map(of).collect()
    }

    /// Everything, for an event whose shape is not known.
    fn of_all(rules: &RuleSet) -> Self {
        let enabled = rules.rules().iter().enumerate().filter(|(_, rule)| rule.enabled);
        let numbered = enabled.map(|(at, _)| (at as u32, rules.program(at as u32).entry));
        Self { rules: numbered.collect(), ..Self::default() }
    }

    /// These; those of them in tables that can be looked up.
    fn of(rules: &RuleSet, open: impl Iterator<Item = OpenRule>) -> Self {
        let mut group = Self::default();
        let mut asking: HashMap<Known, Vec<OpenRule>> = HashMap::new();
        for (rule, at) in open {
            match rules.program(rule).required(at) {
                Some((field, _)) => asking.entry(field).or_default().push((rule, at)),
                None => group.rules.push((rule, at)),
            }
        }
        for (field, asking) in asking {
            if asking.len() < TABLED_FROM {
                group.rules.extend(asking);
                continue;
            }
            let mut table: HashMap<Box<str>, Vec<OpenRule>> = HashMap::new();
            for (rule, at) in asking {
                let texts = rules.program(rule).required(at).map(|(_, texts)| texts).unwrap_or_default();
                for text in texts {
                    table.entry(text.into()).or_default().push((rule, at));
                }
            }
            group.tables.push((field, table));
        }
        group.rules.sort_unstable();
        group
    }

    /// Hands the rules to `take` that this event may meet.
    fn each<E: Event>(&self, event: &E, mut take: impl FnMut(&[OpenRule])) {
        take(&self.rules);
        for (field, table) in &self.tables {
            match event.known(*field) {
                Lookup::Text(text) => table.get(text).into_iter().for_each(|rules| take(rules)),
                Lookup::Absent => {}
                Lookup::Elsewhere => table.values().for_each(|rules| take(rules)),
            }
        }
    }

    /// Adds the rules that an event meets, each once.
    fn ask<E: Event>(&self, rules: &RuleSet, event: &E, met: &mut Vec<u32>) {
        self.each(event, |open| meet(rules, open, event, met));
        if !self.tables.is_empty() {
            met.sort_unstable();
            met.dedup();
        }
    }

    /// What is left to ask events that know the same as this one.
    #[cold]
    fn alike<M: Default>(&self, rules: &RuleSet, event: &impl Event) -> Alike<M> {
        let mut left = Vec::new();
        let narrowed =
            |(rule, at): &OpenRule| Some((*rule, rules.program(*rule).narrowed(*at, u32::MAX, event)?));
        self.each(event, |open| left.extend(open.iter().filter_map(narrowed)));
        left.sort_unstable();
        left.dedup();
        let left = left.into_iter().map(|open| (open, M::default())).collect();
        Alike { left, quiet_until_s: i64::MIN }
    }
}
