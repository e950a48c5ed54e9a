//! What is told of a match: made from the call, kept with it.

use serde::{Deserialize, Serialize};
use trailmeter_rules::Rule;
use trailmeter_rules::output::field_value;

use super::Call;
use crate::window::cut_name;

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
    /// Of this call.
    pub fn of(rule: &Rule, call: &Call<'_>) -> Self {
        let (message, fields) = rule.output.of(call);
        let labels = rule.group.iter().filter_map(|label| {
            let value = field_value(&label.field, call).filter(|value| !value.is_empty())?;
            Some((label.name.clone(), cut_name(&value).to_owned()))
        });
        Self {
            time_s: call.time_s,
            event_id: call.event.id.map(cut_name).unwrap_or_default().to_owned(),
            message,
            fields,
            labels: labels.collect(),
        }
    }

    /// Roughly the bytes that it takes.
    pub fn bytes(&self) -> usize {
        let fields =
            self.fields.iter().map(|(name, value)| name.len() + value.as_ref().map_or(0, String::len) + 48);
        let labels = self.labels.iter().map(|(name, value)| name.len() + value.len() + 48);
        size_of::<Self>()
            + self.message.len()
            + self.event_id.len()
            + fields.sum::<usize>()
            + labels.sum::<usize>()
    }
}
