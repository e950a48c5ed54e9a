//! Calls over time.

use super::Versions;

/// Calls in each of the last buckets, by versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trend {
    /// Seconds of a bucket.
    pub bucket_s: i64,
    /// The first bucket: its number since 1970.
    pub first: i32,
    /// Calls by bucket and [`Versions::code`].
    pub calls: Vec<[u64; Versions::COUNT]>,
}

impl Trend {
    /// No calls in any of the buckets from the first to the last.
    pub fn new(bucket_s: i64, (first, last): (i32, i32)) -> Self {
        let buckets = usize::try_from(last - first + 1).unwrap_or(0);
        Self { bucket_s, first, calls: vec![[0; Versions::COUNT]; buckets] }
    }

    /// Adds calls; those of other buckets are passed over.
    pub fn add(&mut self, bucket: i32, versions: Versions, calls: u64) {
        let at = usize::try_from(bucket - self.first).unwrap_or(usize::MAX);
        if let Some(counts) = self.calls.get_mut(at) {
            counts[usize::from(versions.code())] += calls;
        }
    }

    /// When a bucket begins, in seconds since 1970.
    pub fn begins_s(&self, at: usize) -> i64 {
        (i64::from(self.first) + at as i64) * self.bucket_s
    }

    /// Calls by bucket, of the versions that `keep` chooses.
    pub fn of(&self, keep: impl Fn(Versions) -> bool) -> Vec<u64> {
        let chosen: Vec<usize> =
            Versions::all().filter(|versions| keep(*versions)).map(|v| usize::from(v.code())).collect();
        self.calls.iter().map(|counts| chosen.iter().map(|at| counts[*at]).sum()).collect()
    }
}
