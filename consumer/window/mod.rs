//! Counts over event time, per caller, signature version and TLS version.
//!
//! Enters: calls, one at a time, into a [`Delta`]. Leaves: the rows of a window at a time. A delta is what changed
//! since the last commit; it is encoded into the state and, once durable, merged into [`Windows`]. Both are sums, so
//! deltas, shards and lineages add up in any order.

mod bucket;
mod callers;
mod delta;
mod piece;
mod trend;
mod windows;

pub use callers::{CallerLimits, OVERFLOW, OVERFLOW_OUTSIDE};
pub use delta::{CallKey, Delta, cut_name};
pub use piece::{Overflow, Piece, PieceReader};
pub use trend::Trend;
pub use windows::{Row, Windows};

use crate::event::{signature, tls};

/// Seconds of a minute bucket.
pub const MINUTE_S: i64 = 60;
/// Seconds of an hour bucket.
pub const HOUR_S: i64 = 3600;
/// Minute buckets that are kept: they serve `5m` and `1h` up to an hour back.
pub const MINUTES_KEPT: i32 = 120;
/// Hour buckets that are kept: they serve `24h` up to a day back.
pub const HOURS_KEPT: i32 = 48;

/// A signature version and a TLS version as one number below [`Versions::COUNT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Versions(u8);

impl Versions {
    /// How many there are; fits into the five low bits of a count's key.
    pub const COUNT: usize = signature::LABELS.len() * tls::LABELS.len();

    /// Of the indices into the labels of [`signature`] and [`tls`].
    pub fn new(signature: u8, tls: u8) -> Self {
        Self(signature * tls::LABELS.len() as u8 + tls)
    }

    /// Of a stored number; none if it is out of bounds.
    pub fn from_code(code: u8) -> Option<Self> {
        (usize::from(code) < Self::COUNT).then_some(Self(code))
    }

    /// The number.
    pub fn code(self) -> u8 {
        self.0
    }

    /// The name of the signature version.
    pub fn signature(self) -> &'static str {
        signature::LABELS[usize::from(self.0) / tls::LABELS.len()]
    }

    /// The name of the TLS version.
    pub fn tls(self) -> &'static str {
        tls::LABELS[usize::from(self.0) % tls::LABELS.len()]
    }

    /// Whether one of the two is weak.
    pub fn is_weak(self) -> bool {
        self.signature() == "SigV2" || matches!(self.tls(), "TLSv1" | "TLSv1.1")
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT as u8).map(Self)
    }
}

/// How much time one bucket counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grain {
    /// [`MINUTES_KEPT`] of them are kept.
    Minute,
    /// [`HOURS_KEPT`] of them are kept.
    Hour,
}

impl Grain {
    /// Seconds of one bucket.
    pub fn bucket_s(self) -> i64 {
        match self {
            Self::Minute => MINUTE_S,
            Self::Hour => HOUR_S,
        }
    }

    /// Buckets that are kept back from the newest event's.
    pub fn kept(self) -> i32 {
        match self {
            Self::Minute => MINUTES_KEPT,
            Self::Hour => HOURS_KEPT,
        }
    }
}

/// The windows that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowSize {
    /// Five one-minute buckets.
    FiveMinutes,
    /// Sixty one-minute buckets.
    Hour,
    /// Twenty-four one-hour buckets.
    Day,
}

impl WindowSize {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::FiveMinutes, Self::Hour, Self::Day];

    /// Reads `5m`, `1h` or `24h`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|window| window.label() == text)
    }

    /// The name in the API and in labels.
    pub fn label(self) -> &'static str {
        match self {
            Self::FiveMinutes => "5m",
            Self::Hour => "1h",
            Self::Day => "24h",
        }
    }

    /// The buckets that it is made of.
    pub fn grain(self) -> Grain {
        if self == Self::Day { Grain::Hour } else { Grain::Minute }
    }

    /// Seconds of one bucket.
    pub fn bucket_s(self) -> i64 {
        self.grain().bucket_s()
    }

    /// Buckets in the window.
    pub fn buckets(self) -> i32 {
        match self {
            Self::FiveMinutes => 5,
            Self::Hour => 60,
            Self::Day => 24,
        }
    }

    /// Buckets that are kept back from the newest event's.
    pub fn kept(self) -> i32 {
        self.grain().kept()
    }

    /// The first and the last bucket of the window at `at_s`.
    pub fn range(self, at_s: i64) -> (i32, i32) {
        let last = bucket(at_s, self.bucket_s());
        (last.saturating_sub(self.buckets() - 1), last)
    }

    /// The earliest second at which the window can be asked for when the newest event is at `newest_s`.
    pub fn earliest_at_s(self, newest_s: i64) -> i64 {
        let first_kept = i64::from(bucket(newest_s, self.bucket_s())) - i64::from(self.kept() - 1);
        (first_kept + i64::from(self.buckets() - 1)) * self.bucket_s()
    }
}

/// The bucket that a second lies in.
pub fn bucket(second: i64, bucket_s: i64) -> i32 {
    // Event times are of the years 0 to 9999 and not in the future: minutes fit.
    second.div_euclid(bucket_s).clamp(i64::from(i32::MIN / 2), i64::from(i32::MAX / 2)) as i32
}

#[cfg(test)]
mod tests;
