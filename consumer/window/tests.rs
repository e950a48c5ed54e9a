use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const LIMITS: CallerLimits = CallerLimits { own: 1000, outside: 10 };

fn key(caller: u8, versions: u8) -> (String, Versions) {
    (format!("arn:aws:iam::1:role/r{caller}"), Versions::from_code(versions).unwrap())
}

/// A lineage that commits now and then, and the same calls as a plain list.
#[derive(Default)]
struct Lineage {
    windows: Windows,
    delta: Delta,
    newest_s: Option<i64>,
    late: usize,
}

impl Lineage {
    fn count(&mut self, caller: u8, versions: u8, time_s: i64) {
        let newest_s = self.newest_s.map_or(time_s, |newest| newest.max(time_s));
        self.newest_s = Some(newest_s);
        let (principal, versions) = key(caller, versions);
        let call = CallKey { account_id: "1", principal: &principal, is_outside: false, versions };
        self.late += usize::from(!self.delta.count(call, time_s, newest_s));
    }

    fn commit(&mut self) {
        let Some(newest_s) = self.newest_s else { return };
        self.windows.advance(bucket(newest_s, MINUTE_S), bucket(newest_s, HOUR_S));
        PieceReader::default().merge(&self.delta.piece(), &mut self.windows, LIMITS);
        self.delta.clear();
    }

    /// Writes everything down and reads it again.
    fn restart(&mut self) {
        self.commit();
        let mut windows = Windows::default();
        if let Some(newest_s) = self.newest_s {
            windows.advance(bucket(newest_s, MINUTE_S), bucket(newest_s, HOUR_S));
        }
        let mut reader = PieceReader::default();
        self.windows.pieces(64, |piece| {
            let bytes = postcard::to_stdvec(piece).unwrap();
            reader.merge(&postcard::from_bytes(&bytes).unwrap(), &mut windows, LIMITS);
        });
        self.windows = windows;
    }
}

fn rows(windows: &Windows, window: WindowSize, at_s: i64) -> BTreeMap<(String, Versions), u64> {
    let rows = windows.rows(window, at_s, |_| true);
    rows.into_iter().map(|row| ((row.principal.to_owned(), row.versions), row.calls)).collect()
}

proptest! {
    /// Any order of arrival, any commits, any restarts: inside the bounds the windows are what a list says.
    #[test]
    fn as_a_plain_list(
        calls in proptest::collection::vec((0u8..6, 0u8..20, 0i64..400_000, 0u8..20), 1..120),
        back in 0i64..200_000,
    ) {
        let mut lineage = Lineage::default();
        for &(caller, versions, time_s, then) in &calls {
            lineage.count(caller, versions, time_s);
            match then {
                0 | 1 => lineage.commit(),
                2 => lineage.restart(),
                _ => {}
            }
        }
        lineage.restart();
        let newest_s = calls.iter().map(|call| call.2).max().unwrap();
        for window in WindowSize::ALL {
            let at_s = (newest_s + 100_000 - back).max(window.earliest_at_s(newest_s));
            let (first, last) = window.range(at_s);
            let mut expect = BTreeMap::new();
            for &(caller, versions, time_s, _) in &calls {
                if (first..=last).contains(&bucket(time_s, window.bucket_s())) {
                    *expect.entry(key(caller, versions)).or_default() += 1;
                }
            }
            prop_assert_eq!(rows(&lineage.windows, window, at_s), expect, "{:?} at {}", window, at_s);
        }
    }
}

#[test]
fn a_window_is_the_bucket_that_the_time_lies_in_and_those_before() {
    let at_s = crate::event::time::parse("2023-07-10T12:20:30Z").unwrap();
    let minute = |text: &str| bucket(crate::event::time::parse(text).unwrap(), MINUTE_S);
    let five = (minute("2023-07-10T12:16:00Z"), minute("2023-07-10T12:20:00Z"));
    assert_eq!(WindowSize::FiveMinutes.range(at_s), five);
    let hours = WindowSize::Day.range(at_s);
    assert_eq!((hours.1 - hours.0, i64::from(hours.1) * HOUR_S), (23, at_s - 20 * 60 - 30));
    let earliest = WindowSize::Hour.earliest_at_s(at_s);
    assert_eq!(crate::event::time::format(earliest), "2023-07-10T11:20:00Z");
}

#[test]
fn late_calls_are_told_and_in_no_window() {
    let mut lineage = Lineage::default();
    lineage.count(1, 0, 48 * HOUR_S);
    lineage.count(1, 0, HOUR_S);
    lineage.count(1, 0, HOUR_S - 1);
    assert_eq!(lineage.late, 1);
    lineage.commit();
    let sums = rows(&lineage.windows, WindowSize::Day, 24 * HOUR_S);
    assert_eq!(sums.values().sum::<u64>(), 1);
}

#[test]
fn callers_beyond_the_limit_share_a_row_and_outsiders_have_a_limit_of_their_own() {
    let (mut windows, mut delta) = (Windows::default(), Delta::default());
    for n in 0..10 {
        for is_outside in [false, true] {
            let principal = format!("p{n}{is_outside}");
            let versions = Versions::new(0, 0);
            delta.count(CallKey { account_id: "1", principal: &principal, is_outside, versions }, 60, 60);
        }
    }
    windows.advance(1, 0);
    let limits = CallerLimits { own: 8, outside: 3 };
    let overflow = PieceReader::default().merge(&delta.piece(), &mut windows, limits);
    let sums = rows(&windows, WindowSize::FiveMinutes, 60);
    assert_eq!(overflow, Overflow { own: 2, outside: 7 });
    assert_eq!(sums.values().sum::<u64>(), 20);
    let of = |name: &str| sums.get(&(name.to_owned(), Versions::new(0, 0))).copied();
    assert_eq!((of("(overflow)"), of("(overflow outside)")), (Some(2), Some(7)));
}

#[test]
fn callers_that_no_bucket_counts_any_more_make_room() {
    let mut lineage = Lineage::default();
    for hour in 0..200 {
        for caller in 0..5 {
            lineage.count(caller, 1, hour * HOUR_S);
        }
        lineage.count(u8::try_from(hour).unwrap(), 1, hour * HOUR_S);
        lineage.commit();
    }
    assert!(lineage.windows.callers() <= 5 + HOURS_KEPT as usize, "{}", lineage.windows.callers());
}
