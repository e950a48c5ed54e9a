//! JSON: everything as one object, or the rows as one object each.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Report;
use crate::event::time;
use crate::scan::layout::{PassedOver, Reason};
use crate::scan::{Note, Outcome, Sum};
use crate::state::Recalled;

/// All of it.
pub fn body(report: &Report, outcome: &Outcome) -> Value {
    let mut body = outcome.totals.json();
    body["coverage"] = outcome.totals.coverage_json();
    body["rows"] = rows(report, outcome).collect();
    body["rules"] =
        outcome.rules.iter().map(|(rule, matches)| json!({"rule": rule, "matches": matches})).collect();
    body["weak_callers"] = outcome.weak.len().into();
    body["files_with_problems"] = outcome.notes.iter().map(note).collect();
    body["more_files_with_problems"] = outcome.more_notes.into();
    body["interrupted"] = outcome.is_interrupted.into();
    body["files"] = outcome.files.into();
    body["bytes"] = outcome.bytes.into();
    body["passed_over"] = passed_over(&outcome.passed_over);
    if let Some(Recalled { new, known, no_room }) = outcome.remembered {
        body["remembered"] = json!({"new": new, "known": known, "no_room": no_room});
    }
    // It belongs to windows, of which there are none.
    if let Some(body) = body.as_object_mut() {
        body.remove("late");
    }
    if outcome.is_of_table {
        unseen(&mut body);
    }
    body
}

/// A table has events only: what else its files hold was not counted, which is not none.
fn unseen(body: &mut Value) {
    for name in ["records", "files", "bytes", "passed_over"] {
        body[name] = Value::Null;
    }
    body["not_calls"]["digest"] = Value::Null;
    for reason in ["not_json", "not_object", "too_large", "too_deep"] {
        body["rejected"][reason] = Value::Null;
    }
}

/// A row each.
pub fn rows<'r>(report: &'r Report, outcome: &'r Outcome) -> impl Iterator<Item = Value> + 'r {
    report.rows(outcome).into_iter().map(move |(values, sum)| row(report, values, *sum))
}

fn row(report: &Report, values: &[String], sum: Sum) -> Value {
    let mut row = Map::new();
    for (field, value) in report.group_by.iter().zip(values) {
        let value = if field.is_boolean() { json!(value == "true") } else { json!(value) };
        row.insert(field.name().to_owned(), value);
    }
    row.insert("calls".to_owned(), sum.calls.into());
    row.insert("first_seen".to_owned(), time::format(sum.first_s).into());
    row.insert("last_seen".to_owned(), time::format(sum.last_s).into());
    Value::Object(row)
}

fn passed_over(passed: &PassedOver) -> Value {
    let counts = |counts: &BTreeMap<Reason, u64>| -> Map<String, Value> {
        counts.iter().map(|(reason, count)| (reason.label().to_owned(), (*count).into())).collect()
    };
    json!({"files": counts(&passed.files), "folders": counts(&passed.folders)})
}

fn note(note: &Note) -> Value {
    json!({"path": note.path.display().to_string(), "error": note.error, "rejected": note.reasons})
}
