//! How values are distributed: classic buckets for Prometheus, and exact quantiles of the last minutes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;
use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Histogram as ProtoHistogram, Metric, MetricFamily, MetricType};
use serde_json::{Value, json};

/// Minutes that the quantiles cover.
const MINUTES: usize = 5;
/// Largest value that is told apart, in microseconds: 30 days.
const MAX_US: u64 = 30 * 86_400_000_000;

/// Durations observed by one task, to the microsecond; handed over as a whole.
pub struct Observations(Histogram<u32>);

impl Default for Observations {
    fn default() -> Self {
        Self(new_histogram())
    }
}

/// Two digits are enough to tell a good minute from a bad one.
fn new_histogram() -> Histogram<u32> {
    Histogram::new_with_bounds(1, MAX_US, 2).unwrap_or_else(|_| unreachable!("bounds are constant and valid"))
}

impl Observations {
    /// Notes a duration.
    pub fn observe(&mut self, duration: Duration) {
        self.0.saturating_record(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }
}

#[derive(Clone)]
/// A distribution over the life of the process and over the last minutes.
pub struct Distribution {
    desc: Desc,
    bounds_s: Arc<[f64]>,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    buckets: Vec<u64>,
    count: u64,
    sum_s: f64,
    /// The newest minute first.
    minutes: VecDeque<(u64, Histogram<u32>)>,
}

impl Distribution {
    /// A series with these upper bounds of buckets, in seconds.
    ///
    /// # Errors
    /// The name is not valid.
    pub fn new(name: &str, help: &str, bounds_s: &[f64]) -> prometheus::Result<Self> {
        let desc = Desc::new(name.to_owned(), help.to_owned(), Vec::new(), std::collections::HashMap::new())?;
        let inner =
            Inner { buckets: vec![0; bounds_s.len()], count: 0, sum_s: 0.0, minutes: VecDeque::new() };
        Ok(Self { desc, bounds_s: bounds_s.into(), inner: Arc::new(Mutex::new(inner)) })
    }

    /// Adds what a task observed up to wall time `now_ms`, and empties it.
    pub fn add(&self, observations: &mut Observations, now_ms: u64) {
        let minute = now_ms / 60_000;
        let mut inner = self.inner.lock();
        for value in observations.0.iter_recorded() {
            let count = u64::from(value.count_at_value());
            let seconds = value.value_iterated_to() as f64 / 1e6;
            inner.count += count;
            inner.sum_s += seconds * count as f64;
            if let Some(bucket) = self.bounds_s.iter().position(|bound| seconds <= *bound) {
                inner.buckets[bucket] += count;
            }
        }
        if inner.minutes.front().is_none_or(|(newest, _)| *newest < minute) {
            inner.minutes.push_front((minute, new_histogram()));
            inner.minutes.truncate(MINUTES);
        }
        if let Some((_, histogram)) = inner.minutes.front_mut()
            && histogram.add(&observations.0).is_err()
        {
            unreachable!("both histograms have the same bounds");
        }
        observations.0.clear();
    }

    /// Quantiles of the last 5 minutes, in seconds, and how many values they are of.
    pub fn quantiles(&self, now_ms: u64) -> Value {
        let minute = now_ms / 60_000;
        let inner = self.inner.lock();
        let mut merged = new_histogram();
        for (then, histogram) in &inner.minutes {
            if minute.saturating_sub(*then) < MINUTES as u64 && merged.add(histogram).is_err() {
                unreachable!("both histograms have the same bounds");
            }
        }
        let seconds = |quantile| merged.value_at_quantile(quantile) as f64 / 1e6;
        json!({"count": merged.len(), "p50": seconds(0.5), "p90": seconds(0.9), "p99": seconds(0.99), "max": merged.max() as f64 / 1e6})
    }
}

impl Collector for Distribution {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let inner = self.inner.lock();
        let mut histogram = ProtoHistogram::default();
        histogram.set_sample_count(inner.count);
        histogram.set_sample_sum(inner.sum_s);
        let mut cumulative = 0;
        let mut buckets = Vec::new();
        for (bound, count) in self.bounds_s.iter().zip(&inner.buckets) {
            cumulative += count;
            let mut bucket = Bucket::default();
            bucket.set_cumulative_count(cumulative);
            bucket.set_upper_bound(*bound);
            buckets.push(bucket);
        }
        histogram.set_bucket(buckets);
        let mut metric = Metric::default();
        metric.set_histogram(histogram);
        let mut family = MetricFamily::default();
        family.set_name(self.desc.fq_name.clone());
        family.set_help(self.desc.help.clone());
        family.set_field_type(MetricType::HISTOGRAM);
        family.set_metric(vec![metric]);
        vec![family]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_last_and_quantiles_pass() {
        let distribution = Distribution::new("x", "x", &[0.1, 1.0]).unwrap();
        let mut observations = Observations::default();
        [50, 50, 500, 5000].into_iter().for_each(|ms| observations.observe(Duration::from_millis(ms)));
        distribution.add(&mut observations, 0);
        distribution.add(&mut observations, 60_000);
        let family = &distribution.collect()[0];
        let histogram = family.get_metric()[0].get_histogram();
        let counts: Vec<u64> =
            histogram.get_bucket().iter().map(|bucket| bucket.cumulative_count()).collect();
        assert_eq!((counts, histogram.get_sample_count()), (vec![2, 3], 4));
        assert_eq!(distribution.quantiles(240_000)["count"], 4);
        let p50 = distribution.quantiles(240_000)["p50"].as_f64().unwrap();
        assert!((0.05..0.051).contains(&p50), "{p50}");
        assert_eq!(distribution.quantiles(300_000)["count"], 0);
    }
}
