//! Layouts: texts that are alike up to what stands in their strings.
//!
//! A CloudTrail event is one of few hundred forms: the same keys in the same order, filled in anew. A text that the
//! parser took shows its layout: the sequence of its marks, the keys that were looked at, and at which mark each field
//! stands. Another text with the same marks and the same keys is sound for the same reason, and its fields are at the
//! same marks; nothing needs to be parsed. That holds because JSON's grammar sees of a text its marks, what its
//! scalars are ([`is_plain_scalar`], asked anew each time) and what its strings are made of, which is excluded for the
//! text as a whole: no backslash, no control character, sound UTF-8.
//!
//! So nothing here judges grammar. A text of unknown layout goes to the parser, and so does all that is in any way
//! special: the parser alone rejects.

use std::cell::RefCell;

use hashbrown::{HashMap, HashTable};
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
const MOST_ALIKE: usize = 8;
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
    known: HashTable<Box<Layout>>,
    /// All keys of all layouts, once: few, and so always near the processor.
    texts: Vec<Prefix>,
    numbers: HashMap<Box<str>, u16>,
    bytes: usize,
    met_once: Box<[u64]>,
}

/// One layout.
pub struct Layout {
    hash: u64,
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
}

impl Default for Layouts {
    fn default() -> Self {
        Self {
            known: HashTable::new(),
            texts: Vec::new(),
            numbers: HashMap::new(),
            bytes: 0,
            met_once: vec![0; MET_ONCE].into(),
        }
    }
}

/// The hash by which layouts are found.
pub fn hash(marks: Slice<'_>) -> u64 {
    xxh3_64(marks.kinds)
}

impl Layouts {
    /// The layout of a text, if it is known and the text is sound.
    #[inline]
    pub fn find(&self, hash: u64, text: &str, marks: Slice<'_>) -> Option<&Layout> {
        let layout =
            self.known.find(hash, |layout| layout.hash == hash && layout.is_of(text, marks, &self.texts));
        layout.map(|layout| &**layout)
    }

    /// Takes note of a text that the parser took and whose layout is not known.
    pub fn learn(&mut self, hash: u64, text: &str, marks: Slice<'_>) {
        let met_once = &mut self.met_once[hash as usize % MET_ONCE];
        if *met_once != hash {
            *met_once = hash;
            return;
        }
        let alike = self.known.iter_hash(hash).filter(|layout| layout.hash == hash).count();
        if marks.kinds.len() > MOST_MARKS || alike >= MOST_ALIKE {
            return;
        }
        if self.bytes > MOST_BYTES || self.texts.len() > MOST_TEXTS {
            *self = Self::default();
        }
        let Some(layout) = Layout::of(hash, text, marks, |text| self.number_of(text)) else { return };
        self.bytes += layout.size();
        self.known.insert_unique(hash, Box::new(layout), |layout| layout.hash);
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
    fn of(
        hash: u64,
        text: &str,
        marks: Slice<'_>,
        mut number_of: impl FnMut(&str) -> Option<u16>,
    ) -> Option<Self> {
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
        let number = |mark: u16| Some(Expected { mark, prefix: number_of(marked.string(mark.into())?)? });
        let texts: Option<_> = asked.into_iter().map(number).collect();
        let scalars =
            (0..kinds.len()).filter(|mark| kinds[*mark] == SCALAR).map(|mark| mark as u16).collect();
        Some(Self {
            hash,
            kinds: kinds.into(),
            texts: texts?,
            scalars,
            event: event.view.mark() as u16,
            places,
            resources,
            behind: behind.into(),
        })
    }

    fn is_of(&self, text: &str, marks: Slice<'_>, texts: &[Prefix]) -> bool {
        let marked = self.marked(text, marks);
        *self.kinds == *marks.kinds
            && marks.are_behind(text.as_bytes(), &self.texts, texts)
            && self.scalars.iter().all(|mark| marked.scalar((*mark).into()).is_some_and(is_plain_scalar))
    }

    /// A text of this layout, ready to be looked at.
    pub fn marked<'a>(&'a self, text: &'a str, marks: Slice<'a>) -> Marked<'a> {
        Marked { text, marks, behind: &self.behind }
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
