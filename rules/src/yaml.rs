//! YAML with places: every node knows where it stands, so that a problem can be shown there.
//!
//! Enters: a text. Leaves: its documents, or the first thing in it that is no YAML. Bounded: nesting, and the nodes
//! that aliases make of few characters.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

/// Deeper than any rule file is meant to be.
const MAX_DEPTH: usize = 64;
/// Nodes of a file, those that aliases repeat included. A long text counts as several.
const MAX_NODES: usize = 1_000_000;
/// Bytes of a text that count as a node.
const NODE_BYTES: usize = 64;

/// A place in a text; both begin at 1, columns count characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

/// A node and where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Where.
    pub mark: Mark,
    /// What.
    pub value: Value,
}

/// What a node holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Text. `is_plain`: it stands without quotes, and may be meant as a number, a truth value or nothing.
    Scalar {
        /// The text, without quotes and escapes.
        text: String,
        /// Written without quotes.
        is_plain: bool,
    },
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in their order.
    Mapping(Vec<(Node, Node)>),
}

/// What is no YAML, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YamlError {
    /// Where.
    pub mark: Mark,
    /// What is wrong.
    pub message: String,
}

impl Node {
    /// The text of a scalar.
    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Whether it says nothing: an empty or `null` plain scalar.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, is_plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The truth value of a plain scalar.
    pub fn as_bool(&self) -> Option<bool> {
        match &self.value {
            Value::Scalar { text, is_plain: true } => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" => Some(true),
                "false" | "no" | "off" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    /// The elements of a list.
    pub fn as_sequence(&self) -> Option<&[Node]> {
        match &self.value {
            Value::Sequence(nodes) => Some(nodes),
            _ => None,
        }
    }

    /// The members of a mapping.
    pub fn as_mapping(&self) -> Option<&[(Node, Node)]> {
        match &self.value {
            Value::Mapping(members) => Some(members),
            _ => None,
        }
    }

    /// The value under a key of a mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        let members = self.as_mapping()?;
        members.iter().find(|(name, _)| name.as_text() == Some(key)).map(|(_, value)| value)
    }

    /// What the node is, for people.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            _ if self.is_null() => "nothing",
            Value::Scalar { .. } => "a value",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
        }
    }
}

/// Reads all documents of a text.
///
/// # Errors
/// The first thing that is no YAML, or that goes beyond the bounds.
pub fn read(text: &str) -> Result<Vec<Node>, YamlError> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| YamlError {
            mark: Mark { line: error.marker().line(), column: error.marker().col() + 1 },
            message: error.info().to_owned(),
        })?;
        builder.take(event, span)?;
    }
    Ok(builder.documents)
}

#[derive(Default)]
struct Builder {
    documents: Vec<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
}

/// A list or mapping whose end has not come yet.
struct Open {
    mark: Mark,
    anchor: usize,
    is_mapping: bool,
    nodes: Vec<Node>,
    /// What [`Builder::nodes`] was when it began.
    begun_at: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), YamlError> {
        let mark = Mark { line: span.start.line(), column: span.start.col() + 1 };
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let is_plain = style == ScalarStyle::Plain;
                let size = 1 + text.len() / NODE_BYTES;
                self.nodes += size - 1;
                let node = Node { mark, value: Value::Scalar { text: text.into_owned(), is_plain } };
                self.finish(node, anchor, size)
            }
            Event::SequenceStart(anchor, _) => self.begin(mark, anchor, false),
            Event::MappingStart(anchor, _) => self.begin(mark, anchor, true),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else { return Ok(()) };
                let Open { mark, anchor, is_mapping, nodes, begun_at } = open;
                let value = if is_mapping { Value::Mapping(pairs(nodes)) } else { Value::Sequence(nodes) };
                let size = self.nodes - begun_at + 1;
                self.finish(Node { mark, value }, anchor, size)
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some((node, _)) if self.open.len() + depth(node) > MAX_DEPTH => Err(too_deep(mark)),
                Some((node, size)) if self.nodes + size <= MAX_NODES => {
                    let (node, size) = (node.clone(), *size);
                    self.nodes += size;
                    self.finish(Node { mark, ..node }, 0, size)
                }
                Some(_) => Err(too_large(mark)),
                None => Err(YamlError { mark, message: "an alias stands inside what it names".to_owned() }),
            },
            _ => Ok(()),
        }
    }

    fn begin(&mut self, mark: Mark, anchor: usize, is_mapping: bool) -> Result<(), YamlError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep(mark));
        }
        self.open.push(Open { mark, anchor, is_mapping, nodes: Vec::new(), begun_at: self.nodes });
        Ok(())
    }

    fn finish(&mut self, node: Node, anchor: usize, size: usize) -> Result<(), YamlError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(too_large(node.mark));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), size));
        }
        match self.open.last_mut() {
            Some(open) => open.nodes.push(node),
            None => self.documents.push(node),
        }
        Ok(())
    }
}

fn depth(node: &Node) -> usize {
    match &node.value {
        Value::Scalar { .. } => 0,
        Value::Sequence(nodes) => 1 + nodes.iter().map(depth).max().unwrap_or(0),
        Value::Mapping(members) => {
            1 + members.iter().map(|(key, value)| depth(key).max(depth(value))).max().unwrap_or(0)
        }
    }
}

fn too_deep(mark: Mark) -> YamlError {
    YamlError { mark, message: format!("nested deeper than {MAX_DEPTH}") }
}

fn too_large(mark: Mark) -> YamlError {
    YamlError { mark, message: format!("more than {MAX_NODES} values: split the file") }
}

fn pairs(nodes: Vec<Node>) -> Vec<(Node, Node)> {
    let mut nodes = nodes.into_iter();
    std::iter::from_fn(|| Some((nodes.next()?, nodes.next()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_know_their_place() {
        let documents = read("- a: 'b'\n  c: [1, \"2\"]\n---\nx\n").unwrap();
        let item = &documents[0].as_sequence().unwrap()[0];
        assert_eq!(item.get("a").unwrap().mark, Mark { line: 1, column: 6 });
        let list = item.get("c").unwrap().as_sequence().unwrap();
        assert_eq!(list[1].mark, Mark { line: 2, column: 10 });
        assert_eq!(list[1].as_text(), Some("2"));
        assert_eq!(documents[1].as_text(), Some("x"));
    }

    #[test]
    fn what_a_plain_scalar_means() {
        let document = &read("{a: , b: null, c: yes, d: 'yes', e: '', f: False}").unwrap()[0];
        assert!(document.get("a").unwrap().is_null() && document.get("b").unwrap().is_null());
        assert_eq!(document.get("c").unwrap().as_bool(), Some(true));
        assert_eq!(document.get("d").unwrap().as_bool(), None);
        assert!(!document.get("e").unwrap().is_null());
        assert_eq!(document.get("f").unwrap().as_bool(), Some(false));
    }

    #[test]
    fn bounds() {
        let deep = "[".repeat(100);
        assert!(read(&deep).unwrap_err().message.contains("deeper"));
        let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for (name, before) in
            ["b", "c", "d", "e", "f", "g", "h"].iter().zip(["a", "b", "c", "d", "e", "f", "g"])
        {
            bomb += &format!("{name}: &{name} [{}]\n", vec![format!("*{before}"); 10].join(", "));
        }
        assert!(read(&bomb).unwrap_err().message.contains("more than"));
        assert!(read("a: &a [*a]").is_err());
        let long = format!("a: &a {}\nb: [{}]", "x".repeat(1 << 20), "*a, ".repeat(100));
        assert!(read(&long).unwrap_err().message.contains("more than"));
        let half = |inner: &str| format!("{}{inner}{}", "[".repeat(40), "]".repeat(40));
        let nested = format!("a: &a {}\nb: {}", half("x"), half("*a"));
        assert!(read(&nested).unwrap_err().message.contains("deeper"));
    }
}
