//! Whether one condition implies another, as far as its parts show.

use crate::ast::{Check, Expr, Op, Right};

/// Conditions with more parts than this are not compared: it would take long, and show little.
const MAX_PARTS: usize = 200;

/// Whether whatever meets `narrow` meets `wide`. False where that is not plain to see.
pub fn implies(narrow: &Expr, wide: &Expr) -> bool {
    let (narrow, wide) = (parts(narrow), parts(wide));
    if narrow.len() > MAX_PARTS || wide.len() > MAX_PARTS {
        return false;
    }
    wide.iter().all(|wide| narrow.iter().any(|narrow| part_implies(narrow, wide)))
}

/// What must all hold.
fn parts(expr: &Expr) -> Vec<&Expr> {
    match expr {
        Expr::And(all) => all.iter().flat_map(parts).collect(),
        other => vec![other],
    }
}

fn part_implies(narrow: &Expr, wide: &Expr) -> bool {
    match (narrow, wide) {
        (Expr::Check(narrow), Expr::Check(wide)) => check_implies(narrow, wide),
        (Expr::Or(narrow), wide) if !narrow.is_empty() => narrow.iter().all(|part| implies(part, wide)),
        (narrow, Expr::Or(wide)) => wide.iter().any(|wide| part_implies(narrow, wide)),
        (Expr::Not(narrow), Expr::Not(wide)) => implies(wide, narrow),
        // A value that is another is not this one.
        (narrow, Expr::Not(wide)) => excludes(narrow, wide),
        _ => false,
    }
}

fn check_implies(narrow: &Check, wide: &Check) -> bool {
    if narrow.left != wide.left {
        return false;
    }
    let same = narrow.op == wide.op && narrow.right == wide.right;
    // Each of Falco's checks needs a value.
    let asks_value = wide.op == Op::Exists;
    let values = || match (values_of(narrow), values_of(wide)) {
        (Some(narrow), Some(wide)) if wide.1 => narrow.0.iter().all(|value| wide.0.contains(value)),
        (Some(narrow), Some(wide)) => narrow.0.iter().all(|value| !wide.0.contains(value)),
        _ => false,
    };
    same || asks_value || (values_of(narrow).is_some_and(|(_, is_among)| is_among) && values())
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

/// Whether what meets `narrow` can't meet `other`: both ask for values of the same field, and none is in both.
fn excludes(narrow: &Expr, other: &Expr) -> bool {
    let (Expr::Check(narrow), Expr::Check(other)) = (narrow, other) else { return false };
    match (values_of(narrow), values_of(other)) {
        (Some((narrow_values, true)), Some((others, true))) if narrow.left == other.left => {
            narrow_values.iter().all(|value| !others.contains(value))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parser::condition;

    fn check(narrow: &str, wide: &str, expect: bool) {
        assert_eq!(
            implies(&condition(narrow).unwrap(), &condition(wide).unwrap()),
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
    }
}
