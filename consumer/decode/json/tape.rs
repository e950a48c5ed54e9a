//! A value on the parser's tape, which is walked front to back.

use simd_json::{Node as Entry, StaticNode};
use trailmeter_rules::event::{Json, JsonKind, Number};

use super::node::{Form, Leaf, Node};

/// A value and all that is in it.
#[derive(Clone, Copy)]
pub struct Value<'a> {
    entries: &'a [Entry<'a>],
}

impl<'a> Value<'a> {
    /// The value that a whole tape holds.
    pub fn root(entries: &'a [Entry<'a>]) -> Self {
        Self { entries }
    }

    /// Hash of what values there are, in their order, whatever their keys and texts are.
    pub fn shape(self) -> u64 {
        self.entries.iter().fold(0, |hash: u64, entry| {
            let kind = match entry {
                Entry::Static(_) => 0,
                Entry::String(_) => 1,
                Entry::Array { len, .. } => 2 + 2 * *len as u64,
                Entry::Object { len, .. } => 3 + 2 * *len as u64,
            };
            (hash.rotate_left(5) ^ kind).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        })
    }

    fn elements(self) -> Option<impl Iterator<Item = Self>> {
        let Some(Entry::Array { len, .. }) = self.entries.first() else { return None };
        let mut rest = &self.entries[1..];
        Some((0..*len).map_while(move |_| take(&mut rest)))
    }

    fn members(self) -> impl Iterator<Item = (&'a str, Self)> {
        let len = match self.entries.first() {
            Some(Entry::Object { len, .. }) => *len,
            _ => 0,
        };
        let mut rest = self.entries.get(1..).unwrap_or_default();
        (0..len).map_while(move |_| {
            let key = take(&mut rest)?.text()?;
            Some((key, take(&mut rest)?))
        })
    }
}

/// Takes the next value off the entries.
fn take<'a>(rest: &mut &'a [Entry<'a>]) -> Option<Value<'a>> {
    let size = match rest.first()? {
        Entry::Object { count, .. } | Entry::Array { count, .. } => count + 1,
        Entry::String(_) | Entry::Static(_) => 1,
    };
    let (entries, behind) = rest.split_at_checked(size)?;
    *rest = behind;
    Some(Value { entries })
}

impl<'a> Leaf<'a> for Value<'a> {
    fn form(self) -> Form {
        match self.entries.first() {
            Some(Entry::String(_)) => Form::Text,
            Some(Entry::Object { .. }) => Form::Object,
            Some(Entry::Array { .. }) => Form::Array,
            Some(Entry::Static(_)) | None => Form::Scalar,
        }
    }

    fn text(self) -> Option<&'a str> {
        match self.entries.first() {
            Some(Entry::String(text)) => Some(text),
            _ => None,
        }
    }

    fn is_true(self) -> bool {
        matches!(self.entries.first(), Some(Entry::Static(StaticNode::Bool(true))))
    }
}

impl<'a> Node<'a> for Value<'a> {
    fn each_member(self, mut visit: impl FnMut(&'a str, Self) -> bool) {
        let _ = self.members().all(|(key, value)| visit(key, value));
    }

    fn each_element(self, visit: impl FnMut(Self)) {
        self.elements().into_iter().flatten().for_each(visit);
    }
}

impl<'a> Json<'a> for Value<'a> {
    fn kind(self) -> JsonKind<'a> {
        match self.entries.first() {
            Some(Entry::String(text)) => JsonKind::Text(text),
            Some(Entry::Array { .. }) => JsonKind::Array,
            Some(Entry::Object { .. }) => JsonKind::Object,
            Some(Entry::Static(StaticNode::Bool(truth))) => JsonKind::Truth(*truth),
            Some(Entry::Static(StaticNode::I64(number))) => JsonKind::Number(Number::Signed(*number)),
            Some(Entry::Static(StaticNode::U64(number))) => JsonKind::Number(Number::Unsigned(*number)),
            Some(Entry::Static(StaticNode::F64(number))) => JsonKind::Number(Number::Float(*number)),
            Some(Entry::Static(_)) | None => JsonKind::Null,
        }
    }

    fn member(self, key: &str) -> Option<Self> {
        Node::member(self, key)
    }

    fn any_element(self, visit: &mut dyn FnMut(Self) -> bool) -> bool {
        self.elements().is_some_and(|mut elements| elements.any(visit))
    }

    fn each_member(self, visit: &mut dyn FnMut(&'a str, Self)) {
        self.members().for_each(|(key, value)| visit(key, value));
    }
}
