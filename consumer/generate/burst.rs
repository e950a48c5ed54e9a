//! Who calls next and what: callers come in bursts, a few of them at once, the busy ones again and again.

use super::Options;
use super::action::{Action, choose, choose_like};
use super::call::Call;
use super::caller::{Caller, Kind};
use super::catalogue::{CONSOLE, DIRECT, OBJECTS, ON_BEHALF, SAML, SERVICE, WEB_IDENTITY};
use super::draw::Draw;
use super::identity::Via;

struct Burst {
    left: u64,
    id: u64,
    caller: u64,
    session: u64,
    via: Via,
    links: bool,
    signed_in: bool,
    actions: &'static [Action],
    action: &'static Action,
}

/// The bursts that run.
pub(super) struct Bursts {
    running: Vec<Burst>,
    introduced: u64,
    made: u64,
}

impl Bursts {
    pub(super) fn new() -> Bursts {
        Bursts { running: Vec::new(), introduced: 0, made: 0 }
    }

    /// The next call, at `time_s`: by a caller not met yet, if one is due.
    pub(super) fn next(&mut self, options: &Options, draw: &mut Draw, time_s: i64) -> Call {
        self.made += 1;
        let newcomer = self.introduce(options);
        self.go_on(options, draw, time_s, newcomer)
    }

    /// A call for something that will not be counted: introduces nobody.
    pub(super) fn uncounted(&mut self, options: &Options, draw: &mut Draw, time_s: i64) -> Call {
        self.made += 1;
        self.go_on(options, draw, time_s, None)
    }

    fn go_on(&mut self, options: &Options, draw: &mut Draw, time_s: i64, newcomer: Option<u64>) -> Call {
        let concurrent = options.mix.concurrent.max(1) as usize;
        let slot = draw.below(concurrent as u64) as usize;
        if slot >= self.running.len() {
            self.running.push(start(options, draw, newcomer));
        }
        let slot = slot.min(self.running.len() - 1);
        if newcomer.is_some() || self.running[slot].left == 0 {
            self.running[slot] = start(options, draw, newcomer);
        }
        self.running[slot].call(options, draw, time_s)
    }

    /// Each caller is met within the first half of the events.
    fn introduce(&mut self, options: &Options) -> Option<u64> {
        let callers = u64::from(options.callers);
        let due =
            (u128::from(self.made) * 2 * u128::from(callers) / u128::from(options.events.max(1))) as u64;
        if self.introduced >= due.min(callers) {
            return None;
        }
        self.introduced += 1;
        Some(self.introduced - 1)
    }
}

/// One call of a given caller, outside any burst.
pub(super) fn single(options: &Options, draw: &mut Draw, caller: u64, time_s: i64) -> Call {
    direct(options, draw, caller).call(options, draw, time_s)
}

fn start(options: &Options, draw: &mut Draw, newcomer: Option<u64>) -> Burst {
    if let Some(caller) = newcomer {
        // One call, so that introducing callers does not shift the shares.
        return Burst { left: 1, ..direct(options, draw, caller) };
    }
    let caller = draw.zipf(u64::from(options.callers.max(1)));
    let mix = &options.mix;
    let mut at = draw.below(1 << 32) as f64 / (1u64 << 32) as f64;
    for (share, via, actions) in [
        (mix.on_behalf, Via::OnBehalf, ON_BEHALF),
        (mix.service, Via::Service, SERVICE),
        (mix.console, Via::Console, CONSOLE),
        (mix.root, Via::Root, CONSOLE),
        (mix.anonymous, Via::Anonymous, OBJECTS),
    ] {
        if at < share {
            let caller = if via == Via::Console { person(options, draw, caller) } else { caller };
            return burst(options, draw, caller, via, actions);
        }
        at -= share;
    }
    Burst { signed_in: draw.chance(options.mix.signed_in), ..direct(options, draw, caller) }
}

/// Somebody who can sit at a console, if there is one to be found.
fn person(options: &Options, draw: &mut Draw, fallback: u64) -> u64 {
    (0..16)
        .map(|_| draw.zipf(u64::from(options.callers.max(1))))
        .find(|caller| Caller::new(options, *caller).is_person())
        .unwrap_or(fallback)
}

/// A caller at its own work. Those that sign with SigV2 work on S3 objects, and other accounts on ours;
/// without an identity in AWS one can only ask for a role.
fn direct(options: &Options, draw: &mut Draw, caller: u64) -> Burst {
    let Caller { weak, kind, .. } = Caller::new(options, caller);
    let by_chance = draw.chance(options.mix.s3_objects);
    let actions = match kind {
        _ if weak.sigv2 || weak.sigv2_links => OBJECTS,
        Kind::CrossAccount => OBJECTS,
        Kind::WebIdentity => WEB_IDENTITY,
        Kind::Saml => SAML,
        _ if by_chance => OBJECTS,
        _ => DIRECT,
    };
    burst(options, draw, caller, Via::Direct, actions)
}

fn burst(options: &Options, draw: &mut Draw, caller: u64, via: Via, actions: &'static [Action]) -> Burst {
    let session = draw.below(u64::from(options.sessions_per_role.max(1)));
    let left = 1 + draw.below(2 * u64::from(options.mix.burst.max(1)) - 1);
    let links = via == Via::Direct && Caller::new(options, caller).weak.sigv2_links;
    Burst {
        left,
        id: draw.next(),
        caller,
        session,
        via,
        links,
        signed_in: false,
        actions,
        action: choose(actions, draw),
    }
}

impl Burst {
    fn call(&mut self, options: &Options, draw: &mut Draw, time_s: i64) -> Call {
        self.left = self.left.saturating_sub(1);
        if draw.below(3) == 0 {
            self.action = choose_like(self.actions, self.action, draw);
        }
        let on_object = self.via == Via::Direct && self.action.is_s3() && self.action.data;
        let share = if self.links { 0.8 } else { options.weak.presigned };
        Call {
            seed: draw.next(),
            time_s,
            caller: self.caller,
            session: self.session,
            burst: self.id,
            via: self.via,
            signed_in: self.signed_in,
            action: self.action,
            presigned: on_object && draw.chance(share),
            shared: false,
            fill: 0,
        }
    }
}
