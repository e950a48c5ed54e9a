//! Calls over time: what the buckets of all shards count, one after the other.

use super::Views;
use crate::window::{Grain, Versions, bucket};

/// Calls in each of the last buckets, by versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trend {
    /// How long a bucket is.
    pub grain: Grain,
    /// The first bucket: its number since 1970.
    pub first: i32,
    /// Calls by bucket and [`Versions::code`].
    pub calls: Vec<[u64; Versions::COUNT]>,
}

impl Trend {
    fn new(grain: Grain, (first, last): (i32, i32)) -> Self {
        let buckets = usize::try_from(last - first + 1).unwrap_or(0);
        Self { grain, first, calls: vec![[0; Versions::COUNT]; buckets] }
    }

    fn add(&mut self, bucket: i32, versions: Versions, calls: u64) {
        let at = usize::try_from(bucket - self.first).unwrap_or(usize::MAX);
        if let Some(counts) = self.calls.get_mut(at) {
            counts[usize::from(versions.code())] += calls;
        }
    }

    /// When a bucket begins, in seconds since 1970.
    pub fn begins_s(&self, at: usize) -> i64 {
        (i64::from(self.first) + at as i64) * self.grain.bucket_s()
    }

    /// Calls by bucket, of the versions that `keep` chooses.
    pub fn of(&self, keep: impl Fn(Versions) -> bool) -> Vec<u64> {
        let chosen: Vec<usize> =
            Versions::all().filter(|versions| keep(*versions)).map(|v| usize::from(v.code())).collect();
        self.calls.iter().map(|counts| chosen.iter().map(|at| counts[*at]).sum()).collect()
    }
}

impl Views {
    /// The calls of everyone in the last `buckets` buckets up to `at_s`.
    pub fn trend(&self, grain: Grain, buckets: i32, at_s: i64) -> Trend {
        let range = last_buckets(grain, buckets, at_s);
        let mut trend = Trend::new(grain, range);
        for view in self.all() {
            view.read(|committed| {
                committed.windows.visit(grain, range, |bucket, _, versions, calls| {
                    trend.add(bucket, versions, calls);
                });
            });
        }
        trend
    }

    /// The same for each of these callers (account and principal): one pass over the buckets for all of them.
    pub fn trends_of(&self, callers: &[(&str, &str)], grain: Grain, buckets: i32, at_s: i64) -> Vec<Trend> {
        let range = last_buckets(grain, buckets, at_s);
        let mut trends = vec![Trend::new(grain, range); callers.len()];
        for view in self.all() {
            view.read(|committed| {
                let windows = &committed.windows;
                // A caller may be asked for more than once.
                let mut asked: Vec<(u32, usize)> = Vec::new();
                for (at, (account_id, principal)) in callers.iter().enumerate() {
                    asked.extend(windows.number_of(account_id, principal).map(|number| (number, at)));
                }
                asked.sort_unstable();
                windows.visit(grain, range, |bucket, number, versions, calls| {
                    let begin = asked.partition_point(|(other, _)| *other < number);
                    for (_, at) in asked[begin..].iter().take_while(|(other, _)| *other == number) {
                        trends[*at].add(bucket, versions, calls);
                    }
                });
            });
        }
        trends
    }
}

/// The first and the last of so many buckets up to a second.
fn last_buckets(grain: Grain, buckets: i32, at_s: i64) -> (i32, i32) {
    let last = bucket(at_s, grain.bucket_s());
    (last.saturating_sub(buckets.clamp(1, grain.kept()) - 1), last)
}
