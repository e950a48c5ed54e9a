//! Reads events out of JSON text.
//!
//! Enters: the text of one JSON value. Leaves: the events in it, borrowed from buffers that are used again for the
//! next text; nothing is allocated for an event.
//!
//! Two readers give the same. `document` parses a text whole. `layout` remembers how such texts are made, and finds
//! the fields of the next ones of the same layout on the way (`ways`), without parsing. Only `document`, `tape` and
//! `unparsed` name the parser.

mod document;
mod envelope;
mod fields;
mod known;
mod layout;
mod marks;
mod node;
mod scalar;
mod surrogate;
mod tape;
mod unparsed;
mod value;
mod view;
mod ways;

use document::Document;
use envelope::Item;
use layout::Layouts;
use unparsed::Unparsed;

pub use known::{Known, Located};
pub use value::Value;

use super::bits::Kernel;
use crate::event::Event;
use crate::totals::{EventRejection, RecordRejection};

/// What was found in one JSON value.
pub enum Found<'a> {
    /// An event, and all that it says.
    Event(&'a Event<'a>, Value<'a>),
    /// Something in the place of an event that is none.
    Rejected(EventRejection),
    /// A probe that carries no events.
    Control,
    /// An envelope that carries something else.
    UnknownEnvelope(RecordRejection),
}

/// A text that is not read, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// Not JSON, or JSON with something behind it.
    NotJson,
    /// Nested deeper than the limit.
    TooDeep,
}

impl Unreadable {
    /// The rejection of an event that is not read.
    pub fn rejection(self) -> EventRejection {
        match self {
            Self::NotJson => EventRejection::NotJson,
            Self::TooDeep => EventRejection::TooDeep,
        }
    }
}

/// A reader with its buffers.
pub struct JsonReader {
    document: Document,
    parser: Parser,
    known: Known,
    layouts: Option<Layouts>,
}

/// What is needed to read on from a parsed value.
struct Parser {
    /// For JSON that stands in strings: a log event's message, `additionalEventData`.
    message: Document,
    fragment: Document,
}

impl JsonReader {
    /// A reader that takes values nested up to `max_depth`.
    pub fn new(max_depth: usize) -> Self {
        Self::with_kernel(max_depth, Kernel::best())
    }

    /// The same by these instructions, for tests and benches.
    pub fn with_kernel(max_depth: usize, kernel: Kernel) -> Self {
        Self { layouts: Some(Layouts::new(kernel)), ..Self::parsing(max_depth) }
    }

    /// A reader that parses every text: the reference, for tests and benches.
    pub fn parsing(max_depth: usize) -> Self {
        let document = || Document::new(max_depth);
        Self {
            document: document(),
            parser: Parser { message: document(), fragment: document() },
            known: Known::default(),
            layouts: None,
        }
    }

    /// Reads one value, whatever envelope it is, and gives what it holds to `found`, in order.
    ///
    /// # Errors
    /// The text is not one sound JSON value; `found` was then not called.
    pub fn read(&mut self, text: &[u8], mut found: impl FnMut(Found<'_>)) -> Result<(), Unreadable> {
        let Self { document, parser, known, layouts } = self;
        let Some(layouts) = layouts else {
            return parser.read(document, text, &mut found).map(|_| ());
        };
        known.clear();
        if known.locate(layouts, text) == Some(text.len()) {
            known.keep();
            if let Some(located) = known.of(0, text) {
                tell(layouts, document, parser, &located, &mut found);
                return Ok(());
            }
        }
        parsed(layouts, document, parser, text, &mut found)
    }

    /// Looks for a value of known layout that a text begins with: one past its end. Where all is in it is taken down if
    /// [`Known::keep`] follows.
    #[inline]
    pub(super) fn locate(&self, text: &[u8], known: &mut Known) -> Option<usize> {
        known.locate(self.layouts.as_ref()?, text)
    }

    /// The id of the event in a text that was located.
    #[inline]
    pub(super) fn id<'a>(&'a self, located: &Located<'a>) -> Option<&'a str> {
        located.layout(self.layouts.as_ref()?)?.id(located.text, located.places)
    }

    /// Reads a text that was located.
    ///
    /// # Errors
    /// The text is not one sound JSON value; `found` was then not called.
    #[inline]
    pub(super) fn read_located(
        &mut self,
        located: &Located<'_>,
        mut found: impl FnMut(Found<'_>),
    ) -> Result<(), Unreadable> {
        if let Some(layouts) = &self.layouts
            && located.layout(layouts).is_some()
        {
            tell(layouts, &mut self.document, &mut self.parser, located, &mut found);
            return Ok(());
        }
        // Layouts were learned anew meanwhile.
        self.read(located.text.as_bytes(), found)
    }

    /// Parses a text and throws the result away: whether it is sound, and, for benches, what the parser alone costs.
    ///
    /// # Errors
    /// The text is not one sound JSON value.
    pub fn parse_only(&mut self, text: &[u8]) -> Result<(), Unreadable> {
        self.document.read(text, |_| ())
    }

    /// Gives back what one unusually large value made the buffers grow to.
    pub fn shrink(&mut self, keep_bytes: usize) {
        for document in [&mut self.document, &mut self.parser.message, &mut self.parser.fragment] {
            document.shrink(keep_bytes);
        }
    }
}

/// Tells what is in a text of known layout.
#[inline]
fn tell(
    layouts: &Layouts,
    document: &mut Document,
    parser: &mut Parser,
    located: &Located<'_>,
    found: &mut impl FnMut(Found<'_>),
) {
    let Some(layout) = located.layout(layouts) else { return };
    let filled = layout.filled(located.text, located.places);
    let mut event = Event::default();
    layout.tell(&filled, &mut parser.fragment, &mut event);
    if located.has_backslash {
        // Whoever asks for more than the event's fields gets it from the parser.
        let unparsed: &dyn unparsed::Event = &Unparsed::new(located.text, document);
        found(Found::Event(&event, unparsed.into()));
    } else {
        found(Found::Event(&event, layout.event(&filled).into()));
    }
}

/// Parses a text and learns its layout.
fn parsed(
    layouts: &mut Layouts,
    document: &mut Document,
    parser: &mut Parser,
    text: &[u8],
    found: &mut impl FnMut(Found<'_>),
) -> Result<(), Unreadable> {
    let shape = parser.read(document, text, found)?;
    if let Ok(text) = std::str::from_utf8(text) {
        layouts.learn(text, shape);
    }
    Ok(())
}

impl Parser {
    /// Parses a text and returns its shape.
    fn read(
        &mut self,
        document: &mut Document,
        text: &[u8],
        found: &mut impl FnMut(Found<'_>),
    ) -> Result<u64, Unreadable> {
        let Self { message, fragment } = self;
        document.read(text, |value| {
            envelope::open(value, &mut |item| match item {
                Item::Event(value) => event(value, fragment, found),
                Item::Message(text) => {
                    let read = message.read(text.as_bytes(), |value| {
                        envelope::event(value, &mut |item| give(item, fragment, found));
                    });
                    if let Err(unreadable) = read {
                        found(Found::Rejected(unreadable.rejection()));
                    }
                }
                item => give(item, fragment, found),
            });
            value.shape()
        })
    }
}

/// Hands on what is no text of an event.
fn give(item: Item<'_, tape::Value<'_>>, fragment: &mut Document, found: &mut impl FnMut(Found<'_>)) {
    match item {
        Item::Event(value) => event(value, fragment, found),
        Item::Message(_) => {}
        Item::Rejected(reason) => found(Found::Rejected(reason)),
        Item::Control => found(Found::Control),
        Item::UnknownEnvelope(rejection) => found(Found::UnknownEnvelope(rejection)),
    }
}

fn event(value: tape::Value<'_>, fragment: &mut Document, found: &mut impl FnMut(Found<'_>)) {
    let fields = fields::find(value);
    let mut event = Event::default();
    fields::tell(|place| fields.get(place), fields.resources.iter().copied(), fragment, &mut event);
    found(Found::Event(&event, value.into()));
}

#[cfg(test)]
mod tests;
