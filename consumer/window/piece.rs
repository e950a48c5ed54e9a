//! Counts as they are stored: what a commit adds, or a part of a snapshot.

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::callers::{CallerLimits, CallerName, VERSION_BITS};
use super::{HOUR_S, MINUTE_S, Versions, Windows};

/// Callers and counts. Numbers of callers are those of whoever wrote the piece, see [`PieceReader`].
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece<'a> {
    /// Number, account, principal, outside.
    #[serde(borrow)]
    pub callers: Vec<(u32, &'a str, &'a str, bool)>,
    /// Minute, key and count of calls for the minute's and its hour's bucket.
    pub counts: Vec<(i32, u32, u32)>,
    /// The same for minute buckets alone.
    pub minutes: Vec<(i32, u32, u32)>,
    /// Hour, key and count for hour buckets alone.
    pub hours: Vec<(i32, u32, u32)>,
}

/// Callers that found no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overflow {
    /// Of our own.
    pub own: u64,
    /// Outside the organisation.
    pub outside: u64,
}

/// Merges the pieces of one writer into windows.
#[derive(Default)]
pub struct PieceReader {
    /// By the writer's number; a table, for a damaged piece may hold any number.
    numbers: HashMap<u32, u32>,
}

impl PieceReader {
    /// Adds a piece. Returns how many callers found no room and were counted as overflow.
    pub fn merge(&mut self, piece: &Piece<'_>, windows: &mut Windows, limits: CallerLimits) -> Overflow {
        let mut overflow = Overflow::default();
        for &(number, account_id, principal, is_outside) in &piece.callers {
            let (own, is_overflow) = windows.caller(CallerName { account_id, principal }, is_outside, limits);
            let found_no_room = if is_outside { &mut overflow.outside } else { &mut overflow.own };
            *found_no_room += u64::from(is_overflow);
            self.numbers.insert(number, own);
        }
        let per_hour = (HOUR_S / MINUTE_S) as i32;
        for &(minute, key, count) in &piece.counts {
            if let Some(key) = self.own_key(key) {
                windows.add_hour(minute.div_euclid(per_hour), key, count);
                windows.add_minute(minute, key, count);
            }
        }
        for &(minute, key, count) in &piece.minutes {
            self.own_key(key).into_iter().for_each(|key| windows.add_minute(minute, key, count));
        }
        for &(hour, key, count) in &piece.hours {
            self.own_key(key).into_iter().for_each(|key| windows.add_hour(hour, key, count));
        }
        windows.settle();
        overflow
    }

    fn own_key(&self, key: u32) -> Option<u32> {
        let versions = key & ((1 << VERSION_BITS) - 1);
        Versions::from_code(versions as u8)?;
        let number = *self.numbers.get(&(key >> VERSION_BITS))?;
        Some(number << VERSION_BITS | versions)
    }
}
