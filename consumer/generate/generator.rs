//! The events in the order of their delivery.

use std::collections::VecDeque;

use super::Options;
use super::broken;
use super::burst::Bursts;
use super::call::{self, Call, Edition};
use super::caller::Caller;
use super::draw::Draw;
use super::event;
use super::identity::Via;
use super::not_call::{self, Other};
use super::outcome::{Generated, Outcome};
use super::rhythm::Rhythm;

/// All the events of some [`Options`], in the order of their delivery.
pub struct Generator {
    options: Options,
    draw: Draw,
    bursts: Bursts,
    rhythm: Rhythm,
    made: u64,
    made_bytes: u64,
    /// Calls that may be repeated or corrected.
    remembered: Vec<Call>,
    /// Owners' copies that are due.
    copies: VecDeque<Call>,
    size_hint: usize,
}

const REMEMBERED: usize = 64;
const LATEST_S: u64 = 6 * 3600;

impl Generator {
    /// Nothing is generated before the first `next`.
    pub fn new(options: Options) -> Generator {
        let rhythm = Rhythm::new(options.events, options.start_s, options.duration_s);
        let draw = Draw::new(options.seed);
        let (remembered, copies) = (Vec::with_capacity(REMEMBERED), VecDeque::new());
        let bursts = Bursts::new();
        Generator {
            options,
            draw,
            bursts,
            rhythm,
            made: 0,
            made_bytes: 0,
            remembered,
            copies,
            size_hint: 1500,
        }
    }

    fn make(&mut self, delivered_s: i64) -> Generated {
        if let Some(copy) = self.copies.pop_front() {
            return self.written(delivered_s, &copy, Edition::OwnersCopy, Outcome::SharedCopy);
        }
        match self.kind() {
            Chosen::Again(edition, outcome) => {
                let call = self.draw.pick(&self.remembered);
                self.written(delivered_s, &call, edition, outcome)
            }
            Chosen::Other(other, outcome) => self.other(delivered_s, other, outcome),
            Chosen::Broken => self.broken(delivered_s),
            Chosen::Call => self.call(delivered_s),
        }
    }

    fn kind(&mut self) -> Chosen {
        let o = &self.options;
        let seen = if self.remembered.is_empty() { 0.0 } else { 1.0 };
        let denied = if self.draw.below(10) == 0 {
            Chosen::Other(Other::VpceAccessDenied, Outcome::Call)
        } else {
            Chosen::Other(Other::NetworkActivity, Outcome::NetworkActivity)
        };
        let mut at = (self.draw.next() >> 11) as f64 / (1u64 << 53) as f64;
        for (share, chosen) in [
            (o.duplicates * seen, Chosen::Again(Edition::Original, Outcome::Duplicate)),
            (o.corrections * seen, Chosen::Again(Edition::Correction, Outcome::Correction)),
            (o.insights, Chosen::Other(Other::Insight, Outcome::Insight)),
            (o.aggregated, Chosen::Other(Other::Aggregated, Outcome::Aggregated)),
            (o.network_activity, denied),
            (o.mix.sign_ins, Chosen::Other(Other::SignIn, Outcome::Call)),
            (o.broken, Chosen::Broken),
        ] {
            if at < share {
                return chosen;
            }
            at -= share;
        }
        Chosen::Call
    }

    fn call(&mut self, delivered_s: i64) -> Generated {
        let (time_s, outcome) = self.event_time(delivered_s);
        let counts = outcome == Outcome::Call;
        let mut call = if counts {
            self.bursts.next(&self.options, &mut self.draw, time_s)
        } else {
            self.uncounted(time_s)
        };
        call.fill = self.fill();
        if counts {
            self.share(&mut call);
            self.remember(call);
        }
        self.written(delivered_s, &call, Edition::Original, outcome)
    }

    fn uncounted(&mut self, time_s: i64) -> Call {
        self.bursts.uncounted(&self.options, &mut self.draw, time_s)
    }

    /// Now and then a call concerns another account, which gets a copy.
    fn share(&mut self, call: &mut Call) {
        let can = call.via == Via::Direct && !call.presigned && self.options.accounts > 1;
        // About five calls of six can have a copy.
        let chosen = self.draw.chance(self.options.shared_copies * 1.2);
        if can && chosen && Caller::new(&self.options, call.caller).names_our_account() {
            call.shared = true;
            self.copies.push_back(*call);
        }
    }

    fn remember(&mut self, call: Call) {
        if self.options.duplicates + self.options.corrections == 0.0 {
            return;
        }
        if self.remembered.len() < REMEMBERED {
            self.remembered.push(call);
        } else if self.draw.below(4) == 0 {
            let place = self.draw.below(REMEMBERED as u64) as usize;
            self.remembered[place] = call;
        }
    }

    fn event_time(&mut self, delivered_s: i64) -> (i64, Outcome) {
        if let Some(future_s) = self.options.future_s
            && self.draw.chance(self.options.future)
        {
            return (future_s + self.draw.below(86_400) as i64, Outcome::Future);
        }
        let before_s = if self.draw.chance(self.options.late) {
            60 + self.draw.zipf(LATEST_S - 60)
        } else {
            self.draw.below(20)
        };
        ((delivered_s - before_s as i64).max(self.options.start_s), Outcome::Call)
    }

    /// How much is missing from the mean size wanted, made up for over the next few events.
    fn fill(&mut self) -> u32 {
        let Some(wanted) = self.options.bytes_per_event else { return 0 };
        let expected = self.made_bytes + TYPICAL_BYTES;
        let missing = (u64::from(wanted) * (self.made + 1)).saturating_sub(expected).min(16_384);
        self.draw.below(2 * missing + 1) as u32
    }

    fn other(&mut self, delivered_s: i64, other: Other, outcome: Outcome) -> Generated {
        let call = self.uncounted(delivered_s);
        let mut generated = self.written(delivered_s, &call, Edition::Original, outcome);
        generated.json.clear();
        not_call::write(&mut generated.json, &self.options, &call, other);
        generated
    }

    fn broken(&mut self, delivered_s: i64) -> Generated {
        let how = self.draw.pick(&broken::ALL);
        let call = self.uncounted(delivered_s);
        let mut generated = self.written(delivered_s, &call, Edition::Original, Outcome::Broken(how));
        generated.json = broken::break_event(&generated.json, how);
        generated
    }

    fn written(&mut self, delivered_s: i64, call: &Call, edition: Edition, outcome: Outcome) -> Generated {
        let mut json = Vec::with_capacity(self.size_hint);
        let caller = event::write(&mut json, &self.options, call, edition);
        Generated {
            delivered_s,
            event_time_s: call.time_s,
            event_id: call::id(call, edition),
            account: call::delivered_to(&self.options, call, edition),
            region: call::region(call.action, &caller),
            outcome,
            late: delivered_s - call.time_s >= 60,
            json,
        }
    }
}

const TYPICAL_BYTES: u64 = 1250;

enum Chosen {
    Call,
    Again(Edition, Outcome),
    Other(Other, Outcome),
    Broken,
}

impl Iterator for Generator {
    type Item = Generated;

    fn next(&mut self) -> Option<Generated> {
        if self.made == self.options.events {
            return None;
        }
        let delivered_s = self.rhythm.next();
        let generated = self.make(delivered_s);
        self.made += 1;
        self.made_bytes += generated.json.len() as u64;
        Some(generated)
    }
}
