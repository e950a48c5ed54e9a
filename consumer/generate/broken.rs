//! Events as they must not be, made of good ones.

use super::text;

/// How an event is broken. All but [`Broken::WrongTypes`], which is still a call, are rejected by a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// Plain text.
    NotJson,
    /// JSON that stops in the middle.
    Truncated,
    /// JSON, but a string.
    NotObject,
    /// `tlsDetails` a list, `additionalEventData` and `userAgent` numbers: still a call, of which less is known.
    WrongTypes,
    /// No `eventTime`.
    NoTime,
    /// An `eventTime` that is no RFC 3339 in UTC.
    BadTime,
    /// No `eventSource`.
    NoSource,
    /// No `eventName`.
    NoName,
    /// An `eventName` of the wrong type, which counts as none.
    NameNotText,
    /// Lists 2,000 deep in the request.
    TooDeep,
    /// A byte that is no UTF-8 in the user agent.
    InvalidUtf8,
}

impl Broken {
    /// Why a reader rejects it; `None` where it does not.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Broken::NotJson | Broken::Truncated | Broken::InvalidUtf8 => Some("not_json"),
            Broken::NotObject => Some("not_object"),
            Broken::WrongTypes => None,
            Broken::NoTime => Some("no_time"),
            Broken::BadTime => Some("bad_time"),
            Broken::NoSource => Some("no_source"),
            Broken::NoName | Broken::NameNotText => Some("no_name"),
            Broken::TooDeep => Some("too_deep"),
        }
    }
}

/// All of them, in turn.
pub(super) const ALL: [Broken; 11] = [
    Broken::NotJson,
    Broken::Truncated,
    Broken::NotObject,
    Broken::WrongTypes,
    Broken::NoTime,
    Broken::BadTime,
    Broken::NoSource,
    Broken::NoName,
    Broken::NameNotText,
    Broken::TooDeep,
    Broken::InvalidUtf8,
];
const DEPTH: usize = 2000;

/// Breaks a good event's text.
pub(super) fn break_event(json: &[u8], how: Broken) -> Vec<u8> {
    let good = String::from_utf8_lossy(json);
    match how {
        Broken::NotJson => b"2025-07-01 00:00:00 INFO this line is no event".to_vec(),
        Broken::Truncated => json[..json.len() * 2 / 3].to_vec(),
        Broken::NotObject => quoted(json),
        Broken::WrongTypes => wrong_types(&good),
        Broken::NoTime => renamed(&good, "eventTime"),
        Broken::BadTime => with_value(&good, "eventTime", "\"01/07/2025 10:00\""),
        Broken::NoSource => renamed(&good, "eventSource"),
        Broken::NoName => renamed(&good, "eventName"),
        Broken::NameNotText => with_value(&good, "eventName", "17"),
        Broken::TooDeep => {
            let deep = "[".repeat(DEPTH) + &"]".repeat(DEPTH);
            with_member(&good, "nested", &deep)
        }
        Broken::InvalidUtf8 => {
            let mut bytes = with_value(&good, "userAgent", "\"agent \u{1}\"");
            bytes.iter_mut().filter(|byte| **byte == 1).for_each(|byte| *byte = 0xff);
            bytes
        }
    }
}

fn quoted(json: &[u8]) -> Vec<u8> {
    let mut out = vec![b'"'];
    text::escaped(&mut out, json);
    out.push(b'"');
    out
}

fn wrong_types(good: &str) -> Vec<u8> {
    let fewer = String::from_utf8_lossy(&renamed(good, "tlsDetails")).into_owned();
    let fewer = String::from_utf8_lossy(&renamed(&fewer, "additionalEventData")).into_owned();
    let fewer = String::from_utf8_lossy(&with_value(&fewer, "userAgent", "5")).into_owned();
    let more = with_member(&fewer, "tlsDetails", "[]");
    with_member(&String::from_utf8_lossy(&more), "additionalEventData", "17")
}

/// The member under another name, which is as good as gone.
fn renamed(good: &str, name: &str) -> Vec<u8> {
    good.replacen(&format!("\"{name}\":"), &format!("\"was{name}\":"), 1).into_bytes()
}

/// A text member with another value.
fn with_value(good: &str, name: &str, value: &str) -> Vec<u8> {
    let key = format!("\"{name}\":\"");
    let Some(start) = good.find(&key) else { return good.as_bytes().to_vec() };
    let after = start + key.len();
    let end = good[after..].find('"').map_or(good.len(), |at| after + at + 1);
    [&good[..start], "\"", name, "\":", value, &good[end..]].concat().into_bytes()
}

fn with_member(good: &str, name: &str, value: &str) -> Vec<u8> {
    ["{\"", name, "\":", value, ",", &good[1..]].concat().into_bytes()
}
