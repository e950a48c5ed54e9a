//! The weak callers as the page lists them: counted, chosen, sorted and cut in one pass over the memory.

use std::cmp::Ordering;

use hashbrown::HashSet;
use xxhash_rust::xxh3::xxh3_64;

use super::Web;
use super::error::ApiError;
use crate::callers::{CallerKey, CallerState, OwnedKey, Row};
use crate::event::judge::Weakness;
use crate::event::time::DAY_S;
use crate::window::HOUR_S;

/// Which callers, by when they called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Seen {
    /// All that are remembered, also those outside the organisation.
    #[default]
    Ever,
    /// Those of our own that called within the last hour.
    Now,
    /// Those of our own that first called today (UTC).
    New,
    /// Those of our own that were silent for a day.
    Quiet,
}

impl Seen {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ever, Self::Now, Self::New, Self::Quiet];

    /// The name in an address.
    pub fn label(self) -> &'static str {
        match self {
            Self::Ever => "",
            Self::Now => "now",
            Self::New => "new",
            Self::Quiet => "quiet",
        }
    }

    fn holds(self, row: &Row, now_s: i64) -> bool {
        let is_own = row.state != CallerState::Outside;
        match self {
            Self::Ever => true,
            Self::Now => is_own && row.last_s > now_s - HOUR_S,
            Self::New => is_own && row.first_s.div_euclid(DAY_S) == now_s.div_euclid(DAY_S),
            Self::Quiet => is_own && row.last_s <= now_s - DAY_S,
        }
    }
}

/// By what callers are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Principal, then account.
    Principal,
    /// The weakness.
    Weakness,
    /// When they first called.
    FirstSeen,
    /// When they last called.
    LastSeen,
    /// How many calls.
    Calls,
}

impl Sort {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Principal, Self::Weakness, Self::FirstSeen, Self::LastSeen, Self::Calls];

    /// The name in an address.
    pub fn label(self) -> &'static str {
        match self {
            Self::Principal => "principal",
            Self::Weakness => "weakness",
            Self::FirstSeen => "first_seen",
            Self::LastSeen => "last_seen",
            Self::Calls => "calls",
        }
    }

    /// The order in which people want to see callers, and whether the greatest comes first: those that just appeared,
    /// those that just fell silent; of those that call, the gravest weakness.
    pub fn first_for(seen: Seen) -> (Self, bool) {
        match seen {
            Seen::New => (Self::FirstSeen, true),
            Seen::Now => (Self::Weakness, false),
            Seen::Ever | Seen::Quiet => (Self::LastSeen, true),
        }
    }

    fn compare(self, left: &Listed, right: &Listed) -> Ordering {
        match self {
            Self::Principal => left.key.principal.cmp(&right.key.principal),
            // Of one weakness, the busiest first.
            Self::Weakness => {
                left.key.weakness.cmp(&right.key.weakness).then_with(|| right.row.calls.cmp(&left.row.calls))
            }
            Self::FirstSeen => left.row.first_s.cmp(&right.row.first_s),
            Self::LastSeen => left.row.last_s.cmp(&right.row.last_s),
            Self::Calls => left.row.calls.cmp(&right.row.calls),
        }
    }
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// A part of the principal, the account, or of anything that is listed of a caller; in any case.
    pub text: String,
    /// One weakness, or all.
    pub weakness: Option<Weakness>,
    /// By when they called.
    pub seen: Seen,
    /// The order.
    pub sort: Sort,
    /// The greatest first.
    pub is_descending: bool,
    /// Rows to pass over.
    pub skip: usize,
    /// Rows at most.
    pub limit: usize,
}

/// A weak caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Who, and how.
    pub key: OwnedKey,
    /// What is remembered.
    pub row: Row,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// The rows.
    pub rows: Vec<Listed>,
    /// How many there are of what was asked for.
    pub matching: usize,
    /// How many rows there are, by [`Seen::ALL`]: of the text and the weakness that were asked for.
    pub seen: [usize; Seen::ALL.len()],
    /// How many distinct callers those are, however weak each.
    pub callers: [usize; Seen::ALL.len()],
    /// How many there are, by [`Weakness::ALL`]: of the text and the time that were asked for.
    pub weaknesses: [usize; Weakness::ALL.len()],
}

/// Looks through all weak callers.
///
/// # Errors
/// The state can't be read.
pub fn find(web: &Web, asked: &Asked, now_s: i64) -> Result<Found, ApiError> {
    let needle = asked.text.to_lowercase();
    let has = |text: &str| contains(text, &needle);
    let listing = if needle.is_empty() { None } else { Some(web.state.callers_listing(has)) };
    let listing = listing.transpose().map_err(|error| ApiError::of_state(&error))?.unwrap_or_default();
    let is_wanted = |key: CallerKey<'_>, row: &Row| {
        needle.is_empty() || has(key.principal) || has(key.account_id) || listing.contains(&row.number)
    };
    let mut found = Found::default();
    let mut first = First { rows: Vec::new(), keep: asked.skip.saturating_add(asked.limit), asked };
    let mut callers: [HashSet<u64>; Seen::ALL.len()] = Default::default();
    let visited = web.state.visit_callers(|key, row| {
        if !is_wanted(key, &row) {
            return;
        }
        let caller = xxh3_64(format!("{}\t{}", key.account_id, key.principal).as_bytes());
        let is_weakness = asked.weakness.is_none_or(|weakness| weakness == key.weakness);
        let is_seen = asked.seen.holds(&row, now_s);
        for (at, seen) in Seen::ALL.into_iter().enumerate() {
            let holds = is_weakness && seen.holds(&row, now_s);
            found.seen[at] += usize::from(holds);
            // Of all that were ever seen nobody asks for the number of names.
            if holds && seen != Seen::Ever {
                callers[at].insert(caller);
            }
        }
        found.weaknesses[key.weakness as usize] += usize::from(is_seen);
        if is_weakness && is_seen {
            found.matching += 1;
            first.add(Listed { key: key.to_owned(), row });
        }
    });
    visited.map_err(|error| ApiError::of_state(&error))?;
    found.callers = callers.map(|callers| callers.len());
    found.rows = first.cut();
    found.rows.drain(..asked.skip.min(found.rows.len()));
    Ok(found)
}

/// Whether a text has another in it, in any case; the other is in small letters.
fn contains(text: &str, needle: &str) -> bool {
    if text.is_ascii() && needle.is_ascii() {
        let (text, needle) = (text.as_bytes(), needle.as_bytes());
        return needle.is_empty() || text.windows(needle.len()).any(|part| part.eq_ignore_ascii_case(needle));
    }
    text.to_lowercase().contains(needle)
}

/// The first rows in the order that is asked for, never many more than are kept.
struct First<'a> {
    rows: Vec<Listed>,
    keep: usize,
    asked: &'a Asked,
}

impl First<'_> {
    fn add(&mut self, listed: Listed) {
        self.rows.push(listed);
        if self.rows.len() >= (self.keep * 2).max(1024) {
            self.shorten();
        }
    }

    fn shorten(&mut self) {
        let (sort, is_descending) = (self.asked.sort, self.asked.is_descending);
        self.rows.sort_unstable_by(|left, right| {
            let order = sort.compare(left, right);
            let order = if is_descending { order.reverse() } else { order };
            // The same order at each look.
            order.then_with(|| left.key.cmp(&right.key))
        });
        self.rows.truncate(self.keep);
    }

    fn cut(mut self) -> Vec<Listed> {
        self.shorten();
        self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_in_any_case() {
        for (text, needle, expect) in [
            ("arn:aws:iam::1:role/Builder", "builder", true),
            ("arn:aws:iam::1:role/Builder", "", true),
            ("a", "ab", false),
            ("user/ZOË", "zoë", true),
            ("", "x", false),
        ] {
            assert_eq!(contains(text, needle), expect, "{text} {needle}");
        }
    }
}
