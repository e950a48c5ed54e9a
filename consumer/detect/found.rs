//! What is told of a match: taken from the call, kept with it.

use serde::{Deserialize, Serialize};
use trailmeter_rules::Rule;
use trailmeter_rules::output::Values;

use super::Call;
use crate::window::cut_name;

/// What is taken of a call that a rule met, until it is decided what becomes of it: the event's id, the values of the
/// rule's output and of its group. Most are thrown away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Event time, in seconds since 1970.
    pub time_s: i64,
    values: Values,
}

impl Taken {
    /// Of this call.
    pub fn of(rule: &Rule, call: &Call<'_>) -> Self {
        let mut values = Values::default();
        values.add_text(call.event.id);
        rule.output.take(call, &mut values);
        rule.group.iter().for_each(|label| values.add_field(&label.field, call));
        Self { time_s: call.time_s, values }
    }

    /// Of a call at this time, of which nothing will be told.
    pub fn untold(time_s: i64) -> Self {
        Self { time_s, ..Self::default() }
    }

    /// Roughly the bytes that it takes.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.values.bytes()
    }
}

/// A call that a rule matched, as it is told. The texts are hostile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Event time, in seconds since 1970.
    pub time_s: i64,
    /// `eventID`.
    pub event_id: String,
    /// What the rule says.
    pub message: String,
    /// The fields in it with their values.
    pub fields: Vec<(String, Option<String>)>,
    /// The group: labels of its alert. Of a field that the event does not have, none.
    pub labels: Vec<(String, String)>,
}

impl Found {
    /// What a rule says of what was taken for it.
    pub fn of(rule: &Rule, taken: &Taken) -> Self {
        let value = |at: usize| taken.values.get(1 + at);
        let fields: Vec<(String, Option<String>)> = rule
            .output
            .fields()
            .enumerate()
            .map(|(at, name)| (name.to_owned(), value(at).map(str::to_owned)))
            .collect();
        let labels = rule.group.iter().enumerate().filter_map(|(at, label)| {
            let value = value(fields.len() + at).filter(|value| !value.is_empty())?;
            Some((label.name.clone(), cut_name(value).to_owned()))
        });
        Self {
            time_s: taken.time_s,
            event_id: taken.values.get(0).map(cut_name).unwrap_or_default().to_owned(),
            message: rule.output.message(value),
            labels: labels.collect(),
            fields,
        }
    }
}
