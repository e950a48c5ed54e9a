//! The fields that rules may ask for: Falco's, our own, and places in the event's JSON.

mod table;

use std::fmt;

pub use table::{FIELDS, Made, Place, Spec};

use crate::ast::in_quotes;
use crate::diagnostic::nearest;
use crate::event::Known;

/// A field of an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Field {
    /// One that has a name.
    Named(&'static Spec),
    /// `json.value[…]`, `jevt.value[…]`: what stands at an RFC 6901 pointer, as text.
    Pointer {
        /// The keys, unescaped.
        path: Vec<String>,
        /// As the rule has it.
        shown: String,
    },
    /// Sigma's: what stands at a path of keys; arrays on the way stand for each of their elements.
    Path {
        /// The keys.
        keys: Vec<String>,
        /// What the event may know of it.
        known: Option<Known>,
    },
    /// Sigma's keywords: the whole event as compact JSON.
    Whole,
}

/// What a field's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// Whole numbers.
    Number,
    /// Dotted numbers, compared number by number.
    Version,
    /// An address, which is compared with networks; as text, the network that it is in.
    Network,
}

/// Why a name stands for no field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldError {
    /// There is none of that name; perhaps this one was meant.
    Unknown(Option<&'static str>),
    /// It needs an argument, as in `json.value[/a/b]`.
    NeedsArgument,
    /// It takes none.
    TakesNoArgument,
}

impl Field {
    /// The field of this name with this argument.
    ///
    /// # Errors
    /// There is none.
    pub fn named(name: &str, argument: Option<&str>) -> Result<Self, FieldError> {
        if matches!(name, "json.value" | "jevt.value") {
            let pointer = argument.ok_or(FieldError::NeedsArgument)?;
            let needs_quotes = pointer.contains(|c: char| c.is_whitespace() || "[]\"'".contains(c));
            let quoted = if needs_quotes { in_quotes(pointer) } else { pointer.to_owned() };
            return Ok(Self::Pointer { path: keys(pointer), shown: format!("{name}[{quoted}]") });
        }
        let Some(spec) = table::spec(name) else { return Err(FieldError::Unknown(near(name))) };
        if argument.is_some() {
            return Err(FieldError::TakesNoArgument);
        }
        Ok(Self::Named(spec))
    }

    /// Sigma's field: keys with dots between them.
    pub fn path(text: &str) -> Self {
        let keys: Vec<String> = text.split('.').map(str::to_owned).collect();
        let known = match keys.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["eventSource"] => Some(Known::EventSource),
            ["eventName"] => Some(Known::EventName),
            ["eventType"] => Some(Known::EventType),
            ["errorCode"] => Some(Known::ErrorCode),
            ["awsRegion"] => Some(Known::Region),
            ["sourceIPAddress"] => Some(Known::SourceIp),
            ["userAgent"] => Some(Known::UserAgent),
            ["recipientAccountId"] => Some(Known::RecipientAccount),
            ["userIdentity", "type"] => Some(Known::IdentityType),
            ["userIdentity", "arn"] => Some(Known::Arn),
            ["userIdentity", "accountId"] => Some(Known::IdentityAccount),
            ["userIdentity", "invokedBy"] => Some(Known::InvokedBy),
            ["userIdentity", "sessionContext", "sessionIssuer", "type"] => Some(Known::IssuerType),
            _ => None,
        };
        Self::Path { keys, known }
    }

    /// What the event may know of it.
    pub fn known(&self) -> Option<Known> {
        match self {
            Self::Named(spec) => match spec.place {
                Place::Known(known, _) => Some(known),
                _ => None,
            },
            Self::Path { known, .. } => *known,
            Self::Pointer { .. } | Self::Whole => None,
        }
    }

    /// What its values are.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Named(spec) => spec.kind,
            _ => Kind::Text,
        }
    }

    /// Whether it may have several values.
    pub fn is_list(&self) -> bool {
        let Self::Named(spec) = self else { return false };
        matches!(spec.place, Place::Made(Made::ImageIds) | Place::Weakness)
    }

    /// Whether it is one that old rules of other sources have, too.
    pub fn is_of_any_source(&self) -> bool {
        match self {
            Self::Pointer { .. } => true,
            Self::Named(spec) => spec.name.starts_with("evt."),
            _ => false,
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(spec) => f.write_str(spec.name),
            Self::Pointer { shown, .. } => f.write_str(shown),
            Self::Path { keys, .. } => f.write_str(&keys.join(".")),
            Self::Whole => f.write_str("(event)"),
        }
    }
}

/// The keys of an RFC 6901 pointer; the first slash may be left out.
fn keys(pointer: &str) -> Vec<String> {
    if pointer.is_empty() {
        return Vec::new();
    }
    let pointer = pointer.strip_prefix('/').unwrap_or(pointer);
    pointer.split('/').map(|key| key.replace("~1", "/").replace("~0", "~")).collect()
}

fn near(name: &str) -> Option<&'static str> {
    let names = FIELDS.iter().map(|spec| spec.name).chain(["json.value", "jevt.value"]);
    nearest(name, names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(Field::named("ct.name", None).unwrap().to_string(), "ct.name");
        assert_eq!(Field::named("ct.nam", None), Err(FieldError::Unknown(Some("ct.name"))));
        assert_eq!(Field::named("proc.cmdline.of.something", None), Err(FieldError::Unknown(None)));
        assert_eq!(Field::named("json.value", None), Err(FieldError::NeedsArgument));
        assert_eq!(Field::named("ct.name", Some("x")), Err(FieldError::TakesNoArgument));
    }

    #[test]
    fn pointers() {
        let path = |pointer| match Field::named("json.value", Some(pointer)).unwrap() {
            Field::Pointer { path, .. } => path,
            _ => unreachable!(),
        };
        assert_eq!(path("/a/b~1c/~01/0"), ["a", "b/c", "~1", "0"]);
        assert_eq!(path("a/b"), ["a", "b"]);
        assert!(path("").is_empty());
        assert_eq!(path("/"), [""]);
    }
}
