//! Blocks without special instructions: eight words of eight bytes, compared by arithmetic.

use super::BLOCK;

const ONES: u64 = 0x0101_0101_0101_0101;
/// The bit in which `[` and `{` differ, and `]` and `}`.
const BRACE: u64 = ONES * 0x20;
/// The upper bit of each byte: what a comparison says of it.
const TOPS: u64 = ONES << 7;

/// 64 bytes.
#[derive(Clone, Copy)]
pub struct Block {
    words: [u64; BLOCK / 8],
}

/// The tops of bytes that are zero.
#[inline(always)]
fn zeros(word: u64) -> u64 {
    // Nothing is carried from one byte to the next.
    !(((word & !TOPS) + !TOPS) | word) & TOPS
}

/// The tops of bytes that are this one.
#[inline(always)]
fn equal(word: u64, byte: u8) -> u64 {
    zeros(word ^ (ONES * u64::from(byte)))
}

/// The tops of bytes below 0x20.
#[inline(always)]
fn below_blank(word: u64) -> u64 {
    zeros(word & (ONES * 0xe0))
}

impl Block {
    #[inline(always)]
    fn bits(self, compare: impl Fn(u64) -> u64) -> u64 {
        let mut bits = 0;
        for (number, word) in self.words.iter().enumerate() {
            // The product brings the eight to the top byte.
            let eight = (compare(*word) >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56;
            bits |= eight << (8 * number);
        }
        bits
    }
}

impl super::Block for Block {
    #[inline(always)]
    fn load(bytes: &[u8; BLOCK]) -> Self {
        let mut words = [0; BLOCK / 8];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        Self { words }
    }

    #[inline(always)]
    fn quotes(self) -> u64 {
        self.bits(|word| equal(word, b'"'))
    }

    #[inline(always)]
    fn backslashes(self) -> u64 {
        self.bits(|word| equal(word, b'\\'))
    }

    #[inline(always)]
    fn opens(self) -> u64 {
        self.bits(|word| equal(word | BRACE, b'{'))
    }

    #[inline(always)]
    fn closes(self) -> u64 {
        self.bits(|word| equal(word | BRACE, b'}'))
    }

    #[inline(always)]
    fn controls(self) -> u64 {
        self.bits(below_blank)
    }

    #[inline(always)]
    fn stops(self) -> u64 {
        self.bits(|word| equal(word, b'"') | equal(word, b'\\') | below_blank(word) | word & TOPS)
    }

    #[inline(always)]
    fn others(self, bytes: &[u8; BLOCK]) -> u64 {
        let mut others = Self::load(bytes);
        others.words.iter_mut().zip(self.words).for_each(|(other, mine)| *other ^= mine);
        !others.bits(zeros)
    }
}
