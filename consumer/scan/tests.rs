//! Sums.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::groups::{END, Groups};
use super::*;

proptest! {
    /// However calls are spread over threads, the sums are those of a plain map.
    #[test]
    fn sums_add_up(calls in proptest::collection::vec((any::<[bool; 2]>(), ".{0,2}", 0i64..100, 0usize..3), 0..200)) {
        let mut parts: [Groups; 3] = Default::default();
        let mut expect: BTreeMap<Vec<String>, Sum> = BTreeMap::new();
        for (flags, text, time_s, part) in calls {
            let values = vec![flags[0].to_string(), text, flags[1].to_string()];
            let mut key = Vec::new();
            for value in &values {
                key.extend_from_slice(value.as_bytes());
                key.push(END);
            }
            let one = Sum { calls: 1, first_s: time_s, last_s: time_s };
            parts[part].count(&key, one);
            let sum = expect.entry(values).or_insert(Sum { calls: 0, ..one });
            *sum = Sum { calls: sum.calls + 1, first_s: sum.first_s.min(time_s), last_s: sum.last_s.max(time_s) };
        }
        let mut sums = Groups::default();
        parts.iter().for_each(|part| sums.add(part));
        prop_assert_eq!(sums.rows(), expect.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn a_trend_has_as_many_bars_as_there_is_room() {
    let trend_of = |hours: &[i32]| {
        let calls = |_: &i32| {
            let mut calls = [0; Versions::COUNT];
            calls[0] = 2;
            calls
        };
        trend(&hours.iter().map(|hour| (*hour, calls(hour))).collect()).unwrap()
    };
    for (hours, bucket_s, bars) in [
        (&[48, 50][..], 3600, 3),
        (&[0, 95], 3600, 96),
        (&[0, 96], 86_400, 5),
        (&[0, 24 * 399], 86_400, 400),
        (&[0, 24 * 400], 2 * 86_400, 201),
        (&[0, 24 * 36_500], 92 * 86_400, 397),
    ] {
        let trend = trend_of(hours);
        assert_eq!((trend.bucket_s, trend.calls.len()), (bucket_s, bars), "{hours:?}");
        assert_eq!(trend.of(|_| true).iter().sum::<u64>(), 4, "{hours:?}");
    }
    assert_eq!(trend(&Hours::default()), None);
}
