//! Blocks by AVX2: two halves of 32 bytes.
//!
//! `unsafe` stands here for two reasons, both shown in benches/decode.rs to be worth it: instructions that the
//! compiler may not take for granted, of which [`is_available`] is asked before; and loads of 32 bytes, from a
//! reference to 64.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m256i, _mm_clmulepi64_si128, _mm_cvtsi128_si64, _mm_loadu_si128, _mm_set_epi64x, _mm_set1_epi8,
    _mm256_broadcastsi128_si256, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_min_epu8,
    _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8, _mm256_shuffle_epi8,
};

use super::{BLOCK, End, Expected, Marks, Prefix, Seen, Slice};

/// Whether this processor has what is used here.
pub fn is_available() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("pclmulqdq")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("popcnt")
}

/// [`super::mark`] with these instructions.
pub fn mark<const ALL: bool>(text: &[u8], marks: &mut Marks) -> Seen {
    #[target_feature(enable = "avx2,pclmulqdq,bmi1,bmi2,popcnt")]
    fn inner<const ALL: bool>(text: &[u8], marks: &mut Marks) -> Seen {
        super::mark::<Block, ALL>(text, marks)
    }
    assert!(is_available());
    // SAFETY: the processor has the instructions, as was just asked.
    unsafe { inner::<ALL>(text, marks) }
}

/// [`super::end_of`] with these instructions.
pub fn end_of(text: &[u8]) -> End {
    #[target_feature(enable = "avx2,pclmulqdq,bmi1,bmi2,popcnt")]
    fn inner(text: &[u8]) -> End {
        super::end_of::<Block>(text)
    }
    assert!(is_available());
    // SAFETY: the processor has the instructions, as was just asked.
    unsafe { inner(text) }
}

/// [`super::close_of`] with these instructions.
pub fn close_of(kinds: &[u8]) -> Option<usize> {
    #[target_feature(enable = "avx2,pclmulqdq,bmi1,bmi2,popcnt")]
    fn inner(kinds: &[u8]) -> Option<usize> {
        super::close_of::<Block>(kinds)
    }
    assert!(is_available());
    // SAFETY: the processor has the instructions, as was just asked.
    unsafe { inner(kinds) }
}

/// [`super::are_behind`] with these instructions.
pub fn are_behind(marks: Slice<'_>, text: &[u8], expected: &[Expected], prefixes: &[Prefix]) -> bool {
    #[target_feature(enable = "avx2,pclmulqdq,bmi1,bmi2,popcnt")]
    fn inner(marks: Slice<'_>, text: &[u8], expected: &[Expected], prefixes: &[Prefix]) -> bool {
        super::are_behind(marks, text, expected, prefixes, wrong)
    }
    assert!(is_available());
    // SAFETY: the processor has the instructions, as was just asked.
    unsafe { inner(marks, text, expected, prefixes) }
}

#[derive(Clone, Copy)]
struct Block {
    low: __m256i,
    high: __m256i,
}

// SAFETY, of all that follows: called by the functions above alone, which ask for the instructions first; only the
// loads touch memory, the bytes that they borrow.

#[inline(always)]
fn all(byte: u8) -> __m256i {
    unsafe { _mm256_set1_epi8(byte.cast_signed()) }
}

#[inline(always)]
fn equal(a: __m256i, b: __m256i) -> u32 {
    unsafe { _mm256_movemask_epi8(_mm256_cmpeq_epi8(a, b)).cast_unsigned() }
}

#[inline(always)]
fn or(a: __m256i, b: __m256i) -> __m256i {
    unsafe { _mm256_or_si256(a, b) }
}

#[inline(always)]
fn at_most(a: __m256i, b: __m256i) -> __m256i {
    unsafe { _mm256_min_epu8(a, b) }
}

#[inline(always)]
fn half(bytes: &[u8; 32]) -> __m256i {
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[inline(always)]
fn wrong(found: &[u8; 32], prefix: &Prefix) -> u32 {
    !equal(half(found), half(&prefix.first)) & prefix.counts
}

/// For each byte the entry of its lower four bits; 0 for what is not ASCII.
#[inline(always)]
fn look_up(table: &[u8; 16], a: __m256i) -> __m256i {
    unsafe {
        let table = _mm_loadu_si128(table.as_ptr().cast());
        _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), a)
    }
}

/// Multiplication without carries by all ones is a running xor.
#[inline(always)]
pub fn prefix_xor(bits: u64) -> u64 {
    unsafe {
        let product = _mm_clmulepi64_si128::<0>(_mm_set_epi64x(0, bits.cast_signed()), _mm_set1_epi8(-1));
        _mm_cvtsi128_si64(product).cast_unsigned()
    }
}

impl Block {
    #[inline(always)]
    fn bits(self, compare: impl Fn(__m256i) -> u32) -> u64 {
        u64::from(compare(self.low)) | u64::from(compare(self.high)) << 32
    }
}

impl super::Block for Block {
    #[inline(always)]
    fn load(bytes: &[u8; BLOCK]) -> Self {
        let [low, high] = bytes.as_chunks().0 else { unreachable!("64 bytes are two times 32") };
        Self { low: half(low), high: half(high) }
    }

    #[inline(always)]
    fn quotes(self) -> u64 {
        self.bits(|half| equal(half, all(b'"')))
    }

    #[inline(always)]
    fn backslashes(self) -> u64 {
        self.bits(|half| equal(half, all(b'\\')))
    }

    #[inline(always)]
    fn opens(self) -> u64 {
        // `[` and `{` differ in this bit.
        self.bits(|half| equal(or(half, all(0x20)), all(b'{')))
    }

    #[inline(always)]
    fn closes(self) -> u64 {
        self.bits(|half| equal(or(half, all(0x20)), all(b'}')))
    }

    #[inline(always)]
    fn ops(self) -> u64 {
        self.bits(|half| equal(look_up(&super::OPS, half), or(half, all(0x20))))
    }

    #[inline(always)]
    fn blanks(self) -> u64 {
        self.bits(|half| equal(look_up(&super::BLANKS, half), half))
    }

    #[inline(always)]
    fn controls(self) -> u64 {
        self.bits(|half| equal(at_most(half, all(0x1f)), half))
    }

    #[inline(always)]
    fn beyond_ascii(self) -> u64 {
        self.bits(|half| unsafe { _mm256_movemask_epi8(half).cast_unsigned() })
    }

    #[inline(always)]
    fn prefix_xor(bits: u64) -> u64 {
        prefix_xor(bits)
    }
}
