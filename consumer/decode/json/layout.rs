//! Layouts: texts that are alike up to what stands in their strings.
//!
//! A CloudTrail event is one of few hundred forms: the same keys in the same order, filled in anew. A text that the
//! parser took shows its layout: what in it is the same in all such texts ([`Step`]: brackets, commas, the keys that were
//! looked at, blanks), what is filled in (strings, scalars), and where each field stands. Another text that goes the same
//! way ([`Ways`]) is sound for the same reason, and its fields are at the same places; nothing needs to be parsed. That
//! holds because JSON's grammar sees of a text what is the same, and of what is filled in only that it is a string or a
//! scalar: strings may have no control character, sound UTF-8, and no backslash but before one of few characters, where
//! nobody reads them; scalars are few-digit numbers and truths.
//!
//! So nothing here judges grammar. A text of unknown layout goes to the parser, and so does all that is in any way
//! special: the parser alone rejects.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::{HashMap, HashSet};
use memchr::memchr;

use super::Document;
use super::envelope::{self, Item};
use super::fields::{self, PLACES, Place};
use super::marks::{SCALAR, marks};
use super::node::{Form, Leaf, Node};
use super::view::{self, Filled, View};
use super::ways::{self, Behind, Step, Walked, Ways};
use crate::decode::bits::Kernel;
use crate::event::Event;

/// The age of those that are learned next.
static AGES: AtomicU64 = AtomicU64::new(0);
/// A larger text is left to the parser each time.
const MOST_TEXT_BYTES: usize = u16::MAX as usize;
/// Likewise one with more marks.
const MOST_MARKS: usize = 4096;
/// Texts of the same shape, see [`super::tape::Value::shape`], that layouts are learned from: they differ in keys or truths.
const MOST_ALIKE: u8 = 64;
/// What all layouts may take, in bytes; beyond it they are learned anew.
const MOST_BYTES: usize = 8 << 20;
/// Shapes met once: only what comes again is learned.
const MET_ONCE: usize = 4096;
/// Shapes met again; beyond these all is learned anew.
const MOST_SHAPES: usize = 1 << 16;
/// Fields that have few values, and of a layout nearly always the same.
const CLOSED_SETS: [Place; 4] = [Place::EventType, Place::Category, Place::IdentityType, Place::IssuerType];
/// A field that is not there.
const NOWHERE: u16 = u16::MAX;
/// The length of a string that is filled in.
const FILLED_IN: u16 = u16::MAX;

/// The layouts that were learned.
pub struct Layouts {
    kernel: Kernel,
    known: Vec<Layout>,
    ways: Ways,
    /// Of these alone: others number their layouts otherwise.
    age: u64,
    bytes: usize,
    met_once: Box<[u64]>,
    /// From how many of a shape it was tried to learn.
    alike: HashMap<u64, u8>,
}

/// One layout.
pub struct Layout {
    kinds: Box<[u8]>,
    /// Where each mark is.
    spots: Box<[Spot]>,
    /// For each mark that begins a value: the mark behind the value.
    behind: Box<[u32]>,
    event: u16,
    places: [Field; PLACES],
    resources: Box<[[Field; 2]]>,
    /// Marks of strings whose text is asked for: none of them may be escaped.
    read: Box<[u16]>,
}

/// Where the value at a [`Place`] is.
#[derive(Clone, Copy)]
struct Field {
    spot: Spot,
    mark: u16,
    kind: u8,
}

impl Field {
    const NOWHERE: Self = Self { spot: Spot { step: 0, offset: 0, length: 0 }, mark: NOWHERE, kind: SCALAR };
}

/// Where a mark is.
#[derive(Clone, Copy)]
pub struct Spot {
    /// In the literal of this step or right behind it,
    pub step: u16,
    /// so many bytes from where that begins.
    pub offset: u16,
    length: u16,
}

impl Spot {
    /// Of a string that is the same in all texts: how many bytes it has.
    pub fn length(self) -> Option<usize> {
        (self.length != FILLED_IN).then_some(self.length.into())
    }
}

impl Layouts {
    /// None yet.
    pub fn new(kernel: Kernel) -> Self {
        Self {
            kernel,
            known: Vec::new(),
            ways: Ways::default(),
            age: AGES.fetch_add(1, Ordering::Relaxed),
            bytes: 0,
            met_once: vec![0; MET_ONCE].into(),
            alike: HashMap::new(),
        }
    }

    /// Changes when numbers of layouts become those of others, and is another for every reader.
    pub fn age(&self) -> u64 {
        self.age
    }

    /// Places that [`Layouts::walk`] may write.
    pub fn most_steps(&self) -> usize {
        self.ways.most_steps()
    }

    /// Looks for a value of known layout that a text begins with. Where its steps begin is written to `places`.
    #[inline]
    pub fn walk(&self, text: &[u8], places: &mut [u32]) -> Option<Walked> {
        let walked = self.ways.walk(self.kernel, text, places)?;
        let is_special = walked.beyond_ascii || walked.has_backslash;
        if is_special && !self.is_sound(text, &walked, places) { None } else { Some(walked) }
    }

    /// Whether a text with what is not ASCII is UTF-8, and one with backslashes has them where nobody reads.
    #[cold]
    fn is_sound(&self, text: &[u8], walked: &Walked, places: &[u32]) -> bool {
        let Ok(text) = std::str::from_utf8(&text[..walked.end]) else { return false };
        let layout = &self.known[walked.layout as usize];
        !walked.has_backslash || layout.filled(text, places).are_unescaped(&layout.read)
    }

    /// A layout by its number, if it is still there.
    #[inline]
    pub fn get(&self, layout: u32, age: u64) -> Option<&Layout> {
        if age == self.age { self.known.get(layout as usize) } else { None }
    }

    /// Takes note of a text that the parser took, whose layout is not known and whose shape is this.
    pub fn learn(&mut self, text: &str, shape: u64) {
        // With a blank at its end, it would end before that for another.
        let ends_blank = text.ends_with([' ', '\t', '\r', '\n']);
        if text.len() > MOST_TEXT_BYTES || ends_blank || memchr(b'\\', text.as_bytes()).is_some() {
            return;
        }
        let met_once = &mut self.met_once[shape as usize % MET_ONCE];
        if *met_once != shape {
            *met_once = shape;
            return;
        }
        if self.alike.len() >= MOST_SHAPES {
            *self = Self::new(self.kernel);
        }
        let alike = self.alike.entry(shape).or_default();
        *alike = alike.saturating_add(1);
        if *alike > MOST_ALIKE {
            return;
        }
        let Some((layout, steps)) = Layout::of(text) else { return };
        if self.bytes + self.ways.bytes() > MOST_BYTES || !self.ways.has_room(&steps) {
            *self = Self::new(self.kernel);
        } else if self.ways.add(&steps, self.known.len() as u32) {
            self.bytes += layout.size();
            self.known.push(layout);
        }
    }

    /// How many there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Shapes that are remembered.
    #[cfg(test)]
    pub fn shapes(&self) -> usize {
        self.alike.len()
    }

    /// What they take.
    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.bytes + self.ways.bytes()
    }
}

impl Layout {
    /// Of a sound text that holds one event, and its steps; none if it holds anything else.
    fn of(text: &str) -> Option<(Self, Vec<Step>)> {
        let (at, kinds) = marks(text.as_bytes());
        if kinds.len() > MOST_MARKS {
            return None;
        }
        let behind = behind(&kinds)?;
        let mut layout = Self::all_the_same(&at, kinds, behind);
        let filled = layout.filled(text, &[0]);
        let asked = RefCell::default();
        let (mut events, mut others) = (Vec::new(), 0);
        envelope::open(Asked { view: View::new(&filled, 0), asked: &asked }, &mut |item| match item {
            Item::Event(event) => events.push(event),
            _ => others += 1,
        });
        let ([event], 0) = (&events[..], others) else { return None };
        let fields = fields::find(*event);
        let mark = |value: Option<Asked>| value.map_or(NOWHERE, |value| value.view.mark() as u16);
        let event = event.view.mark() as u16;
        let places = fields.at.map(mark);
        let resources: Box<[[u16; 2]]> = fields.resources.iter().map(|arns| arns.map(mark)).collect();
        let mut asked = asked.take();
        asked.sort_unstable();
        asked.dedup();
        let values = places.iter().chain(resources.iter().flatten());
        let is_text = |mark: &&u16| layout.kinds.get(usize::from(**mark)) == Some(&b'"');
        let read = asked.iter().chain(values).filter(is_text).copied().collect();
        let closed = CLOSED_SETS.map(|place| places[place as usize]);
        let same: Vec<u16> =
            asked.into_iter().chain(closed).chain(layout.truths_of(event, text, &at)).collect();
        let steps = layout.fill_in(text, &at, &same.into_iter().collect());
        let field = |mark: u16| layout.field(mark);
        let (places, resources) = (places.map(field), resources.iter().map(|arns| arns.map(field)).collect());
        Some((Self { event, places, resources, read, ..layout }, steps))
    }

    /// As if all of a text was one literal.
    fn all_the_same(at: &[usize], kinds: Vec<u8>, behind: Vec<u32>) -> Self {
        let spot = |mark: usize| {
            let next = at.get(mark + 1).copied().unwrap_or_default();
            let length = next.saturating_sub(at[mark] + 1) as u16;
            Spot { step: 0, offset: at[mark] as u16, length }
        };
        Self {
            spots: (0..at.len()).map(spot).collect(),
            kinds: kinds.into(),
            behind: behind.into(),
            event: 0,
            places: [Field::NOWHERE; PLACES],
            resources: Box::default(),
            read: Box::default(),
        }
    }

    /// Marks of `true` and `false` among the members of the event itself.
    fn truths_of(&self, event: u16, text: &str, at: &[usize]) -> Vec<u16> {
        let (mut truths, mut depth) = (Vec::new(), 0);
        for (mark, (place, kind)) in at.iter().zip(&self.kinds).enumerate().skip(event.into()) {
            match kind {
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                &SCALAR if depth == 1 && matches!(text.as_bytes()[*place], b't' | b'f') => {
                    truths.push(mark as u16);
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
        truths
    }

    /// The value that begins with a mark.
    fn field(&self, mark: u16) -> Field {
        let Some(kind) = self.kinds.get(usize::from(mark)) else { return Field::NOWHERE };
        Field { spot: self.spots[usize::from(mark)], mark, kind: *kind }
    }

    /// Parts a text into steps: strings are filled in, and so are scalars but `null`, in the place of which other values
    /// often stand; but for these, which are the same in all texts.
    fn fill_in(&mut self, text: &str, at: &[usize], same: &HashSet<u16>) -> Vec<Step> {
        let (text, mut steps, mut begin, mut mark) = (text.as_bytes(), Vec::new(), 0, 0);
        let spots = &mut self.spots;
        while mark < at.len() {
            let next = at.get(mark + 1).copied().unwrap_or(text.len());
            let (end, behind, filled_to) = match self.kinds[mark] {
                b'"' if !same.contains(&(mark as u16)) => (at[mark] + 1, Behind::Text, next),
                SCALAR if !same.contains(&(mark as u16)) && !text[at[mark]..].starts_with(b"null") => {
                    let length = text[at[mark]..next].trim_ascii_end().len();
                    (at[mark], Behind::Scalar, at[mark] + length)
                }
                // A string that is the same has a mark at its end.
                kind => {
                    let marks = if kind == b'"' { 2 } else { 1 };
                    for mark in mark..mark + marks {
                        spots[mark] = spot(steps.len(), at[mark] - begin, spots[mark].length);
                    }
                    mark += marks;
                    continue;
                }
            };
            let first = steps.len();
            let expected = (behind == Behind::Text).then(|| expected_length(&text[end..next])).flatten();
            push(&mut steps, &text[begin..end], behind, expected);
            // In the last step of the literal, or right behind it.
            let offset = at[mark] - begin - ways::STEP_BYTES * (steps.len() - 1 - first);
            spots[mark] = Spot { step: (steps.len() - 1) as u16, offset: offset as u16, length: FILLED_IN };
            begin = filled_to;
            mark += 1;
            if behind == Behind::Text {
                spots[mark] = spot(steps.len(), 0, 0);
                mark += 1;
            }
        }
        push(&mut steps, &text[begin..], Behind::Literal, None);
        steps
    }

    /// A text of this layout, ready to be looked at.
    #[inline]
    pub fn filled<'a>(&'a self, text: &'a str, places: &'a [u32]) -> Filled<'a> {
        let Self { kinds, spots, behind, .. } = self;
        Filled { text, places, kinds, spots, behind }
    }

    /// The id of the event in a text of this layout.
    #[inline]
    pub fn id<'a>(&'a self, text: &'a str, places: &'a [u32]) -> Option<&'a str> {
        let Field { spot, kind, .. } = self.places[Place::Id as usize];
        if kind == b'"' { self.filled(text, places).string_at(spot) } else { None }
    }

    /// The event in a text of this layout.
    pub fn event<'a>(&self, filled: &'a Filled<'a>) -> View<'a> {
        View::new(filled, self.event.into())
    }

    /// Reads the fields of the event in a text of this layout.
    #[inline]
    pub fn tell<'a>(&self, filled: &'a Filled<'a>, fragment: &mut Document, event: &mut Event<'a>) {
        let value = |field: Field| (field.mark != NOWHERE).then_some(InPlace { of: filled, field });
        let places = |place: Place| value(self.places[place as usize]);
        fields::tell(places, self.resources.iter().map(|arns| arns.map(value)), fragment, event);
    }

    fn size(&self) -> usize {
        size_of::<Self>()
            + self.kinds.len()
            + size_of_val(&*self.spots)
            + size_of_val(&*self.behind)
            + size_of_val(&*self.read)
            + size_of_val(&*self.resources)
    }
}

/// A mark so many bytes behind the beginning of a literal, of which this is the first step.
fn spot(step: usize, offset: usize, length: u16) -> Spot {
    Spot {
        step: (step + offset / ways::STEP_BYTES) as u16,
        offset: (offset % ways::STEP_BYTES) as u16,
        length,
    }
}

/// The length of a string, if others in its place are most often as long: ids, times, accounts, keys, versions, and words
/// that all events of a layout have.
fn expected_length(text: &[u8]) -> Option<u8> {
    let are = |is_one: &dyn Fn(&u8) -> bool| text.iter().all(is_one);
    let is_number_like = || {
        let is_one = |byte: &u8| matches!(byte, b'0'..=b'9' | b'A'..=b'Z' | b'-' | b':' | b'.');
        are(&is_one) && text.iter().filter(|byte| **byte == b'.').count() < 3
    };
    let is_uuid = || text.len() == 36 && are(&|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-'));
    let is_usual = || USUAL_WORDS.contains(&text) || text.starts_with(b"TLSv");
    let is_expected = (1..64).contains(&text.len()) && (is_number_like() || is_uuid() || is_usual());
    is_expected.then_some(text.len() as u8)
}

/// Words that are the same in most events of a layout.
const USUAL_WORDS: [&[u8]; 1] = [b"false"];

/// Appends a literal, in as many steps as it takes.
fn push(steps: &mut Vec<Step>, literal: &[u8], behind: Behind, expected: Option<u8>) {
    let count = literal.len().div_ceil(ways::STEP_BYTES);
    steps.extend(literal.chunks(ways::STEP_BYTES).enumerate().map(|(number, part)| Step {
        literal: part.into(),
        behind: if number + 1 == count { behind } else { Behind::Literal },
        expected: expected.filter(|_| number + 1 == count),
    }));
}

/// A value whose place is known: its text is told without a look at its mark.
#[derive(Clone, Copy)]
struct InPlace<'a> {
    of: &'a Filled<'a>,
    field: Field,
}

impl<'a> Leaf<'a> for InPlace<'a> {
    #[inline]
    fn form(self) -> Form {
        view::form(self.field.kind)
    }

    #[inline]
    fn text(self) -> Option<&'a str> {
        if self.field.kind == b'"' { self.of.string_at(self.field.spot) } else { None }
    }

    fn is_true(self) -> bool {
        View::new(self.of, self.field.mark.into()).is_true()
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

impl<'a> Leaf<'a> for Asked<'_, 'a> {
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
}

impl<'a> Node<'a> for Asked<'_, 'a> {
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
