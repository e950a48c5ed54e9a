//! The envelopes that events come in, told by their keys.
//!
//! `{"Records":[…]}` and arrays hold events; EventBridge has one under `detail`; CloudWatch Logs has many as strings
//! under `logEvents`. What is in no envelope is an event itself.

use super::tape::Value;
use super::{Document, Found, fields};
use crate::event::Event;
use crate::totals::{EventRejection, RecordRejection};

/// Gives what stands in `value` to `found`.
pub fn open(
    value: Value<'_, '_>,
    message: &mut Document,
    fragment: &mut Document,
    found: &mut impl FnMut(Found<'_>),
) {
    if let Some(elements) = value.elements() {
        elements.for_each(|element| one(element, message, fragment, found));
        return;
    }
    one(value, message, fragment, found);
}

/// One value that is an envelope or an event.
fn one(
    value: Value<'_, '_>,
    message: &mut Document,
    fragment: &mut Document,
    found: &mut impl FnMut(Found<'_>),
) {
    if !value.is_object() {
        return found(Found::Rejected(EventRejection::NotObject));
    }
    let keys = Keys::of(value);
    if let Some(records) = keys.records.and_then(Value::elements) {
        return records.for_each(|element| event(element, fragment, found));
    }
    match (keys.message_type, keys.log_events.and_then(Value::elements), keys.detail_type, keys.detail) {
        (Some("CONTROL_MESSAGE"), ..) => found(Found::Control),
        (Some("DATA_MESSAGE"), Some(log_events), ..) => {
            log_events.for_each(|log_event| log_message(log_event, message, fragment, found));
        }
        (Some(_), Some(_), ..) => found(Found::UnknownEnvelope(RecordRejection::UnknownEnvelope)),
        (.., Some(detail_type), Some(detail)) if detail_type.ends_with(" via CloudTrail") => {
            event(detail, fragment, found)
        }
        (.., Some(_), Some(_)) => found(Found::UnknownEnvelope(RecordRejection::UnknownEnvelope)),
        _ => read_event(value, fragment, found),
    }
}

/// The keys by which envelopes are told from events, found in one walk.
#[derive(Default)]
struct Keys<'t, 'a> {
    records: Option<Value<'t, 'a>>,
    message_type: Option<&'a str>,
    log_events: Option<Value<'t, 'a>>,
    detail_type: Option<&'a str>,
    detail: Option<Value<'t, 'a>>,
}

impl<'t, 'a> Keys<'t, 'a> {
    fn of(value: Value<'t, 'a>) -> Self {
        let mut keys = Self::default();
        for (key, value) in value.members() {
            match key {
                // Nearly all events begin with it, no envelope has it: no need to look further.
                "eventVersion" => break,
                "Records" => keys.records = Some(value),
                "messageType" => keys.message_type = value.as_str(),
                "logEvents" => keys.log_events = Some(value),
                "detail-type" => keys.detail_type = value.as_str(),
                "detail" => keys.detail = Some(value),
                _ => {}
            }
        }
        keys
    }
}

fn log_message(
    log_event: Value<'_, '_>,
    message: &mut Document,
    fragment: &mut Document,
    found: &mut impl FnMut(Found<'_>),
) {
    let Some(text) = log_event.member("message").and_then(Value::as_str) else {
        return found(Found::Rejected(EventRejection::NotObject));
    };
    if let Err(unreadable) = message.read(text.as_bytes(), |value| event(value, fragment, found)) {
        found(Found::Rejected(unreadable.rejection()));
    }
}

fn event(value: Value<'_, '_>, fragment: &mut Document, found: &mut impl FnMut(Found<'_>)) {
    if value.is_object() {
        return read_event(value, fragment, found);
    }
    found(Found::Rejected(EventRejection::NotObject));
}

fn read_event(value: Value<'_, '_>, fragment: &mut Document, found: &mut impl FnMut(Found<'_>)) {
    let mut event = Event::default();
    fields::read(value, fragment, &mut event);
    found(Found::Event(&event, value));
}
