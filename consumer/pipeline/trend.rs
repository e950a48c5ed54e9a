//! Calls over time: what the buckets of all shards count, one after the other.

use super::Views;
use crate::window::{Grain, Trend, bucket};

impl Views {
    /// The calls of everyone in the last `buckets` buckets up to `at_s`.
    pub fn trend(&self, grain: Grain, buckets: i32, at_s: i64) -> Trend {
        let range = last_buckets(grain, buckets, at_s);
        let mut trend = Trend::new(grain.bucket_s(), range);
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
        let mut trends = vec![Trend::new(grain.bucket_s(), range); callers.len()];
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
