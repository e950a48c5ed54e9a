//! What rules ask of an event: its JSON, wherever that stands, and what its own judgement says.

/// A number of a JSON text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// Whole, perhaps negative.
    Signed(i64),
    /// Whole.
    Unsigned(u64),
    /// Any other.
    Float(f64),
}

/// What a JSON value is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum JsonKind<'a> {
    /// `null`.
    Null,
    /// A truth value.
    Truth(bool),
    /// A number.
    Number(Number),
    /// A string.
    Text(&'a str),
    /// An array.
    Array,
    /// An object.
    Object,
}

/// A JSON value, as some reader keeps it.
pub trait Json<'a>: Copy {
    /// What it is.
    fn kind(self) -> JsonKind<'a>;
    /// The member of an object under a key; of several the last.
    fn member(self, key: &str) -> Option<Self>;
    /// Hands the elements of an array to `visit`, until it says true. Whether it did.
    fn any_element(self, visit: &mut dyn FnMut(Self) -> bool) -> bool;
    /// Hands the members of an object to `visit`.
    fn each_member(self, visit: &mut dyn FnMut(&'a str, Self));
}

/// Texts that an event may have at hand, without a look into its JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtHand {
    /// `eventName`.
    EventName,
    /// `eventSource`.
    EventSource,
    /// `errorCode`.
    ErrorCode,
    /// `userIdentity.type`.
    IdentityType,
    /// `userIdentity.arn`.
    Arn,
    /// `userIdentity.accountId`, else `recipientAccountId`.
    AccountId,
    /// `awsRegion`.
    Region,
    /// `sourceIPAddress`.
    SourceIp,
    /// `userAgent`.
    UserAgent,
}

/// What the event's own judgement says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Own {
    /// The durable identity behind the call.
    Principal,
    /// The session of an assumed role.
    Session,
    /// The account that called.
    Account,
    /// `SigV2`, `SigV4`, `SigV4A`, `unknown`.
    SignatureVersion,
    /// `true` or `false`.
    Presigned,
    /// `TLSv1` to `TLSv1.3`, `unknown`.
    TlsVersion,
    /// The access key's id.
    KeyId,
    /// `long_term`, `temporary`, `other`, `none`.
    KeyKind,
    /// The client's name.
    ClientName,
    /// The client's version.
    ClientVersion,
    /// `true`, `false`; nothing for a client of which it is not known.
    ClientSignsWithSigV4,
    /// All weaknesses of the call.
    Weakness,
    /// The S3 bucket.
    Bucket,
    /// The source address; see [`crate::field::Kind::Network`].
    SourceNetwork,
}

/// An event that rules are asked about.
pub trait Event {
    /// Its JSON.
    type Json<'e>: Json<'e>
    where
        Self: 'e;
    /// The whole event.
    fn root(&self) -> Self::Json<'_>;
    /// A text that the event has at hand and that is the string in its JSON. None says nothing.
    fn at_hand(&self, text: AtHand) -> Option<&str>;
    /// Hands each value of one of our own fields to `visit`, until it says true. Whether it did.
    fn any_own(&self, own: Own, visit: &mut dyn FnMut(&str) -> bool) -> bool;
    /// The call's number in its shard since the start.
    fn number(&self) -> u64;
    /// Event time in seconds since 1970.
    fn time_s(&self) -> i64;
}

/// Writes a value as compact JSON.
pub fn write_json<'a>(value: impl Json<'a>, out: &mut String) {
    match value.kind() {
        JsonKind::Null => out.push_str("null"),
        JsonKind::Truth(truth) => out.push_str(if truth { "true" } else { "false" }),
        JsonKind::Number(number) => write_number(number, out),
        JsonKind::Text(text) => write_text(text, out),
        JsonKind::Array => {
            out.push('[');
            let mut is_first = true;
            value.any_element(&mut |element| {
                separate(&mut is_first, out);
                write_json(element, out);
                false
            });
            out.push(']');
        }
        JsonKind::Object => {
            out.push('{');
            let mut is_first = true;
            value.each_member(&mut |key, member| {
                separate(&mut is_first, out);
                write_text(key, out);
                out.push(':');
                write_json(member, out);
            });
            out.push('}');
        }
    }
}

fn separate(is_first: &mut bool, out: &mut String) {
    if !std::mem::take(is_first) {
        out.push(',');
    }
}

/// Writes a number as JSON has it.
pub fn write_number(number: Number, out: &mut String) {
    use std::fmt::Write as _;
    let written = match number {
        Number::Signed(number) => write!(out, "{number}"),
        Number::Unsigned(number) => write!(out, "{number}"),
        // As it was written, a fraction stays one: 33.0.
        Number::Float(number) => write!(out, "{number:?}"),
    };
    debug_assert!(written.is_ok(), "a String takes everything");
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
}

impl<'a> Json<'a> for &'a serde_json::Value {
    fn kind(self) -> JsonKind<'a> {
        match self {
            serde_json::Value::Null => JsonKind::Null,
            serde_json::Value::Bool(truth) => JsonKind::Truth(*truth),
            serde_json::Value::Number(number) => JsonKind::Number(number_of(number)),
            serde_json::Value::String(text) => JsonKind::Text(text),
            serde_json::Value::Array(_) => JsonKind::Array,
            serde_json::Value::Object(_) => JsonKind::Object,
        }
    }

    fn member(self, key: &str) -> Option<Self> {
        self.as_object()?.get(key)
    }

    fn any_element(self, visit: &mut dyn FnMut(Self) -> bool) -> bool {
        self.as_array().is_some_and(|elements| elements.iter().any(visit))
    }

    fn each_member(self, visit: &mut dyn FnMut(&'a str, Self)) {
        for (key, value) in self.as_object().into_iter().flatten() {
            visit(key, value);
        }
    }
}

fn number_of(number: &serde_json::Number) -> Number {
    match (number.as_i64(), number.as_u64()) {
        (Some(number), _) => Number::Signed(number),
        (None, Some(number)) => Number::Unsigned(number),
        (None, None) => Number::Float(number.as_f64().unwrap_or_default()),
    }
}

/// An event that is JSON and nothing else: what our own fields say must be given. For tests.
pub struct PlainEvent {
    /// The event.
    pub json: serde_json::Value,
    /// The values of our own fields.
    pub own: Vec<(Own, &'static str)>,
}

impl Event for PlainEvent {
    type Json<'e> = &'e serde_json::Value;

    fn root(&self) -> Self::Json<'_> {
        &self.json
    }

    fn at_hand(&self, _: AtHand) -> Option<&str> {
        None
    }

    fn any_own(&self, own: Own, visit: &mut dyn FnMut(&str) -> bool) -> bool {
        self.own.iter().filter(|(known, _)| *known == own).any(|(_, value)| visit(value))
    }

    fn number(&self) -> u64 {
        1
    }

    fn time_s(&self) -> i64 {
        1_688_990_400
    }
}
