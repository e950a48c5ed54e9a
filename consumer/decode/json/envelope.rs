//! The envelopes that events come in, told by their keys.
//!
//! `{"Records":[…]}` and arrays hold events; EventBridge has one under `detail`; CloudWatch Logs has many as strings
//! under `logEvents`. What is in no envelope is an event itself.

use super::node::{Form, Leaf, Node};
use crate::totals::{EventRejection, RecordRejection};

/// What an envelope holds.
pub enum Item<'a, V> {
    /// An object in the place of an event.
    Event(V),
    /// The text of an event.
    Message(&'a str),
    /// Something in the place of an event that is none.
    Rejected(EventRejection),
    /// A probe that carries no events.
    Control,
    /// An envelope that carries something else.
    UnknownEnvelope(RecordRejection),
}

/// Gives what stands in `value` to `found`.
pub fn open<'a, V: Node<'a>>(value: V, found: &mut impl FnMut(Item<'a, V>)) {
    match value.form() {
        Form::Array => value.each_element(|element| one(element, found)),
        _ => one(value, found),
    }
}

/// One value that is an envelope or an event.
fn one<'a, V: Node<'a>>(value: V, found: &mut impl FnMut(Item<'a, V>)) {
    if value.form() != Form::Object {
        return found(Item::Rejected(EventRejection::NotObject));
    }
    let keys = Keys::of(value);
    let array = |value: Option<V>| value.filter(|value| value.form() == Form::Array);
    if let Some(records) = array(keys.records) {
        return records.each_element(|element| event(element, found));
    }
    let message_type = keys.message_type.and_then(Leaf::text);
    let detail_type = keys.detail_type.and_then(Leaf::text);
    match (message_type, array(keys.log_events), detail_type, keys.detail) {
        (Some("CONTROL_MESSAGE"), ..) => found(Item::Control),
        (Some("DATA_MESSAGE"), Some(log_events), ..) => {
            log_events.each_element(|log_event| match log_event.member("message").and_then(Leaf::text) {
                Some(text) => found(Item::Message(text)),
                None => found(Item::Rejected(EventRejection::NotObject)),
            });
        }
        (Some(_), Some(_), ..) => found(Item::UnknownEnvelope(RecordRejection::UnknownEnvelope)),
        (.., Some(detail_type), Some(detail)) if detail_type.ends_with(" via CloudTrail") => {
            event(detail, found);
        }
        (.., Some(_), Some(_)) => found(Item::UnknownEnvelope(RecordRejection::UnknownEnvelope)),
        _ => found(Item::Event(value)),
    }
}

/// The keys by which envelopes are told from events, found in one walk.
struct Keys<V> {
    records: Option<V>,
    message_type: Option<V>,
    log_events: Option<V>,
    detail_type: Option<V>,
    detail: Option<V>,
}

impl<V> Keys<V> {
    fn of<'a>(value: V) -> Self
    where
        V: Node<'a>,
    {
        let mut keys =
            Self { records: None, message_type: None, log_events: None, detail_type: None, detail: None };
        value.each_member(|key, value| {
            match key {
                // Nearly all events begin with it, no envelope has it: no need to look further.
                "eventVersion" => return false,
                "Records" => keys.records = Some(value),
                "messageType" => keys.message_type = Some(value),
                "logEvents" => keys.log_events = Some(value),
                "detail-type" => keys.detail_type = Some(value),
                "detail" => keys.detail = Some(value),
                _ => {}
            }
            true
        });
        keys
    }
}

/// What stands in the place of an event.
pub fn event<'a, V: Node<'a>>(value: V, found: &mut impl FnMut(Item<'a, V>)) {
    match value.form() {
        Form::Object => found(Item::Event(value)),
        _ => found(Item::Rejected(EventRejection::NotObject)),
    }
}
