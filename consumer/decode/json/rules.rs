//! What rules ask of a value on the tape.

use simd_json::{Node, StaticNode};
use trailmeter_rules::event::{Json, JsonKind, Number};

use super::tape::Value;

impl<'a> Json<'a> for Value<'a, 'a> {
    fn kind(self) -> JsonKind<'a> {
        match self.node() {
            Some(Node::String(text)) => JsonKind::Text(text),
            Some(Node::Array { .. }) => JsonKind::Array,
            Some(Node::Object { .. }) => JsonKind::Object,
            Some(Node::Static(StaticNode::Bool(truth))) => JsonKind::Truth(*truth),
            Some(Node::Static(StaticNode::I64(number))) => JsonKind::Number(Number::Signed(*number)),
            Some(Node::Static(StaticNode::U64(number))) => JsonKind::Number(Number::Unsigned(*number)),
            Some(Node::Static(StaticNode::F64(number))) => JsonKind::Number(Number::Float(*number)),
            Some(Node::Static(_)) | None => JsonKind::Null,
        }
    }

    fn member(self, key: &str) -> Option<Self> {
        Value::member(self, key)
    }

    fn any_element(self, visit: &mut dyn FnMut(Self) -> bool) -> bool {
        self.elements().is_some_and(|mut elements| elements.any(visit))
    }

    fn each_member(self, visit: &mut dyn FnMut(&'a str, Self)) {
        self.members().for_each(|(key, value)| visit(key, value));
    }
}
