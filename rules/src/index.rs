//! Which rules an event may meet: found by its source and name, not by asking each rule.
//!
//! Of each condition it is known which event names, or sources, it asks for; a rule that asks for none is looked at for
//! every event. For a pair of source and name that comes, the conditions of these rules are worked through as far as the
//! pair decides them; what is left is remembered for the pair, so that an event costs one look-up and the questions that
//! are still open.

use std::collections::BTreeSet;
use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

use crate::ast::{Case, Check, Expr, Op, Quantifier, Right, Term};
use crate::event::{AtHand, Event};
use crate::field::{Field, Made, Place};
use crate::pattern::{Pattern, Shape};
use crate::program::At;
use crate::ruleset::RuleSet;

/// Rules that pairs remember, over all pairs; then it begins anew. 16 bytes each.
const MOST_REMEMBERED: usize = 1 << 20;
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
            (Place::AtHand(AtHand::EventName, _), Dimension::Name) => false,
            (Place::AtHand(AtHand::EventSource, _), Dimension::Source) => false,
            (Place::Made(Made::ShortSource), Dimension::Source) => true,
            _ => return None,
        },
        Term::Field(Field::Pointer { path: keys, .. } | Field::Path(keys)) => {
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

/// Asks events which rules they meet, and remembers what it learns of pairs of source and name.
pub struct Asker {
    rules: Arc<RuleSet>,
    hasher: DefaultHashBuilder,
    pairs: HashTable<Pair>,
    remembered: usize,
}

/// What is left to ask events of one source and name.
struct Pair {
    hash: u64,
    source: Box<str>,
    name: Box<str>,
    open: Open,
}

/// A rule and the first of its questions that is open.
type OpenRule = (u32, At);

/// Rules by the value of a field that is at hand.
type Table = (AtHand, HashMap<Box<str>, Vec<OpenRule>>);

/// Rules of which something is left to ask.
#[derive(Default)]
struct Open {
    rules: Vec<OpenRule>,
    /// Rules that ask for one of these values of a field that is at hand.
    tables: Vec<Table>,
}

impl Asker {
    /// Over these rules.
    pub fn new(rules: Arc<RuleSet>) -> Self {
        Self { rules, hasher: DefaultHashBuilder::default(), pairs: HashTable::new(), remembered: 0 }
    }

    /// The rules.
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// The rules that an event meets, by their numbers, in their order. `met` is emptied first.
    pub fn ask<E: Event>(&mut self, event: &E, met: &mut Vec<u32>) {
        met.clear();
        let at_hand = |text| event.at_hand(text);
        let (Some(source), Some(name)) = (at_hand(AtHand::EventSource), at_hand(AtHand::EventName)) else {
            return Open::all(&self.rules).ask(&self.rules, event, met);
        };
        let hash = self.hasher.hash_one((source, name));
        let is_pair = |pair: &Pair| pair.hash == hash && *pair.name == *name && *pair.source == *source;
        let rules = &*self.rules;
        if let Some(pair) = self.pairs.find(hash, is_pair) {
            return pair.open.ask(rules, event, met);
        }
        let open = Open::of(rules, event, source, name);
        open.ask(rules, event, met);
        if self.remembered > MOST_REMEMBERED {
            self.pairs.clear();
            self.remembered = 0;
        }
        self.remembered += open.size() + 8;
        let pair = Pair { hash, source: source.into(), name: name.into(), open };
        self.pairs.insert_unique(hash, pair, |pair| pair.hash);
    }
}

impl Open {
    /// Everything, of an event that has no source or name to go by.
    fn all(rules: &RuleSet) -> Self {
        let enabled = rules.rules().iter().enumerate().filter(|(_, rule)| rule.enabled);
        let numbered = enabled.map(|(at, _)| (at as u32, rules.program(at as u32).entry));
        Self { rules: numbered.collect(), tables: Vec::new() }
    }

    fn of<E: Event>(rules: &RuleSet, event: &E, source: &str, name: &str) -> Self {
        let mut open = Self::default();
        let candidates = rules.index().candidates(source, name);
        let mut asking: HashMap<AtHandKey, Vec<OpenRule>> = HashMap::new();
        for rule in candidates {
            let program = rules.program(rule);
            let Some(at) = program.narrowed(event) else { continue };
            match program.required(at) {
                Some((field, _)) => asking.entry(AtHandKey(field)).or_default().push((rule, at)),
                None => open.rules.push((rule, at)),
            }
        }
        for (AtHandKey(field), asking) in asking {
            if asking.len() < TABLED_FROM {
                open.rules.extend(asking);
                continue;
            }
            let mut table: HashMap<Box<str>, Vec<OpenRule>> = HashMap::new();
            for (rule, at) in asking {
                let texts = rules.program(rule).required(at).map(|(_, texts)| texts).unwrap_or_default();
                for text in texts {
                    table.entry(text.into()).or_default().push((rule, at));
                }
            }
            open.tables.push((field, table));
        }
        open.rules.sort_unstable();
        open
    }

    fn size(&self) -> usize {
        let tabled = self.tables.iter().flat_map(|(_, table)| table.values().map(|rules| rules.len() + 4));
        self.rules.len() + tabled.sum::<usize>()
    }

    fn ask<E: Event>(&self, rules: &RuleSet, event: &E, met: &mut Vec<u32>) {
        let mut ask = |(rule, at): &OpenRule| {
            if rules.program(*rule).is_met(*at, event) {
                met.push(*rule);
            }
        };
        self.rules.iter().for_each(&mut ask);
        if self.tables.is_empty() {
            return;
        }
        for (field, table) in &self.tables {
            // A text that is not at hand may still be there; a table of it has nothing for what is not a text.
            match event.at_hand(*field) {
                Some(text) => table.get(text).into_iter().flatten().for_each(&mut ask),
                None => table.values().flatten().for_each(&mut ask),
            }
        }
        met.sort_unstable();
        met.dedup();
    }
}

/// A field at hand, as a key.
#[derive(Clone, Copy, PartialEq, Eq)]
struct AtHandKey(AtHand);

impl std::hash::Hash for AtHandKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.0 as u8).hash(state);
    }
}
