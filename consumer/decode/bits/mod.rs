//! JSON text as bitmaps, 64 bytes at a time: where its strings, brackets and values stand.
//!
//! Enters: any bytes. Leaves: the place and kind of all marks ([`Marks`]), or where a value ends ([`Kernel::end_of`]).
//! Nothing here knows JSON's grammar: whether marks make a sound text is for [`super::json`] to say. Quotes and
//! brackets are told from those within strings as in "Parsing Gigabytes of JSON per Second" (Langdale and Lemire,
//! 2019): a running xor over the bitmap of quotes covers the strings.
//!
//! What a block is compared with depends on the processor ([`Kernel`]); the walk over blocks is the same for all, and
//! all give the same.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;

/// Bytes of a block.
const BLOCK: usize = 64;
/// The kind of a mark where a number, `true`, `false` or `null` begins.
pub const SCALAR: u8 = b'v';

/// By which instructions blocks are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// 64 bytes at once; marks are gathered by the processor.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// 32 bytes at once.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 16 bytes at once.
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// A table look-up a byte: any processor.
    Portable,
}

/// Marks of one text, side by side: quotes, brackets, commas and colons outside of strings, and the first byte of each
/// scalar.
#[derive(Debug)]
pub struct Marks {
    kernel: Kernel,
    at: Vec<u32>,
    kinds: Vec<u8>,
    len: usize,
    is_ascii: bool,
    has_backslash: bool,
    backslashes: Vec<u32>,
    controls: Vec<u32>,
    /// Bytes beyond ASCII.
    beyond_ascii: Vec<u32>,
}

/// The marks of a text or of one value in it.
#[derive(Clone, Copy, Debug)]
pub struct Slice<'a> {
    /// The place of each mark in the whole text, in bytes.
    pub at: &'a [u32],
    /// The byte of each mark; [`SCALAR`] for a scalar.
    pub kinds: &'a [u8],
    /// Where in the whole text the value begins.
    pub base: u32,
    /// Nothing in the value is beyond ASCII.
    pub is_ascii: bool,
    /// There is a backslash in the value.
    pub has_backslash: bool,
    kernel: Kernel,
}

/// Bytes of a prefix that are compared at once.
const PREFIX: usize = 32;

/// A text that another may begin with. Of a size that is quick to count by.
#[derive(Debug)]
#[repr(align(64))]
pub struct Prefix {
    /// Its first bytes, the rest zero.
    first: [u8; PREFIX],
    /// Bit `i`: byte `i` counts.
    counts: u32,
    /// It has more bytes than these.
    is_long: bool,
    text: Box<[u8]>,
}

impl Prefix {
    /// This text.
    pub fn new(text: Vec<u8>) -> Self {
        let (mut first, length) = ([0; PREFIX], text.len().min(PREFIX));
        first[..length].copy_from_slice(&text[..length]);
        let counts = if length == PREFIX { u32::MAX } else { (1 << length) - 1 };
        Self { first, counts, is_long: text.len() > PREFIX, text: text.into() }
    }
}

/// What is to stand behind a mark.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// The number of the mark.
    pub mark: u16,
    /// The number of the prefix.
    pub prefix: u16,
}

impl Slice<'_> {
    /// Whether behind each of these marks the text begins with its prefix. `text` is the value's.
    #[inline]
    pub fn are_behind(&self, text: &[u8], expected: &[Expected], prefixes: &[Prefix]) -> bool {
        match self.kernel {
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 => avx512::are_behind(*self, text, expected, prefixes),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => avx2::are_behind(*self, text, expected, prefixes),
            #[cfg(target_arch = "aarch64")]
            Kernel::Neon => are_behind(*self, text, expected, prefixes, neon::wrong),
            Kernel::Portable => are_behind(*self, text, expected, prefixes, |found, prefix| {
                let pairs = found.iter().zip(&prefix.first).enumerate();
                pairs.fold(0, |bits, (at, (found, first))| bits | u32::from(found != first) << at)
                    & prefix.counts
            }),
        }
    }
}

/// `wrong` gives the bytes that count and are others.
#[inline(always)]
fn are_behind(
    marks: Slice<'_>,
    text: &[u8],
    expected: &[Expected],
    prefixes: &[Prefix],
    wrong: impl Fn(&[u8; PREFIX], &Prefix) -> u32,
) -> bool {
    let mut all_wrong = 0;
    for Expected { mark, prefix } in expected {
        let prefix = &prefixes[usize::from(*prefix)];
        let begin = (marks.at[usize::from(*mark)] - marks.base) as usize + 1;
        match text.get(begin..).and_then(|rest| rest.first_chunk()) {
            Some(found) if !prefix.is_long => all_wrong |= wrong(found, prefix),
            // Long ones, and those near the end of the text, are few.
            _ => all_wrong |= is_behind(text, begin, prefix),
        }
    }
    all_wrong == 0
}

#[cold]
fn is_behind(text: &[u8], begin: usize, prefix: &Prefix) -> u32 {
    u32::from(!text[begin.min(text.len())..].starts_with(&prefix.text))
}

/// What was seen in the whole text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// A control character within a string.
    pub control_in_string: bool,
    /// A string that does not end.
    pub open_string: bool,
}

impl Marks {
    /// Room that is used again for each text.
    pub fn new(kernel: Kernel) -> Self {
        let (at, kinds) = (Vec::new(), Vec::new());
        let (backslashes, controls, beyond_ascii) = Default::default();
        let (len, is_ascii, has_backslash) = (0, true, false);
        Self { kernel, at, kinds, len, is_ascii, has_backslash, backslashes, controls, beyond_ascii }
    }

    /// Marks `text`, which is shorter than 4 GiB.
    pub fn mark(&mut self, text: &[u8]) -> Seen {
        self.make_room(text.len());
        self.kernel.mark::<false>(text, self)
    }

    /// Marks a text of many values, and takes note of what is special in it.
    pub fn mark_all(&mut self, text: &[u8]) {
        self.backslashes.clear();
        self.controls.clear();
        self.beyond_ascii.clear();
        self.make_room(text.len());
        self.kernel.mark::<true>(text, self);
    }

    /// After [`Marks::mark_all`]: where control characters are, such as line feeds.
    pub fn controls(&self) -> &[u32] {
        &self.controls
    }

    /// The mark that closes the bracket which mark `open` is, brackets of both kinds taken as one.
    pub fn close_of(&self, open: usize) -> Option<usize> {
        Some(open + self.kernel.close_of(self.kinds[..self.len].get(open..)?)?)
    }

    fn make_room(&mut self, bytes: usize) {
        // Each byte may be a mark, and a block's marks are written whole.
        let room = bytes + 2 * BLOCK;
        if self.at.len() < room {
            // Nothing of the old is worth being copied.
            self.at.clear();
            self.kinds.clear();
            self.at.resize(room, 0);
            self.kinds.resize(room, 0);
        }
        self.len = 0;
    }

    /// All marks.
    pub fn all(&self) -> Slice<'_> {
        let Self { kernel, is_ascii, has_backslash, .. } = *self;
        Slice {
            at: &self.at[..self.len],
            kinds: &self.kinds[..self.len],
            base: 0,
            is_ascii,
            has_backslash,
            kernel,
        }
    }

    /// After [`Marks::mark_all`]: the marks of a value that begins and ends with these.
    pub fn between(&self, first: usize, last: usize) -> Option<Slice<'_>> {
        let all = self.all();
        let (at, kinds) = (all.at.get(first..=last)?, all.kinds.get(first..=last)?);
        let (base, end) = (*at.first()?, *at.last()?);
        let is_any_within = |places: &[u32]| {
            let next = places.partition_point(|place| *place < base);
            places.get(next).is_some_and(|place| *place < end)
        };
        let is_ascii = all.is_ascii || !is_any_within(&self.beyond_ascii);
        let has_backslash = all.has_backslash && is_any_within(&self.backslashes);
        Some(Slice { at, kinds, base, is_ascii, has_backslash, ..all })
    }

    /// Gives back what a large text made it grow to.
    pub fn shrink(&mut self, keep: usize) {
        if self.at.len() > keep {
            *self = Self::new(self.kernel);
        }
    }
}

impl Kernel {
    /// The fastest that this processor has.
    pub fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if avx512::is_available() {
                return Self::Avx512;
            }
            if avx2::is_available() {
                return Self::Avx2;
            }
        }
        Self::ALWAYS
    }

    /// What every processor of this kind has.
    #[cfg(target_arch = "aarch64")]
    const ALWAYS: Self = Self::Neon;
    #[cfg(not(target_arch = "aarch64"))]
    const ALWAYS: Self = Self::Portable;

    /// All that this processor has.
    pub fn available() -> Vec<Self> {
        let mut all = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            if avx2::is_available() {
                all.push(Self::Avx2);
            }
            if avx512::is_available() {
                all.push(Self::Avx512);
            }
        }
        #[cfg(target_arch = "aarch64")]
        all.push(Self::Neon);
        all
    }

    fn mark<const ALL: bool>(self, text: &[u8], marks: &mut Marks) -> Seen {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => avx512::mark::<ALL>(text, marks),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::mark::<ALL>(text, marks),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => mark::<neon::Block, ALL>(text, marks),
            Self::Portable => mark::<portable::Block, ALL>(text, marks),
        }
    }

    fn close_of(self, kinds: &[u8]) -> Option<usize> {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => avx512::close_of(kinds),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::close_of(kinds),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => close_of::<neon::Block>(kinds),
            Self::Portable => close_of::<portable::Block>(kinds),
        }
    }

    /// Where the value ends that `text` begins with an open bracket of, brackets of both kinds taken as one.
    pub fn end_of(self, text: &[u8]) -> End {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => avx512::end_of(text),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::end_of(text),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => end_of::<neon::Block>(text),
            Self::Portable => end_of::<portable::Block>(text),
        }
    }
}

/// The bracket, comma or colon with these lower four bits, `[` and `]` with the bit that makes them `{` and `}`.
const OPS: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, b':', b'{', b',', b'}', 0, 0];
/// White space by its lower four bits.
const BLANKS: [u8; 16] = [b' ', 0, 0, 0, 0, 0, 0, 0, 0, b'\t', b'\n', 0, 0, b'\r', 0, 0];

/// 64 bytes, compared. Bit `i` of a bitmap is byte `i`.
trait Block: Copy {
    fn load(bytes: &[u8; BLOCK]) -> Self;
    fn quotes(self) -> u64;
    fn backslashes(self) -> u64;
    /// `{` and `[`.
    fn opens(self) -> u64;
    /// `}` and `]`.
    fn closes(self) -> u64;
    /// Brackets, commas and colons, perhaps control characters, too.
    fn ops(self) -> u64;
    /// JSON's white space.
    fn blanks(self) -> u64;
    /// Below 0x20.
    fn controls(self) -> u64;
    /// Above 0x7f.
    fn beyond_ascii(self) -> u64;
    /// Bit `i` is the xor of the bits up to it.
    #[inline(always)]
    fn prefix_xor(mut bits: u64) -> u64 {
        for distance in [1, 2, 4, 8, 16, 32] {
            bits ^= bits << distance;
        }
        bits
    }
    /// Writes places and kinds of `marks`, to the front of both: one by one where there is no instruction for it.
    #[inline(always)]
    fn write(
        self,
        bytes: &[u8; BLOCK],
        found: Found,
        base: u32,
        at: &mut [u32; BLOCK],
        kinds: &mut [u8; BLOCK],
    ) {
        let (mut left, mut len) = (found.marks, 0);
        while left != 0 {
            let place = left.trailing_zeros();
            left &= left - 1;
            at[len % BLOCK] = base + place;
            let is_scalar = found.scalars >> place & 1 != 0;
            kinds[len % BLOCK] = if is_scalar { SCALAR } else { bytes[place as usize % BLOCK] };
            len += 1;
        }
    }
}

/// Marks of a block, and those of them that are scalars.
#[derive(Clone, Copy)]
struct Found {
    marks: u64,
    scalars: u64,
}

/// Which bytes are within strings, from block to block.
#[derive(Default)]
struct Strings {
    /// All ones within a string.
    inside: u64,
    /// Whether the next byte is escaped.
    escaped: u64,
}

impl Strings {
    /// The quotes that are not escaped, and what is within strings: opening quotes are, closing ones are not.
    #[inline(always)]
    fn next<B: Block>(&mut self, block: B, backslashes: u64) -> (u64, u64) {
        let mut quotes = block.quotes();
        if backslashes | self.escaped != 0 {
            quotes &= !self.escapes(backslashes);
        }
        let inside = B::prefix_xor(quotes) ^ self.inside;
        self.inside = ((inside as i64) >> 63) as u64;
        (quotes, inside)
    }

    /// The bytes that a backslash stands before that is not escaped itself.
    #[cold]
    fn escapes(&mut self, backslashes: u64) -> u64 {
        let mut escaped = std::mem::take(&mut self.escaped);
        let mut left = backslashes & !escaped;
        while left != 0 {
            let first = left.trailing_zeros();
            if first == 63 {
                self.escaped = 1;
                break;
            }
            escaped |= 2 << first;
            left &= !(3 << first);
        }
        escaped
    }
}

/// The state of a walk over blocks.
#[derive(Default)]
struct Walk {
    strings: Strings,
    /// Whether the byte before is a scalar's.
    scalar_before: u64,
    backslashes: u64,
    controls: u64,
    beyond_ascii: u64,
    base: u32,
    len: usize,
}

/// Where marks are written to.
struct Out<'m> {
    at: &'m mut [u32],
    kinds: &'m mut [u8],
    backslashes: &'m mut Vec<u32>,
    controls: &'m mut Vec<u32>,
    beyond_ascii: &'m mut Vec<u32>,
}

impl Walk {
    #[inline(always)]
    fn step<B: Block, const ALL: bool>(&mut self, bytes: &[u8; BLOCK], out: &mut Out<'_>) {
        let block = B::load(bytes);
        let backslashes = block.backslashes();
        let (quotes, inside) = self.strings.next(block, backslashes);
        let controls = block.controls();
        self.backslashes |= backslashes;
        self.controls |= controls & inside;
        let beyond_ascii = block.beyond_ascii();
        self.beyond_ascii |= beyond_ascii;
        if ALL && backslashes | controls | beyond_ascii != 0 {
            push(out.backslashes, self.base, backslashes);
            push(out.controls, self.base, controls);
            push(out.beyond_ascii, self.base, beyond_ascii);
        }
        let ops = block.ops() & !(inside | controls);
        let scalar = !(ops | quotes | block.blanks() | inside);
        let scalars = scalar & !(scalar << 1 | self.scalar_before);
        self.scalar_before = scalar >> 63;
        let found = Found { marks: ops | quotes | scalars, scalars };
        let room = (out.at[self.len..].first_chunk_mut(), out.kinds[self.len..].first_chunk_mut());
        if let (Some(at), Some(kinds)) = room {
            block.write(bytes, found, self.base, at, kinds);
        }
        self.len += found.marks.count_ones() as usize;
        self.base += BLOCK as u32;
    }
}

/// Appends the places of bits.
#[cold]
fn push(places: &mut Vec<u32>, base: u32, mut bits: u64) {
    while bits != 0 {
        places.push(base + bits.trailing_zeros());
        bits &= bits - 1;
    }
}

#[inline(always)]
fn mark<B: Block, const ALL: bool>(text: &[u8], marks: &mut Marks) -> Seen {
    let mut walk = Walk::default();
    let Marks { at, kinds, backslashes, controls, beyond_ascii, .. } = marks;
    let mut out = Out { at, kinds, backslashes, controls, beyond_ascii };
    let (blocks, rest) = text.as_chunks();
    for bytes in blocks {
        walk.step::<B, ALL>(bytes, &mut out);
    }
    if !rest.is_empty() {
        walk.step::<B, ALL>(&padded(rest), &mut out);
    }
    (marks.len, marks.is_ascii, marks.has_backslash) =
        (walk.len, walk.beyond_ascii == 0, walk.backslashes != 0);
    Seen { control_in_string: walk.controls != 0, open_string: walk.strings.inside != 0 }
}

#[inline(always)]
fn padded(rest: &[u8]) -> [u8; BLOCK] {
    let mut last = [b' '; BLOCK];
    last[..rest.len()].copy_from_slice(rest);
    last
}

/// Where a value ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Not in this text.
    Open,
    /// One past its last byte.
    At(usize),
    /// There is a control character (a line feed, say) before: it deserves a closer look.
    Control,
}

#[inline(always)]
fn end_of<B: Block>(text: &[u8]) -> End {
    let (mut strings, mut depth) = (Strings::default(), 0);
    let (blocks, rest) = text.as_chunks();
    for (number, bytes) in blocks.iter().enumerate() {
        match end::<B>(bytes, &mut strings, &mut depth) {
            End::Open => {}
            End::At(place) => return End::At(number * BLOCK + place),
            End::Control => return End::Control,
        }
    }
    match end::<B>(&padded(rest), &mut strings, &mut depth) {
        End::At(place) => End::At(text.len() - rest.len() + place),
        other => other,
    }
}

#[inline(always)]
fn end<B: Block>(bytes: &[u8; BLOCK], strings: &mut Strings, depth: &mut u64) -> End {
    let block = B::load(bytes);
    let (_, inside) = strings.next(block, block.backslashes());
    let controls = block.controls();
    match close(block.opens() & !inside, block.closes() & !inside, depth) {
        Some(place) if controls & ((1 << place) - 1) == 0 => End::At(place + 1),
        None if controls == 0 => End::Open,
        _ => End::Control,
    }
}

#[inline(always)]
fn close_of<B: Block>(kinds: &[u8]) -> Option<usize> {
    let mut depth = 0;
    let (blocks, rest) = kinds.as_chunks();
    for (number, bytes) in blocks.iter().enumerate() {
        let block = B::load(bytes);
        if let Some(place) = close(block.opens(), block.closes(), &mut depth) {
            return Some(number * BLOCK + place);
        }
    }
    let block = B::load(&padded(rest));
    close(block.opens(), block.closes(), &mut depth).map(|place| kinds.len() - rest.len() + place)
}

/// Where in a block the last open bracket is closed. `depth`: how many are open before it, and then behind it.
#[inline(always)]
fn close(opens: u64, closes: u64, depth: &mut u64) -> Option<usize> {
    let closed = u64::from(closes.count_ones());
    if *depth <= closed {
        let mut left = closes;
        while left != 0 {
            let place = left.trailing_zeros();
            left &= left - 1;
            let before = (1 << place) - 1;
            let opened = *depth + u64::from((opens & before).count_ones());
            if opened <= u64::from((closes & before).count_ones()) + 1 {
                return Some(place as usize);
            }
        }
    }
    *depth = *depth + u64::from(opens.count_ones()) - closed;
    None
}

#[cfg(test)]
mod tests;
