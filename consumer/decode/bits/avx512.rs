//! Blocks by AVX-512: 64 bytes at once, bitmaps as they come, and marks gathered by one instruction.
//!
//! `unsafe` stands here for two reasons, both shown in benches/decode.rs to be worth it: instructions that the
//! compiler may not take for granted, of which [`is_available`] is asked before; and loads and stores of whole blocks,
//! from and to references of that size.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m512i, _mm_loadu_si128, _mm256_loadu_si256, _mm256_mask_cmpneq_epi8_mask, _mm512_add_epi32,
    _mm512_broadcast_i32x4, _mm512_castsi512_si128, _mm512_cmpeq_epi8_mask, _mm512_cmplt_epu8_mask,
    _mm512_cvtepu8_epi32, _mm512_extracti32x4_epi32, _mm512_loadu_si512, _mm512_mask_blend_epi8,
    _mm512_maskz_compress_epi8, _mm512_movepi8_mask, _mm512_or_si512, _mm512_set1_epi8, _mm512_set1_epi32,
    _mm512_shuffle_epi8, _mm512_storeu_si512,
};

use super::{BLOCK, End, Expected, Found, Marks, PREFIX, Prefix, SCALAR, Seen, Slice, avx2};

/// Whether this processor has what is used here.
pub fn is_available() -> bool {
    avx2::is_available()
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vbmi2")
}

/// [`super::mark`] with these instructions.
pub fn mark<const ALL: bool>(text: &[u8], marks: &mut Marks) -> Seen {
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,avx2,pclmulqdq,bmi1,bmi2,popcnt")]
    fn inner<const ALL: bool>(text: &[u8], marks: &mut Marks) -> Seen {
        super::mark::<Block, ALL>(text, marks)
    }
    assert!(is_available());
    // SAFETY: the processor has the instructions, as was just asked.
    unsafe { inner::<ALL>(text, marks) }
}

/// [`super::end_of`] with these instructions.
pub fn end_of(text: &[u8]) -> End {
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,avx2,pclmulqdq,bmi1,bmi2,popcnt")]
    fn inner(text: &[u8]) -> End {
        super::end_of::<Block>(text)
    }
    assert!(is_available());
    // SAFETY: the processor has the instructions, as was just asked.
    unsafe { inner(text) }
}

/// [`super::close_of`] with these instructions.
pub fn close_of(kinds: &[u8]) -> Option<usize> {
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,avx2,pclmulqdq,bmi1,bmi2,popcnt")]
    fn inner(kinds: &[u8]) -> Option<usize> {
        super::close_of::<Block>(kinds)
    }
    assert!(is_available());
    // SAFETY: the processor has the instructions, as was just asked.
    unsafe { inner(kinds) }
}

/// [`super::are_behind`] with these instructions.
pub fn are_behind(marks: Slice<'_>, text: &[u8], expected: &[Expected], prefixes: &[Prefix]) -> bool {
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi2,avx2,pclmulqdq,bmi1,bmi2,popcnt")]
    fn inner(marks: Slice<'_>, text: &[u8], expected: &[Expected], prefixes: &[Prefix]) -> bool {
        super::are_behind(marks, text, expected, prefixes, wrong)
    }
    assert!(is_available());
    // SAFETY: the processor has the instructions, as was just asked.
    unsafe { inner(marks, text, expected, prefixes) }
}

#[derive(Clone, Copy)]
struct Block(__m512i);

/// Each byte's place in its block.
const PLACES: [u8; BLOCK] = {
    let mut places = [0; BLOCK];
    let mut place = 0;
    while place < BLOCK {
        places[place] = place as u8;
        place += 1;
    }
    places
};

// SAFETY, of all that follows: called by the functions above alone, which ask for the instructions first; only loads
// and stores touch memory, the bytes that they borrow.

#[inline(always)]
fn load(bytes: &[u8; BLOCK]) -> __m512i {
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[inline(always)]
fn wrong(found: &[u8; PREFIX], prefix: &Prefix) -> u32 {
    unsafe {
        let (found, first) = (found.as_ptr().cast(), prefix.first.as_ptr().cast());
        _mm256_mask_cmpneq_epi8_mask(prefix.counts, _mm256_loadu_si256(found), _mm256_loadu_si256(first))
    }
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

/// For each byte the entry of its lower four bits; 0 for what is not ASCII.
#[inline(always)]
fn look_up(table: &[u8; 16], a: __m512i) -> __m512i {
    unsafe {
        let table = _mm_loadu_si128(table.as_ptr().cast());
        _mm512_shuffle_epi8(_mm512_broadcast_i32x4(table), a)
    }
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
    fn ops(self) -> u64 {
        equal(look_up(&super::OPS, self.0), or(self.0, all(0x20)))
    }

    #[inline(always)]
    fn blanks(self) -> u64 {
        equal(look_up(&super::BLANKS, self.0), self.0)
    }

    #[inline(always)]
    fn controls(self) -> u64 {
        unsafe { _mm512_cmplt_epu8_mask(self.0, all(0x20)) }
    }

    #[inline(always)]
    fn beyond_ascii(self) -> u64 {
        unsafe { _mm512_movepi8_mask(self.0) }
    }

    #[inline(always)]
    fn prefix_xor(bits: u64) -> u64 {
        avx2::prefix_xor(bits)
    }

    #[inline(always)]
    fn write(self, _: &[u8; BLOCK], found: Found, base: u32, at: &mut [u32; BLOCK], kinds: &mut [u8; BLOCK]) {
        unsafe {
            let named = _mm512_mask_blend_epi8(found.scalars, self.0, all(SCALAR));
            let named = _mm512_maskz_compress_epi8(found.marks, named);
            _mm512_storeu_si512(kinds.as_mut_ptr().cast(), named);
            let places = _mm512_maskz_compress_epi8(found.marks, load(&PLACES));
            let base = _mm512_set1_epi32(base.cast_signed());
            let [first, second, third, fourth] = at.as_chunks_mut::<16>().0 else { return };
            let wide = |quarter| _mm512_add_epi32(_mm512_cvtepu8_epi32(quarter), base);
            _mm512_storeu_si512(first.as_mut_ptr().cast(), wide(_mm512_castsi512_si128(places)));
            let len = found.marks.count_ones();
            if len > 16 {
                _mm512_storeu_si512(second.as_mut_ptr().cast(), wide(_mm512_extracti32x4_epi32::<1>(places)));
            }
            if len > 32 {
                _mm512_storeu_si512(third.as_mut_ptr().cast(), wide(_mm512_extracti32x4_epi32::<2>(places)));
                _mm512_storeu_si512(fourth.as_mut_ptr().cast(), wide(_mm512_extracti32x4_epi32::<3>(places)));
            }
        }
    }
}
