//! The committed counts of one lineage: rings of minute and hour buckets.

use std::collections::VecDeque;

use hashbrown::HashMap;

use super::bucket::Bucket;
use super::callers::{CallerLimits, CallerName, Callers, VERSION_BITS, hash_name};
use super::piece::Piece;
use super::{Grain, HOURS_KEPT, MINUTES_KEPT, Versions, WindowSize};

/// A count of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row<'a> {
    /// The account that called.
    pub account_id: &'a str,
    /// The principal.
    pub principal: &'a str,
    /// Signature and TLS version.
    pub versions: Versions,
    /// Calls in the window.
    pub calls: u64,
    /// The caller is outside the organisation.
    pub is_outside: bool,
}

/// Counts over event time.
#[derive(Default)]
pub struct Windows {
    callers: Callers,
    minutes: Ring,
    hours: Ring,
}

/// The buckets back from the newest.
#[derive(Default)]
struct Ring {
    /// The newest first; those without calls are empty.
    buckets: VecDeque<Bucket>,
    newest: i32,
}

impl Windows {
    /// Moves the windows on to the newest event of the lineage, at `minute` and `hour`. What is then out of reach is
    /// forgotten.
    pub fn advance(&mut self, minute: i32, hour: i32) {
        self.minutes.advance(minute, MINUTES_KEPT);
        if self.hours.advance(hour, HOURS_KEPT) {
            self.callers.forget_before(self.hours.newest - (HOURS_KEPT - 1));
        }
    }

    /// The number of a caller, and whether there was no room for it.
    pub(super) fn caller(
        &mut self,
        name: CallerName<'_>,
        is_outside: bool,
        limits: CallerLimits,
    ) -> (u32, bool) {
        self.callers.number(name, is_outside, limits)
    }

    pub(super) fn add_minute(&mut self, minute: i32, key: u32, count: u32) {
        self.minutes.add(minute, key, count);
    }

    pub(super) fn add_hour(&mut self, hour: i32, key: u32, count: u32) {
        if self.hours.add(hour, key, count) {
            self.callers.touch(key >> VERSION_BITS, hour);
        }
    }

    /// Packs what has grown. To be called after counts were added.
    pub(super) fn settle(&mut self) {
        self.minutes.buckets.iter_mut().chain(&mut self.hours.buckets).for_each(Bucket::settle);
    }

    /// How many callers are counted.
    pub fn callers(&self) -> usize {
        self.callers.len()
    }

    /// The counts of a window at `at_s`, by key; the caller's number and the versions.
    fn sums(&self, window: WindowSize, at_s: i64) -> HashMap<u32, u64> {
        let (first, last) = window.range(at_s);
        let mut sums = HashMap::new();
        for (_, counts) in self.ring(window.grain()).range(first, last) {
            for (key, count) in counts.iter() {
                *sums.entry(key).or_default() += u64::from(count);
            }
        }
        sums
    }

    /// The rows of a window at `at_s` in no order. `keep` chooses among the versions before anything is looked up.
    pub fn rows(&self, window: WindowSize, at_s: i64, keep: impl Fn(Versions) -> bool) -> Vec<Row<'_>> {
        let rows = self.sums(window, at_s).into_iter().filter_map(|(key, calls)| {
            let versions = versions_of(key).filter(|versions| keep(*versions))?;
            let number = key >> VERSION_BITS;
            let CallerName { account_id, principal } = self.callers.name(number);
            Some(Row { account_id, principal, versions, calls, is_outside: self.callers.is_outside(number) })
        });
        rows.collect()
    }

    /// A number for each caller of a window at `at_s`, the same for the same name, by versions.
    pub fn caller_hashes(
        &self,
        window: WindowSize,
        at_s: i64,
        hasher: &hashbrown::DefaultHashBuilder,
    ) -> Vec<(Versions, u64)> {
        let keys = self.sums(window, at_s).into_keys();
        keys.filter_map(|key| {
            Some((versions_of(key)?, hash_name(hasher, self.callers.name(key >> VERSION_BITS))))
        })
        .collect()
    }

    /// Hands each count of the buckets from `first` to `last`, of minutes or of hours, to `visit`: the bucket, the
    /// caller's number, the versions, the calls. A count may come in two parts.
    pub fn visit(
        &self,
        grain: Grain,
        (first, last): (i32, i32),
        mut visit: impl FnMut(i32, u32, Versions, u64),
    ) {
        for (bucket, counts) in self.ring(grain).range(first, last) {
            for (key, count) in counts.iter() {
                if let Some(versions) = versions_of(key) {
                    visit(bucket, key >> VERSION_BITS, versions, u64::from(count));
                }
            }
        }
    }

    /// The number of a caller that a bucket counts.
    pub fn number_of(&self, account_id: &str, principal: &str) -> Option<u32> {
        self.callers.find(CallerName { account_id, principal })
    }

    fn ring(&self, grain: Grain) -> &Ring {
        match grain {
            Grain::Minute => &self.minutes,
            Grain::Hour => &self.hours,
        }
    }

    /// Everything as pieces of about `piece_bytes`, callers before their counts.
    pub fn pieces(&self, piece_bytes: usize, mut write: impl FnMut(&Piece<'_>)) {
        let mut piece = Piece::default();
        let mut bytes = 0;
        for (number, name, is_outside) in self.callers.iter() {
            piece.callers.push((number, name.account_id, name.principal, is_outside));
            bytes += name.account_id.len() + name.principal.len() + 8;
            if bytes > piece_bytes {
                write(&std::mem::take(&mut piece));
                bytes = 0;
            }
        }
        write(&std::mem::take(&mut piece));
        let per_piece = (piece_bytes / 8).max(1);
        for entries in self.minutes.entries(per_piece) {
            write(&Piece { minutes: entries, ..Piece::default() });
        }
        for entries in self.hours.entries(per_piece) {
            write(&Piece { hours: entries, ..Piece::default() });
        }
    }
}

impl Ring {
    /// True if the newest bucket moved.
    fn advance(&mut self, newest: i32, kept: i32) -> bool {
        if !self.buckets.is_empty() && newest <= self.newest {
            return false;
        }
        let step = if self.buckets.is_empty() { kept } else { newest.saturating_sub(self.newest).min(kept) };
        for _ in 0..step {
            self.buckets.push_front(Bucket::default());
        }
        self.buckets.truncate(kept as usize);
        self.newest = newest;
        true
    }

    fn add(&mut self, bucket: i32, key: u32, count: u32) -> bool {
        let Ok(back) = usize::try_from(i64::from(self.newest) - i64::from(bucket)) else { return false };
        let Some(counts) = self.buckets.get_mut(back) else { return false };
        counts.add(key, count);
        true
    }

    fn range(&self, first: i32, last: i32) -> impl Iterator<Item = (i32, &Bucket)> {
        let newest = self.newest;
        let with_bucket =
            self.buckets.iter().enumerate().map(move |(back, counts)| (newest - back as i32, counts));
        with_bucket.filter(move |(bucket, _)| (first..=last).contains(bucket))
    }

    fn entries(&self, per_piece: usize) -> impl Iterator<Item = Vec<(i32, u32, u32)>> {
        let buckets =
            self.buckets.iter().enumerate().map(|(back, counts)| (self.newest - back as i32, counts));
        let mut all =
            buckets.flat_map(|(bucket, counts)| counts.iter().map(move |(key, count)| (bucket, key, count)));
        std::iter::from_fn(move || {
            let piece: Vec<_> = all.by_ref().take(per_piece).collect();
            (!piece.is_empty()).then_some(piece)
        })
    }
}

fn versions_of(key: u32) -> Option<Versions> {
    Versions::from_code((key & ((1 << VERSION_BITS) - 1)) as u8)
}
