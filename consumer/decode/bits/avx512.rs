//! Blocks by AVX-512: 64 bytes at once, and bitmaps as they come.
//!
//! `unsafe` stands here for two reasons, both shown in benches/decode.rs to be worth it: instructions that the
//! compiler may not take for granted, of which [`is_available`] is asked before; and loads of whole blocks, from
//! references of that size.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m512i, _mm512_cmpeq_epi8_mask, _mm512_cmplt_epi8_mask, _mm512_cmplt_epu8_mask, _mm512_cmpneq_epi8_mask,
    _mm512_loadu_si512, _mm512_or_si512, _mm512_set1_epi8,
};

use super::{BLOCK, Task, avx2};

/// Whether this processor has what is used here.
pub fn is_available() -> bool {
    avx2::is_available() && is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")
}

/// Does some work with these instructions.
#[inline]
pub fn run<T: Task>(task: T) -> T::Output {
    #[target_feature(enable = "avx512f,avx512bw,avx2,pclmulqdq,bmi1,bmi2,popcnt")]
    fn inner<T: Task>(task: T) -> T::Output {
        task.run::<Block>()
    }
    assert!(is_available());
    // SAFETY: the processor has the instructions, as was just asked.
    unsafe { inner(task) }
}

#[derive(Clone, Copy)]
pub struct Block(__m512i);

// SAFETY, of all that follows: called by the function above alone, which asks for the instructions first; only loads
// touch memory, the bytes that they borrow.

#[inline(always)]
fn load(bytes: &[u8; BLOCK]) -> __m512i {
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[inline(always)]
fn all(byte: u8) -> __m512i {
    unsafe { _mm512_set1_epi8(byte.cast_signed()) }
}

#[inline(always)]
fn equal(a: __m512i, b: __m512i) -> u64 {
    unsafe { _mm512_cmpeq_epi8_mask(a, b) }
}

#[inline(always)]
fn or(a: __m512i, b: __m512i) -> __m512i {
    unsafe { _mm512_or_si512(a, b) }
}

impl super::Block for Block {
    #[inline(always)]
    fn load(bytes: &[u8; BLOCK]) -> Self {
        Self(load(bytes))
    }

    #[inline(always)]
    fn quotes(self) -> u64 {
        equal(self.0, all(b'"'))
    }

    #[inline(always)]
    fn backslashes(self) -> u64 {
        equal(self.0, all(b'\\'))
    }

    #[inline(always)]
    fn opens(self) -> u64 {
        // `[` and `{` differ in this bit.
        equal(or(self.0, all(0x20)), all(b'{'))
    }

    #[inline(always)]
    fn closes(self) -> u64 {
        equal(or(self.0, all(0x20)), all(b'}'))
    }

    #[inline(always)]
    fn controls(self) -> u64 {
        unsafe { _mm512_cmplt_epu8_mask(self.0, all(0x20)) }
    }

    #[inline(always)]
    fn stops(self) -> u64 {
        // As signed numbers those above 0x7f are below zero.
        let low = unsafe { _mm512_cmplt_epi8_mask(self.0, all(0x20)) };
        self.quotes() | self.backslashes() | low
    }

    #[inline(always)]
    fn others(self, bytes: &[u8; BLOCK]) -> u64 {
        unsafe { _mm512_cmpneq_epi8_mask(self.0, load(bytes)) }
    }

    #[inline(always)]
    fn prefix_xor(bits: u64) -> u64 {
        avx2::prefix_xor(bits)
    }
}
