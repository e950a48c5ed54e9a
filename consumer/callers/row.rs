//! What is remembered of one weak caller.

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::verdict::Known;
use super::{Detail, Entry, OwnedKey};

/// What became of a caller when it was new.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CallerState {
    /// Outside the organisation, or anonymous: never paged.
    Outside,
    /// Accepted by the config: not paged until the acceptance ends.
    Accepted,
    /// Seen while the process was learning: remembered without a page.
    Learned,
    /// Someone was paged, or is being paged now.
    Paged,
}

impl CallerState {
    /// The name in the API.
    pub fn label(self) -> &'static str {
        match self {
            Self::Outside => "outside",
            Self::Accepted => "accepted",
            Self::Learned => "learned",
            Self::Paged => "paged",
        }
    }
}

/// What is remembered of one weak caller, besides its lists. Counts and times merge in any order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The caller's number, under which its lists are stored.
    pub number: u64,
    /// Calls with the weakness.
    pub calls: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// Those of them through a presigned link.
    pub presigned: u64,
    /// The least event time, in seconds since 1970.
    pub first_s: i64,
    /// The greatest event time, in seconds since 1970.
    pub last_s: i64,
    /// What became of it.
    pub state: CallerState,
    /// When someone was last paged, in milliseconds since 1970.
    pub paged_ms: Option<u64>,
    /// How many texts each list holds.
    pub details: [u32; Detail::COUNT],
}

impl Row {
    /// A caller of which nothing was counted yet.
    pub fn new(number: u64, state: CallerState) -> Self {
        Self {
            number,
            calls: 0,
            errors: 0,
            presigned: 0,
            first_s: i64::MAX,
            last_s: i64::MIN,
            state,
            paged_ms: None,
            details: [0; Detail::COUNT],
        }
    }

    /// What a verdict needs to know.
    pub fn known(&self) -> Known {
        Known { state: self.state, last_s: self.last_s }
    }

    /// Adds what a commit counted.
    pub fn add(&mut self, entry: &Entry) {
        self.calls += entry.calls;
        self.errors += entry.errors;
        self.presigned += entry.presigned;
        self.first_s = self.first_s.min(entry.first_s);
        self.last_s = self.last_s.max(entry.last_s);
    }

    /// Takes in what history tells. The same once more changes nothing, so the calls of either are taken to be among the
    /// other's: there are at least as many as the greater number.
    pub fn recall(&mut self, past: &Self) {
        if past.calls > self.calls {
            (self.calls, self.errors, self.presigned) = (past.calls, past.errors, past.presigned);
        }
        self.first_s = self.first_s.min(past.first_s);
        self.last_s = self.last_s.max(past.last_s);
    }
}

/// A weak caller of history, to be remembered.
#[derive(Clone, Debug)]
pub struct Past {
    /// Who, and how.
    pub key: OwnedKey,
    /// What it did; its state tells whether it is outside the organisation.
    pub row: Row,
    /// For each list its texts, and the day that each was last seen on.
    pub details: [HashMap<Box<str>, i32>; Detail::COUNT],
}
