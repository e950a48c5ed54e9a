//! Puts lists and macros where their names stand, in the tree: a name in quotes, or one that is part of a word, stays.

use std::collections::HashMap;

use crate::ast::{Bytes, Check, Expr, Item, Right};
use crate::diagnostic::did_you_mean;

/// Parts of one condition once all is in place.
const MAX_PARTS: usize = 100_000;
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
    /// Macros, with everything in place.
    pub macros: &'n HashMap<String, Expr>,
}

/// A condition with all names in place.
///
/// # Errors
/// All names that stand for nothing.
pub fn resolve(condition: &Expr, names: &Names<'_>) -> Result<Expr, Vec<ResolveError>> {
    let mut resolver = Resolver { names, errors: Vec::new(), parts: 0 };
    let resolved = resolver.expr(condition, 0);
    if resolver.errors.is_empty() { Ok(resolved) } else { Err(resolver.errors) }
}

struct Resolver<'n> {
    names: &'n Names<'n>,
    errors: Vec<ResolveError>,
    parts: usize,
}

impl Resolver<'_> {
    fn expr(&mut self, expr: &Expr, depth: usize) -> Expr {
        self.parts += 1;
        if depth > MAX_DEPTH || self.parts > MAX_PARTS {
            if self.errors.iter().all(|error| !error.message.contains("too large")) {
                let help = "take it apart into several rules".to_owned();
                let message = "the condition is too large once its macros are in place".to_owned();
                self.errors.push(ResolveError { bytes: 0..0, message, help });
            }
            return Expr::Or(Vec::new());
        }
        match expr {
            Expr::And(parts) => Expr::And(parts.iter().map(|part| self.expr(part, depth + 1)).collect()),
            Expr::Or(parts) => Expr::Or(parts.iter().map(|part| self.expr(part, depth + 1)).collect()),
            Expr::Not(inner) => Expr::Not(Box::new(self.expr(inner, depth + 1))),
            Expr::Check(check) => Expr::Check(self.check(check)),
            Expr::Macro(name, bytes) => self.named(name, bytes, depth),
        }
    }

    fn named(&mut self, name: &str, bytes: &Bytes, depth: usize) -> Expr {
        let names = self.names;
        if let Some(found) = names.macros.get(name) {
            // It holds no names any more; this bounds its size, and its problems are its own.
            let mut inner = Resolver { names, errors: Vec::new(), parts: self.parts };
            let placed = inner.expr(&at(found, bytes), depth + 1);
            self.parts = inner.parts;
            self.errors.extend(inner.errors);
            return placed;
        }
        let help = if names.lists.contains_key(name) {
            format!("`{name}` is a list: write `FIELD in ({name})`")
        } else {
            did_you_mean(name, names.macros.keys().map(String::as_str))
        };
        self.errors.push(ResolveError {
            bytes: bytes.clone(),
            message: format!("undefined macro `{name}`"),
            help,
        });
        Expr::Or(Vec::new())
    }

    fn check(&mut self, check: &Check) -> Check {
        let right = match &check.right {
            Right::List(items, quantifier) => Right::List(self.items(items), *quantifier),
            Right::Named(name, bytes, quantifier) => match self.names.lists.get(name) {
                Some(items) => Right::List(items.clone(), *quantifier),
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
        self.parts += if let Right::List(items, _) = &right { items.len() / 8 } else { 0 };
        Check { right, ..check.clone() }
    }

    fn items(&self, items: &[Item]) -> Vec<Item> {
        items.iter().flat_map(|item| expanded(item, self.names.lists)).collect()
    }
}

/// What an item stands for: the items of a list, or itself.
pub fn expanded(item: &Item, lists: &HashMap<String, Vec<Item>>) -> Vec<Item> {
    let list = if item.is_bare { lists.get(&item.text) } else { None };
    list.cloned().unwrap_or_else(|| vec![item.clone()])
}

/// A macro's condition as it is where it is used: problems with its values are shown at its name there.
fn at(expr: &Expr, bytes: &Bytes) -> Expr {
    match expr {
        Expr::And(parts) => Expr::And(parts.iter().map(|part| at(part, bytes)).collect()),
        Expr::Or(parts) => Expr::Or(parts.iter().map(|part| at(part, bytes)).collect()),
        Expr::Not(inner) => Expr::Not(Box::new(at(inner, bytes))),
        Expr::Check(check) => Expr::Check(Check { bytes: bytes.clone(), ..check.clone() }),
        Expr::Macro(name, _) => Expr::Macro(name.clone(), bytes.clone()),
    }
}
