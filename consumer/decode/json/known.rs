//! Values of known layouts in a text, and where all is in them.
//!
//! Enters: a text, at the places where values begin. Leaves: where those of known layouts end; and each of them ready
//! to be read, once the whole text was looked at.

use super::layout::{Layout, Layouts};

/// What is known of the values in a text: room that is used again for the next.
#[derive(Debug, Default)]
pub struct Known {
    /// Where the steps of all values begin, from the beginning of each.
    places: Vec<u32>,
    /// Those that were kept, by their number, and how many of the places are theirs.
    values: Vec<Option<Value>>,
    kept: usize,
    /// The one that was located last.
    last: Option<Value>,
}

#[derive(Clone, Copy, Debug)]
struct Value {
    layout: u32,
    age: u64,
    first: usize,
    steps: usize,
    length: usize,
    has_backslash: bool,
}

/// A value of known layout.
#[derive(Clone, Copy, Debug)]
pub struct Located<'a> {
    /// Its text.
    pub text: &'a str,
    /// Where in it the steps of its layout begin.
    pub places: &'a [u32],
    /// There is a backslash in a string that nobody reads.
    pub has_backslash: bool,
    layout: u32,
    age: u64,
}

impl Known {
    /// For another text.
    pub fn clear(&mut self) {
        self.values.clear();
        self.kept = 0;
        self.last = None;
    }

    /// Looks for a value of known layout that a text begins with: one past its end.
    #[inline]
    pub(super) fn locate(&mut self, layouts: &Layouts, text: &[u8]) -> Option<usize> {
        // Places are told in 32 bits; no value of known layout is nearly as long.
        let text = &text[..text.len().min(u32::MAX as usize)];
        let first = self.kept;
        if self.places.len() < first + layouts.most_steps() {
            self.places.resize(first + layouts.most_steps(), 0);
        }
        self.last = layouts.walk(text, &mut self.places[first..]).map(|walked| Value {
            layout: walked.layout,
            age: layouts.age(),
            first,
            steps: walked.steps,
            length: walked.end,
            has_backslash: walked.has_backslash,
        });
        self.last.map(|value| value.length)
    }

    /// The value at hand is not the one that was located last.
    pub fn forget_last(&mut self) {
        self.last = None;
    }

    /// Takes down the value at hand: the one that was located last, or one of which nothing is known.
    pub fn keep(&mut self) {
        self.kept += self.last.map_or(0, |value| value.steps);
        self.values.push(self.last.take());
    }

    /// A value that was kept, by its number, and `text`, which it was located in the beginning of.
    #[inline]
    #[allow(unsafe_code)]
    pub(in crate::decode) fn of<'a>(&'a self, number: usize, text: &'a [u8]) -> Option<Located<'a>> {
        let Value { layout, age, first, steps, length, has_backslash } = (*self.values.get(number)?)?;
        let places = self.places.get(first..first + steps)?;
        let text = text.get(..length)?;
        debug_assert!(std::str::from_utf8(text).is_ok());
        // SAFETY: a text that was located is UTF-8, see `Layouts::walk`, and it is the same text, for who cuts it keeps
        // both together. benches/decode.rs has what asking once more costs.
        let text = unsafe { std::str::from_utf8_unchecked(text) };
        Some(Located { text, places, has_backslash, layout, age })
    }
}

impl Located<'_> {
    /// Its layout, if that is still there.
    #[inline]
    pub(super) fn layout<'l>(&self, layouts: &'l Layouts) -> Option<&'l Layout> {
        layouts.get(self.layout, self.age)
    }
}
