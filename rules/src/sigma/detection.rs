//! The `detection` of a rule: selections, and the condition that puts them together.

use std::collections::BTreeMap;

use super::{condition, value};
use crate::ast::{Check, Expr, Op, Right, Term};
use crate::falco::ItemReader;
use crate::field::Field;
use crate::pattern::Pattern;
use crate::yaml::{Node, Value};

/// The condition of a rule. None if it makes no sense, which is reported.
pub(super) fn lowered(reader: &mut ItemReader<'_>) -> Option<Expr> {
    let Some(detection) = reader.node.get("detection") else {
        reader.error(reader.node, "", "the key `detection` is missing", "");
        return None;
    };
    let Some(members) = detection.as_mapping() else {
        reader.error(detection, "detection", "expected a mapping of selections", "");
        return None;
    };
    let (mut selections, mut is_sound) = (BTreeMap::new(), true);
    for (key, node) in members {
        let name = key.as_text().unwrap_or_default();
        if matches!(name, "condition" | "timeframe") {
            continue;
        }
        match selection(reader, node) {
            Some(expr) => drop(selections.insert(name.to_owned(), expr)),
            None => is_sound = false,
        }
    }
    if let Some(timeframe) = detection.get("timeframe") {
        let help = "write a correlation rule instead";
        reader.error(
            timeframe,
            "detection",
            "`timeframe` with an aggregation is no longer part of Sigma",
            help,
        );
        is_sound = false;
    }
    let Some(node) = detection.get("condition") else {
        reader.error(detection, "detection", "the `condition` is missing", "");
        return None;
    };
    // A list of conditions: any of them.
    let nodes = node.as_sequence().map_or(std::slice::from_ref(node), |nodes| nodes);
    if nodes.is_empty() {
        reader.error(node, "condition", "the `condition` is missing", "");
        return None;
    }
    let mut conditions = Vec::new();
    for node in nodes {
        match condition::parse(node.as_text().unwrap_or_default(), &selections) {
            Ok(expr) => conditions.push(expr),
            // What an unsound selection would have been called is not missing.
            Err(_) if !is_sound => {}
            Err((message, help)) => {
                reader.error(node, "condition", message, help);
                is_sound = false;
            }
        }
    }
    let condition = if conditions.len() == 1 { conditions.remove(0) } else { Expr::Or(conditions) };
    is_sound.then_some(condition)
}

/// A selection: a mapping, all of whose fields must match; a list of mappings, one of which must; or words, one of
/// which must be somewhere in the event.
fn selection(reader: &mut ItemReader<'_>, node: &Node) -> Option<Expr> {
    match &node.value {
        Value::Mapping(members) if members.is_empty() => {
            reader.error(node, "detection", "the selection is empty", "");
            None
        }
        Value::Mapping(members) => {
            let mut parts = Vec::new();
            for (key, value) in members {
                parts.push(value::lowered(reader, key, value)?);
            }
            Some(if parts.len() == 1 { parts.remove(0) } else { Expr::And(parts) })
        }
        Value::Sequence(nodes) if nodes.is_empty() => {
            reader.error(node, "detection", "the selection is empty", "");
            None
        }
        Value::Sequence(nodes) => {
            let mut parts = Vec::new();
            for node in nodes {
                parts.push(selection(reader, node)?);
            }
            Some(if parts.len() == 1 { parts.remove(0) } else { Expr::Or(parts) })
        }
        Value::Scalar { .. } if node.is_null() => {
            reader.error(node, "detection", "the selection is empty", "");
            None
        }
        Value::Scalar { text, .. } => Some(keyword(text)),
    }
}

fn keyword(text: &str) -> Expr {
    let pattern = Pattern::parse(text).after_anything().before_anything();
    let op = Op::Like(crate::ast::Case::Ignored);
    Expr::Check(Check {
        left: Term::Field(Field::Whole),
        op,
        right: Right::Text(pattern.text()),
        bytes: 0..0,
    })
}
