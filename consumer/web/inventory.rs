//! The weak callers as the page lists them: counted, chosen, sorted and cut in one pass over the memory.

use std::cmp::Ordering;
use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashSet};

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
    let [found] = find_each(web, std::array::from_ref(asked), now_s)?;
    Ok(found)
}

/// Looks through all weak callers, once for all that is asked.
///
/// # Errors
/// The state can't be read.
pub fn find_each<const N: usize>(web: &Web, asked: &[Asked; N], now_s: i64) -> Result<[Found; N], ApiError> {
    let mut findings = Vec::with_capacity(N);
    for asked in asked {
        findings.push(Finding::new(web, asked, now_s)?);
    }
    let visited = web.state.visit_callers(|key, row| {
        findings.iter_mut().for_each(|finding| finding.add(key, &row));
    });
    visited.map_err(|error| ApiError::of_state(&error))?;
    let mut findings = findings.into_iter();
    Ok(std::array::from_fn(|_| findings.next().map(Finding::finish).unwrap_or_default()))
}

/// What was found so far of what is asked.
struct Finding<'a> {
    asked: &'a Asked,
    now_s: i64,
    /// The text in small letters.
    needle: String,
    /// Callers of which something is listed that has it.
    listing: HashSet<u64>,
    found: Found,
    /// Distinct callers, by [`Seen::ALL`].
    callers: [HashSet<u64>; Seen::ALL.len()],
    hasher: DefaultHashBuilder,
    first: First<'a>,
}

impl<'a> Finding<'a> {
    fn new(web: &Web, asked: &'a Asked, now_s: i64) -> Result<Self, ApiError> {
        let needle = asked.text.to_lowercase();
        let listing = if needle.is_empty() {
            HashSet::new()
        } else {
            let listing = web.state.callers_listing(|text| contains(text, &needle));
            listing.map_err(|error| ApiError::of_state(&error))?
        };
        let first = First { rows: Vec::new(), keep: asked.skip.saturating_add(asked.limit), asked };
        let (found, callers) = (Found::default(), Default::default());
        Ok(Self {
            asked,
            now_s,
            needle,
            listing,
            found,
            callers,
            hasher: DefaultHashBuilder::default(),
            first,
        })
    }

    fn add(&mut self, key: CallerKey<'_>, row: &Row) {
        if !self.is_wanted(key, row) {
            return;
        }
        let is_weakness = self.asked.weakness.is_none_or(|weakness| weakness == key.weakness);
        for (at, seen) in Seen::ALL.into_iter().enumerate() {
            let holds = is_weakness && seen.holds(row, self.now_s);
            self.found.seen[at] += usize::from(holds);
            // Of all that were ever seen nobody asks for the number of names.
            if holds && seen != Seen::Ever {
                self.callers[at].insert(self.hasher.hash_one((key.account_id, key.principal)));
            }
        }
        let is_seen = self.asked.seen.holds(row, self.now_s);
        self.found.weaknesses[key.weakness as usize] += usize::from(is_seen);
        if is_weakness && is_seen {
            self.found.matching += 1;
            self.first.add(Listed { key: key.to_owned(), row: row.clone() });
        }
    }

    fn is_wanted(&self, key: CallerKey<'_>, row: &Row) -> bool {
        self.needle.is_empty()
            || contains(key.principal, &self.needle)
            || contains(key.account_id, &self.needle)
            || self.listing.contains(&row.number)
    }

    fn finish(self) -> Found {
        let mut rows = self.first.cut();
        rows.drain(..self.asked.skip.min(rows.len()));
        Found { rows, callers: self.callers.map(|callers| callers.len()), ..self.found }
    }
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
