//! Reads events out of JSON text. The only place that names the JSON parser: a faster reader takes its place here.
//!
//! Enters: the text of one JSON value. Leaves: the events in it, borrowed from buffers that are used again for the
//! next text; nothing is allocated for an event.

mod envelope;
mod fields;
mod rules;
mod surrogate;
mod tape;

use simd_json::{Buffers, ErrorType, Tape};

pub use tape::Value;

use crate::event::Event;
use crate::totals::{EventRejection, RecordRejection};

/// What was found in one JSON value.
pub enum Found<'a> {
    /// An event, and all that it says.
    Event(&'a Event<'a>, Value<'a, 'a>),
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
    /// For JSON that stands in strings: a log event's message, `additionalEventData`.
    message: Document,
    fragment: Document,
}

impl JsonReader {
    /// A reader that takes values nested up to `max_depth`.
    pub fn new(max_depth: usize) -> Self {
        let document = || Document::new(max_depth);
        Self { document: document(), message: document(), fragment: document() }
    }

    /// Reads one value, whatever envelope it is, and gives what it holds to `found`, in order.
    ///
    /// # Errors
    /// The text is not one sound JSON value; `found` was then not called.
    pub fn read(&mut self, text: &[u8], mut found: impl FnMut(Found<'_>)) -> Result<(), Unreadable> {
        let Self { document, message, fragment } = self;
        document.read(text, |value| envelope::open(value, message, fragment, &mut found))
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
        for document in [&mut self.document, &mut self.message, &mut self.fragment] {
            document.shrink(keep_bytes);
        }
    }
}

/// One parsed text and the buffers it stands in.
struct Document {
    text: Vec<u8>,
    buffers: Buffers,
    tape: Tape<'static>,
    max_depth: usize,
}

/// A text of this size is usual; buffers begin with room for it.
const USUAL_BYTES: usize = 4096;

impl Document {
    fn new(max_depth: usize) -> Self {
        let buffers = Buffers::with_max_depth(USUAL_BYTES, max_depth);
        Self { text: Vec::with_capacity(USUAL_BYTES), buffers, tape: Tape(Vec::new()), max_depth }
    }

    fn read<T>(&mut self, text: &[u8], then: impl FnOnce(tape::Value<'_, '_>) -> T) -> Result<T, Unreadable> {
        self.take(text);
        let mut tape = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        let mut parsed =
            simd_json::fill_tape_padded(&mut self.text, text.len(), &mut self.buffers, &mut tape);
        let mended = parsed.is_err().then(|| surrogate::mended(text)).flatten();
        if let Some(mended) = &mended {
            tape = tape.reset();
            self.take(mended);
            parsed = simd_json::fill_tape_padded(&mut self.text, mended.len(), &mut self.buffers, &mut tape);
        }
        let result = match parsed {
            Ok(()) => Ok(then(tape::Value::root(&tape.0))),
            Err(error) if matches!(error.error(), ErrorType::DepthLimitExceeded) => Err(Unreadable::TooDeep),
            Err(_) => Err(Unreadable::NotJson),
        };
        self.tape = tape.reset();
        result
    }

    /// Takes a text to the place where it is parsed.
    fn take(&mut self, text: &[u8]) {
        self.text.clear();
        self.text.reserve(text.len() + simd_json::INPUT_PADDING);
        self.text.extend_from_slice(text);
        self.text.extend_from_slice(&[b' '; simd_json::INPUT_PADDING]);
    }

    fn shrink(&mut self, keep_bytes: usize) {
        if self.text.capacity() > keep_bytes {
            *self = Self::new(self.max_depth);
        }
    }
}
