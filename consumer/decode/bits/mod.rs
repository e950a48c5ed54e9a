//! JSON text as bitmaps, 64 bytes at a time: where its strings end, and where its values.
//!
//! Enters: any bytes. Leaves: answers to the questions of [`Block`], by whatever instructions the processor has
//! ([`Kernel`]), to whoever walks over them ([`Task`]); and where a value ends ([`Kernel::end_of`]). Nothing here knows
//! JSON's grammar. Quotes and brackets are told from those within strings as in "Parsing Gigabytes of JSON per Second"
//! (Langdale and Lemire, 2019): a running xor over the bitmap of quotes covers the strings.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;

/// Bytes of a block.
pub const BLOCK: usize = 64;

/// By which instructions blocks are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// 64 bytes at once.
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

/// Work on blocks: the same for all processors.
pub trait Task {
    /// What comes of it.
    type Output;
    /// Does it. To be inlined, with all that it calls for each block: instructions are chosen where it is called.
    fn run<B: Block>(self) -> Self::Output;
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

    /// Does some work by these instructions.
    #[inline]
    pub fn run<T: Task>(self, task: T) -> T::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => avx512::run(task),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::run(task),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => task.run::<neon::Block>(),
            Self::Portable => task.run::<portable::Block>(),
        }
    }

    /// Where the value ends that `text` begins with an open bracket of, brackets of both kinds taken as one.
    pub fn end_of(self, text: &[u8]) -> End {
        self.run(EndOf(text))
    }
}

/// 64 bytes, compared. Bit `i` of a bitmap is byte `i`.
pub trait Block: Copy {
    /// These bytes.
    fn load(bytes: &[u8; BLOCK]) -> Self;
    /// `"`.
    fn quotes(self) -> u64;
    /// A backslash.
    fn backslashes(self) -> u64;
    /// `{` and `[`.
    fn opens(self) -> u64;
    /// `}` and `]`.
    fn closes(self) -> u64;
    /// Below 0x20.
    fn controls(self) -> u64;
    /// What no string just goes on with: `"`, a backslash, below 0x20, above 0x7f.
    fn stops(self) -> u64;
    /// What differs from these.
    fn others(self, bytes: &[u8; BLOCK]) -> u64;
    /// Bit `i` is the xor of the bits up to it.
    #[inline(always)]
    fn prefix_xor(mut bits: u64) -> u64 {
        for distance in [1, 2, 4, 8, 16, 32] {
            bits ^= bits << distance;
        }
        bits
    }
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

/// Fewer bytes than a block, and `behind` them as many of these as it takes.
#[inline(always)]
pub fn padded(rest: &[u8], behind: u8) -> [u8; BLOCK] {
    let mut last = [behind; BLOCK];
    let length = rest.len().min(BLOCK);
    last[..length].copy_from_slice(&rest[..length]);
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

struct EndOf<'t>(&'t [u8]);

impl Task for EndOf<'_> {
    type Output = End;

    #[inline(always)]
    fn run<B: Block>(self) -> End {
        let (mut strings, mut depth) = (Strings::default(), 0);
        let (blocks, rest) = self.0.as_chunks();
        for (number, bytes) in blocks.iter().enumerate() {
            match end::<B>(bytes, &mut strings, &mut depth) {
                End::Open => {}
                End::At(place) => return End::At(number * BLOCK + place),
                End::Control => return End::Control,
            }
        }
        match end::<B>(&padded(rest, b' '), &mut strings, &mut depth) {
            End::At(place) => End::At(self.0.len() - rest.len() + place),
            other => other,
        }
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
