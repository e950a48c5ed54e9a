//! Layouts: texts that are alike up to what stands in their strings.
//!
//! A CloudTrail event is one of few hundred forms: the same keys in the same order, filled in anew. A text that the
//! parser took shows its layout: the sequence of its marks, the keys that were looked at, and at which mark each field
//! stands. Another text with the same marks and the same keys is sound for the same reason, and its fields are at the
//! same marks; nothing needs to be parsed. That holds because JSON's grammar sees of a text its marks, what its
//! scalars are ([`is_plain_scalar`], asked anew each time) and what its strings are made of, which is excluded for the
//! text as a whole: no control character, sound UTF-8, and no backslash but before one of few characters, in a string that
//! nobody reads.
//!
//! So nothing here judges grammar. A text of unknown layout goes to the parser, and so does all that is in any way
//! special: the parser alone rejects.

use std::cell::RefCell;

use hashbrown::{HashMap, HashTable};
use memchr::memchr;
use xxhash_rust::xxh3::xxh3_64;

use super::Document;
use super::envelope::{self, Item};
use super::fields::{self, PLACES, Place};
use super::node::{Form, Node};
use super::view::{Marked, View, is_plain_scalar};
use crate::decode::bits::{Expected, Prefix, SCALAR, Slice};
use crate::event::Event;

/// A text with more marks is left to the parser each time.
const MOST_MARKS: usize = 4096;
/// Layouts with the same marks and different keys.
const MOST_ALIKE: usize = 32;
/// What all layouts may take, in bytes; beyond it they are learned anew.
const MOST_BYTES: usize = 8 << 20;
/// Layouts met once, by their hash: only what comes again is learned.
const MET_ONCE: usize = 4096;
/// Different keys of all layouts.
const MOST_TEXTS: usize = 8192;
/// A field that is not there.
const NOWHERE: u16 = u16::MAX;

/// The layouts that were learned.
pub struct Layouts {
    known: Vec<Layout>,
    /// Of each its number and hash.
    table: HashTable<(u32, u64)>,
    /// How often they were learned anew.
    age: u32,
    /// All keys of all layouts, once: few, and so always near the processor.
    texts: Vec<Prefix>,
    numbers: HashMap<Box<str>, u16>,
    bytes: usize,
    met_once: Box<[u64]>,
}

/// What a text is like.
#[derive(Clone, Copy)]
pub struct Looked<'a> {
    /// The text.
    pub text: &'a str,
    /// Its marks.
    pub marks: Slice<'a>,
    hash: u64,
    /// The number of its layout, if it is known and the text is sound, and the age of the number.
    layout: Option<(u32, u32)>,
}

/// One layout.
pub struct Layout {
    kinds: Box<[u8]>,
    /// Marks of strings that must be the same, keys and texts that an envelope is told by; and which text each is.
    texts: Box<[Expected]>,
    /// Marks of scalars.
    scalars: Box<[u16]>,
    event: u16,
    /// The mark at each [`Place`].
    places: [u16; PLACES],
    resources: Box<[[u16; 2]]>,
    behind: Box<[u32]>,
    /// Marks of strings whose text is asked for, in their order: none of them may be escaped.
    read: Box<[u16]>,
}

impl Default for Layouts {
    fn default() -> Self {
        Self {
            known: Vec::new(),
            table: HashTable::new(),
            age: 0,
            texts: Vec::new(),
            numbers: HashMap::new(),
            bytes: 0,
            met_once: vec![0; MET_ONCE].into(),
        }
    }
}

impl Layouts {
    /// Looks for the layout of a text.
    #[inline]
    pub fn look<'a>(&self, text: &'a str, marks: Slice<'a>) -> Looked<'a> {
        let hash = xxh3_64(marks.kinds);
        let is_it = |(number, of): &(u32, u64)| {
            let layout = &self.known[*number as usize];
            *of == hash
                && layout.is_of(text, marks, &self.texts)
                && (!marks.has_backslash || layout.takes_escapes(text, marks))
        };
        let layout = self.table.find(hash, is_it).map(|(number, _)| (*number, self.age));
        Looked { text, marks, hash, layout }
    }

    /// The layout that was found, if it is still there.
    #[inline]
    pub fn get(&self, looked: &Looked<'_>) -> Option<&Layout> {
        let (number, age) = looked.layout?;
        if age == self.age { self.known.get(number as usize) } else { None }
    }

    /// Takes note of a text that the parser took and whose layout is not known.
    pub fn learn(&mut self, looked: &Looked<'_>) {
        let Looked { text, marks, hash, .. } = *looked;
        if marks.has_backslash {
            return;
        }
        let met_once = &mut self.met_once[hash as usize % MET_ONCE];
        if *met_once != hash {
            *met_once = hash;
            return;
        }
        let alike = self.table.iter_hash(hash).filter(|(_, of)| *of == hash).count();
        if marks.kinds.len() > MOST_MARKS || alike >= MOST_ALIKE {
            return;
        }
        if self.bytes > MOST_BYTES || self.texts.len() > MOST_TEXTS {
            *self = Self { age: self.age.wrapping_add(1), ..Self::default() };
        }
        let Some(layout) = Layout::of(text, marks, |text| self.number_of(text)) else { return };
        self.bytes += layout.size();
        let number = self.known.len() as u32;
        self.known.push(layout);
        self.table.insert_unique(hash, (number, hash), |(_, hash)| *hash);
    }

    /// How many there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// What they take.
    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The number of a text among all.
    fn number_of(&mut self, text: &str) -> Option<u16> {
        if let Some(number) = self.numbers.get(text) {
            return Some(*number);
        }
        let number = u16::try_from(self.texts.len()).ok()?;
        self.texts.push(Prefix::new(format!("{text}\"").into_bytes()));
        self.numbers.insert(text.into(), number);
        Some(number)
    }
}

impl Layout {
    /// Of a sound text that holds one event; none if it holds anything else.
    fn of(text: &str, marks: Slice<'_>, mut number_of: impl FnMut(&str) -> Option<u16>) -> Option<Self> {
        let kinds = marks.kinds;
        let behind = behind(kinds)?;
        let marked = Marked { text, marks, behind: &behind };
        let asked = RefCell::default();
        let (mut events, mut others) = (Vec::new(), 0);
        envelope::open(Asked { view: View::new(&marked, 0), asked: &asked }, &mut |item| match item {
            Item::Event(event) => events.push(event),
            _ => others += 1,
        });
        let ([event], 0) = (&events[..], others) else { return None };
        let fields = fields::find(*event);
        let mark = |value: Option<Asked>| value.map_or(NOWHERE, |value| value.view.mark() as u16);
        let places = fields.at.map(mark);
        let resources = fields.resources.iter().map(|arns| arns.map(mark)).collect();
        let mut asked = asked.take();
        asked.sort_unstable();
        asked.dedup();
        let in_resources = fields.resources.iter().flatten().map(|value| mark(*value));
        let mut read: Vec<u16> = asked.iter().copied().chain(places).chain(in_resources).collect();
        read.sort_unstable();
        let number = |mark: u16| Some(Expected { mark, prefix: number_of(marked.string(mark.into())?)? });
        let texts: Option<_> = asked.into_iter().map(number).collect();
        let scalars =
            (0..kinds.len()).filter(|mark| kinds[*mark] == SCALAR).map(|mark| mark as u16).collect();
        Some(Self {
            kinds: kinds.into(),
            texts: texts?,
            scalars,
            event: event.view.mark() as u16,
            places,
            resources,
            behind: behind.into(),
            read: read.into(),
        })
    }

    fn is_of(&self, text: &str, marks: Slice<'_>, texts: &[Prefix]) -> bool {
        let marked = self.marked(text, marks);
        *self.kinds == *marks.kinds
            && marks.are_behind(text.as_bytes(), &self.texts, texts)
            && self.scalars.iter().all(|mark| marked.scalar((*mark).into()).is_some_and(is_plain_scalar))
    }

    /// Whether in a text with backslashes all that is escaped is sound beyond doubt, and stands in strings that nobody
    /// reads.
    #[cold]
    fn takes_escapes(&self, text: &str, marks: Slice<'_>) -> bool {
        let (bytes, mut next) = (text.as_bytes(), 0);
        while let Some(found) = memchr(b'\\', &bytes[next..]) {
            let begin = next + found;
            if !bytes.get(begin + 1).is_some_and(|byte| br#""\/bfnrt"#.contains(byte)) {
                return false;
            }
            next = begin + 2;
            let behind = marks.at.partition_point(|place| ((place - marks.base) as usize) < begin);
            let is_read = |string: usize| self.read.binary_search(&(string as u16)).is_ok();
            if behind.checked_sub(1).is_none_or(is_read) {
                return false;
            }
        }
        true
    }

    /// A text of this layout, ready to be looked at.
    pub fn marked<'a>(&'a self, text: &'a str, marks: Slice<'a>) -> Marked<'a> {
        Marked { text, marks, behind: &self.behind }
    }

    /// The id of the event in a text of this layout.
    #[inline]
    pub fn id<'a>(&'a self, of: &Looked<'a>) -> Option<&'a str> {
        let mark = usize::from(self.places[Place::Id as usize]);
        let is_text = of.marks.kinds.get(mark) == Some(&b'"');
        self.marked(of.text, of.marks).string(mark).filter(|_| is_text)
    }

    /// The event in a text of this layout.
    pub fn event<'a>(&self, marked: &'a Marked<'a>) -> View<'a> {
        View::new(marked, self.event.into())
    }

    /// Reads the fields of the event in a text of this layout.
    #[inline]
    pub fn tell<'a>(&self, marked: &'a Marked<'a>, fragment: &mut Document, event: &mut Event<'a>) {
        let view = |mark: u16| (mark != NOWHERE).then(|| View::new(marked, mark.into()));
        let places = |place: Place| view(self.places[place as usize]);
        fields::tell(places, self.resources.iter().map(|arns| arns.map(view)), fragment, event);
    }

    fn size(&self) -> usize {
        size_of::<Self>()
            + self.kinds.len()
            + size_of_val(&*self.behind)
            + size_of_val(&*self.scalars)
            + size_of_val(&*self.texts)
            + size_of_val(&*self.read)
            + size_of_val(&*self.resources)
    }
}

/// For each mark that begins a value the mark behind it; none if brackets are not in pairs.
fn behind(kinds: &[u8]) -> Option<Vec<u32>> {
    let (mut behind, mut open) = (vec![0; kinds.len()], Vec::new());
    for (mark, kind) in kinds.iter().enumerate() {
        match kind {
            b'{' | b'[' => open.push(mark),
            b'}' | b']' => behind[open.pop()?] = mark as u32 + 1,
            b'"' => behind[mark] = mark as u32 + 2,
            _ => behind[mark] = mark as u32 + 1,
        }
    }
    open.is_empty().then_some(behind)
}

/// A value that notes each string whose text was asked for: a text with others there may be read in another way.
#[derive(Clone, Copy)]
struct Asked<'n, 'a> {
    view: View<'a>,
    asked: &'n RefCell<Vec<u16>>,
}

impl<'a> Node<'a> for Asked<'_, 'a> {
    fn form(self) -> Form {
        self.view.form()
    }

    fn text(self) -> Option<&'a str> {
        let text = self.view.text();
        if text.is_some() {
            self.asked.borrow_mut().push(self.view.mark() as u16);
        }
        text
    }

    fn is_true(self) -> bool {
        self.view.is_true()
    }

    fn each_member(self, mut visit: impl FnMut(&'a str, Self) -> bool) {
        self.view.each_key(|key| {
            self.asked.borrow_mut().push(key as u16);
            let (name, view) = self.view.member_at(key);
            visit(name, Self { view, asked: self.asked })
        });
    }

    fn each_element(self, mut visit: impl FnMut(Self)) {
        self.view.each_element(|view| visit(Self { view, asked: self.asked }));
    }
}
