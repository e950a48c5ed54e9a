//! A parsed value: a view into the parser's tape that is walked once, front to back.

use simd_json::{Node, StaticNode};

/// A value on the parser's tape.
#[derive(Clone, Copy)]
pub struct Value<'t, 'a> {
    nodes: &'t [Node<'a>],
}

impl<'t, 'a> Value<'t, 'a> {
    /// The value that a whole tape holds.
    pub(super) fn root(nodes: &'t [Node<'a>]) -> Self {
        Self { nodes }
    }

    /// The node itself, without what is in it.
    pub(super) fn node(self) -> Option<&'t Node<'a>> {
        self.nodes.first()
    }

    /// The text of a string.
    pub fn as_str(self) -> Option<&'a str> {
        match self.nodes.first() {
            Some(Node::String(text)) => Some(text),
            _ => None,
        }
    }

    /// A boolean.
    pub fn as_bool(self) -> Option<bool> {
        match self.nodes.first() {
            Some(Node::Static(StaticNode::Bool(value))) => Some(*value),
            _ => None,
        }
    }

    /// Whether it is an object.
    pub fn is_object(self) -> bool {
        matches!(self.nodes.first(), Some(Node::Object { .. }))
    }

    /// The elements of an array; none of anything else.
    pub fn elements(self) -> Option<impl Iterator<Item = Value<'t, 'a>>> {
        let Some(Node::Array { len, .. }) = self.nodes.first() else { return None };
        let mut rest = &self.nodes[1..];
        Some((0..*len).map_while(move |_| take(&mut rest)))
    }

    /// The members of an object; none of anything else.
    pub fn members(self) -> impl Iterator<Item = (&'a str, Value<'t, 'a>)> {
        let len = match self.nodes.first() {
            Some(Node::Object { len, .. }) => *len,
            _ => 0,
        };
        let mut rest = self.nodes.get(1..).unwrap_or_default();
        (0..len).map_while(move |_| {
            let key = take(&mut rest)?.as_str()?;
            Some((key, take(&mut rest)?))
        })
    }

    /// The member `key`; of several the last, as most readers of JSON take it.
    pub fn member(self, key: &str) -> Option<Value<'t, 'a>> {
        self.members().filter(|(name, _)| *name == key).last().map(|(_, value)| value)
    }
}

/// Takes the next value off the nodes.
fn take<'t, 'a>(rest: &mut &'t [Node<'a>]) -> Option<Value<'t, 'a>> {
    let size = match rest.first()? {
        Node::Object { count, .. } | Node::Array { count, .. } => count + 1,
        Node::String(_) | Node::Static(_) => 1,
    };
    let (nodes, behind) = rest.split_at_checked(size)?;
    *rest = behind;
    Some(Value { nodes })
}
