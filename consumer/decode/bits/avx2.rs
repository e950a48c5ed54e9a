//! Blocks by AVX2: two halves of 32 bytes.
//!
//! `unsafe` stands here for two reasons, both shown in benches/decode.rs to be worth it: instructions that the
//! compiler may not take for granted, of which [`is_available`] is asked before; and loads of 32 bytes, from a
//! reference to 64.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m256i, _mm_clmulepi64_si128, _mm_cvtsi128_si64, _mm_loadu_si128, _mm_set_epi64x, _mm_set1_epi8,
    _mm256_broadcastsi128_si256, _mm256_cmpeq_epi8, _mm256_cmpgt_epi8, _mm256_loadu_si256, _mm256_min_epu8,
    _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8, _mm256_shuffle_epi8,
};

use super::{BLOCK, Task};

/// Whether this processor has what is used here.
pub fn is_available() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("pclmulqdq")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("popcnt")
}

/// Does some work with these instructions.
#[inline]
pub fn run<T: Task>(task: T) -> T::Output {
    #[target_feature(enable = "avx2,pclmulqdq,bmi1,bmi2,popcnt")]
    fn inner<T: Task>(task: T) -> T::Output {
        task.run::<Block>()
    }
    assert!(is_available());
    // SAFETY: the processor has the instructions, as was just asked.
    unsafe { inner(task) }
}

#[derive(Clone, Copy)]
pub struct Block {
    low: __m256i,
    high: __m256i,
}

// SAFETY, of all that follows: called by the function above alone, which asks for the instructions first; only the
// loads touch memory, the bytes that they borrow.

#[inline(always)]
fn all(byte: u8) -> __m256i {
    unsafe { _mm256_set1_epi8(byte.cast_signed()) }
}

#[inline(always)]
fn equal(a: __m256i, b: __m256i) -> __m256i {
    unsafe { _mm256_cmpeq_epi8(a, b) }
}

#[inline(always)]
fn or(a: __m256i, b: __m256i) -> __m256i {
    unsafe { _mm256_or_si256(a, b) }
}

#[inline(always)]
fn half(bytes: &[u8; 32]) -> __m256i {
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

/// A bit for each byte that is all ones; the others are zero.
#[inline(always)]
fn bitmap(low: __m256i, high: __m256i) -> u64 {
    let (low, high) = unsafe { (_mm256_movemask_epi8(low), _mm256_movemask_epi8(high)) };
    u64::from(low.cast_unsigned()) | u64::from(high.cast_unsigned()) << 32
}

/// Multiplication without carries by all ones is a running xor.
#[inline(always)]
pub fn prefix_xor(bits: u64) -> u64 {
    unsafe {
        let product = _mm_clmulepi64_si128::<0>(_mm_set_epi64x(0, bits.cast_signed()), _mm_set1_epi8(-1));
        _mm_cvtsi128_si64(product).cast_unsigned()
    }
}

/// Of the bytes of ASCII with these lower four bits, those that end a string or an escape begins with; else none.
const ENDS: [u8; 16] = {
    let mut ends = [0xff; 16];
    ends[b'"' as usize % 16] = b'"';
    ends[b'\\' as usize % 16] = b'\\';
    ends
};

/// The bytes that no string just goes on with.
#[inline(always)]
fn stops(half: __m256i) -> __m256i {
    unsafe {
        let ends = _mm256_broadcastsi128_si256(_mm_loadu_si128(ENDS.as_ptr().cast()));
        // As signed numbers those above 0x7f are below zero; and of none of them there is an entry.
        or(_mm256_cmpgt_epi8(all(0x20), half), equal(_mm256_shuffle_epi8(ends, half), half))
    }
}

impl Block {
    #[inline(always)]
    fn equal(self, byte: u8) -> u64 {
        bitmap(equal(self.low, all(byte)), equal(self.high, all(byte)))
    }

    /// `[` and `{` differ in this bit, and so do `]` and `}`.
    #[inline(always)]
    fn as_braces(self) -> Self {
        Self { low: or(self.low, all(0x20)), high: or(self.high, all(0x20)) }
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
        self.equal(b'"')
    }

    #[inline(always)]
    fn backslashes(self) -> u64 {
        self.equal(b'\\')
    }

    #[inline(always)]
    fn opens(self) -> u64 {
        self.as_braces().equal(b'{')
    }

    #[inline(always)]
    fn closes(self) -> u64 {
        self.as_braces().equal(b'}')
    }

    #[inline(always)]
    fn controls(self) -> u64 {
        let low = unsafe { _mm256_min_epu8(self.low, all(0x1f)) };
        let high = unsafe { _mm256_min_epu8(self.high, all(0x1f)) };
        bitmap(equal(low, self.low), equal(high, self.high))
    }

    #[inline(always)]
    fn stops(self) -> u64 {
        bitmap(stops(self.low), stops(self.high))
    }

    #[inline(always)]
    fn others(self, bytes: &[u8; BLOCK]) -> u64 {
        let other = Self::load(bytes);
        !bitmap(equal(self.low, other.low), equal(self.high, other.high))
    }

    #[inline(always)]
    fn prefix_xor(bits: u64) -> u64 {
        prefix_xor(bits)
    }
}
