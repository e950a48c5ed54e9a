//! Exceptions: what a rule does not match although its condition holds.
//!
//! `fields` one by itself: its values are alternatives. Several fields: each of the `values` has one value a field, all
//! of which must hold.

use crate::ast::{Check, Expr, Item, Op, Quantifier, Right, Term};
use crate::collect::{Entry, Exception, RuleDefinition};
use crate::diagnostic::{At, Report, SourceFile};
use crate::parser::{leading_term, one_or};
use crate::program::Program;
use crate::resolve::Names;
use crate::yaml::{Node, Value};

use super::{ItemReader, is_bare};

/// Reads a rule's exceptions; to append to others, they need no fields.
pub(super) fn read(reader: &mut ItemReader<'_>, is_appended: bool) -> Option<Vec<Exception>> {
    match reader.node.get("exceptions") {
        Some(node) if !node.is_null() => {}
        _ => return Some(Vec::new()),
    }
    let nodes = reader.sequence("exceptions")?;
    // What is wrong with some is told; the others are judged all the same.
    let exceptions: Vec<Exception> = nodes.iter().filter_map(|node| one(reader, node, is_appended)).collect();
    for (at, exception) in exceptions.iter().enumerate() {
        if exceptions[..at].iter().any(|other| other.name == exception.name) {
            let message = format!("there are two exceptions {:?}", exception.name);
            let node = nodes.iter().find(|node| node.mark == exception.mark).unwrap_or(reader.node);
            reader.error(node, "exceptions", message, "give each its own name");
            return None;
        }
    }
    Some(exceptions)
}

fn one(reader: &mut ItemReader<'_>, node: &Node, is_appended: bool) -> Option<Exception> {
    let Some(name) = node.get("name").and_then(Node::as_text) else {
        reader.error(
            node,
            "exceptions",
            "an exception needs a `name`",
            "write `- {name: NAME, fields: …, values: …}`",
        );
        return None;
    };
    let fields = node.get("fields").map(entry);
    if fields.is_none() && !is_appended {
        reader.error(node, "exceptions", format!("exception {name:?} has no `fields`"), "");
        return None;
    }
    let values = match node.get("values") {
        None => Vec::new(),
        Some(values) => match values.as_sequence() {
            Some(values) => values.iter().map(entry).collect(),
            None => {
                reader.error(values, "exceptions", "`values` must be a list", "");
                return None;
            }
        },
    };
    Some(Exception {
        name: name.to_owned(),
        mark: node.mark,
        file: reader.file,
        fields,
        comps: node.get("comps").map(entry),
        values,
    })
}

fn entry(node: &Node) -> Entry {
    match &node.value {
        Value::Scalar { text, .. } => Entry::One(Item { text: text.clone(), is_bare: is_bare(text) }),
        Value::Sequence(nodes) => Entry::Many(nodes.iter().map(entry).collect()),
        Value::Mapping(_) => Entry::Many(Vec::new()),
    }
}

/// Appends the item's exceptions to an earlier rule's.
pub(super) fn append(reader: &mut ItemReader<'_>, rule: &mut RuleDefinition) -> Option<()> {
    for added in read(reader, true)? {
        match rule.exceptions.iter_mut().find(|known| known.name == added.name) {
            Some(known) if added.fields.is_none() && added.comps.is_none() => {
                known.values.extend(added.values)
            }
            Some(_) => {
                let message =
                    format!("exception {:?} is there already: only values can be appended to it", added.name);
                reader.error(reader.node, "exceptions", message, "remove its `fields` and `comps`");
            }
            None if added.fields.is_some() && !added.values.is_empty() => rule.exceptions.push(added),
            None => {
                let message = format!("exception {:?} is new and needs `fields` and `values`", added.name);
                reader.error(reader.node, "exceptions", message, "");
            }
        }
    }
    Some(())
}

/// What judging exceptions needs.
struct Lowering<'l> {
    names: &'l Names<'l>,
    files: &'l [SourceFile],
    item: &'l str,
    report: &'l mut Report,
}

/// `(condition) and not (exception) …`. Problems go to the report.
pub fn without_exceptions(
    condition: Expr,
    exceptions: &[Exception],
    names: &Names<'_>,
    files: &[SourceFile],
    item: &str,
    report: &mut Report,
) -> Expr {
    let mut lowering = Lowering { names, files, item, report };
    let excepted: Vec<Expr> = exceptions
        .iter()
        .filter_map(|exception| {
            let excepted = lowering.exception(exception)?;
            lowering.is_sound(exception, &excepted).then_some(excepted)
        })
        .collect();
    if excepted.is_empty() {
        return condition;
    }
    let parts =
        std::iter::once(condition).chain(excepted.into_iter().map(|excepted| Expr::Not(Box::new(excepted))));
    Expr::And(parts.collect())
}

impl Lowering<'_> {
    /// Whether it can be made ready; what can't is reported where the exception stands.
    fn is_sound(&mut self, exception: &Exception, excepted: &Expr) -> bool {
        let Err(errors) = Program::compile(excepted) else { return true };
        for error in errors {
            let at = At::new(&self.files[exception.file], exception.mark).of(self.item).part("exceptions");
            let message = format!("exception {:?}: {}", exception.name, error.message);
            self.report.error(at, message, error.help);
        }
        false
    }

    fn exception(&mut self, exception: &Exception) -> Option<Expr> {
        match exception.fields.as_ref()? {
            Entry::One(field) => self.of_one_field(exception, field),
            Entry::Many(fields) => self.of_fields(exception, fields),
        }
    }

    fn of_one_field(&mut self, exception: &Exception, field: &Item) -> Option<Expr> {
        let op = match &exception.comps {
            None => Some(Op::In),
            Some(Entry::One(comp)) => Op::named(&comp.text).filter(|op| op.takes_list()),
            Some(Entry::Many(_)) => None,
        };
        let Some(op) = op else {
            return self.error(exception, "with one field, `comps` must be one of in, intersects, pmatch");
        };
        let left = self.field(exception, field)?;
        let mut items = Vec::new();
        for value in &exception.values {
            match value {
                Entry::One(item) => items.push(item),
                Entry::Many(_) => {
                    return self.error(exception, "with one field, `values` must be a list of single values");
                }
            }
        }
        let Some(items) = self.names.expanded(op, items) else { return self.too_large(exception) };
        (!items.is_empty()).then(|| check(left, op, Right::List(items, Quantifier::Any)))
    }

    fn of_fields(&mut self, exception: &Exception, fields: &[Entry]) -> Option<Expr> {
        if fields.is_empty() {
            return self.error(exception, "`fields` must be a list of fields");
        }
        let comps = match &exception.comps {
            None => vec![Op::Eq; fields.len()],
            Some(Entry::Many(comps)) if comps.len() == fields.len() => {
                let named = comps.iter().map(|comp| match comp {
                    Entry::One(comp) => Op::named(&comp.text).filter(|op| *op != Op::Exists),
                    Entry::Many(_) => None,
                });
                match named.collect::<Option<Vec<Op>>>() {
                    Some(comps) => comps,
                    None => return self.error(exception, "`comps` holds something that is no operator"),
                }
            }
            Some(_) => return self.error(exception, "`fields` and `comps` must be lists of the same length"),
        };
        let mut lefts = Vec::new();
        for field in fields {
            match field {
                Entry::One(field) => lefts.push(self.field(exception, field)?),
                Entry::Many(_) => return self.error(exception, "`fields` must be a list of fields"),
            }
        }
        let mut rows = Vec::new();
        for row in &exception.values {
            match row {
                Entry::Many(values) if values.len() == lefts.len() => {
                    let checks = lefts.iter().zip(&comps).zip(values);
                    let checks = checks.map(|((left, op), value)| self.value(left, *op, value));
                    match checks.collect() {
                        Some(checks) => rows.push(one_or(checks, Expr::And)),
                        None => return self.too_large(exception),
                    }
                }
                _ => {
                    return self
                        .error(exception, "each of the `values` must be a list with one value a field");
                }
            }
        }
        (!rows.is_empty()).then(|| one_or(rows, Expr::Or))
    }

    /// None if its lists are too long.
    fn value(&self, left: &Term, op: Op, value: &Entry) -> Option<Expr> {
        let right = match value {
            Entry::One(item) if op.takes_list() => {
                Right::List(self.names.expanded(op, [item])?, Quantifier::Any)
            }
            Entry::One(item) => Right::Text(item.text.clone()),
            Entry::Many(entries) => {
                let items = entries.iter().filter_map(|entry| match entry {
                    Entry::One(item) => Some(item),
                    Entry::Many(_) => None,
                });
                Right::List(self.names.expanded(op, items)?, Quantifier::Any)
            }
        };
        Some(check(left.clone(), op, right))
    }

    fn too_large<T>(&mut self, exception: &Exception) -> Option<T> {
        self.error(exception, "it is too large once its lists are in place")
    }

    fn field(&mut self, exception: &Exception, field: &Item) -> Option<Term> {
        match leading_term(&field.text) {
            Ok((term, bytes)) if bytes == field.text.len() => Some(term),
            Ok(_) => self.error(exception, &format!("`{}` is no field", field.text)),
            Err(error) => {
                let at =
                    At::new(&self.files[exception.file], exception.mark).of(self.item).part("exceptions");
                self.report.error(
                    at,
                    format!("exception {:?}: {}", exception.name, error.message),
                    error.help,
                );
                None
            }
        }
    }

    fn error<T>(&mut self, exception: &Exception, message: &str) -> Option<T> {
        let at = At::new(&self.files[exception.file], exception.mark).of(self.item).part("exceptions");
        self.report.error(at, format!("exception {:?}: {message}", exception.name), "");
        None
    }
}

fn check(left: Term, op: Op, right: Right) -> Expr {
    Expr::Check(Check { left, op, right, bytes: 0..0 })
}
