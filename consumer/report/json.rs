//! JSON: everything as one object, or the rows as one object each.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::ser::{Error as _, Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value, json};

use super::Report;
use crate::event::time;
use crate::scan::layout::{PassedOver, Reason};
use crate::scan::{Note, Outcome, Sum};
use crate::state::Recalled;

/// All of it. The rows are written as they are: there may be millions of them.
pub struct Body<'r>(pub &'r Report, pub &'r Outcome);

/// The key of the rows.
const ROWS: &str = "rows";

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(report, outcome) = self;
        let body = rest(outcome);
        let members = body.as_object().ok_or_else(|| S::Error::custom("no object"))?;
        let mut map = serializer.serialize_map(Some(members.len()))?;
        for (key, value) in members {
            match key.as_str() {
                ROWS => map.serialize_entry(ROWS, &Rows(report, outcome))?,
                key => map.serialize_entry(key, value)?,
            }
        }
        map.end()
    }
}

/// The rows.
struct Rows<'r>(&'r Report, &'r Outcome);

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(rows(self.0, self.1))
    }
}

/// All but the rows.
fn rest(outcome: &Outcome) -> Value {
    let mut body = outcome.totals.json();
    body["coverage"] = outcome.totals.coverage_json();
    body[ROWS] = Value::Null;
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

/// A row each, its members by their names.
pub fn rows<'r>(report: &'r Report, outcome: &'r Outcome) -> impl Iterator<Item = Row<'r>> + 'r {
    let fields = report.group_by.iter().enumerate().map(|(at, field)| (field.name(), Member::Field(at)));
    let others = [("calls", Member::Calls), ("first_seen", Member::First), ("last_seen", Member::Last)];
    let mut members: Vec<_> = fields.chain(others).collect();
    members.sort_unstable_by_key(|(name, _)| *name);
    let members: Rc<[_]> = members.into();
    let row = move |(values, sum): &'r (Vec<String>, Sum)| {
        let members = Rc::clone(&members);
        Row { report, members, values, sum: *sum }
    };
    report.rows(outcome).into_iter().map(row)
}

/// One row.
pub struct Row<'r> {
    report: &'r Report,
    members: Rc<[(&'static str, Member)]>,
    values: &'r [String],
    sum: Sum,
}

#[derive(Clone, Copy)]
enum Member {
    /// The field of this number.
    Field(usize),
    Calls,
    First,
    Last,
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.members.len()))?;
        for (name, member) in &*self.members {
            match member {
                Member::Field(at) if self.report.group_by[*at].is_boolean() => {
                    map.serialize_entry(name, &(self.values[*at] == "true"))?;
                }
                Member::Field(at) => map.serialize_entry(name, &self.values[*at])?,
                Member::Calls => map.serialize_entry(name, &self.sum.calls)?,
                Member::First => map.serialize_entry(name, &time::format(self.sum.first_s))?,
                Member::Last => map.serialize_entry(name, &time::format(self.sum.last_s))?,
            }
        }
        map.end()
    }
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
