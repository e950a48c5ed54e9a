//! Chance, the same on every platform: integers, and floating point only where IEEE 754 is exact.

/// A stream of random numbers (SplitMix64, Steele, Lea and Flood 2014): one word of state, a few operations.
pub(super) struct Draw(u64);

const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// Scrambles a number so that neighbours have nothing in common.
pub(super) fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(GOLDEN_GAMMA);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// One number made of two.
pub(super) fn mix2(a: u64, b: u64) -> u64 {
    mix(mix(a) ^ b)
}

impl Draw {
    pub(super) fn new(seed: u64) -> Draw {
        Draw(mix(seed))
    }

    pub(super) fn next(&mut self) -> u64 {
        let word = mix(self.0);
        self.0 = self.0.wrapping_add(GOLDEN_GAMMA);
        word
    }

    /// Below `n`, all alike; 0 for `n` = 0.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    pub(super) fn chance(&mut self, share: f64) -> bool {
        ((self.next() >> 11) as f64) < share * (1u64 << 53) as f64
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// Below `n` (at least 1), k about half as often as 2k: Zipf's law in steps of powers of two.
    pub(super) fn zipf(&mut self, n: u64) -> u64 {
        let octaves = u64::from(64 - n.leading_zeros());
        loop {
            let octave = 1u64 << self.below(octaves);
            let rank = octave - 1 + self.below(octave);
            if rank < n {
                return rank;
            }
        }
    }
}
