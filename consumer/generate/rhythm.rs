//! When: events spread over a stretch of time, more of them by day than by night.

/// How busy each hour of a UTC day is.
const HOURS: [u64; 24] =
    [30, 26, 24, 23, 24, 28, 36, 50, 68, 84, 94, 98, 96, 98, 100, 98, 92, 82, 70, 60, 52, 46, 40, 34];

/// Gives `events` times, never falling, from `start_s` on for `duration_s`.
pub(super) struct Rhythm {
    given: u64,
    events: u64,
    total: u128,
    hour_start_s: i64,
    end_s: i64,
    before_hour: u128,
}

impl Rhythm {
    pub(super) fn new(events: u64, start_s: i64, duration_s: u64) -> Rhythm {
        let end_s = start_s + duration_s.max(1) as i64;
        let (mut total, mut at) = (0, start_s);
        while at < end_s {
            total += weight(at, end_s);
            at = next_hour(at);
        }
        Rhythm { given: 0, events, total, hour_start_s: start_s, end_s, before_hour: 0 }
    }

    pub(super) fn next(&mut self) -> i64 {
        let place = u128::from(self.given) * self.total / u128::from(self.events.max(1));
        self.given += 1;
        while place >= self.before_hour + weight(self.hour_start_s, self.end_s)
            && next_hour(self.hour_start_s) < self.end_s
        {
            self.before_hour += weight(self.hour_start_s, self.end_s);
            self.hour_start_s = next_hour(self.hour_start_s);
        }
        let into = (place - self.before_hour) / u128::from(busy(self.hour_start_s));
        self.hour_start_s + into as i64
    }
}

fn busy(at_s: i64) -> u64 {
    HOURS[(at_s.div_euclid(3600).rem_euclid(24)) as usize]
}

fn next_hour(at_s: i64) -> i64 {
    (at_s.div_euclid(3600) + 1) * 3600
}

/// The weight of what is left of the hour.
fn weight(at_s: i64, end_s: i64) -> u128 {
    (next_hour(at_s).min(end_s) - at_s) as u128 * u128::from(busy(at_s))
}
