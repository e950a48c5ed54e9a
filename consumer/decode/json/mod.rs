//! Reads events out of JSON text.
//!
//! Enters: the text of one JSON value. Leaves: the events in it, borrowed from buffers that are used again for the
//! next text; nothing is allocated for an event.
//!
//! Two readers give the same. `document` parses a text whole. `layout` remembers where the fields of such texts
//! were, and finds them in the next ones of the same layout without parsing. Only `document` and `tape` name the
//! parser.

mod document;
mod envelope;
mod fields;
mod layout;
mod node;
mod surrogate;
mod tape;
mod unparsed;
mod value;
mod view;

use document::Document;
use envelope::Item;
use layout::Layouts;
use unparsed::Unparsed;

pub use layout::Looked;
pub use value::Value;

use super::bits::{Kernel, Marks, Slice};
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

/// A text above this size is always parsed: its marks would take several times its own room.
const MOST_MARKED_BYTES: usize = 1 << 20;

/// A reader with its buffers.
pub struct JsonReader {
    document: Document,
    parser: Parser,
    marks: Marks,
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
        match Kernel::best() {
            // To mark a text without such instructions takes longer than to parse it (benches/decode.rs).
            Kernel::Portable => Self::parsing(max_depth),
            kernel => Self::with_kernel(max_depth, kernel),
        }
    }

    /// The same by these instructions, for tests and benches.
    pub fn with_kernel(max_depth: usize, kernel: Kernel) -> Self {
        let document = || Document::new(max_depth);
        Self {
            document: document(),
            parser: Parser { message: document(), fragment: document() },
            marks: Marks::new(kernel),
            layouts: Some(Layouts::default()),
        }
    }

    /// A reader that parses every text: the reference, for tests and benches.
    pub fn parsing(max_depth: usize) -> Self {
        Self { layouts: None, ..Self::with_kernel(max_depth, Kernel::Portable) }
    }

    /// Reads one value, whatever envelope it is, and gives what it holds to `found`, in order.
    ///
    /// # Errors
    /// The text is not one sound JSON value; `found` was then not called.
    pub fn read(&mut self, text: &[u8], mut found: impl FnMut(Found<'_>)) -> Result<(), Unreadable> {
        let Self { document, parser, marks, layouts } = self;
        let Some(layouts) = layouts else { return parser.read(document, text, &mut found) };
        match plain(text, marks) {
            Some(plain) => {
                let looked = layouts.look(plain, marks.all());
                known_or_parsed(layouts, document, parser, &looked, &mut found)
            }
            None => parser.read(document, text, &mut found),
        }
    }

    /// Looks at a text that was marked already, and in which nothing is odd, before it is read: where its event's id is
    /// may be known from that ([`JsonReader::id`]). The marks are the text's. None: it is to be read as any other.
    #[inline]
    pub(super) fn look<'a>(&self, text: &'a [u8], marks: Slice<'a>) -> Option<Looked<'a>> {
        Some(self.layouts.as_ref()?.look(utf8(text, marks.is_ascii)?, marks))
    }

    /// The id of the event in a text that was looked at, if it is known where that is.
    #[inline]
    pub(super) fn id<'a>(&'a self, looked: &Looked<'a>) -> Option<&'a str> {
        self.layouts.as_ref()?.get(looked)?.id(looked)
    }

    /// Reads a text that was looked at.
    ///
    /// # Errors
    /// The text is not one sound JSON value; `found` was then not called.
    #[inline]
    pub(super) fn read_looked(
        &mut self,
        looked: &Looked<'_>,
        mut found: impl FnMut(Found<'_>),
    ) -> Result<(), Unreadable> {
        let Self { document, parser, layouts, .. } = self;
        match layouts {
            Some(layouts) => known_or_parsed(layouts, document, parser, looked, &mut found),
            None => parser.read(document, looked.text.as_bytes(), &mut found),
        }
    }

    /// Parses a text and throws the result away: what the parser alone costs, for benches.
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
        self.marks.shrink(keep_bytes);
    }
}

/// Reads a text by its layout, or parses it and learns its layout.
#[inline]
fn known_or_parsed(
    layouts: &mut Layouts,
    document: &mut Document,
    parser: &mut Parser,
    looked: &Looked<'_>,
    found: &mut impl FnMut(Found<'_>),
) -> Result<(), Unreadable> {
    if let Some(layout) = layouts.get(looked) {
        let marked = layout.marked(looked.text, looked.marks);
        let mut event = Event::default();
        layout.tell(&marked, &mut parser.fragment, &mut event);
        if looked.marks.has_backslash {
            // Whoever asks for more than the event's fields gets it from the parser.
            let unparsed: &dyn unparsed::Event = &Unparsed::new(looked.text, document);
            found(Found::Event(&event, unparsed.into()));
        } else {
            found(Found::Event(&event, layout.event(&marked).into()));
        }
        return Ok(());
    }
    parser.read(document, looked.text.as_bytes(), found)?;
    // It may be that it was looked at before the text before it taught its layout.
    layouts.learn(looked);
    Ok(())
}

/// Marks a text. None if there is anything in it of which its marks don't tell whether it is sound.
#[inline]
fn plain<'a>(text: &'a [u8], marks: &mut Marks) -> Option<&'a str> {
    if text.len() > MOST_MARKED_BYTES {
        return None;
    }
    let seen = marks.mark(text);
    let is_odd = seen.control_in_string || seen.open_string;
    if is_odd { None } else { utf8(text, marks.all().is_ascii) }
}

/// The text, if it is UTF-8. Nearly every one is ASCII, as was seen when it was marked.
#[allow(unsafe_code)]
#[inline]
fn utf8(text: &[u8], is_ascii: bool) -> Option<&str> {
    if is_ascii {
        debug_assert!(text.is_ascii());
        // SAFETY: ASCII is UTF-8. All marks come with what was seen in the text that they are of; benches/decode.rs has
        // what asking once more costs.
        return Some(unsafe { std::str::from_utf8_unchecked(text) });
    }
    std::str::from_utf8(text).ok()
}

impl Parser {
    fn read(
        &mut self,
        document: &mut Document,
        text: &[u8],
        found: &mut impl FnMut(Found<'_>),
    ) -> Result<(), Unreadable> {
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
