//! Puts lists and macros where their names stand, in the tree: a name in quotes, or one that is part of a word, stays.

use std::cell::Cell;
use std::collections::HashMap;

use crate::ast::{Bytes, Check, Expr, Item, Op, Right};
use crate::diagnostic::did_you_mean;

/// What one condition may cost once all is in place: a part 2, a value 1, one that is looked for within texts more.
const MAX_COST: usize = 500_000;
/// The same, of all conditions: each macro and each rule that uses it has its own copy.
const MAX_COST_OF_ALL: usize = 1_200_000;
const COST_OF_PART: usize = 2;
const COST_OF_SEARCHED: usize = 8;
/// Nesting once all is in place.
const MAX_DEPTH: usize = 200;

/// A name that stands for nothing, or stands for too much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolveError {
    /// Where.
    pub bytes: Bytes,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

/// What names stand for.
pub struct Names<'n> {
    /// Lists, with the lists in them in place.
    pub lists: &'n HashMap<String, Vec<Item>>,
    /// Macros.
    pub macros: &'n HashMap<String, Macro>,
    /// Macros that were defined before this place are known.
    pub sees: usize,
    /// What all conditions may still cost.
    pub left: &'n Cell<usize>,
}

/// What a macro's name stands for.
pub struct Macro {
    /// Its place among all definitions.
    pub index: usize,
    /// Its condition, with everything in place; none while its own definition is being read.
    pub condition: Option<Expr>,
}

/// What all conditions together may cost.
pub fn cost_of_all() -> Cell<usize> {
    Cell::new(MAX_COST_OF_ALL)
}

/// What so many values cost.
fn cost_of_values(op: Op, values: usize) -> usize {
    let is_hashed = matches!(op, Op::Eq | Op::Ne | Op::In | Op::Intersects);
    values.saturating_mul(if is_hashed { 1 } else { COST_OF_SEARCHED })
}

impl Names<'_> {
    /// What items stand for, with lists in place; none if that is too much.
    pub fn expanded<'i>(&self, op: Op, items: impl IntoIterator<Item = &'i Item>) -> Option<Vec<Item>> {
        let mut all = Vec::new();
        for item in items {
            match item.is_bare.then(|| self.lists.get(&item.text)).flatten() {
                Some(list) => all.extend_from_slice(list),
                None => all.push(item.clone()),
            }
            if cost_of_values(op, all.len()) > self.left.get() {
                return None;
            }
        }
        self.left.set(self.left.get() - cost_of_values(op, all.len()));
        Some(all)
    }

    fn macros_seen(&self) -> impl Iterator<Item = &str> {
        self.macros.iter().filter(|(_, known)| known.index < self.sees).map(|(name, _)| name.as_str())
    }
}

const TOO_LARGE: &str = "the condition is too large once its macros and lists are in place";
const ALL_TOO_LARGE: &str = "all conditions together are too large once their macros and lists are in place";

/// A condition with all names in place.
///
/// # Errors
/// All names that stand for nothing.
pub fn resolve(condition: &Expr, names: &Names<'_>) -> Result<Expr, Vec<ResolveError>> {
    let mut resolver = Resolver { names, errors: Vec::new(), cost: 0 };
    let resolved = resolver.expr(condition, 0);
    if resolver.errors.is_empty() { Ok(resolved) } else { Err(resolver.errors) }
}

struct Resolver<'n> {
    names: &'n Names<'n>,
    errors: Vec<ResolveError>,
    cost: usize,
}

impl Resolver<'_> {
    fn expr(&mut self, expr: &Expr, depth: usize) -> Expr {
        if depth > MAX_DEPTH || !self.takes(COST_OF_PART) {
            return self.too_large();
        }
        match expr {
            Expr::And(parts) => Expr::And(parts.iter().map(|part| self.expr(part, depth + 1)).collect()),
            Expr::Or(parts) => Expr::Or(parts.iter().map(|part| self.expr(part, depth + 1)).collect()),
            Expr::Not(inner) => Expr::Not(Box::new(self.expr(inner, depth + 1))),
            Expr::Check(check) => match self.check(check) {
                Some(check) => Expr::Check(check),
                None => self.too_large(),
            },
            Expr::Macro(name, bytes) => self.named(name, bytes, depth),
        }
    }

    /// Whether it may cost so much more.
    fn takes(&mut self, cost: usize) -> bool {
        self.cost += cost;
        let left = self.names.left.get().checked_sub(cost).filter(|_| self.cost <= MAX_COST);
        self.names.left.set(left.unwrap_or(self.names.left.get()));
        left.is_some()
    }

    fn too_large(&mut self) -> Expr {
        let (message, help) = if self.cost > MAX_COST {
            (TOO_LARGE, "take it apart into several rules")
        } else {
            (ALL_TOO_LARGE, "use long lists and macros in fewer rules")
        };
        if self.errors.iter().all(|error| error.message != message) {
            self.errors.push(ResolveError {
                bytes: 0..0,
                message: message.to_owned(),
                help: help.to_owned(),
            });
        }
        Expr::Or(Vec::new())
    }

    fn named(&mut self, name: &str, bytes: &Bytes, depth: usize) -> Expr {
        let known = self.names.macros.get(name).filter(|known| known.index < self.names.sees);
        let (message, help) = match known {
            // It holds no names any more.
            Some(Macro { condition: Some(condition), .. }) => {
                return self.placed(condition, bytes, depth + 1);
            }
            Some(_) => (format!("the macro `{name}` is part of its own definition"), String::new()),
            None if self.names.lists.contains_key(name) => (
                format!("undefined macro `{name}`"),
                format!("`{name}` is a list: write `FIELD in ({name})`"),
            ),
            None => (format!("undefined macro `{name}`"), did_you_mean(name, self.names.macros_seen())),
        };
        self.errors.push(ResolveError { bytes: bytes.clone(), message, help });
        Expr::Or(Vec::new())
    }

    /// A macro's condition where it is used: problems with its values are shown at its name there.
    fn placed(&mut self, expr: &Expr, bytes: &Bytes, depth: usize) -> Expr {
        if depth > MAX_DEPTH || !self.takes(COST_OF_PART) {
            return self.too_large();
        }
        match expr {
            Expr::And(parts) => {
                Expr::And(parts.iter().map(|part| self.placed(part, bytes, depth + 1)).collect())
            }
            Expr::Or(parts) => {
                Expr::Or(parts.iter().map(|part| self.placed(part, bytes, depth + 1)).collect())
            }
            Expr::Not(inner) => Expr::Not(Box::new(self.placed(inner, bytes, depth + 1))),
            Expr::Check(check) if self.takes(cost_of_values(check.op, values(check))) => {
                Expr::Check(Check { bytes: bytes.clone(), ..check.clone() })
            }
            Expr::Check(_) => self.too_large(),
            Expr::Macro(name, _) => Expr::Macro(name.clone(), bytes.clone()),
        }
    }

    /// None if it has too many values.
    fn check(&mut self, check: &Check) -> Option<Check> {
        let right = match &check.right {
            Right::List(items, quantifier) => Right::List(self.names.expanded(check.op, items)?, *quantifier),
            Right::Named(name, bytes, quantifier) => match self.names.lists.get(name) {
                Some(items) if self.takes(cost_of_values(check.op, items.len())) => {
                    Right::List(items.clone(), *quantifier)
                }
                Some(_) => return None,
                None => {
                    let help = did_you_mean(name, self.names.lists.keys().map(String::as_str));
                    let help =
                        if help.is_empty() { format!("for this very text, write ({name})") } else { help };
                    let message = format!("undefined list `{name}`");
                    self.errors.push(ResolveError { bytes: bytes.clone(), message, help });
                    Right::List(Vec::new(), *quantifier)
                }
            },
            other => other.clone(),
        };
        Some(Check { left: check.left.clone(), op: check.op, right, bytes: check.bytes.clone() })
    }
}

fn values(check: &Check) -> usize {
    if let Right::List(items, _) = &check.right { items.len() } else { 0 }
}

/// An order in which each comes behind all that it uses, as far as nothing uses itself.
pub fn behind_what_they_use(uses: &[Vec<usize>]) -> Vec<usize> {
    let (mut order, mut is_begun) = (Vec::new(), vec![false; uses.len()]);
    for first in 0..uses.len() {
        // What is under way, with how many of its uses are done. No recursion: files may chain many.
        let mut under_way = Vec::new();
        if !std::mem::replace(&mut is_begun[first], true) {
            under_way.push((first, 0));
        }
        while let Some((at, done)) = under_way.last_mut() {
            match uses[*at].get(*done) {
                Some(used) => {
                    *done += 1;
                    if !std::mem::replace(&mut is_begun[*used], true) {
                        under_way.push((*used, 0));
                    }
                }
                None => {
                    order.push(*at);
                    under_way.pop();
                }
            }
        }
    }
    order
}
