//! Blocks by NEON, which every 64-bit ARM has: four quarters of 16 bytes.
//!
//! It was tested under emulation alone: how fast it is nobody has measured.
//!
//! `unsafe` stands here for loads of 16 bytes, from a reference to as many, and for comparisons on what was loaded.
#![allow(unsafe_code)]

use std::arch::aarch64::{
    uint8x16_t, vandq_u8, vceqq_u8, vcltq_s8, vcltq_u8, vdupq_n_s8, vdupq_n_u8, vgetq_lane_u64, vld1q_u8,
    vmvnq_u8, vorrq_u8, vpaddq_u8, vreinterpretq_s8_u8, vreinterpretq_u64_u8,
};

use super::{BLOCK, Block as _};

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
    fn controls(self) -> u64 {
        self.bits(|quarter| unsafe { vcltq_u8(quarter, all(0x20)) })
    }

    #[inline(always)]
    fn stops(self) -> u64 {
        self.bits(|quarter| {
            // As signed numbers those above 0x7f are below zero.
            let low = unsafe { vcltq_s8(vreinterpretq_s8_u8(quarter), vdupq_n_s8(0x20)) };
            or(low, or(equal(quarter, all(b'"')), equal(quarter, all(b'\\'))))
        })
    }

    #[inline(always)]
    fn others(self, bytes: &[u8; BLOCK]) -> u64 {
        let (mine, Self(theirs)) = (self.0, Self::load(bytes));
        let other = |at: usize| unsafe { vmvnq_u8(equal(mine[at], theirs[at])) };
        bitmap([other(0), other(1), other(2), other(3)])
    }
}
