//! Whether one condition implies another, as far as its parts show.

use std::collections::HashSet;

use crate::ast::{Check, Expr, Op, Right};

/// Comparisons of parts and values, all in all. With thousands of long conditions it would take long, and show little.
const MOST_COMPARED: usize = 20_000_000;
/// Values that are looked for one by one among as many; more are hashed.
const FEW: usize = 16;

/// Compares conditions, until it has compared enough.
pub struct Comparing {
    left: usize,
}

impl Default for Comparing {
    fn default() -> Self {
        Self { left: MOST_COMPARED }
    }
}

impl Comparing {
    /// Whether whatever meets `narrow` meets `wide`. False where that is not plain to see.
    pub fn implies(&mut self, narrow: &Expr, wide: &Expr) -> bool {
        let (narrow, wide) = (parts(narrow), parts(wide));
        wide.iter().all(|wide| narrow.iter().any(|narrow| self.part_implies(narrow, wide)))
    }

    /// Whether so much more may be compared.
    pub fn takes(&mut self, cost: usize) -> bool {
        self.left = self.left.saturating_sub(cost);
        self.left > 0
    }

    fn part_implies(&mut self, narrow: &Expr, wide: &Expr) -> bool {
        if !self.takes(1) {
            return false;
        }
        match (narrow, wide) {
            (Expr::Check(narrow), Expr::Check(wide)) => self.check_implies(narrow, wide),
            (Expr::Or(narrow), wide) if !narrow.is_empty() => {
                narrow.iter().all(|part| self.implies(part, wide))
            }
            (narrow, Expr::Or(wide)) => wide.iter().any(|wide| self.part_implies(narrow, wide)),
            (Expr::Not(narrow), Expr::Not(wide)) => self.implies(wide, narrow),
            // A value that is another is not this one.
            (narrow, Expr::Not(wide)) => self.excludes(narrow, wide),
            _ => false,
        }
    }

    fn check_implies(&mut self, narrow: &Check, wide: &Check) -> bool {
        if narrow.left != wide.left || !self.takes(size(narrow) + size(wide)) {
            return false;
        }
        let same = narrow.op == wide.op && narrow.right == wide.right;
        // Each of Falco's checks needs a value.
        if same || wide.op == Op::Exists {
            return true;
        }
        match (values_of(narrow), values_of(wide)) {
            (Some((narrow, true)), Some((wide, is_among))) => among(&narrow, &wide, is_among),
            _ => false,
        }
    }

    /// Whether what meets `narrow` can't meet `other`: both ask for values of the same field, and none is in both.
    fn excludes(&mut self, narrow: &Expr, other: &Expr) -> bool {
        let (Expr::Check(narrow), Expr::Check(other)) = (narrow, other) else { return false };
        if narrow.left != other.left || !self.takes(size(narrow) + size(other)) {
            return false;
        }
        match (values_of(narrow), values_of(other)) {
            (Some((narrow, true)), Some((others, true))) => among(&narrow, &others, false),
            _ => false,
        }
    }
}

/// What must all hold.
fn parts(expr: &Expr) -> Vec<&Expr> {
    match expr {
        Expr::And(all) => all.iter().flat_map(parts).collect(),
        other => vec![other],
    }
}

fn size(check: &Check) -> usize {
    if let Right::List(items, _) = &check.right { items.len() } else { 1 }
}

/// Whether each of the values is among the others, or each is not.
fn among(values: &[&str], others: &[&str], is_among: bool) -> bool {
    if others.len() <= FEW {
        return values.iter().all(|value| others.contains(value) == is_among);
    }
    let others: HashSet<&str> = others.iter().copied().collect();
    values.iter().all(|value| others.contains(value) == is_among)
}

/// The values that a check asks for (true), or does not want (false).
fn values_of(check: &Check) -> Option<(Vec<&str>, bool)> {
    match (&check.right, check.op) {
        (Right::Text(text), Op::Eq) => Some((vec![text], true)),
        (Right::Text(text), Op::Ne) => Some((vec![text], false)),
        (Right::List(items, _), Op::In) => {
            Some((items.iter().map(|item| item.text.as_str()).collect(), true))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parser::condition;

    fn check(narrow: &str, wide: &str, expect: bool) {
        assert_eq!(
            Comparing::default().implies(&condition(narrow).unwrap(), &condition(wide).unwrap()),
            expect,
            "{narrow} => {wide}"
        );
    }

    #[test]
    fn what_is_plain_to_see() {
        check("ct.name = a and ct.region = x", "ct.name = a", true);
        check("ct.name = a", "ct.name = a and ct.region = x", false);
        check("ct.user = Root", "ct.user != Other", true);
        check("ct.user = Root", "ct.user != Root", false);
        check("ct.user in (a, b)", "ct.user in (c, b, a)", true);
        check("ct.user in (a, d)", "ct.user in (c, b, a)", false);
        check("ct.user contains a", "ct.user exists", true);
        check("not ct.user exists", "ct.user exists", false);
        check("ct.name = a", "not ct.name in (b, c)", true);
        check("ct.name = a", "not ct.name in (a, c)", false);
        check("ct.name = a or ct.name = b", "ct.name in (a, b)", true);
        check("ct.name = a", "ct.name = a or ct.name = b", true);
        check("not ct.name in (a, b)", "not ct.name = a", true);
        let many = (0..100).map(|value| format!("v{value}")).collect::<Vec<_>>().join(", ");
        check("ct.user in (v1, v99)", &format!("ct.user in ({many})"), true);
        check("ct.user in (v1, v100)", &format!("ct.user in ({many})"), false);
    }
}
