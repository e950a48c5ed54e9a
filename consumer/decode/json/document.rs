//! The whole parser: one text on simd-json's tape.

use simd_json::{Buffers, ErrorType, Tape};

use super::{Unreadable, surrogate, tape};

/// One parsed text and the buffers it stands in.
pub struct Document {
    text: Vec<u8>,
    buffers: Buffers,
    tape: Tape<'static>,
    max_depth: usize,
}

/// A text of this size is usual; buffers begin with room for it.
const USUAL_BYTES: usize = 4096;

impl Document {
    /// Takes values nested up to `max_depth`.
    pub fn new(max_depth: usize) -> Self {
        let buffers = Buffers::with_max_depth(USUAL_BYTES, max_depth);
        Self { text: Vec::with_capacity(USUAL_BYTES), buffers, tape: Tape(Vec::new()), max_depth }
    }

    /// Parses a text and gives its value to `then`.
    ///
    /// # Errors
    /// The text is not one sound JSON value.
    pub fn read<T>(&mut self, text: &[u8], then: impl FnOnce(tape::Value<'_>) -> T) -> Result<T, Unreadable> {
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

    /// Parses a text and gives all of it; none if it is not one sound JSON value, or not without being mended.
    pub fn parse(&mut self, text: &str) -> Option<Tape<'_>> {
        self.take(text.as_bytes());
        let mut tape = Tape(Vec::new());
        simd_json::fill_tape_padded(&mut self.text, text.len(), &mut self.buffers, &mut tape).ok()?;
        Some(tape)
    }

    /// Takes a text to the place where it is parsed.
    fn take(&mut self, text: &[u8]) {
        self.text.clear();
        self.text.reserve(text.len() + simd_json::INPUT_PADDING);
        self.text.extend_from_slice(text);
        self.text.extend_from_slice(&[b' '; simd_json::INPUT_PADDING]);
    }

    /// Gives back what one unusually large text made the buffers grow to.
    pub fn shrink(&mut self, keep_bytes: usize) {
        if self.text.capacity() > keep_bytes {
            *self = Self::new(self.max_depth);
        }
    }
}
