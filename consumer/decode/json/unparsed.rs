//! An event whose fields were found without the parser, and which it parses only if someone asks for more.

use std::cell::{Cell, OnceCell};

use simd_json::Tape;

use super::document::Document;
use super::envelope::{self, Item};
use super::tape;

/// A text that holds one event, and what would parse it.
pub struct Unparsed<'d> {
    text: &'d str,
    document: Cell<Option<&'d mut Document>>,
    tape: OnceCell<Tape<'d>>,
}

impl<'d> Unparsed<'d> {
    /// A sound text.
    pub fn new(text: &'d str, document: &'d mut Document) -> Self {
        Self { text, document: Cell::new(Some(document)), tape: OnceCell::new() }
    }
}

/// The event in a text, whenever it is parsed.
pub trait Event {
    /// All that it says.
    fn event(&self) -> tape::Value<'_>;
}

impl Event for Unparsed<'_> {
    fn event(&self) -> tape::Value<'_> {
        let parse = || self.document.take().and_then(|document| document.parse(self.text));
        // The parser takes it, for it took one that differs in nothing that it looks at.
        let tape = self.tape.get_or_init(|| parse().unwrap_or_else(|| Tape(Vec::new())));
        let mut event = tape::Value::root(&[]);
        envelope::open(tape::Value::root(&tape.0), &mut |item| {
            if let Item::Event(found) = item {
                event = found;
            }
        });
        event
    }
}
