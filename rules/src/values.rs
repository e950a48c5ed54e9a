//! The values that an event has for a field, or for something made of fields.
//!
//! A field may have none, one or many. None makes every check false, `!=` too; an empty text is a value.

use std::net::IpAddr;

use base64::Engine as _;

use crate::ast::{Function, Term};
use crate::event::{Event, Json, JsonKind, Known, Lookup, Number, write_json, write_number};
use crate::field::{Field, Kind, Place, Spec};
use crate::network;

mod made;

pub use made::CHANGES;

/// A value of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'v> {
    /// Text.
    Text(&'v str),
    /// A whole number.
    Number(i64),
    /// The address of a [`Kind::Network`].
    Address(IpAddr),
}

impl Value<'_> {
    /// As it is printed.
    pub fn shown(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }

    /// Prints it.
    pub fn write(&self, out: &mut String) {
        match self {
            Self::Text(text) => out.push_str(text),
            Self::Number(number) => write_number(Number::Signed(*number), out),
            Self::Address(address) => out.push_str(&network::of_address(*address)),
        }
    }
}

/// Takes values, one after the other, until it says true.
pub type Visit<'f> = dyn FnMut(Value<'_>) -> bool + 'f;

/// Hands the values of a term to `visit`, until it says true. Whether it did.
pub fn any<E: Event>(term: &Term, event: &E, visit: &mut Visit<'_>) -> bool {
    match term {
        Term::Field(field) => any_of_field(field, event, visit),
        Term::Text(text) => visit(Value::Text(text)),
        Term::List(terms) => terms.iter().any(|term| any(term, event, visit)),
        Term::Call(function, arguments) => any_of_call(*function, arguments, event, visit),
    }
}

/// Whether the event has a value. Of a place in the JSON: whether something stands there.
pub fn exists<E: Event>(term: &Term, event: &E) -> bool {
    match term {
        // What is no address is in no network.
        Term::Field(field) if field.kind() == Kind::Network => any_of_field(field, event, &mut |_| true),
        // A text that is no address has no network.
        Term::Field(field) if field.kind() == Kind::Network => any_of_field(field, event, &mut |_| true),
        Term::Field(field) => match looked_up(field, event) {
            Lookup::Text(_) => true,
            Lookup::Absent => false,
            Lookup::Elsewhere => match field {
                Field::Pointer { path, .. } => at_pointer(event.root(), path).is_some(),
                Field::Path { keys, .. } => any_at_path(event.root(), keys, &mut |_| true),
                field => any_of_field(field, event, &mut |_| true),
            },
        },
        term => any(term, event, &mut |_| true),
    }
}

/// Whether something but `null` stands there.
pub fn has_value<E: Event>(term: &Term, event: &E) -> bool {
    match term {
        Term::Field(field @ Field::Path { keys, .. }) => match looked_up(field, event) {
            Lookup::Text(_) => true,
            Lookup::Absent => false,
            Lookup::Elsewhere => any_at_path(event.root(), keys, &mut |node| node.kind() != JsonKind::Null),
        },
        term => exists(term, event),
    }
}

/// What the event knows of a field's text.
pub fn looked_up<'e, E: Event>(field: &Field, event: &'e E) -> Lookup<'e> {
    match field.known() {
        Some(known) => event.known(known),
        None => Lookup::Elsewhere,
    }
}

/// Hands the values of a field to `visit`, until it says true. Whether it did.
pub fn any_of_field<E: Event>(field: &Field, event: &E, visit: &mut Visit<'_>) -> bool {
    let is_network = field.kind() == Kind::Network;
    match looked_up(field, event) {
        Lookup::Text(text) if is_network => text.parse().is_ok_and(|address| visit(Value::Address(address))),
        Lookup::Text(text) => visit(Value::Text(text)),
        Lookup::Absent => false,
        Lookup::Elsewhere => any_elsewhere(field, event, visit),
    }
}

fn any_elsewhere<E: Event>(field: &Field, event: &E, visit: &mut Visit<'_>) -> bool {
    match field {
        Field::Named(spec) => any_of_spec(spec, event, visit),
        Field::Pointer { path, .. } => at_pointer(event.root(), path)
            .is_some_and(|value| with_text(value, &mut |text| visit(Value::Text(text)))),
        Field::Path { keys, .. } => any_at_path(event.root(), keys, &mut |node| any_text(node, visit)),
        Field::Whole => with_text(event.root(), &mut |text| visit(Value::Text(text))),
    }
}

fn any_of_spec<E: Event>(spec: &Spec, event: &E, visit: &mut Visit<'_>) -> bool {
    match &spec.place {
        Place::Known(_, paths) => first_text(event, paths).is_some_and(|text| match spec.kind {
            Kind::Network => text.parse().is_ok_and(|address| visit(Value::Address(address))),
            _ => visit(Value::Text(text)),
        }),
        Place::Text(paths) => first_text(event, paths).is_some_and(|text| visit(Value::Text(text))),
        Place::Json(path) => {
            at(event.root(), path).is_some_and(|value| with_json(value, &mut |text| visit(Value::Text(text))))
        }
        Place::Truth(path) => truth(event, path).is_some_and(|truth| visit(Value::Text(truth))),
        Place::Sum(paths) => sum(event, paths).is_some_and(|sum| visit(Value::Number(sum))),
        Place::Counts(name) => {
            let called = known_text(event, Known::EventName, &["eventName"]).unwrap_or_default();
            let counts = match name {
                Some(name) => called == *name,
                None => !matches!(called, "GetObject" | "PutObject"),
            };
            counts && visit(Value::Number(1))
        }
        Place::Made(made) => made::any(*made, event, visit),
        Place::Weakness => event.any_weakness(&mut |weakness| visit(Value::Text(weakness))),
    }
}

/// The string at the first of the paths at which something stands; an empty one if that is no string.
fn first_text<'e, E: Event>(event: &'e E, paths: &[&[&str]]) -> Option<&'e str> {
    paths.iter().find_map(|path| at(event.root(), path)).map(|value| match value.kind() {
        JsonKind::Text(text) => text,
        _ => "",
    })
}

/// A text that the event may know, or that stands at a path.
fn known_text<'e, E: Event>(event: &'e E, known: Known, path: &[&str]) -> Option<&'e str> {
    match event.known(known) {
        Lookup::Text(text) => Some(text),
        Lookup::Absent => None,
        Lookup::Elsewhere => first_text(event, &[path]),
    }
}

fn at<'a, J: Json<'a>>(root: J, path: &[&str]) -> Option<J> {
    path.iter().try_fold(root, |value, key| value.member(key))
}

fn at_pointer<'a, J: Json<'a>>(root: J, path: &[String]) -> Option<J> {
    path.iter().try_fold(root, |value, key| match value.kind() {
        JsonKind::Array => {
            let wanted: usize = key.parse().ok().filter(|_| key == "0" || !key.starts_with(['0', '+']))?;
            let (mut index, mut found) = (0, None);
            value.any_element(&mut |element| {
                found = (index == wanted).then_some(element);
                index += 1;
                found.is_some()
            });
            found
        }
        _ => value.member(key),
    })
}

/// The values at a path of keys; an array on the way stands for each of its elements.
fn any_at_path<'a, J: Json<'a>>(node: J, keys: &[String], visit: &mut dyn FnMut(J) -> bool) -> bool {
    let Some((key, rest)) = keys.split_first() else { return visit(node) };
    if node.kind() == JsonKind::Array {
        return node.any_element(&mut |element| any_at_path(element, keys, visit));
    }
    node.member(key).is_some_and(|member| any_at_path(member, rest, visit))
}

/// The texts of a value as Sigma sees it: of an array those of its elements, of `null` none.
fn any_text<'a, J: Json<'a>>(node: J, visit: &mut Visit<'_>) -> bool {
    match node.kind() {
        JsonKind::Null => false,
        JsonKind::Array => node.any_element(&mut |element| any_text(element, visit)),
        _ => with_text(node, &mut |text| visit(Value::Text(text))),
    }
}

/// A string's text, or anything else as compact JSON.
fn with_text<'a, J: Json<'a>>(value: J, then: &mut dyn FnMut(&str) -> bool) -> bool {
    match value.kind() {
        JsonKind::Text(text) => then(text),
        JsonKind::Truth(truth) => then(if truth { "true" } else { "false" }),
        JsonKind::Number(number) => {
            let mut text = String::new();
            write_number(number, &mut text);
            then(&text)
        }
        _ => with_json(value, then),
    }
}

fn with_json<'a, J: Json<'a>>(value: J, then: &mut dyn FnMut(&str) -> bool) -> bool {
    let mut text = String::with_capacity(512);
    write_json(value, &mut text);
    then(&text)
}

fn truth<E: Event>(event: &E, path: &[&str]) -> Option<&'static str> {
    match at(event.root(), path)?.kind() {
        JsonKind::Truth(true) | JsonKind::Text("true") => Some("true"),
        _ => Some("false"),
    }
}

fn sum<E: Event>(event: &E, paths: &[&[&str]]) -> Option<i64> {
    let numbers = paths.iter().filter_map(|path| at(event.root(), path)).map(|value| match value.kind() {
        JsonKind::Number(Number::Signed(number)) => number,
        JsonKind::Number(Number::Unsigned(number)) => i64::try_from(number).unwrap_or(i64::MAX),
        // Sizes are sometimes written as 33.0; the cast ends at the bounds.
        JsonKind::Number(Number::Float(number)) => number as i64,
        _ => 0,
    });
    numbers.reduce(i64::saturating_add)
}

fn any_of_call<E: Event>(function: Function, arguments: &[Term], event: &E, visit: &mut Visit<'_>) -> bool {
    let Some((first, others)) = arguments.split_first() else { return false };
    match function {
        Function::Val => any(first, event, visit),
        Function::ToLower => {
            any(first, event, &mut |value| visit(Value::Text(&value.shown().to_ascii_lowercase())))
        }
        Function::ToUpper => {
            any(first, event, &mut |value| visit(Value::Text(&value.shown().to_ascii_uppercase())))
        }
        Function::Basename => any(first, event, &mut |value| visit(Value::Text(basename(&value.shown())))),
        Function::B64 => any(first, event, &mut |value| {
            decoded(&value.shown()).is_some_and(|text| visit(Value::Text(&text)))
        }),
        Function::Len => length(first, event).is_some_and(|length| visit(Value::Number(length))),
        Function::Concat => {
            let parts: Option<Vec<String>> =
                arguments.iter().map(|term| all(term, event).map(|all| all.concat())).collect();
            parts.is_some_and(|parts| visit(Value::Text(&parts.concat())))
        }
        Function::Join => {
            // The separator is the one that is a text; it may stand first or last.
            let Some(second) = others.first() else { return false };
            let (list, separator) =
                if matches!(first, Term::Text(_)) { (second, first) } else { (first, second) };
            let separator = all(separator, event).map(|all| all.concat());
            let joined = all(list, event).zip(separator).map(|(parts, separator)| parts.join(&separator));
            joined.is_some_and(|text| visit(Value::Text(&text)))
        }
        Function::GetOpt => {
            let letters = others.first().and_then(|term| all(term, event)).map(|all| all.concat());
            let line = all(first, event).zip(letters);
            line.is_some_and(|(words, letters)| {
                options(&words.join(" "), &letters)
                    .any(|letter| visit(Value::Text(letter.encode_utf8(&mut [0; 4]))))
            })
        }
    }
}

/// All values as text; none if there are none, or if one of several terms has none.
fn all<E: Event>(term: &Term, event: &E) -> Option<Vec<String>> {
    if let Term::List(terms) = term {
        let each: Option<Vec<Vec<String>>> = terms.iter().map(|term| all(term, event)).collect();
        return each.map(|each| each.concat());
    }
    let mut texts = Vec::new();
    any(term, event, &mut |value| {
        texts.push(value.shown());
        false
    });
    (!texts.is_empty()).then_some(texts)
}

fn length<E: Event>(term: &Term, event: &E) -> Option<i64> {
    let texts = all(term, event)?;
    let is_list = matches!(term, Term::List(_)) || matches!(term, Term::Field(field) if field.is_list());
    let length = match texts.as_slice() {
        [text] if !is_list => text.len(),
        texts => texts.len(),
    };
    i64::try_from(length).ok()
}

fn basename(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn decoded(text: &str) -> Option<String> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(text.trim()).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The option letters that a command line has, of those in `letters` (a colon behind a letter says that a value
/// follows it).
fn options<'o>(line: &'o str, letters: &'o str) -> impl Iterator<Item = char> + 'o {
    let takes_value = |letter: char| letters.contains(&format!("{letter}:"));
    let groups = line
        .split_whitespace()
        .filter_map(|word| word.strip_prefix('-').filter(|rest| !rest.starts_with('-')));
    groups.flat_map(move |group| {
        let end = group
            .char_indices()
            .find(|(_, letter)| takes_value(*letter))
            .map_or(group.len(), |(at, letter)| at + letter.len_utf8());
        group[..end].chars().filter(move |letter| *letter != ':' && letters.contains(*letter))
    })
}
