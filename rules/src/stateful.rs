//! What rules remember: values that were seen, and counts in a stretch of event time.
//!
//! Enters: what is remembered of a value or a group, and one more event. Leaves: what is to be remembered, and whether
//! the rule matches. Where that is kept, and for how many, is the caller's affair.

use std::collections::{BTreeMap, BTreeSet};

use crate::field::Field;

/// A rule that matches the first event of each new value.
#[derive(Clone, Debug, PartialEq)]
pub struct FirstSeen {
    /// The values together are one: an event that lacks one of them has none.
    pub by: Vec<Field>,
    /// Seconds of event time without an event after which a value is new again.
    pub forget_after_s: i64,
    /// For so many seconds of event time from the rule's first event on, values are remembered without a match.
    pub learn_for_s: i64,
    /// Each value of these learns by itself, from its own first event on: a new principal's first regions are not new.
    pub learn_by: Vec<Field>,
    /// Which values it matches.
    pub fires: Fires,
}

/// Which values a rule matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fires {
    /// Those that were never seen, or are forgotten.
    Both,
    /// Those that were never seen.
    New,
    /// Those that were seen, and then not for long.
    Returning,
}

/// What is remembered of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The greatest event time, rounded up by [`FirstSeen::remembered_s`], in seconds since 1970.
    pub last_s: i64,
}

impl FirstSeen {
    /// The time that is remembered of an event at `time_s`: the end of its step. A step is a thousandth of what it takes
    /// to be forgotten, an hour at most: a value that comes again and again is not written again and again, and what is
    /// remembered does not depend on which of its events were written.
    pub fn remembered_s(&self, time_s: i64) -> i64 {
        let step_s = (self.forget_after_s / 1000).clamp(1, 3600);
        time_s.div_euclid(step_s).saturating_mul(step_s).saturating_add(step_s - 1)
    }

    /// Whether an event at `time_s` comes after a silence in which the value was forgotten.
    pub fn is_forgotten(&self, seen: Seen, time_s: i64) -> bool {
        time_s.saturating_sub(seen.last_s) > self.forget_after_s
    }

    /// Adds an event at `time_s` to what is remembered of its value. `learning_until_s`: up to there values are only
    /// remembered. Returns what is to be remembered, and whether the rule matches.
    ///
    /// An event that is late, older than the last that was seen, changes nothing.
    pub fn see(&self, seen: Option<Seen>, time_s: i64, learning_until_s: i64) -> (Seen, bool) {
        let fires = match seen {
            None => self.fires != Fires::Returning,
            Some(seen) => self.is_forgotten(seen, time_s) && self.fires != Fires::New,
        };
        let last_s = self.remembered_s(time_s);
        let last_s = seen.map_or(last_s, |seen| seen.last_s.max(last_s));
        (Seen { last_s }, fires && time_s >= learning_until_s)
    }
}

/// A rule that matches when events reach a number within a stretch of event time.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// The number, at least 1.
    pub count: u64,
    /// The stretch, in seconds.
    pub within_s: i64,
    /// The values together are a group, which is counted alone: an event that lacks one of them is not counted.
    pub by: Vec<Field>,
    /// Its different values are counted, not the events.
    pub distinct: Option<Field>,
}

/// An event that is older than its group's newest by more than the stretch and this is late, and is not counted: trails
/// deliver within 5 minutes as a rule, and within 15 nearly always. While some shard is read that is further behind, what
/// it may bring is waited for.
pub const LATENESS_S: i64 = 15 * 60;
/// Buckets of a group that are kept, whatever is waited for.
const MOST_BUCKETS: usize = 20_000;
/// Matches of a group whose times are kept. What is older than all of them counts as told of.
const MOST_MATCHES: usize = 100;
/// Different values are told apart up to this number.
pub const MAX_DISTINCT: u64 = 10_000;

/// What is remembered of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events by bucket.
    pub buckets: BTreeMap<i64, u64>,
    /// Hashes of the different values, by bucket.
    pub distinct: BTreeMap<i64, BTreeSet<u64>>,
    /// Event times of the last matches, in seconds since 1970, if it takes time until the rule matches again.
    pub matched_s: BTreeSet<i64>,
}

impl Counts {
    /// Whether a match lies less than `repeat_s` before or behind an event at `time_s`. Once it does it always does.
    fn is_repeated(&self, time_s: i64, repeat_s: i64) -> bool {
        let is_cut = self.matched_s.len() == MOST_MATCHES && self.matched_s.first() > Some(&time_s);
        let mut near =
            self.matched_s.range(time_s.saturating_sub(repeat_s)..=time_s.saturating_add(repeat_s));
        is_cut || near.any(|matched_s| (time_s - matched_s).abs() < repeat_s)
    }
}

/// What an event did to its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// The number is not reached.
    Below,
    /// It is late, and was not counted.
    Late,
    /// The number is reached, and was matched not long ago.
    Repeated,
    /// The number is reached: so many.
    Reached(u64),
}

impl Threshold {
    /// Seconds of a bucket.
    pub fn bucket_s(&self) -> i64 {
        (self.within_s / 60).max(1)
    }

    /// Buckets of the stretch.
    fn buckets(&self) -> i64 {
        self.within_s.div_euclid(self.bucket_s()) + i64::from(self.within_s % self.bucket_s() != 0)
    }

    /// Adds an event at `time_s`, with the hash of its distinct value. It does not match less than `repeat_s` before or
    /// behind another match. `slowest_s` is the newest event time of the shard that is furthest behind.
    ///
    /// The stretch may lie anywhere around the event, so whether the number is reached does not depend on the order in
    /// which events come while none is late; which of them reaches it does.
    pub fn count(
        &self,
        counts: &mut Counts,
        time_s: i64,
        distinct: Option<u64>,
        repeat_s: i64,
        slowest_s: i64,
    ) -> Counted {
        let bucket = time_s.div_euclid(self.bucket_s());
        let newest = self.newest(counts).map_or(bucket, |newest| newest.max(bucket));
        let waits_for = newest.min(slowest_s.div_euclid(self.bucket_s()));
        let oldest = waits_for.saturating_sub(self.buckets() + LATENESS_S.div_euclid(self.bucket_s()));
        if bucket < oldest {
            return Counted::Late;
        }
        match distinct {
            Some(value) => {
                let values = counts.distinct.entry(bucket).or_default();
                if (values.len() as u64) < self.count.min(MAX_DISTINCT) {
                    values.insert(value);
                }
            }
            None => *counts.buckets.entry(bucket).or_default() += 1,
        }
        counts.buckets = counts.buckets.split_off(&oldest);
        counts.distinct = counts.distinct.split_off(&oldest);
        while counts.buckets.len() > MOST_BUCKETS {
            counts.buckets.pop_first();
        }
        while counts.distinct.len() > MOST_BUCKETS {
            counts.distinct.pop_first();
        }
        let most = self.most_around(counts, bucket);
        if most < self.count {
            return Counted::Below;
        }
        if counts.is_repeated(time_s, repeat_s) {
            return Counted::Repeated;
        }
        if repeat_s > 0 {
            let needed_s = oldest.saturating_mul(self.bucket_s()).saturating_sub(repeat_s);
            counts.matched_s = counts.matched_s.split_off(&needed_s);
            counts.matched_s.insert(time_s);
            if counts.matched_s.len() > MOST_MATCHES {
                counts.matched_s.pop_first();
            }
        }
        Counted::Reached(most)
    }

    /// The time of a group's newest event, to its bucket, in seconds since 1970.
    pub fn newest_s(&self, counts: &Counts) -> Option<i64> {
        Some(self.newest(counts)?.saturating_mul(self.bucket_s()))
    }

    fn newest(&self, counts: &Counts) -> Option<i64> {
        let last = |counted: Option<i64>, distinct: Option<i64>| counted.max(distinct);
        last(counts.buckets.keys().next_back().copied(), counts.distinct.keys().next_back().copied())
    }

    /// The most that any stretch with this bucket in it holds. A stretch with the most ends at a bucket with events, or
    /// at this one.
    fn most_around(&self, counts: &Counts, bucket: i64) -> u64 {
        let last = bucket + self.buckets() - 1;
        if self.distinct.is_some() {
            let ends = counts.distinct.range(bucket..=last).map(|(end, _)| *end);
            let different = |end: i64| {
                let values: BTreeSet<u64> = counts
                    .distinct
                    .range(end - self.buckets() + 1..=end)
                    .flat_map(|(_, values)| values)
                    .copied()
                    .collect();
                values.len() as u64
            };
            return ends.map(different).max().unwrap_or(0);
        }
        let ends = counts.buckets.range(bucket..=last).map(|(end, _)| *end);
        let sum = |end: i64| {
            counts.buckets.range(end - self.buckets() + 1..=end).map(|(_, count)| count).sum::<u64>()
        };
        ends.map(sum).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn threshold(count: u64, within_s: i64) -> Threshold {
        Threshold { count, within_s, by: Vec::new(), distinct: None }
    }

    #[test]
    fn a_number_is_reached_once() {
        let (rule, mut counts) = (threshold(3, 300), Counts::default());
        let mut count = |time_s| rule.count(&mut counts, time_s, None, 3600, i64::MAX);
        assert_eq!((count(0), count(10), count(299)), (Counted::Below, Counted::Below, Counted::Reached(3)));
        assert_eq!(count(299), Counted::Repeated);
        assert_eq!(count(4000), Counted::Below);
        assert_eq!((count(4001), count(4002)), (Counted::Below, Counted::Reached(3)));
    }

    #[test]
    fn events_out_of_order_and_late() {
        let (rule, mut counts) = (threshold(3, 60), Counts::default());
        let mut count = |time_s| rule.count(&mut counts, time_s, None, 10, i64::MAX);
        assert_eq!((count(1000), count(955), count(930)), (Counted::Below, Counted::Below, Counted::Below));
        assert_eq!(count(980), Counted::Reached(3));
        assert_eq!(count(1000 - 60 - LATENESS_S - 1), Counted::Late);
        assert_eq!(count(1000 - 60 - LATENESS_S), Counted::Below);
    }

    #[test]
    fn a_shard_that_is_behind_is_waited_for() {
        let (rule, mut counts) = (threshold(3, 60), Counts::default());
        let mut count = |time_s, slowest_s| rule.count(&mut counts, time_s, None, 10, slowest_s);
        assert_eq!((count(0, 0), count(50_000, 0)), (Counted::Below, Counted::Below));
        assert_eq!((count(1, 1), count(2, 2)), (Counted::Below, Counted::Reached(3)));
        assert_eq!(count(2, 50_000), Counted::Late);
    }

    #[test]
    fn matches_keep_their_distance_before_and_behind() {
        let (rule, mut counts) = (threshold(1, 60), Counts::default());
        let mut is_match =
            |time_s| matches!(rule.count(&mut counts, time_s, None, 100, i64::MAX), Counted::Reached(_));
        assert!(is_match(1000) && is_match(1100));
        assert!(!is_match(901) && !is_match(999) && !is_match(1050) && !is_match(1199));
        assert!(is_match(900) && !is_match(801) && is_match(1200));
        assert!((0..200).all(|at| is_match(2000 + 100 * at)));
        assert_eq!(counts.matched_s.len(), 11, "what is too old for another call is forgotten");
    }

    #[test]
    fn what_is_remembered_does_not_depend_on_which_events_are_written() {
        let rule = FirstSeen {
            by: Vec::new(),
            forget_after_s: 86_400,
            learn_for_s: 0,
            learn_by: Vec::new(),
            fires: Fires::Both,
        };
        let last_s = rule.remembered_s(1_000_000);
        assert!((1_000_000..1_000_000 + 86).contains(&last_s));
        // All events of a step are remembered as one.
        assert!((last_s - 85..=last_s).all(|time_s| rule.remembered_s(time_s) == last_s));
        assert!(!rule.is_forgotten(Seen { last_s }, last_s + 86_400));
        assert!(rule.is_forgotten(Seen { last_s }, last_s + 86_401));
    }

    #[test]
    fn different_values() {
        let rule = Threshold { distinct: Some(Field::Whole), ..threshold(3, 60) };
        let mut counts = Counts::default();
        let mut count = |time_s, value| rule.count(&mut counts, time_s, Some(value), 10, i64::MAX);
        assert_eq!((count(0, 1), count(1, 1), count(2, 2)), (Counted::Below, Counted::Below, Counted::Below));
        assert_eq!(count(59, 3), Counted::Reached(3));
        assert_eq!((count(100, 4), count(101, 3)), (Counted::Below, Counted::Below));
    }

    #[test]
    fn new_returning_and_learned() {
        let rule = |fires| FirstSeen {
            by: Vec::new(),
            forget_after_s: 100,
            learn_for_s: 0,
            learn_by: Vec::new(),
            fires,
        };
        let seen = |last_s| Some(Seen { last_s });
        for (fires, new, returning) in
            [(Fires::Both, true, true), (Fires::New, true, false), (Fires::Returning, false, true)]
        {
            assert_eq!(rule(fires).see(None, 50, 0), (Seen { last_s: 50 }, new));
            assert_eq!(rule(fires).see(seen(50), 151, 0), (Seen { last_s: 151 }, returning));
            assert_eq!(rule(fires).see(seen(50), 150, 0), (Seen { last_s: 150 }, false));
            assert_eq!(rule(fires).see(seen(50), 20, 0), (Seen { last_s: 50 }, false));
            assert_eq!(rule(fires).see(None, 50, 51), (Seen { last_s: 50 }, false));
        }
    }

    proptest! {
        /// Whether a number is ever reached does not depend on the order, and is what a plain list says.
        #[test]
        fn as_a_plain_list(
            times in proptest::collection::vec(0i64..800, 0..40),
            count in 1u64..6,
            within_s in 1i64..200,
            seed in any::<u64>(),
        ) {
            let rule = threshold(count, within_s);
            let size = rule.bucket_s();
            let reached = |times: &[i64]| {
                let mut counts = Counts::default();
                times.iter().any(|time_s| matches!(rule.count(&mut counts, *time_s, None, 1 << 40, i64::MAX), Counted::Reached(_)))
            };
            let mut shuffled = times.clone();
            shuffled.sort_by_key(|time_s| xxhash_rust::xxh3::xxh3_64_with_seed(&time_s.to_le_bytes(), seed));
            let width = (within_s + size - 1) / size;
            let expected = times.iter().any(|end| {
                let end = end.div_euclid(size);
                times.iter().filter(|time_s| (end - width + 1..=end).contains(&time_s.div_euclid(size))).count() as u64 >= count
            });
            prop_assert_eq!((reached(&times), reached(&shuffled)), (expected, expected));
        }
    }
}
