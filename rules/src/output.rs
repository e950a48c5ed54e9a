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

/// What to do about a `%` that was not meant for a field.
const PERCENT: &str = "a `%` before a letter stands for a field's value";

/// A text with fields in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Output {
    parts: Vec<Part>,
    /// What stands for values: as it is written, and what it asks for. Each once.
    fields: Vec<(String, Term)>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    /// The value of the field of this number.
    Value(usize),
}

/// Values of an event, side by side: one text for all, so that taking them costs little.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values {
    text: String,
    /// Where each ends; with [`ABSENT`] if there is none.
    ends: Vec<u32>,
}

/// Marks a value that is not there.
const ABSENT: u32 = 1 << 31;

impl Output {
    /// Reads a text. `%` before anything but a letter is itself.
    ///
    /// # Errors
    /// All fields that there are not, with their places in the text.
    pub fn parse(text: &str) -> Result<Self, Vec<ParseError>> {
        let (mut output, mut errors) = (Self::default(), Vec::new());
        let (mut plain, mut at) = (String::new(), 0);
        while let Some(next) = text[at..].find('%') {
            plain.push_str(&text[at..at + next]);
            at += next + 1;
            if !text[at..].starts_with(|c: char| c.is_ascii_alphabetic()) {
                plain.push('%');
                continue;
            }
            match leading_term(&text[at..]) {
                Ok((term, bytes)) => {
                    output.text(&mut plain);
                    output.value(&text[at..at + bytes], term);
                    at += bytes;
                }
                Err(error) => {
                    let bytes = error.bytes.start + at..error.bytes.end + at;
                    let is_helpless = error.help.is_empty() && !error.is_unknown_field;
                    let help = if is_helpless { PERCENT.to_owned() } else { error.help };
                    errors.push(ParseError { bytes, help, ..error });
                }
            }
        }
        plain.push_str(&text[at..]);
        output.text(&mut plain);
        if errors.is_empty() { Ok(output) } else { Err(errors) }
    }

    fn text(&mut self, plain: &mut String) {
        if !plain.is_empty() {
            self.parts.push(Part::Text(std::mem::take(plain)));
        }
    }

    fn value(&mut self, shown: &str, term: Term) {
        let known = self.fields.iter().position(|(known, _)| known == shown);
        let field = known.unwrap_or_else(|| {
            self.fields.push((shown.to_owned(), term));
            self.fields.len() - 1
        });
        self.parts.push(Part::Value(field));
    }

    /// Takes the values of the fields.
    pub fn take<E: Event>(&self, event: &E, values: &mut Values) {
        for (_, term) in &self.fields {
            values.add(|visit| values::any(term, event, visit));
        }
    }

    /// What a match says whose fields have these values.
    pub fn message<'v>(&self, value: impl Fn(usize) -> Option<&'v str>) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Value(field) => value(*field).unwrap_or(NOTHING).to_owned(),
        };
        self.parts.iter().map(part).collect()
    }

    /// The fields in it, as they are written, in the order of their values.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|(shown, _)| shown.as_str())
    }
}

impl Values {
    /// Adds the values of a field.
    pub fn add_field<E: Event>(&mut self, field: &Field, event: &E) {
        self.add(|visit| values::any_of_field(field, event, visit));
    }

    /// Adds a text that is there or not.
    pub fn add_text(&mut self, text: Option<&str>) {
        self.add(|visit| text.is_some_and(|text| visit(values::Value::Text(text))));
    }

    /// The value of this number.
    pub fn get(&self, at: usize) -> Option<&str> {
        let end = *self.ends.get(at)?;
        let begin = at.checked_sub(1).map_or(0, |before| self.ends[before] & !ABSENT);
        (end & ABSENT == 0).then(|| &self.text[begin as usize..end as usize])
    }

    /// Roughly the bytes that they take.
    pub fn bytes(&self) -> usize {
        self.text.len() + self.ends.len() * 4
    }

    /// Adds values as one text; several in parentheses, as Falco prints them.
    fn add(&mut self, visit_all: impl FnOnce(&mut values::Visit<'_>) -> bool) {
        let (begin, mut count, text) = (self.text.len(), 0, &mut self.text);
        visit_all(&mut |value| {
            if count > 0 {
                text.push(',');
            }
            count += 1;
            value.write(text);
            false
        });
        if count > 1 {
            text.insert(begin, '(');
            text.push(')');
        }
        if text.len() - begin > MAX_VALUE_BYTES {
            text.truncate(text.floor_char_boundary(begin + MAX_VALUE_BYTES));
            text.push('…');
        }
        self.ends.push(text.len() as u32 | if count == 0 { ABSENT } else { 0 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::PlainEvent;

    fn check(text: &str, message: &str, fields: &[(&str, Option<&str>)]) {
        let json = serde_json::json!({
            "eventName": "RunInstances", "awsRegion": "eu-west-1", "errorCode": "", "requestParameters": {"a": [1, "x"]}
        });
        let event = PlainEvent::new(json);
        let output = Output::parse(text).unwrap();
        let mut values = Values::default();
        output.take(&event, &mut values);
        let said = output.message(|at| values.get(at));
        let values: Vec<_> = output.fields().enumerate().map(|(at, name)| (name, values.get(at))).collect();
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
