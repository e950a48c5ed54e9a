//! The ways through texts of known layouts: what is the same in all of them, and what is filled in between.
//!
//! Enters: texts, and the steps of layouts that were learned. Leaves: the layout of a text, and where in it each step
//! begins. Steps of layouts that begin alike are the same up to where they part ([`Fork`]), so a text is walked once,
//! whatever the number of layouts, and only as far as it is like one of them.
//!
//! Budget: a step is two looks at 64 bytes, one for what is the same, one for the end of the string behind it.

use hashbrown::HashMap;

use super::scalar::{past_number, past_scalar};
use crate::decode::bits::{BLOCK, Block, Kernel, Task, padded};

/// Bytes of a step: less than a block, so that what is behind them begins in the same.
pub const STEP_BYTES: usize = BLOCK - 1;
/// Different literals of all steps.
const MOST_LITERALS: usize = 8192;
/// Bytes that the ways of a fork are told apart by.
const KEY_BYTES: usize = 8;
/// Nodes of a fork.
const MOST_WAYS: usize = 1024;
/// Places that it is tried to tell the nodes of a fork apart at.
const MOST_SKIPS: usize = 8;
/// How many times a fork's table is doubled so that no two keys share a place.
const LARGER_TABLES: u32 = 5;
/// No length that is expected.
const UNKNOWN: u8 = u8::MAX;
/// No node.
const NONE: u32 = u32::MAX;

/// What stands behind a literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behind {
    /// The next literal.
    Literal,
    /// The text of a string, up to its closing quote.
    Text,
    /// A scalar.
    Scalar,
}

/// Bytes that are the same in all texts of a layout, 1 to [`STEP_BYTES`] of them, and what stands behind them.
#[derive(Clone, Debug)]
pub struct Step {
    /// The bytes.
    pub literal: Box<[u8]>,
    /// What stands behind them.
    pub behind: Behind,
    /// How long the string behind them is going to be, if that can be told: less than a block.
    pub expected: Option<u8>,
}

/// The ways that are known.
#[derive(Default)]
pub struct Ways {
    /// The first is where all ways begin.
    nodes: Vec<Node>,
    forks: Vec<Fork>,
    /// Each once: few, and so always near the processor.
    literals: Vec<Literal>,
    numbers: HashMap<Box<[u8]>, u16>,
    most_steps: usize,
    /// What forks take, in bytes.
    fork_bytes: usize,
}

/// A place on a way.
#[derive(Clone, Copy)]
struct Node {
    kind: Kind,
    length: u8,
    literal: u16,
    /// How long the string behind it probably is; [`UNKNOWN`]: nobody knows.
    expected: u8,
    /// The node behind it; the number of the fork; the layout.
    next: u32,
    /// In a fork: what else may stand in its place by what the fork looks at.
    or: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd)]
#[repr(u8)]
enum Kind {
    /// A step with [`Behind::Literal`],
    Literal,
    /// with [`Behind::Text`],
    Text,
    /// with [`Behind::Scalar`].
    Scalar,
    /// One of several nodes.
    Fork,
    /// The value has ended.
    End,
}

/// Bytes of a literal, the rest zero. Of a size that is quick to count by.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Literal([u8; BLOCK]);

/// Nodes that may stand in the same place.
struct Fork {
    nodes: Vec<u32>,
    /// Behind how many bytes those begin by which they are told apart, and which of eight those are.
    skip: usize,
    mask: u64,
    /// The first node by the hash of those bytes.
    table: Box<[u32]>,
    shift: u32,
}

/// What was found of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walked {
    /// Its layout.
    pub layout: u32,
    /// One past its last byte.
    pub end: usize,
    /// Places of steps that were written.
    pub steps: usize,
    /// There is a backslash in a string, before one of the characters that it may stand before.
    pub has_backslash: bool,
    /// There is a byte beyond ASCII in a string.
    pub beyond_ascii: bool,
}

impl Ways {
    /// Steps of the longest way.
    pub fn most_steps(&self) -> usize {
        self.most_steps
    }

    /// What they take, in bytes.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.nodes) + 2 * size_of_val(&*self.literals) + self.fork_bytes
    }

    /// Whether there is room for another.
    pub fn has_room(&self, steps: &[Step]) -> bool {
        self.literals.len() + steps.len() <= MOST_LITERALS
    }

    /// Adds the way to a layout, for which there is room. False if there is one already, or it parts from others where too
    /// many do.
    pub fn add(&mut self, steps: &[Step], layout: u32) -> bool {
        let nodes: Vec<Node> = steps.iter().map(|step| self.node(step)).collect();
        // As far as there is a way already.
        let (mut at, mut known) = (0, 0);
        while let Some(node) = nodes.get(known).filter(|_| !self.nodes.is_empty()) {
            match self.same(at, *node) {
                Some(next) => (at, known) = (next, known + 1),
                None => break,
            }
        }
        if known == nodes.len() || self.is_full(at) {
            return false;
        }
        let (is_first, first) = (self.nodes.is_empty(), self.nodes.len());
        let next = |number: usize| (first + number + 1) as u32;
        let new =
            nodes[known..].iter().enumerate().map(|(number, node)| Node { next: next(number), ..*node });
        self.nodes.extend(new);
        self.nodes.push(Node {
            kind: Kind::End,
            length: 0,
            literal: 0,
            expected: UNKNOWN,
            next: layout,
            or: NONE,
        });
        if !is_first {
            self.part(at, first as u32);
        }
        self.most_steps = self.most_steps.max(steps.len());
        true
    }

    fn node(&mut self, step: &Step) -> Node {
        let literal = self.numbers.get(&step.literal).copied().unwrap_or_else(|| {
            let number = self.literals.len() as u16;
            self.literals.push(Literal(padded(&step.literal, 0)));
            self.numbers.insert(step.literal.clone(), number);
            number
        });
        let expected = step.expected.unwrap_or(UNKNOWN);
        let kind = match step.behind {
            Behind::Literal => Kind::Literal,
            Behind::Text => Kind::Text,
            Behind::Scalar => Kind::Scalar,
        };
        Node { kind, length: step.literal.len() as u8, literal, expected, next: NONE, or: NONE }
    }

    /// The place behind the node in this place that is as this one.
    fn same(&self, at: usize, node: Node) -> Option<usize> {
        let is_same = |at: &usize| {
            let other = self.nodes[*at];
            (other.literal, other.length, other.kind) == (node.literal, node.length, node.kind)
        };
        let found = match self.nodes[at] {
            Node { kind: Kind::Fork, next, .. } => {
                self.forks[next as usize].nodes.iter().map(|at| *at as usize).find(is_same)
            }
            _ => Some(at).filter(is_same),
        };
        found.map(|found| self.nodes[found].next as usize)
    }

    /// Whether nothing more may stand in a place.
    fn is_full(&self, at: usize) -> bool {
        let node = self.nodes.get(at).filter(|node| node.kind == Kind::Fork);
        node.is_some_and(|node| self.forks[node.next as usize].nodes.len() >= MOST_WAYS)
    }

    /// Adds a node to what may stand in a place.
    fn part(&mut self, at: usize, more: u32) {
        let (node, old) = (self.nodes[at], self.nodes.len() as u32);
        let mut fork = self.forks.len() as u32;
        let mut numbers = vec![old, more];
        if node.kind == Kind::Fork {
            fork = node.next;
            numbers = [&self.forks[fork as usize].nodes[..], &[more]].concat();
        } else {
            self.nodes[at] = Node { kind: Kind::Fork, next: fork, ..node };
            self.nodes.push(node);
        }
        let made = Fork::of(numbers, &mut self.nodes, &self.literals);
        self.fork_bytes += made.bytes();
        self.fork_bytes -= self.forks.get(fork as usize).map_or(0, Fork::bytes);
        match self.forks.get_mut(fork as usize) {
            Some(fork) => *fork = made,
            None => self.forks.push(made),
        }
    }
}

impl Fork {
    fn of(numbers: Vec<u32>, nodes: &mut [Node], literals: &[Literal]) -> Self {
        let literal = |number: u32| {
            let node = nodes[number as usize];
            &literals[usize::from(node.literal)].0[..usize::from(node.length)]
        };
        // Where they are told apart best: behind what some of them have in common.
        let mut sorted: Vec<&[u8]> = numbers.iter().map(|number| literal(*number)).collect();
        sorted.sort_unstable();
        let alike =
            |pair: &[&[u8]]| pair[0].iter().zip(pair[1]).take_while(|(one, other)| one == other).count();
        let mut skips: Vec<usize> = sorted.windows(2).map(alike).collect();
        skips.sort_unstable();
        skips.dedup();
        let some = skips.iter().step_by(skips.len().div_ceil(MOST_SKIPS).max(1));
        let keys = some.map(|skip| Keys::of(&sorted, *skip));
        let Keys { skip, bytes, .. } = keys.min_by_key(|keys| keys.cost).unwrap_or_default();
        let mask = u64::MAX >> (64 - 8 * bytes);
        let mut keyed: Vec<(Option<u64>, usize, u32)> = numbers
            .iter()
            .map(|number| {
                let literal = literal(*number);
                let key = (literal.len() >= skip + bytes).then(|| key(literal, skip) & mask);
                (key, literal.len(), *number)
            })
            .collect();
        // One may begin another, as a key before a scalar begins the same before `null`: the longer is asked first, and
        // so is put before those that were put in before it. Those without a key are asked last, wherever one looks.
        keyed.sort_by_key(|(key, length, _)| (key.is_some(), *length));
        let mut shift = 64 - (2 * numbers.len()).next_power_of_two().trailing_zeros();
        let least = shift.saturating_sub(LARGER_TABLES);
        let places = |shift: u32| {
            let mut places: Vec<(usize, u64)> =
                keyed.iter().filter_map(|(key, ..)| key.map(|key| (place(key, shift), key))).collect();
            places.sort_unstable();
            places.dedup();
            places
        };
        while shift > least && places(shift).windows(2).any(|pair| pair[0].0 == pair[1].0) {
            shift -= 1;
        }
        let mut table = vec![NONE; 1 << (64 - shift)];
        for (key, _, number) in keyed {
            match key {
                None => {
                    nodes[number as usize].or = table[0];
                    table.fill(number);
                }
                Some(key) => {
                    nodes[number as usize].or = std::mem::replace(&mut table[place(key, shift)], number);
                }
            }
        }
        Self { nodes: numbers, skip, mask, table: table.into(), shift }
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.nodes) + size_of_val(&*self.table)
    }

    /// The first of the nodes that a text may go on with; [`NONE`] if there is none.
    #[inline(always)]
    fn choose(&self, window: &[u8; WINDOW]) -> u32 {
        let key = key(window, self.skip) & self.mask;
        self.table.get(place(key, self.shift)).copied().unwrap_or(NONE)
    }
}

/// How nodes may be told apart.
struct Keys {
    skip: usize,
    bytes: usize,
    /// How many are compared in all if each of them is looked for.
    cost: usize,
}

impl Default for Keys {
    fn default() -> Self {
        Self { skip: 0, bytes: 1, cost: 0 }
    }
}

impl Keys {
    /// By bytes behind so many, as many as most have.
    fn of(literals: &[&[u8]], skip: usize) -> Self {
        let mut lengths: Vec<usize> = literals
            .iter()
            .map(|literal| literal.len().saturating_sub(skip))
            .filter(|more| *more > 0)
            .collect();
        lengths.sort_unstable();
        let bytes = lengths.get(lengths.len() / 4).map_or(1, |more| (*more).min(KEY_BYTES));
        let mut keys: Vec<&[u8]> =
            literals.iter().filter_map(|literal| literal.get(skip..skip + bytes)).collect();
        keys.sort_unstable();
        let same: usize = keys.chunk_by(|one, other| one == other).map(|same| same.len() * same.len()).sum();
        let cost = same + (literals.len() - keys.len()) * literals.len();
        Self { skip, bytes, cost }
    }
}

/// The bytes behind so many.
#[inline(always)]
fn key(bytes: &[u8], skip: usize) -> u64 {
    match bytes.get(skip..).and_then(|rest| rest.first_chunk()) {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => key_at_end(bytes, skip),
    }
}

#[cold]
#[inline(never)]
fn key_at_end(bytes: &[u8], skip: usize) -> u64 {
    let rest = bytes.get(skip..).unwrap_or_default();
    rest.iter().rev().fold(0, |key, byte| key << 8 | u64::from(*byte))
}

#[inline(always)]
fn place(key: u64, shift: u32) -> usize {
    (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> shift) as usize
}

/// Bytes that are looked at for a step: a literal, and what is behind it.
const WINDOW: usize = 2 * BLOCK;
/// No byte of UTF-8: no literal has it, and no string goes on with it.
const NO_BYTE: u8 = 0xff;

/// A walk, between the stretches that are walked without a halt.
struct Walker<'w> {
    ways: &'w Ways,
    kernel: Kernel,
    places: &'w mut [u32],
    /// The node that comes next, and how many steps were made.
    node: u32,
    steps: usize,
    /// What was passed last is the text of a string.
    in_text: bool,
    has_backslash: bool,
    beyond_ascii: bool,
}

impl Ways {
    /// Walks along a text, which may go on behind its first value. The place of each step is written to `places`,
    /// [`Ways::most_steps`] at most.
    pub fn walk(&self, kernel: Kernel, text: &[u8], places: &mut [u32]) -> Option<Walked> {
        let mut walker = Walker {
            ways: self,
            kernel,
            places,
            node: 0,
            steps: 0,
            in_text: false,
            has_backslash: false,
            beyond_ascii: false,
        };
        let left = match walker.walk(text, text.len())? {
            Halt::Ended(walked) => return Some(walked),
            Halt::Short(left) => left,
        };
        // Its end is walked along where there is room behind it.
        let mut end = [NO_BYTE; 2 * WINDOW];
        let begin = text.len() - left;
        end.get_mut(..left)?.copy_from_slice(&text[begin..]);
        match walker.walk(&end, begin + end.len())? {
            Halt::Ended(walked) => Some(walked),
            Halt::Short(_) => None,
        }
    }
}

/// Where a walk comes to its end.
enum Halt {
    Ended(Walked),
    /// There are so many bytes, less than are looked at for a step.
    Short(usize),
}

impl Walker<'_> {
    /// Goes on with the end of a text of `total` bytes.
    #[inline]
    fn walk(&mut self, mut rest: &[u8], total: usize) -> Option<Halt> {
        loop {
            let Self { ways, kernel, node, steps, .. } = *self;
            let places = self.places.get_mut(steps..)?;
            let stretch = kernel.run(Stretch { ways, rest, total, places, node });
            (rest, self.node) = (stretch.rest, stretch.node);
            if stretch.steps > 0 {
                self.steps += stretch.steps;
                self.in_text = stretch.last == Kind::Text;
            }
            match stretch.why {
                Why::End(layout) => {
                    let Self { steps, has_backslash, beyond_ascii, .. } = *self;
                    let end = total - rest.len();
                    return Some(Halt::Ended(Walked { layout, end, steps, has_backslash, beyond_ascii }));
                }
                Why::Short => return Some(Halt::Short(rest.len())),
                Why::Scalar => rest = rest.get(past_number(rest)?..)?,
                // Behind the text of a string all begin with its quote.
                Why::Other(_) if self.in_text && rest.first() != Some(&b'"') => rest = self.past_odd(rest)?,
                Why::Other(node) => self.node = self.ways.other(node, rest)?,
            }
        }
    }

    /// Where a string stops next that goes on behind an escape, or with what is not ASCII.
    #[cold]
    fn past_odd<'t>(&mut self, rest: &'t [u8]) -> Option<&'t [u8]> {
        let (behind, is_escape) = past_odd(rest)?;
        self.has_backslash |= is_escape;
        self.beyond_ascii |= !is_escape;
        Some(self.kernel.run(ToStop(behind)))
    }
}

impl Ways {
    /// What else stands at the beginning of a text, if this node doesn't.
    #[cold]
    fn other(&self, node: u32, rest: &[u8]) -> Option<u32> {
        let mut node = self.nodes.get(node as usize)?.or;
        loop {
            let other = self.nodes.get(node as usize)?;
            let literal = self.literals.get(usize::from(other.literal))?;
            if rest.starts_with(&literal.0[..usize::from(other.length)]) {
                return Some(node);
            }
            node = other.or;
        }
    }
}

/// A stretch of a walk without a halt: all that is done for most texts.
struct Stretch<'w, 't> {
    ways: &'w Ways,
    rest: &'t [u8],
    total: usize,
    places: &'w mut [u32],
    node: u32,
}

/// How far a stretch went, and why no further.
struct Stretched<'t> {
    rest: &'t [u8],
    steps: usize,
    last: Kind,
    node: u32,
    why: Why,
}

enum Why {
    /// The value has ended, and this is its layout.
    End(u32),
    /// What is left is less than is looked at for a step.
    Short,
    /// A scalar comes that is no truth and no whole number of few digits.
    Scalar,
    /// This node, or none, may stand here, but does not.
    Other(u32),
}

impl<'t> Task for Stretch<'_, 't> {
    type Output = Stretched<'t>;

    // What is called here and looks at blocks is inlined. Closures would not be, and then be without the instructions.
    #[inline(always)]
    fn run<B: Block>(self) -> Stretched<'t> {
        let Self { ways, mut rest, total, mut places, node: mut number } = self;
        let (nodes, literals, forks) = (&ways.nodes[..], &ways.literals[..], &ways.forks[..]);
        let (most_steps, mut last) = (places.len(), Kind::Literal);
        let why = loop {
            let Some(window) = rest.first_chunk::<WINDOW>() else { break Why::Short };
            let Some(mut node) = nodes.get(number as usize) else { break Why::Other(NONE) };
            let mut chosen = number;
            if node.kind >= Kind::Fork {
                if node.kind == Kind::End {
                    break Why::End(node.next);
                }
                let Some(fork) = forks.get(node.next as usize) else { break Why::Other(NONE) };
                chosen = fork.choose(window);
                let Some(other) = nodes.get(chosen as usize) else { break Why::Other(NONE) };
                node = other;
            }
            let Some(literal) = literals.get(usize::from(node.literal)) else { break Why::Other(NONE) };
            let length = usize::from(node.length) % BLOCK;
            if block_in::<B>(window, 0).others(&literal.0) << ((BLOCK - length) % BLOCK) != 0 {
                break Why::Other(chosen);
            }
            let Some((place, more)) = std::mem::take(&mut places).split_first_mut() else {
                break Why::Other(NONE);
            };
            *place = (total - rest.len()) as u32;
            (places, number, last) = (more, node.next, node.kind);
            if last == Kind::Text {
                let stops = block_in::<B>(window, length).stops();
                let expected = u32::from(node.expected);
                if expected < u64::BITS && stops << (u64::BITS - 1 - expected) == 1 << (u64::BITS - 1) {
                    // Of many strings the length is known before. The processor then goes on without having to wait for
                    // where they stop, and only finds that confirmed.
                    rest = &rest[length + expected as usize..];
                } else {
                    rest = &rest[length + stops.trailing_zeros() as usize..];
                    if stops == 0 {
                        rest = stop::<B>(rest);
                    }
                }
            } else {
                rest = &rest[length..];
                if last == Kind::Scalar {
                    let Some(bytes) = window[length..].first_chunk() else { break Why::Scalar };
                    match past_scalar(bytes) {
                        0 => break Why::Scalar,
                        length => rest = &rest[length..],
                    }
                }
            }
        };
        Stretched { rest, steps: most_steps - places.len(), last, node: number, why }
    }
}

struct ToStop<'t>(&'t [u8]);

impl<'t> Task for ToStop<'t> {
    type Output = &'t [u8];

    #[inline(always)]
    fn run<B: Block>(self) -> &'t [u8] {
        stop::<B>(self.0)
    }
}

#[inline(always)]
fn block_in<B: Block>(window: &[u8; WINDOW], at: usize) -> B {
    match window[at % BLOCK..].first_chunk() {
        Some(bytes) => B::load(bytes),
        None => unreachable!("a window has two blocks"),
    }
}

/// What begins where a string does not just go on.
#[inline(always)]
fn stop<B: Block>(mut rest: &[u8]) -> &[u8] {
    while let Some((bytes, behind)) = rest.split_first_chunk() {
        let stops = B::load(bytes).stops();
        if stops != 0 {
            return &rest[stops.trailing_zeros() as usize % BLOCK..];
        }
        rest = behind;
    }
    last_stop(rest)
}

#[cold]
#[inline(never)]
fn last_stop(rest: &[u8]) -> &[u8] {
    let is_stop = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20 | 0x80..);
    &rest[rest.iter().position(is_stop).unwrap_or(rest.len())..]
}

/// What a string may go on with, behind an escape of two characters, and true, or behind bytes beyond ASCII, and false.
#[cold]
#[inline(never)]
fn past_odd(rest: &[u8]) -> Option<(&[u8], bool)> {
    match rest {
        [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', behind @ ..] => Some((behind, true)),
        [(0x80..), ..] => {
            let is_beyond = |byte: &&u8| **byte >= 0x80;
            Some((&rest[rest.iter().take_while(is_beyond).count()..], false))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::bits::Kernel;

    fn steps(parts: &[(&str, Behind)]) -> Vec<Step> {
        parts
            .iter()
            .map(|(literal, behind)| Step {
                literal: literal.as_bytes().into(),
                behind: *behind,
                expected: Some(1).filter(|_| *behind == Behind::Text),
            })
            .collect()
    }

    /// The layout, the end and the places of the steps.
    fn walk(ways: &Ways, text: &str) -> Option<(u32, usize, Vec<u32>)> {
        let walked = |kernel: Kernel| {
            let mut places = vec![0; ways.most_steps()];
            let walked = ways.walk(kernel, text.as_bytes(), &mut places)?;
            places.truncate(walked.steps);
            Some((walked.layout, walked.end, places))
        };
        let all: Vec<_> = Kernel::available().into_iter().map(walked).collect();
        assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "{all:?} {text}");
        all.into_iter().next().flatten()
    }

    #[test]
    fn ways_part_and_each_is_found() {
        let mut ways = Ways::default();
        assert_eq!(walk(&ways, "{}"), None);
        let (text, scalar, literal) = (Behind::Text, Behind::Scalar, Behind::Literal);
        for (layout, parts) in [
            vec![("{\"a\":\"", text), ("\",\"b\":\"", text), ("\"}", literal)],
            vec![("{\"a\":\"", text), ("\",\"b\":", scalar), ("}", literal)],
            vec![("{\"a\":\"", text), ("\",\"c\":\"", text), ("\"}", literal)],
            vec![("{\"a\":\"", text), ("\",\"b\":null,\"c\":\"", text), ("\"}", literal)],
            vec![("{\"a\":\"", text), ("\"}", literal)],
            vec![("[{\"a\":\"", text), ("\"}]", literal)],
            // Alike for eight bytes behind what they have in common.
            vec![("{\"a\":\"", text), ("\",\"long-key-1\":\"", text), ("\"}", literal)],
            vec![("{\"a\":\"", text), ("\",\"long-key-2\":\"", text), ("\"}", literal)],
        ]
        .iter()
        .enumerate()
        {
            assert!(ways.add(&steps(parts), layout as u32));
            assert!(!ways.add(&steps(parts), 99), "it is there already");
        }
        let long = "x".repeat(200);
        for (text, expect) in [
            (r#"{"a":"1","b":"22"}"#, Some((0, vec![0, 7, 16]))),
            (r#"{"a":"1","b":22}"#, Some((1, vec![0, 7, 15]))),
            (r#"{"a":"","c":""}"#, Some((2, vec![0, 6, 13]))),
            (r#"{"a":"1","b":null,"c":""}"#, Some((3, vec![0, 7, 23]))),
            (r#"{"a":"1"}"#, Some((4, vec![0, 7]))),
            (r#"[{"a":"1"}]"#, Some((5, vec![0, 8]))),
            (r#"{"a":"1","long-key-1":"1"}"#, Some((6, vec![0, 7, 24]))),
            (r#"{"a":"1","long-key-2":"1"}"#, Some((7, vec![0, 7, 24]))),
            (&format!(r#"{{"a":"{long}","b":"{long}"}}"#), Some((0, vec![0, 206, 413]))),
            (r#"{"a":"1","long-key-3":"1"}"#, None),
            (r#"{"a":"1","b":true}"#, Some((1, vec![0, 7, 17]))),
            (r#"{"a":"1","b":false}"#, Some((1, vec![0, 7, 18]))),
            (r#"{"a":"1","b":nul}"#, None),
            (r#"{"a":"1","b":truth}"#, None),
            (r#"{"a":"1","b":falsy}"#, None),
            (r#"{"a":"1","b":1e5}"#, None),
            (r#"{"a":"1","b":"2"#, None),
            (r#"{"a":"1"#, None),
            (r#"{"b":"1"}"#, None),
            ("", None),
        ] {
            let expect = expect.map(|(layout, places)| (layout, text.len(), places));
            assert_eq!(walk(&ways, text), expect, "{text}");
            // What stands behind a value is another's.
            if let Some((layout, end, places)) = expect {
                assert_eq!(walk(&ways, &format!("{text},{{")), Some((layout, end, places.clone())));
                assert_eq!(walk(&ways, &format!("{text}{long}")), Some((layout, end, places)));
            }
        }
    }

    #[test]
    fn many_ways_part_in_one_place_and_are_bounded() {
        let mut ways = Ways::default();
        let key = |layout: usize| format!("{{\"key-of-{}\":\"", layout * 7919 % 5000);
        let (text, literal) = (Behind::Text, Behind::Literal);
        let added = (0..2 * MOST_WAYS)
            .take_while(|layout| ways.add(&steps(&[(&key(*layout), text), ("\"}", literal)]), *layout as u32))
            .count();
        assert_eq!(added, MOST_WAYS);
        for layout in 0..2 * MOST_WAYS {
            let found = walk(&ways, &format!("{}x\"}}", key(layout))).map(|(layout, ..)| layout as usize);
            assert_eq!(found, Some(layout).filter(|layout| *layout < added));
        }
        assert!(ways.bytes() < 1 << 20, "{}", ways.bytes());
    }
}
