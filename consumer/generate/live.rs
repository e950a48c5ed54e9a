//! A made-up organisation at work right now, for the demo.

use super::burst::{Bursts, single};
use super::call::{self, Call, Edition};
use super::draw::{Draw, mix2};
use super::event;
use super::generator::Generator;
use super::outcome::{Generated, Outcome};
use super::{Options, WeakShares};

/// An organisation whose calls follow a clock it is handed. From time to time a caller appears that nobody has
/// seen, weak in one way: SigV2, a long-lived key, TLSv1, presigned SigV2 links, TLSv1.1, in turn.
pub struct LiveOrganisation {
    options: Options,
    calls_per_second: u64,
    draw: Draw,
    bursts: Bursts,
    started_ms: Option<i64>,
    made: u64,
    newcomers: u64,
    next_newcomer_ms: i64,
    until_next_ms: i64,
}

const CALLS_PER_SECOND: u64 = 200;
const FIRST_NEWCOMER_MS: i64 = 3_000;
const BETWEEN_NEWCOMERS_MS: i64 = 20_000;
/// Each pause is an eighth longer than the one before, up to an hour.
const LONGEST_PAUSE_MS: i64 = 3_600_000;
/// One call in so many is by one who appeared before.
const NEWCOMERS_SHARE: f64 = 0.02;
const BACKLOG_S: i64 = 24 * 3600;

impl LiveOrganisation {
    /// 200 calls a second.
    pub fn new(seed: u64) -> LiveOrganisation {
        LiveOrganisation::with_rate(seed, CALLS_PER_SECOND)
    }

    /// At least one call a second.
    pub fn with_rate(seed: u64, calls_per_second: u64) -> LiveOrganisation {
        let weak = WeakShares { sigv2: 0.006, tls10: 0.003, tls11: 0.003, ..Options::organisation().weak };
        // The live calls have no end; who is to be met is met within the backlog, or by chance.
        let options = Options { seed, weak, events: u64::MAX, ..Options::organisation() };
        LiveOrganisation {
            options,
            calls_per_second: calls_per_second.max(1),
            draw: Draw::new(mix2(seed, 1)),
            bursts: Bursts::new(),
            started_ms: None,
            made: 0,
            newcomers: 0,
            next_newcomer_ms: 0,
            until_next_ms: BETWEEN_NEWCOMERS_MS,
        }
    }

    /// The accounts of the organisation, 12 digits each.
    pub fn accounts(&self) -> Vec<u64> {
        (0..u64::from(self.options.accounts)).map(super::name::account).collect()
    }

    /// The 24 hours before `now_s`, thinned to `events`, busier by day than by night, by the same callers.
    pub fn backlog(&self, now_s: i64, events: u64) -> impl Iterator<Item = Generated> + use<> {
        let (start_s, duration_s) = (now_s - BACKLOG_S, BACKLOG_S as u64);
        Generator::new(Options { events, start_s, duration_s, ..self.options.clone() })
    }

    /// What was called from where the last call ended (at first: from `from_ms`) to before `to_ms`, in Unix
    /// milliseconds. How the time is cut into calls of this does not change the events.
    pub fn events_until(&mut self, from_ms: i64, to_ms: i64) -> Vec<Generated> {
        let started_ms = *self.started_ms.get_or_insert_with(|| {
            self.next_newcomer_ms = from_ms + FIRST_NEWCOMER_MS;
            from_ms
        });
        let mut events = Vec::new();
        loop {
            let at_ms =
                started_ms + (u128::from(self.made) * 1000 / u128::from(self.calls_per_second)) as i64;
            if at_ms >= to_ms {
                return events;
            }
            self.made += 1;
            let call = self.next_call(at_ms);
            events.push(self.written(&call));
        }
    }

    fn next_call(&mut self, at_ms: i64) -> Call {
        let time_s = at_ms.div_euclid(1000);
        let first_newcomer = u64::from(self.options.callers);
        if at_ms >= self.next_newcomer_ms {
            self.next_newcomer_ms = at_ms + self.until_next_ms;
            self.until_next_ms = (self.until_next_ms * 9 / 8).min(LONGEST_PAUSE_MS);
            self.newcomers += 1;
            return self.weak_call(first_newcomer + self.newcomers - 1, time_s);
        }
        if self.newcomers > 0 && self.draw.chance(NEWCOMERS_SHARE) {
            let newcomer = first_newcomer + self.draw.below(self.newcomers);
            return single(&self.options, &mut self.draw, newcomer, time_s);
        }
        self.bursts.uncounted(&self.options, &mut self.draw, time_s)
    }

    /// A newcomer's first call, which shows its weakness.
    fn weak_call(&mut self, caller: u64, time_s: i64) -> Call {
        loop {
            let call = single(&self.options, &mut self.draw, caller, time_s);
            if call::shows_weakness(&self.options, &call) {
                return call;
            }
        }
    }

    fn written(&self, call: &Call) -> Generated {
        let mut json = Vec::with_capacity(1500);
        let caller = event::write(&mut json, &self.options, call, Edition::Original);
        Generated {
            delivered_s: call.time_s,
            event_time_s: call.time_s,
            event_id: call::id(call, Edition::Original),
            account: call::delivered_to(&self.options, call, Edition::Original),
            region: call::region(call.action, &caller),
            outcome: Outcome::Call,
            late: false,
            json,
        }
    }
}
