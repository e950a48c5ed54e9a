//! A field of a selection with its modifiers and values, lowered.

use base64::Engine as _;

use crate::ast::{Case, Check, Expr, Item, Op, Ordering, Part, Quantifier, Right, SearchFlags, Term};
use crate::diagnostic::did_you_mean;
use crate::falco::ItemReader;
use crate::field::Field;
use crate::pattern::Pattern;
use crate::program::Program;
use crate::yaml::{Node, Value};

const MODIFIERS: [&str; 19] = [
    "contains",
    "startswith",
    "endswith",
    "all",
    "cased",
    "re",
    "i",
    "m",
    "s",
    "cidr",
    "exists",
    "fieldref",
    "windash",
    "base64",
    "gt",
    "gte",
    "lt",
    "lte",
    "neq",
];

/// What the modifiers of a field ask for.
#[derive(Clone, Copy)]
struct Modifiers<'m> {
    names: &'m [&'m str],
}

impl Modifiers<'_> {
    fn has(self, name: &str) -> bool {
        self.names.contains(&name)
    }

    fn part(self) -> Part {
        match self {
            _ if self.has("contains") => Part::Any,
            _ if self.has("startswith") => Part::Start,
            _ if self.has("endswith") => Part::End,
            _ => Part::Whole,
        }
    }

    fn case(self) -> Case {
        if self.has("cased") { Case::Sensitive } else { Case::Ignored }
    }

    fn order(self) -> Option<Ordering> {
        match self {
            _ if self.has("gt") => Some(Ordering::Gt),
            _ if self.has("gte") => Some(Ordering::Ge),
            _ if self.has("lt") => Some(Ordering::Lt),
            _ if self.has("lte") => Some(Ordering::Le),
            _ => None,
        }
    }
}

/// Lowers `key: value`. None if it makes no sense, which is reported.
pub(super) fn lowered(reader: &mut ItemReader<'_>, key: &Node, value: &Node) -> Option<Expr> {
    let text = key.as_text().unwrap_or_default();
    let mut names = text.split('|');
    let field = names.next().unwrap_or_default();
    let names: Vec<&str> = names.collect();
    for name in &names {
        if !MODIFIERS.contains(name) {
            let help = did_you_mean(name, MODIFIERS.into_iter());
            reader.error(key, "detection", format!("unknown modifier `{name}`"), help);
            return None;
        }
    }
    let left = Term::Field(if field.is_empty() { Field::Whole } else { Field::path(field) });
    let modifiers = Modifiers { names: &names };
    let values = value.as_sequence().map_or(std::slice::from_ref(value), |values| values);
    if values.is_empty() {
        let help = "a field that is not there has the value `null`";
        reader.error(value, "detection", format!("`{text}` has no values"), help);
        return None;
    }
    let mut parts = Vec::new();
    for value in values {
        match one(&left, modifiers, value).and_then(checked) {
            Ok(expr) => parts.push(expr),
            Err((message, help)) => {
                reader.error(value, "detection", message, help);
                return None;
            }
        }
    }
    let expr = if modifiers.has("all") { Expr::And(parts) } else { alternatives(parts) };
    Some(if modifiers.has("neq") { Expr::Not(Box::new(expr)) } else { expr })
}

/// A value that can't be made ready is reported where it stands.
fn checked(expr: Expr) -> Result<Expr, (String, String)> {
    match Program::compile(&expr).map_err(|errors| errors.into_iter().next()) {
        Err(Some(error)) => Err((error.message, error.help)),
        _ => Ok(expr),
    }
}

/// One of these: those that compare the same field in the same way are one question.
fn alternatives(mut parts: Vec<Expr>) -> Expr {
    if parts.len() == 1 {
        return parts.remove(0);
    }
    let first = match parts.first() {
        Some(Expr::Check(check @ Check { op: Op::Like(_), .. })) => check.clone(),
        _ => return Expr::Or(parts),
    };
    let mut items = Vec::new();
    for part in &parts {
        match part {
            Expr::Check(Check { op, right: Right::Text(text), .. }) if *op == first.op => {
                items.push(Item { text: text.clone(), is_bare: false });
            }
            _ => return Expr::Or(parts),
        }
    }
    Expr::Check(Check { right: Right::List(items, Quantifier::Any), ..first })
}

fn one(left: &Term, modifiers: Modifiers<'_>, value: &Node) -> Result<Expr, (String, String)> {
    let check = |op, right| Expr::Check(Check { left: left.clone(), op, right, bytes: 0..0 });
    let Value::Scalar { text, .. } = &value.value else {
        return Err((format!("expected a value, found {}", value.kind()), String::new()));
    };
    if modifiers.has("exists") {
        let exists = value.as_bool().ok_or(("`exists` takes true or false".to_owned(), String::new()))?;
        let expr = check(Op::Exists, Right::Nothing);
        return Ok(if exists { expr } else { Expr::Not(Box::new(expr)) });
    }
    if value.is_null() {
        return Ok(Expr::Not(Box::new(check(Op::HasValue, Right::Nothing))));
    }
    if let Some(order) = modifiers.order() {
        return Ok(check(Op::Number(order), Right::Text(text.clone())));
    }
    if modifiers.has("fieldref") {
        return Ok(check(Op::SameAs(modifiers.part()), Right::Term(Term::Field(Field::path(text)))));
    }
    if modifiers.has("re") {
        let flags = SearchFlags {
            ignores_case: modifiers.has("i"),
            is_multi_line: modifiers.has("m"),
            dot_is_all: modifiers.has("s"),
        };
        return Ok(check(Op::Search(flags), Right::Text(text.clone())));
    }
    if modifiers.has("cidr") {
        return Ok(check(Op::Cidr, Right::Text(text.clone())));
    }
    let texts = if modifiers.has("windash") { dashed(text) } else { vec![text.clone()] };
    let parts = texts.iter().map(|text| {
        let pattern = if modifiers.has("base64") {
            Pattern::literal(&base64::engine::general_purpose::STANDARD.encode(text))
        } else {
            Pattern::parse(text)
        };
        let pattern = match modifiers.part() {
            Part::Whole => pattern,
            Part::Any => pattern.after_anything().before_anything(),
            Part::Start => pattern.before_anything(),
            Part::End => pattern.after_anything(),
        };
        check(Op::Like(modifiers.case()), Right::Text(pattern.text()))
    });
    Ok(alternatives(parts.collect()))
}

/// A command line's options in each way that Windows takes them: `-` or `/` at a word's beginning as any dash.
fn dashed(text: &str) -> Vec<String> {
    let mut texts: Vec<String> = ['-', '/', '–', '—', '―']
        .map(|dash| {
            let mut before = ' ';
            let replaced = text.chars().map(|c| {
                let begins_option = matches!(c, '-' | '/') && !before.is_alphanumeric() && before != '_';
                before = c;
                if begins_option { dash } else { c }
            });
            replaced.collect()
        })
        .into();
    texts.sort_unstable();
    texts.dedup();
    texts
}
