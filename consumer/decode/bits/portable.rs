//! Blocks without special instructions: a table says of each byte what it is, and eight answers at a time become bits.

use super::BLOCK;

const QUOTE: u8 = 1;
const BACKSLASH: u8 = 1 << 1;
const OPEN: u8 = 1 << 2;
const CLOSE: u8 = 1 << 3;
const COMMA_OR_COLON: u8 = 1 << 4;
const BLANK: u8 = 1 << 5;
const CONTROL: u8 = 1 << 6;
const BEYOND_ASCII: u8 = 1 << 7;

const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'"' => QUOTE,
            b'\\' => BACKSLASH,
            b'{' | b'[' => OPEN,
            b'}' | b']' => CLOSE,
            b',' | b':' => COMMA_OR_COLON,
            b' ' => BLANK,
            b'\t' | b'\r' | b'\n' => BLANK | CONTROL,
            0..0x20 => CONTROL,
            0x80.. => BEYOND_ASCII,
            _ => 0,
        };
        byte += 1;
    }
    classes
};

/// What each of 64 bytes is.
#[derive(Clone, Copy)]
pub struct Block {
    words: [u64; BLOCK / 8],
}

impl Block {
    #[inline(always)]
    fn with(self, class: u8) -> u64 {
        let mut bits = 0;
        for (number, word) in self.words.iter().enumerate() {
            // The wanted bit of each byte, as a byte of 0 or 1; the product brings the eight to the top byte.
            let ones = word >> class.trailing_zeros() & 0x0101_0101_0101_0101;
            bits |= (ones.wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * number);
        }
        bits
    }
}

impl super::Block for Block {
    #[inline(always)]
    fn load(bytes: &[u8; BLOCK]) -> Self {
        let mut words = [0; BLOCK / 8];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(bytes.map(|byte| CLASSES[usize::from(byte)]));
        }
        Self { words }
    }

    #[inline(always)]
    fn quotes(self) -> u64 {
        self.with(QUOTE)
    }

    #[inline(always)]
    fn backslashes(self) -> u64 {
        self.with(BACKSLASH)
    }

    #[inline(always)]
    fn opens(self) -> u64 {
        self.with(OPEN)
    }

    #[inline(always)]
    fn closes(self) -> u64 {
        self.with(CLOSE)
    }

    #[inline(always)]
    fn ops(self) -> u64 {
        self.with(OPEN) | self.with(CLOSE) | self.with(COMMA_OR_COLON)
    }

    #[inline(always)]
    fn blanks(self) -> u64 {
        self.with(BLANK)
    }

    #[inline(always)]
    fn controls(self) -> u64 {
        self.with(CONTROL)
    }

    #[inline(always)]
    fn beyond_ascii(self) -> u64 {
        self.with(BEYOND_ASCII)
    }
}
