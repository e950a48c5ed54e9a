//! What a match says: text in which `%field` stands for a value of the event.

use crate::ast::Term;
use crate::event::Event;
use crate::field::Field;
use crate::parser::{ParseError, leading_term};
use crate::values;

/// What stands for a value that the event does not have.
pub const NOTHING: &str = "<NA>";
/// Longest value that is printed: a policy may be of many kilobytes.
const MAX_VALUE_BYTES: usize = 2048;

/// A text with fields in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Output {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    Value { shown: String, term: Term },
}

impl Output {
    /// Reads a text. `%` before anything but a letter is itself.
    ///
    /// # Errors
    /// All fields that there are not, with their places in the text.
    pub fn parse(text: &str) -> Result<Self, Vec<ParseError>> {
        let (mut parts, mut errors) = (Vec::new(), Vec::new());
        let mut plain = String::new();
        let mut at = 0;
        while let Some(next) = text[at..].find('%') {
            plain.push_str(&text[at..at + next]);
            at += next + 1;
            if !text[at..].starts_with(|c: char| c.is_ascii_alphabetic()) {
                plain.push('%');
                continue;
            }
            match leading_term(&text[at..]) {
                Ok((term, bytes)) => {
                    if !plain.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut plain)));
                    }
                    parts.push(Part::Value { shown: text[at..at + bytes].to_owned(), term });
                    at += bytes;
                }
                Err(error) => {
                    let bytes = error.bytes.start + at..error.bytes.end + at;
                    errors.push(ParseError { bytes, ..error });
                }
            }
        }
        plain.push_str(&text[at..]);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        if errors.is_empty() { Ok(Self { parts }) } else { Err(errors) }
    }

    /// What a match on this event says, and the values of its fields (none where the event has none).
    pub fn of<E: Event>(&self, event: &E) -> (String, Vec<(String, Option<String>)>) {
        let (mut message, mut fields) = (String::new(), Vec::new());
        for part in &self.parts {
            match part {
                Part::Text(text) => message.push_str(text),
                Part::Value { shown, term } => {
                    let value = value_of(term, event);
                    message.push_str(value.as_deref().unwrap_or(NOTHING));
                    if !fields.iter().any(|(known, _)| known == shown) {
                        fields.push((shown.clone(), value));
                    }
                }
            }
        }
        (message, fields)
    }

    /// The fields in it, as they are written.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Value { shown, .. } => Some(shown.as_str()),
            Part::Text(_) => None,
        })
    }
}

fn value_of<E: Event>(term: &Term, event: &E) -> Option<String> {
    printed(|visit| values::any(term, event, visit))
}

/// The values of a field as one text; several in parentheses, as Falco prints them. None if there are none.
pub fn field_value<E: Event>(field: &Field, event: &E) -> Option<String> {
    printed(|visit| values::any_of_field(field, event, visit))
}

fn printed(visit_all: impl FnOnce(&mut values::Visit<'_>) -> bool) -> Option<String> {
    let mut texts: Vec<String> = Vec::new();
    visit_all(&mut |value| {
        texts.push(value.shown());
        false
    });
    let mut text = match texts.len() {
        0 => return None,
        1 => texts.remove(0),
        _ => format!("({})", texts.join(",")),
    };
    if text.len() > MAX_VALUE_BYTES {
        text.truncate(text.floor_char_boundary(MAX_VALUE_BYTES));
        text.push('…');
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::PlainEvent;

    fn check(text: &str, message: &str, fields: &[(&str, Option<&str>)]) {
        let json = serde_json::json!({
            "eventName": "RunInstances", "awsRegion": "eu-west-1", "errorCode": "", "requestParameters": {"a": [1, "x"]}
        });
        let event = PlainEvent { json, own: Vec::new() };
        let (said, values) = Output::parse(text).unwrap().of(&event);
        let values: Vec<_> = values.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
        assert_eq!((said.as_str(), values.as_slice()), (message, fields), "{text}");
    }

    #[test]
    fn values_and_their_absence() {
        check(
            "(%ct.name)in %ct.region.",
            "(RunInstances)in eu-west-1.",
            &[("ct.name", Some("RunInstances")), ("ct.region", Some("eu-west-1"))],
        );
        check("%ct.srcip %ct.error|", "<NA> |", &[("ct.srcip", None), ("ct.error", Some(""))]);
        check(
            "%json.value[/requestParameters/a]%json.value[/x]",
            "[1,\"x\"]<NA>",
            &[("json.value[/requestParameters/a]", Some("[1,\"x\"]")), ("json.value[/x]", None)],
        );
        check(
            "100% %% %toupper(ct.name) %",
            "100% %% RUNINSTANCES %",
            &[("toupper(ct.name)", Some("RUNINSTANCES"))],
        );
    }

    #[test]
    fn unknown_fields_have_places() {
        let errors = Output::parse("a %ct.nam b %ct.ok.x %evt.num").unwrap_err();
        let places: Vec<_> = errors.iter().map(|error| (error.bytes.clone(), error.help.as_str())).collect();
        assert_eq!(places, [(3..9, "did you mean `ct.name`?"), (13..20, "")]);
    }
}
