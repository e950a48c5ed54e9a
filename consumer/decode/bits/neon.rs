//! Blocks by NEON, which every 64-bit ARM has: four quarters of 16 bytes.
//!
//! It was tested under emulation alone: how fast it is nobody has measured.
//!
//! `unsafe` stands here for loads of 16 bytes, from a reference to as many, and for comparisons on what was loaded.
#![allow(unsafe_code)]

use std::arch::aarch64::{
    uint8x16_t, vandq_u8, vceqq_u8, vcltq_u8, vdupq_n_u8, vgetq_lane_u64, vld1q_u8, vorrq_u8, vpaddq_u8,
    vqtbl1q_u8, vreinterpretq_u64_u8,
};

use super::{BLOCK, PREFIX, Prefix};

const QUARTER: usize = 16;
/// A bit of its own for each of eight bytes, twice.
const PLACES: [u8; QUARTER] = [1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128];

// SAFETY, of all that follows: each processor of this kind has the instructions; only loads touch memory, the bytes that
// they borrow.

#[inline(always)]
fn load(bytes: &[u8; QUARTER]) -> uint8x16_t {
    unsafe { vld1q_u8(bytes.as_ptr()) }
}

#[inline(always)]
fn all(byte: u8) -> uint8x16_t {
    unsafe { vdupq_n_u8(byte) }
}

#[inline(always)]
fn equal(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
    unsafe { vceqq_u8(a, b) }
}

#[inline(always)]
fn and(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
    unsafe { vandq_u8(a, b) }
}

#[inline(always)]
fn or(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
    unsafe { vorrq_u8(a, b) }
}

/// For each byte the entry of its lower four bits; 0 for what is not ASCII.
#[inline(always)]
fn look_up(table: &[u8; QUARTER], a: uint8x16_t) -> uint8x16_t {
    // Beyond the table there is nothing.
    unsafe { vqtbl1q_u8(load(table), and(a, all(0x8f))) }
}

/// A bit for each byte that is all ones; the others are zero.
#[inline(always)]
fn bitmap(quarters: [uint8x16_t; 4]) -> u64 {
    let [first, second, third, fourth] = quarters.map(|quarter| and(quarter, load(&PLACES)));
    unsafe {
        // Neighbours are added until each byte has the bits of eight.
        let pairs = vpaddq_u8(vpaddq_u8(first, second), vpaddq_u8(third, fourth));
        vgetq_lane_u64::<0>(vreinterpretq_u64_u8(vpaddq_u8(pairs, pairs)))
    }
}

/// The bytes that count and are others.
#[inline(always)]
pub fn wrong(found: &[u8; PREFIX], prefix: &Prefix) -> u32 {
    let same = |from: usize| match (found[from..].first_chunk(), prefix.first[from..].first_chunk()) {
        (Some(found), Some(first)) => equal(load(found), load(first)),
        _ => all(0),
    };
    !(bitmap([same(0), same(QUARTER), all(0), all(0)]) as u32) & prefix.counts
}

#[derive(Clone, Copy)]
pub struct Block([uint8x16_t; 4]);

impl Block {
    #[inline(always)]
    fn bits(self, compare: impl Fn(uint8x16_t) -> uint8x16_t) -> u64 {
        bitmap(self.0.map(compare))
    }
}

impl super::Block for Block {
    #[inline(always)]
    fn load(bytes: &[u8; BLOCK]) -> Self {
        let [first, second, third, fourth] = bytes.as_chunks().0 else {
            unreachable!("64 bytes are four times 16")
        };
        Self([load(first), load(second), load(third), load(fourth)])
    }

    #[inline(always)]
    fn quotes(self) -> u64 {
        self.bits(|quarter| equal(quarter, all(b'"')))
    }

    #[inline(always)]
    fn backslashes(self) -> u64 {
        self.bits(|quarter| equal(quarter, all(b'\\')))
    }

    #[inline(always)]
    fn opens(self) -> u64 {
        // `[` and `{` differ in this bit.
        self.bits(|quarter| equal(or(quarter, all(0x20)), all(b'{')))
    }

    #[inline(always)]
    fn closes(self) -> u64 {
        self.bits(|quarter| equal(or(quarter, all(0x20)), all(b'}')))
    }

    #[inline(always)]
    fn ops(self) -> u64 {
        self.bits(|quarter| equal(look_up(&super::OPS, quarter), or(quarter, all(0x20))))
    }

    #[inline(always)]
    fn blanks(self) -> u64 {
        self.bits(|quarter| equal(look_up(&super::BLANKS, quarter), quarter))
    }

    #[inline(always)]
    fn controls(self) -> u64 {
        self.bits(|quarter| unsafe { vcltq_u8(quarter, all(0x20)) })
    }

    #[inline(always)]
    fn beyond_ascii(self) -> u64 {
        self.bits(|quarter| equal(and(quarter, all(0x80)), all(0x80)))
    }
}
