//! Weak callers: the memory of who was seen, and the inventory of how they call.
//!
//! Enters: the calls of a shard that have a weakness, one at a time, into a [`Delta`]; and, from the state, the
//! [`Row`] of a caller. Leaves: what a commit adds to the rows, and a [`verdict::Verdict`] on each caller that may be
//! new. Rows are one set for all shards of a process, on disk. All that they hold merges in any order.
//! Nothing here does I/O or fails.

pub mod advice;
mod delta;
mod row;
mod sighting;
pub mod verdict;

pub use delta::{Call, Delta, Entry, MAX_VALUE_BYTES, keep_newest};
pub use row::{CallerState, Past, Row};
pub use sighting::{Sighting, plain};
pub use verdict::{Accepted, CallerPolicy};

use crate::event::judge::Weakness;
use crate::event::time::DAY_S;

/// One weakness of one caller: the identity that is new once, and pages once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallerKey<'a> {
    /// How the caller is weak.
    pub weakness: Weakness,
    /// The account that calls.
    pub account_id: &'a str,
    /// The principal.
    pub principal: &'a str,
}

/// A key that owns its texts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnedKey {
    /// How the caller is weak.
    pub weakness: Weakness,
    /// The account that calls.
    pub account_id: Box<str>,
    /// The principal.
    pub principal: Box<str>,
}

impl CallerKey<'_> {
    /// A copy that owns its texts.
    pub fn to_owned(self) -> OwnedKey {
        OwnedKey {
            weakness: self.weakness,
            account_id: self.account_id.into(),
            principal: self.principal.into(),
        }
    }
}

impl OwnedKey {
    /// The key, borrowed.
    pub fn borrow(&self) -> CallerKey<'_> {
        let Self { weakness, account_id, principal } = self;
        CallerKey { weakness: *weakness, account_id, principal }
    }
}

/// What a row lists of its calls, each a bounded list of texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Detail {
    /// Name and version of the client, such as `Boto3/1.26.165`. Not of presigned calls.
    Client,
    /// Where the call came from. Not of presigned calls.
    SourceIp,
    /// The session of an assumed role.
    Session,
    /// Such as `s3.amazonaws.com`.
    EventSource,
    /// Such as `GetObject`.
    EventName,
    /// Such as `eu-central-1`.
    Region,
    /// The VPC endpoint that was called through.
    VpcEndpoint,
    /// The S3 bucket.
    Bucket,
    /// The id of the access key.
    KeyId,
    /// Who opened a presigned link: source IP, a space, client.
    OpenedBy,
    /// What a user agent tells of runtime and place ([`advice::hint`]). Serves the advice, and is not shown.
    Hint,
}

impl Detail {
    /// How many there are.
    pub const COUNT: usize = 11;
    /// Those that are shown, with their names in the API.
    pub const SHOWN: [(Self, &str); 10] = [
        (Self::Client, "clients"),
        (Self::SourceIp, "source_ips"),
        (Self::Session, "sessions"),
        (Self::EventSource, "event_sources"),
        (Self::EventName, "event_names"),
        (Self::Region, "aws_regions"),
        (Self::VpcEndpoint, "vpc_endpoints"),
        (Self::Bucket, "buckets"),
        (Self::KeyId, "key_ids"),
        (Self::OpenedBy, "opened_by"),
    ];
}

/// The day of event time that a second lies in. What a list keeps is decided by the day a text was last seen on, so that
/// most calls change nothing in it.
pub fn day_of(time_s: i64) -> i32 {
    // Event times are of the years 0 to 9999.
    time_s.div_euclid(DAY_S).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}

#[cfg(test)]
mod tests;
