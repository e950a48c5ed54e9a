//! The condition that puts selections together.
//!
//! ```text
//! condition := and ("or" and)*
//! and       := not ("and" not)*
//! not       := "not" not | "(" condition ")" | quantified | name
//! quantified := ("1" | "all" | "any") "of" ("them" | pattern)
//! ```
//!
//! Words in any case. A pattern is a name with `*`; `them` are all selections but those whose name begins with `_`.

use std::collections::BTreeMap;

use crate::ast::Expr;
use crate::diagnostic::did_you_mean;

const MAX_DEPTH: usize = 64;
/// Parts of a condition, with those of the selections that it names.
const MAX_PARTS: usize = 100_000;

type Selections = BTreeMap<String, Expr>;
type Parsed<T> = Result<T, (String, String)>;

/// Reads a condition over these selections.
///
/// # Errors
/// What is wrong, and what to do about it.
pub(super) fn parse(text: &str, selections: &Selections) -> Parsed<Expr> {
    if text.contains('|') {
        let message = "aggregations behind `|` are no longer part of Sigma".to_owned();
        return Err((message, "write a correlation rule instead".to_owned()));
    }
    let spaced = text.replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = Parser { words: &words, at: 0, depth: 0, parts: 0, selections };
    let expr = parser.or()?;
    match parser.next() {
        None => Ok(expr),
        Some(word) => Err((format!("expected `and` or `or` before `{word}`"), String::new())),
    }
}

struct Parser<'p> {
    words: &'p [&'p str],
    at: usize,
    depth: usize,
    parts: usize,
    selections: &'p Selections,
}

impl<'p> Parser<'p> {
    fn or(&mut self) -> Parsed<Expr> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err((format!("nested deeper than {MAX_DEPTH}"), String::new()));
        }
        let mut parts = vec![self.and()?];
        while self.word("or") {
            parts.push(self.and()?);
        }
        self.depth -= 1;
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expr::Or(parts) })
    }

    fn and(&mut self) -> Parsed<Expr> {
        let mut parts = vec![self.not()?];
        while self.word("and") {
            parts.push(self.not()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expr::And(parts) })
    }

    fn not(&mut self) -> Parsed<Expr> {
        let mut is_negated = false;
        while self.word("not") {
            is_negated = !is_negated;
        }
        let inner = self.primary()?;
        Ok(if is_negated { Expr::Not(Box::new(inner)) } else { inner })
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let Some(word) = self.next() else {
            return Err(("the condition ends too early".to_owned(), String::new()));
        };
        self.at += 1;
        if word == "(" {
            let inner = self.or()?;
            if !self.word(")") {
                return Err(("expected `)`".to_owned(), String::new()));
            }
            return Ok(inner);
        }
        if self.next().is_some_and(|next| next.eq_ignore_ascii_case("of")) {
            self.at += 1;
            return self.quantified(word);
        }
        match self.selections.get(word) {
            Some(expr) => self.copied(expr),
            None => {
                let help = did_you_mean(word, self.selections.keys().map(String::as_str));
                Err((format!("there is no selection `{word}`"), help))
            }
        }
    }

    fn quantified(&mut self, quantifier: &str) -> Parsed<Expr> {
        let Some(pattern) = self.next() else {
            return Err(("the condition ends too early".to_owned(), String::new()));
        };
        self.at += 1;
        let is_them = pattern.eq_ignore_ascii_case("them");
        let fits = |name: &str| if is_them { !name.starts_with('_') } else { is_like(name, pattern) };
        let fitting = self.selections.iter().filter(|(name, _)| fits(name));
        let parts = fitting.map(|(_, expr)| self.copied(expr)).collect::<Parsed<Vec<Expr>>>()?;
        if parts.is_empty() {
            return Err((format!("no selection is called `{pattern}`"), String::new()));
        }
        if quantifier == "1" || quantifier.eq_ignore_ascii_case("any") {
            Ok(Expr::Or(parts))
        } else if quantifier.eq_ignore_ascii_case("all") {
            Ok(Expr::And(parts))
        } else {
            Err((format!("`{quantifier} of` is not supported"), "write `1 of` or `all of`".to_owned()))
        }
    }

    fn copied(&mut self, selection: &Expr) -> Parsed<Expr> {
        self.parts += selection.parts();
        if self.parts > MAX_PARTS {
            let message = format!("with its selections the condition has more than {MAX_PARTS} parts");
            return Err((message, "take it apart into several rules".to_owned()));
        }
        Ok(selection.clone())
    }

    fn word(&mut self, word: &str) -> bool {
        let is_next = self.next().is_some_and(|next| next.eq_ignore_ascii_case(word));
        self.at += usize::from(is_next);
        is_next
    }

    fn next(&self) -> Option<&'p str> {
        self.words.get(self.at).copied()
    }
}

/// Whether a name is like a pattern with `*`.
fn is_like(name: &str, pattern: &str) -> bool {
    let parts: Vec<&str> = pattern.split('*').collect();
    let (Some((first, others)), true) = (parts.split_first(), parts.len() > 1) else {
        return name == pattern;
    };
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let Some((last, between)) = others.split_last() else { return rest.is_empty() };
    for part in between {
        match rest.split_once(part) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, shown: &str) {
        let names = ["a", "b", "sel_x", "sel_y", "_z"];
        let selections: Selections =
            names.iter().map(|name| ((*name).to_owned(), Expr::Macro((*name).to_owned(), 0..0))).collect();
        let parsed = parse(text, &selections)
            .map(|expr| expr.to_string())
            .unwrap_or_else(|(message, help)| format!("{message}; {help}"));
        assert_eq!(parsed, shown, "{text}");
    }

    #[test]
    fn conditions() {
        check("a", "a");
        check("a and not b or sel_x", "(a and not b) or sel_x");
        check("not (a OR b)AND sel_x", "not (a or b) and sel_x");
        check("1 of sel_*", "sel_x or sel_y");
        check("all of them", "a and b and sel_x and sel_y");
        check("a and not 1 of sel_*", "a and not (sel_x or sel_y)");
        check("1 of *_x", "sel_x");
        check("all of a", "a");
    }

    #[test]
    fn problems() {
        check("c", "there is no selection `c`; did you mean `a`?");
        check("", "the condition ends too early; ");
        check("a b", "expected `and` or `or` before `b`; ");
        check("(a", "expected `)`; ");
        check("1 of c_*", "no selection is called `c_*`; ");
        check("2 of sel_*", "`2 of` is not supported; write `1 of` or `all of`");
        check(
            "a | count() > 5",
            "aggregations behind `|` are no longer part of Sigma; write a correlation rule instead",
        );
        check(&"(".repeat(1000), "nested deeper than 64; ");
    }

    #[test]
    fn names_like_patterns() {
        for (name, pattern, expect) in [
            ("ab", "a*", true),
            ("ab", "*b", true),
            ("ab", "a*b", true),
            ("aXbXc", "a*b*c", true),
            ("ab", "b*", false),
            ("a", "a*a", false),
            ("ab", "*", true),
        ] {
            assert_eq!(is_like(name, pattern), expect, "{name} {pattern}");
        }
    }
}
