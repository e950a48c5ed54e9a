//! Whether a weak caller is new, and whether someone is paged for it.

use glob::Pattern;

use super::{CallerKey, CallerState, Past};
use crate::event::judge::Weakness;
use crate::event::time::DAY_S;
use crate::window::CallerLimits;

/// What the config says of weak callers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerPolicy {
    /// Seconds of event time without a call after which a caller is new again (`callers.forget_after`).
    pub forget_after_s: i64,
    /// For so long after the state was made nobody is paged (`callers.learn_for`), in milliseconds; 0 is off.
    pub learn_for_ms: u64,
    /// Who is metered and not paged (`callers.accepted`).
    pub accepted: Vec<Accepted>,
    /// Texts that a list of a row holds (`limits.caller_values`).
    pub values: usize,
    /// Weak callers that are remembered (`limits.weak_callers`, `limits.outside_weak_callers`).
    pub room: CallerLimits,
}

impl Default for CallerPolicy {
    fn default() -> Self {
        Self {
            forget_after_s: 400 * DAY_S,
            learn_for_ms: 0,
            accepted: Vec::new(),
            values: 1000,
            room: CallerLimits { own: 1_000_000, outside: 10_000 },
        }
    }
}

/// A caller that is known and put up with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Which principals.
    pub principal: Pattern,
    /// Of which account; none for every.
    pub account_id: Option<String>,
    /// Which weaknesses.
    pub weaknesses: Vec<Weakness>,
    /// The last second of event time, since 1970.
    pub until_s: i64,
}

/// What is done about a call by which a caller may be new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was decided before.
    Known,
    /// It is put up with for now.
    Accepted,
    /// It is remembered without a page.
    Learned,
    /// It is new: someone is paged.
    Page,
}

/// What the memory knows of a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// What became of it.
    pub state: CallerState,
    /// The greatest event time, in seconds since 1970.
    pub last_s: i64,
}

impl Known {
    /// Whether a call at `time_s` comes so late after the last one that the caller is forgotten.
    pub fn is_forgotten(self, time_s: i64, forget_after_s: i64) -> bool {
        time_s.saturating_sub(self.last_s) > forget_after_s
    }
}

impl CallerPolicy {
    /// Until when the caller is accepted at `time_s`; none if it is not.
    pub fn accepted_until_s(&self, key: CallerKey<'_>, time_s: i64) -> Option<i64> {
        let covers = |accepted: &&Accepted| {
            accepted.until_s >= time_s
                && accepted.weaknesses.contains(&key.weakness)
                && accepted.account_id.as_deref().is_none_or(|account_id| account_id == key.account_id)
                && accepted.principal.matches(key.principal)
        };
        self.accepted.iter().filter(covers).map(|accepted| accepted.until_s).max()
    }

    /// What a caller of history is remembered as: without a page, and as accepted if it is, so that the end of that pages.
    pub fn recalled(&self, known: Option<CallerState>, past: &Past) -> CallerState {
        match known {
            Some(known) if known > CallerState::Outside => known,
            _ if past.row.state == CallerState::Outside => CallerState::Outside,
            _ if self.accepted_until_s(past.key.borrow(), past.row.last_s).is_some() => CallerState::Accepted,
            _ => CallerState::Learned,
        }
    }

    /// Judges a caller of our own that calls at `time_s`, by what the memory knows of it.
    pub fn judge(&self, known: Option<Known>, key: CallerKey<'_>, time_s: i64, is_learning: bool) -> Verdict {
        let remembered = known.filter(|known| !known.is_forgotten(time_s, self.forget_after_s));
        if remembered.is_some_and(|known| known.state >= CallerState::Learned) {
            return Verdict::Known;
        }
        match self.accepted_until_s(key, time_s) {
            Some(_) => Verdict::Accepted,
            None if is_learning => Verdict::Learned,
            None => Verdict::Page,
        }
    }
}
