//! A value in a text that was marked and whose marks are known to be sound.

use trailmeter_rules::event::{Json, JsonKind, Number};

use super::node::{Form, Node};
use crate::decode::bits::{SCALAR, Slice};

/// A text without a backslash and its marks, which make sound JSON.
#[derive(Clone, Copy)]
pub struct Marked<'a> {
    /// The text.
    pub text: &'a str,
    /// Its marks.
    pub marks: Slice<'a>,
    /// For each mark that begins a value: the mark behind the value.
    pub behind: &'a [u32],
}

/// A value: the mark that it begins with.
#[derive(Clone, Copy)]
pub struct View<'a> {
    of: &'a Marked<'a>,
    mark: usize,
}

impl<'a> Marked<'a> {
    /// The string that begins with this mark.
    #[inline]
    pub fn string(&self, mark: usize) -> Option<&'a str> {
        let Slice { at, base, .. } = self.marks;
        let [open, close] = *at.get(mark..mark + 2)?.first_chunk()?;
        self.text.get((open - base) as usize + 1..(close - base) as usize)
    }

    /// The scalar that begins with this mark.
    #[inline]
    pub fn scalar(&self, mark: usize) -> Option<&'a [u8]> {
        let Slice { at, base, .. } = self.marks;
        let text = self.text.as_bytes();
        let begin = (at.get(mark)? - base) as usize;
        let mut end = at.get(mark + 1).map_or(text.len(), |next| (next - base) as usize);
        while matches!(text.get(end.wrapping_sub(1)), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            end -= 1;
        }
        text.get(begin..end)
    }
}

impl<'a> View<'a> {
    /// The value that begins with this mark.
    #[inline]
    pub fn new(of: &'a Marked<'a>, mark: usize) -> Self {
        Self { of, mark }
    }

    /// The mark that it begins with.
    pub fn mark(self) -> usize {
        self.mark
    }

    fn kind(self) -> u8 {
        self.of.marks.kinds.get(self.mark).copied().unwrap_or(SCALAR)
    }

    fn at(self, mark: usize) -> Self {
        Self { of: self.of, mark }
    }

    /// The key that begins with this mark, and its value.
    pub fn member_at(self, key: usize) -> (&'a str, Self) {
        (self.of.string(key).unwrap_or_default(), self.at(key + VALUE_BEHIND_KEY))
    }

    /// The marks of keys, until `visit` says false.
    pub fn each_key(self, mut visit: impl FnMut(usize) -> bool) {
        if self.kind() == b'{' {
            self.each_part(b'"', |key| visit(key).then_some(key + VALUE_BEHIND_KEY));
        }
    }

    /// The marks between a pair of brackets that keys or elements begin with. `visit` gives the mark of the value.
    fn each_part(self, first: u8, mut visit: impl FnMut(usize) -> Option<usize>) {
        let (kinds, behind) = (self.of.marks.kinds, self.of.behind);
        let mut part = self.mark + 1;
        if first == b'"' && kinds.get(part) != Some(&first) || kinds.get(part) == Some(&b']') {
            return;
        }
        while let Some(value) = visit(part) {
            match behind.get(value).map(|behind| *behind as usize) {
                Some(behind) if kinds.get(behind) == Some(&b',') => part = behind + 1,
                _ => return,
            }
        }
    }
}

/// A key's two quotes and its colon.
const VALUE_BEHIND_KEY: usize = 3;

impl<'a> Node<'a> for View<'a> {
    #[inline]
    fn form(self) -> Form {
        match self.kind() {
            b'"' => Form::Text,
            b'{' => Form::Object,
            b'[' => Form::Array,
            _ => Form::Scalar,
        }
    }

    #[inline]
    fn text(self) -> Option<&'a str> {
        if self.kind() == b'"' { self.of.string(self.mark) } else { None }
    }

    fn is_true(self) -> bool {
        self.kind() == SCALAR && self.of.scalar(self.mark) == Some(b"true")
    }

    fn each_member(self, mut visit: impl FnMut(&'a str, Self) -> bool) {
        self.each_key(|key| {
            let (name, value) = self.member_at(key);
            visit(name, value)
        });
    }

    fn each_element(self, mut visit: impl FnMut(Self)) {
        if self.kind() == b'[' {
            self.each_part(b'[', |element| {
                visit(self.at(element));
                Some(element)
            });
        }
    }
}

impl<'a> Json<'a> for View<'a> {
    fn kind(self) -> JsonKind<'a> {
        match View::kind(self) {
            b'"' => self.of.string(self.mark).map_or(JsonKind::Null, JsonKind::Text),
            b'{' => JsonKind::Object,
            b'[' => JsonKind::Array,
            _ => scalar(self.of.scalar(self.mark).unwrap_or_default()),
        }
    }

    fn member(self, key: &str) -> Option<Self> {
        let (Slice { at, base, .. }, text) = (self.of.marks, self.of.text.as_bytes());
        let mut last = None;
        self.each_key(|mark| {
            // Most keys differ in their length already.
            let is_it = |[open, close]: &[u32; 2]| {
                (close - open) as usize == key.len() + 1
                    && text.get((open - base) as usize + 1..(close - base) as usize) == Some(key.as_bytes())
            };
            if at.get(mark..).and_then(<[u32]>::first_chunk).is_some_and(is_it) {
                last = Some(self.at(mark + VALUE_BEHIND_KEY));
            }
            true
        });
        last
    }

    fn any_element(self, visit: &mut dyn FnMut(Self) -> bool) -> bool {
        let mut is_met = false;
        if View::kind(self) == b'[' {
            self.each_part(b'[', |element| {
                is_met = visit(self.at(element));
                (!is_met).then_some(element)
            });
        }
        is_met
    }

    fn each_member(self, visit: &mut dyn FnMut(&'a str, Self)) {
        Node::each_member(self, |key, value| {
            visit(key, value);
            true
        });
    }
}

fn scalar(text: &[u8]) -> JsonKind<'_> {
    let number = || {
        let text = std::str::from_utf8(text).ok()?;
        let signed = || text.parse().ok().map(Number::Signed);
        let float = || text.parse().ok().map(Number::Float);
        text.parse().ok().map(Number::Unsigned).or_else(signed).or_else(float)
    };
    match text {
        b"true" => JsonKind::Truth(true),
        b"false" => JsonKind::Truth(false),
        _ => number().map_or(JsonKind::Null, JsonKind::Number),
    }
}

/// Whether a scalar is one beyond doubt: `true`, `false`, `null`, or a number of few digits without an exponent.
#[inline]
pub fn is_plain_scalar(text: &[u8]) -> bool {
    matches!(text, b"true" | b"false" | b"null") || is_plain_number(text)
}

fn is_plain_number(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let (whole, fraction) = match digits.iter().position(|byte| *byte == b'.') {
        Some(point) => (&digits[..point], Some(&digits[point + 1..])),
        None => (digits, None),
    };
    let is_whole = !whole.is_empty() && (whole.len() == 1 || whole[0] != b'0');
    digits.len() <= MOST_DIGITS
        && is_whole
        && whole.iter().all(u8::is_ascii_digit)
        && fraction.is_none_or(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
}

/// Numbers up to here are exact in every representation; longer ones are left to the parser.
const MOST_DIGITS: usize = 15;
