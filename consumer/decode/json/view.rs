//! A value in a text of a known layout.

use memchr::memchr;
use trailmeter_rules::event::{Json, JsonKind, Number};

use super::layout::Spot;
use super::marks::SCALAR;
use super::node::{Form, Leaf, Node};

/// A text of a known layout: what is filled in, and where.
#[derive(Clone, Copy)]
pub struct Filled<'a> {
    /// The text.
    pub text: &'a str,
    /// Where in it each step begins.
    pub places: &'a [u32],
    /// The byte of each mark; [`SCALAR`] for a scalar.
    pub kinds: &'a [u8],
    /// Where each mark is.
    pub spots: &'a [Spot],
    /// For each mark that begins a value: the mark behind the value.
    pub behind: &'a [u32],
}

/// A value: the mark that it begins with.
#[derive(Clone, Copy)]
pub struct View<'a> {
    of: &'a Filled<'a>,
    mark: usize,
}

impl<'a> Filled<'a> {
    /// The string that begins with this mark.
    #[inline]
    pub fn string(&self, mark: usize) -> Option<&'a str> {
        self.string_at(*self.spots.get(mark)?)
    }

    /// The string that begins with the mark there.
    #[inline]
    pub fn string_at(&self, spot: Spot) -> Option<&'a str> {
        let step = usize::from(spot.step);
        let begin = *self.places.get(step)? as usize + usize::from(spot.offset) + 1;
        let end = match spot.length() {
            Some(length) => begin + length,
            None => *self.places.get(step + 1)? as usize,
        };
        self.text.get(begin..end)
    }

    fn at(&self, mark: usize) -> Option<usize> {
        let spot = self.spots.get(mark)?;
        Some(*self.places.get(usize::from(spot.step))? as usize + usize::from(spot.offset))
    }

    /// The scalar that begins with this mark.
    #[inline]
    pub fn scalar(&self, mark: usize) -> Option<&'a [u8]> {
        let end = self.at(mark + 1).unwrap_or(self.text.len());
        Some(self.text.as_bytes().get(self.at(mark)?..end)?.trim_ascii_end())
    }

    /// Whether there is no backslash in the strings that begin with these marks.
    pub fn are_unescaped(&self, strings: &[u16]) -> bool {
        let is_unescaped = |string: &str| memchr(b'\\', string.as_bytes()).is_none();
        strings.iter().all(|mark| self.string(usize::from(*mark)).is_some_and(is_unescaped))
    }
}

impl<'a> View<'a> {
    /// The value that begins with this mark.
    #[inline]
    pub fn new(of: &'a Filled<'a>, mark: usize) -> Self {
        Self { of, mark }
    }

    /// The mark that it begins with.
    pub fn mark(self) -> usize {
        self.mark
    }

    fn kind(self) -> u8 {
        self.of.kinds.get(self.mark).copied().unwrap_or(SCALAR)
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
        let (kinds, behind) = (self.of.kinds, self.of.behind);
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

/// What a value is that begins with a mark of this kind.
#[inline]
pub fn form(kind: u8) -> Form {
    match kind {
        b'"' => Form::Text,
        b'{' => Form::Object,
        b'[' => Form::Array,
        _ => Form::Scalar,
    }
}

/// A key's two quotes and its colon.
const VALUE_BEHIND_KEY: usize = 3;

impl<'a> Leaf<'a> for View<'a> {
    #[inline]
    fn form(self) -> Form {
        form(self.kind())
    }

    #[inline]
    fn text(self) -> Option<&'a str> {
        if self.kind() == b'"' { self.of.string(self.mark) } else { None }
    }

    fn is_true(self) -> bool {
        self.kind() == SCALAR && self.of.scalar(self.mark) == Some(b"true")
    }
}

impl<'a> Node<'a> for View<'a> {
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
        let mut last = None;
        self.each_key(|mark| {
            // Most keys differ in their length already.
            let length = self.of.spots.get(mark).and_then(|spot| spot.length());
            if length.is_none_or(|length| length == key.len()) && self.of.string(mark) == Some(key) {
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
