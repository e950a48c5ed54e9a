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

/// Texts that an event knows without a look into its JSON: some of what it says, and what its own judgement says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Known {
    /// `eventSource`.
    EventSource,
    /// `eventName`.
    EventName,
    /// `userIdentity.type`.
    IdentityType,
    /// `eventType`.
    EventType,
    /// `errorCode`.
    ErrorCode,
    /// `userIdentity.invokedBy`.
    InvokedBy,
    /// `SigV2`, `SigV4`, `SigV4A`, `unknown`.
    SignatureVersion,
    /// `true` or `false`.
    Presigned,
    /// `TLSv1` to `TLSv1.3`, `unknown`.
    TlsVersion,
    /// `long_term`, `temporary`, `other`, `none`.
    KeyKind,
    /// `userIdentity.arn`.
    Arn,
    /// `userIdentity.accountId`.
    IdentityAccount,
    /// `recipientAccountId`.
    RecipientAccount,
    /// `awsRegion`.
    Region,
    /// `sourceIPAddress`.
    SourceIp,
    /// `userAgent`.
    UserAgent,
    /// The access key's id.
    KeyId,
    /// The durable identity behind the call.
    Principal,
    /// The account that called.
    Account,
    /// The session of an assumed role.
    Session,
    /// The client's name.
    ClientName,
    /// The client's version.
    ClientVersion,
    /// `true`, `false`; nothing for a client of which it is not known.
    ClientSignsWithSigV4,
    /// The S3 bucket.
    Bucket,
    /// `userIdentity.sessionContext.sessionIssuer.type`.
    IssuerType,
}

impl Known {
    /// All, by their numbers.
    pub const ALL: [Self; 25] = [
        Self::EventSource,
        Self::EventName,
        Self::IdentityType,
        Self::EventType,
        Self::ErrorCode,
        Self::InvokedBy,
        Self::SignatureVersion,
        Self::Presigned,
        Self::TlsVersion,
        Self::KeyKind,
        Self::Arn,
        Self::IdentityAccount,
        Self::RecipientAccount,
        Self::Region,
        Self::SourceIp,
        Self::UserAgent,
        Self::KeyId,
        Self::Principal,
        Self::Account,
        Self::Session,
        Self::ClientName,
        Self::ClientVersion,
        Self::ClientSignsWithSigV4,
        Self::Bucket,
        Self::IssuerType,
    ];

    /// A bit of its own.
    pub const fn bit(self) -> u32 {
        1 << self as u8
    }
}

/// What calls differ little in, a bit each: all calls that have these in common (their shape) are asked the same.
pub const SHAPE: u32 = 0x3ff;
/// What calls by the same caller differ in: a session's name, where it comes from, with what, and on what.
pub const MANIFOLD: u32 = Known::Arn.bit()
    | Known::SourceIp.bit()
    | Known::UserAgent.bit()
    | Known::KeyId.bit()
    | Known::Session.bit()
    | Known::Bucket.bit();
/// The part of the shape that [`Event::judged`] tells.
pub const JUDGED: u32 = 0x3c0;

/// A text that an event may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup<'e> {
    /// It is this one.
    Text(&'e str),
    /// It has none: nothing stands there.
    Absent,
    /// Only the JSON tells.
    Elsewhere,
}

/// An event that rules are asked about.
pub trait Event {
    /// Its JSON.
    type Json<'e>: Json<'e>
    where
        Self: 'e;
    /// The whole event.
    fn root(&self) -> Self::Json<'_>;
    /// A text that it may know. What its own judgement says is never elsewhere.
    fn known(&self, known: Known) -> Lookup<'_>;
    /// A hash of such a text, or of its absence, the same for the same text of the same kind in this process; none if it is
    /// elsewhere.
    fn hash_of(&self, known: Known) -> Option<u64>;
    /// A number that is the same for calls that have signature version, presigned, TLS version and key kind in common.
    fn judged(&self) -> u32;
    /// Hands the name of each weakness of the call to `visit`, until it says true. Whether it did. They depend on the
    /// call's shape alone.
    fn any_weakness(&self, visit: &mut dyn FnMut(&str) -> bool) -> bool;
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
    let mut rest = text;
    // Most texts have nothing to escape.
    while let Some(at) = rest.bytes().position(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        out.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x08 => out.push_str("\\b"),
            0x0c => out.push_str("\\f"),
            byte => out.push_str(&format!("\\u{byte:04x}")),
        }
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
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

/// An event that is JSON and nothing else: what its judgement says must be given. For tests.
pub struct PlainEvent {
    /// The event.
    pub json: serde_json::Value,
    /// What its judgement says; nothing else is known.
    pub own: Vec<(Known, &'static str)>,
    /// Its weaknesses.
    pub weaknesses: Vec<&'static str>,
}

impl PlainEvent {
    /// Of this JSON.
    pub fn new(json: serde_json::Value) -> Self {
        Self { json, own: Vec::new(), weaknesses: Vec::new() }
    }
}

impl Event for PlainEvent {
    type Json<'e> = &'e serde_json::Value;

    fn root(&self) -> Self::Json<'_> {
        &self.json
    }

    fn known(&self, known: Known) -> Lookup<'_> {
        match self.own.iter().find(|(own, _)| *own == known) {
            Some((_, text)) => Lookup::Text(text),
            None => Lookup::Elsewhere,
        }
    }

    fn hash_of(&self, known: Known) -> Option<u64> {
        match self.known(known) {
            Lookup::Text(text) => {
                Some(xxhash_rust::xxh3::xxh3_64_with_seed(text.as_bytes(), u64::from(known.bit())))
            }
            Lookup::Absent => Some(u64::from(known.bit())),
            Lookup::Elsewhere => None,
        }
    }

    fn judged(&self) -> u32 {
        0
    }

    fn any_weakness(&self, visit: &mut dyn FnMut(&str) -> bool) -> bool {
        self.weaknesses.iter().any(|weakness| visit(weakness))
    }

    fn number(&self) -> u64 {
        1
    }

    fn time_s(&self) -> i64 {
        1_688_990_400
    }
}
